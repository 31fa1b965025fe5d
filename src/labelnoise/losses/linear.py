"""Losses linear in p_y, and with cross-entropy beside them: MAE, RCE, SCE."""

import math

from torch import Tensor

from labelnoise.checks import is_number
from labelnoise.losses.base import TargetLoss, weights
from labelnoise.losses.published import ALFS, APL, everywhere, setting

__all__ = ["MAE", "RCE", "SCE"]

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

    def __init__(self, A: float = RCE_LOG_ZERO, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
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
        **shared: int | None,
    ):
        super().__init__(reduction, **shared)
        self.alpha, self.beta = weights(alpha, beta)
        self.A = log_zero(A)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return -self.alpha * log_p - self.beta * self.A * miss


def log_zero(A: float) -> float:
    if not is_number(A) or A >= 0:
        raise ValueError(f"A={A!r} must be a number below 0: it stands for log 0")
    return float(A)


FAMILY = "linear in p_y"
LOSSES = {"MAE": MAE, "RCE": RCE, "SCE": SCE}
PUBLISHED = {
    "MAE": everywhere(setting(f"{ALFS} (2 (1 - p_y); APL's code has half of it)")),
    # A = log 1e-4 in nearly all public code, -4 in the text of the SCE paper and in one repository
    "RCE": everywhere(setting(APL)),
    "SCE": {
        "mnist": setting(
            f"{ALFS} (APL's configs have 0.01, 1)",
            alpha=1.0,
            beta=1.0,
            apl={"alpha": 0.01, "beta": 1.0},
        ),
        "cifar10": setting(ALFS, alpha=1.0, beta=1.0, apl={"alpha": 0.1, "beta": 1.0}),
        "cifar100": setting(ALFS, alpha=1.0, beta=1.0, apl={"alpha": 6.0, "beta": 0.1}),
    },
}
