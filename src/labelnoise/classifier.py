"""Our networks and losses as a scikit-learn classifier, for what expects one: cleanlab's
``CleanLearning``, ``cross_val_predict``, a grid search.

    classifier = NetworkClassifier(loss="CLL", model="mlp")
    classifier.fit(images, labels).predict_proba(other_images)

The training is that of every run here (``train.train_epoch``), without a test set.
"""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from labelnoise.configuration import build_loss
from labelnoise.experiments import MNIST_PROTOCOL, setting_of
from labelnoise.machine import session
from labelnoise.models import MODELS
from labelnoise.task import Task
from labelnoise.train import State, logits, train_epoch


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A network of ``models.MODELS`` for images, trained with a loss that forgives wrong labels.

    - ``loss``: a name of ``losses.LOSSES``, at its setting in ``experiments.setting_of``, or any
      callable (logits ``[B, K]``, targets ``[B]``) -> scalar, ``losses.Mixture(0.3)`` for example.
    - ``model``: ``mlp``, ``cnn2``, ``cnn4``, ``cnn8`` or ``resnet34``.
    - ``protocol``: as ``experiments.MNIST_PROTOCOL``, the default.
    - ``seed``: of initialisation, order and augmentation.
    - ``device``: ``cpu`` or ``cuda``; default CUDA where there is one.

    After ``fit``: ``classes_``, ``task_``, ``network_``, and ``curves_``, the training curves.
    """

    def __init__(
        self,
        loss: str | Callable[[Tensor, Tensor], Tensor] = "CLL",
        model: str = "mlp",
        protocol: dict | None = None,
        seed: int = 0,
        device: str | None = None,
    ):
        self.loss = loss
        self.model = model
        self.protocol = protocol
        self.seed = seed
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike) -> "NetworkClassifier":
        """Trains on images, uint8 ``[N, C, H, W]`` or ``[N, H, W]`` (one channel), and labels
        ``[N]`` of any kind that sorts. Pixels are standardised per channel with the mean and
        standard deviation of ``X``.

        Raises ``ValueError`` for arrays that are not like this, for fewer than two classes, and for
        an unknown loss or model; ``RuntimeError`` if the training diverges.
        """
        images, y = checked_images(X), np.asarray(y)
        if y.shape != (len(images),):
            raise ValueError(
                f"y must hold one label for each of {len(images)} images, got {y.shape}"
            )
        self.classes_, given = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class only, {self.classes_}: there is nothing to tell apart"
            )
        if self.model not in MODELS:
            raise ValueError(f"model={self.model!r} is unknown; known: {', '.join(MODELS)}")
        if isinstance(self.loss, str):
            loss = build_loss("mnist", setting_of(self.loss))
        else:
            loss = Called(self.loss)
        scaled = images.astype(np.float32) / 255
        std = scaled.std(axis=(0, 2, 3)) + 1e-6  # a constant channel must not divide by 0
        recipe = SimpleNamespace(
            model=self.model, protocol=self.protocol or MNIST_PROTOCOL, seed=self.seed, probe=(),
            val_fraction=0.0,
        )  # fmt: skip
        with session(self.device, 1) as device:
            arrays = (torch.from_numpy(a).to(device) for a in (images, given, given))
            self.task_ = Task(
                *arrays, len(self.classes_), images.shape[1:],
                scaled.mean(axis=(0, 2, 3)).tolist(), std.tolist(),
            )  # fmt: skip
            state = State(recipe, self.task_, device, loss)
            while state.epoch < recipe.protocol["epochs"]:
                train_epoch(recipe, self.task_, state)
                if state.diverged_at is not None:
                    raise RuntimeError(
                        f"the training diverged at epoch {state.epoch}; lower the learning rate"
                    )
        self.network_, self.curves_ = state.model, state.curves
        return self

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Softmax outputs ``[N, K]`` in float64, in the order of ``classes_``."""
        check_is_fitted(self)
        images = torch.from_numpy(checked_images(X)).to(self.task_.images.device)
        outputs = logits(self.task_, self.network_, images)
        return outputs.double().softmax(dim=1).cpu().numpy()

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The most probable class of each image, ``[N]``."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Called(torch.nn.Module):
    """Any callable as a module."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.loss(outputs, targets)


def checked_images(X: ArrayLike) -> np.ndarray:
    """uint8 ``[N, C, H, W]``, or ``ValueError``."""
    images = np.asarray(X)
    images = images[:, None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or len(images) < 1:
        raise ValueError(
            f"X must be images, uint8 in 0..255 of shape [N, C, H, W] or [N, H, W], got "
            f"{images.dtype} {images.shape}; scale floats to 0..255 and convert them first"
        )
    return np.ascontiguousarray(images)
