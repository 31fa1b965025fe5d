"""Label noise as a run asks for it: a small class a kind, with its options, checks and matrix.

``noisy(kind, rate, ...)`` makes one; ``as_config`` turns it into the JSON of a record's config. To
add a kind: a class here, among ``KINDS``, and what it does to labels in ``training.task``.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import ClassVar

import numpy as np

from labelnoise import data, noise
from labelnoise.checks import check_rate, flag, one_of

CIFAR10N = ("aggre_label", "random_label1", "random_label2", "random_label3", "worse_label")
HUMAN_SETS = {  # data set -> the sets of labels that people gave it
    "cifar10": CIFAR10N,
    "cifar10_features": CIFAR10N,
    "fashion_mnist_h": ("annotator", "majority", "worst"),
    "noisyag": ("annotator",),
}


@dataclass(frozen=True)
class Noise:
    """What all kinds share."""

    kind: ClassVar[str]

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            check = CHECKS.get(field.name)
            object.__setattr__(self, field.name, check(value) if check else value)

    def as_config(self) -> dict:
        """As plain JSON data, every option spelled out."""
        return {"kind": self.kind, **asdict(self)}

    def matrix(self, dataset: str) -> np.ndarray | None:
        """The ``[K, K]`` matrix; None where there is none (instance), or only one that is counted
        (human, twin)."""
        return None

    def check(self, dataset: str) -> None:
        """``ValueError`` if ``dataset`` cannot have this noise."""
        T, K = self.matrix(dataset), data.INFO[dataset].num_classes
        if T is not None and len(T) != K:
            raise ValueError(f"{self} is for {len(T)} classes; {dataset} has {K}")


CHECKS: dict[str, Callable] = {
    "rate": check_rate,
    "keep_true": lambda value: flag("keep_true", value),
    "exact": lambda value: flag("exact", value),
    "raw_pixels": lambda value: flag("raw_pixels", value),
}


@dataclass(frozen=True)
class Clean(Noise):
    """No noise."""

    kind = "clean"

    def matrix(self, dataset: str) -> np.ndarray:
        return np.eye(data.INFO[dataset].num_classes)


@dataclass(frozen=True)
class Symmetric(Noise):
    """A flip goes to any class alike: ``noise.symmetric``. ``exact``: exact counts per class."""

    rate: float
    keep_true: bool = False
    exact: bool = False
    kind = "symmetric"

    def matrix(self, dataset: str) -> np.ndarray:
        K = data.INFO[dataset].num_classes
        return noise.symmetric(K, self.rate, keep_true=self.keep_true)


@dataclass(frozen=True)
class Asymmetric(Noise):
    """A flip goes to the class that looks alike: ``noise.asymmetric``."""

    rate: float
    exact: bool = False
    kind = "asymmetric"

    def matrix(self, dataset: str) -> np.ndarray:
        return noise.asymmetric(dataset, self.rate)


@dataclass(frozen=True)
class Pairflip(Noise):
    """A flip goes to the next class: ``noise.pairflip``."""

    rate: float
    exact: bool = False
    kind = "pairflip"

    def matrix(self, dataset: str) -> np.ndarray:
        return noise.pairflip(data.INFO[dataset].num_classes, self.rate)


@dataclass(frozen=True)
class OfDMI(Noise):
    """The patterns of the L_DMI experiments: ``noise.dmi``."""

    rate: float
    pattern: str = "independent"
    kind = "dmi"

    def matrix(self, dataset: str) -> np.ndarray:
        return noise.dmi(self.pattern, self.rate)

    def check(self, dataset: str) -> None:
        if self.pattern == "cifar10-dependent" and dataset != "cifar10":
            raise ValueError(f"this pattern is for cifar10 only, not {dataset!r}")
        super().check(dataset)


@dataclass(frozen=True)
class Instance(Noise):
    """A flip depends on the image: ``noise.instance_rows``. ``raw_pixels``: projects pixels as they
    are, 0 to 255, as the public code of Xia et al. does, and not standardised ones."""

    rate: float
    raw_pixels: bool = False
    kind = "instance"

    def as_config(self) -> dict:
        """The option is named where it is asked for, since keys are older than it."""
        return {"kind": self.kind, "rate": self.rate,
                **({"raw_pixels": True} if self.raw_pixels else {})}  # fmt: skip


@dataclass(frozen=True)
class Human(Noise):
    """The labels that people gave: one of the data set's ``HUMAN_SETS``."""

    set: str = "worse_label"
    kind = "human"

    def check(self, dataset: str) -> None:
        check_people(dataset, self.set)


@dataclass(frozen=True)
class Twin(Noise):
    """Synthetic flips, drawn by seed, with the exact counts of the confusion matrix of the set of
    people's labels that it imitates."""

    of: str
    kind = "twin"

    def check(self, dataset: str) -> None:
        check_people(dataset, self.of)


KINDS: dict[str, type[Noise]] = {
    made.kind: made
    for made in (Clean, Symmetric, Asymmetric, Pairflip, OfDMI, Instance, Human, Twin)
}


def check_people(dataset: str, name: str) -> None:
    """``ValueError`` unless people gave ``dataset`` a set of labels of this name."""
    if dataset not in HUMAN_SETS:
        raise ValueError(f"people's labels exist for {', '.join(HUMAN_SETS)} only, not {dataset!r}")
    one_of(f"set of people's labels of {dataset}", name, HUMAN_SETS[dataset])


def noisy(kind: str, rate: float = 0.0, **options: object) -> Noise:
    """A noise of this kind, with the options of its class; ``rate`` says nothing where people's
    labels, or none, are asked for.

    Raises ``ValueError`` for an unknown kind or option, a rate outside [0, 1], and for a twin
    without ``of``.
    """
    one_of("noise kind", kind, KINDS)
    made, rate = KINDS[kind], check_rate(rate)
    known = {field.name for field in fields(made)}
    if unknown := sorted(set(options) - (known - {"rate"})):
        raise ValueError(f"{kind} noise has no option {unknown}; it has {sorted(known - {'rate'})}")
    if made is Twin and options.get("of") is None:
        raise ValueError("twin noise needs the set of people's labels that it imitates: give of, "
                         "e.g. of='worse_label'")  # fmt: skip
    return made(**({"rate": rate} if "rate" in known else {}), **options)


def noise_of(setting: Noise | dict) -> Noise:
    """A noise, or the one of a config; ``ValueError`` unless it spells out every option."""
    if isinstance(setting, Noise):
        return setting
    if isinstance(setting, dict) and "kind" in setting:
        made = noisy(**setting)
        if made.as_config() == setting:
            return made
    raise ValueError(f"noise={setting!r} must spell out its kind and every option; build it with "
                     "experiments.noisy(kind, rate, ...)")  # fmt: skip
