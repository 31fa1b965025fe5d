"""CLL: correntropy between the softmax output and the one-hot label."""

import math

import torch
from torch import Tensor

from labelnoise.losses.base import Loss, log_p_target, positive

FORMS = ("target", "vector", "elementwise")


class CLL(Loss):
    r"""Correntropy based label loss, with e = one-hot(y) - p and a Gaussian kernel of width sigma.

    =============  ==============================================  =====================
    form           formula                                         range
    =============  ==============================================  =====================
    target         1 - exp(-(1 - p_y)^2 / 2 sigma^2)               [0, c(1)]
    vector         1 - exp(-||e||_2^2 / 2 sigma^2)                 [0, c(2)]
    elementwise    sum_k [1 - exp(-e_k^2 / 2 sigma^2)]             [0, 2 c(1)]
    =============  ==============================================  =====================

    where c(s) = 1 - exp(-s / 2 sigma^2). ``normalise=True`` divides by the upper end of the range,
    so that a one-hot wrong prediction costs 1.

    Candidates for the loss of Deng et al., Neurocomputing 646 (2025) 130500, whose exact formula
    and bandwidth are not public; correntropy after Liu, Pokharel & Principe, IEEE TSP 2007; the
    normalisation after the C-loss of Singh, Pokharel & Principe, Pattern Recognition 2014.

    - 2 sigma^2 CLL -> the squared error as sigma grows; counting of errors as it shrinks.
    - For ``target``, dL/dp_y = -(1 - p_y)/sigma^2 exp(-(1 - p_y)^2 / 2 sigma^2): steepest at
      1 - p_y = sigma, and damped beyond it.

    ``sigma`` in [1e-6, 1e6] (the unit is a probability). Raises ``ValueError`` for other values
    and for an unknown form.
    """

    def __init__(
        self,
        sigma: float,
        form: str = "target",
        normalise: bool = False,
        reduction: str = "mean",
    ):
        super().__init__(reduction)
        self.sigma = positive("sigma", sigma, high=1e6)
        if self.sigma < 1e-6:
            raise ValueError(f"sigma={sigma!r} is below 1e-6, where every gradient underflows")
        if form not in FORMS:
            raise ValueError(f"form={form!r} is unknown; known: {', '.join(FORMS)}")
        if not isinstance(normalise, bool):
            raise ValueError(f"normalise={normalise!r} must be True or False")
        self.form = form
        self.normalise = normalise

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.form == "target":
            loss = self.damped(torch.expm1(log_p_target(logits, targets)).square())
        elif self.form == "vector":
            loss = self.damped(squared_error(logits, targets).sum(dim=1))
        else:
            loss = self.damped(squared_error(logits, targets)).sum(dim=1)
        return loss / self.largest() if self.normalise else loss

    def damped(self, square: Tensor) -> Tensor:
        """``1 - exp(-square / 2 sigma^2)``, elementwise: the correntropy of a squared error."""
        return -torch.expm1(-square / (2 * self.sigma**2))

    def largest(self) -> float:
        """The loss of a one-hot wrong prediction: the upper end of the range."""
        square = 2 if self.form == "vector" else 1
        terms = 2 if self.form == "elementwise" else 1
        return -terms * math.expm1(-square / (2 * self.sigma**2))


def squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """``(one-hot(y) - p)^2``, ``[B, K]``, with 1 - p_y from ``expm1`` in the target's column."""
    log_p = torch.log_softmax(logits, dim=1)
    miss = -torch.expm1(log_p.gather(1, targets[:, None]))
    return log_p.exp().scatter(1, targets[:, None], miss).square()
