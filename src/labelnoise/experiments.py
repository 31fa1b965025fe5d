"""What is run: protocols, grids and profiles, as plain data. One ``Run`` is one training.

A run's identity is its ``config``: what is asked, and nothing about the machine. Everything is
checked when a ``Run`` is made, so that a mistake is an error before any training.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from labelnoise import augment, data, losses, models, noise, text
from labelnoise.losses.base import is_number, positive

# The protocols of ALFs (Zhou et al. 2021; public code lnl/main.py): all weights decayed, the
# learning rate on a cosine from lr to 0, stepped once an epoch; MNIST without augmentation. The
# networks are cnn4, cnn8 and resnet34.
MNIST_PROTOCOL = {
    "optimizer": "sgd",
    "epochs": 50,
    "batch": 128,
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 1e-3,
    "schedule": "cosine",
    "clip_norm": 5.0,
}

CIFAR10_PROTOCOL = {
    **MNIST_PROTOCOL, "epochs": 120, "weight_decay": 1e-4, "augment": ("crop", "flip")
}  # fmt: skip
CIFAR100_PROTOCOL = {
    **MNIST_PROTOCOL, "epochs": 200, "lr": 0.1, "weight_decay": 1e-5,
    "augment": ("crop", "flip", "rotation"),
}  # fmt: skip

# The MNIST protocol of ANL (Ye et al. 2023): an L1 penalty l1 * sum |w| in place of weight decay.
ANL_PROTOCOL = {**MNIST_PROTOCOL, "weight_decay": 0.0, "l1": 1e-6}

# The first stage of L_DMI on MR (Xu et al. 2019; public code MR/main.py), without clipping. There
# the loss is a sum over the batch, which Adam hardly sees, and Adam starts afresh every epoch.
MR_PROTOCOL = {
    "optimizer": "adam",
    "epochs": 50,
    "batch": 128,
    "lr": 1e-3,
    "weight_decay": 0.0,
    "schedule": "constant",
}

NOISE_KINDS = ("clean", "symmetric", "asymmetric", "pairflip", "dmi", "instance", "human")
HUMAN_SETS = ("aggre_label", "random_label1", "random_label2", "random_label3", "worse_label")
PROBES = ("gradient",)
REALS = ("lr", "momentum", "weight_decay", "clip_norm", "l1")


@dataclass(frozen=True)
class Run:
    """One training.

    - ``dataset``: a name of ``data.INFO``.
    - ``noise``: ``{"kind": ..., "rate": ...}`` and the options of that kind; see ``noisy()``.
    - ``loss``: ``{"name": ..., "parameters": {...}}``; missing parameters take their defaults, so
      that spelling a default out does not make another run.
    - ``model``: a name of ``models.MODELS``.
    - ``protocol``: as ``MNIST_PROTOCOL``. ``momentum`` goes with the optimizer ``sgd``, not with
      ``adam``. At will, and absent where there is none of it: ``clip_norm``; ``l1``, a penalty
      l1 * sum |w|; ``augment``, some of ``augment.NAMES``, for images.
    - ``seed``: names every random stream, the flips included.
    - ``val_fraction``: the share of the training set that is held out, with its noisy labels, for
      choosing an epoch or a setting.
    - ``probe``: extra measurements: ``gradient`` adds the share of the gradient norm (at the
      logits) that comes from mislabelled samples, and its mean.
    - ``subset``: train on the first n samples only (for tests), or None.
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

    def __post_init__(self):
        images = [d for d, i in data.INFO.items() if i.shape]
        _known("dataset", self.dataset, [*images, *text.DATASETS])
        _known("model", self.model, models.MODELS)
        for name in self.probe:
            _known("probe", name, PROBES)
        _integer("seed", self.seed, 0)
        if self.subset is not None:
            _integer("subset", self.subset, 2)
        if not is_number(self.val_fraction) or not 0 <= self.val_fraction < 1:
            raise ValueError(f"val_fraction={self.val_fraction!r} must lie in [0, 1)")
        canonical = {
            "noise": _checked_noise(self.dataset, self.noise),
            "loss": _checked_loss(self.loss),
            "protocol": _checked_protocol(self.protocol),
            "val_fraction": float(self.val_fraction),
            "probe": tuple(self.probe),
        }
        for name, value in canonical.items():
            object.__setattr__(self, name, value)
        self._check_fit()

    def _check_fit(self) -> None:
        """Text and images each have their own networks; what moves pixels is for images."""
        is_text = self.dataset in text.DATASETS
        if is_text != (self.model in models.FOR_TEXT):
            reads, holds = ("images", "text") if is_text else ("text", "images")
            raise ValueError(f"model {self.model!r} reads {reads}, but {self.dataset} is {holds}")
        if is_text and "augment" in self.protocol:
            moves = ", ".join(self.protocol["augment"])
            raise ValueError(f"augment={moves} is for images, but {self.dataset} is text: leave it")
        if is_text and self.noise["kind"] == "instance":
            raise ValueError(f"instance noise is drawn from pixels, but {self.dataset} is text")

    @property
    def config(self) -> dict:
        """What is asked, as plain JSON data."""
        return json.loads(json.dumps(asdict(self)))

    @property
    def key(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON of ``config``."""
        return config_key(self.config)

    @property
    def label(self) -> str:
        """The loss as tables print it, e.g. ``CLL(target, sigma 1)``."""
        return loss_label(self.loss)


def config_key(config: dict) -> str:
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def loss_label(loss: dict) -> str:
    """The name of a loss, which alone stands for its published MNIST setting; parameters that
    differ follow, e.g. ``AEL(a 1)``. CLL's form and bandwidth are always there: they make it."""
    name, settings = loss["name"], loss["parameters"]
    if name == "CLL":
        scaled = ", normalised" if settings["normalise"] else ""
        return f"CLL({settings['form']}, sigma {settings['sigma']:g}{scaled})"
    usual = published("mnist", name)["parameters"] if name in losses.PUBLISHED["mnist"] else {}
    differs = [f"{k} {v:g}" if is_number(v) else f"{k} {v}"
               for k, v in settings.items() if k not in usual or v != usual[k]]  # fmt: skip
    return name + (f"({', '.join(differs)})" if differs else "")


def noisy(kind: str, rate: float = 0.0, **options: object) -> dict:
    """A noise setting with every option spelled out.

    symmetric: ``keep_true``, ``exact``; asymmetric, pairflip: ``exact``; dmi: ``pattern``;
    instance: no option; human: ``set`` (one of ``HUMAN_SETS``, CIFAR-10N); clean: nothing.
    """
    defaults = {
        "symmetric": {"keep_true": False, "exact": False},
        "asymmetric": {"exact": False},
        "pairflip": {"exact": False},
        "dmi": {"pattern": "independent"},
        "human": {"set": "worse_label"},
    }
    _known("noise kind", kind, NOISE_KINDS)
    if unknown := set(options) - set(defaults.get(kind, {})):
        raise ValueError(
            f"{kind} noise has no option {sorted(unknown)}; it has {sorted(defaults.get(kind, {}))}"
        )
    for name in {"keep_true", "exact"} & set(options):
        if not isinstance(options[name], bool):
            raise ValueError(f"{name}={options[name]!r} must be True or False")
    noise.symmetric(2, rate)  # refuses a rate outside [0, 1]
    rate = {} if kind in ("clean", "human") else {"rate": float(rate)}
    return {"kind": kind, **rate, **defaults.get(kind, {}), **options}


def transition_matrix(dataset: str, setting: dict):
    """The ``[K, K]`` matrix of a noise setting; None where there is none (instance, human)."""
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
    if setting["kind"] == "human":
        _known("human label set", setting["set"], HUMAN_SETS)
    cifar10_only = setting["kind"] == "human" or setting.get("pattern") == "cifar10-dependent"
    if cifar10_only and dataset != "cifar10":
        what = "human labels (CIFAR-10N) exist" if "set" in setting else "this pattern is"
        raise ValueError(f"{what} for cifar10 only, not {dataset!r}")
    T = transition_matrix(dataset, setting)
    if T is not None and len(T) != (K := data.INFO[dataset].num_classes):
        raise ValueError(f"noise={setting!r} is for {len(T)} classes; {dataset} has {K}")
    return noisy(**setting)


def _checked_loss(loss: dict) -> dict:
    if not isinstance(loss, dict) or "name" not in loss or set(loss) - {"name", "parameters"}:
        raise ValueError(f"loss={loss!r} must be {{'name': ..., 'parameters': {{...}}}}")
    return _loss(loss["name"], **loss.get("parameters", {}))


def _checked_protocol(protocol: dict) -> dict:
    needed = set(MNIST_PROTOCOL) - {"clip_norm"}
    if protocol.get("optimizer") == "adam":
        needed -= {"momentum"}
    if set(protocol) - {"clip_norm", "l1", "augment"} != needed:
        raise ValueError(
            f"protocol must have exactly the keys {sorted(needed)}, and at will clip_norm, l1, "
            f"augment, got {sorted(protocol)}"
        )
    _known("optimizer", protocol["optimizer"], ("sgd", "adam"))
    _known("schedule", protocol["schedule"], ("cosine", "constant"))
    _integer("epochs", protocol["epochs"], 1)
    _integer("batch", protocol["batch"], 2)
    reals = [name for name in REALS if name in protocol]
    for name in reals:
        if name in ("lr", "clip_norm", "l1"):  # no penalty is no key, so that a run has one name
            positive(name, protocol[name])
        elif not is_number(protocol[name]) or not 0 <= protocol[name] < 1:
            raise ValueError(f"{name}={protocol[name]!r} must lie in [0, 1)")
    checked = {**protocol, **{name: float(protocol[name]) for name in reals}}
    if "augment" in protocol:
        checked["augment"] = _checked_augment(protocol["augment"])
    return checked


def _checked_augment(names: Sequence[str]) -> tuple[str, ...]:
    """The names in the order in which they act."""
    if not isinstance(names, list | tuple) or not names:
        raise ValueError(f"augment={names!r} must list some of {', '.join(augment.NAMES)}; "
                         "leave it out where there is none")  # fmt: skip
    for name in names:
        _known("augment", name, augment.NAMES)
    if len(set(names)) < len(names):
        raise ValueError(f"augment={names!r} names one twice")
    return tuple(name for name in augment.NAMES if name in names)


def _integer(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r} must be an integer of at least {least}")


def _known(what: str, value: object, known) -> None:
    if value not in known:
        raise ValueError(f"{what} {value!r} is unknown; known: {', '.join(map(str, known))}")


def _loss(name: str, **parameters: object) -> dict:
    """A loss with every hyper-parameter spelled out; a run's loss is always a batch mean."""
    if "reduction" in parameters:
        raise ValueError("reduction is not a setting of a run: training takes the mean")
    return {"name": name, "parameters": losses.build(name, **parameters).settings()}


def published(dataset: str, name: str) -> dict:
    """The loss with the hyper-parameters of the published protocol."""
    return _loss(name, **losses.PUBLISHED[dataset][name]["parameters"])


# ------------------------------------------------------------------ the grids of the notebooks

SYMMETRIC_60 = noisy("symmetric", 0.6)
SEEDS = (0, 1, 2, 3, 4)

# CLL's form and bandwidth are not public. This rule, written down before any run, chooses ours:
# every candidate trains the headline protocol, seed 0, on 90 % of the noisy training set; the last
# epoch's accuracy on the noisy labels of the other 10 % decides; what lies within one standard
# error of the best counts as a tie; a tie goes to `target` before the other forms, then to the
# larger sigma. No candidate is above 1, the largest error there is, since a wider kernel damps
# nothing. Clean labels and test data play no part. stats.choose_cll applies it to the records.
CLL_CANDIDATES = tuple(
    _loss("CLL", form=form, sigma=sigma)
    for form, sigma in (("target", 1.0), ("target", 0.5), ("vector", 1.0), ("elementwise", 1.0))
)
CLL = CLL_CANDIDATES[0]  # what the rule chose; a test applies it to the committed records

CLL_FORMS = ("target", "vector", "elementwise")
CLL_SIGMAS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)


def _mnist(loss: dict, *, seed: int = 0, model: str = "cnn4", **changes: object) -> Run:
    setting = {
        "noise": SYMMETRIC_60, "probe": ("gradient",), "protocol": MNIST_PROTOCOL, **changes
    }  # fmt: skip
    return Run("mnist", loss=loss, model=model, seed=seed, **setting)


def headline(seeds: Sequence[int] = SEEDS) -> list[Run]:
    """MNIST, 60 % symmetric, the CNN at the full protocol: CE and CLL."""
    return [_mnist(loss, seed=s) for s in seeds for loss in (published("mnist", "CE"), CLL)]


def robust_losses(seeds: Sequence[int] = SEEDS) -> list[Run]:
    """The same protocol with the other robust losses of the first set."""
    names = ("GCE", "MAE", "SCE")
    return [_mnist(published("mnist", name), seed=s) for s in seeds for name in names]


def cll_map() -> list[Run]:
    """CLL over form x sigma with the MLP, one seed; the losses beside it as reference lines."""
    grid = [
        _mnist(_loss("CLL", form=form, sigma=sigma), model="mlp")
        for form in CLL_FORMS
        for sigma in CLL_SIGMAS
    ]
    return grid + [_mnist(published("mnist", n), model="mlp") for n in ("CE", "MAE", "GCE")]


def cll_choice() -> list[Run]:
    """The noisy-validation runs that choose CLL's form and sigma."""
    return [_mnist(loss, val_fraction=0.1) for loss in CLL_CANDIDATES]


def cll_points() -> list[Run]:
    """Chosen points of the map with the CNN, one seed: the candidates and their neighbours, all
    on 90 % of the data so that they compare."""
    neighbours = [_loss("CLL", form=f, sigma=s) for f, s in (("target", 0.3), ("vector", 0.5))]
    return [_mnist(loss, val_fraction=0.1) for loss in (*CLL_CANDIDATES, *neighbours)]


def clean_labels(networks: Sequence[str] = ("cnn4", "mlp")) -> list[Run]:
    """CE and CLL on clean labels: what a network can do, and what robustness costs."""
    return [
        _mnist(loss, noise=noisy("clean"), model=model)
        for model in networks
        for loss in (published("mnist", "CE"), CLL)
    ]


def ce_protocols() -> list[Run]:
    """One method, many numbers: CE with both networks, both conventions of "60 % symmetric", and
    with a noisy validation split (on which `val_chosen` stops early), one seed."""
    ce = published("mnist", "CE")
    return [
        _mnist(ce, model=model, **changes)
        for model in ("cnn4", "mlp")
        for changes in (
            {},
            {"val_fraction": 0.1},
            {"noise": noisy("symmetric", 0.6, keep_true=True)},
        )
    ]


def cll_normalised() -> list[Run]:
    """The wide end of the map once more with the normalisation, which acts there as a larger
    learning rate (for a small sigma its factor is 1)."""
    return [
        _mnist(_loss("CLL", form=form, sigma=sigma, normalise=True), model="mlp")
        for form in CLL_FORMS
        for sigma in CLL_SIGMAS[-2:]
    ]


def every_loss(seeds: Sequence[int] = SEEDS[:3]) -> list[Run]:
    """Every loss at its published MNIST setting (or its paper's default), with the MLP."""
    settings = [published("mnist", name) if name != "CLL" else CLL for name in losses.LOSSES]
    return [_mnist(loss, seed=s, model="mlp") for s in seeds for loss in settings]


def anl(seeds: Sequence[int] = SEEDS[:3]) -> list[Run]:
    """ANL-CE under the protocol of its own paper, with the MLP."""
    loss = published("mnist", "ANL-CE")
    return [_mnist(loss, seed=s, model="mlp", protocol=ANL_PROTOCOL) for s in seeds]


def ratio_sweep() -> list[Run]:
    """Losses of p_y whose asymmetry ratio is moved by their parameter, with the MLP, one seed.

    With the losses of p_y in ``every_loss`` they test what ALFs claims, that a higher asymmetry
    ratio means a better tolerance. The rule, written down before the runs: Spearman's rank
    correlation between ratio and last-epoch accuracy (seed 0, one point a loss and setting, none
    left out), with a two-sided permutation p-value; supported if the correlation is positive and
    p < 0.05, contradicted if it is negative and p < 0.05, undecided otherwise. The same is read
    for the fall from best to last epoch (supported if negative), and for other criteria beside.
    """
    moved = (
        *(("AEL", {"a": a}) for a in (0.25, 0.5, 1.0)),
        *(("AGCE", {"a": a, "q": 0.2}) for a in (0.1, 0.5, 1.0)),
        *(("AUL", {"a": a, "q": 3.0}) for a in (1.2, 2.0, 5.5)),
        *(("GCE", {"q": q}) for q in (0.3, 0.9)),
        *(("TaylorCE", {"order": order}) for order in (2, 20)),
        *(("PHuberCE", {"tau": tau}) for tau in (2.0, 4.0)),
        *(("GeneralisedCLL", {"alpha": 1.0, "beta": b}) for b in (0.25, 0.5)),
    )
    return [_mnist(_loss(name, **parameters), model="mlp") for name, parameters in moved]


def cnn_losses(seeds: Sequence[int] = SEEDS[:1]) -> list[Run]:
    """Losses of every family at their published MNIST setting with the CNN, which memorises."""
    names = ("AUL", "AGCE", "NCE+RCE", "AEL", "GJS", "RCE", "TaylorCE", "MSE")
    return [_mnist(published("mnist", name), seed=s) for s in seeds for name in names]


def size_or_shape() -> list[Run]:
    """Cross-entropy scaled down (SCE without its second term) until an untrained network feels the
    pull of our CLL, 0.054: 0.06 CE has CE's shape and CLL's size. Both networks, one seed."""
    scaled = _loss("SCE", alpha=0.06, beta=0.0)
    return [_mnist(scaled, model=model) for model in ("cnn4", "mlp")]


def cll_start() -> list[Run]:
    """CLL ``target`` where training begins to fail, with the MLP, one seed: a finer walk over
    sigma, and the same without weight decay, which competes with a vanishing pull. 0.64 is where
    the pull on an untrained network is largest: sigma = (1 - 1/K)/sqrt(2)."""
    still = {**MNIST_PROTOCOL, "weight_decay": 0.0}
    walk = [
        _mnist(_loss("CLL", sigma=sigma), model="mlp")
        for sigma in (0.33, 0.36, 0.4, 0.43, 0.46, 0.64, 0.8)
    ]
    return walk + [
        _mnist(_loss("CLL", sigma=sigma), model="mlp", protocol=still)
        for sigma in (0.2, 0.25, 0.3, 0.33)
    ]


def smoke() -> list[Run]:
    """Seconds: the headline in miniature, on scikit-learn's digits, so that it needs no network."""
    protocol = {**MNIST_PROTOCOL, "epochs": 2}
    return [
        Run("digits", SYMMETRIC_60, loss, "mlp", protocol, probe=("gradient",), subset=400)
        for loss in (published("mnist", "CE"), CLL)
    ]


GRIDS = {
    "headline": headline,
    "robust_losses": robust_losses,
    "cll_map": cll_map,
    "cll_points": cll_points,
    "cll_choice": cll_choice,
    "clean_labels": clean_labels,
    "ce_protocols": ce_protocols,
    "cll_normalised": cll_normalised,
    "every_loss": every_loss,
    "anl": anl,
    "ratio_sweep": ratio_sweep,
    "cll_start": cll_start,
    "cnn_losses": cnn_losses,
    "size_or_shape": size_or_shape,
    "smoke": smoke,
}


def cpu_full() -> list[Run]:
    """Every table that two cores can carry: all runs with the MLP, and the headline."""
    real = [run for name, grid in GRIDS.items() if name != "smoke" for run in grid()]
    return headline(seeds=[0]) + [run for run in real if run.model == "mlp"]


def gpu() -> list[Run]:
    """The headline at five seeds, and the tables of CLL and of the first robust losses."""
    names = ("headline", "robust_losses", "cll_map", "cll_points", "cll_choice", "clean_labels",
             "ce_protocols", "cll_normalised", "cnn_losses", "size_or_shape")  # fmt: skip
    return [run for name in names for run in GRIDS[name]()]


def paper() -> list[Run]:
    """Every run of every table."""
    return [run for name, grid in GRIDS.items() if name != "smoke" for run in grid()]


# Profile -> the runs that `make reproduce` really trains on this machine; the rest is replayed.
PROFILES = {
    "replay": list,
    "smoke": smoke,
    "headline": lambda: headline(seeds=[0]),
    "cpu-full": cpu_full,
    "gpu": gpu,
    "paper": paper,
}


def profile_runs(profile: str) -> list[Run]:
    """The runs of a profile, each once; ``ValueError`` lists the profiles if it is unknown."""
    _known("profile", profile, PROFILES)
    return list({run.key: run for run in PROFILES[profile]()}.values())
