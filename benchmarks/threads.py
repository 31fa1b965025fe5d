"""How many CPU threads a small network trains fastest with, on 2 000 digits.

Two sides a network: one thread, and all that torch would take. Each trains the classifier of
`cleaning.classifier` on the first 2 000 images of MNIST; a ratio is taken within a round. What
`cleaning.classifier.fastest_threads` returns rests on it.

Two cores, torch 2.13, 2026-11-25, medians of the ratio of two threads to one: idle (5 rounds), MLP
1.04, cnn4 0.59; beside other trainings (load 8 to 5, 7 rounds), MLP 9.7, cnn2 5.7, cnn4 4.4.

    python benchmarks/threads.py [rounds]          # JSON
"""

import statistics
import sys
from collections.abc import Mapping

import torch

from labelnoise import data
from labelnoise.cleaning.classifier import NetworkClassifier
from labelnoise.config.protocols import MNIST_PROTOCOL
from side_by_side import in_rounds, main, seconds

EPOCHS = {"mlp": 10, "cnn2": 2, "cnn4": 2}  # of a measured training


def measure(epochs: Mapping[str, int] = EPOCHS, rounds: int = 7, samples: int = 2000) -> dict:
    """Network -> seconds with one thread and with ``threads``, a value a round; ``ratio``: of all
    threads to one, the median."""
    images, labels = data.load("mnist", "train")
    images, labels = images[:samples], labels[:samples]
    threads = torch.get_num_threads()
    measured: dict = {"threads": threads}
    for model, length in epochs.items():
        protocol = {**MNIST_PROTOCOL, "epochs": length}

        def side(name: str, count: int, model: str = model, protocol: dict = protocol) -> dict:
            judge = NetworkClassifier("GCE", model, protocol, device="cpu", threads=count)
            return {name: seconds(lambda: judge.fit(images, labels))}

        sides = {"one": lambda: side("one", 1), "all": lambda: side("all", threads)}
        found = in_rounds(sides, rounds)
        ratios = [b / a for a, b in zip(found["one"], found["all"], strict=True)]
        measured[model] = {**found, "ratio": round(statistics.median(ratios), 2)}
    return measured


if __name__ == "__main__":
    main(lambda: measure(rounds=int(sys.argv[1])) if sys.argv[1:] else measure())
