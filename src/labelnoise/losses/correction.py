"""Losses that model the noise instead of resisting it: what the labels went through is put on the
prediction (Mixture, Forward), taken off the loss (Backward), or left to the network (Bootstrap).

``T[i, j] = P(noisy label = j | true label = i)``; p is the softmax output, CE_j
the cross-entropy -log p_j.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from labelnoise.checks import check_matrix, flag, is_number, positive
from labelnoise.losses.base import Loss, log_p_target, of_target

# Log-probabilities have seven digits in float32, and Backward weighs them with numbers as large as
# the condition number of T: beyond this, at most one digit of their sum is right.
MAX_CONDITION = 1e6


class Mixture(Loss):
    """Cross-entropy of a prediction mixed with the uniform one: ``-log(rate/K + (1 - rate) p_y)``,
    in [-log(1 - rate + rate/K), log(K/rate)], or [0, inf) at rate = 0, which is CE; 0 <= rate < 1.

    The answer "0.3/N + 0.7 p" to the question of 30 % wrong labels (Cross Validated 218656). Its
    model: a share ``rate`` of the labels was drawn anew, uniformly over all K classes. Some of them
    are right again, so wrong is only rate (K-1)/K: for 30 % wrong labels of 10 classes take
    rate = 1/3. It is ``Forward(noise.symmetric(K, rate, keep_true=True))``; see
    ``theory.model_the_noise``.

    Raises ``ValueError`` for a rate outside [0, 1): at 1 no label says anything. Of labels that are
    *wrong* that is (K-1)/K, the most that leaves the true class in the lead
    (``theory.model_the_noise.redrawn_rate`` turns the one into the other).
    """

    def __init__(self, rate: float, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        if not is_number(rate) or not 0 <= rate < 1:
            raise ValueError(
                f"rate={rate!r} must be a number of at least 0 and below 1: the share of labels "
                "that are drawn anew, e.g. 0.3 for 30 %"
            )
        self.rate = float(rate)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = log_p_target(logits, targets)
        if self.rate == 0:
            return -log_p
        uniform = torch.full_like(log_p, math.log(self.rate) - math.log(logits.shape[1]))
        return -torch.logaddexp(log_p + math.log1p(-self.rate), uniform)


class MatrixLoss(Loss):
    """A loss with a transition matrix T: ``[K, K]``, row-stochastic, nested lists or an array.

    ``T`` is kept as given, as nested lists of floats; what a call needs of it is a float64 buffer
    that follows the module to its device, not to another dtype (``half()``), and is cast to the
    dtype of the logits.
    """

    def __init__(self, T: ArrayLike, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        self.T = matrix(T).tolist()

    def rows(self, values: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
        """The targets' rows of ``values`` ``[K, K]``: ``[B, K]``, in the dtype of the logits."""
        if logits.shape[1] != len(self.T):
            raise ValueError(
                f"T is for {len(self.T)} classes, but the logits have {logits.shape[1]}: "
                "build the loss with the matrix of this data set"
            )
        values = values.to(logits.dtype)
        if torch.compiler.is_compiling():  # there index_select would read -1 as the last row
            return values.gather(0, targets[:, None].expand_as(logits))
        return values.index_select(0, targets)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "MatrixLoss":
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, buffer in before.items():
            self._buffers[name] = buffer.to(self._buffers[name].device)
        return self

    def extra_repr(self) -> str:
        return f"T=[{len(self.T)}, {len(self.T)}]"


class Forward(MatrixLoss):
    """Forward correction, ``-log (T^T p)_y``: the cross-entropy of the labels that the prediction
    would get under T, in [-log max_i T[i, y], -log min_i T[i, y]], up to inf where T[i, y] = 0.

    Patrini et al., CVPR 2017 (arXiv 1609.03683), theorem 2: with a non-singular T, what minimises
    it under the noisy labels minimises CE under the clean ones. T may be singular all the same
    (nothing is inverted); then several p give the same labels, and all of them minimise it.

    Computed as ``-logsumexp_i(log p_i + log T[i, y])``, where T[i, y] = 0 drops class i. Raises
    ``ValueError`` for what is no transition matrix, for logits of another K at the call, and for a
    column of zeros: such a label cannot be given, so that no p explains it.
    """

    def __init__(self, T: ArrayLike, reduction: str = "mean", **shared: int | None):
        super().__init__(T, reduction, **shared)
        T = np.asarray(self.T)
        if (never := np.flatnonzero(~T.any(axis=0))).size:
            raise ValueError(
                f"column {never[0]} of T is all zeros: label {never[0]} could never be given, and "
                "a sample that has it would cost infinity; mix in some uniform noise, e.g. "
                "T = 0.999 T + 0.001/K"
            )
        with np.errstate(divide="ignore"):
            log_T = torch.from_numpy(np.log(T.T).copy())
        self.register_buffer("log_T", log_T, persistent=False)  # [y, i]

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_T = self.rows(self.log_T, logits, targets)
        return -torch.logsumexp(torch.log_softmax(logits, dim=1) + log_T, dim=1)


class Backward(MatrixLoss):
    """Backward correction, ``sum_j (T^-1)[y, j] CE_j``: unbounded below, since T^-1 has negative
    entries wherever T is not a permutation.

    Patrini et al., CVPR 2017 (arXiv 1609.03683), theorem 1: it is unbiased. Under noise T,
    sum_y T[i, y] (sum_j (T^-1)[y, j] CE_j) = CE_i, for every prediction. Its variance is the price:
    it grows with the entries of T^-1.

    Raises ``ValueError`` for what is no transition matrix, for logits of another K at the call, and
    for a T that is singular or has a condition number above 1e6.
    """

    def __init__(self, T: ArrayLike, reduction: str = "mean", **shared: int | None):
        super().__init__(T, reduction, **shared)
        condition = np.linalg.cond(self.T)
        if not condition <= MAX_CONDITION:
            raise ValueError(
                f"T is singular or nearly so (condition number {condition:.3g}, at most "
                f"{MAX_CONDITION:g} is possible): different true classes give nearly the same "
                "labels, so that undoing the noise (T^-1) would need infinite weights; Forward(T) "
                "needs no inverse"
            )
        inverse = torch.from_numpy(np.linalg.inv(self.T))
        self.register_buffer("inverse", inverse, persistent=False)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        weights = self.rows(self.inverse, logits, targets)
        return -(weights * torch.log_softmax(logits, dim=1)).sum(dim=1)


class Bootstrap(Loss):
    """Cross-entropy against a label that is mixed with the prediction, in [0, inf); 0 < beta <= 1.

    ``hard=False``: targets ``beta one-hot(y) + (1 - beta) p``, so beta CE + (1 - beta) H(p) with
    the entropy H; beta = 0.95 by default. ``hard=True``: targets ``beta one-hot(y) + (1 - beta)
    one-hot(argmax p)``, so -beta log p_y - (1 - beta) log max_k p_k; beta = 0.8 by default. Reed
    et al., 2014 (arXiv 1412.6596), with their two values of beta; beta = 1 is CE.

    The gradient flows through the p inside the target: their loss is a function of p, whose
    gradient is that of beta CE + (1 - beta) H(p), and public code (giorgiop/loss-correction)
    differentiates it so. With p held constant the second term would have no gradient at all:
    cross-entropy against one's own prediction is at its minimum. The choice of the largest p_k has
    none.
    """

    def __init__(
        self,
        beta: float | None = None,
        hard: bool = False,
        reduction: str = "mean",
        **shared: int | None,
    ):
        super().__init__(reduction, **shared)
        self.hard = flag("hard", hard)
        usual = 0.8 if hard else 0.95
        self.beta = positive("beta", usual if beta is None else beta, high=1.0)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = torch.log_softmax(logits, dim=1)
        if self.hard:
            own = -of_target(log_p, log_p.argmax(dim=1))
        else:
            own = -(log_p.exp() * log_p).sum(dim=1)
        return -self.beta * of_target(log_p, targets) + (1 - self.beta) * own


def matrix(T: ArrayLike) -> np.ndarray:
    """``T`` as float64 ``[K, K]`` if it is a transition matrix, else ``ValueError``."""
    try:
        T = np.asarray(T, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"T must be a [K, K] matrix of numbers, such as noise.symmetric(K, rate), got "
            f"{type(T).__name__}"
        ) from None
    return check_matrix(T)
