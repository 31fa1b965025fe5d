"""Closed forms: what a loss does to one sample.

Everything is a pure function of float64 numpy arrays. ``p`` is a softmax output ``[..., K]``,
``y`` the given label (an integer, or integers ``[...]``), ``e = one-hot(y) - p``, ``z`` the logits.

A loss is a formula L(p). Its two gradients are related by the Jacobian of softmax,
dp_k/dz_j = p_k (delta_kj - p_j):

    dL/dz_j = p_j (g_j - sum_k p_k g_k)    with g = dL/dp.

A loss of ``p_y`` alone has one g that is not 0, so its dL/dz is that of cross-entropy times a
weight that the sample earns by being believed:

    dL/dz = w(p_y) (p - one-hot(y)),    w(p_y) = -p_y dL/dp_y;    w = 1 for cross-entropy.

The formulas are in ``formulas``. They are plain arithmetic, so they also take sympy's symbols:
``symbolic_rest`` proves their derivatives, and ``check`` holds them against the code that trains
networks.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from labelnoise import noise
from labelnoise.losses import CLL, Loss
from labelnoise.seeds import generator
from labelnoise.theory.formulas import cll_target, formula, target_formula

# --------------------------------------------------------------------- values and gradients


def value(loss: Loss, p: ArrayLike, y: ArrayLike = 0) -> np.ndarray:
    """L(p), ``[...]``. A loss with a logarithm needs p_k > 0 here and below; CLL and MAE do not."""
    p, y = _sample(p, y)
    return formula(loss)(p, one_hot(y, p.shape[-1]))[0]


def dL_dp(loss: Loss, p: ArrayLike, y: ArrayLike = 0) -> np.ndarray:
    """The partial derivatives of the formula, every p_k taken as free, ``[..., K]``."""
    p, y = _sample(p, y)
    return formula(loss)(p, one_hot(y, p.shape[-1]))[1]


def dL_dz(loss: Loss, p: ArrayLike, y: ArrayLike = 0) -> np.ndarray:
    """The gradient at the logits, ``[..., K]``: p_j (g_j - sum_k p_k g_k) with g = dL/dp.

    Its entries sum to 0: softmax does not see a shift of all logits.
    """
    return through_softmax(np.asarray(p, dtype=float), dL_dp(loss, p, y))


def through_softmax(p: np.ndarray, g: np.ndarray) -> np.ndarray:
    """From dL/dp to dL/dz, both ``[..., K]``, at the softmax output ``p``."""
    return p * (g - (p * g).sum(axis=-1, keepdims=True))


def weight(loss: Loss, p_y: ArrayLike) -> np.ndarray:
    """w(p_y) = -p_y dL/dp_y, so that dL/dz = w(p_y) (p - one-hot(y)); losses of p_y alone only.

    CE 1; MAE 2 p_y; GCE p_y^q; SCE alpha - beta A p_y; AGCE p_y (a + p_y)^(q-1);
    AUL p_y (a - p_y)^(q-1); AEL p_y exp(-p_y/a)/a; TaylorCE 1 - (1-p_y)^order, which is
    p_y sum_i (1-p_y)^(i-1); CLL target p_y (1-p_y)/sigma^2 exp(-(1-p_y)^2 / 2 sigma^2).
    """
    p_y = _probability("p_y", p_y)
    return -p_y * target_formula(loss)(p_y)[1]


def simplex(p_y: ArrayLike, num_classes: int, rest: str = "uniform") -> np.ndarray:
    """Softmax outputs ``[..., K]`` with ``p_y`` in column 0, the target.

    ``rest``: what remains is spread evenly over the other K-1 classes (``uniform``: the network
    has no other favourite) or lies on a single one (``one``: it firmly believes another class).
    These are the extremes: they have the smallest and the largest ||e|| for a given p_y.
    """
    K = _classes(num_classes)
    p_y = _probability("p_y", p_y)
    if rest not in ("uniform", "one"):
        raise ValueError(f"rest={rest!r} is unknown; known: uniform, one")
    p = np.zeros((*p_y.shape, K))
    p[..., 0] = p_y
    p[..., 1 : K if rest == "uniform" else 2] = 1 - p_y[..., None]
    p[..., 1:] /= K - 1 if rest == "uniform" else 1
    return p


def steepest_in_p(sigma: float) -> float:
    """The p_y at which |dL/dp_y| of CLL ``target`` is largest: 1 - p_y = sigma, or 1 if sigma > 1.

    From d/du [u exp(-u^2 / 2 sigma^2)] = (1 - u^2/sigma^2) exp(...) with u = 1 - p_y.
    """
    return 1 - min(CLL(sigma).sigma, 1.0)


def steepest_in_z(sigma: float) -> float:
    """The p_y at which |dL/dz_y| of CLL ``target`` is largest.

    |dL/dz_y| = w(p_y) (1 - p_y) = (1-u) u^2/sigma^2 exp(-u^2 / 2 sigma^2) with u = 1 - p_y. Its
    logarithmic derivative is 0 where u^3 - u^2 - 3 sigma^2 u + 2 sigma^2 = 0; the cubic is positive
    at u = 0, negative at u = 1, and so has one root between. It runs from u = sqrt(2) sigma for a
    small sigma (p_y near 1) to u = 2/3 for a large one (p_y = 1/3, as for the squared error).
    """
    s = CLL(sigma).sigma ** 2
    roots = np.roots([1.0, -1.0, -3 * s, 2 * s])
    return float(next(1 - u.real for u in roots if abs(u.imag) < 1e-9 and 0 < u.real < 1))


def pull_at_start(loss: Loss, num_classes: int) -> tuple[float, float]:
    """|dL/dz_y| of an untrained network (p_k = 1/K), and its share of the largest there is.

    The largest is taken over p_y with the rest spread evenly. A share near 0 means that what the
    network already half believes pulls far harder than what it has yet to learn.
    """
    K = _classes(num_classes)
    start = abs(dL_dz(loss, np.full(K, 1 / K)))[0]
    largest = abs(dL_dz(loss, simplex(np.linspace(1e-6, 1 - 1e-6, 4001), K)))[:, 0].max()
    return float(start), float(start / max(largest, start))


class Rest(NamedTuple):
    """Where a loss comes to rest under noise; see ``at_rest``."""

    belief: float
    right: float
    wrong: float
    mean: float
    share: float | None


def at_rest(loss: Loss, num_classes: int, rate: float) -> Rest:
    """The best output for a group of look-alikes whose labels carry symmetric noise, and what
    still pulls there: the situation of a network that has learnt the classes and memorised nothing.

    A share 1 - rate of the group has the right label, and rate/(K-1) each wrong one. Among the
    outputs with ``belief`` in the true class and the rest spread evenly, the one with the least
    mean loss (on a grid of 1/20000) is kept. There ``right`` and ``wrong`` are ||dL/dz|| of one
    sample of either kind, ``mean`` that of all, and ``share`` the percent of it that comes from
    wrong labels (None where nothing pulls any more).
    """
    K = _classes(num_classes)
    stays = noise.symmetric(K, rate)[0, 0]
    beliefs = np.linspace(1e-6, 1 - 1e-6, 20001)
    p = simplex(beliefs, K)
    risk = stays * value(loss, p, 0) + (1 - stays) * value(loss, p, 1)  # wrong classes are alike
    belief = float(beliefs[risk.argmin()])
    output = simplex(belief, K)
    right, wrong = (float(np.linalg.norm(dL_dz(loss, output, y))) for y in (0, 1))
    mean = stays * right + (1 - stays) * wrong
    return Rest(
        belief, right, wrong, mean, 100 * (1 - stays) * wrong / mean if mean > 1e-4 else None
    )


# --------------------------------------------------------------------------- limits of CLL


def mae_gap(sigma: float) -> float:
    """How far CLL ``target`` stays from MAE, whatever its scale: the least root mean square of
    (c CLL - (1 - p_y)) over p_y in [0, 1] and over c, relative to that of 1 - p_y. 0 would be MAE.

    With f = CLL and u = 1 - p_y, the best c is <f, u>/<f, f>, which leaves
    sqrt(1 - <f, u>^2 / (<f, f> <u, u>)).
    """
    u = (np.arange(10000) + 0.5) / 10000
    f = cll_target(1 - u, CLL(sigma).sigma)[0]
    return math.sqrt(1 - (f @ u) ** 2 / ((f @ f) * (u @ u)))


# ----------------------------------------------------------- checks of the gradients themselves


class Check(NamedTuple):
    """Largest absolute differences over random samples; see ``check``."""

    value: float
    autograd: float
    finite: float


def check(loss: Loss, num_classes: int = 10, samples: int = 200, seed: int = 0) -> Check:
    """Holds the closed forms against the code that trains networks, in float64.

    - ``value``: L(p) of this file against the loss itself;
    - ``autograd``: dL/dz of this file against torch's automatic differentiation of the loss;
    - ``finite``: against central differences of the loss, [L(z + h) - L(z - h)] / 2h, h = 1e-5.
    """
    draw = generator(seed, "gradient-check")
    z = 3 * torch.randn(samples, _classes(num_classes), generator=draw, dtype=torch.float64)
    y = torch.randint(num_classes, (samples,), generator=draw)
    p = torch.softmax(z, dim=1).numpy()
    closed = dL_dz(loss, p, y.numpy())
    return Check(
        value=np.abs(value(loss, p, y.numpy()) - loss.per_sample(z, y).numpy()).max(),
        autograd=np.abs(closed - by_autograd(loss, z, y)).max(),
        finite=np.abs(closed - by_finite_differences(loss, z, y)).max(),
    )


def by_autograd(loss: Loss, z: Tensor, y: Tensor) -> np.ndarray:
    """dL/dz of each sample from torch's automatic differentiation, ``[B, K]``."""
    z = z.detach().clone().requires_grad_()
    loss.per_sample(z, y).sum().backward()
    return z.grad.numpy()


def by_finite_differences(loss: Loss, z: Tensor, y: Tensor, h: float = 1e-5) -> np.ndarray:
    """dL/dz of each sample from central differences, ``[B, K]``."""
    steps = h * torch.eye(z.shape[1], dtype=z.dtype)
    return np.stack(
        [(loss.per_sample(z + d, y) - loss.per_sample(z - d, y)).numpy() / (2 * h) for d in steps],
        axis=1,
    )


def symbolic_rest(loss: Loss, num_classes: int = 3) -> list:
    """What sympy leaves of (closed form - derivative), for every parameter and every p at once.

    Parameters, p and z are symbols. Three things are simplified: dL/dp of this file minus the
    derivative of L, the Jacobian p_k (delta_kj - p_j) minus the derivative of softmax, and dL/dz
    minus the chain rule. All entries are 0 if the closed forms are right.
    """
    import sympy  # heavy, and only for this

    K = _classes(num_classes)
    p = np.array(sympy.symbols(f"p_1:{K + 1}", positive=True), dtype=object)
    z = sympy.symbols(f"z_1:{K + 1}", real=True)
    found = formula(loss, symbols=True)(p, one_hot(np.array(0), K))
    L, g = (np.asarray(f, dtype=object) for f in found)
    softmax = [sympy.exp(a) / sum(map(sympy.exp, z)) for a in z]
    jacobian = [[p[k] * (int(k == j) - p[j]) for j in range(K)] for k in range(K)]
    to_z = dict(zip(p, softmax, strict=True))
    chain = [sum(g[k] * jacobian[k][j] for k in range(K)) for j in range(K)]
    rest = [g[k] - sympy.diff(L.item(), p[k]) for k in range(K)]
    rest += [
        jacobian[k][j].subs(to_z) - sympy.diff(softmax[k], z[j]) for k in range(K) for j in range(K)
    ]
    rest += list(through_softmax(p, g) - np.array(chain, dtype=object))
    return [sympy.simplify(r) for r in rest]


# ---------------------------------------------------------------------------------- inner parts


def _sample(p: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p = _probability("p", p)
    if p.ndim == 0 or p.shape[-1] < 2:
        raise ValueError(f"p must have the shape [..., K] with K >= 2, got {p.shape}")
    if (worst := np.abs(p.sum(axis=-1) - 1).max(initial=0)) > 1e-6:
        raise ValueError(f"p must sum to 1 over its last axis; it is off by up to {worst:g}")
    y = np.asarray(y)
    if not np.issubdtype(y.dtype, np.integer) or (len(y.shape) and y.shape != p.shape[:-1]):
        raise ValueError(f"y must be an integer, or integers of shape {p.shape[:-1]}, got {y!r}")
    if y.size and (y.min() < 0 or y.max() >= p.shape[-1]):
        raise ValueError(f"y must lie in 0..{p.shape[-1] - 1}, got {y.min()}..{y.max()}")
    return p, np.broadcast_to(y, p.shape[:-1])


def _probability(name: str, p: ArrayLike) -> np.ndarray:
    p = np.asarray(p, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"{name} must lie in [0, 1], got {p.min()} to {p.max()}")
    return p


def _classes(num_classes: int) -> int:
    return len(noise.symmetric(num_classes, 0.0))  # refuses what is not an integer above 1


def one_hot(y: np.ndarray, num_classes: int) -> np.ndarray:
    """Labels ``[...]`` to 0 and 1 ``[..., K]``."""
    return (np.arange(num_classes) == y[..., None]).astype(int)
