"""Many runs: what is missing is trained, several side by side; the rest is read.

``sweep(runs, profile)`` is the only way in which notebooks get records. The runs that belong to
the profile are trained on this machine (once: they are kept in ``reproduced/results``); all others
are replayed from the committed ``results``. A run that neither ledger has is left out, and the
tables name it as missing.

On a CPU every run has one process and one thread, so that as many run side by side as there are
cores and none can disturb another. A process that is killed costs at most one epoch: the next
sweep resumes from the run's checkpoint.
"""

import argparse
import itertools
import multiprocessing
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch
from tqdm import tqdm

from labelnoise import data
from labelnoise.experiments import GRIDS, Run, profile_runs
from labelnoise.ledger import COMMITTED, REPRODUCED, Ledger, RecordError
from labelnoise.train import train


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
            path.replace(next(free for free in aside if not free.exists()))
            todo[run.key] = run
    return list(todo.values())


def train_missing(runs: Sequence[Run], ledger: Ledger, *, workers: int | None = None) -> int:
    """Trains what ``ledger`` lacks of ``runs`` and returns how many that were.

    Every other run is finished before a failure is reported.
    """
    todo = missing(runs, ledger)
    if not todo:
        return 0
    checkpoints = ledger.directory / ".checkpoints"
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweepError(
            f"cannot write to {ledger.directory}: {error}; choose a place that is "
            "writable and has space"
        ) from error
    for name in {run.dataset for run in todo}:
        data.load(name, "train")  # fetched and verified once, before any worker starts
    workers = workers or (1 if torch.cuda.is_available() else available_cores())
    failures = run_side_by_side(todo, ledger, checkpoints, min(workers, len(todo)))
    if failures:
        reasons = "\n".join(
            f"- {run.label}, seed {run.seed} ({run.key}): {why}" for run, why in failures
        )
        raise SweepError(
            f"{len(failures)} of {len(todo)} runs failed; the others are recorded. "
            f"Run again to resume them.\n{reasons}"
        )
    return len(todo)


def run_side_by_side(
    todo: Sequence[Run], ledger: Ledger, checkpoints: Path, workers: int
) -> list[tuple[Run, str]]:
    """Trains ``todo`` with ``workers`` processes at a time; returns the failures with reasons."""
    keep_memory()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["labelnoise.train"])  # torch is imported once, not per run
    waiting, running, failures = list(todo), {}, []
    with Progress(todo) as progress:
        while waiting or running:
            while waiting and len(running) < workers:
                run = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                checkpoint = checkpoints / f"{run.key}.pt"
                worker = context.Process(target=work, args=(run, checkpoint, sender), daemon=True)
                worker.start()
                sender.close()
                running[receiver] = run, worker
            for receiver in wait(list(running)):
                run, worker = running[receiver]
                try:
                    kind, content = receiver.recv()
                except EOFError:  # the worker died without a word
                    worker.join()
                    kind, content = "failed", f"its process died (exit code {worker.exitcode})"
                if kind == "epoch":
                    progress.update(run, content)
                    continue
                del running[receiver]
                worker.join()
                if kind == "record":
                    try:
                        ledger.write(content)
                        (checkpoints / f"{run.key}.pt").unlink(missing_ok=True)
                    except RecordError as error:  # the checkpoint stays: nothing is trained twice
                        kind, content = "failed", str(error)
                if kind == "failed":
                    failures.append((run, content))
    return failures


def work(run: Run, checkpoint: Path, sender: Connection) -> None:
    """One run in its own process; says ``epoch`` as it goes, then ``record`` or ``failed``."""
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
        total = sum(run.protocol["epochs"] for run in runs)
        self.bar = tqdm(total=total, unit="epoch", disable=not self.watched, smoothing=0.05)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def update(self, run: Run, epoch: int) -> None:
        self.bar.update(epoch - self.done.get(run.key, 0))
        self.done[run.key] = epoch
        if not self.watched and epoch == run.protocol["epochs"]:
            print(f"trained {run.dataset}, {run.model}, {run.label}, seed {run.seed}", flush=True)


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
