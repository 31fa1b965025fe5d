"""Many runs: what is missing is trained, several side by side; the rest is read.

``sweep(runs, profile)`` is the only way in which notebooks get records. The runs that belong to
the profile are trained on this machine (once: they are kept in ``reproduced/results``); all others
are replayed from the committed ``results``. A run that neither ledger has is left out, and the
tables name it as missing.

On a CPU every run has one process and one thread, so that as many run side by side as there are
cores and none can disturb another. A process that is killed costs at most one epoch: the next
sweep resumes from the run's checkpoint. Sweeps that share a ledger share the work: each run is
trained by one of them, and the others pick up its record.
"""

import argparse
import contextlib
import errno
import itertools
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from tqdm import tqdm

from labelnoise import data
from labelnoise.experiments import GRIDS, Run, profile_runs
from labelnoise.ledger import COMMITTED, REPRODUCED, Ledger, RecordError
from labelnoise.locks import Lock, take
from labelnoise.machine import precision
from labelnoise.stages import train

LOOK_AGAIN = 0.5  # seconds between two looks at the runs that another sweep is training


class SweepError(RuntimeError):
    """Runs that failed, each with its reason; the finished ones are kept."""


@dataclass(frozen=True)
class Outcome:
    """A record and where it was made: ``here`` (trained on this machine) or ``committed``."""

    run: Run
    record: dict
    source: str

    @property
    def last(self) -> float | None:
        """The headline metric: clean test accuracy after the last epoch, in percent."""
        return self.record["result"]["last"]


def sweep(
    runs: Sequence[Run],
    profile: str = "replay",
    *,
    here: Ledger | None = None,
    committed: Ledger | None = None,
) -> list[Outcome]:
    """The outcomes of ``runs``, in their order, without those that are recorded nowhere.

    Raises ``ValueError`` for an unknown profile, ``RecordError`` for a damaged record and
    ``SweepError`` if a run of the profile could not be trained.
    """
    here = here or Ledger(REPRODUCED / "results")
    committed = committed or Ledger(COMMITTED)
    mine = {run.key for run in profile_runs(profile)}
    train_missing([run for run in runs if run.key in mine], here)
    outcomes = []
    for run in runs:
        ledger, source = (here, "here") if run.key in mine else (committed, "committed")
        if (record := ledger.find(run)) is not None:
            outcomes.append(Outcome(run, record, source))
    return outcomes


def missing(runs: Sequence[Run], ledger: Ledger) -> list[Run]:
    """The runs that ``ledger`` has no sound record of, each once. A damaged record counts as
    missing and is moved aside, never trusted and never deleted."""
    todo = {}
    for run in runs:
        try:
            if ledger.find(run) is None:
                todo[run.key] = run
        except RecordError:
            path = ledger.path(run)
            aside = (path.with_suffix(f".damaged{n or ''}") for n in itertools.count())
            with contextlib.suppress(FileNotFoundError):  # another sweep has just moved it
                path.replace(next(free for free in aside if not free.exists()))
            todo[run.key] = run
    return list(todo.values())


def train_missing(runs: Sequence[Run], ledger: Ledger, *, workers: int | None = None) -> int:
    """Trains what ``ledger`` lacks of ``runs`` and returns how many that were; what another sweep
    trains meanwhile is waited for and not counted.

    Every other run is finished before a failure is reported.
    """
    precision(torch.device("cpu"))  # a misspelt one is refused here, not by every worker
    todo = missing(runs, ledger)
    checkpoints = ledger.directory / ".checkpoints"
    tidy([run for run in runs if run.key not in {of.key for of in todo}], ledger, checkpoints)
    if not todo:
        return 0
    try:
        for folder in {checkpoints, *(ledger.path(run).parent for run in todo)}:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as error:
        raise SweepError(
            f"cannot write to {ledger.directory}: {error}; choose a place that is "
            "writable and has space"
        ) from error
    for name in {run.dataset for run in todo}:
        data.load(name, "train")  # fetched and verified once, before any worker starts
    workers = workers or (1 if torch.cuda.is_available() else available_cores())
    trained, failures = run_side_by_side(todo, ledger, checkpoints, min(workers, len(todo)))
    if failures:
        reasons = "\n".join(
            f"- {run.label}, seed {run.seed} ({run.key}): {why}" for run, why in failures
        )
        raise SweepError(
            f"{len(failures)} of {len(todo)} runs failed; the others are recorded. "
            f"Run again to resume them.\n{reasons}"
        )
    return trained


def tidy(recorded: Sequence[Run], ledger: Ledger, checkpoints: Path) -> None:
    """Removes what sweeps that were killed left beside the records of finished runs."""
    if checkpoints.exists():
        left = {path.name.partition(".")[0] for path in checkpoints.iterdir()}
        for run in recorded:
            with contextlib.suppress(OSError):  # it is in nobody's way
                if run.key in left and (lock := take(checkpoints / f"{run.key}.lock")):
                    remove_leftovers(run, ledger, checkpoints)
                    lock.release()


def remove_leftovers(run: Run, ledger: Ledger, checkpoints: Path) -> None:
    """Removes what was half-written for ``run``, whose lock must be held, and its checkpoint once
    it is recorded."""
    stale = [*checkpoints.glob(f"{run.key}.pt.*"), *ledger.path(run).parent.glob(f".{run.key}.*")]
    if ledger.path(run).exists():
        stale.append(checkpoints / f"{run.key}.pt")
    for path in stale:
        path.unlink(missing_ok=True)


def run_side_by_side(
    todo: Sequence[Run], ledger: Ledger, checkpoints: Path, workers: int
) -> tuple[int, list[tuple[Run, str]]]:
    """Trains ``todo`` with ``workers`` processes at a time; returns how many runs it trained, and
    the failures with reasons. Runs that another sweep is training come last."""
    keep_memory()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["labelnoise.stages"])  # torch is imported once, not per run
    waiting, running, trained, failures = list(todo), {}, 0, []
    with Progress(todo) as progress:
        try:
            while waiting or running:
                for run in waiting[:]:
                    if len(running) == workers:
                        break
                    try:
                        if (lock := take(checkpoints / f"{run.key}.lock")) is None:
                            continue  # another sweep trains it
                        waiting.remove(run)
                        if started := start(context, run, lock, ledger, checkpoints):
                            running[started[0]] = run, started[1], lock
                        else:
                            progress.elsewhere(run)
                    except (OSError, RecordError) as error:
                        failures.append((run, f"{type(error).__name__}: {error}"))
                        waiting = [other for other in waiting if other is not run]
                if waiting and not running:
                    progress.wait_for(waiting, checkpoints)
                for receiver in wait(list(running), timeout=LOOK_AGAIN):
                    run, worker, lock = running[receiver]
                    kind, content = hear(receiver, worker)
                    if kind == "epoch":
                        progress.update(run, content)
                        continue
                    del running[receiver]
                    worker.join()
                    why = content if kind == "failed" else store(content, run, ledger, checkpoints)
                    lock.release()
                    if why is None:
                        trained += 1
                        progress.finish(run, content)
                    else:
                        failures.append((run, why))
        finally:  # an interrupt: whoever sweeps next, in this process too, must find the runs free
            for _, worker, lock in running.values():
                worker.terminate()
                worker.join()
                lock.release()
    return trained, failures


def start(
    context: BaseContext, run: Run, lock: Lock, ledger: Ledger, checkpoints: Path
) -> tuple[Connection, BaseProcess] | None:
    """Starts the worker of ``run`` and returns its messages and itself; None if another sweep has
    recorded the run, whose lock is then released."""
    try:
        remove_leftovers(run, ledger, checkpoints)
        if ledger.find(run) is not None:
            lock.release()
            return None
        receiver, sender = context.Pipe(duplex=False)
        arguments = run, checkpoints / f"{run.key}.pt", sender, lock
        worker = context.Process(target=work, args=arguments, daemon=True)
        worker.start()
        sender.close()
    except BaseException:
        lock.release()
        raise
    return receiver, worker


def store(record: dict, run: Run, ledger: Ledger, checkpoints: Path) -> str | None:
    """Writes the record, or says why it could not: the checkpoint, which has it all, then stays."""
    try:
        ledger.write(record)
        remove_leftovers(run, ledger, checkpoints)
    except (RecordError, OSError) as error:
        return str(error)
    return None


def hear(receiver: Connection, worker: BaseProcess) -> tuple[str, object]:
    """The next message of a worker, or ``failed`` with the way in which it died."""
    try:
        return receiver.recv()
    except (EOFError, OSError):  # without a word, or in the middle of one
        worker.join()
        why = f"its process died (exit code {worker.exitcode})"
        if worker.exitcode == -signal.SIGKILL:
            why += ": somebody killed it, or the system did because memory ran out"
        return "failed", why


def work(run: Run, checkpoint: Path, sender: Connection, lock: Lock) -> None:
    """One run in its own process; says ``epoch`` as it goes, then ``record`` or ``failed``. It
    shares ``lock``, so that nobody else trains the run while it is still there."""
    parent = os.getppid()

    def on_epoch(epoch: int) -> None:
        if os.getppid() != parent:  # the sweep was killed: leave the run to the next one
            sys.exit(1)
        sender.send(("epoch", epoch))

    try:
        sender.send(("record", train(run, checkpoint=checkpoint, on_epoch=on_epoch)))
    except BrokenPipeError:  # nobody listens any more: the sweep was killed
        sys.exit(1)
    except Exception as error:
        sender.send(("failed", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"))


class Progress:
    """A bar over epochs with an ETA where somebody watches, a line per run where nobody does."""

    def __init__(self, runs: Sequence[Run]):
        self.done: dict[str, int] = {}
        self.watched = sys.stderr.isatty()
        self.waits = False
        total = sum(run.epochs for run in runs)
        self.bar = tqdm(total=total, unit="epoch", disable=not self.watched, smoothing=0.05)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def update(self, run: Run, epoch: int) -> None:
        self.bar.update(epoch - self.done.get(run.key, 0))
        self.done[run.key] = epoch

    def finish(self, run: Run, record: dict) -> None:
        """The record is stored."""
        self.complete(run)
        if (epoch := record["result"]["diverged_at"]) is not None:
            self.say(f"diverged at epoch {epoch}: {describe(run)}")
        elif not self.watched:
            self.say(f"trained {describe(run)}")

    def elsewhere(self, run: Run) -> None:
        """Another sweep stored the record."""
        self.complete(run)
        if not self.watched:
            self.say(f"another sweep trained {describe(run)}")

    def complete(self, run: Run) -> None:
        """No epoch of the run is to come: it is done, diverged, or was trained elsewhere."""
        self.bar.update(run.epochs - self.done.get(run.key, 0))
        self.done[run.key] = run.epochs

    def wait_for(self, runs: Sequence[Run], checkpoints: Path) -> None:
        if not self.waits:
            self.say(f"waiting for {len(runs)} runs that another sweep is training: it holds their "
                     f"locks in {checkpoints}")  # fmt: skip
        self.waits = True

    def say(self, line: str) -> None:
        tqdm.write(line)
        sys.stdout.flush()


def describe(run: Run) -> str:
    return f"{run.dataset}, {run.model}, {run.label}, seed {run.seed}"


def available_cores() -> int:
    """The cores that this process may use (a container may have fewer than the machine)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_memory() -> None:
    """Lets the workers' C library keep freed memory. Handing megabytes back to the system after
    every layer, and clearing them again for the next, takes a fifth of a step of the CNN."""
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 * 2**20))
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains whole grids: how the committed evidence is made."""
    parser = argparse.ArgumentParser(prog="labelnoise.sweep", description=main.__doc__)
    parser.add_argument("grids", nargs="+", choices=GRIDS, help="grids of experiments.py, in order")
    parser.add_argument("--seeds", type=int, nargs="+", help="only runs of these seeds")
    parser.add_argument(
        "--into", type=Path, default=REPRODUCED / "results", help="ledger directory"
    )
    parser.add_argument("--workers", type=int, help="processes side by side (default: the cores)")
    chosen = parser.parse_args(arguments)
    runs = [run for name in chosen.grids for run in GRIDS[name]()]
    runs = [run for run in runs if chosen.seeds is None or run.seed in chosen.seeds]
    trained = train_missing(runs, Ledger(chosen.into), workers=chosen.workers)
    print(f"{trained} runs trained, {len({r.key for r in runs}) - trained} were already recorded")


if __name__ == "__main__":
    main()
