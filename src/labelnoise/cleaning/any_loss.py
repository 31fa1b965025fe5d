"""The loss that a user gives, a name or anything that can be called, made a module; and a call of
it on a first batch, which finds what would spoil a training."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from labelnoise.experiments import setting_of
from labelnoise.losses import CORRECTIONS, DMI


class Called(nn.Module):
    """Any callable as a module."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.loss(outputs, targets)


def loss_module(loss: str | Callable[[Tensor, Tensor], Tensor]) -> nn.Module:
    """The loss of a name, or the callable; a module stays what it is, since the training looks for
    ``DMI``. ``ValueError`` for a name that is unknown, and for what cannot be called."""
    if loss == "DMI":
        return DMI()
    if isinstance(loss, str) and loss in CORRECTIONS:
        raise ValueError(f"loss={loss!r} depends on what you know of the noise; give an instance, "
                         "such as losses.Mixture(0.3) or losses.Forward(T)")  # fmt: skip
    if isinstance(loss, str):
        return setting_of(loss).build()
    if isinstance(loss, type):
        raise ValueError(f"loss={loss.__name__} is a class; give an instance: {loss.__name__}(...)")
    if not callable(loss):
        raise ValueError(
            f"loss={loss!r} must be a name of losses.LOSSES, such as 'GCE', or a callable "
            "(logits [B, K], targets [B]) -> mean, such as losses.GCE(q=0.7)"
        )
    return loss if isinstance(loss, nn.Module) else Called(loss)


def check_mean(loss: nn.Module, targets: Tensor, K: int) -> None:
    """``ValueError`` unless the loss of a first batch, ``targets`` ``[B]`` and zeros for logits, is
    the mean over its samples: a finite scalar with a gradient that repeating the batch does not
    double. What the loss itself refuses (a batch too small, a matrix for other classes) it says."""
    outputs = torch.zeros(len(targets), K, device=targets.device, requires_grad=True)
    value = loss(outputs, targets)
    shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    if shape != ():
        raise ValueError(
            f"loss must return the mean over the batch, a scalar tensor, got {shape}; "
            "set reduction='mean', or take .mean()"
        )
    if not value.isfinite() or not value.requires_grad:
        what = "has no gradient" if value.isfinite() else "is not finite"
        raise ValueError(f"loss {what} at logits of 0: {value.item()}; nothing can be learnt of it")
    twice = loss(outputs.repeat(2, 1), targets.repeat(2))
    if value != 0 and torch.isclose(twice, 2 * value):
        raise ValueError(
            "loss adds up the batch: its learning rate would depend on the size of the batch; "
            "set reduction='mean', or take .mean()"
        )
