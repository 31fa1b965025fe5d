"""A loss as a run asks for it: its name, every hyper-parameter, and the one way to make it."""

from dataclasses import dataclass, field

import numpy as np

from labelnoise import losses
from labelnoise.checks import check_integer, is_number, one_of
from labelnoise.config.noise import Noise, noisy

WITH_MATRIX = ("Forward", "Backward")  # losses that a transition matrix makes
ESTIMATES = ("anchors", "confident_joint", "oracle")


@dataclass(frozen=True)
class LossSetting:
    """A loss with every hyper-parameter spelled out, as ``loss_setting`` and ``published`` make it;
    a run's loss is always a batch mean. The ``T`` of ``Forward`` and ``Backward`` is a ``Noise``,
    whose matrix is assumed, or ``Estimated``."""

    name: str
    parameters: dict = field(default_factory=dict)

    def as_config(self) -> dict:
        """As plain JSON data."""
        T = {"T": self.parameters["T"].as_config()} if "T" in self.parameters else {}
        return {"name": self.name, "parameters": {**self.parameters, **T}}

    @property
    def estimated(self) -> "Estimated | None":
        """How its matrix is estimated; None where it is given, or there is none."""
        T = self.parameters.get("T")
        return T if isinstance(T, Estimated) else None

    def build(self, dataset: str = "mnist", T: np.ndarray | None = None) -> losses.Loss:
        """The loss. ``Forward`` and ``Backward`` are made with the matrix ``T``, ``[K, K]``, or
        with that of the noise that they assume, for the classes of ``dataset``."""
        if self.name not in WITH_MATRIX:
            loss = losses.build(self.name, **self.parameters)
        else:
            T = self.parameters["T"].matrix(dataset) if T is None else T
            loss = losses.build(self.name, T=T)
        loss.ignore_index = None  # the labels of a run are all there, and checked before it trains
        return loss

    def check(self, dataset: str) -> None:
        """``ValueError`` if ``dataset`` cannot be trained with it: its matrix is of other classes,
        unknown, or singular where it is inverted."""
        T = self.parameters.get("T")
        if not isinstance(T, Noise):
            return
        if T.kind in ("instance", "human", "twin"):
            raise ValueError(
                f"T={T}: noise of this kind has no matrix; name another, or estimate it"
            )
        T.check(dataset)
        self.build(dataset)

    @property
    def label(self) -> str:
        """Its name, which alone stands for its published MNIST setting; parameters that differ
        follow, e.g. ``AEL(a 1)``. CLL's form and bandwidth are always there: they make it."""
        if self.name in WITH_MATRIX:
            return f"{self.name}(T {of_matrix(self.parameters['T'])})"
        if self.name == "CLL":
            form, sigma = self.parameters["form"], self.parameters["sigma"]
            scaled = ", normalised" if self.parameters["normalise"] else ""
            return f"CLL({form}, sigma {sigma:g}{scaled})"
        usual = {}
        if self.name in losses.PUBLISHED["mnist"]:
            usual = published("mnist", self.name).parameters
        elif self.name == "DMI":
            usual = losses.build("DMI").settings()
        differs = {k: v for k, v in self.parameters.items() if k not in usual or v != usual[k]}
        shown = [f"{k} {v:.3g}" if is_number(v) else f"{k} {v}" for k, v in differs.items()]
        return self.name + (f"({', '.join(shown)})" if shown else "")


@dataclass(frozen=True)
class Estimated:
    """A matrix that a first training estimates: from ``anchors`` (``noise.estimation``), from the
    ``confident_joint`` of a cross-validation with ``folds`` networks, trained with the loss
    ``judge``; or, by an ``oracle`` that nobody has, counted from given and true labels."""

    by: str
    folds: int = 5
    judge: LossSetting = LossSetting("CE")

    def __post_init__(self):
        one_of("estimate of T", self.by, ESTIMATES)
        check_integer("folds", self.folds, 2)
        if self.judge.name in (*WITH_MATRIX, "DMI"):
            raise ValueError(f"judge={self.judge.name} needs a matrix or a warm start, and has "
                             "none before T is estimated; take a loss such as GCE")  # fmt: skip

    def as_config(self) -> dict:
        """As plain JSON data; CE as a judge, the default, is left out."""
        if self.by != "confident_joint":
            return {"estimated": self.by}
        judge = {} if self.judge == LossSetting("CE") else {"judge": self.judge.as_config()}
        return {"estimated": self.by, "folds": self.folds, **judge}

    @property
    def trainings(self) -> int:
        """How often a network is trained, the corrected one included."""
        return {"anchors": 2, "confident_joint": self.folds + 1, "oracle": 1}[self.by]


def of_matrix(T: Noise | Estimated) -> str:
    """The matrix of a loss in its label."""
    if isinstance(T, Noise):
        kept = ", true label kept" if getattr(T, "keep_true", False) else ""
        return f"{T.kind} {getattr(T, 'rate', 0):g}{kept}"
    counted = T.by == "confident_joint" and T.judge != LossSetting("CE")
    return f"from {T.by.replace('_', ' ')}" + (f" of {T.judge.label}" if counted else "")


def loss_setting(name: str, **parameters: object) -> LossSetting:
    """A loss with every hyper-parameter spelled out: those that are missing take their defaults, so
    that spelling a default out does not make another run.

    The ``T`` of ``Forward`` and ``Backward`` is a noise, ``Estimated``, or either as a config has
    it, e.g. ``{"estimated": "confident_joint", "folds": 5}``. ``ValueError`` for what is none.
    """
    if shared := parameters.keys() & losses.base.SHARED:
        raise ValueError(f"{shared.pop()} is not a setting of a run: training takes the mean, of "
                         "all samples")  # fmt: skip
    if name not in WITH_MATRIX:
        return LossSetting(name, losses.build(name, **parameters).settings())
    T = parameters.get("T")
    if set(parameters) != {"T"} or not isinstance(T, Noise | Estimated | dict):
        raise ValueError(f"{name} takes one parameter, T, as noisy(...) makes it or "
                         f"{{'estimated': ...}}; got {parameters!r}")  # fmt: skip
    return LossSetting(name, {"T": matrix_of(**T) if isinstance(T, dict) else T})


def matrix_of(estimated: str | None = None, **options: object) -> Noise | Estimated:
    """The ``T`` of a config."""
    if estimated is None:
        if "kind" not in options:
            raise ValueError(
                f"T={options!r} names neither the kind of a noise nor how T is estimated"
            )
        return noisy(**options)
    one_of("estimate of T", estimated, ESTIMATES)
    has = ("folds", "judge") if estimated == "confident_joint" else ()
    if unknown := sorted(set(options) - set(has)):
        raise ValueError(f"T estimated from {estimated} has no option {unknown}; it has "
                         f"{', '.join(has) or 'none'}")  # fmt: skip
    if "judge" in options:
        options["judge"] = loss_of(options["judge"], "judge")
    return Estimated(estimated, **options)


def loss_of(setting: LossSetting | dict, what: str = "loss") -> LossSetting:
    """A loss, or the one of a config; ``ValueError`` for what is none."""
    if isinstance(setting, LossSetting):
        return setting
    fits = (
        isinstance(setting, dict)
        and "name" in setting
        and not set(setting) - {"name", "parameters"}
    )
    if not fits or not isinstance(setting.get("parameters", {}), dict):
        raise ValueError(f"{what}={setting!r} must be {{'name': ..., 'parameters': {{...}}}}")
    return loss_setting(setting["name"], **setting.get("parameters", {}))


def published(dataset: str, name: str) -> LossSetting:
    """The loss with the hyper-parameters of the published protocol."""
    return loss_setting(name, **losses.PUBLISHED[dataset][name]["parameters"])
