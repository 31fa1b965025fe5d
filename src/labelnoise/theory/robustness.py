"""What a loss promises under label noise: symmetry, excess risk, asymmetry, calibration.

One input, K classes. ``q`` ``[..., K]`` is the probability of each label at this input (the
posterior), ``p`` ``[..., K]`` what the network answers, and sum_k q_k L(p, k) the conditional risk:
what an infinitely flexible network minimises at each input by itself.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from labelnoise import noise
from labelnoise.checks import check_matrix, is_number
from labelnoise.losses import CLL, Loss
from labelnoise.theory.formulas import damped, sees_only_target, target_formula

# ------------------------------------------------------------------- symmetry and excess risk


class Range(NamedTuple):
    """The least and the largest value; ``high`` is infinite for a loss without a bound."""

    low: float
    high: float

    @property
    def spread(self) -> float:
        return self.high - self.low


def of_every_label(loss: Loss, p: ArrayLike) -> np.ndarray:
    """L(p, k) for every label k, ``[..., K]``, from the code that trains networks, in float64.

    A probability of 0 is taken as 1e-12: logits are finite.
    """
    p = np.asarray(p, dtype=float)
    K = p.shape[-1]
    z = torch.from_numpy(np.log(p.reshape(-1, K).clip(1e-12)))
    z = z - z.mean(dim=1, keepdim=True)  # only LogitClip sees this shift
    columns = [loss.per_sample(z, torch.full((len(z),), k)).numpy() for k in range(K)]
    return np.stack(columns, axis=-1).reshape(p.shape)


def class_sum(loss: Loss, p: ArrayLike) -> np.ndarray:
    """sum_k L(p, k), ``[...]``. A loss is symmetric if it is the same for every p."""
    return of_every_label(loss, p).sum(axis=-1)


def class_sum_range(loss: Loss, num_classes: int) -> Range:
    """How far the class sum S(p) = sum_k f(p_k) of a loss f(p_y) strays over all p.

    At an extremum every p_k > 0 has the same f'(p_k), by Lagrange. If f bends only once, f' takes
    a value at most twice, and the second-order condition allows at most one p_k on the side that
    bends the wrong way. So all positive p_k but at most one are equal: j zeros, one x, and the
    other K - 1 - j at (1 - x)/(K - 1 - j). This family is searched, which leaves a walk over x for
    each j. (Where f is straight, as PHuberCE is at first, probability can be shifted at no cost
    until the family is reached.)

    For CLL ``target`` with sigma >= 1, f is convex, and the result is in closed form:
    [K c((1 - 1/K)^2), (K - 1) c(1)] with c(s) = 1 - exp(-s / 2 sigma^2), from the uniform p to a
    one-hot p; see ``cll_class_sum_range``.

    ``ValueError`` for losses that see more than p_y, or that bend more than once.
    """
    searched = repr(loss), num_classes
    if searched not in RANGES:
        RANGES[searched] = _searched_range(loss, num_classes)
    return RANGES[searched]


RANGES: dict[tuple[str, int], Range] = {}
"""What ``class_sum_range`` has found so far: bounds over many rates search it once."""


def _searched_range(loss: Loss, num_classes: int) -> Range:
    K = len(noise.symmetric(num_classes, 0.0))
    f = _cost(loss)
    _check_one_peak(loss)
    best, worst, at_zero = np.inf, -np.inf, float(f(0.0))
    for zeros in range(K):
        equal = K - 1 - zeros

        def total(x, zeros=zeros, equal=equal):
            rest = equal * f((1 - x) / equal) if equal else 0.0
            return f(x) + rest + (zeros * at_zero if zeros else 0.0)

        walk = np.append(np.linspace(0, 1, 2001), 1 / (equal + 1)) if equal else np.ones(1)
        sums = total(walk)
        best = min(best, _refined(total, walk, sums))
        worst = max(worst, -_refined(lambda x, t=total: -t(x), walk, -sums))
    if worst - best < 1e-12 * worst:  # rounding: a symmetric loss strays by nothing
        best = worst
    return Range(float(best), float(worst))


def cll_class_sum_range(sigma: float, num_classes: int) -> Range:
    """The closed form for CLL ``target`` with sigma >= 1; see ``class_sum_range``."""
    if CLL(sigma).sigma < 1:
        raise ValueError(f"sigma={sigma!r} is below 1, where CLL is not convex in p_y")
    K = len(noise.symmetric(num_classes, 0.0))
    uniform = K * damped((1 - 1 / K) ** 2 / (2 * sigma**2))
    return Range(float(uniform), float((K - 1) * damped(1 / (2 * sigma**2))))


def excess_risk_bound(loss: Loss, num_classes: int, rate: float) -> float:
    """What symmetric noise can cost at most: the clean risk of the network that minimises the noisy
    risk, minus the least clean risk, is at most

        rate (S_max - S_min) / (K - 1 - rate K),    0 <= rate < (K-1)/K.

    Proof. With the labels flipped at ``rate``, the noisy risk of f is
    (1 - rate K/(K-1)) R(f) + rate/(K-1) E S(f). Let f* minimise R and g the noisy risk; then
    (1 - rate K/(K-1)) (R(g) - R(f*)) <= rate/(K-1) (E S(f*) - E S(g)), which is at most
    rate/(K-1) (S_max - S_min).

    It holds for any set of networks and for any data. 0 for a symmetric loss (Ghosh et al., 2017);
    Zhang & Sabuncu, 2018, theorem 1, is the case of GCE.
    """
    K = len(noise.symmetric(num_classes, rate))
    if rate * K >= K - 1:
        raise ValueError(f"rate={rate!r} must be below (K-1)/K = {1 - 1 / K:g}: above it the true "
                         "class is no longer the most frequent label")  # fmt: skip
    spread = class_sum_range(loss, num_classes).spread
    return 0.0 if rate == 0 else rate * spread / (K - 1 - rate * K)


def error_bound(loss: Loss, num_classes: int, rate: float) -> float:
    """The same as a share of wrong predictions, where some network has no clean risk at all: a
    wrong prediction has p_y <= 1/2 and so costs at least L(1/2) - L(1); at most 1."""
    f = _cost(loss)
    least = float(f(0.5) - f(1.0))
    bound = excess_risk_bound(loss, num_classes, rate)
    return min(1.0, bound / least) if least > 0 else 1.0


def lattice(num_classes: int, steps: int) -> np.ndarray:
    """All p with entries 0, 1/steps, ..., 1 that sum to 1, ``[n, K]``."""
    K = len(noise.symmetric(num_classes, 0.0))
    counts = np.stack(np.meshgrid(*[np.arange(steps + 1)] * (K - 1), indexing="ij"), axis=-1)
    counts = counts.reshape(-1, K - 1)
    counts = counts[counts.sum(axis=1) <= steps]
    return np.column_stack([counts, steps - counts.sum(axis=1)]) / steps


def excess_risk(loss: Loss, q: np.ndarray, rate: float, answers: np.ndarray) -> np.ndarray:
    """What symmetric noise really costs at posteriors ``q`` ``[m, K]``, if the network picks among
    ``answers`` ``[n, K]``: the clean risk of the noisy minimiser minus the least clean risk,
    ``[m]``. Picking from a finite set leaves no error of optimisation."""
    L = of_every_label(loss, answers)
    clean = q @ L.T
    noisy = (q @ noise.symmetric(q.shape[-1], rate)) @ L.T
    return clean[np.arange(len(q)), noisy.argmin(axis=1)] - clean.min(axis=1)


# ------------------------------------------------------------------------------------- asymmetry


def asymmetry_ratio(loss: Loss, margin: float = 0.0) -> float:
    """The largest noise ratio that a loss l(p_y) tolerates by the criterion of ALFs,

        r = inf (l(p) - l(p + d)) / (l(0) - l(d))    over p >= 0, d > 0, p + d <= 1 - margin,

    where the noise ratio is max_{k != y} P(k)/P(y), given the true class y: within it, moving all
    of a wrong class's probability to the true class never raises the risk. Zhou et al., ICML 2021,
    as restated in arXiv 2305.02139. ``margin`` > 0 counts only answers that leave the label an
    error of at least ``margin``.

    p = 0 gives 1, so r <= 1. For a given d the numerator is the integral of the slope s = -l' over
    a window of width d; if s has one peak, or none, it is least with the window at an end: at
    p = 0, or at p = 1 - margin - d. That leaves a walk over d, with the limit
    s(1 - margin)/s(0) as d -> 0, which is the infimum wherever l is convex. So r = 0 if
    s(1) = 0 or s(0) is infinite. A grid over (p, d) never gets to the limit, and shows no zero.

    ``ValueError`` for losses that see more than p_y, for a margin outside [0, 1), and where s has
    more than one peak and r is not 0 all the same.
    """
    if not is_number(margin) or not 0 <= margin < 1:
        raise ValueError(f"margin={margin!r} must be a number in [0, 1)")
    cost, of_p, top = _cost(loss), target_formula(loss), 1 - margin
    with np.errstate(divide="ignore", invalid="ignore"):
        first, last = (abs(float(of_p(np.array(p))[1])) for p in (0.0, top))
        # s(0) of a narrow CLL rounds to 0 but is not, so that s(1) = 0 decides before it
        if np.isinf(first) or (last == 0 and margin == 0):
            return 0.0
        _check_one_peak(loss)
        limit = last / first if first > 0 else np.inf
        # where l is flat at p = 0, as in ClippedCE, the infimum may hide at a very small d
        d = top * np.geomspace(1e-3 if first > 0 else 1e-9, 1, 8001)
        steps = cost(top - d) - cost(np.full(1, top))
        falls = cost(np.zeros(1)) - cost(d)
        seen = falls > 1e-10 * abs(cost(0.0))  # less is rounding, of a loss that is flat there
        walk = np.where(seen, steps / np.where(seen, falls, 1), np.inf)
    # r = 1 up to rounding where a window of any place weighs the same, as in MAE
    return float(min(1.0, limit if np.isfinite(limit) else 1.0, _unrounded(walk.min())))


# ----------------------------------------------------------------------------------- calibration


class Calibration(NamedTuple):
    """Percent of clean posteriors whose most probable class is on top of the answer with the least
    noisy risk, and the mean belief in it; see ``calibration``."""

    right: float
    belief: float


def calibration(loss: Loss, T: np.ndarray, *, steps: int = 20, fine: int = 60) -> Calibration:
    """Whether minimising the conditional risk under the noise ``T`` finds the Bayes class.

    For every clean posterior on a lattice whose most probable class is unique, the answer of least
    noisy risk is searched on a finer lattice (meant for K = 3: the search is complete), and its top
    class compared with the most probable class of the *clean* posterior. A class that shares the
    top counts: where noise has made the posterior nearly flat, two classes round to one value.
    """
    K = len(check_matrix(T))
    q, answers = lattice(K, steps), lattice(K, fine)
    ordered = np.sort(q, axis=1)
    q = q[ordered[:, -1] > ordered[:, -2] + 1e-9]
    risk = (q @ T) @ of_every_label(loss, answers).T
    chosen, bayes = answers[risk.argmin(axis=1)], q.argmax(axis=1)
    belief = chosen[np.arange(len(q)), bayes]
    others = np.where(np.arange(K) == bayes[:, None], -1, chosen).max(axis=1)
    return Calibration(100 * float((belief >= others).mean()), float(belief.mean()))


# ----------------------------------------------------------------------------------- inner parts


def _cost(loss: Loss):
    """p_y -> L; ``ValueError`` if the loss sees more than p_y."""
    if not sees_only_target(loss):
        raise ValueError(f"{loss.name} sees all of p: this is for losses of p_y alone")
    of_p = target_formula(loss)

    def cost(p):
        with np.errstate(divide="ignore", invalid="ignore"):  # the slope may be infinite at an end
            return np.asarray(of_p(np.asarray(p, dtype=float))[0])

    return cost


def _check_one_peak(loss: Loss) -> None:
    """``ValueError`` if -dL/dp_y rises again after it has fallen, on a walk dense near p_y = 1."""
    slope = -target_formula(loss)(1 - np.geomspace(1, 1e-7, 4001)[1:])[1] + np.zeros(4000)
    turns = np.diff(slope)
    turns[np.abs(turns) < 1e-9 * np.abs(slope[1:])] = 0
    falls = np.flatnonzero(turns < 0)
    if falls.size and (turns[falls[0] :] > 0).any():
        raise ValueError(f"{loss!r} has a slope in p_y with more than one peak: this is for losses "
                         "whose slope has at most one")  # fmt: skip


def _refined(total, walk: np.ndarray, sums: np.ndarray) -> float:
    """The least of ``sums``, and of ``total`` around it."""
    at = int(np.nanargmin(sums))
    if len(walk) == 1 or not np.isfinite(sums[at]):
        return float(sums[at])
    step = 1 / 2000
    bounds = (max(0.0, walk[at] - step), min(1.0, walk[at] + step))
    found = minimize_scalar(total, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    return float(min(sums[at], found.fun))


def _unrounded(ratio: float) -> float:
    return 1.0 if abs(ratio - 1) < 1e-9 else ratio
