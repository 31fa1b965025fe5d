"""CLL: correntropy between the softmax output and the one-hot label; its limit, the squared error;
its extensions to other kernels."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from labelnoise.checks import flag, is_number, positive
from labelnoise.losses.base import Loss, TargetLoss, log_p_target, power
from labelnoise.losses.published import everywhere, setting

__all__ = ["CLL", "MSE", "GeneralisedCLL", "MixtureCLL"]

FORMS = ("target", "vector", "elementwise")


class CLL(Loss):
    r"""Correntropy based label loss, with e = one-hot(y) - p and a Gaussian kernel of width sigma.

    =============  ==============================================  =====================
    form           formula                                         range
    =============  ==============================================  =====================
    target         1 - exp(-(1 - p_y)^2 / 2 sigma^2)               [0, c(1)]
    vector         1 - exp(-||e||_2^2 / 2 sigma^2)                 [0, c(2)]
    elementwise    sum_k [1 - exp(-e_k^2 / 2 sigma^2)]             [0, 2 c(1)], see below
    =============  ==============================================  =====================

    where c(s) = 1 - exp(-s / 2 sigma^2). ``normalise=True`` divides by the upper end given here,
    the loss of a one-hot wrong prediction. For ``elementwise`` that is the upper end if sigma is at
    least 0.64; with a narrower kernel, one spread over several wrong classes costs up to K c(1).

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
        **shared: int | None,
    ):
        super().__init__(reduction, **shared)
        self.sigma = bandwidth("sigma", sigma)
        if form not in FORMS:
            raise ValueError(f"form={form!r} is unknown; known: {', '.join(FORMS)}")
        self.form = form
        self.normalise = flag("normalise", normalise)

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
        """The loss of a one-hot wrong prediction."""
        square = 2 if self.form == "vector" else 1
        terms = 2 if self.form == "elementwise" else 1
        return -terms * math.expm1(-square / (2 * self.sigma**2))


class GeneralisedCLL(TargetLoss):
    """CLL ``target`` with the generalised Gaussian kernel: ``1 - exp(-((1 - p_y)/beta)^alpha)``,
    in [0, 1 - exp(-beta^-alpha)]; shape 0 < alpha <= 100, bandwidth beta in [1e-6, 1e6].

    alpha = 2 and beta = sqrt(2) sigma is CLL. For alpha <= 1 the slope no longer fades as
    p_y -> 1; alpha = 1 with a wide kernel is MAE: beta L -> 1 - p_y. The kernel of Chen et al.,
    IEEE TSP 2016 (arXiv 1504.02931); its use on labels is ours.
    """

    def __init__(self, alpha: float, beta: float, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.alpha, self.beta = positive("alpha", alpha, high=100), bandwidth("beta", beta)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        error = miss / self.beta
        # exp(-1000) is 0 already; beyond, the power could leave float32: 0 * inf in the gradient
        if 1 / self.beta > (enough := 1000.0 ** min(1 / self.alpha, 10)):
            error = error.clamp(max=enough)
        return -torch.expm1(-power(error, self.alpha))


class MixtureCLL(TargetLoss):
    """CLL ``target`` with a mixture of Gaussian kernels: ``sum_i weights_i [1 - exp(-(1 - p_y)^2 /
    2 sigmas_i^2)]``, in [0, 1]; weights above 0 that sum to 1, each sigma in [1e-6, 1e6].

    A narrow kernel beside a wide one: the narrow one still counts errors, the wide one still pulls
    where the narrow one has given up. Mixture correntropy with centre 0; its use on labels is ours.
    """

    def __init__(
        self,
        sigmas: Sequence[float],
        weights: Sequence[float],
        reduction: str = "mean",
        **shared: int | None,
    ):
        super().__init__(reduction, **shared)
        for name, values in (("sigmas", sigmas), ("weights", weights)):
            if not hasattr(values, "__len__"):
                raise ValueError(f"{name}={values!r} must be a list of numbers")
        if len(sigmas) != len(weights) or not len(sigmas):
            raise ValueError(f"sigmas={sigmas!r} and weights={weights!r} must be of one length")
        self.sigmas = [bandwidth("sigmas", sigma) for sigma in sigmas]
        self.weights = [positive("weights", weight) for weight in weights]
        if abs(sum(self.weights) - 1) > 1e-9:
            raise ValueError(f"weights={weights!r} must sum to 1, not to {sum(self.weights):g}")

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        terms = zip(self.weights, self.sigmas, strict=True)
        return -sum(w * torch.expm1(-miss.square() / (2 * s**2)) for w, s in terms)


class MSE(Loss):
    """Squared error ``||e||_2^2 = sum_k (one-hot(y)_k - p_k)^2``, the Brier score, in [0, 2].

    What 2 sigma^2 CLL(vector) becomes for a wide kernel. (Public code averages over the K classes
    as well: K times less.)
    """

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        others = torch.softmax(logits, dim=1).scatter(1, targets[:, None], 0)
        return others.square().sum(dim=1) + others.sum(dim=1).square()  # 1 - p_y is their sum


def squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """``(one-hot(y) - p)^2``, ``[B, K]``, with 1 - p_y from ``expm1`` in the target's column."""
    log_p = torch.log_softmax(logits, dim=1)
    miss = -torch.expm1(log_p.gather(1, targets[:, None]))
    return log_p.exp().scatter(1, targets[:, None], miss).square()


def bandwidth(name: str, value: float) -> float:
    """A bandwidth in [1e-6, 1e6]; below, every gradient underflows."""
    if not is_number(value) or not 1e-6 <= value <= 1e6:
        raise ValueError(f"{name}={value!r} must be a number above 0, in [1e-6, 1e6]: below, every "
                         "gradient underflows")  # fmt: skip
    return float(value)


FAMILY = "squared error and correntropy"
LOSSES = {"MSE": MSE, "CLL": CLL, "GeneralisedCLL": GeneralisedCLL, "MixtureCLL": MixtureCLL}
PUBLISHED = {
    "MSE": everywhere(setting("no parameter")),
    "GeneralisedCLL": everywhere(
        setting("ours: the shape without a fading slope", alpha=1.0, beta=1.0)
    ),
    "MixtureCLL": everywhere(
        setting("ours: two candidates of CLL, evenly", sigmas=[0.3, 1.0], weights=[0.5, 0.5])
    ),
}
