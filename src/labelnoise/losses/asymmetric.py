"""Asymmetric losses of Zhou et al., ICML 2021 (arXiv 2106.03110; TPAMI 2023), as in their code, and
the asymmetric squared error of Wang et al., ICCV 2025 (arXiv 2507.17692).

They need no constant class sum. What counts for those of p_y is their asymmetry ratio r, found by
``theory.asymmetry_ratio``: they tolerate any noise under which no wrong class is more than r times
as likely as the right one.
"""

import math

import torch
from torch import Tensor

from labelnoise.checks import is_number, positive
from labelnoise.losses.base import Loss, TargetLoss
from labelnoise.losses.combined import sum_of
from labelnoise.losses.normalised import NCE
from labelnoise.losses.published import ALFS, setting

__all__ = ["AEL", "AGCE", "AMSE", "AUL"]

JAL = "JAL, cswjl/joint-asymmetric-loss; its L1 term is part of the protocol"


class AGCE(TargetLoss):
    """Asymmetric generalised cross-entropy, ``((a + 1)^q - (a + p_y)^q) / q``, in
    [0, ((a + 1)^q - a^q) / q]; a > 0 (above 1e-6, for float32), q > 0.

    r = 1 for q >= 1, else (a / (a + 1))^(1 - q). q = 1 is MAE/2; a -> 0 is GCE.
    """

    def __init__(self, a: float, q: float, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.a, self.q = positive("a", a, low=1e-6), positive("q", q)
        self.scale = finite_power(self.a + 1, self.q) / self.q

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        # a + p_y = (a + 1)(1 - miss/(a + 1)), so that nothing is lost where p_y is close to 1
        return -self.scale * torch.expm1(self.q * torch.log1p(-miss / (self.a + 1)))


class AUL(TargetLoss):
    """Asymmetric unhinged loss, ``((a - p_y)^q - (a - 1)^q) / q``, in
    [0, (a^q - (a - 1)^q) / q]; a > 1, q > 0.

    r = 1 for q <= 1, else ((a - 1) / a)^(q - 1). q = 1 is MAE/2, and so is a^(1-q) AUL as a grows.
    The code of the paper calls it AUE; its ANormL, over all classes, is another loss and not here.
    """

    def __init__(self, a: float, q: float, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.a, self.q = positive("a", a, low=1.0), positive("q", q)
        finite_power(max(self.a, self.a / (self.a - 1)), self.q)  # what of_p multiplies by scale
        self.scale = (self.a - 1) ** self.q / self.q

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        # a - p_y = (a - 1)(1 + miss/(a - 1))
        return self.scale * torch.expm1(self.q * torch.log1p(miss / (self.a - 1)))


class AEL(TargetLoss):
    """Asymmetric exponential loss, ``exp(-p_y / a)``, in [exp(-1/a), 1]; a > 0. r = exp(-1/a)."""

    def __init__(self, a: float, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.a = positive("a", a)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return torch.exp(-log_p.exp() / self.a)


class AMSE(Loss):
    """Asymmetric mean squared error, ``(1/K) ||a one-hot(y) - p||_2^2``, in
    [(a - 1)^2 / K, (a^2 + 1) / K]; 1 <= a <= 1e6.

    Under labels with the probabilities w its mean is least at the point of the simplex next to a w.
    That is one-hot, so that the noise is tolerated, if and only if the likeliest label leads every
    other by at least 1/a. a = 1 is MSE/K; as a grows, AMSE/a tends to MAE/K, but for a constant.

    Symmetric noise of rate r leaves the true class a lead of 1 - r K/(K-1): 1/9 for 80 % and
    K = 10. Wang et al., ICCV 2025 (arXiv 2507.17692), with NCE beside it (JAL-CE); a = 30 as in
    their code for CIFAR-10.
    """

    def __init__(self, a: float = 30.0, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        if not is_number(a) or not 1 <= a <= 1e6:
            raise ValueError(
                f"a={a!r} must be a number in [1, 1e6]: below 1 the label itself would not be the "
                "best answer"
            )
        self.a = float(a)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        others = torch.softmax(logits, dim=1).scatter(1, targets[:, None], 0)
        short = self.a - 1 + others.sum(dim=1)  # a - p_y
        return (short.square() + others.square().sum(dim=1)) / logits.shape[1]


def finite_power(base: float, q: float) -> float:
    if q * math.log(base) > 80:  # float32 ends at exp(88)
        raise ValueError(f"q={q!r} is too large: {base:g}^q would leave float32; lower it")
    return base**q


FAMILY = "asymmetric"
LOSSES = {
    "AGCE": AGCE,
    "AUL": AUL,
    "AEL": AEL,
    "AMSE": AMSE,
    "NCE+AGCE": sum_of(NCE, AGCE),
    "NCE+AUL": sum_of(NCE, AUL),
    "NCE+AEL": sum_of(NCE, AEL),
    "JAL-CE": sum_of(NCE, AMSE, name="JAL-CE"),
}
PUBLISHED = {
    "AGCE": {
        "mnist": setting(ALFS, a=4.0, q=0.2),
        "cifar10": setting(ALFS, a=0.6, q=0.6),
        "cifar100": setting(ALFS, a=0.6, q=0.6),
    },
    "AUL": {
        "mnist": setting(ALFS, a=3.0, q=0.1),
        "cifar10": setting(ALFS, a=5.5, q=3.0),
        "cifar100": setting(ALFS, a=5.5, q=3.0),
    },
    "AEL": {
        "mnist": setting(ALFS, a=3.5),
        "cifar10": setting(ALFS, a=2.5),
        "cifar100": setting(ALFS, a=2.5),
    },
    # on MNIST alpha = 0: these sums are AGCE, AUL and AEL there
    "NCE+AGCE": {
        "mnist": setting(ALFS, alpha=0.0, beta=1.0, a=4.0, q=0.2),
        "cifar10": setting(ALFS, alpha=1.0, beta=4.0, a=6.0, q=1.5),
        "cifar100": setting(ALFS, alpha=10.0, beta=0.1, a=1.8, q=3.0),
    },
    "NCE+AUL": {
        "mnist": setting(ALFS, alpha=0.0, beta=1.0, a=3.0, q=0.1),
        "cifar10": setting(ALFS, alpha=1.0, beta=4.0, a=6.3, q=1.5),
        "cifar100": setting(ALFS, alpha=10.0, beta=0.015, a=6.0, q=3.0),
    },
    "NCE+AEL": {
        "mnist": setting(ALFS, alpha=0.0, beta=1.0, a=3.5),
        "cifar10": setting(ALFS, alpha=1.0, beta=4.0, a=5.0),
        "cifar100": setting(ALFS, alpha=10.0, beta=0.1, a=1.5),
    },
    "AMSE": {
        "cifar10": setting(f"as in JAL-CE of {JAL}", a=30.0),
        "cifar100": setting(f"as in JAL-CE of {JAL}", a=20.0),
    },
    "JAL-CE": {
        "cifar10": setting(JAL, alpha=1.0, beta=1.0, a=30.0),
        "cifar100": setting(JAL, alpha=5.0, beta=1.0, a=20.0),
    },
}
