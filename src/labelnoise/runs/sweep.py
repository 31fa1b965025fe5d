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
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from labelnoise import data
from labelnoise.experiments import GRIDS, Run, profile_runs
from labelnoise.files import COMMITTED, REPRODUCED, ROOT, Lock, own_temporaries
from labelnoise.runs.checkpoints import Checkpoints
from labelnoise.runs.cluster import Cluster, ClusterError
from labelnoise.runs.ledger import Ledger, RecordError
from labelnoise.runs.progress import Progress, interrupted
from labelnoise.runs.workers import Workers, at_least_one
from labelnoise.tracing.origin import remembered
from labelnoise.training.machine import precision

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
            try:
                with contextlib.suppress(FileNotFoundError):  # another sweep has just moved it
                    path.replace(next(free for free in aside if not free.exists()))
            except OSError as error:
                raise RecordError(
                    f"damaged record {path} cannot be moved aside: {error}; make its folder "
                    "writable, or move it away yourself"
                ) from error
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
    todo, checkpoints = missing(runs, ledger), Checkpoints(ledger)
    lacking = {run.key for run in todo}
    checkpoints.clean_recorded([run for run in runs if run.key not in lacking])
    trained = 0
    if todo:
        try:
            checkpoints.make_folders(todo)
        except OSError as error:
            raise SweepError(
                f"cannot write to {ledger.directory}: {error}; choose a place that is "
                "writable and has space"
            ) from error
        try:
            place = EXECUTORS[executor](todo, workers)
        except ClusterError as error:
            raise SweepError(str(error)) from error
        trained = run_side_by_side(todo, checkpoints, place)
    checkpoints.clean_shared(runs)
    return trained


def run_side_by_side(
    todo: Sequence[Run], checkpoints: Checkpoints, executor: Workers | Cluster
) -> int:
    """Trains ``todo``, as many at a time as ``executor`` has room for; returns how many runs it
    trained. ``SweepError``, at its end, if some failed."""
    with Progress(todo) as progress:
        under_way = UnderWay(todo, checkpoints, executor, progress)
        try:
            while not under_way.finished():
                under_way.launch()
                under_way.collect()
        finally:
            under_way.stop()
    if under_way.failures:
        reasons = "\n".join(
            f"- {run.label}, seed {run.seed} ({run.key}): {why}" for run, why in under_way.failures
        )
        raise SweepError(
            f"{len(under_way.failures)} of {len(todo)} runs failed; the others are recorded. "
            f"Run again to resume them.\n{reasons}"
        )
    return under_way.trained


class UnderWay:
    """Runs on their way to a record: ``waiting`` ones, those whose ``locks`` are held because they
    train here, how many are ``trained``, and the ``failures`` with reasons."""

    def __init__(
        self,
        todo: Sequence[Run],
        checkpoints: Checkpoints,
        executor: Workers | Cluster,
        progress: Progress,
    ):
        self.checkpoints, self.ledger = checkpoints, checkpoints.ledger
        self.executor, self.progress = executor, progress
        self.runs = {run.key: run for run in todo}
        self.waiting = dict(self.runs)
        self.locks: dict[str, Lock] = {}
        self.trained = 0
        self.failures: list[tuple[Run, str]] = []

    def finished(self) -> bool:
        return not self.waiting and not self.locks

    def launch(self) -> None:
        """Hands over what there is room for; a run that another sweep is training waits on, and
        one that it has recorded is done."""
        room = self.executor.room()
        for run in list(self.waiting.values()):
            if len(self.locks) >= room:
                break
            try:
                left = self.checkpoints.was_left(run)
                if (lock := self.checkpoints.lock(run)) is None:
                    continue
                self.locks[run.key] = lock
                self.checkpoints.clean(run, half_written=left)
                if self.ledger.find(run) is None:
                    self.executor.start(run, lock, self.checkpoints.path(run))
                else:
                    self.release(run)
                    self.progress.elsewhere(run)
            except (OSError, RecordError) as error:
                self.release(run)
                self.failures.append((run, f"{type(error).__name__}: {error}"))
            del self.waiting[run.key]
        if self.waiting and not self.locks:
            self.progress.wait_for(list(self.waiting.values()), self.checkpoints.folder)

    def collect(self) -> None:
        """Keeps what comes back within a moment: records, and reasons for failures."""
        for run, kind, content in self.executor.poll(timeout=LOOK_AGAIN):
            if kind == "epoch":
                self.progress.update(run, content)
                continue
            why = content if kind == "failed" else self.store(run, content)
            self.release(run, half_written=why is not None)
            if why is None:
                self.trained += 1
                self.progress.finish(run, content)
            else:
                self.failures.append((run, why))

    def store(self, run: Run, record: dict) -> str | None:
        """Writes the record, or says why it could not: the checkpoint, which has it all, then
        stays."""
        try:
            self.ledger.write(record)
            self.checkpoints.clean(run, half_written=False)
        except (RecordError, OSError) as error:
            return str(error)
        return None

    def release(self, run: Run, half_written: bool = False) -> None:
        """Lets go of the lock, and before it removes what a worker that died left half-written."""
        if lock := self.locks.pop(run.key, None):
            if half_written:
                with contextlib.suppress(OSError):
                    self.checkpoints.clean(run)
            lock.release()

    def stop(self) -> None:
        """After an interrupt, too: whoever sweeps next, also in this process, must find the runs
        free."""
        self.executor.stop()
        for key in list(self.locks):
            self.release(self.runs[key], half_written=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains whole grids: how the committed evidence is made. 1 if a run failed or cannot begin,
    130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="labelnoise.runs.sweep", description=main.__doc__)
    parser.add_argument("grids", nargs="+", choices=GRIDS, help="grids of experiments, in order")
    parser.add_argument("--seeds", type=int, nargs="+", help="only runs of these seeds")
    parser.add_argument(
        "--into", type=named, default=REPRODUCED / "results", help="ledger directory"
    )
    parser.add_argument(
        "--workers", type=at_least_one, help="runs at a time (default: all that fit)"
    )
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="where they train")
    chosen = parser.parse_args(arguments)
    runs = [run for name in chosen.grids for run in GRIDS[name]()]
    known = {run.seed for run in runs}
    if unknown := set(chosen.seeds or ()) - known:
        parser.error(f"--seeds: no run of these grids has the seed {min(unknown)}; "
                     f"their seeds are {', '.join(map(str, sorted(known)))}")  # fmt: skip
    runs = [run for run in runs if chosen.seeds is None or run.seed in chosen.seeds]
    try:
        trained = train_missing(
            runs, Ledger(chosen.into), workers=chosen.workers, executor=chosen.executor
        )
    except KeyboardInterrupt as error:
        return interrupted(error, "run again to resume")
    except (ValueError, data.DataError, RecordError, SweepError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{trained} runs trained, {len({r.key for r in runs}) - trained} were already recorded")
    return 0


def named(text: str) -> Path:
    """The folder that a command line names."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; name a folder")
    return Path(text)


if __name__ == "__main__":
    own_temporaries()
    sys.exit(main())
