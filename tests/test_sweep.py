"""A sweep replays what is committed, trains what is missing, and loses nothing."""

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from labelnoise import data, experiments
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.runs import sweep, workers
from labelnoise.runs.ledger import Ledger, RecordError
from labelnoise.runs.sweep import SweepError, missing, train_missing
from labelnoise.training.methods import train

pytestmark = pytest.mark.usefixtures("workers_start_quickly")


def run(*, epochs: int = 2, **changes: object) -> Run:
    setting = {"noise": noisy("symmetric", 0.6), "loss": {"name": "CE"}, "model": "mlp"}
    setting = {**setting, "subset": 300, "probe": ("gradient",), **changes}
    return Run("digits", **setting, protocol={**MNIST_PROTOCOL, "epochs": epochs})


SHORT = [run(), run(loss={"name": "MAE"}), run(seed=1)]
LONG = run(epochs=150, seed=7)  # seconds: time to be killed
FAILING = run(subset=2, val_fraction=0.5)  # one sample is left to train on


def exact(record: dict) -> str:
    return json.dumps({part: record[part] for part in ("config", "result", "curves")})


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, str]:
    return {of.key: exact(train(of, device="cpu")) for of in [*SHORT, LONG]}


@pytest.fixture
def committed(tmp_path, undisturbed) -> Ledger:
    """Holds the short runs, as another machine made them."""
    book = Ledger(tmp_path / "committed")
    for of in SHORT:
        made = json.loads(undisturbed[of.key])
        made["result"]["last"] = 12.5
        book.write({**made, "provenance": {"device": "another"}})
    return book


@pytest.fixture
def profile(monkeypatch) -> Callable[..., str]:
    def named(*runs: Run) -> str:
        monkeypatch.setitem(experiments.PROFILES, "ours", lambda: list(runs))
        return "ours"

    return named


@pytest.fixture
def no_training(monkeypatch):
    def explode(*arguments: object, **options: object) -> None:
        raise AssertionError("nothing was to be trained")

    monkeypatch.setattr(sweep, "run_side_by_side", explode)


def wait_until(true: Callable[[], object], what: str, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.002)


def contents(book: Ledger) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(book.directory.glob("*/*.json"))}


# ------------------------------------------------------------------------------ replay and profile


def test_what_is_committed_is_replayed_without_training(here, committed, no_training):
    before = contents(committed)
    outcomes = sweep.sweep([*SHORT, LONG], "replay", here=here, committed=committed)
    assert [o.run.key for o in outcomes] == [of.key for of in SHORT], "in order, the rest left out"
    assert {o.source for o in outcomes} == {"committed"}
    assert {o.last for o in outcomes} == {12.5}
    assert not here.directory.exists()
    assert contents(committed) == before


def test_a_sweep_trains_the_profiles_missing_runs_and_no_others(
    here, committed, profile, undisturbed
):
    before = contents(committed)
    outcomes = sweep.sweep(SHORT, profile(SHORT[0], LONG), here=here, committed=committed)
    assert [o.source for o in outcomes] == ["here", "committed", "committed"]
    assert exact(outcomes[0].record) == undisturbed[SHORT[0].key]
    assert outcomes[0].last != 12.5, "really trained here, whatever is committed"
    assert [config["seed"] for config in (r["config"] for r in here.records())] == [0]
    assert contents(committed) == before, "evidence is never written"


def test_what_was_trained_here_for_another_profile_does_not_replace_the_evidence(
    here, committed, undisturbed
):
    here.write({**json.loads(undisturbed[SHORT[0].key]), "provenance": {"device": "this"}})
    (outcome,) = sweep.sweep(SHORT[:1], "replay", here=here, committed=committed)
    assert (outcome.source, outcome.last) == ("committed", 12.5)


def test_a_second_sweep_trains_nothing(here, committed, profile, monkeypatch):
    name = profile(*SHORT)
    first = sweep.sweep(SHORT, name, here=here, committed=committed)
    before = contents(here)

    def explode(*arguments: object, **options: object) -> None:
        raise AssertionError("nothing was to be trained")

    monkeypatch.setattr(sweep, "run_side_by_side", explode)
    assert sweep.sweep(SHORT, name, here=here, committed=committed) == first
    assert train_missing(SHORT, here) == 0
    assert contents(here) == before


def test_a_run_asked_for_twice_is_trained_once(here):
    assert train_missing([SHORT[0], SHORT[0], run()], here) == 1


def test_side_by_side_and_one_by_one_give_the_same_records(here, tmp_path, undisturbed):
    alone = Ledger(tmp_path / "alone")
    assert train_missing(SHORT, here, workers=3) == 3
    assert train_missing(SHORT, alone, workers=1) == 3
    for of in SHORT:
        assert exact(here.find(of)) == exact(alone.find(of)) == undisturbed[of.key]
        assert here.find(of)["provenance"]["threads"] == 1
    assert list((here.directory / ".checkpoints").iterdir()) == []


def test_an_unknown_profile_is_refused_before_anything(here, committed, no_training):
    with pytest.raises(ValueError, match=r"profile 'fast' is unknown; known: replay, smoke"):
        sweep.sweep(SHORT, "fast", here=here, committed=committed)


def test_an_unknown_executor_is_refused_before_anything(here, no_training):
    with pytest.raises(ValueError, match=r"executor 'slurm' is unknown; known: local, ray"):
        train_missing(SHORT, here, executor="slurm")
    assert not here.directory.exists()


# --------------------------------------------------------------------------------- damaged records


def test_a_damaged_record_of_this_machine_is_trained_again_and_kept_aside(here, undisturbed):
    train_missing(SHORT[:2], here)
    path = here.path(SHORT[0])
    damaged = path.read_text().replace('"last"', '"last "')
    path.write_text(damaged)
    assert [of.key for of in missing(SHORT[:2], here)] == [SHORT[0].key]
    assert train_missing(SHORT[:2], here) == 1
    assert exact(here.find(SHORT[0])) == undisturbed[SHORT[0].key]
    assert path.with_suffix(".damaged").read_text() == damaged


def test_no_damaged_record_is_ever_deleted(here):
    path = here.path(SHORT[0])
    path.parent.mkdir(parents=True)
    for text in ("first", "second"):
        path.write_text(text)
        missing(SHORT[:1], here)
    kept = {p.read_text() for p in path.parent.iterdir()}
    assert kept == {"first", "second"}


def test_a_damaged_committed_record_is_an_error_and_stays(here, committed, no_training):
    path = committed.path(SHORT[1])
    path.write_text(path.read_text().replace("12.5", "96.81"))
    before = contents(committed)
    with pytest.raises(RecordError, match=f"{SHORT[1].key}.json is damaged or was edited"):
        sweep.sweep(SHORT, "replay", here=here, committed=committed)
    assert contents(committed) == before


# ----------------------------------------------------------------------------------------- failures


def test_a_failing_run_is_named_and_does_not_lose_the_others(here, undisturbed):
    with pytest.raises(SweepError) as error:
        train_missing([FAILING, *SHORT], here, workers=2)
    message = str(error.value)
    assert "1 of 4 runs failed; the others are recorded" in message
    assert f"CE, seed 0 ({FAILING.key})" in message
    assert "ValueError: val_fraction=0.5 leaves 1 samples" in message
    for of in SHORT:
        assert exact(here.find(of)) == undisturbed[of.key]
    assert here.find(FAILING) is None
    assert train_missing(SHORT, here) == 0


def test_a_killed_worker_is_named_and_the_next_sweep_resumes_it_to_the_bit(here, undisturbed):
    """One worker at a time: the one that writes the checkpoint is the only child there is."""
    checkpoint = here.directory / ".checkpoints" / f"{LONG.key}.pt"
    killed = []

    def kill() -> None:
        wait_until(checkpoint.exists, "a checkpoint of the long run")
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid, signal.SIGKILL)
        killed.append(worker.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(SweepError) as error:
        train_missing([SHORT[0], LONG, SHORT[1]], here, workers=1)
    killer.join()
    assert killed
    assert f"CE, seed 7 ({LONG.key}): its process died (exit code -9)" in str(error.value)
    assert "Run again to resume" in str(error.value)
    assert here.find(LONG) is None
    for of in SHORT[:2]:
        assert exact(here.find(of)) == undisturbed[of.key], "before and after: kept, and trained"
    assert 0 < epochs_of(checkpoint) < LONG.protocol["epochs"]

    epochs = []
    update = sweep.Progress.update
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            sweep.Progress, "update", lambda self, of, n: epochs.append(n) or update(self, of, n)
        )
        assert train_missing([SHORT[0], LONG, SHORT[1]], here) == 1
    assert epochs[0] > 1, "resumed, not begun again"
    assert exact(here.find(LONG)) == undisturbed[LONG.key]
    assert not checkpoint.exists()


def epochs_of(checkpoint: Path) -> int:
    import torch

    content = checkpoint.read_bytes()[32:]
    return torch.load(io.BytesIO(content), weights_only=True)["epoch"]


def test_a_run_that_was_finished_but_not_recorded_is_recorded_without_training(
    here, undisturbed, monkeypatch
):
    """The record could not be written (a full disk, say): the checkpoint holds all of it."""
    checkpoint = here.directory / ".checkpoints" / f"{SHORT[0].key}.pt"
    checkpoint.parent.mkdir(parents=True)
    train(SHORT[0], device="cpu", checkpoint=checkpoint)
    epochs = []
    monkeypatch.setattr(sweep.Progress, "update", lambda self, of, epoch: epochs.append(epoch))
    train_missing(SHORT[:1], here)
    assert epochs == []
    assert exact(here.find(SHORT[0])) == undisturbed[SHORT[0].key]
    assert not checkpoint.exists()


def unwritable(book: Ledger, bad: Run, monkeypatch) -> None:
    """Storing the record of ``bad`` fails, as on a full disk."""
    write = book.write

    def full(record: dict) -> Path:
        if record["config"] == bad.config:
            raise RecordError("cannot write the record: No space left on device")
        return write(record)

    monkeypatch.setattr(book, "write", full)


def test_a_record_that_cannot_be_stored_is_an_error_and_its_training_is_kept(
    here, undisturbed, monkeypatch
):
    with monkeypatch.context() as patched:
        unwritable(here, SHORT[0], patched)
        with pytest.raises((RecordError, SweepError), match="No space left"):
            train_missing(SHORT[:1], here)
    assert here.find(SHORT[0]) is None
    assert epochs_of(here.directory / ".checkpoints" / f"{SHORT[0].key}.pt") == 2
    train_missing(SHORT[:1], here)
    assert exact(here.find(SHORT[0])) == undisturbed[SHORT[0].key]


def test_a_record_that_cannot_be_stored_does_not_lose_the_others(here, monkeypatch):
    unwritable(here, SHORT[0], monkeypatch)
    try:
        with pytest.raises(SweepError, match="No space left"):
            train_missing(SHORT, here, workers=1)
        assert all(here.find(of) is not None for of in SHORT[1:])
    finally:
        for worker in multiprocessing.active_children():
            worker.join()


def test_a_ledger_that_cannot_be_written_is_an_error_before_training(tmp_path, no_training):
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(SweepError, match=rf"cannot write to {tmp_path}/file/here: .*writable"):
        train_missing(SHORT, Ledger(tmp_path / "file" / "here"))


def test_a_missing_data_set_is_an_error_before_training(here, monkeypatch, no_training):
    def gone(name: str, split: str) -> None:
        raise data.DataError(f"{name} is nowhere")

    monkeypatch.setattr(data, "load", gone)
    with pytest.raises(data.DataError, match="digits is nowhere"):
        train_missing(SHORT, here)


# ---------------------------------------------------------------------------------------- progress


def test_nothing_is_printed_to_stderr_when_nobody_watches(here, capfd):
    train_missing(SHORT, here, workers=2)
    said = capfd.readouterr()
    assert said.err == ""
    lines = sorted(said.out.splitlines())
    assert lines == [
        "trained digits, mlp, CE, seed 0",
        "trained digits, mlp, CE, seed 1",
        "trained digits, mlp, MAE, seed 0",
    ]
    train_missing(SHORT, here, workers=2)
    assert capfd.readouterr() == ("", ""), "a replay says nothing at all"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_counts_the_epochs_where_somebody_watches(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with sweep.Progress([run(epochs=4), run(epochs=6, seed=1)]) as progress:
        progress.update(run(epochs=4), 3)  # resumed: its first message is epoch 3
        progress.update(run(epochs=4), 4)
        progress.update(run(epochs=6, seed=1), 1)
        assert (progress.bar.n, progress.bar.total) == (5, 10)
    assert "epoch" in sys.stderr.getvalue()
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------------------ command line


def test_the_command_line_trains_a_grid_once(tmp_path, capsys):
    command = [sys.executable, "-m", "labelnoise.runs.sweep", "smoke", "--into", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "2 runs trained, 0 were already recorded"
    book = Ledger(tmp_path)
    assert all(book.find(of) is not None for of in experiments.smoke())
    sweep.main(["smoke", "--into", str(tmp_path)])
    assert capsys.readouterr().out == "0 runs trained, 2 were already recorded\n"


def test_the_command_line_keeps_to_the_seeds_asked_for(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(sweep, "train_missing", lambda runs, *_, **__: asked.extend(runs) or 0)
    sweep.main(["parity", "--seeds", "2", "0", "--into", str(tmp_path)])
    assert {of.seed for of in asked} == {0, 2}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--seeds", "0", "-1"], "no run of these grids has the seed -1; their seeds are 0"),
        (["--seeds", "77"], "no run of these grids has the seed 77"),
        (["--into", ""], "argument --into: it is empty; name a folder"),
    ],
)
def test_what_would_train_nothing_or_anywhere_is_refused(wrong, why, no_training, capsys):
    with pytest.raises(SystemExit) as ended:
        sweep.main(["smoke", *wrong])
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


def test_ctrl_c_is_two_lines_that_say_how_to_resume(tmp_path, monkeypatch, capsys):
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "train_missing", interrupt)
    assert sweep.main(["smoke", "--into", str(tmp_path)]) == 130
    said = capsys.readouterr().err.split("\n")
    assert said[0] == ""  # ends the line of a bar, and of ^C
    assert said[1].startswith("interrupted: what was finished is recorded")
    assert said[2:] == ["run again to resume", ""]


class AtOnce:
    """An executor whose runs are trained at once, but for one that dies and leaves half a file."""

    def __init__(self, dies: Run | None = None):
        self.out, self.dies = [], dies

    def room(self) -> int:
        return 2

    def start(self, of: Run, lock: object, checkpoint: Path) -> None:
        self.out.append(of)
        if of == self.dies:
            checkpoint.with_name(f"{checkpoint.name}.77.partial").touch()

    def poll(self, timeout: float):
        while self.out:
            of = self.out.pop()
            made = {"config": of.config, "result": {"diverged_at": None}, "curves": {}}
            yield of, *(("failed", "it died") if of == self.dies
                        else ("record", {**made, "provenance": {}}))  # fmt: skip

    def stop(self) -> None:
        pass


def test_a_sweep_does_not_look_through_all_files_for_every_run(here, monkeypatch):
    looks = []
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, *how: looks.append(how) or glob(self, *how))
    monkeypatch.setitem(sweep.EXECUTORS, "local", lambda todo, workers: AtOnce())
    runs = [run(seed=seed) for seed in range(20)]
    assert train_missing(runs, here) == 20
    for of in runs:  # as kills left them
        (here.directory / ".checkpoints" / f"{of.key}.pt").touch()
    assert train_missing(runs, here) == 0
    assert list((here.directory / ".checkpoints").iterdir()) == []
    assert len(looks) < 10


def test_what_a_dead_or_interrupted_worker_left_half_written_is_removed(here, monkeypatch):
    monkeypatch.setitem(sweep.EXECUTORS, "local", lambda todo, workers: AtOnce(dies=SHORT[1]))
    with pytest.raises(SweepError, match="it died"):
        train_missing(SHORT, here)
    assert list((here.directory / ".checkpoints").iterdir()) == []

    def interrupt(self: AtOnce, timeout: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(AtOnce, "poll", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_missing(SHORT, here)
    assert list((here.directory / ".checkpoints").iterdir()) == []


def test_a_file_in_the_place_of_the_checkpoints_is_named_and_records_are_still_read(
    here, monkeypatch
):
    monkeypatch.setitem(sweep.EXECUTORS, "local", lambda todo, workers: AtOnce())
    train_missing(SHORT[:1], here)
    (here.directory / ".checkpoints").rmdir()
    (here.directory / ".checkpoints").touch()
    assert train_missing(SHORT[:1], here) == 0
    with pytest.raises(SweepError, match=rf"cannot write to {here.directory}: .*\.checkpoints"):
        train_missing(SHORT, here)


def test_a_damaged_record_that_cannot_be_moved_aside_is_named(here, monkeypatch):
    def closed(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    here.path(SHORT[0]).mkdir(parents=True)
    monkeypatch.setattr(Path, "replace", closed)
    with pytest.raises(RecordError, match=rf"{SHORT[0].key}.json cannot be moved aside: .*denied"):
        missing(SHORT, here)


def test_a_tmpdir_too_long_for_sockets_is_refused_before_any_training(here, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/" + "t" * 90)
    with pytest.raises(ValueError, match=r"TMPDIR=/ttt.* is too long.*set TMPDIR to a shorter one"):
        train_missing(SHORT, here)
    assert list(here.records()) == []


@pytest.mark.parametrize(
    ("wrong", "known"), [(["everything"], "headline"), (["smoke", "--executor", "slurm"], "ray")]
)
def test_the_command_line_names_what_it_knows(wrong, known, capsys):
    with pytest.raises(SystemExit):
        sweep.main(wrong)
    said = capsys.readouterr().err
    assert wrong[-1] in said
    assert known in said


def test_the_command_line_says_what_failed_without_a_traceback(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert sweep.main(["smoke", "--into", str(tmp_path / "file")]) == 1
    assert "error: cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_at_all_is_refused_at_once(workers, here):
    with pytest.raises(ValueError, match=rf"workers={workers} must be at least 1"):
        sweep.train_missing(experiments.smoke(), here, workers=workers)


def test_a_record_names_the_commit_that_the_workers_loaded(here, monkeypatch):
    monkeypatch.setattr(workers, "commit", lambda: "before")
    sweep.train_missing(experiments.smoke()[:1], here)
    assert here.find(experiments.smoke()[0])["provenance"]["commit"] == "before"


def test_the_command_line_trains_where_it_is_told(tmp_path, monkeypatch):
    asked = []

    def train_missing(runs: list[Run], ledger: Ledger, **options: object) -> int:
        asked.append(options)
        return len(runs)

    monkeypatch.setattr(sweep, "train_missing", train_missing)
    sweep.main(["smoke", "--into", str(tmp_path), "--executor", "ray", "--workers", "3"])
    assert asked == [{"workers": 3, "executor": "ray"}]


def test_no_more_cores_are_used_than_allowed(monkeypatch):
    assert 1 <= workers.available_cores() <= os.cpu_count()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 5, 7}, raising=False)
    assert workers.available_cores() == 3


def test_a_gpu_has_one_run_at_a_time_unless_more_are_asked_for(monkeypatch):
    monkeypatch.setattr(workers, "available_cores", lambda: 2)
    for cuda, limit in ((False, 2), (True, 1)):
        monkeypatch.setattr(workers.torch.cuda, "is_available", lambda found=cuda: found)
        assert workers.Workers([]).limit == limit
        assert workers.Workers([], 4).limit == 4
