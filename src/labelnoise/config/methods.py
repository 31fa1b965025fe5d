"""Methods that train more than once, as a run asks for them: a small class each."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from labelnoise import data
from labelnoise.checks import check_integer, one_of
from labelnoise.config.protocols import checked_protocol
from labelnoise.noise.detection import FILTERS


@dataclass(frozen=True)
class Method:
    """What all methods share."""

    name: ClassVar[str]

    def check(self, dataset: str) -> None:
        """``ValueError`` if ``dataset`` cannot be trained on by this method."""

    def as_config(self) -> dict:
        """As plain JSON data, every option spelled out."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class CrossValidation(Method):
    """``folds`` networks, each trained on all samples but one fold's. The record has the mean of
    their curves, and the out-of-sample probabilities of every sample."""

    folds: int = 5
    name = "cross_validation"

    def __post_init__(self):
        check_integer("folds", self.folds, 2)

    @property
    def trainings(self) -> int:
        return self.folds

    @property
    def label(self) -> str:
        return f"cross validation (folds {self.folds})"


@dataclass(frozen=True)
class Pruned(Method):
    """A cross-validation, then a training on the samples whose label cleanlab's ``filter`` does not
    suspect."""

    folds: int = 5
    filter: str = FILTERS[0]
    name = "pruned"

    def __post_init__(self):
        check_integer("folds", self.folds, 2)
        one_of("filter", self.filter, FILTERS)

    @property
    def trainings(self) -> int:
        return self.folds + 1

    @property
    def label(self) -> str:
        return f"pruned (filter {self.filter})"


@dataclass(frozen=True)
class WarmStart(Method):
    """The two stages of L_DMI. First CE with ``protocol``; then the run's loss with the run's
    protocol and a fresh optimiser, from the weights of the epoch with the best accuracy on the
    noisy validation set (the first of equals)."""

    protocol: dict
    name = "warm_start"
    trainings = 2
    label = "warm start"

    def __post_init__(self):
        object.__setattr__(self, "protocol", checked_protocol(self.protocol))


@dataclass(frozen=True)
class SuspectList(Method):
    """A list of suspects as a user makes it, of ``size`` training samples, as many of each true
    class, but of the class ``rare``, if there is one, 1 % of them and no fewer than ``folds``. They
    keep the labels that the run's noise gives them. ``folds`` networks judge samples that they
    never saw, and beside them scikit-learn's random forest and logistic regression, on the same
    folds. The record has how well each finds the wrong labels, and what its signs are of."""

    size: int = 2000
    rare: int | None = None
    folds: int = 5
    name = "suspect_list"

    def __post_init__(self):
        check_integer("folds", self.folds, 2)
        check_integer("size", self.size, 2 * self.folds)
        if self.rare is not None:
            check_integer("rare", self.rare, 0)

    def check(self, dataset: str) -> None:
        info = data.INFO[dataset]
        if not info.shape:
            raise ValueError(f"method suspect_list is for images and rows of numbers, which "
                             f"scikit-learn's judges can read; {dataset} has none")  # fmt: skip
        if self.rare is not None and self.rare >= info.num_classes:
            raise ValueError(f"rare={self.rare} is no class of {dataset}, which has "
                             f"{info.num_classes}: 0 to {info.num_classes - 1}")  # fmt: skip

    @property
    def trainings(self) -> int:
        return self.folds

    @property
    def label(self) -> str:
        rare = "" if self.rare is None else f", class {self.rare} rare"
        return f"suspect list ({self.size} samples{rare})"


METHODS: dict[str, type[Method]] = {
    made.name: made for made in (CrossValidation, Pruned, WarmStart, SuspectList)
}


def method(name: str, **options: object) -> Method:
    """A method by its name, with the options of its class; ``ValueError`` for one that is unknown,
    and for options that it does not have or that are not theirs."""
    one_of("method", name, METHODS)
    known = set(METHODS[name].__dataclass_fields__)
    if unknown := sorted(set(options) - known):
        raise ValueError(f"method {name} has no option {unknown}; it has {sorted(known)}")
    if METHODS[name] is WarmStart and "protocol" not in options:
        raise ValueError("method warm_start needs the protocol of its first stage: give protocol")
    return METHODS[name](**options)
