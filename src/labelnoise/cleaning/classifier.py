"""Our networks and losses as a scikit-learn classifier, for what expects one: cleanlab's
``CleanLearning``, ``cross_val_predict``, a grid search.

    classifier = NetworkClassifier(loss="GCE", model="mlp")
    classifier.fit(images, labels).predict_proba(other_images)

The training is that of every run here (``loop.train_epoch``), without a test set. Everything is
checked before it, the loss by a call on a first batch.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from labelnoise.checks import check_integer, is_number
from labelnoise.cleaning.any_loss import check_mean, loss_module
from labelnoise.cleaning.arrays import checked_images, encoded, mean_and_std
from labelnoise.config import Recipe
from labelnoise.config.protocols import MNIST_PROTOCOL
from labelnoise.losses import DMI
from labelnoise.models import READS
from labelnoise.training.loop import State, evaluate, logits, train_epoch
from labelnoise.training.machine import Machine, session
from labelnoise.training.task import Task

NETWORKS = tuple(name for name, kinds in READS.items() if "images" in kinds)


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A network of ``models.MODELS`` for images, trained with a loss that forgives wrong labels.

    - ``loss``: ``DMI`` or a name of ``losses.LOSSES``, at its setting in
      ``experiments.setting_of``, or any callable (logits ``[B, K]``, targets ``[B]``) -> mean,
      ``losses.Mixture(0.3)`` for example. CLL pulls less on an untrained network than the default,
      GCE, and wants a larger ``lr``.
    - ``model``: ``mlp``, ``cnn2``, ``cnn4``, ``cnn8`` or ``resnet34``.
    - ``protocol``: as ``protocols.MNIST_PROTOCOL``, the default.
    - ``seed``: of initialisation, order and augmentation; an integer of at least 0.
    - ``device``: ``cpu`` or ``cuda``; default CUDA where there is one.
    - ``threads``: CPU threads; default ``fastest_threads(model)``. They decide the order of float
      sums: with the same number of them the same machine finds the same network, to the bit.
    - ``start``: a classifier of the same model, which is trained first, on the same data; this
      training goes on from its weights. ``DMI`` has to begin with one that learnt with ``CE``.
    - ``early_stopping``: a share of the samples, such as 0.1, that is held out with its labels as
      they are, wrong ones included. All epochs are trained, and the network is that of the epoch
      that agreed with most of these labels, the first of equals. None or False: the last epoch's.

    After ``fit``: ``classes_``, ``network_``, ``curves_``, the training curves, with
    ``val_accuracy`` where labels are held out, and ``best_epoch_``, the epoch of that network,
    counted from 1. ``task_`` holds what the network has to know of an image; of the images that it
    learnt from nothing is kept, and so nothing is in a pickle.
    """

    def __init__(
        self,
        loss: str | Callable[[Tensor, Tensor], Tensor] = "GCE",
        model: str = "mlp",
        protocol: dict | None = None,
        seed: int = 0,
        device: str | None = None,
        threads: int | None = None,
        start: "NetworkClassifier | None" = None,
        early_stopping: float | None = None,
    ):
        self.loss = loss
        self.model = model
        self.protocol = protocol
        self.seed = seed
        self.device = device
        self.threads = threads
        self.start = start
        self.early_stopping = early_stopping

    def fit(
        self, X: ArrayLike, y: ArrayLike, on_epoch: Callable[[int], None] = lambda epoch: None
    ) -> "NetworkClassifier":
        """Trains on images, uint8 ``[N, C, H, W]`` or ``[N, H, W]`` (one channel), and labels
        ``[N]`` of any kind that sorts. Pixels are standardised per channel with the mean and
        standard deviation of ``X``. ``on_epoch(epoch)`` is called after every epoch.

        Raises ``ValueError`` for arrays that are not like this, for a missing label, for fewer than
        two classes, for a loss, model, protocol, seed, device, number of threads, start or early
        stopping that is none, for early stopping that leaves a class without a sample, and for
        ``DMI`` without a start; ``RuntimeError`` if the training diverges.
        """
        images = checked_images(X)
        self.classes_, given = encoded("y", y, len(images))
        recipe, loss = self.recipe(), loss_module(self.loss)
        self.check_start(loss)
        with self.session() as on:
            arrays = (torch.from_numpy(a).to(on.device) for a in (images, given, given))
            task = Task(*arrays, len(self.classes_), images.shape[1:], *mean_and_std(images))
            if self.early_stopping:
                hold_out(task, self.early_stopping, self.seed, self.classes_)
            state = State(recipe, task, on, loss)
            check_mean(state.loss, task.given[: recipe.protocol["batch"]], len(self.classes_))
            before = 0
            if self.start is not None:
                first = clone(self.start).fit(images, y, on_epoch)
                state.model.load_state_dict(first.network_.state_dict())
                before = first.epochs()
            while state.epoch < recipe.protocol["epochs"]:
                train_epoch(task, state)
                if self.early_stopping:
                    evaluate(task, state)
                answers = logits(task, state.model, task.images[:2], on)
                if state.diverged_at is not None or not answers.isfinite().all():  # its last step
                    raise RuntimeError(
                        f"the training diverged at epoch {state.epoch}; lower the learning rate"
                    )
                on_epoch(before + state.epoch)
            if self.early_stopping:
                state.model.load_state_dict(state.best)
        self.task_, self.network_, self.curves_ = without_samples(task), state.model, state.curves
        del self.curves_["test_accuracy"]  # there is no test set
        val = self.curves_.get("val_accuracy")
        self.best_epoch_ = val.index(max(val)) + 1 if val else state.epoch
        return self

    @contextlib.contextmanager
    def session(self) -> Iterator[Machine]:
        """Where it computes; ``ValueError`` for a device that is not there."""
        check_device(self.device)
        threads = fastest_threads(self.model) if self.threads is None else self.threads
        with session(self.device, threads) as on:
            yield on

    def recipe(self) -> Recipe:
        """How the network is trained, checked."""
        if self.model not in NETWORKS:
            raise ValueError(f"model={self.model!r} is unknown; known: {', '.join(NETWORKS)}")
        if self.threads is not None:
            check_integer("threads", self.threads, 1)
        share = self.early_stopping
        if share not in (None, False) and not (is_number(share) and 0 < share < 1):
            raise ValueError(f"early_stopping={share!r} must be a share of the samples above 0 and "
                             "below 1, such as 0.1, or None")  # fmt: skip
        protocol = MNIST_PROTOCOL if self.protocol is None else self.protocol
        return Recipe(self.model, protocol, self.seed, ("val_accuracy",) if share else ())

    def check_start(self, loss: nn.Module) -> None:
        """``ValueError`` for a start that this training cannot go on from, or for want of one."""
        if self.start is None:
            if isinstance(loss, DMI):
                raise ValueError(
                    "the loss DMI cannot tell which output is which class: from random weights it "
                    "may name them in any order; give "
                    f"start=NetworkClassifier('CE', {self.model!r})"
                )
            return
        if not isinstance(self.start, NetworkClassifier) or self.start.model != self.model:
            raise ValueError(f"start={self.start!r} must be a NetworkClassifier with the model "
                             f"{self.model!r}: its weights are where this one begins")  # fmt: skip
        if self.early_stopping:
            raise ValueError(
                f"early_stopping={self.early_stopping!r} does not go with a start, which would "
                "learn the labels that are held out: leave it out here, and give it to the start"
            )
        self.start.recipe()
        self.start.check_start(loss_module(self.start.loss))

    def epochs(self) -> int:
        """The epochs of this training and of those that it goes on from."""
        own = self.recipe().protocol["epochs"]
        return own if self.start is None else self.start.epochs() + own

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Softmax outputs ``[N, K]`` in float64, in the order of ``classes_``, for images of the
        shape that ``fit`` saw; ``ValueError`` for others, ``NotFittedError`` before ``fit``."""
        check_is_fitted(self)
        images = checked_images(X)
        if images.shape[1:] != self.task_.shape:
            raise ValueError(
                f"X holds images of shape {images.shape[1:]}, but the network was fitted to "
                f"{self.task_.shape}; resize them, or fit it to images like these"
            )
        with self.session() as on:
            inputs = torch.from_numpy(images).to(self.task_.images.device)
            outputs = logits(self.task_, self.network_, inputs, on)
        return outputs.double().softmax(dim=1).cpu().numpy()

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The most probable class of each image, ``[N]``; raises what ``predict_proba`` does."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


def fastest_threads(model: str) -> int:
    """The number of CPU threads with which such a network trains fastest on an idle machine.

    One for the MLP, whose products are so small that a second thread gains nothing, and all that
    torch would take for the others: on 2 000 digits and two idle cores, two threads took 1.04 and,
    for ``cnn4``, 0.59 times as long as one (``benchmarks/threads.py``). Where other work keeps the
    cores busy, threads wait for each other, and took 10 and 4 times as long: give ``threads=1``.
    """
    return 1 if model == "mlp" else torch.get_num_threads()


def check_device(device: str | torch.device | None) -> None:
    """``ValueError`` for a device that is none, or that is not there."""
    if device is None:
        return
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        found = None
    if found is None or found.type not in ("cpu", "cuda"):
        raise ValueError(f"device={device!r} must be 'cpu' or 'cuda', or None for the GPU if there "
                         "is one")  # fmt: skip
    there = torch.cuda.device_count()
    if found.type == "cuda" and (found.index or 0) >= there:
        what = f"{there} CUDA devices" if there else "no CUDA device"
        raise ValueError(
            f"device={str(device)!r} is not there: torch {torch.__version__} sees {what}; take "
            "device='cpu', or leave it out"
        )


def hold_out(task: Task, share: float, seed: int, classes: np.ndarray) -> None:
    """Sets a share of the samples aside, as a run does; ``ValueError`` if that is none of them, or
    all of a class."""
    N, K = len(task.given), len(classes)
    counts = np.bincount(task.given.cpu().numpy(), minlength=K)
    if not 0 < round(share * N) <= N - 2:
        raise ValueError(f"early_stopping={share!r} holds out {round(share * N)} of {N} samples; "
                         "take another share, or more data")  # fmt: skip
    task.split(share, seed)
    left = np.bincount(task.given.cpu().numpy(), minlength=K)
    if not left.all():
        k = left.argmin()
        raise ValueError(
            f"early_stopping={share!r} holds out every sample of class {classes[k]!r} (it has "
            f"{counts[k]}): lower it, or leave the class out"
        )


def without_samples(task: Task) -> Task:
    """What a network has to know of its inputs: their shape, mean and standard deviation."""
    bare = copy.copy(task)
    for name, values in vars(task).items():
        if isinstance(values, Tensor) and name not in ("mean", "std"):
            setattr(bare, name, values.new_empty((0, *values.shape[1:])))
    return bare
