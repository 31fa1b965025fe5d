"""Sums of two losses, and a wrapper that clips the logits of any loss."""

from collections.abc import Callable

import torch
from torch import Tensor

from labelnoise.checks import flag, positive
from labelnoise.losses.base import Loss, parameters_of, weights


class Sum(Loss):
    """``alpha first + beta second``; alpha >= 0 and beta >= 0, not both 0.

    The active passive losses of Ma et al., ICML 2020 (arXiv 2006.13554), are such sums: an
    active loss (NCE, NFL) pulls the given label up, a passive one (MAE, RCE, AGCE, ...) pulls the
    others down as well. So are the active negative losses (NCE + NNCE).
    """

    def __init__(
        self,
        first: Loss,
        second: Loss,
        alpha: float = 1.0,
        beta: float = 1.0,
        name: str | None = None,
        reduction: str = "mean",
        **shared: int | None,
    ):
        super().__init__(reduction, **shared)
        self.first, self.second = first, second
        self.alpha, self.beta = weights(alpha, beta)
        self.known_as = name or f"{first.name}+{second.name}"

    @property
    def name(self) -> str:
        return self.known_as

    def settings(self) -> dict:
        return {
            "alpha": self.alpha,
            "beta": self.beta,
            **self.first.settings(),
            **self.second.settings(),
        }

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        terms = ((self.alpha, self.first), (self.beta, self.second))
        return sum(w * loss.per_sample(logits, targets) for w, loss in terms if w)


def sum_of(first: type[Loss], second: type[Loss], name: str | None = None) -> Callable[..., Sum]:
    """The constructor of a sum, e.g. ``sum_of(NCE, AGCE)(alpha=1, beta=4, a=6, q=1.5)``: every
    hyper-parameter goes to the loss that has it."""

    def make(
        alpha: float = 1.0,
        beta: float = 1.0,
        reduction: str = "mean",
        ignore_index: int | None = -100,
        **parameters,
    ) -> Sum:
        own = {k: parameters.pop(k) for k in parameters_of(first) if k in parameters}
        parts = first(**own), second(**parameters)
        return Sum(*parts, alpha, beta, name, reduction, ignore_index=ignore_index)

    return make


class LogitClip(Loss):
    """Any loss over logits whose norm is clipped at tau: ``z`` if ||z||_2 <= tau, else
    ``tau z / ||z||_2``; tau > 0. With ||z||_2 <= tau no p_y leaves
    [1/(1 + (K-1) e^(tau sqrt(2))), 1/(1 + (K-1) e^(-tau sqrt(2)))], so the loss is bounded.

    Unlike all other losses here it sees a shift of all logits. Wei et al., ICML 2023
    (arXiv 2212.04055). ``released=True`` is the variant of its released code, which clips
    logits above tau to the norm 1/tau; the two agree at tau = 1.
    """

    def __init__(
        self,
        loss: Loss,
        tau: float = 1.5,
        released: bool = False,
        reduction: str = "mean",
        **shared: int | None,
    ):
        super().__init__(reduction, **shared)
        self.loss = loss
        self.tau = positive("tau", tau)
        self.released = flag("released", released)

    @property
    def name(self) -> str:
        return f"{self.loss.name}+LogitClip"

    def settings(self) -> dict:
        return {"tau": self.tau, "released": self.released, **self.loss.settings()}

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(logits, dim=1, keepdim=True)
        clipped_to = 1 / self.tau if self.released else self.tau
        scale = torch.where(norm > self.tau, clipped_to / norm.clamp(min=self.tau), 1)
        return self.loss.per_sample(scale * logits, targets)


def clipped(loss: type[Loss]) -> Callable[..., LogitClip]:
    """The constructor of a loss on clipped logits, e.g. ``clipped(GCE)(tau=1.5, q=0.7)``."""

    def make(
        tau: float = 1.5,
        released: bool = False,
        reduction: str = "mean",
        ignore_index: int | None = -100,
        **parameters,
    ) -> LogitClip:
        return LogitClip(loss(**parameters), tau, released, reduction, ignore_index=ignore_index)

    return make
