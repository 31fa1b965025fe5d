"""Many runs: what is missing is trained, several side by side; the rest is read.

``sweep(runs, profile)`` is the only way in which notebooks get records. The runs that belong to
the profile are trained on this machine (once: they are kept in ``reproduced/results``); all others
are replayed from the committed ``results``. A run that neither ledger has is left out, and the
tables name it as missing.

A sweep that is killed costs at most one epoch of each run that was training here: the next one
resumes from their checkpoints. Sweeps that share a ledger share the work: each run is trained by
one of them, and the others pick up its record.
"""

import argparse
import contextlib
import errno
import itertools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from labelnoise import data
from labelnoise.experiments import GRIDS, Run, profile_runs
from labelnoise.files import COMMITTED, REPRODUCED, ROOT, Lock, take
from labelnoise.runs.cluster import Cluster, ClusterError
from labelnoise.runs.ledger import Ledger, RecordError
from labelnoise.runs.progress import Progress
from labelnoise.runs.workers import Workers, at_least_one
from labelnoise.tracing.origin import remembered
from labelnoise.training.machine import precision
from labelnoise.training.methods import SHARED, first_training

EXECUTORS = {"local": Workers, "ray": Cluster}
"""Where runs train: in processes of this machine, or on the nodes of a Ray cluster."""

LOOK_AGAIN = 0.5  # seconds between two looks at the runs that another sweep is training


class SweepError(RuntimeError):
    """Runs that failed, each with its reason; the finished ones are kept."""


@dataclass(frozen=True)
class Outcome:
    """A record and where it was made: ``here`` (trained on this machine) or ``committed``.

    Numbers that are read from ``record`` remember their place in it (see ``origin``); ``ledger`` is
    where it lies, from the repository's root.
    """

    run: Run
    record: dict
    source: str
    ledger: str = ""

    def __post_init__(self):
        usual = {"committed": COMMITTED, "here": REPRODUCED / "results"}
        object.__setattr__(self, "ledger", self.ledger or place(usual[self.source]))
        object.__setattr__(self, "record", remembered(self.record, self.origin))

    @property
    def origin(self) -> dict:
        """The record as a whole, as ``origin.expression`` tells it."""
        return {"record": f"{self.run.dataset}/{self.run.key}", "ledger": self.ledger}

    @property
    def last(self) -> float | None:
        """The headline metric: clean test accuracy after the last epoch, in percent."""
        return self.record["result"]["last"]


def place(directory: Path) -> str:
    """A directory as seen from the repository's root, where it lies below that."""
    below = directory.is_relative_to(ROOT)
    return (directory.relative_to(ROOT) if below else directory).as_posix()


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
            outcomes.append(Outcome(run, record, source, place(ledger.directory)))
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


def train_missing(
    runs: Sequence[Run], ledger: Ledger, *, workers: int | None = None, executor: str = "local"
) -> int:
    """Trains what ``ledger`` lacks of ``runs`` and returns how many that were; what another sweep
    trains meanwhile is waited for and not counted.

    - ``executor``: a name of ``EXECUTORS``.
    - ``workers``: how many runs train at a time; by default the executor decides.

    Every other run is finished before a failure is reported.
    """
    if executor not in EXECUTORS:
        raise ValueError(f"executor {executor!r} is unknown; known: {', '.join(EXECUTORS)}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers} must be at least 1, or None for as many as fit")
    precision(torch.device("cpu"))  # a misspelt one is refused here, not by every worker
    todo = missing(runs, ledger)
    checkpoints = ledger.directory / ".checkpoints"
    tidy([run for run in runs if run.key not in {of.key for of in todo}], ledger, checkpoints)
    if not todo:
        remove_shared(runs, checkpoints)
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
    try:
        place = EXECUTORS[executor](todo, workers)
    except ClusterError as error:
        raise SweepError(str(error)) from error
    trained, failures = run_side_by_side(todo, ledger, checkpoints, place)
    if failures:
        reasons = "\n".join(
            f"- {run.label}, seed {run.seed} ({run.key}): {why}" for run, why in failures
        )
        raise SweepError(
            f"{len(failures)} of {len(todo)} runs failed; the others are recorded. "
            f"Run again to resume them.\n{reasons}"
        )
    remove_shared(runs, checkpoints)
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
    """Removes what was half-written for ``run``, whose lock must be held, and its checkpoints once
    it is recorded."""
    stale = [*checkpoints.glob(f"{run.key}.*.partial")]
    stale += ledger.path(run).parent.glob(f".{run.key}.*")
    if ledger.path(run).exists():
        stale += [checkpoints / f"{run.key}.pt", *checkpoints.glob(f"{run.key}.[0-9]*.pt")]
    for path in stale:
        path.unlink(missing_ok=True)


def remove_shared(recorded: Sequence[Run], checkpoints: Path) -> None:
    """Removes the trainings that runs began with, all of which are recorded. A half-written one
    stays while some run is under way, which may be writing it."""
    left = {path.name.partition(".")[0] for path in checkpoints.glob(f"*{SHARED}.*")}
    endings = ("pt",) if any(checkpoints.glob("*.lock")) else ("pt", "*.partial")
    for run in recorded if left else ():
        if run.warm_start and (key := first_training(run).key) in left:
            for ending in endings:
                for path in checkpoints.glob(f"{key}{SHARED}.{ending}"):
                    path.unlink(missing_ok=True)


def run_side_by_side(
    todo: Sequence[Run], ledger: Ledger, checkpoints: Path, executor: Workers | Cluster
) -> tuple[int, list[tuple[Run, str]]]:
    """Trains ``todo``, as many at a time as ``executor`` has room for; returns how many runs it
    trained, and the failures with reasons. Runs that another sweep is training come last."""
    waiting, locks, trained, failures = list(todo), {}, 0, []
    with Progress(todo) as progress:
        try:
            while waiting or locks:
                room = executor.room()
                for run in waiting[:]:
                    if len(locks) >= room:
                        break
                    try:
                        if (lock := take(checkpoints / f"{run.key}.lock")) is None:
                            continue  # another sweep trains it
                        waiting.remove(run)
                        if start(run, lock, ledger, checkpoints, executor):
                            locks[run.key] = lock
                        else:
                            progress.elsewhere(run)
                    except (OSError, RecordError) as error:
                        failures.append((run, f"{type(error).__name__}: {error}"))
                        waiting = [other for other in waiting if other is not run]
                if waiting and not locks:
                    progress.wait_for(waiting, checkpoints)
                for run, kind, content in executor.hear(timeout=LOOK_AGAIN):
                    if kind == "epoch":
                        progress.update(run, content)
                        continue
                    why = content if kind == "failed" else store(content, run, ledger, checkpoints)
                    locks.pop(run.key).release()
                    if why is None:
                        trained += 1
                        progress.finish(run, content)
                    else:
                        failures.append((run, why))
        finally:  # an interrupt: whoever sweeps next, in this process too, must find the runs free
            executor.stop()
            for lock in locks.values():
                lock.release()
    return trained, failures


def start(
    run: Run, lock: Lock, ledger: Ledger, checkpoints: Path, executor: Workers | Cluster
) -> bool:
    """Hands ``run`` to ``executor``; False if another sweep has recorded it, whose lock is then
    released."""
    try:
        remove_leftovers(run, ledger, checkpoints)
        if ledger.find(run) is not None:
            lock.release()
            return False
        executor.start(run, lock, checkpoints / f"{run.key}.pt")
    except BaseException:
        lock.release()
        raise
    return True


def store(record: dict, run: Run, ledger: Ledger, checkpoints: Path) -> str | None:
    """Writes the record, or says why it could not: the checkpoint, which has it all, then stays."""
    try:
        ledger.write(record)
        remove_leftovers(run, ledger, checkpoints)
    except (RecordError, OSError) as error:
        return str(error)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains whole grids: how the committed evidence is made. 1 if a run failed or cannot begin."""
    parser = argparse.ArgumentParser(prog="labelnoise.runs.sweep", description=main.__doc__)
    parser.add_argument("grids", nargs="+", choices=GRIDS, help="grids of experiments, in order")
    parser.add_argument("--seeds", type=int, nargs="+", help="only runs of these seeds")
    parser.add_argument(
        "--into", type=Path, default=REPRODUCED / "results", help="ledger directory"
    )
    parser.add_argument(
        "--workers", type=at_least_one, help="runs at a time (default: all that fit)"
    )
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="where they train")
    chosen = parser.parse_args(arguments)
    runs = [run for name in chosen.grids for run in GRIDS[name]()]
    runs = [run for run in runs if chosen.seeds is None or run.seed in chosen.seeds]
    try:
        trained = train_missing(
            runs, Ledger(chosen.into), workers=chosen.workers, executor=chosen.executor
        )
    except (ValueError, data.DataError, RecordError, SweepError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{trained} runs trained, {len({r.key for r in runs}) - trained} were already recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
