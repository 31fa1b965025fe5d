"""What all losses share: the call, its checks, the reduction, and the two quantities they use."""

import contextlib
import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from labelnoise.checks import is_number

REDUCTIONS = ("mean", "sum", "none")
SHARED = ("reduction", "ignore_index")  # of every constructor; no hyper-parameters


class Loss(nn.Module):
    """A loss over logits ``[B, K]`` and integer targets ``[B]``, used like
    ``torch.nn.CrossEntropyLoss``.

    A subclass writes ``per_sample(logits, targets) -> [B]``. Logits in half precision are computed
    in float32. Every subclass takes, as torch's loss does,

    - ``reduction``: ``mean`` over the samples, ``sum``, or ``none``, the loss of each, ``[B]``;
    - ``ignore_index``, by keyword: samples with this target have no loss and no gradient, and do
      not count in the mean. None, for targets that are known to lie in 0..K-1, saves a GPU five
      small kernels a call.

    Raises ``ValueError`` for an unknown reduction, logits that are not ``[B, K]`` floats with
    K >= 2, targets that are not ``[B]`` int64, unlike batch sizes or devices, an empty batch, and
    any other target outside 0..K-1, with its value. On a GPU a look at the values would stall every
    step: there torch's own kernels stop the program at such a target ("device-side assert").
    """

    def __init__(self, reduction: str = "mean", *, ignore_index: int | None = -100):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction={reduction!r} is unknown; known: {', '.join(REDUCTIONS)}")
        if not isinstance(ignore_index, int | None) or isinstance(ignore_index, bool):
            raise ValueError(f"ignore_index={ignore_index!r} must be an integer, or None")
        self.reduction, self.ignore_index = reduction, ignore_index

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits, ignored, K = checked(logits, targets), self.ignore_index, logits.shape[1]
        # On a CPU torch raises at a target that is no column: only then is there one to look for.
        hopeful = logits.is_cpu and not torch.compiler.is_compiling()
        every = ignored is None or (hopeful and not 0 <= ignored < K)
        try:
            return self.value(logits, targets, None if every else targets != ignored)
        except (IndexError, RuntimeError):
            refuse_outside(targets, K, ignored)
            if not every or ignored is None:
                raise
        return self.value(logits, targets, targets != ignored)

    def value(self, logits: Tensor, targets: Tensor, keep: Tensor | None = None) -> Tensor:
        """The loss of a batch, or of the samples of ``keep``, ``[B]``, as if it had no others."""
        if keep is None:
            loss = self.per_sample(logits, targets)
        else:
            loss = self.per_sample(logits, targets.where(keep, 0)).where(keep, 0)
        if self.reduction == "mean":
            return loss.mean() if keep is None else loss.sum() / keep.sum()
        return loss.sum() if self.reduction == "sum" else loss

    @property
    def name(self) -> str:
        """The short name that the field's tables print: the key in ``LOSSES`` or
        ``CORRECTIONS``."""
        return type(self).__name__

    def settings(self) -> dict:
        """The hyper-parameters, by the names of the constructor, as plain JSON values."""
        return {name: getattr(self, name) for name in parameters_of(type(self))}

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.settings().items())


def parameters_of(loss: Callable[..., Loss]) -> list[str]:
    """The names of a loss's own hyper-parameters, without those that every loss has."""
    taken = inspect.signature(loss).parameters.values()
    return [p.name for p in taken if p.name not in SHARED and p.kind is not p.VAR_KEYWORD]


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
    for name, given in (("logits", logits), ("targets", targets)):
        if not isinstance(given, Tensor):
            raise ValueError(f"{name} must be a tensor, got {type(given).__name__}: "
                             f"torch.as_tensor({name})")  # fmt: skip
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
    if logits.device != targets.device:
        raise ValueError(f"logits are on {logits.device}, targets on {targets.device}: move one of "
                         "them, targets.to(logits.device)")  # fmt: skip
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def refuse_outside(targets: Tensor, K: int, ignored: int | None) -> None:
    """``ValueError`` with the value of a target that is neither one of K classes nor ``ignored``.
    None is looked for on a GPU, nor inside of vmap, where the values cannot be seen."""
    outside = (targets < 0) | (targets >= K)
    if ignored is not None:
        outside &= targets != ignored
    with contextlib.suppress(RuntimeError):  # of vmap
        if targets.is_cpu and outside.any():
            at = int(outside.nonzero()[0])
            raise ValueError(
                f"targets must lie in 0..{K - 1}, but targets[{at}] is {int(targets[at])}; number "
                "the classes from 0, give the network an output for each, or name the value that "
                "marks samples without a label: ignore_index"
            )


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
