"""Trains the evidence that `results/` lacks, in the order of `experiments/queue.py`.

    python -m labelnoise.reproduce.evidence          # trains, at low priority, until all is there
    python -m labelnoise.reproduce.evidence --plan   # says what is left, in core-hours by grid
    python -m labelnoise.reproduce.evidence --hours  # what each profile trains, for docs/running.md

For maintainers. Records go into `results/` whole, one by one, and at the end, or when it is begun
again, into the manifest; a training that is stopped goes on where it was when the command is run
again from the same commit. Run it from a clone of its own, so that editing the source voids no
checkpoint.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from labelnoise import data
from labelnoise.analysis.rules.mnist_symmetric import fair_runs
from labelnoise.analysis.rules.tuning import extensions, tuned_runs
from labelnoise.config import Run
from labelnoise.experiments import PROFILES, profile_runs
from labelnoise.experiments.queue import queue
from labelnoise.files import COMMITTED, own_temporaries
from labelnoise.runs import manifest
from labelnoise.runs.ledger import Ledger, RecordError
from labelnoise.runs.manifest import ManifestError
from labelnoise.runs.progress import interrupted
from labelnoise.runs.sweep import SweepError, train_missing
from labelnoise.runs.workers import at_least_one
from labelnoise.training.machine import commit

LOWEST = 19  # the niceness of what should disturb nobody


def follow_ups() -> list[tuple[str, list[Run]]]:
    """What the records of other grids choose: nothing before these are whole."""
    return [
        ("the fair question", fair_runs()),
        ("tuning, beyond an edge", extensions()),
        ("tuned, on all labels", tuned_runs()),
    ]


def plan(entries: Sequence[tuple[str, Sequence[Run]]], ledger: Ledger) -> pd.DataFrame:
    """One row an entry of the queue that lacks records: how many there are, and the core-hours that
    are left, by the pace of the recorded runs; NaN where nothing like it is recorded."""
    pace = paces(ledger.records())
    rows = []
    for title, runs in entries:
        left = [run for run in runs if not ledger.path(run).exists()]
        hours = sum(run.epochs * pace(run) for run in left) / 3600
        if left:
            rows.append({"grid": title, "runs": len(runs), "left": len(left), "core-hours": hours})
    return pd.DataFrame(rows, columns=["grid", "runs", "left", "core-hours"]).set_index("grid")


def hours(ledger: Ledger) -> pd.DataFrame:
    """One row a profile: its runs and their core-hours by the pace of the recorded runs. Of those
    that are ``guessed`` the network alone is recorded, with other data; of those that are
    ``unknown``, which the hours leave out, not even that."""
    records = list(ledger.records())
    pace = paces(records)
    seen = {(record["config"]["dataset"], record["config"]["model"]) for record in records}
    rows = []
    for name in PROFILES:
        runs = profile_runs(name)
        each = pd.Series([run.epochs * pace(run) / 3600 for run in runs], dtype=float)
        unknown = each.isna().sum()
        guessed = sum((run.dataset, run.model) not in seen for run in runs) - unknown
        rows.append({"profile": name, "runs": len(runs), "core-hours": each.sum(),
                     "guessed": guessed, "unknown": unknown})  # fmt: skip
    return pd.DataFrame(rows).set_index("profile")


def paces(records: Iterable[dict]) -> Callable[[Run], float]:
    """A function of a run: seconds an epoch on one core, the median of the ``records`` that a CPU
    made of the same data set and network, or of the same network; NaN if there is none."""
    seen: dict[tuple, list[float]] = {}
    for record in records:
        made, run = record["provenance"], Run(**record["config"])
        if "NVIDIA" not in made["device"]:
            for alike in ((run.dataset, run.model), (run.model,)):
                seen.setdefault(alike, []).append(made["seconds"] * made["threads"] / run.epochs)
    medians = {alike: statistics.median(values) for alike, values in seen.items()}

    def pace(run: Run) -> float:
        return medians.get((run.dataset, run.model), medians.get((run.model,), float("nan")))

    return pace


def with_data(runs: Sequence[Run]) -> list[Run]:
    """The runs whose data are on this machine or can be fetched; the others are named, and left."""
    lacking = {}
    for name in dict.fromkeys(name for run in runs for name in run.datasets):
        try:
            data.load(name)
        except data.DataError as error:
            lacking[name] = str(error)
            print(
                f"left out, for want of their data: the runs that need {name}: {error}", flush=True
            )
    return [run for run in runs if not lacking.keys() & set(run.datasets)]


def refuse_what_is_gone(runs: Sequence[Run], ledger: Ledger) -> None:
    """A record that the manifest lists and that is not there is not trained again: what took its
    place would be another file. ``ValueError`` names them."""
    if not (ledger.directory / manifest.NAME).exists():
        return
    listed = manifest.read(ledger.directory)
    paths = [ledger.path(run) for run in runs]
    gone = [p for p in paths
            if p.relative_to(ledger.directory).as_posix() in listed and not p.exists()]  # fmt: skip
    if gone:
        raise ValueError(f"{len(gone)} records are listed in {manifest.NAME} and gone, the first "
                         f"of them {gone[0]}: restore them with git")  # fmt: skip


def list_records(runs: Sequence[Run], ledger: Ledger) -> None:
    """Gives the records of ``runs`` that are there, and their arrays, lines of the manifest."""
    records = [ledger.path(run) for run in runs]
    there = [path for path in records if path.exists()]
    arrays = [path.with_suffix(".npz") for path in there if path.with_suffix(".npz").exists()]
    for name in manifest.add(ledger.directory, [*there, *arrays]):
        print(f"listed in {manifest.NAME}: {name}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing is left, 1 when something failed, was left out or cannot begin, 130 after
    Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="labelnoise.reproduce.evidence", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--workers", type=at_least_one, help="runs at a time (default: one a core)")
    parser.add_argument("--plan", action="store_true", help="say what is left, and train nothing")
    parser.add_argument("--hours", action="store_true", help="say what each profile takes instead")
    chosen = parser.parse_args(arguments)
    ledger = Ledger(COMMITTED)
    try:
        if chosen.hours:
            print(hours(ledger).round(1).to_string())
            return 0
        entries = [*queue(), *follow_ups()]
        runs = [run for _, runs in entries for run in runs]
        left = plan(entries, ledger)
        print(left.round(1).to_string() if len(left) else "nothing is left to train")
        unknown = left["left"][left["core-hours"].isna()].sum()
        more = f", and {unknown} runs of unknown pace" if unknown else ""
        print(f"{left['left'].sum()} runs, {left['core-hours'].sum():.1f} core-hours{more}",
              flush=True)  # fmt: skip
        if chosen.plan or not len(left):
            return 0
        if (at := commit()) is None or at.endswith("+changes"):
            raise ValueError("a record names the commit that made it, and the source here is "
                             f"{at or 'in no git repository'}: commit it, then run again, best "
                             "from a clone of its own")  # fmt: skip
        if hasattr(os, "nice"):
            os.nice(LOWEST)
        refuse_what_is_gone(runs, ledger)
        list_records(runs, ledger)
        able = with_data(runs)
        try:
            trained = train_missing(able, ledger, workers=chosen.workers)
        finally:
            list_records(runs, ledger)
        print(f"{trained} runs trained")
        return 0 if len(able) == len(runs) else 1
    except KeyboardInterrupt as error:
        return interrupted(error, "run again, from this commit, to resume")
    except (ValueError, RecordError, ManifestError, SweepError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    own_temporaries()
    sys.exit(main())
