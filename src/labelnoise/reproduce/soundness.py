"""Is a record sound? What can be checked of every committed record without training anything.

A record is sound if

- it can be read: whole, its checksums and its key right (``ledger.read``), in the folder of its
  data set, and its arrays, where they are there, those of its checksums (``Ledger.arrays``);
- its file, and its arrays', are those of ``MANIFEST.sha256``, and git never had another content;
  a record that was ever committed is there;
- its config is one that this code trains, and its provenance is complete;
- ``result`` follows from ``curves``, of ``first``, too; the curves are as long as the protocol; and
  percentages lie in 0..100;
- its labels are those that its config asks for: their SHA-256 and the realised rate, computed anew
  where the data set is on this machine;
- the commit that made it is in git, and is not younger than the record.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from labelnoise import data
from labelnoise.config import Run
from labelnoise.data import text
from labelnoise.reproduce import history
from labelnoise.runs import manifest
from labelnoise.runs.ledger import Ledger, RecordError, read
from labelnoise.training.loop import summarise
from labelnoise.training.machine import PRECISIONS
from labelnoise.training.task import Task, given_labels

PROVENANCE = {
    "version": str, "flips_sha256": str, "torch": str, "python": str, "device": str,
    "threads": int, "precision": str, "seconds": float | int, "date": str, "commit": str | None,
}  # fmt: skip
PROCESSOR = ("vendor", "family", "model", "instructions")  # texts, or null where nobody tells
PERCENT = ("test_accuracy", "val_accuracy", "fit_clean", "fit_wrong", "fit_true", "gradient_share",
           "clipped")  # fmt: skip
NO_RECORD = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)
TOLERANCE = 1e-6  # of sums of percentages and probabilities


@dataclass
class Checked:
    """``sound`` records and why others have ``fallen``, by path below the ledger; ``notes`` say
    what could not be checked here."""

    sound: dict[str, dict] = field(default_factory=dict)
    fallen: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def check(directory: Path) -> Checked:
    """Every record below ``directory``. A file that is no record and has fallen (no line in the
    manifest, or a line and no file, or none any more) is named, too; arrays count for their record.

    Raises ``ManifestError`` without a manifest, ``DataError`` for damaged data sets.
    """
    wrong: dict[str, list[str]] = defaultdict(list)
    unlike, past = manifest.check(directory), history.read(directory)
    for name, why in unlike.items():
        wrong[of_record(name)].append(f"{PurePosixPath(name).name} {why}")
    if past:
        there = manifest.files(directory)
        for name in there:
            if why := past.edited(name):
                wrong[of_record(name)].append(f"{PurePosixPath(name).name} {why}")
        for name in past.gone({*there, *unlike}):
            wrong[name].append("was committed, and is gone: restore it with git")

    labels, records = Labels(), {}
    for path in sorted(directory.rglob("*.json")):
        name = path.relative_to(directory).as_posix()
        if name.startswith(".") or "/." in name:
            continue
        try:
            records[name] = record = read(path)
            wrong[name] += problems(record, path, labels, past)
        except RecordError as error:
            wrong[name].append(str(error))
    fallen = {name: "; ".join(whys) for name, whys in sorted(wrong.items()) if whys}
    sound = {name: record for name, record in records.items() if name not in fallen}
    return Checked(sound, fallen, [*labels.notes(), *notes(records, past)])


def of_record(name: str) -> str:
    """The record that a file belongs to."""
    path = PurePosixPath(name)
    return str(path.with_suffix(".json") if path.suffix == ".npz" else path)


def problems(record: dict, path: Path, labels: "Labels", past: history.History | None) -> list[str]:
    """Why a record that can be read is not sound; empty if it is."""
    try:
        run = Run(**record["config"])
        if run.config != record["config"] or path.parent.name != run.dataset:
            return ["its config or its folder is not as this code writes it"]
        found = [
            *incomplete(record["provenance"]),
            *stage(record["result"], record["curves"], run.protocol["epochs"]),
            *more(record["result"], record["curves"], run),
            *labels.differ(run, record),
            *(younger(record["provenance"], past) if past else ()),
        ]
        Ledger(path.parents[1]).arrays(run)
    except RecordError as error:
        return [str(error)]
    except NO_RECORD as error:
        return [f"is no record of a run ({type(error).__name__}: {error})"]
    return found


# ---------------------------------------------------------------------------- one record by itself


def incomplete(made: dict) -> Iterator[str]:
    """What is missing or impossible in a provenance."""
    for name, kind in PROVENANCE.items():
        if name not in made or not isinstance(made[name], kind):
            yield f"its provenance has no {name}, or one that is none: {made.get(name)!r}"
    if made["precision"] not in PRECISIONS or made["threads"] < 1 or not made["seconds"] >= 0:
        yield f"precision {made['precision']}, {made['threads']} threads, {made['seconds']} seconds"
    if "processor" in made and not describes(made["processor"]):
        yield f"its processor is not told by {', '.join(PROCESSOR)}: {made['processor']!r}"
    if datetime.fromisoformat(made["date"]).tzinfo is None:
        yield f"its date {made['date']} has no time zone"


def describes(processor: object) -> bool:
    """Whether it says of a processor what ``machine.processor`` says."""
    return isinstance(processor, dict) and set(processor) == set(PROCESSOR) and all(
        isinstance(word, str | None) for word in processor.values()
    )  # fmt: skip


def stage(result: dict, curves: dict, epochs: int) -> Iterator[str]:
    """Where the numbers of one training contradict its curves."""
    curves = {name: curve for name, curve in curves.items() if name != "first"}
    ended = result["diverged_at"]
    if {len(curve) for curve in curves.values()} != {epochs if ended is None else ended}:
        yield f"its curves do not have {epochs} epochs, or as many as it took to diverge ({ended})"
    if None in curves["train_loss"] and curves["train_loss"].index(None) + 1 != ended:
        yield f"its loss is not finite at some epoch, and diverged_at is {ended}"
    if {**result, **summarise(curves, result["noise_rate"], ended)} != result:
        yield "RESULT DOES NOT FOLLOW from its curves"
    if "val_loss_chosen" in result:
        losses = [math.inf if v is None else v for v in curves["val_loss"]]
        if result["val_loss_chosen"] != curves["test_accuracy"][losses.index(min(losses))]:
            yield "RESULT DOES NOT FOLLOW from its curves: val_loss_chosen"
    for name in PERCENT:
        if not percentages(curves.get(name, [])):
            yield f"{name} has a value outside 0..100"
    both = zip(curves["fit_wrong"], curves["fit_true"], strict=True)
    if any(None not in pair and sum(pair) > 100 + TOLERANCE for pair in both):
        yield "fit_wrong and fit_true are of the same samples, and sum to more than 100"


def more(result: dict, curves: dict, run: Run) -> Iterator[str]:
    """What a method that trains more than once adds."""
    if ("first" in result) != ("first" in curves):
        yield "first is in one of result and curves only"
    elif "first" in result:
        epochs = (run.warm_start or run.protocol)["epochs"]
        for why in stage(result["first"], curves["first"], epochs):
            yield f"first: {why}"
        if result["first"]["noise_rate"] != result["noise_rate"]:
            yield "first has another noise_rate"
    if "T" in result:
        T = np.array(result["T"], dtype=float)
        if T.ndim != 2 or (T < 0).any() or (abs(T.sum(axis=1) - 1) > TOLERANCE).any():
            yield "the rows of T are no probabilities"
    if not percentages(result.get("recalls") or []):
        yield "recalls has a value outside 0..100"
    for name, found in result.get("lists", {}).items():
        seen, n = found["measured"], result["drawn"]["samples"]
        if sum(seen["given"]) != n or sum(seen["suggested"]) != n:
            yield f"{name} measured other samples than the {n} that were drawn"
        if not percentages([found["detection"]["average_precision"]]):
            yield f"the average precision of {name} lies outside 0..100"
    if "pruned" in result and not 0 <= result["pruned"]["wrong"] <= result["pruned"]["removed"]:
        yield "more of the pruned are wrong than were removed"


def percentages(values: list) -> bool:
    return all(value is None or 0 <= value <= 100 + TOLERANCE for value in values)


# -------------------------------------------------------------------------- its labels, its commit


class Labels:
    """The labels that configs ask for, each computed once, of the data sets that are here."""

    def __init__(self):
        self.inputs: dict[str, tuple | None] = {}
        self.computed: dict[str, tuple[str, float]] = {}
        self.unchecked: Counter[str] = Counter()

    def differ(self, run: Run, record: dict) -> Iterator[str]:
        """Where a record was not given the labels that its config asks for."""
        absent = [name for name in run.datasets if self.load(name) is None]
        self.unchecked.update(absent[:1])
        if absent:
            return
        asked = json.dumps([run.dataset, run.noise.as_config(), run.seed, run.subset])
        if asked not in self.computed:
            self.computed[asked] = self.compute(run)
        flips, rate = self.computed[asked]
        if record["provenance"]["flips_sha256"] != flips:
            yield "FLIPS DIFFER: its config gives other labels"
        if record["result"]["noise_rate"] != rate:
            yield f"its noise_rate is {record['result']['noise_rate']}, its config gives {rate}"

    def load(self, name: str) -> tuple | None:
        """The training inputs and labels of a data set that is on this machine, else None: nothing
        is fetched for a check."""
        if name not in self.inputs:
            try:
                found = data.read(name)
                self.inputs[name] = text.load(name, "train") if name in text.DATASETS else found
            except data.NotThere:
                self.inputs[name] = None
        return self.inputs[name]

    def compute(self, run: Run) -> tuple[str, float]:
        inputs, true = (array[: run.subset] for array in self.load(run.dataset))
        arrays = (torch.from_numpy(a) for a in (inputs, given_labels(run, inputs, true), true))
        task = Task(*arrays, data.INFO[run.dataset].num_classes, ())
        return task.flips_sha256, task.noise_rate

    def notes(self) -> list[str]:
        return [
            f"flips of {count} records not checked: the data set {name} is not on this machine "
            f"(make data DATA={name})"
            for name, count in sorted(self.unchecked.items())
        ]


def younger(made: dict, past: history.History) -> Iterator[str]:
    """Where the commit that made a record cannot have made it."""
    commit = (made["commit"] or "").removesuffix("+changes")
    if not commit or (commit not in past.commits and past.shallow):
        return
    if commit not in past.commits:
        yield (
            f"its commit {commit[:12]} is not in this history: rebased away, or not fetched; "
            "git fetch --unshallow, or restore the branch that has it"
        )
    elif past.commits[commit] > datetime.fromisoformat(made["date"]).timestamp():
        yield f"its commit {commit[:12]} is younger than the record of {made['date']}"


def notes(records: dict[str, dict], past: history.History | None) -> list[str]:
    """What git could not tell."""
    made = [record["provenance"].get("commit") or "" for record in records.values()]
    found = []
    if past is None:
        found.append("commits and history not checked: git does not have these records")
    elif past.shallow:
        found.append("commits and history checked in part: this clone is shallow (remedy: "
                     "git fetch --unshallow)")  # fmt: skip
    if count := sum(past is not None and name not in past.contents for name in records):
        found.append(f"{count} records are not committed yet: git knows nothing of them")
    if count := sum(not commit for commit in made):
        found.append(f"{count} records were made outside git: no commit has their code")
    if count := sum(commit.endswith("+changes") for commit in made):
        found.append(f"{count} records were made by code with changes that no commit has")
    return found
