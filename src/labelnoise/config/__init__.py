"""What one training is asked to do: a ``Run``, plain data with a stable key.

A run's identity is its ``config``: what is asked, and nothing about the machine. Everything is
checked when a ``Run`` is made, so that a mistake is an error before any training.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from labelnoise import data, losses, models, noise
from labelnoise.checks import check_integer, is_number, one_of
from labelnoise.config.protocols import checked_protocol
from labelnoise.data import text
from labelnoise.noise.detection import FILTERS

NOISE_KINDS = ("clean", "symmetric", "asymmetric", "pairflip", "dmi", "instance", "human", "twin")
CIFAR10N = ("aggre_label", "random_label1", "random_label2", "random_label3", "worse_label")
HUMAN_SETS = {  # data set -> the sets of labels that people gave it
    "cifar10": CIFAR10N,
    "cifar10_features": CIFAR10N,
    "fashion_mnist_h": ("annotator", "majority", "worst"),
    "noisyag": ("annotator",),
}
PROBES = ("gradient", "clipped", "changed")
WITH_MATRIX = ("Forward", "Backward")  # losses that a transition matrix makes
ESTIMATES = ("anchors", "confident_joint", "oracle")
METHODS = {
    "cross_validation": {"folds": 5},
    "pruned": {"folds": 5, "filter": FILTERS[0]},
    "warm_start": {"protocol": {}},  # which has no default
}


@dataclass(frozen=True)
class Run:
    """One training.

    - ``dataset``: a name of ``data.INFO``.
    - ``noise``: ``{"kind": ..., "rate": ...}`` and the options of that kind; see ``noisy()``.
    - ``loss``: ``{"name": ..., "parameters": {...}}``; missing parameters take their defaults, so
      that spelling a default out does not make another run.
    - ``model``: a name of ``models.MODELS``.
    - ``protocol``: as ``protocols.MNIST_PROTOCOL``. ``momentum`` goes with the optimizer
      ``sgd``, not with ``adam``. At will, and absent where there is none of it: ``clip_norm``;
      ``l1``, a penalty l1 * sum |w|; ``augment``, some of ``augment.NAMES``, for images.
    - ``seed``: names every random stream, the flips included.
    - ``val_fraction``: the share of the training set that is held out, with its noisy labels, for
      choosing an epoch or a setting.
    - ``probe``: extra measurements, a curve each, whatever their order: ``gradient`` adds the share
      of the gradient norm (at the logits) that comes from mislabelled samples, and its mean;
      ``clipped`` the share of steps whose gradient was clipped, in percent; ``changed`` how many
      training samples are predicted otherwise than an epoch before.
    - ``subset``: train on the first n samples only (for tests), or None.
    - ``method``: for what trains more than once, ``{"name": ..., ...}``; see ``method()``. None,
      which a config leaves out, for a single training.
    """

    dataset: str
    noise: dict
    loss: dict
    model: str
    protocol: dict
    seed: int = 0
    val_fraction: float = 0.0
    probe: tuple[str, ...] = ()
    subset: int | None = None
    method: dict | None = None

    def __post_init__(self):
        one_of("dataset", self.dataset, [name for name in data.INFO if inputs(name)])
        one_of("model", self.model, models.MODELS)
        for name in self.probe:
            one_of("probe", name, PROBES)
        check_integer("seed", self.seed, 0)
        if self.subset is not None:
            check_integer("subset", self.subset, 2)
        if not is_number(self.val_fraction) or not 0 <= self.val_fraction < 1:
            raise ValueError(f"val_fraction={self.val_fraction!r} must lie in [0, 1)")
        canonical = {
            "noise": _checked_noise(self.dataset, self.noise),
            "loss": _checked_loss(self.dataset, self.loss),
            "protocol": checked_protocol(self.protocol),
            "val_fraction": float(self.val_fraction),
            "probe": tuple(name for name in PROBES if name in self.probe),
            "method": None if self.method is None else method(**self.method),
        }
        for name, value in canonical.items():
            object.__setattr__(self, name, value)
        self._check_fit()

    def _check_fit(self) -> None:
        """Text and images each have their own networks; what moves pixels is for images. A method
        that trains more than once is one method, on the whole training set; but a warm start
        chooses its weights on a validation set."""
        if self.method and self.estimates:
            raise ValueError("method and an estimated T are two methods in one run; choose one")
        if self.warm_start and not self.val_fraction:
            raise ValueError("warm_start chooses its weights on a noisy validation set: give "
                             "val_fraction, the share that is held out, e.g. 1/6")  # fmt: skip
        if self.val_fraction and self.trainings > 1 and not self.warm_start:
            raise ValueError(f"val_fraction={self.val_fraction} goes with a single training; "
                             "set it to 0 or leave the method")  # fmt: skip
        if self.loss["name"] == "DMI":
            self._check_dmi()
        holds, reads = inputs(self.dataset), models.READS[self.model]
        if holds not in reads:
            raise ValueError(f"model {self.model!r} reads {' or '.join(reads)}, but "
                             f"{self.dataset} is {holds}")  # fmt: skip
        stages = [self.protocol, *([self.warm_start] if self.warm_start else [])]
        moves = [name for p in stages for name in p.get("augment", ())]
        if holds != "images" and moves:
            raise ValueError(f"augment={', '.join(moves)} is for images, but {self.dataset} is "
                             f"{holds}: leave it")  # fmt: skip
        if holds != "images" and self.noise["kind"] == "instance":
            raise ValueError(f"instance noise is drawn from pixels, but {self.dataset} is {holds}")
        if "clipped" in self.probe and not all("clip_norm" in p for p in stages):
            raise ValueError("probe='clipped' counts clipped gradients, but the protocol has no "
                             "clip_norm: leave the probe out")  # fmt: skip

    def _check_dmi(self) -> None:
        """A loss of whole batches has no gradient of one sample, and needs K samples a batch."""
        if "gradient" in self.probe:
            raise ValueError("probe='gradient' measures each sample's own gradient, but the loss "
                             "DMI belongs to the whole batch: leave the probe out")  # fmt: skip
        K = data.INFO[self.dataset].num_classes
        for name, size in (("batch", self.protocol["batch"]), ("subset", self.subset)):
            if size is not None and size < K:
                raise ValueError(f"{name}={size} is too small for DMI with {K} classes, whose "
                                 f"determinant would be 0: take many times {K}")  # fmt: skip

    @property
    def config(self) -> dict:
        """What is asked, as plain JSON data."""
        asked = asdict(self)
        if self.method is None:
            del asked["method"]
        return json.loads(json.dumps(asked))

    @property
    def key(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON of ``config``."""
        return config_key(self.config)

    @property
    def label(self) -> str:
        """The loss and method as tables print them, e.g. ``CLL(target, sigma 1)``."""
        label = loss_label(self.loss)
        if self.loss["parameters"].get("T") == self.noise:
            label = f"{self.loss['name']}(true T)"
        if self.method is None:
            return label
        if self.warm_start:
            return f"{label}, warm start"
        how = {"cross_validation": "folds", "pruned": "filter"}[self.method["name"]]
        return f"{label}, {self.method['name'].replace('_', ' ')} ({how} {self.method[how]})"

    @property
    def estimates(self) -> dict | None:
        """How the matrix of the loss is estimated, None where it is given or there is none."""
        T = self.loss["parameters"].get("T", {})
        return T if "estimated" in T else None

    @property
    def warm_start(self) -> dict | None:
        """The protocol of the first stage, None where the run has no such stage."""
        method = self.method or {}
        return method["protocol"] if method.get("name") == "warm_start" else None

    @property
    def trainings(self) -> int:
        """How often the run trains its network: 1, or a training for every fold and stage. (An
        oracle needs none to tell T.)"""
        folds = (self.method or self.estimates or {}).get("folds", 1)
        if self.method and self.method["name"] == "cross_validation":
            return folds
        first = self.method or (self.estimates and self.estimates["estimated"] != "oracle")
        return folds + 1 if first else 1

    @property
    def epochs(self) -> int:
        """The epochs of all its trainings."""
        if self.warm_start:
            return self.warm_start["epochs"] + self.protocol["epochs"]
        return self.trainings * self.protocol["epochs"]


def inputs(dataset: str) -> str | None:
    """What a data set holds: ``images``, ``numbers`` (rows of them) or ``text``; None if nothing to
    train on (CIFAR-10N, which is labels alone)."""
    if dataset in text.DATASETS:
        return "text"
    return {3: "images", 1: "numbers"}.get(len(data.INFO[dataset].shape))


def config_key(config: dict) -> str:
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def loss_label(loss: dict) -> str:
    """The name of a loss, which alone stands for its published MNIST setting; parameters that
    differ follow, e.g. ``AEL(a 1)``. CLL's form and bandwidth are always there: they make it."""
    name, settings = loss["name"], loss["parameters"]
    if name in WITH_MATRIX:
        T = settings["T"]
        if "estimated" in T:
            judge = f" of {loss_label(T['judge'])}" if "judge" in T else ""
            return f"{name}(T from {T['estimated'].replace('_', ' ')}{judge})"
        kept = ", true label kept" if T.get("keep_true") else ""
        return f"{name}(T {T['kind']} {T.get('rate', 0):g}{kept})"
    if name == "CLL":
        scaled = ", normalised" if settings["normalise"] else ""
        return f"CLL({settings['form']}, sigma {settings['sigma']:g}{scaled})"
    usual = published("mnist", name)["parameters"] if name in losses.PUBLISHED["mnist"] else {}
    usual = losses.build(name).settings() if name == "DMI" else usual
    differs = [f"{k} {v:.3g}" if is_number(v) else f"{k} {v}"
               for k, v in settings.items() if k not in usual or v != usual[k]]  # fmt: skip
    return name + (f"({', '.join(differs)})" if differs else "")


def noisy(kind: str, rate: float = 0.0, **options: object) -> dict:
    """A noise setting with every option spelled out.

    symmetric: ``keep_true``, ``exact``; asymmetric, pairflip: ``exact``; dmi: ``pattern``;
    instance: no option; human: ``set``, one of the data set's ``HUMAN_SETS``; twin: ``of``, such a
    set, which must be given: synthetic flips, drawn by seed, with the exact counts of that set's
    own confusion matrix; clean: nothing.
    """
    defaults = {
        "symmetric": {"keep_true": False, "exact": False},
        "asymmetric": {"exact": False},
        "pairflip": {"exact": False},
        "dmi": {"pattern": "independent"},
        "human": {"set": "worse_label"},
        "twin": {"of": None},
    }
    one_of("noise kind", kind, NOISE_KINDS)
    if kind == "twin" and options.get("of") is None:
        raise ValueError("twin noise needs the set of people's labels that it imitates: give of, "
                         "e.g. of='worse_label'")  # fmt: skip
    if unknown := set(options) - set(defaults.get(kind, {})):
        raise ValueError(
            f"{kind} noise has no option {sorted(unknown)}; it has {sorted(defaults.get(kind, {}))}"
        )
    for name in {"keep_true", "exact"} & set(options):
        if not isinstance(options[name], bool):
            raise ValueError(f"{name}={options[name]!r} must be True or False")
    noise.symmetric(2, rate)  # refuses a rate outside [0, 1]
    rate = {} if kind in ("clean", "human", "twin") else {"rate": float(rate)}
    return {"kind": kind, **rate, **defaults.get(kind, {}), **options}


def transition_matrix(dataset: str, setting: dict):
    """The ``[K, K]`` matrix of a noise setting; None where there is none (instance), or only one
    that is counted (human, twin)."""
    K = data.INFO[dataset].num_classes
    kind, rate = setting["kind"], setting.get("rate", 0.0)
    if kind == "clean":
        return noise.symmetric(K, 0.0)
    if kind == "symmetric":
        return noise.symmetric(K, rate, keep_true=setting["keep_true"])
    if kind == "asymmetric":
        return noise.asymmetric(dataset, rate)
    if kind == "pairflip":
        return noise.pairflip(K, rate)
    if kind == "dmi":
        return noise.dmi(setting["pattern"], rate)
    return None


def _checked_noise(dataset: str, setting: dict) -> dict:
    if not isinstance(setting, dict) or "kind" not in setting or setting != noisy(**setting):
        raise ValueError(
            f"noise={setting!r} must spell out its kind and every option; build it "
            "with experiments.noisy(kind, rate, ...)"
        )
    if setting["kind"] in ("human", "twin"):
        if dataset not in HUMAN_SETS:
            raise ValueError(
                f"people's labels exist for {', '.join(HUMAN_SETS)} only, not {dataset!r}"
            )
        name = setting["set"] if setting["kind"] == "human" else setting["of"]
        one_of(f"set of people's labels of {dataset}", name, HUMAN_SETS[dataset])
    if setting.get("pattern") == "cifar10-dependent" and dataset != "cifar10":
        raise ValueError(f"this pattern is for cifar10 only, not {dataset!r}")
    T = transition_matrix(dataset, setting)
    if T is not None and len(T) != (K := data.INFO[dataset].num_classes):
        raise ValueError(f"noise={setting!r} is for {len(T)} classes; {dataset} has {K}")
    return noisy(**setting)


def method(name: str, **options: object) -> dict:
    """A method that trains more than once, with every option spelled out.

    - ``cross_validation``: ``folds`` networks, each trained on all samples but one fold's. The
      record has the mean of their curves, and the out-of-sample probabilities of every sample.
    - ``pruned``: a cross-validation, then a training on the samples whose label cleanlab's
      ``filter`` does not suspect.
    - ``warm_start``: the two stages of L_DMI. First CE with ``protocol``, which has to be given;
      then the run's loss with the run's protocol and a fresh optimiser, from the weights of the
      epoch with the best accuracy on the noisy validation set (the first of equals).
    """
    one_of("method", name, METHODS)
    if unknown := set(options) - set(METHODS[name]):
        raise ValueError(
            f"method {name} has no option {sorted(unknown)}; it has {sorted(METHODS[name])}"
        )
    made = {"name": name, **METHODS[name], **options}
    if "protocol" in made:
        made["protocol"] = checked_protocol(made["protocol"])
    if "folds" in made:
        check_integer("folds", made["folds"], 2)
    if "filter" in made:
        one_of("filter", made["filter"], FILTERS)
    return made


def build_loss(dataset: str, loss: dict) -> losses.Loss:
    """The loss of a run. ``Forward`` and ``Backward`` are made with the matrix of the noise that
    their ``T`` names, which must not be one that is yet to be estimated."""
    if loss["name"] in WITH_MATRIX:
        return losses.build(loss["name"], T=transition_matrix(dataset, loss["parameters"]["T"]))
    return losses.build(loss["name"], **loss["parameters"])


def _checked_loss(dataset: str, loss: dict) -> dict:
    checked = _spelled_out("loss", loss)
    T = checked["parameters"].get("T")
    if T and "estimated" not in T:
        if T["kind"] in ("instance", "human", "twin"):
            raise ValueError(
                f"T={T!r}: noise of this kind has no matrix; name another, or estimate it"
            )
        _checked_noise(dataset, T)
        build_loss(dataset, checked)  # refuses a singular matrix for Backward
    return checked


def _spelled_out(what: str, loss: dict) -> dict:
    fits = isinstance(loss, dict) and "name" in loss and not set(loss) - {"name", "parameters"}
    if not fits or not isinstance(loss.get("parameters", {}), dict):
        raise ValueError(f"{what}={loss!r} must be {{'name': ..., 'parameters': {{...}}}}")
    return loss_setting(loss["name"], **loss.get("parameters", {}))


def _checked_T(estimated: str | None = None, **options) -> dict:
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
    if not has:
        return {"estimated": estimated}
    made = {"folds": 5, **options}
    check_integer("folds", made["folds"], 2)
    if "judge" in made:
        made["judge"] = _spelled_out("judge", made["judge"])
        if made["judge"]["name"] in (*WITH_MATRIX, "DMI"):
            raise ValueError(f"judge={made['judge']['name']} needs a matrix or a warm start, and "
                             "has none before T is estimated; take a loss such as GCE")  # fmt: skip
        if made["judge"] == loss_setting("CE"):  # the default, which a config leaves out
            del made["judge"]
    return {"estimated": estimated, **made}


def loss_setting(name: str, **parameters: object) -> dict:
    """A loss with every hyper-parameter spelled out; a run's loss is always a batch mean.

    The ``T`` of ``Forward`` and ``Backward`` is a noise setting, whose matrix is assumed, or
    ``{"estimated": "anchors"}`` or ``{"estimated": "confident_joint", "folds": 5}``: then a first
    training estimates it, with CE or, of the latter, with the loss setting ``judge``. With
    ``{"estimated": "oracle"}`` it is counted from the given and the true labels, which nobody has.
    """
    if "reduction" in parameters:
        raise ValueError("reduction is not a setting of a run: training takes the mean")
    if name in WITH_MATRIX:
        if set(parameters) != {"T"} or not isinstance(parameters["T"], dict):
            raise ValueError(f"{name} takes one parameter, T, as noisy(...) makes it or "
                             f"{{'estimated': ...}}; got {parameters!r}")  # fmt: skip
        return {"name": name, "parameters": {"T": _checked_T(**parameters["T"])}}
    return {"name": name, "parameters": losses.build(name, **parameters).settings()}


def published(dataset: str, name: str) -> dict:
    """The loss with the hyper-parameters of the published protocol."""
    return loss_setting(name, **losses.PUBLISHED[dataset][name]["parameters"])
