"""Runs per hour: a sweep with two workers beside the reference loop, on the same two cores.

A sweep of one run a worker is timed with few epochs and with more. The difference gives the seconds
of an epoch, what is left of the shorter one the start of a run: its process, its data, its record.
The reference is timed by its own clock, epoch by epoch; the rest of its process is its start. It
has the machine to itself, as public scripts that run one after another do: its DataLoader fills the
second core, and torch takes both. Two references at once are a third side.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labelnoise import data
from labelnoise.config import Run
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import train_missing
from side_by_side import CNN, MLP, epochs, in_rounds, main, say, seconds

WORKERS = 2
REFERENCE = Path(__file__).with_name("reference.py")
# What is timed: the epochs of the two sweeps, and the rounds. A round more before the MLP's, which
# come first, starts the server that forks all workers and reads all files once.
PLAN = ((MLP, (1, 7), 5, 1), (CNN, (1, 3), 3, 0))


def measure(plan: Sequence[tuple[Run, tuple[int, int], int, int]] = PLAN) -> dict:
    """Network -> seconds a round, and the two lengths of a sweep."""
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for run, (short, long), rounds, warm_up in plan:
            say(run.model)
            write_for_torchvision(run.dataset, Path(folder) / run.dataset)
            sides = {
                "sweep": lambda run=run, short=short, long=long: {
                    "short": sweep(run, short),
                    "long": sweep(run, long),
                },
                "reference": lambda run=run: reference(run, folder, at_once=1),
                "two references": lambda run=run: reference(run, folder, at_once=2),
            }
            measured[run.model] = {
                "workers": WORKERS,
                "epochs": [short, long],
                **in_rounds(sides, rounds, warm_up),
            }
    return measured


def sweep(run: Run, length: int) -> float:
    """Seconds of a sweep of one run a worker, of ``length`` epochs, into an empty ledger."""
    runs = [epochs(run, length, seed=seed) for seed in range(WORKERS)]
    with tempfile.TemporaryDirectory() as ledger:
        return seconds(lambda: train_missing(runs, Ledger(ledger), workers=WORKERS))


def reference(run: Run, folder: str, at_once: int) -> dict[str, float]:
    """Seconds of an epoch, and of all that is no epoch, of the slowest of ``at_once`` processes
    of the reference loop."""
    command = [sys.executable, REFERENCE, Path(folder) / run.dataset, "--model", run.model]
    # What a sweep may have set for its workers is not for a script that somebody just starts.
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}

    def start() -> subprocess.Popen:
        said = subprocess.PIPE
        return subprocess.Popen([*command, "--epochs", "1"], env=plain, stdout=said, text=True)

    processes, lines = [], []

    def all_of_it() -> None:
        processes.extend(start() for _ in range(at_once))
        lines.extend(process.communicate()[0] for process in processes)

    total = seconds(all_of_it)
    if any(process.returncode for process in processes):
        raise RuntimeError(f"{REFERENCE.name} failed; its message is above")
    epoch = max(json.loads(line)["seconds"] for line in lines)
    name = "reference" if at_once == 1 else "references_at_once"
    return {f"{name}_epoch": epoch, f"{name}_start": total - epoch}


def write_for_torchvision(dataset: str, folder: Path) -> None:
    """The verified arrays as the IDX files of MNIST, which torchvision takes as downloaded."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = data.load(dataset, split)
        files = {"images-idx3": images[:, 0], "labels-idx1": labels.astype(np.uint8)}
        for name, array in files.items():
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            (raw / f"{prefix}-{name}-ubyte").write_bytes(header + array.tobytes())


if __name__ == "__main__":
    main(measure)
