"""Losses built on the symmetric 1 - p_y: their sum over all classes is a constant."""

import math

from torch import Tensor

from labelnoise.losses.base import TargetLoss, is_number

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


class SCE(TargetLoss):
    """Symmetric cross-entropy, ``alpha CE + beta RCE`` with ``RCE = -A (1 - p_y)``, in [0, inf).

    alpha >= 0 and beta >= 0, not both 0; A < 0 stands for log 0. Wang et al., ICCV 2019
    (arXiv 1908.06112), eqs. 5-7. Their text has A = -4, their code and ours log 1e-4 = -9.21.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 1.0,
        A: float = RCE_LOG_ZERO,
        reduction: str = "mean",
    ):
        super().__init__(reduction)
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not is_number(value) or value < 0:
                raise ValueError(f"{name}={value!r} must be a number of at least 0")
        if alpha == beta == 0:
            raise ValueError("alpha and beta are both 0, so the loss would be constant; set one")
        if not is_number(A) or A >= 0:
            raise ValueError(f"A={A!r} must be a number below 0: it stands for log 0")
        self.alpha, self.beta, self.A = float(alpha), float(beta), float(A)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return -self.alpha * log_p - self.beta * self.A * miss
