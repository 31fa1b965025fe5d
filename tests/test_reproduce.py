"""The main job: a notebook or report is complete or absent, and bad input stops it first."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from papermill.exceptions import PapermillExecutionError

import factory
from labelnoise import experiments
from labelnoise.analysis import claims
from labelnoise.experiments import Run
from labelnoise.files import COMMITTED, ROOT, sha256
from labelnoise.reproduce import job, report, steps
from labelnoise.runs import ledger

RUNS = experiments.smoke()


@pytest.fixture
def digits_record() -> dict:
    """A record of the first of ``RUNS``, as far as a ledger looks at it."""
    return {"config": RUNS[0].config, "result": {}, "curves": {}, "provenance": {"date": "2020"}}


def notebook(path: Path, *sources: str) -> Path:
    """A notebook with the usual `profile` parameter and one cell a source."""
    parameters = new_code_cell('profile = "replay"', metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell("# test"), parameters, *map(new_code_cell, sources)]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    return path


def test_parameters_reach_the_notebook(tmp_path):
    source = notebook(tmp_path / "00_a.ipynb", "print('profile is', profile)")
    target = tmp_path / "out" / "00_a.ipynb"
    job.execute(source, target, {"profile": "smoke"})
    assert "profile is smoke" in target.read_text()


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path):
    source = notebook(tmp_path / "00_a.ipynb", "open('ran', 'w')")
    with pytest.raises(ValueError, match=r"no parameter \['profil'\].*'profile'"):
        job.execute(source, tmp_path / "out.ipynb", {"profil": "smoke"})
    assert not (tmp_path / "out.ipynb").exists()


# ------------------------------------------------------------------ only what changed, and wholly


def made(directory: Path) -> set[str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix() for path in files}


PICTURE = """
import os, pathlib
folder = pathlib.Path(os.environ["LABELNOISE_OUT"]) / "figures"
folder.mkdir(parents=True, exist_ok=True)
(folder / "00_a.png").write_text(profile)
"""


def test_the_records_that_a_notebook_looks_up_are_known(tmp_path):
    """It runs in a process of its own."""
    cell = ("from labelnoise import experiments; from labelnoise.runs.sweep import sweep; "
            "sweep(experiments.headline(seeds=[0]), profile)")  # fmt: skip
    source = notebook(tmp_path / "00_a.ipynb", cell)
    job.make_notebook(source, tmp_path / "out", {"profile": "replay"})
    found = steps.read(tmp_path / "out" / ".made" / "00_a.json")["records"]
    paths = [ledger.Ledger(COMMITTED).path(run) for run in experiments.headline(seeds=[0])]
    assert found == {str(path): sha256(path) for path in paths}


def test_a_failed_notebook_leaves_nothing_behind_and_hides_what_was_there(tmp_path):
    out = tmp_path / "out"
    source = notebook(tmp_path / "00_a.ipynb", PICTURE)
    job.make_notebook(source, out, {"profile": "replay"})
    assert made(out) == {"notebooks/00_a.ipynb", "figures/00_a.png", ".made/00_a.json"}
    notebook(source, PICTURE, "raise RuntimeError('broken cell')")
    with pytest.raises(PapermillExecutionError, match="broken cell"):
        job.make_notebook(source, out, {"profile": "replay"})
    assert made(out) == set()


def test_a_killed_notebook_is_not_taken_as_done_and_the_next_job_clears_it_away(tmp_path):
    started, out = tmp_path / "started", tmp_path / "out"
    cell = f"import time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    source = notebook(tmp_path / "00_a.ipynb", PICTURE, cell)
    code = ("from pathlib import Path; from labelnoise.reproduce import job; "
            f"job.make_notebook(Path({str(source)!r}), Path({str(out)!r}), {{}})")  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not started.exists():
            assert time.monotonic() < deadline, "the notebook never started"
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert {name.split("/")[0] for name in made(out)} == {".making"}
    with steps.one_at_a_time(out):
        assert made(out) == {".lock"}
    assert made(out) == set()


def make(step: steps.Step, book: ledger.Ledger, *runs: Run) -> None:
    """A step that looks up some runs and draws one picture."""
    with step.making() as folder:
        for run in runs:
            book.find(run)
        (folder / "figures").mkdir(parents=True)
        (folder / "figures" / "a.png").write_text(" ".join(run.key for run in runs))


@pytest.fixture
def steps_of(tmp_path) -> Callable[..., steps.Step]:
    def step(**inputs: object) -> steps.Step:
        return steps.Step("a", tmp_path / "out", {"the notebook": "1 + 1", **inputs})

    return step


def test_what_did_not_change_is_not_made_again(steps_of, here, capsys):
    make(steps_of(), here, *RUNS)
    assert not steps_of().is_due()
    assert capsys.readouterr().out == "a: unchanged\n"
    assert steps_of().is_due(force=True)


def test_another_input_is_a_change_and_is_named(steps_of, here):
    make(steps_of(), here, *RUNS)
    assert "the notebook" in steps_of(**{"the notebook": "1 + 2"}).changed()
    assert "precision" in steps_of(precision="float32").changed()


def test_the_records_that_were_looked_up_count_found_or_missing_and_no_others(
    steps_of, here, digits_record
):
    make(steps_of(), here, *RUNS)
    here.write({**digits_record, "config": experiments.parity([0])[0].config})
    assert steps_of().changed() is None, "nobody asked for it"
    path = here.write(digits_record)
    assert f"{RUNS[0].key}.json is new" in steps_of().changed()
    make(steps_of(), here, *RUNS)
    assert steps_of().changed() is None
    path.write_text(path.read_text().replace("2020", "2021"))
    assert f"{RUNS[0].key}.json changed" in steps_of().changed()
    path.unlink()
    assert f"{RUNS[0].key}.json is gone" in steps_of().changed()


def test_the_arrays_beside_a_record_count(steps_of, here, digits_record):
    here.write({**digits_record, "arrays": {"probabilities": np.zeros(3)}})
    step = steps_of()
    with step.making():
        here.arrays(RUNS[0])
    assert steps_of().changed() is None
    here.path(RUNS[0]).with_suffix(".npz").unlink()
    assert f"{RUNS[0].key}.npz is gone" in steps_of().changed()


def test_a_record_that_came_meanwhile_is_seen_as_a_change(steps_of, here, digits_record):
    with steps_of().making():
        assert here.find(RUNS[0]) is None
        here.write(digits_record)
        assert here.find(RUNS[0]) is not None
    assert f"{RUNS[0].key}.json is new" in steps_of().changed()


def test_outputs_that_were_deleted_or_changed_by_hand_are_made_again(steps_of, here, tmp_path):
    picture = tmp_path / "out" / "figures" / "a.png"
    for spoil in (Path.unlink, lambda path: path.write_text("by hand")):
        make(steps_of(), here, *RUNS)
        spoil(picture)
        assert steps_of().changed().startswith("figures/a.png was ")
    make(steps_of(), here, *RUNS)
    assert picture.read_text() == " ".join(run.key for run in RUNS)


@pytest.mark.parametrize(
    "state", ["", "{", "[]", "[" * 100_000, '{"inputs": {}}', '{"inputs": [], "records": 1}']
)
def test_a_state_that_is_not_one_is_no_state(state, steps_of, here):
    make(steps_of(), here)
    steps_of().path.write_text(state)
    assert steps_of().is_due()


def test_an_output_of_an_earlier_run_does_not_stay(steps_of, here, tmp_path):
    make(steps_of(), here)
    with steps_of().making() as folder:
        folder.mkdir()
        (folder / "b.png").write_text("another")
    assert made(tmp_path / "out") == {"b.png", ".made/a.json"}


def test_a_notebooks_sources_and_parameters_count_and_its_outputs_do_not(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(job, "execute", lambda source, *arguments: asked.append(source.stem))
    source = notebook(tmp_path / "00_a.ipynb", "print(1)")

    def times() -> int:
        job.make_notebook(source, tmp_path / "out", {"profile": "replay"})
        return len(asked)

    assert (times(), times()) == (1, 1)
    book = nbformat.read(source, as_version=4)
    book.cells[-1].outputs = [new_output("stream", text="1")]
    nbformat.write(book, source)
    assert times() == 1
    notebook(source, "print(2)")
    assert times() == 2
    job.make_notebook(source, tmp_path / "out", {"profile": "headline"})
    assert len(asked) == 3


def test_two_jobs_do_not_write_at_once(tmp_path):
    order = []

    def second() -> None:
        with steps.one_at_a_time(tmp_path):
            order.append("second")

    with steps.one_at_a_time(tmp_path):
        other = threading.Thread(target=second)
        other.start()
        other.join(timeout=0.2)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_the_report_is_made_once(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(report, "write", lambda *arguments: asked.append(arguments))
    for _ in range(2):
        assert job.make_report("replay", tmp_path) == tmp_path / "REPORT.md"
    assert len(asked) == 1
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "03_memorisation.png").write_text("a new picture")
    job.make_report("replay", tmp_path)
    assert len(asked) == 2


# -------------------------------------------------------------------------------- what is asked


@pytest.mark.parametrize("workers", ["0", "-1", "abc", "1.5", ""])
def test_no_number_of_workers_is_refused_before_anything(workers, capsys, monkeypatch):
    monkeypatch.setattr(job, "reproduce", None)
    with pytest.raises(SystemExit):
        job.main(["--workers", workers])
    assert f"workers={workers!r} must be" in capsys.readouterr().err


def test_the_command_line_passes_on_what_it_is_told(monkeypatch):
    asked = []
    monkeypatch.setattr(job, "reproduce", lambda *told: asked.append(told))
    job.main(["--profile", "smoke", "--workers", "4", "--force"])
    job.main([])
    assert asked == [("smoke", "local", 4, True), ("auto", "local", None, False)]


def test_unknown_profile_names_the_known_ones(capsys):
    assert job.main(["--profile", "headlin"]) == 1
    message = capsys.readouterr().err
    assert "'headlin' is unknown" in message
    assert all(name in message for name in experiments.PROFILES)


def test_what_will_happen_is_said_before_it_does(capsys, tmp_path):
    here = ledger.Ledger(tmp_path)
    job.announce("smoke", experiments.profile_runs("smoke"), here, workers=4)
    said = capsys.readouterr().out
    assert "2 side by side" in said, "no more than there are runs"
    assert "profile smoke: 2 runs to train" in said
    assert "expected time" in said
    assert "disk" in said


def test_a_cluster_is_announced_and_used(capsys, tmp_path, monkeypatch):
    asked = []

    def train_missing(runs: list, here: ledger.Ledger, *, executor: str, workers: None) -> int:
        asked.append(executor)
        raise job.SweepError("no cluster here")

    monkeypatch.setattr(job, "REPRODUCED", tmp_path)
    monkeypatch.setattr(job, "train_missing", train_missing)
    assert job.main(["--profile", "smoke", "--executor", "ray"]) == 1
    said = capsys.readouterr()
    assert asked == ["ray"]
    assert "2 runs to train on a cluster (executor ray)" in said.out
    assert said.err == "error: no cluster here\n"


def test_stripping_keeps_outputs_and_drops_what_depends_on_the_moment(tmp_path):
    source = notebook(tmp_path / "00_a.ipynb", "print(6 * 7)")
    job.execute(source, tmp_path / "1.ipynb", {})
    job.execute(source, tmp_path / "2.ipynb", {})
    first, second = (job.stripped(tmp_path / name) for name in ("1.ipynb", "2.ipynb"))
    assert first == second
    assert "42" in first
    assert "papermill" not in first
    assert str(tmp_path) not in first


class Page(HTMLParser):
    """What a browser would make of a report: its anchors, links, texts and tables."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.ids, self.links, self.tables, self.texts = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append(0)
        if tag in ("td", "th"):
            self.tables[-1][-1] += 1
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, text):
        self.texts.append(text)


@pytest.fixture(scope="module")
def reported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "reproduced"
    (folder / "figures").mkdir(parents=True)
    shutil.copy(ROOT / "figures" / "03_memorisation.png", folder / "figures")
    report.write("replay", folder, folder)
    return folder


def test_every_link_of_the_report_leads_somewhere(reported):
    page = Page((reported / "report.html").read_text())
    assert not page.open
    assert len(page.ids) == len(set(page.ids))
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.ids)
    files = [link for link in page.links if not link.startswith("#")]
    assert len(files) > 100
    assert all((reported / file).is_file() for file in files)
    text = (reported / report.NAME).read_text()
    headings = {report.slug(line.lstrip("# ")) for line in text.splitlines() if line[:1] == "#"}
    assert set(re.findall(r"\(#([^)]+)\)", text)) <= headings


def test_the_report_has_a_row_a_claim_with_committed_numbers_beside_this_machines(reported):
    page = Page((reported / "report.html").read_text())
    for rows in page.tables:
        assert len(set(rows)) == 1, "a header row that does not fit, such as an index's name"
    n = sum(len(source.claims) for source in claims.SOURCES.values())
    assert sum(map(len, page.tables[1:5])) == n + 4
    shown = " ".join(page.texts).replace("\u00a0", " ")
    for word in (
        "96.81",
        "ours",
        "this machine",
        "not trained here",
        "◐ partly",
        "○ not reproduced",
    ):
        assert word in shown
    assert "`" not in shown
    text = (reported / report.NAME).read_text()
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block[:80]


def test_a_row_of_the_report_leads_to_the_records_behind_it(reported):
    text = (reported / report.NAME).read_text()
    behind = text.split("### CLL, 2")[1].split("###")[0]
    keys = {run.key for run in experiments.headline()}
    assert set(re.findall(r"\[([0-9a-f]{16})\]", behind)) == keys
    assert "make trace NAME=10_claims ROW='CLL, 2'" in behind


def test_runs_of_another_noise_are_not_averaged_in_the_report():
    ce = [factory.outcome(run, last, source="here", provenance={})
          for run, last in zip((experiments.headline([0])[0], experiments.clean_labels()[0]),
                               (50.0, 99.0), strict=True)]  # fmt: skip
    table = report.trained(ce)
    assert list(table.index) == ["CE: mnist, cnn4, symmetric, 0.6", "CE: mnist, cnn4, clean"]
    assert [*table["last epoch"]] == ["50.00", "99.00"]


@pytest.mark.parametrize("became", [False, True])
def test_ctrl_c_is_two_lines_that_say_how_to_resume(became, monkeypatch, capsys):
    def interrupted(*arguments: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if became:  # as in a notebook's client, whose kernel is gone, too
                raise DeadKernelError("Kernel died") from None
            raise

    monkeypatch.setattr(job, "reproduce", interrupted)
    assert job.main(["--profile", "replay"]) == 130
    lines = capsys.readouterr().err.split("\n")
    assert lines[1].startswith("interrupted: ")
    assert lines[2:] == ["`make reproduce` again goes on from there", ""]
    monkeypatch.setattr(job, "reproduce", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        job.main(["--profile", "replay"])


def test_expected_time_counts_every_training_and_no_diverged_run(monkeypatch):
    """A run of five folds that took 500 s needs 100 s a training, not 500; one that stopped after
    its first epoch says nothing."""
    folds, single = experiments.detectors(seeds=[0])[0], experiments.parity([0])[-1]
    assert (folds.trainings, single.trainings, folds.model) == (5, 1, single.model)
    made = {"threads": 1, "precision": job.precision(torch.device("cpu"))}
    records = [
        {"config": run.config, "result": {"diverged_at": at},
         "provenance": {**made, "seconds": seconds}}
        for run, at, seconds in ((folds, None, 500.0), (single, 1, 2.0))
    ]  # fmt: skip
    monkeypatch.setattr(job, "Ledger", lambda _: SimpleNamespace(records=lambda: records))
    text = job.expected_time([single] * 6, torch.device("cpu"), 1)
    assert text.startswith("about 10 minutes")
