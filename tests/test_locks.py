"""Sweeps that share a ledger share the work: no run is trained twice, and none is lost."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from labelnoise import files
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.runs import sweep
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import SweepError, missing, train_missing
from labelnoise.training.methods import train

pytestmark = [
    pytest.mark.usefixtures("workers_start_quickly"),
    pytest.mark.skipif(files.fcntl is None, reason="this system has no flock"),
]


def run(seed: int, epochs: int = 2) -> Run:
    setting = {"noise": noisy("symmetric", 0.6), "loss": {"name": "CE"}, "model": "mlp"}
    return Run("digits", **setting, protocol={**MNIST_PROTOCOL, "epochs": epochs}, seed=seed,
               subset=300)  # fmt: skip


SWEEP = """
    import json, sys
    from pathlib import Path
    import sklearn.datasets
    from labelnoise.experiments import Run
    from labelnoise.runs.ledger import Ledger
    from labelnoise.runs.sweep import train_missing
    runs = [Run(**config) for config in json.loads(sys.argv[2])]
    print("ready", flush=True)
    sys.stdin.readline()
    print(train_missing(runs, Ledger(Path(sys.argv[1])), workers=1), flush=True)
"""


FORKED = """
    import multiprocessing, torch._dynamo
    context = multiprocessing.get_context
    multiprocessing.get_context = lambda method: context("fork")
"""
"""Workers are forked from the sweep: seconds less than to start the server that forks them."""


def start_sweep(here: Ledger, *runs: Run, before: str = "") -> subprocess.Popen:
    """A sweep that has imported what it needs and waits for a line."""
    arguments = [str(here.directory), json.dumps([of.config for of in runs])]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(before) + textwrap.dedent(SWEEP), *arguments],
        start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def go(process: subprocess.Popen) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def exact(record: dict) -> str:
    return json.dumps({part: record[part] for part in ("config", "result", "curves")})


def wait_until(true: Callable[[], object], what: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.01)


def lock_of(here: Ledger, of: Run) -> Path:
    path = here.directory / ".checkpoints" / f"{of.key}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# ------------------------------------------------------------------------------- two real processes


def test_two_processes_train_each_run_once_and_both_get_all_records(here):
    runs = [run(seed, epochs=60) for seed in range(6)]
    both = [start_sweep(here, *runs, before=FORKED) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        go(process)
    said = [process.communicate(timeout=600)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    trained = [line for lines in said for line in lines if line.startswith("trained")]
    assert sorted(trained) == [f"trained digits, mlp, CE, seed {seed}" for seed in range(6)]
    assert sum(int(lines[-1]) for lines in said) == 6
    assert all(int(lines[-1]) > 0 for lines in said), "they shared the work"
    for of in runs:
        assert exact(here.find(of)) == exact(train(of, device="cpu"))
    assert list((here.directory / ".checkpoints").iterdir()) == []


def test_the_runs_of_a_sweep_that_is_killed_pass_to_the_other(here, capsys):
    """It resumes them, once the killed sweep's own worker has gone."""
    long = run(0, epochs=400)
    checkpoint = here.directory / ".checkpoints" / f"{long.key}.pt"
    with start_sweep(here, long) as process:
        process.stdout.readline()
        go(process)
        wait_until(checkpoint.exists, "the first epoch of the other sweep")
        os.killpg(process.pid, signal.SIGSTOP)  # or it might be done before this one has to wait
        epochs = []
        update, wait_for = sweep.Progress.update, sweep.Progress.wait_for

        def kill_and_wait_for(self: sweep.Progress, *arguments: object) -> None:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                os.killpg(process.pid, signal.SIGCONT)  # its worker goes on, and finds it gone
            wait_for(self, *arguments)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sweep.Progress, "wait_for", kill_and_wait_for)
            patched.setattr(
                sweep.Progress,
                "update",
                lambda self, of, n: epochs.append(n) or update(self, of, n),
            )
            assert train_missing([run(1), long], here, workers=1) == 2
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "trained digits, mlp, CE, seed 1", "the free run comes first"
    assert said[1].startswith("waiting for 1 runs that another sweep is training")
    assert 1 < epochs[2] < 400, "resumed, not begun again"
    assert exact(here.find(long)) == exact(train(long, device="cpu"))


# ------------------------------------------------------------------------------------ in one sweep


def test_what_another_sweep_records_meanwhile_is_picked_up(here, capsys):
    runs, record = [run(0), run(1)], train(run(0), device="cpu")
    lock = files.take(lock_of(here, runs[0]))

    def finish() -> None:
        wait_until(lambda: here.find(runs[1]), "the free run")
        here.write(record)
        lock.release()

    other = threading.Thread(target=finish)
    other.start()
    assert train_missing(runs, here, workers=2) == 1
    other.join()
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "trained digits, mlp, CE, seed 1"
    assert said[-1] == "another sweep trained digits, mlp, CE, seed 0"
    assert exact(here.find(runs[0])) == exact(record)
    assert list((here.directory / ".checkpoints").iterdir()) == []


def test_an_interrupted_sweep_holds_nothing_in_a_process_that_lives_on(here, monkeypatch):
    """Stopping a cell of a notebook does not end its process."""
    long = run(0, epochs=100_000)

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sweep.Progress, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_missing([long, run(1, epochs=100_000)], here, workers=2)
    assert multiprocessing.active_children() == []
    lock = files.take(lock_of(here, long))
    assert lock is not None
    lock.release()


def test_a_lock_that_cannot_be_made_names_the_run_and_does_not_lose_the_others(here):
    lock_of(here, run(0)).mkdir()
    with pytest.raises(SweepError, match=rf"1 of 2 runs .*\n.*{run(0).key}\): IsADirectoryError"):
        train_missing([run(0), run(1)], here)
    assert here.find(run(1)) is not None


def test_what_a_kill_left_beside_a_finished_record_is_removed(here):
    """A kill between the record and the removal of its checkpoint; one in the midst of each."""
    train_missing([run(0)], here)
    folder = here.directory / ".checkpoints"
    half = here.path(run(0)).parent / f".{run(0).key}.json.x"
    for path in (
        half,
        *(folder / f"{run(0).key}.{end}" for end in ("pt", "pt.77.partial", "lock")),
    ):
        path.write_text("left")
    others = folder / f"{run(1).key}.pt"
    others.write_text("of a run that is not done")
    assert train_missing([run(0)], here) == 0
    left = {path for path in here.directory.rglob("*") if path.is_file()}
    assert left == {here.path(run(0)), others}


def test_a_damaged_record_that_another_sweep_has_just_moved_aside_is_missing(here, monkeypatch):
    path = here.path(run(0))
    path.parent.mkdir(parents=True)
    path.write_text("{")
    replace = Path.replace

    def both(self: Path, target: Path) -> None:
        replace(self, target.with_suffix(".first"))
        replace(self, target)

    monkeypatch.setattr(Path, "replace", both)
    assert missing([run(0)], here) == [run(0)]


# --------------------------------------------------------------------------------- the lock itself


def test_a_lock_is_given_once_and_again_after_its_release(tmp_path):
    path = tmp_path / "x.lock"
    first = files.take(path)
    assert files.take(path) is None
    first.release()
    assert not path.exists()
    second = files.take(path)
    assert second is not None
    second.release()


def test_a_lock_file_that_a_crash_left_locks_nobody_out(tmp_path):
    (tmp_path / "x.lock").touch()
    assert files.take(tmp_path / "x.lock") is not None


def test_a_lock_on_a_file_that_was_just_removed_is_not_believed(tmp_path, monkeypatch):
    """Its holder lets go between our opening the file and our locking it."""
    path = tmp_path / "x.lock"
    holder, flock = files.take(path), files.fcntl.flock

    def late(handle: int, how: int) -> None:
        monkeypatch.undo()
        holder.release()
        flock(handle, how)

    monkeypatch.setattr(files.fcntl, "flock", late)
    lock = files.take(path)
    assert os.path.samestat(os.fstat(lock.handle), os.stat(path))
    assert files.take(path) is None


def test_temporary_files_of_a_killed_process_go_with_the_next(tmp_path, monkeypatch):
    """Those of one that lives stay, and so do folders of others."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(files, "LONGEST_TMPDIR", 1000)
    ended = []
    monkeypatch.setattr(files, "Finalize", lambda _, call, args, exitpriority: ended.append(args))
    killed, living, other = (tmp_path / name for name in
                             (f"{files.TEMPORARY}k", f"{files.TEMPORARY}l", "else-o"))  # fmt: skip
    for folder in (killed, living, other):
        (folder / "pymp-x").mkdir(parents=True)
        (folder / "lock").touch()
    held = files.take(living / "lock")
    files.own_temporaries()
    ours = Path(tempfile.gettempdir())
    assert ours.parent == tmp_path
    assert set(tmp_path.iterdir()) == {living, other, ours}
    assert ended == [(ours, True)]
    held.release()


def test_nothing_temporary_is_removed_where_locks_cannot_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(files, "LONGEST_TMPDIR", 1000)
    monkeypatch.setattr(files.fcntl, "flock", lambda handle, how: None)
    (tmp_path / f"{files.TEMPORARY}k").mkdir()
    (tmp_path / f"{files.TEMPORARY}k" / "lock").touch()
    files.own_temporaries()
    assert [path.name for path in tmp_path.iterdir()] == [f"{files.TEMPORARY}k"]
    assert tempfile.gettempdir() == str(tmp_path)


def hold(lock: files.Lock, connection) -> None:
    connection.send("held")
    connection.recv()


def test_a_process_that_was_given_the_lock_holds_it_until_it_is_gone(tmp_path):
    path = tmp_path / "x.lock"
    lock = files.take(path)
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("forkserver")
    worker = context.Process(target=hold, args=(lock, theirs))
    worker.start()
    assert ours.recv() == "held"
    os.close(lock.handle)  # as if the sweep had been killed
    assert files.take(path) is None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    assert files.take(path) is not None


def test_a_file_system_without_locks_still_trains(tmp_path, monkeypatch):
    def none(handle: int, how: int) -> None:
        raise OSError(files.NO_LOCKS[0], "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", none)
    assert files.take(tmp_path / "x.lock") is not None
    monkeypatch.setattr(files, "fcntl", None)
    assert files.take(tmp_path / "y.lock") is not None
