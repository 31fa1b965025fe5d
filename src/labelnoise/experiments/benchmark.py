"""The grids of notebook 05: the same losses on several data sets, under two noises each.

A cell is a data set, a network and a noise. Seeds are those that no run of the cell had when this
was written, but for MNIST with the CNN at 60 % symmetric, which is the headline: its records are
old, and the rule (``rules/benchmark.py``) was written after them.
"""

from collections.abc import Sequence
from functools import cache

from labelnoise import data
from labelnoise.config import LossSetting, Noise, Run, noisy, published
from labelnoise.config.protocols import CIFAR10_PROTOCOL, MNIST_PROTOCOL
from labelnoise.experiments.dmi import MR_PROTOCOL
from labelnoise.experiments.mnist_symmetric import CLL, headline, pull, robust_losses

NAMES = ("CE", "CLL", "GCE", "NCE+RCE", "SCE", "MAE", "AGCE", "AUL")
WITH_CNN = ("CE", "CLL", "GCE")
SEEDS = (3, 4, 5, 6, 7)  # where a run takes less than two minutes
FEW_SEEDS = (3, 4, 5)
HELD_OUT = 0.1  # for CE stopped early: the epoch with the best accuracy on held-out noisy labels

# Fewer epochs and a smaller network than ALFs' (120, cnn8), so that two cores can carry it.
CIFAR10_REDUCED = {**CIFAR10_PROTOCOL, "epochs": 50}

# A head on features that somebody else has learnt needs few epochs, and features cannot be cropped.
FEATURES_PROTOCOL = {
    **{name: value for name, value in CIFAR10_PROTOCOL.items() if name != "augment"}, "epochs": 10
}  # fmt: skip
IS_CIFAR10 = ("cifar10", "cifar10_features")


def protocol_of(dataset: str) -> dict:
    """What trains the small networks of ``dataset``: images, rows of numbers, or text."""
    return {"mr": MR_PROTOCOL, "cifar10_features": FEATURES_PROTOCOL}.get(dataset, MNIST_PROTOCOL)


def setting(dataset: str, name: str) -> LossSetting:
    """The loss at its published setting for CIFAR-10, or for MNIST on every other data set."""
    if name == "CLL":
        return CLL
    return published("cifar10" if dataset in IS_CIFAR10 else "mnist", name)


def cell(
    dataset: str,
    noise: Noise,
    model: str,
    names: Sequence[str] = NAMES,
    seeds: Sequence[int] = SEEDS,
    protocol: dict | None = None,
) -> list[Run]:
    """Every loss of one cell, and CE on 90 % of the labels, to be stopped early; whole seeds."""
    runs, protocol = [], protocol or protocol_of(dataset)
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
    return of_sets("mnist", "fashion_mnist")


def benchmark_small() -> list[Run]:
    """Letters with the MLP under the same protocol, and CIFAR-10 as an MLP on frozen features."""
    return of_sets("letter", "cifar10_features")


def of_sets(*names: str) -> list[Run]:
    """Both noises of each data set, with the MLP."""
    return [run for name in names for noise in noises(name) for run in cell(name, noise, "mlp")]


def benchmark_mr() -> list[Run]:
    """Movie reviews with the word CNN and L_DMI's protocol: Adam, for which a loss scaled by a
    constant is nearly the same loss."""
    few = NAMES[:4]
    return [run for noise in noises("mr") for run in cell("mr", noise, "word_cnn", few)]


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


# ------------------------------------------------------------------ the same budget of tuning

# Cells whose runs take seconds, so that every loss can have its nine settings: one with generated
# noise, two with what people gave. The linear head is for notebook 09.
Place = tuple[int, int]
TUNED_CELLS: dict[str, tuple[str, Noise, str]] = {
    "letter": ("letter", noisy("symmetric", 0.6), "mlp"),
    "clothes": ("fashion_mnist_h", noisy("human", set="annotator"), "mlp"),
    "objects": ("cifar10_features", noisy("human", set="worse_label"), "mlp"),
    "objects, linear": ("cifar10_features", noisy("human", set="worse_label"), "linear"),
}
PLACES = tuple((step, decay) for step in range(3) for decay in range(3))
TUNING_SEEDS = (0, 1, 2)  # SEEDS, on all labels, judge what these choose


@cache
def pull_of(dataset: str, name: str) -> float:
    """|dL/dz_y| of a loss at its setting for ``dataset``, on an untrained network."""
    return pull(setting(dataset, name), data.INFO[dataset].num_classes)


def protocol_at(dataset: str, name: str, place: Place) -> dict:
    """The protocol of ``dataset`` with the learning rate and weight decay that put a loss at
    ``place``, in the effective units of notebook 03: step = lr x pull, decay = weight decay / pull,
    where pull is |dL/dz_y| on an untrained network.

    Place (2, 0) is that of CE as published, (0, 2) that of CLL, 1 the geometric mean; below 0 and
    above 2 the map goes on by the same factors. Rounded to three digits. No gradient is clipped, so
    that a loss times a constant is the same training at the same place.
    """
    protocol = protocol_of(dataset)
    mine, of_ce, of_cll = (pull_of(dataset, each) for each in (name, "CE", "CLL"))
    factor = (of_ce / of_cll) ** 0.5
    step = protocol["lr"] * of_cll * factor ** place[0]
    decay = protocol["weight_decay"] / of_ce * factor ** place[1]
    settings = {"lr": step / mine, "weight_decay": decay * mine}
    free = {key: value for key, value in protocol.items() if key != "clip_norm"}
    return {**free, **{key: float(f"{x:.3g}") for key, x in settings.items()}}


def tuning_runs(cell: str, name: str, places: Sequence[Place] = PLACES) -> list[Run]:
    """One loss at ``places``, on 90 % of the labels; the rest chooses among them."""
    dataset, noise, model = TUNED_CELLS[cell]
    return [
        Run(dataset, noise, setting(dataset, name), model, protocol_at(dataset, name, place), seed,
            val_fraction=HELD_OUT)
        for seed in TUNING_SEEDS
        for place in places
    ]  # fmt: skip


def tuning(cells: Sequence[str] = tuple(TUNED_CELLS)) -> list[Run]:
    """Eight losses at nine places in every cell; CE stopped early is chosen among CE's runs."""
    return [run for cell in cells for name in NAMES for run in tuning_runs(cell, name)]


def tuning_published(cells: Sequence[str] = tuple(TUNED_CELLS)) -> list[Run]:
    """The published setting of each loss, beside the tuned one, on all labels."""
    return [run for name in cells for run in cell(*TUNED_CELLS[name])]
