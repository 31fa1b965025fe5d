"""From a complete ledger to a table: reading, checking, statistics and Markdown.

A thousand records, as many curves and epochs in each as a committed run of the CNN has: 20 losses
at 50 seeds. They are made of one committed record, which is given other configs.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from labelnoise import experiments
from labelnoise.analysis import tables
from labelnoise.config import Run
from labelnoise.files import COMMITTED
from labelnoise.losses import LOSSES
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import sweep
from side_by_side import CNN, in_rounds, main, seconds


def measure(losses: int = 20, seeds: int = 50, rounds: int = 5) -> dict:
    """The number of records, and seconds a round."""
    runs = [
        replace(CNN, loss=experiments.published("mnist", name), seed=seed)
        for name in [name for name in LOSSES if name != "CLL"][:losses]
        for seed in range(seeds)
    ]
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        fill(ledger, runs)

        def read_and_tabulate() -> None:
            outcomes = sweep(runs, committed=ledger)
            assert len(outcomes) == len(runs)
            tables.accuracy_table(runs, outcomes).to_markdown()

        sides = {"table": lambda: {"table": seconds(read_and_tabulate)}}
        return {"records": len(runs), **in_rounds(sides, rounds)}


def fill(ledger: Ledger, runs: list[Run]) -> None:
    """Gives every run of ``runs`` the numbers of the committed headline."""
    record = Ledger(COMMITTED).find(CNN)
    for run in runs:
        ledger.write({**record, "config": run.config})


if __name__ == "__main__":
    main(measure)
