"""Losses whose sum over all K labels is a constant: those linear in p_y, and the normalised ones.

A loss divided by its own sum over all labels is symmetric by construction. There is no normalised
RCE here: RCE / sum_k RCE_k = (1 - p_y)/(K - 1) whatever A is, which is MAE over 2 (K - 1). (Public
code with ``1 / 4 * (K - 1)`` in its place has 2.25 RCE at K = 10: a slip of precedence.)
"""

import math

import torch
from torch import Tensor

from labelnoise.checks import is_number, positive
from labelnoise.losses.base import Loss, TargetLoss, of_target, power, weights
from labelnoise.losses.cross_entropy import focal

# log 0 in reverse cross-entropy. Public code clamps the one-hot label at 1e-4, so that A is
# log(1e-4) = -9.21; the text of the SCE paper says -4.
RCE_LOG_ZERO = math.log(1e-4)


class MAE(TargetLoss):
    """Mean absolute error ``||e||_1 = 2 (1 - p_y)`` with e = one-hot(y) - p, in [0, 2].

    Summed over the K possible labels it is the constant 2 (K - 1), which makes it tolerant to
    symmetric noise below (K-1)/K. Ghosh, Kumar & Sastry, AAAI 2017 (arXiv 1712.09482). The code
    of APL has half of it, 1 - p_y.
    """

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return 2 * miss


class RCE(TargetLoss):
    """Reverse cross-entropy ``-sum_k p_k log(one-hot(y)_k) = -A (1 - p_y)`` with A for log 0, in
    [0, -A]; A < 0. It is -A/2 times MAE. Wang et al., ICCV 2019 (arXiv 1908.06112).
    """

    def __init__(self, A: float = RCE_LOG_ZERO, reduction: str = "mean"):
        super().__init__(reduction)
        self.A = log_zero(A)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return -self.A * miss


class SCE(TargetLoss):
    """Symmetric cross-entropy, ``alpha CE + beta RCE`` with ``RCE = -A (1 - p_y)``, in [0, inf).

    alpha >= 0 and beta >= 0, not both 0; A < 0 stands for log 0. Wang et al., ICCV 2019
    (arXiv 1908.06112), eqs. 5-7. Their text has A = -4, their code and ours log 1e-4 = -9.21.
    Symmetric in name only: of its two terms just RCE is.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 1.0,
        A: float = RCE_LOG_ZERO,
        reduction: str = "mean",
    ):
        super().__init__(reduction)
        self.alpha, self.beta = weights(alpha, beta)
        self.A = log_zero(A)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return -self.alpha * log_p - self.beta * self.A * miss


def log_zero(A: float) -> float:
    if not is_number(A) or A >= 0:
        raise ValueError(f"A={A!r} must be a number below 0: it stands for log 0")
    return float(A)


class NCE(Loss):
    """Normalised cross-entropy, ``log p_y / sum_k log p_k``, in [0, 1].

    Its sum over the labels is 1. Ma et al., ICML 2020 (arXiv 2006.13554).
    """

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = torch.log_softmax(logits, dim=1)
        return of_target(log_p, targets) / log_p.sum(dim=1)


class NFL(Loss):
    """Normalised focal loss, ``FL_y / sum_k FL_k`` with ``FL_k = -(1 - p_k)^gamma log p_k``, in
    [0, 1]; 0 <= gamma <= 100. gamma = 0 is NCE.

    Ma et al., ICML 2020. ``detach`` as in FL: it holds every (1 - p_k)^gamma constant.
    """

    def __init__(self, gamma: float = 0.5, detach: bool = False, reduction: str = "mean"):
        super().__init__(reduction)
        self.gamma, self.detach = focal(gamma, detach)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = torch.log_softmax(logits, dim=1)
        miss = -torch.expm1(log_p.detach() if self.detach else log_p)
        fl = (miss.pow(self.gamma) if self.detach else power(miss, self.gamma)) * log_p
        return of_target(fl, targets) / fl.sum(dim=1)


class NGCE(Loss):
    """Normalised generalised cross-entropy, ``(1 - p_y^q) / (K - sum_k p_k^q)``, in
    [0, 1 / (K - (K-1)^(1-q))]; 0 < q <= 1. q -> 0 is NCE, q = 1 is MAE / 2 (K-1).

    The normalisation of Ma et al., ICML 2020, applied to GCE, as in their code.
    """

    def __init__(self, q: float = 0.7, reduction: str = "mean"):
        super().__init__(reduction)
        self.q = positive("q", q, high=1.0)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        gce = -torch.expm1(self.q * torch.log_softmax(logits, dim=1))
        return of_target(gce, targets) / gce.sum(dim=1)


class NNCE(Loss):
    """Normalised negative cross-entropy, ``1 - (A + log p_y) / sum_k (A + log p_k)`` with
    A = -log p_min, in [0, 1]; 0 < p_min < 1/K. Its sum over the labels is K - 1.

    Probabilities are clamped at p_min, below which a class has no gradient: the loss is built on
    this clamp, without which A + log p_k could be negative. Ye et al., NeurIPS 2023 (active
    negative loss); p_min = 1e-7 as in its code. A batch with K >= 1/p_min classes is refused.
    """

    def __init__(self, p_min: float = 1e-7, reduction: str = "mean"):
        super().__init__(reduction)
        self.p_min = positive("p_min", p_min, high=0.5)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.p_min * logits.shape[1] >= 1:
            raise ValueError(
                f"p_min={self.p_min!r} must be below 1/K for {logits.shape[1]} classes"
            )
        A = -math.log(self.p_min)
        left = A + torch.log_softmax(logits, dim=1).clamp(min=-A)
        return 1 - of_target(left, targets) / left.sum(dim=1)
