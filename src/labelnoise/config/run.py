"""What one training is asked to do: a ``Run``, plain data with a stable key.

A run's identity is its ``config``: what is asked, and nothing about the machine. Everything is
checked when a ``Run`` is made, so that a mistake is an error before any training.
"""

import hashlib
import json
from dataclasses import dataclass

from labelnoise import data, models
from labelnoise.checks import check_integer, is_number, one_of
from labelnoise.config.loss import LossSetting, loss_of
from labelnoise.config.methods import Method, WarmStart, method
from labelnoise.config.noise import CIFAR10N, HUMAN_SETS, Human, Noise, Twin, noise_of
from labelnoise.config.protocols import checked_protocol
from labelnoise.data import text

PROBES = ("gradient", "clipped", "changed")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, whatever it learns: all that the loop needs to know.

    - ``model``: a name of ``models.MODELS``.
    - ``protocol``: as ``protocols.MNIST_PROTOCOL``.
    - ``seed``: names the streams of initialisation, order, augmentation and dropout.
    - ``measures``: curves beside those of every training: some of ``PROBES``; ``val_accuracy`` and
      ``val_loss`` on the held-out split.
    """

    model: str
    protocol: dict
    seed: int = 0
    measures: tuple[str, ...] = ()

    def __post_init__(self):
        one_of("model", self.model, models.MODELS)
        check_integer("seed", self.seed, 0)
        object.__setattr__(self, "protocol", checked_protocol(self.protocol))


@dataclass(frozen=True)
class Run:
    """One training.

    - ``dataset``: a name of ``data.INFO``.
    - ``noise``: as ``noisy(...)`` makes it, or as a config has it.
    - ``loss``: as ``loss_setting(...)`` makes it, or as a config has it.
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
    - ``method``: for what trains more than once, as ``method(...)`` makes it, or as a config has
      it. None, which a config leaves out, for a single training.
    """

    dataset: str
    noise: Noise
    loss: LossSetting
    model: str
    protocol: dict
    seed: int = 0
    val_fraction: float = 0.0
    probe: tuple[str, ...] = ()
    subset: int | None = None
    method: Method | None = None

    def __post_init__(self):
        one_of("dataset", self.dataset, [name for name in data.INFO if inputs(name)])
        for name in self.probe:
            one_of("probe", name, PROBES)
        if self.subset is not None:
            check_integer("subset", self.subset, 2)
        if not is_number(self.val_fraction) or not 0 <= self.val_fraction < 1:
            raise ValueError(f"val_fraction={self.val_fraction!r} must lie in [0, 1)")
        canonical = {
            "noise": noise_of(self.noise),
            "loss": loss_of(self.loss),
            "protocol": Recipe(self.model, self.protocol, self.seed).protocol,
            "val_fraction": float(self.val_fraction),
            "probe": tuple(name for name in PROBES if name in self.probe),
            "method": method(**self.method) if isinstance(self.method, dict) else self.method,
        }
        for name, value in canonical.items():
            object.__setattr__(self, name, value)
        self.noise.check(self.dataset)
        self.loss.check(self.dataset)
        self._check_fit()

    def _check_fit(self) -> None:
        """Text and images each have their own networks; what moves pixels is for images. A method
        that trains more than once is one method, on the whole training set; but a warm start
        chooses its weights on a validation set."""
        if self.method and self.loss.estimated:
            raise ValueError("method and an estimated T are two methods in one run; choose one")
        if self.method:
            self.method.check(self.dataset)
        if self.warm_start and not self.val_fraction:
            raise ValueError("warm_start chooses its weights on a noisy validation set: give "
                             "val_fraction, the share that is held out, e.g. 1/6")  # fmt: skip
        if self.val_fraction and self.trainings > 1 and not self.warm_start:
            raise ValueError(f"val_fraction={self.val_fraction} goes with a single training; "
                             "set it to 0 or leave the method")  # fmt: skip
        if self.loss.name == "DMI":
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
        if holds != "images" and self.noise.kind == "instance":
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
        asked = {
            "dataset": self.dataset,
            "noise": self.noise.as_config(),
            "loss": self.loss.as_config(),
            "model": self.model,
            "protocol": self.protocol,
            "seed": self.seed,
            "val_fraction": self.val_fraction,
            "probe": self.probe,
            "subset": self.subset,
            **({"method": self.method.as_config()} if self.method else {}),
        }
        return json.loads(json.dumps(asked))

    @property
    def datasets(self) -> list[str]:
        """What has to be there to train it: its data set, and people's labels that are one of
        their own."""
        people = isinstance(self.noise, Human | Twin) and HUMAN_SETS[self.dataset] == CIFAR10N
        return [self.dataset, *(["cifar10n"] if people else [])]

    @property
    def key(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON of ``config``."""
        return config_key(self.config)

    @property
    def label(self) -> str:
        """The loss and method as tables print them, e.g. ``CLL(target, sigma 1)``."""
        label = self.loss.label
        if self.loss.parameters.get("T") == self.noise:
            label = f"{self.loss.name}(true T)"
        return f"{label}, {self.method.label}" if self.method else label

    @property
    def recipe(self) -> Recipe:
        """How its network is trained. (Only a warm start looks at the validation loss.)"""
        held_out = ("val_accuracy",) if self.val_fraction else ()
        held_out += ("val_loss",) if self.val_fraction and self.method else ()
        return Recipe(self.model, self.protocol, self.seed, (*held_out, *self.probe))

    @property
    def warm_start(self) -> dict | None:
        """The protocol of the first stage, None where the run has no such stage."""
        return self.method.protocol if isinstance(self.method, WarmStart) else None

    @property
    def trainings(self) -> int:
        """How often the run trains its network: once, or once for every fold and stage."""
        several = self.method or self.loss.estimated
        return several.trainings if several else 1

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
