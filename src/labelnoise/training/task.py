"""What a network learns: images or sentences, the labels that it is given, and the true ones."""

import copy
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from labelnoise import data, noise
from labelnoise.config import Run
from labelnoise.config.noise import CIFAR10N, HUMAN_SETS, Human, Instance, Twin
from labelnoise.data import text
from labelnoise.noise import annotators
from labelnoise.seeds import generator


class Task:
    """What a network learns: images as uint8 or tokens, true and given labels, all on the device.

    ``shape`` is what the network needs to know of an input, ``mean`` and ``std`` are per channel,
    and empty where there are no images.
    """

    def __init__(
        self,
        images: Tensor,
        given: Tensor,
        true: Tensor,
        num_classes: int,
        shape: Sequence[int],
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
    ):
        check_labels(given, num_classes)
        device = images.device
        self.images, self.given, self.true = images, given, true
        self.val_images, self.val_given = images[:0], given[:0]
        self.test_images, self.test_labels = images[:0], given[:0]
        self.num_classes, self.shape = num_classes, tuple(shape)
        self.flips_sha256 = hashlib.sha256(given.cpu().numpy().astype("<i8").tobytes()).hexdigest()
        self.noise_rate = 100 * float((given != true).cpu().numpy().mean())
        self.made_of: dict = {}  # what a record tells of inputs that no checksum is published for
        self.mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, -1, 1, 1)

    @classmethod
    def of(cls, run: Run, device: torch.device) -> "Task":
        """The task that ``run`` asks for: its data, its noise, its split."""
        info = data.INFO[run.dataset]
        load = text.load if run.dataset in text.DATASETS else data.load
        images, true = load(run.dataset, "train")
        shape = info.shape or (int(images.max()) + 1,)
        images, true = images[: run.subset], true[: run.subset]
        given = given_labels(run, images, true)
        arrays = (torch.from_numpy(array).to(device) for array in (images, given, true))
        task = cls(*arrays, info.num_classes, shape, info.mean, info.std)
        task.test_images, task.test_labels = (
            torch.from_numpy(array).to(device) for array in load(run.dataset, "test")
        )
        task.made_of = data.made_of(run.dataset)
        task.split(run.val_fraction, run.seed)
        return task

    def split(self, val_fraction: float, seed: int) -> None:
        """Holds out a share of the training samples, with their given labels, for validation."""
        order = torch.randperm(len(self.given), generator=generator(seed, "split"))
        held_out = round(val_fraction * len(order))
        if len(order) - held_out < 2:
            raise ValueError(
                f"val_fraction={val_fraction} leaves {len(order) - held_out} "
                "samples to train on; lower it or use more data"
            )
        if val_fraction and not held_out:
            raise ValueError(
                f"val_fraction={val_fraction} holds out none of {len(order)} samples; raise it"
            )
        val, kept = order[:held_out].sort().values, order[held_out:].sort().values
        if held_out:
            self.val_images, self.val_given = self.images[val], self.given[val]
            self.images, self.given, self.true = (
                t[kept.to(t.device)] for t in (self.images, self.given, self.true)
            )

    def only(self, index: Tensor) -> "Task":
        """The same task with none but these of its training samples."""
        part = copy.copy(self)
        part.images, part.given, part.true = (
            t[index] for t in (self.images, self.given, self.true)
        )
        return part

    def batch(self, images: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` to standardised float32, channels last; tokens and rows of numbers
        as they are."""
        if images.dim() == 2:
            return images
        x = (images.float() / 255 - self.mean) / self.std
        return x.contiguous(memory_format=torch.channels_last)


def given_labels(run: Run, images: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The labels that the network is given, int64 ``[N]``: the true ones after the run's noise."""
    asked = run.noise
    if isinstance(asked, Human):
        return people(run.dataset, asked.set, run.seed, true)
    if isinstance(asked, Twin):
        given = people(run.dataset, asked.of, run.seed, true)
        T = noise.realised(true, given, data.INFO[run.dataset].num_classes)
        T = np.where(np.isnan(T), np.eye(len(T)), T)  # a class of which a subset has no sample
        return noise.corrupt(true, T, run.seed, exact=True)[0]
    if isinstance(asked, Instance):
        K = data.INFO[run.dataset].num_classes
        rows = noise.instance_rows(
            images, true, K, asked.rate, run.seed, raw_pixels=asked.raw_pixels
        )
        return noise.corrupt_rows(true, rows, run.seed)[0]
    T = asked.matrix(run.dataset)
    return noise.corrupt(true, T, run.seed, exact=getattr(asked, "exact", False))[0]


def people(dataset: str, name: str, seed: int, true: np.ndarray) -> np.ndarray:
    """The set ``name`` of the labels that people gave the first samples of ``dataset``, whose true
    labels are ``true``: int64 ``[N]``.

    Of the many annotators of Fashion-MNIST-H the seed draws: ``annotator`` is one a sample;
    ``worst`` the first of three that is wrong, or the true label where none is; ``majority`` is
    drawn by nobody, the lowest class of equals.

    Raises ``ValueError`` where the true labels are not those beside which CIFAR-10N stands.
    """
    if HUMAN_SETS[dataset] == CIFAR10N:
        return beside(data.load("cifar10n"), dataset, true)[name][: len(true)]
    found = data.annotations(dataset)
    if dataset == "noisyag":
        return found[: len(true)]
    if name == "majority":
        return annotators.majority(found)[: len(true)]
    three = annotators.drawn(found, 3, seed)[:, : len(true)]
    return three[0] if name == "annotator" else annotators.worst(three, true)


def beside(sets: dict[str, np.ndarray], dataset: str, true: np.ndarray) -> dict[str, np.ndarray]:
    """The label ``sets`` of CIFAR-10N, if the images of ``dataset`` stand in their order."""
    if (other := sets["clean_label"][: len(true)] != true).any():
        raise ValueError(f"cifar10n labels the images of cifar10 in the order of its Python version"
                         f", but {dataset} has them in another (sample {other.argmax()} is the "
                         f"first that differs): remove your {dataset} and run `make data "
                         f"DATA={dataset},cifar10n`")  # fmt: skip
    return sets


def check_labels(labels: Tensor, num_classes: int) -> None:
    """Once before training, so that no loss has to look at the values of its targets."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise ValueError(f"labels must lie in 0..{num_classes - 1}, got {low}..{high}")
