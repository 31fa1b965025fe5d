"""Every loss as a formula: L, and its partial derivatives dL/dp with every p_k taken as free.

``p`` is a softmax output ``[..., K]``, ``t`` the one-hot label ``[..., K]``, and
``p_y = sum_k t_k p_k``. Plain arithmetic, so that numpy's floats and sympy's symbols pass alike:
``gradients.check`` holds these formulas against the code that trains networks, and
``gradients.symbolic_rest`` proves the derivatives. Sources are in the docstrings of the losses.
"""

import math
from collections.abc import Callable

import numpy as np

from labelnoise.losses import CLL, Loss, Sum

# --------------------------------------------- losses of p_y alone: p_y -> L, dL/dp_y


def ce(p_y):
    return -log(p_y), -1 / p_y


def fl(p_y, gamma, detach):
    """With ``detach`` the second is not the derivative of the first: the focal factor is held."""
    factor, slope = (1 - p_y) ** gamma, -((1 - p_y) ** gamma) / p_y
    return -factor * log(p_y), slope if detach else slope + gamma * factor * log_per_miss(p_y)


def gce(p_y, q):
    return (1 - p_y**q) / q, -(p_y ** (q - 1))


def taylor_ce(p_y, order):
    terms = range(1, order + 1)
    return sum((1 - p_y) ** i / i for i in terms), -sum((1 - p_y) ** (i - 1) for i in terms)


def phuber_ce(p_y, tau):
    steep = below(p_y, 1 / tau)
    return where(steep, -tau * p_y + log(tau) + 1, -log(p_y)), where(steep, -tau, -1 / p_y)


def clipped_ce(p_y, bound):
    given_up = below(p_y, exp(-bound))
    return where(given_up, bound, -log(p_y)), where(given_up, 0, -1 / p_y)


def mae(p_y):
    return 2 * (1 - p_y), -2 + 0 * p_y


def rce(p_y, A):
    return -A * (1 - p_y), A + 0 * p_y


def sce(p_y, alpha, beta, A):
    """Without CE (alpha = 0) it is finite at p_y = 0, where 0 times the logarithm is not."""
    L, slope = rce(p_y, beta * A)
    return (L - alpha * log(p_y), slope - alpha / p_y) if alpha != 0 else (L, slope)


def agce(p_y, a, q):
    return ((a + 1) ** q - (a + p_y) ** q) / q, -((a + p_y) ** (q - 1))


def aul(p_y, a, q):
    return ((a - p_y) ** q - (a - 1) ** q) / q, -((a - p_y) ** (q - 1))


def ael(p_y, a):
    return exp(-p_y / a), -exp(-p_y / a) / a


def gjs(p_y, pi):
    """The slope is log(m / p_y) / log(1-pi) - 1 with m = pi + (1-pi) p_y, -1 at p_y = 1."""
    rest = 1 - pi
    m = pi + rest * p_y
    L = rest * x_log_x(p_y) - m * log(m) - rest * (1 - p_y) * log(rest)
    return L / (-rest * log(rest)), (log(m) - log(p_y)) / log(rest) - 1


def cll_target(p_y, sigma):
    """L = 1 - exp(-(1-p_y)^2 / 2 sigma^2), dL/dp_y = -(1-p_y)/sigma^2 exp(-(1-p_y)^2 / 2 sigma^2).

    This and the next two: correntropy after Liu, Pokharel & Principe, IEEE TSP 2007.
    """
    miss = 1 - p_y
    x = miss**2 / (2 * sigma**2)
    return damped(x), -miss / sigma**2 * exp(-x)


def generalised_cll(p_y, alpha, beta):
    u = (1 - p_y) / beta
    return damped(u**alpha), -alpha / beta * u ** (alpha - 1) * exp(-(u**alpha))


def mixture_cll(p_y, sigmas, weights):
    parts = [cll_target(p_y, sigma) for sigma in sigmas]
    return tuple(sum(w * f[i] for w, f in zip(weights, parts, strict=True)) for i in (0, 1))


# ------------------------------------------- losses of all of p: (p, t) -> L [...], dL/dp [..., K]


def mse(p, t):
    return ((t - p) ** 2).sum(axis=-1), -2 * (t - p)


def amse(p, t, a):
    e = a * t - p
    return (e**2).sum(axis=-1) / p.shape[-1], -2 * e / p.shape[-1]


def cll_vector(e, sigma):
    """L = 1 - exp(-||e||^2 / 2 sigma^2), dL/dp_k = -e_k/sigma^2 exp(-||e||^2 / 2 sigma^2).

    One damping factor for the whole vector. ``e = t - p``.
    """
    x = (e**2).sum(axis=-1) / (2 * sigma**2)
    return damped(x), -e / sigma**2 * np.asarray(exp(-x))[..., None]


def cll_elementwise(e, sigma):
    """L = sum_k [1 - exp(-e_k^2 / 2 sigma^2)], dL/dp_k = -e_k/sigma^2 exp(-e_k^2 / 2 sigma^2).

    Every class has its own damping factor.
    """
    x = e**2 / (2 * sigma**2)
    return damped(x).sum(axis=-1), -e / sigma**2 * exp(-x)


def label_smoothing(p, t, epsilon):
    smooth = (1 - epsilon) * t + epsilon / p.shape[-1]
    return -(smooth * log(p)).sum(axis=-1), -smooth / p


def normalised(f, slope, t):
    """f_y / sum_k f_k for a loss f of one probability, given for every class with its slope."""
    total = f.sum(axis=-1, keepdims=True)
    share = (t * f).sum(axis=-1, keepdims=True) / total
    return share[..., 0], (t - share) * slope / total


def nce(p, t):
    return normalised(*ce(p), t)


def nfl(p, t, gamma, detach):
    return normalised(*fl(p, gamma, detach), t)


def ngce(p, t, q):
    return normalised(*gce(p, q), t)


def nnce(p, t, p_min):
    """1 - NCE of A + log p_k, which is 0 and flat below p_min = exp(-A)."""
    flat = below(p, p_min)
    L, g = normalised(where(flat, 0, log(p) - log(p_min)), where(flat, 0, 1 / p), t)
    return 1 - L, -g


def ce_eps(p, t, m):
    """Symbols know no largest p_k: for them y is not the top class. Of equals, the first is."""
    if symbolic(p):
        top = np.zeros(p.shape[:-1], dtype=int)
    else:
        top = (t.argmax(axis=-1) == p.argmax(axis=-1)).astype(int)
    shifted = (t * p).sum(axis=-1) + m * top
    return log(1 + m) - log(shifted), -t / np.asarray(shifted)[..., None]


def ldr_kl(p, t, lam):
    r = p ** (1 / lam)
    total = r.sum(axis=-1)
    L = lam * (log(total) - math.log(p.shape[-1])) - log((t * p).sum(axis=-1))
    return L, r / (p * np.asarray(total)[..., None]) - t / p


# ---------------------------------------------------------------------- from a loss to its formula

OF_TARGET: dict[str, Callable] = {
    "CE": ce, "FL": fl, "GCE": gce, "TaylorCE": taylor_ce, "PHuberCE": phuber_ce,
    "ClippedCE": clipped_ce, "MAE": mae, "RCE": rce, "SCE": sce, "AGCE": agce, "AUL": aul,
    "AEL": ael, "GJS": gjs, "GeneralisedCLL": generalised_cll, "MixtureCLL": mixture_cll,
}  # fmt: skip
OF_ALL: dict[str, Callable] = {
    "MSE": mse, "AMSE": amse, "LabelSmoothing": label_smoothing, "NCE": nce, "NFL": nfl,
    "NGCE": ngce, "NNCE": nnce, "CE_eps": ce_eps, "LDR-KL": ldr_kl,
}  # fmt: skip
CLL_FORMULAS: dict[str, Callable] = {
    "target": cll_target,
    "vector": cll_vector,
    "elementwise": cll_elementwise,
}


def formula(loss: Loss, *, symbols: bool = False) -> Callable:
    """(p, t) -> (L ``[...]``, dL/dp ``[..., K]``) of ``loss``; ``symbols`` puts sympy's symbols in
    place of its real parameters. ``ValueError`` for a loss that is no function of p."""
    if isinstance(loss, Sum):
        alpha, beta = (parameters(loss, symbols)[name] for name in ("alpha", "beta"))
        terms = [(w, formula(part, symbols=symbols)) for w, part in parts(loss, alpha, beta)]
        return weighted(terms)
    settings = parameters(loss, symbols)
    if isinstance(loss, CLL) and loss.form != "target":
        form, sigma = settings["form"], settings["sigma"]
        scale = one_hot_wrong(form, sigma) if settings["normalise"] else 1
        return lambda p, t: tuple(f / scale for f in CLL_FORMULAS[form](t - p, sigma))
    if loss.name in OF_ALL:
        return lambda p, t: OF_ALL[loss.name](p, t, **settings)
    of_p_y = target_formula(loss, symbols=symbols)

    def on_target(p, t):
        L, slope = of_p_y((t * p).sum(axis=-1))
        return L, t * np.asarray(slope)[..., None]

    return on_target


def target_formula(loss: Loss, *, symbols: bool = False) -> Callable:
    """p_y -> (L, dL/dp_y) of a loss that sees nothing but p_y; else ``ValueError``."""
    settings = parameters(loss, symbols)
    if isinstance(loss, Sum):
        terms = parts(loss, settings["alpha"], settings["beta"])
        if all(sees_only_target(part) for _, part in terms):
            return weighted([(w, target_formula(part, symbols=symbols)) for w, part in terms])
    if isinstance(loss, CLL) and loss.form == "target":
        sigma = settings["sigma"]
        scale = one_hot_wrong("target", sigma) if settings["normalise"] else 1
        return lambda p_y: tuple(f / scale for f in cll_target(p_y, sigma))
    if loss.name in OF_TARGET:
        return lambda p_y: OF_TARGET[loss.name](p_y, **settings)
    if isinstance(loss, CLL | Sum) or loss.name in OF_ALL:
        raise ValueError(f"{loss.name} sees all of p: it has no weight of p_y alone")
    known = ", ".join([*OF_TARGET, *OF_ALL, "CLL"])
    raise ValueError(f"{loss.name} has no closed form over p here; known: {known}, and their sums")


def sees_only_target(loss: Loss) -> bool:
    """Whether the loss is a function of p_y alone that has a formula here."""
    try:
        target_formula(loss)
    except ValueError:
        return False
    return True


def parts(loss: Sum, alpha, beta) -> list[tuple]:
    """The weighted terms of a sum, without those of weight 0."""
    return [(w, part) for w, part in ((alpha, loss.first), (beta, loss.second)) if w != 0]


def weighted(terms: list[tuple]) -> Callable:
    """The sum of weighted formulas, value and slopes."""

    def total(*args):
        found = [(w, f(*args)) for w, f in terms]
        return tuple(sum(w * each[i] for w, each in found) for i in (0, 1))

    return total


def parameters(loss: Loss, symbols: bool) -> dict:
    """The hyper-parameters; with ``symbols`` its real ones as sympy's symbols of the same sign.
    Weights of 0 stay 0: they decide what the formula is. Of a sum, only its own two weights."""
    own = {"alpha": loss.alpha, "beta": loss.beta} if isinstance(loss, Sum) else None
    settings = own or loss.settings()
    if not symbols:
        return settings
    import sympy  # heavy, and only for this

    def symbol(name, value):
        if isinstance(value, list):
            return [symbol(f"{name}_{i}", each) for i, each in enumerate(value)]
        if type(value) is not float or value == 0:
            return value
        return sympy.Symbol(name, negative=value < 0, positive=value > 0)

    return {name: symbol(name, value) for name, value in settings.items()}


def one_hot_wrong(form, sigma):
    """CLL's value where p is one-hot and wrong: what ``normalise=True`` divides by."""
    x = (2 if form == "vector" else 1) / (2 * sigma**2)
    return (2 if form == "elementwise" else 1) * damped(x)


# ----------------------------------------------------- arithmetic of floats and of symbols alike


def exp(x):
    return _apply("exp", x)


def log(x):
    return _apply("log", x)


def x_log_x(x):
    """x log x, and 0 at x = 0."""
    return x * log(x) if symbolic(x) else x * log(np.where(x > 0, x, 1))


def log_per_miss(x):
    """log x / (1 - x), and its limit -1 at x = 1."""
    if symbolic(x):
        return log(x) / (1 - x)
    return np.where(x < 1, log(x) / np.where(x < 1, 1 - x, 1), -1)


def damped(x):
    """1 - exp(-x), with all digits where x is small."""
    return 1 - exp(-x) if symbolic(x) else -np.expm1(-x)


def below(x, bound):
    """x < bound, where sympy's relations stay what they are."""
    if not (symbolic(x) or symbolic(bound)):
        return x < bound
    return np.frompyfunc(lambda a, b: a < b, 2, 1)(x, bound)


def where(condition, a, b):
    """numpy's where, and sympy's Piecewise for symbols."""
    if not symbolic(condition):
        return np.where(condition, a, b)
    import sympy

    def piece(c, x, y):
        return sympy.Piecewise((x, c), (y, True))

    return np.frompyfunc(piece, 3, 1)(condition, a, b)


def symbolic(x) -> bool:
    return np.asarray(x).dtype == object


def _apply(name: str, x):
    if not symbolic(x):
        return getattr(np, name)(x)
    import sympy

    return np.frompyfunc(getattr(sympy, name), 1, 1)(x)
