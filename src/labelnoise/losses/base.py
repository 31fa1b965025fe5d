"""What all losses share: the call, its checks, the reduction, and the two quantities they use."""

import inspect

import torch
from torch import Tensor, nn

from labelnoise.checks import is_number

REDUCTIONS = ("mean", "sum", "none")


class Loss(nn.Module):
    """A loss over logits ``[B, K]`` and integer targets ``[B]``, used like
    ``torch.nn.CrossEntropyLoss``.

    A subclass writes ``per_sample(logits, targets) -> [B]``. Logits in half precision are computed
    in float32. The call checks shapes and dtypes only: whether targets lie in 0..K-1 is checked
    once before training, because looking at their values would stall a GPU at every step.

    Raises ``ValueError`` for an unknown reduction, logits that are not ``[B, K]`` floats with
    K >= 2, targets that are not ``[B]`` int64, unlike batch sizes, or an empty batch.
    """

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction={reduction!r} is unknown; known: {', '.join(REDUCTIONS)}")
        self.reduction = reduction

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = self.per_sample(checked(logits, targets), targets)
        return {"mean": loss.mean, "sum": loss.sum, "none": lambda: loss}[self.reduction]()

    @property
    def name(self) -> str:
        """The short name that the field's tables print: the key in ``LOSSES`` or
        ``CORRECTIONS``."""
        return type(self).__name__

    def settings(self) -> dict:
        """The hyper-parameters, by the names of the constructor, as plain JSON values."""
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names if name != "reduction"}

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.settings().items())


class TargetLoss(Loss):
    """A loss that sees nothing but ``p_y``, the softmax probability of the given label.

    A subclass writes ``of_p(log_p, miss)`` with ``log_p = log p_y`` and ``miss = 1 - p_y``, both
    ``[B]``: ``log_p`` stays finite where ``p_y`` rounds to 0, and ``miss`` comes from ``expm1``, so
    that no further digit is lost to 1 - p_y (log_softmax itself rounds to 6e-8 in float32).
    """

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        raise NotImplementedError

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = log_p_target(logits, targets)
        return self.of_p(log_p, -torch.expm1(log_p))


def checked(logits: Tensor, targets: Tensor) -> Tensor:
    """The logits of a call whose shapes and dtypes are right, in float32 if they were in half
    precision; else ``ValueError``."""
    if logits.ndim != 2 or logits.shape[1] < 2 or not logits.is_floating_point():
        raise ValueError(
            f"logits must be floats of shape [B, K] with K >= 2, got "
            f"{tuple(logits.shape)} {logits.dtype}"
        )
    if targets.ndim != 1 or targets.dtype != torch.int64:
        raise ValueError(
            f"targets must be int64 class indices of shape [B], got "
            f"{tuple(targets.shape)} {targets.dtype}"
        )
    if logits.shape[0] != targets.shape[0] or logits.shape[0] == 0:
        raise ValueError(
            f"logits and targets must share one batch of at least one sample, got "
            f"{logits.shape[0]} and {targets.shape[0]}"
        )
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def log_p_target(logits: Tensor, targets: Tensor) -> Tensor:
    """``log p_y``, ``[B]``."""
    return of_target(torch.log_softmax(logits, dim=1), targets)


def of_target(values: Tensor, targets: Tensor) -> Tensor:
    """The target's entry of each row: ``[B, K]`` to ``[B]``."""
    return values.gather(1, targets[:, None]).squeeze(1)


def power(x: Tensor, exponent: float) -> Tensor:
    """``x^exponent`` for x >= 0, with the gradient 0 at x = 0, where autograd has 0 * inf = NaN
    for an exponent below 1. (There x is an error that has reached 0: nothing is left to learn.)"""
    inside = x != 0
    if exponent == 1:
        return x.where(inside, 0)
    return torch.where(inside, x, 1).pow(exponent).where(inside, 0)


def weights(alpha: float, beta: float) -> tuple[float, float]:
    """The weights of a sum of two losses: numbers of at least 0, not both 0."""
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not is_number(value) or value < 0:
            raise ValueError(f"{name}={value!r} must be a number of at least 0")
    if alpha == beta == 0:
        raise ValueError("alpha and beta are both 0, so the loss would be constant; set one")
    return float(alpha), float(beta)
