"""Methods that train more than once, as a run asks for them: a small class each."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from labelnoise.checks import check_integer, one_of
from labelnoise.config.protocols import checked_protocol
from labelnoise.noise.detection import FILTERS


@dataclass(frozen=True)
class Method:
    """What all methods share."""

    name: ClassVar[str]

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


METHODS: dict[str, type[Method]] = {
    made.name: made for made in (CrossValidation, Pruned, WarmStart)
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
