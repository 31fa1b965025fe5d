"""The grid of notebook 08's last part: a user's list of suspects, made from few samples.

A cell is a data set and a noise. From its training set 300 or 2000 samples are drawn, as many of
each class, or one class is rare: 5 or 20 of them. ``RARE`` names it: the class that asymmetric
noise sends others' labels to, so that wrong labels come to it under every noise. The network judges
beside scikit-learn's random forest and logistic regression. Clean labels, where every alarm is a
false one, have more seeds where that is cheap.

The learning rate was chosen on scikit-learn's digits before any of these runs.

Judged by ``rules/suspects.py``.
"""

from collections.abc import Sequence
from itertools import product

from labelnoise.config import Noise, Run, method, noisy, published
from labelnoise.config.protocols import MNIST_PROTOCOL

SEEDS = (0, 1, 2)
CLEAN_SEEDS = tuple(range(20))  # on MNIST's 300
SIZES = (300, 2000)
RARE = {"mnist": 8, "letter": 17, "fashion_mnist_h": 6}  # eight, R, shirt
CLEAN = noisy("clean")
CELLS: tuple[tuple[str, Noise], ...] = (
    ("mnist", noisy("symmetric", 0.3)),
    ("mnist", noisy("asymmetric", 0.3)),
    ("letter", noisy("symmetric", 0.3)),
    ("letter", noisy("asymmetric", 0.3)),
    ("fashion_mnist_h", noisy("symmetric", 0.3)),
    ("fashion_mnist_h", noisy("human", set="annotator")),
)
PROTOCOL = {**MNIST_PROTOCOL, "lr": 0.1}


def made(dataset: str, noise: Noise, size: int, seed: int, rare: int | None = None) -> Run:
    """One list of suspects, judged by an MLP that learns with GCE."""
    how = method("suspect_list", size=size, rare=rare)
    return Run(dataset, noise, published("mnist", "GCE"), "mlp", PROTOCOL, seed, method=how)


def suspect_lists(seeds: Sequence[int] = SEEDS) -> list[Run]:
    """Every cell, balanced and with a rare class, and clean balanced labels; whole seeds."""
    runs = []
    for seed, size in product(seeds, SIZES):
        for dataset, noise in CELLS:
            runs += [made(dataset, noise, size, seed, rare) for rare in (None, RARE[dataset])]
        runs += [made(dataset, CLEAN, size, seed) for dataset in RARE]
    more = CLEAN_SEEDS if tuple(seeds) == SEEDS else ()
    runs += [made("mnist", CLEAN, min(SIZES), seed) for seed in more]
    return list({run.key: run for run in runs}.values())
