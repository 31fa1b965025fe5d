"""Losses divided by their own sum over all labels, and their sums with another loss.

A normalised loss is symmetric by construction: its sum over all K labels is a constant. There is no
normalised RCE here: RCE / sum_k RCE_k = (1 - p_y)/(K - 1) whatever A is, which is MAE over
2 (K - 1). (Public code with ``1 / 4 * (K - 1)`` in its place has 2.25 RCE at K = 10: a slip of
precedence.)
"""

import math

import torch
from torch import Tensor

from labelnoise.checks import positive
from labelnoise.losses.base import Loss, of_target, power
from labelnoise.losses.combined import sum_of
from labelnoise.losses.cross_entropy import FOCAL, Focal
from labelnoise.losses.linear import MAE, RCE
from labelnoise.losses.published import ALFS, everywhere, setting

__all__ = ["NCE", "NFL", "NGCE", "NNCE"]


class NCE(Loss):
    """Normalised cross-entropy, ``log p_y / sum_k log p_k``, in [0, 1].

    Its sum over the labels is 1. Ma et al., ICML 2020 (arXiv 2006.13554).
    """

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = torch.log_softmax(logits, dim=1)
        return of_target(log_p, targets) / log_p.sum(dim=1)


class NFL(Focal):
    """Normalised focal loss, ``FL_y / sum_k FL_k`` with ``FL_k = -(1 - p_k)^gamma log p_k``, in
    [0, 1]; 0 <= gamma <= 100. gamma = 0 is NCE.

    Ma et al., ICML 2020. ``detach`` as in FL: it holds every (1 - p_k)^gamma constant.
    """

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

    def __init__(self, q: float = 0.7, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
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

    def __init__(self, p_min: float = 1e-7, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.p_min = positive("p_min", p_min, high=0.5)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.p_min * logits.shape[1] >= 1:
            raise ValueError(
                f"p_min={self.p_min!r} must be below 1/K for {logits.shape[1]} classes"
            )
        A = -math.log(self.p_min)
        left = A + torch.log_softmax(logits, dim=1).clamp(min=-A)
        return 1 - of_target(left, targets) / left.sum(dim=1)


FAMILY = "normalised, and sums"
LOSSES = {
    "NCE": NCE,
    "NFL": NFL,
    "NGCE": NGCE,
    "NNCE": NNCE,
    "NCE+MAE": sum_of(NCE, MAE),
    "NCE+RCE": sum_of(NCE, RCE),
    "NFL+RCE": sum_of(NFL, RCE),
    "ANL-CE": sum_of(NCE, NNCE, name="ANL-CE"),
}
PUBLISHED = {
    "NCE": everywhere(setting(ALFS)),
    "NFL": everywhere(setting(ALFS, **FOCAL)),
    "NGCE": {
        "mnist": setting(ALFS, q=0.7, apl={"q": 0.1}),
        "cifar10": setting(ALFS, q=0.7, apl={"q": 0.1}),
        "cifar100": setting(ALFS, q=0.7),
    },
    "NNCE": everywhere(setting("ANL, Virusdoll/Active-Negative-Loss config", p_min=1e-7)),
    # ALFs and APL multiply beta by 1 - p_y here, half of our MAE, so that beta is halved
    "NCE+MAE": {
        "mnist": setting(
            f"{ALFS}: 1, 100 on 1 - p_y", alpha=1.0, beta=50.0, apl={"alpha": 1.0, "beta": 5.0}
        ),
        "cifar10": setting(f"{ALFS}: 1, 1 on 1 - p_y", alpha=1.0, beta=0.5),
        "cifar100": setting(f"{ALFS}: 10, 1 on 1 - p_y", alpha=10.0, beta=0.5),
    },
    "NCE+RCE": {
        "mnist": setting(ALFS, alpha=1.0, beta=100.0, apl={"alpha": 1.0, "beta": 10.0}),
        "cifar10": setting(ALFS, alpha=1.0, beta=1.0),
        "cifar100": setting(ALFS, alpha=10.0, beta=1.0, apl={"alpha": 10.0, "beta": 0.1}),
    },
    "NFL+RCE": {
        "mnist": setting(
            ALFS, alpha=1.0, beta=100.0, **FOCAL, apl={"alpha": 1.0, "beta": 10.0, **FOCAL}
        ),
        "cifar10": setting(ALFS, alpha=1.0, beta=1.0, **FOCAL),
        "cifar100": setting(
            ALFS, alpha=10.0, beta=1.0, **FOCAL, apl={"alpha": 10.0, "beta": 0.1, **FOCAL}
        ),
    },
    "ANL-CE": {
        "mnist": setting(
            "ANL, Virusdoll/Active-Negative-Loss config/mnist_anl_ce.json; its L1 term is part of "
            "the protocol",
            alpha=1.0,
            beta=1.0,
            p_min=1e-7,
        ),
    },
}
