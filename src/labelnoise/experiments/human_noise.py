"""The grids of notebook 09: labels that people gave, each set beside its synthetic twin.

**People and twin.** The twin's flips have the exact counts of people's confusion matrix and fall on
whatever image the seed draws: what a twin lacks is that people err on images that look like another
class. The labels of CIFAR-10N do not change with the seed, nor does the majority of Fashion-MNIST-H
or NoisyAG's annotator: there a seed draws the initial weights and orders, and the twin's flips. The
other sets of Fashion-MNIST-H draw their annotators by seed.

**Networks.** CIFAR-10 as frozen features with a linear head and with an MLP; clothes with the MLP,
one set also with the CNN; news with the word CNN of the movie reviews. Losses stand at the settings
of notebook 05, the MLPs under its protocols. Seeds are those of 05, so that its runs are shared.

Judged by ``rules/human_noise.py``.
"""

from collections.abc import Sequence

from labelnoise.config import Noise, Run, loss_setting, method, noisy, published
from labelnoise.config.noise import HUMAN_SETS
from labelnoise.experiments.benchmark import FEW_SEEDS, SEEDS, cell, protocol_of, setting
from labelnoise.experiments.dmi import FASHION_PROTOCOL, FASHION_SECOND, MR_PROTOCOL

ORACLE = loss_setting("Forward", T={"estimated": "oracle"})
COUNTED = loss_setting("Forward", T={"estimated": "confident_joint"})

# News are more words and fewer texts than the movie reviews, and learnt in fewer epochs.
NEWS_PROTOCOL = {**MR_PROTOCOL, "epochs": 20}
IN_NEWS = ("CE", "CLL", "GCE", "NCE+RCE")


def pair(name: str) -> tuple[Noise, Noise]:
    """People's set ``name``, and its twin."""
    return noisy("human", set=name), noisy("twin", of=name)


def pairs(dataset: str) -> list[Noise]:
    """Every set of labels that people gave ``dataset``, each followed by its twin."""
    return [noise for name in HUMAN_SETS[dataset] for noise in pair(name)]


def compared(dataset: str, model: str, seeds: Sequence[int] = SEEDS) -> list[Run]:
    """The losses of 05, CE stopped early and forward correction with the oracle's T."""
    protocol = protocol_of(dataset)
    runs = []
    for noise in pairs(dataset):
        runs += cell(dataset, noise, model, seeds=seeds)
        runs += [Run(dataset, noise, ORACLE, model, protocol, seed) for seed in seeds]
    return runs


def human_objects() -> list[Run]:
    """CIFAR-10N's five sets on frozen features, with both heads."""
    return [run for model in ("linear", "mlp") for run in compared("cifar10_features", model)]


def human_clothes() -> list[Run]:
    """Fashion-MNIST-H's three sets with the MLP."""
    return compared("fashion_mnist_h", "mlp")


def human_clothes_cnn(seeds: Sequence[int] = FEW_SEEDS) -> list[Run]:
    """One annotator's labels with the CNN."""
    return [
        run
        for noise in pair("annotator")
        for run in cell("fashion_mnist_h", noise, "cnn4", ("CE", "CLL", "GCE"), seeds)
    ]


def human_news(seeds: Sequence[int] = FEW_SEEDS) -> list[Run]:
    """NoisyAG-News with the word CNN."""
    return [
        run
        for noise in pair("annotator")
        for run in cell("noisyag", noise, "word_cnn", IN_NEWS, seeds, NEWS_PROTOCOL)
    ]


def human_counted(seeds: Sequence[int] = FEW_SEEDS) -> list[Run]:
    """Forward correction with the T of cleanlab's confident joint, six trainings a run: objects
    with the linear head, and clothes."""
    networks = {"cifar10_features": "linear", "fashion_mnist_h": "mlp"}
    return [
        Run(dataset, noise, COUNTED, model, protocol_of(dataset), seed)
        for dataset, model in networks.items()
        for noise in pairs(dataset)
        for seed in seeds
    ]


def human_dmi(seeds: Sequence[int] = FEW_SEEDS) -> list[Run]:
    """L_DMI beside CE on clothes, both in the two stages of notebook 07, with the MLP."""
    stage = method("warm_start", protocol=FASHION_PROTOCOL)
    return [
        Run("fashion_mnist_h", noise, loss, "mlp", FASHION_SECOND, seed, val_fraction=1 / 6,
            method=stage)
        for seed in seeds
        for noise in pairs("fashion_mnist_h")
        for loss in (published("mnist", "CE"), loss_setting("DMI"))
    ]  # fmt: skip


def human_detectors(seeds: Sequence[int] = FEW_SEEDS) -> list[Run]:
    """Who finds people's mistakes: out-of-sample probabilities by five folds, on two sets of
    objects (linear head) and two of clothes (MLP)."""
    cells = (
        *(("cifar10_features", "linear", name) for name in ("random_label1", "worse_label")),
        *(("fashion_mnist_h", "mlp", name) for name in ("annotator", "worst")),
    )
    return [
        Run(dataset, noise, setting(dataset, loss), model, protocol_of(dataset), seed,
            method=method("cross_validation"))
        for seed in seeds
        for dataset, model, name in cells
        for noise in pair(name)
        for loss in ("CE", "GCE", "CLL")
    ]  # fmt: skip
