"""Losses from a divergence and from another softmax: Jensen-Shannon, epsilon-softmax."""

import math

import torch
from torch import Tensor

from labelnoise.checks import is_number
from labelnoise.losses.base import Loss, TargetLoss, log_p_target
from labelnoise.losses.combined import sum_of
from labelnoise.losses.linear import MAE
from labelnoise.losses.published import EPS, everywhere, setting

__all__ = ["GJS", "CE_eps"]


class GJS(TargetLoss):
    """Generalised Jensen-Shannon divergence of label and prediction, scaled:
    ``[H(m) - (1 - pi) H(p)] / Z`` with m = pi one-hot(y) + (1 - pi) p, Z = -(1 - pi) log(1 - pi),
    in [0, H(pi, 1 - pi) / Z]; 0.001 <= pi < 1 (float32 loses digits as 1/pi). pi -> 0 is
    CE; pi -> 1 is MAE/2, but only as fast as -1/log(1 - pi) vanishes.

    What the other classes contribute to H(m) and to H(p) cancels but for log(1 - pi), so that only
    p_y is left: with m_y = pi + (1 - pi) p_y,

        L Z = (1 - pi) p_y log p_y - m_y log m_y - (1 - pi) (1 - p_y) log(1 - pi).

    Englesson & Azizpour, NeurIPS 2021 (arXiv 2105.04522), with two distributions (JS); their
    third, the prediction for another augmentation, needs a second pass and is not here.
    """

    def __init__(self, pi: float = 0.5, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        if not is_number(pi) or not 1e-3 <= pi < 1:
            raise ValueError(f"pi={pi!r} must be a number of at least 0.001 and below 1")
        self.pi = float(pi)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        rest = 1 - self.pi
        log_rest = math.log1p(-self.pi)
        m = 1 - rest * miss
        entropies = rest * log_p.exp() * log_p - m * torch.log1p(-rest * miss)
        return (entropies - rest * log_rest * miss) / (-rest * log_rest)


class CE_eps(Loss):
    """Cross-entropy of the epsilon-softmax, which adds m to the largest probability p_t and
    divides by m + 1: ``-log((p_y + m)/(m + 1))`` if y = t, else ``-log(p_y/(m + 1))``; in [0, inf);
    m >= 0. m = 0 is CE. The choice of t has no gradient.

    Wang et al., NeurIPS 2024 (epsilon-softmax). Their code clamps at 1e-8, which at m = 1e5 cuts
    the gradient of every label below p_y = 1e-3; the formula does not, and neither do we.
    """

    def __init__(self, m: float = 1e5, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        if not is_number(m) or m < 0:
            raise ValueError(f"m={m!r} must be a number of at least 0")
        self.m = float(m)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = log_p_target(logits, targets)
        top = logits.argmax(dim=1) == targets
        miss = torch.where(top, -torch.expm1(log_p), 0)
        return torch.where(top, -torch.log1p(-miss / (1 + self.m)), math.log1p(self.m) - log_p)


FAMILY = "divergences"
LOSSES = {"GJS": GJS, "CE_eps+MAE": sum_of(CE_eps, MAE)}
PUBLISHED = {
    "GJS": everywhere(
        setting(
            "ours: pi = 1/2 is the Jensen-Shannon divergence itself; its paper has 0.1 to 0.9 on "
            "CIFAR, by noise",
            pi=0.5,
        )
    ),
    "CE_eps+MAE": {
        **everywhere(setting(EPS, alpha=0.01, beta=5.0, m=1e5)),
        "cifar100": setting(
            "epsilon-softmax, NeurIPS 2024, CIFAR-100, symmetric 40 %",
            alpha=0.03,
            beta=1.0,
            m=1e4,
        ),
    },
}
