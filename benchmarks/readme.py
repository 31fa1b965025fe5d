"""From `engine.json`, the measured seconds and gigabytes, to `README.md`: every number follows.

python benchmarks/readme.py    # composes it once more
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from labelnoise.config.protocols import CIFAR10_PROTOCOL, MNIST_PROTOCOL

RUNS_OF_A_GRID = 17 * 9 * 3  # losses, noise settings, seeds
NETWORKS = {"cnn4": "CNN", "mlp": "MLP"}
OURS = "sweep, 2 workers"
LATER = "not yet measured"


def compose(results: dict) -> str:
    """The whole report, from what `engine.py` collected."""
    machine = results["machine"]
    return f"""# Speed

Ratios measured side by side, in one run on one machine; `make bench` measures again and writes this
file ({machine["minutes"]} minutes, after those of the losses). Medians (least–greatest) over the
rounds; a target is reached or missed by the median. The ranges hold every round, also those that
something else on the machine disturbed: where one begins below zero, it is the difference of two
measurements of which one was. Every second behind them is in `engine.json`.

{conditions(machine)}{by_themselves(results)}

{markdown(targets(results))}

The losses by themselves have [a report of their own](losses.md).

## How it is measured

- **An epoch** (`epoch.py`) is the headline's: 60000 images, batches of {MNIST_PROTOCOL["batch"]}, \
cross-entropy, every curve and the gradient probe, in one process with one thread. Beside it: as \
many optimiser steps ({results["epoch"]["cnn4"]["steps"]}) on one batch that lies in memory, \
standardised. The whole epoch adds test and checkpoint.
- **Runs per hour** (`sweeps.py`) are `runs at once x 3600 / (start + {MNIST_PROTOCOL["epochs"]} x \
epoch)`. A sweep of a run a worker is timed at two lengths ({lengths(results["sweeps"])}): the \
difference gives the epoch, and what is left of the shorter is the start. The reference loop \
(`reference.py`) says its seconds of one epoch; the rest of its process is its start. It has both \
cores to itself, one run at a time; two at once are shown beside.
- **Memory** (`memory.py`) is what a whole sweep takes at its worst moment: itself, the server \
that forks its workers, the workers; of a page that they share, each its part.
- **A table** (`ledger.py`): read, verify every checksum, statistics, Markdown.
- **A head on CIFAR-10's features** (`features.py`) is a run of ten epochs on the labels that \
people got worst, from reading to the record; core-seconds are the processor time of CE on one \
thread. Runs per minute are those of one sweep, half linear heads and half MLPs, from an empty \
ledger to the last record{extent(results.get("features"))}. All runs map one file into their \
memory, 0.31 GB of features, and each verifies it.
- **On a GPU** (`gpu.py`) there is one path, the plain eager one. The fast one (grouped runs, CUDA \
graphs) is not built, so there is nothing yet to set beside it. A grid and a run are extrapolated \
from a few epochs: starts + epochs x seconds of an epoch, one run at a time.

## Runs per hour

{markdown(runs_per_hour_table(results["sweeps"]))}

## Where an epoch's time goes

In percent of the whole epoch, by a stopwatch on each part.

{markdown(parts_table(results["epoch"]))}

## Memory of a sweep

{markdown(memory_table(results["memory"]))}
"""


def conditions(machine: dict) -> str:
    """What a measurement was taken on, and when."""
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, "
        f"{machine['system']}, Python {machine['python']}, torch {machine['torch']}, torchvision "
        f"{machine['torchvision']}; {machine['precision']}, the reference in float32; load "
        f"{machine['load_before']} before and {machine['load_after']} after; {machine['date']}, "
        f"commit {(machine['commit'] or 'unknown')[:7]}."
    )


def by_themselves(results: dict) -> str:
    """A paragraph for each measurement that was taken again by itself."""
    return "".join(
        f"\n\n`{name}.py` was measured by itself: {conditions(machine)}"
        for name, machine in results.get("alone", {}).items()
    )


def extent(features: dict | None) -> str:
    """How much the sweep on features was, and what reading them takes; empty if not measured."""
    if not features:
        return ""
    return (f" ({features['runs']} runs; reading and verifying the features takes each "
            f"{spread(features['reading'], unit=' s')})")  # fmt: skip


def targets(results: dict) -> pd.DataFrame:
    """One row a target: what was measured, and whether it is reached."""
    cnn, memory, gpu = results["epoch"]["cnn4"], results["memory"], results["gpu"] or {}
    training, fixed = np.array(cnn["training"]), np.array(cnn["fixed_batch"])
    whole = training + cnn["evaluation"] + cnn["checkpoint"]
    one, further = (None, None) if memory is None else memory_of(memory)
    rows = [
        judged("training part of an epoch (MNIST, CNN) / the same steps on one batch in memory",
               "at most", 1.05, training / fixed),
        judged("whole epoch / its training part", "at most", 1.08, whole / training),
    ]  # fmt: skip
    for model, limit in (("cnn4", 3.5), ("mlp", 8)):
        rates = runs_per_hour(results["sweeps"][model])
        ratio = rates[OURS] / rates["reference"]
        rows.append(
            judged(f"runs per hour on 2 cores, {NETWORKS[model]} / reference loop",
                   "at least", limit, ratio)
        )  # fmt: skip
    records = results["ledger"]["records"]
    rows += [
        judged("peak memory of a sweep with one worker", "at most", 1.0, one, " GB"),
        judged("each further worker", "at most", 0.4, further, " GB"),
        judged(f"from a complete ledger of {records} records to a table", "under", 2,
               results["ledger"]["table"], " s"),
        *on_features(results.get("features")),
        row("30 SIGKILLs at random moments of a sweep", "every record bit-identical",
            "a test: `tests/test_faults.py`", "held by `make test`"),
        row("GPU: runs per hour, MNIST, CNN / the plain eager path", "at least 10",
            "the fast path is not built", "–"),
        on_gpu(f"GPU: full MNIST grid ({RUNS_OF_A_GRID} runs), one H200", 15, " min", gpu, "mnist",
               starts=RUNS_OF_A_GRID, epochs=RUNS_OF_A_GRID * MNIST_PROTOCOL["epochs"]),
        on_gpu("GPU: CIFAR-10, 8-layer CNN, 120 epochs, one H200", 60, " s", gpu, "cifar10",
               starts=1, epochs=CIFAR10_PROTOCOL["epochs"]),
    ]  # fmt: skip
    return pd.DataFrame(rows)


def on_features(found: dict | None) -> list[dict]:
    """A head on CIFAR-10's frozen features."""
    core, rate, further = {}, None, None
    if found:
        core = found["core_seconds"]
        rate = 60 * found["runs"] / np.array(found["sweep"])
        further = memory_of(found["memory"])[1] if found["memory"] else None
    heads = {"linear": "a linear head", "mlp": "an MLP"}
    return [
        *(
            judged(f"{name} on CIFAR-10's features: core-seconds of a run", "under", 15,
                   core.get(model), " s")
            for model, name in heads.items()
        ),
        judged("both heads: runs per minute on 2 cores (600 runs within 90 minutes)", "at least",
               6.7, rate),
        judged("each further worker on features", "under", 0.3, further, " GB"),
    ]  # fmt: skip


def row(measure: str, target: str, measured: str, verdict: str) -> dict:
    return {"measure": measure, "target": target, "measured": measured, "": verdict}


def judged(
    measure: str, word: str, limit: float, values: Sequence[float] | None, unit: str = ""
) -> dict:
    """``word`` is "at most", "under" or "at least"; ``values`` None if nobody could measure."""
    target = f"{word} {limit:g}{unit}"
    if values is None:
        return row(measure, target, LATER, "–")
    median = np.median(values)
    reached = {
        "at most": median <= limit, "under": median < limit, "at least": median >= limit
    }[word]  # fmt: skip
    return row(measure, target, spread(values, unit=unit), "reached" if reached else "**missed**")


def on_gpu(
    measure: str, limit: float, unit: str, gpu: dict, dataset: str, *, starts: int, epochs: int
) -> dict:
    """A time under ``limit``, extrapolated from a few epochs of one run."""
    found = gpu.get(dataset)
    if found is None:
        return judged(measure, "under", limit, None, unit)
    epoch = np.array(found["epoch"])
    start = found["start_and_first_epoch"] - np.median(epoch)
    times = (starts * start + epochs * epoch) / (60 if unit == " min" else 1)
    told = judged(measure, "under", limit, times, unit)
    where = f", extrapolated; {gpu['device']}, {gpu['precision']}"
    return {**told, "measured": told["measured"] + where}


def runs_per_hour(found: dict) -> dict[str, np.ndarray]:
    """Side -> runs per hour of the whole protocol, a value a round."""
    length = MNIST_PROTOCOL["epochs"]
    return {
        name: at_once * 3600 / (start + length * epoch)
        for name, (at_once, start, epoch) in timings(found).items()
    }


def timings(found: dict) -> dict[str, tuple[int, np.ndarray, np.ndarray]]:
    """Side -> runs at once, seconds of a start, seconds of an epoch."""
    short, long = found["epochs"]
    epoch = (np.array(found["long"]) - found["short"]) / (long - short)
    sides = {OURS: (found["workers"], found["short"] - short * epoch, epoch)}
    for name, field, at_once in (
        ("reference", "reference", 1),
        ("two references at once", "references_at_once", 2),
    ):
        times = (np.array(found[f"{field}_{part}"]) for part in ("start", "epoch"))
        sides[name] = (at_once, *times)
    return sides


def lengths(found: dict) -> str:
    return ", ".join(
        f"{name} {' and '.join(map(str, found[model]['epochs']))} epochs"
        for model, name in NETWORKS.items()
    )


def runs_per_hour_table(found: dict) -> pd.DataFrame:
    rows = []
    for model, name in NETWORKS.items():
        rates = runs_per_hour(found[model])
        for side, (_, start, epoch) in timings(found[model]).items():
            rows.append(
                {
                    "network": name,
                    "side": side,
                    "runs per hour": spread(rates[side], 1),
                    "seconds of an epoch": spread(epoch, 2),
                    "of a start": spread(start, 1),
                    "sweep / side": spread(rates[OURS] / rates[side]),
                }
            )
    return pd.DataFrame(rows)


PARTS = {
    "forward": "forward",
    "loss": "loss",
    "backward": "backward, loss included",
    "clip": "gradient clipping",
    "optimiser": "optimiser step",
    "zero_grad": "dropping the old gradients",
    "standardise": "bytes to standardised floats",
    "rest": "gathering the batch, curves, probe, the loop",
    "evaluation": "test",
    "checkpoint": "checkpoint",
}


def parts_table(found: dict) -> pd.DataFrame:
    columns = {}
    for model, name in NETWORKS.items():
        seconds = np.array([found[model][part] for part in PARTS])
        shares = 100 * seconds / seconds.sum(axis=0)
        columns[name] = [spread(values, 1) for values in shares]
    return pd.DataFrame({"part": list(PARTS.values()), **columns})


def memory_of(found: dict) -> tuple[list[float], list[float]]:
    """Of a sweep with one worker, and what the second adds to it."""
    one, two = ([look["pss"] for look in found[workers]] for workers in ("1", "2"))
    return one, [b - a for a, b in zip(one, two, strict=True)]


def memory_table(found: dict | None) -> pd.DataFrame:
    rows = []
    for workers, looks in (found or {}).items():
        values = {key: [look[key] for look in looks] for key in looks[0]}
        rows.append(
            {
                "workers": workers,
                "the whole sweep, GB": spread(values["pss"]),
                "of it not backed by a file": spread(values["anonymous"]),
                "resident set of a worker, shared pages included": spread(values["rss"]),
            }
        )
    return pd.DataFrame(rows or [{"workers": LATER}])


def spread(values: Sequence[float], digits: int = 2, unit: str = "") -> str:
    """``median (least–greatest)``."""
    low, median, high = np.quantile(values, (0, 0.5, 1))
    return f"{median:.{digits}f}{unit} ({low:.{digits}f}–{high:.{digits}f})"


def markdown(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True)


def write(folder: Path) -> None:
    """README.md from engine.json, both in ``folder``."""
    results = json.loads((folder / "engine.json").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(compose(results), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent)
