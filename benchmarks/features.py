"""A head on CIFAR-10's frozen features: core-seconds of a run, and runs per minute on two workers.

A run of each head, ten epochs, is timed in this process on one thread by the processor's clock,
from reading its data to its record. Then all `RUNS`, half of either head, are one sweep of two
workers, from an empty ledger to the last record. The features lie in one file, which every run
verifies and maps into its memory: processes share its pages, and what a further worker adds to the
memory of a sweep tells whether they do.

    python benchmarks/features.py                           # two minutes; JSON
    python benchmarks/engine.py --only features --write     # into engine.json and README.md
"""

import tempfile
import time
from collections.abc import Sequence

import memory
from labelnoise import data
from labelnoise.config import Run, noisy
from labelnoise.experiments.benchmark import protocol_of, setting
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import train_missing
from labelnoise.training.methods import train
from side_by_side import epochs, in_rounds, main, say, seconds

WORKERS = 2
DATASET = "cifar10_features"
WORST = noisy("human", set="worse_label")
RUNS = [
    Run(DATASET, WORST, setting(DATASET, name), model, protocol_of(DATASET), seed=3)
    for model in ("linear", "mlp")
    for name in ("CE", "CLL", "GCE", "MAE")
]


def measure(runs: Sequence[Run] = RUNS, rounds: int = 2) -> dict | None:
    """Seconds and gigabytes, a value a round; None where the data cannot be had.

    - ``core_seconds``: head -> processor time of the first of ``runs`` that has it.
    - ``sweep``: seconds of all ``runs`` on two workers; ``runs`` says how many these are.
    - ``reading``: seconds in which a run finds its features and verifies them.
    - ``memory``: as ``memory.measure``, of a sweep of the first.
    """
    try:
        for name in runs[0].datasets:
            data.load(name)
    except data.DataError:
        return None
    say("warming up")
    sweep([epochs(run, 1) for run in runs[:WORKERS]])  # starts the server that forks all workers
    heads = {model: next(run for run in runs if run.model == model)
             for model in dict.fromkeys(run.model for run in runs)}  # fmt: skip
    sides = {model: lambda run=run: {run.model: core_seconds(run)} for model, run in heads.items()}
    sides["sweep"] = lambda: {"sweep": sweep(runs)}
    sides["reading"] = lambda: {"reading": seconds(lambda: read(runs[0].dataset))}
    found = in_rounds(sides, rounds, warm_up=0)
    return {
        "core_seconds": {model: found.pop(model) for model in heads},
        "runs": len(runs),
        "workers": WORKERS,
        **found,
        "memory": memory.measure(runs[0], rounds),
    }


def core_seconds(run: Run) -> float:
    """The processor time of a run on one thread, as a worker trains it."""
    began = time.process_time()
    train(run, device="cpu")
    return time.process_time() - began


def sweep(runs: Sequence[Run]) -> float:
    """Seconds of a sweep into an empty ledger."""
    with tempfile.TemporaryDirectory() as ledger:
        return seconds(lambda: train_missing(runs, Ledger(ledger), workers=WORKERS))


def read(dataset: str) -> None:
    for split in data.INFO[dataset].splits:
        data.load(dataset, split)


if __name__ == "__main__":
    main(measure)
