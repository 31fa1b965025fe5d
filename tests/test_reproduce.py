"""The main job: a notebook or report is complete or absent, and bad input stops it first."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from papermill.exceptions import PapermillExecutionError

from labelnoise import experiments
from labelnoise.reproduce import job, report
from labelnoise.runs import ledger


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


def test_a_failed_notebook_leaves_nothing_behind_and_hides_what_was_there(tmp_path):
    source = notebook(tmp_path / "00_a.ipynb", "raise RuntimeError('broken cell')")
    target = tmp_path / "out" / "00_a.ipynb"
    target.parent.mkdir()
    target.write_text("from an earlier run")
    with pytest.raises(PapermillExecutionError, match="broken cell"):
        job.execute(source, target, {"profile": "smoke"})
    assert list(target.parent.iterdir()) == []


def test_a_killed_execution_leaves_no_notebook_that_looks_done(tmp_path):
    started = tmp_path / "started"
    cell = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    source = notebook(tmp_path / "00_a.ipynb", cell)
    target = tmp_path / "out" / "00_a.ipynb"
    code = ("from pathlib import Path; from labelnoise.reproduce import job; "
            f"job.execute(Path({str(source)!r}), Path({str(target)!r}), {{}})")  # fmt: skip
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
    assert not target.exists()


def test_unknown_profile_names_the_known_ones(capsys):
    assert job.main(["--profile", "headlin"]) == 1
    message = capsys.readouterr().err
    assert "'headlin' is unknown" in message
    assert all(name in message for name in experiments.PROFILES)


def test_what_will_happen_is_said_before_it_does(capsys, tmp_path):
    here = ledger.Ledger(tmp_path)
    job.announce("smoke", experiments.profile_runs("smoke"), here)
    said = capsys.readouterr().out
    assert "profile smoke: 2 runs to train" in said
    assert "expected time" in said
    assert "disk" in said


def test_a_cluster_is_announced_and_used(capsys, tmp_path, monkeypatch):
    asked = []

    def train_missing(runs: list, here: ledger.Ledger, *, executor: str) -> int:
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


def test_report_puts_paper_committed_and_this_machine_side_by_side(tmp_path):
    path = report.write("replay", tmp_path)
    text = path.read_text()
    assert "| paper " in text
    assert "| committed " in text
    assert "| this machine " in text
    assert "96.81" in text
    assert "not trained here" in text
    page = (tmp_path / "report.html").read_text()
    assert page.count("<table") == text.count("## ") - text.count("(none)")
    assert "96.81" in page


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
