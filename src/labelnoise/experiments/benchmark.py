"""The grids of notebook 05: the same losses on several data sets, under two noises each.

A cell is a data set, a network and a noise. Seeds are those that no run of the cell had when this
was written, but for MNIST with the CNN at 60 % symmetric, which is the headline: its records are
old, and the rule (``rules/benchmark.py``) was written after them.
"""

from collections.abc import Sequence

from labelnoise.config import LossSetting, Noise, Run, noisy, published
from labelnoise.config.protocols import CIFAR10_PROTOCOL, MNIST_PROTOCOL
from labelnoise.experiments.dmi import MR_PROTOCOL
from labelnoise.experiments.mnist_symmetric import CLL, headline, robust_losses

NAMES = ("CE", "CLL", "GCE", "NCE+RCE", "SCE", "MAE", "AGCE", "AUL")
WITH_CNN = ("CE", "CLL", "GCE")
SEEDS = (3, 4, 5, 6, 7)  # where a run takes less than two minutes
FEW_SEEDS = (3, 4, 5)
HELD_OUT = 0.1  # for CE stopped early: the epoch with the best accuracy on held-out noisy labels

# Fewer epochs and a smaller network than ALFs' (120, cnn8), so that two cores can carry it.
CIFAR10_REDUCED = {**CIFAR10_PROTOCOL, "epochs": 50}


def setting(dataset: str, name: str) -> LossSetting:
    """The loss at its published setting for CIFAR-10, or for MNIST on every other data set."""
    if name == "CLL":
        return CLL
    return published("cifar10" if dataset == "cifar10" else "mnist", name)


def cell(
    dataset: str,
    noise: Noise,
    model: str,
    names: Sequence[str] = NAMES,
    seeds: Sequence[int] = SEEDS,
    protocol: dict = MNIST_PROTOCOL,
) -> list[Run]:
    """Every loss of one cell, and CE on 90 % of the labels, to be stopped early; whole seeds."""
    runs = []
    for seed in seeds:
        runs += [Run(dataset, noise, setting(dataset, n), model, protocol, seed) for n in names]
        ce = setting(dataset, "CE")
        runs.append(Run(dataset, noise, ce, model, protocol, seed, val_fraction=HELD_OUT))
    return runs


def noises(dataset: str) -> tuple[dict, dict]:
    """60 % symmetric and 40 % of the data set's asymmetric noise. With two classes 60 % would turn
    the labels round: MR has 30 %, and 40 % of one class called the other."""
    if dataset == "mr":
        return noisy("symmetric", 0.3), noisy("dmi", 0.4, pattern="dependent-b")
    return noisy("symmetric", 0.6), noisy("asymmetric", 0.4)


def benchmark_mlp() -> list[Run]:
    """MNIST and Fashion-MNIST with the MLP under ALFs' MNIST protocol."""
    sets = ("mnist", "fashion_mnist")
    return [run for name in sets for noise in noises(name) for run in cell(name, noise, "mlp")]


def benchmark_mr() -> list[Run]:
    """Movie reviews with the word CNN and L_DMI's protocol: Adam, for which a loss scaled by a
    constant is nearly the same loss."""
    few = NAMES[:4]
    return [
        run for noise in noises("mr") for run in cell("mr", noise, "word_cnn", few, SEEDS,
                                                      MR_PROTOCOL)
    ]  # fmt: skip


def benchmark_cnn(seeds: Sequence[int] = FEW_SEEDS) -> list[Run]:
    """Fashion-MNIST under both noises and MNIST under its asymmetric one, with the 4-layer CNN."""
    cells = (
        *(("fashion_mnist", n) for n in noises("fashion_mnist")),
        ("mnist", noises("mnist")[1]),
    )
    return [run for name, noise in cells for run in cell(name, noise, "cnn4", WITH_CNN, seeds)]


def benchmark_headline() -> list[Run]:
    """The cell that is the headline: MNIST, 60 % symmetric, the CNN, seeds 0 to 2."""
    runs = headline((0, 1, 2)) + robust_losses((0, 1, 2))
    return [run for run in runs if run.loss.name in WITH_CNN]


def benchmark_cifar10(seeds: Sequence[int] = FEW_SEEDS) -> list[Run]:
    """CIFAR-10 from pixels at 60 % symmetric noise, by a reduced protocol."""
    noise = noises("cifar10")[0]
    return cell("cifar10", noise, "cnn4", WITH_CNN, seeds, CIFAR10_REDUCED)
