"""Cross-entropy, and its bends: what is done to -log p_y so that a wrong label pulls less."""

import math

import torch
from torch import Tensor

from labelnoise.checks import flag, is_number, positive
from labelnoise.losses.base import Loss, TargetLoss, of_target, power
from labelnoise.losses.combined import clipped
from labelnoise.losses.published import ALFS, EPS, NONE, everywhere, setting

__all__ = ["CE", "FL", "GCE", "LDRKL", "ClippedCE", "LabelSmoothing", "PHuberCE", "TaylorCE"]


class CE(TargetLoss):
    """Cross-entropy, ``-log p_y``, in [0, inf).

    dL/dp_y = -1/p_y: the less a network believes a label, the harder it is pushed towards it.
    """

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return -log_p


class Focal(Loss):
    """What FL and NFL share: the parameters of a focal factor (1 - p)^gamma. A gamma above 100
    leaves float32."""

    def __init__(
        self,
        gamma: float = 0.5,
        detach: bool = False,
        reduction: str = "mean",
        **shared: int | None,
    ):
        super().__init__(reduction, **shared)
        if not is_number(gamma) or not 0 <= gamma <= 100:
            raise ValueError(f"gamma={gamma!r} must be a number of at least 0 and at most 100")
        self.gamma, self.detach = float(gamma), flag("detach", detach)


class FL(Focal, TargetLoss):
    """Focal loss, ``-(1 - p_y)^gamma log p_y``, in [0, inf); 0 <= gamma <= 100.

    gamma = 0 is CE; a larger one turns away from what is learnt already. Lin et al., ICCV 2017
    (arXiv 1708.02002). ``detach=True`` holds the factor (1 - p_y)^gamma constant in the
    gradient, as the code of APL and ALFs does: the same value, another training.
    """

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        factor = miss.detach().pow(self.gamma) if self.detach else power(miss, self.gamma)
        return -factor * log_p


class GCE(TargetLoss):
    """Generalised cross-entropy, ``(1 - p_y^q) / q``, in [0, 1/q]; 0 < q <= 1.

    q -> 0 is CE, q = 1 is MAE/2. Zhang & Sabuncu, NeurIPS 2018 (arXiv 1805.07836), eq. 6, with
    their q = 0.7 as default.
    """

    def __init__(self, q: float = 0.7, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.q = positive("q", q, high=1.0)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return -torch.expm1(self.q * log_p) / self.q


class TaylorCE(TargetLoss):
    """The Taylor series of cross-entropy around p_y = 1, cut off: ``sum_{i=1..order} (1 - p_y)^i
    / i``, in [0, 1 + 1/2 + ... + 1/order]; order = 1, 2, ...

    order = 1 is MAE/2; order -> inf is CE. Feng et al., IJCAI 2020, pp. 2206-2212.
    """

    def __init__(self, order: int = 6, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        if not isinstance(order, int) or isinstance(order, bool) or order < 1:
            raise ValueError(f"order={order!r} must be an integer of at least 1")
        self.order = order

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        total = torch.zeros_like(miss)
        for i in range(self.order, 0, -1):  # Horner: miss (1 + miss (1/2 + miss (1/3 + ...)))
            total = miss * (1 / i + total)
        return total


class PHuberCE(TargetLoss):
    """Partially Huberised cross-entropy: ``-log p_y`` where p_y > 1/tau, and its tangent there,
    ``-tau p_y + log tau + 1``, where p_y is less; in [0, log tau + 1]; tau > 1.

    No label has a slope above tau. Menon et al., ICLR 2020; tau = 10 is the default of the
    public re-implementation dmizr/phuber.
    """

    def __init__(self, tau: float = 10.0, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.tau = positive("tau", tau, low=1.0)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        tangent = -self.tau * log_p.exp() + math.log(self.tau) + 1
        return torch.where(log_p > -math.log(self.tau), -log_p, tangent)


class ClippedCE(TargetLoss):
    """Cross-entropy with an upper bound, ``min(-log p_y, bound)``, in [0, bound]; bound > 0.

    A label with p_y < exp(-bound) has no gradient at all. The answer "clip the loss" to the
    question of 30 % wrong labels. bound = log 100 gives up on labels below 1 %; it is ours, and
    has to lie above log K, the loss of an untrained network, for training to start.
    """

    def __init__(self, bound: float = math.log(100), reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.bound = positive("bound", bound)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return (-log_p).clamp(max=self.bound)


class LabelSmoothing(Loss):
    """Cross-entropy against smoothed labels, ``-(1 - epsilon) log p_y - epsilon/K sum_k log p_k``;
    epsilon < 1. In [0, inf) for epsilon >= 0; unbounded below for a negative epsilon.

    epsilon > 0 is Szegedy et al., CVPR 2016 (arXiv 1512.00567), sec. 7; epsilon < 0 is negative
    label smoothing, Wei et al., ICML 2022 (arXiv 2106.04149).
    """

    def __init__(self, epsilon: float = 0.1, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        if not is_number(epsilon) or epsilon >= 1:
            raise ValueError(f"epsilon={epsilon!r} must be a number below 1")
        self.epsilon = float(epsilon)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = torch.log_softmax(logits, dim=1)
        uniform = log_p.sum(dim=1) / logits.shape[1]
        return (self.epsilon - 1) * of_target(log_p, targets) - self.epsilon * uniform


class LDRKL(Loss):
    """Label-distributionally robust loss with a KL penalty,
    ``lam log((1/K) sum_k exp((z_k - z_y)/lam))``, in [-lam log K, inf); lam > 0.

    It is lam (CE at temperature lam) - lam log K. Zhu et al., ICML 2023 (arXiv 2112.14869), with
    margin 0. The re-run in the epsilon-softmax code differs: margin 0.1, and logits that pass
    through a softplus and are divided by their mean.
    """

    def __init__(self, lam: float = 10.0, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.lam = positive("lam", lam)

    @property
    def name(self) -> str:
        return "LDR-KL"

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        gaps = (logits - logits.gather(1, targets[:, None])) / self.lam
        return self.lam * (torch.logsumexp(gaps, dim=1) - math.log(logits.shape[1]))


FAMILY = "cross-entropy and its bends"
LOSSES = {
    "CE": CE,
    "FL": FL,
    "GCE": GCE,
    "TaylorCE": TaylorCE,
    "PHuberCE": PHuberCE,
    "ClippedCE": ClippedCE,
    "LabelSmoothing": LabelSmoothing,
    "CE+LogitClip": clipped(CE),
    "LDR-KL": LDRKL,
}
# Of FL and of NFL: public code holds the focal factor constant in the gradient.
FOCAL = {"gamma": 0.5, "detach": True}
PUBLISHED = {
    "CE": everywhere(setting(ALFS)),
    "FL": everywhere(setting(ALFS, **FOCAL)),
    "GCE": everywhere(setting(ALFS, q=0.7)),
    "TaylorCE": everywhere(setting(f"{NONE}; order of arXiv 2305.02139 on CIFAR-10", order=6)),
    "PHuberCE": {
        **everywhere(setting("dmizr/phuber: its default, and its setting for MNIST", tau=10.0)),
        "cifar10": setting("dmizr/phuber: its setting for CIFAR-10", tau=2.0),
    },
    "ClippedCE": everywhere(setting(f"{NONE}; ours: gives up on labels below p_y = 1 %")),
    "LabelSmoothing": everywhere(setting(f"{NONE}; the customary value", epsilon=0.1)),
    "CE+LogitClip": {
        **everywhere(
            setting(
                f"{EPS}, 60 and 80 %: clipped to norm 1.5 (its code does so above 1/1.5, the "
                "formula above 1.5)",
                tau=1.5,
            )
        ),
        "cifar100": setting("epsilon-softmax, NeurIPS 2024, CIFAR-100, symmetric", tau=0.5),
    },
    "LDR-KL": {
        **everywhere(setting(f"{EPS}, and its MNIST config", lam=10.0)),
        "cifar100": setting("epsilon-softmax, NeurIPS 2024, CIFAR-100", lam=1.0),
    },
}
