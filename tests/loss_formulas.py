"""The formulas of the losses, transcribed sample by sample in plain float64 arithmetic from their
papers: what the tests of ``labelnoise.losses`` hold the code against.

A transcription is a pair: ``value(p, y, ...)`` is the loss and ``slope(p, y, ...)`` its partial
derivatives by p_0 .. p_{K-1}, every p_k taken as free. Where a formula needs more than p, it is
given the logits: ``value(z, y, ...)``, and ``slope`` is the derivative by them.
"""

import math

# ------------------------------------------------------------------------------------ small parts


def softmax(z: list[float], temperature: float = 1.0) -> list[float]:
    exps = [math.exp((v - max(z)) / temperature) for v in z]
    return [v / sum(exps) for v in exps]


def one_hot(p: list[float], y: int) -> list[float]:
    return [1.0 if k == y else 0.0 for k in range(len(p))]


def errors(p: list[float], y: int) -> list[float]:
    return [t - v for t, v in zip(one_hot(p, y), p, strict=True)]


def only(p: list[float], y: int, derivative: float) -> list[float]:
    return [derivative * t for t in one_hot(p, y)]


def plus(alpha: float, first: list[float], beta: float, second: list[float]) -> list[float]:
    return [alpha * a + beta * b for a, b in zip(first, second, strict=True)]


def entropy(p: list[float]) -> float:
    return -sum(v * math.log(v) for v in p if v > 0)


# ------------------------------------------------------------------------ cross-entropy's family


def ce(p, y):
    return -math.log(p[y])


def ce_slope(p, y):
    return only(p, y, -1 / p[y])


def fl(p, y, gamma=0.5, detach=False):
    return -((1 - p[y]) ** gamma) * math.log(p[y])


def fl_slope(p, y, gamma=0.5, detach=False):
    moving = 0 if detach else gamma * (1 - p[y]) ** (gamma - 1) * math.log(p[y])
    return only(p, y, moving - (1 - p[y]) ** gamma / p[y])


def gce(p, y, q=0.7):
    return (1 - p[y] ** q) / q


def gce_slope(p, y, q=0.7):
    return only(p, y, -(p[y] ** (q - 1)))


def taylor(p, y, order=6):
    return sum((1 - p[y]) ** i / i for i in range(1, order + 1))


def taylor_slope(p, y, order=6):
    return only(p, y, -sum((1 - p[y]) ** (i - 1) for i in range(1, order + 1)))


def phuber(p, y, tau=10.0):
    return -math.log(p[y]) if p[y] > 1 / tau else -tau * p[y] + math.log(tau) + 1


def phuber_slope(p, y, tau=10.0):
    return only(p, y, -1 / p[y] if p[y] > 1 / tau else -tau)


LOG_100 = math.log(100)


def clipped_ce(p, y, bound=LOG_100):
    return min(-math.log(p[y]), bound)


def clipped_ce_slope(p, y, bound=LOG_100):
    return only(p, y, -1 / p[y] if -math.log(p[y]) < bound else 0.0)


def smoothed(p, y, epsilon=0.1):
    labels = [(1 - epsilon) * t + epsilon / len(p) for t in one_hot(p, y)]
    return -sum(t * math.log(v) for t, v in zip(labels, p, strict=True))


def smoothed_slope(p, y, epsilon=0.1):
    return [-((1 - epsilon) * t + epsilon / len(p)) / v
            for t, v in zip(one_hot(p, y), p, strict=True)]  # fmt: skip


# ------------------------------------------------------------------- linear in p_y and normalised

LOG_ZERO = math.log(1e-4)


def mae(p, y):
    return sum(abs(e) for e in errors(p, y))


def mae_slope(p, y):  # 2 (1 - p_y); the sum over all |e_k| has the same gradient at the logits
    return only(p, y, -2.0)


def rce(p, y, A=LOG_ZERO):
    return -sum(v * (0.0 if k == y else A) for k, v in enumerate(p))


def rce_slope(p, y, A=LOG_ZERO):
    return [0.0 if k == y else -A for k in range(len(p))]


def sce(p, y, alpha=1.0, beta=1.0, A=LOG_ZERO):
    return alpha * ce(p, y) + beta * rce(p, y, A)


def sce_slope(p, y, alpha=1.0, beta=1.0, A=LOG_ZERO):
    return plus(alpha, ce_slope(p, y), beta, rce_slope(p, y, A))


def share_slope(terms: list[float], by_p: list[float], y: int) -> list[float]:
    """Of terms_y / sum_k terms_k, where terms_k depends on p_k alone with the slope by_p[k]."""
    total = sum(terms)
    return [(t - terms[y] / total) * d / total
            for t, d in zip(one_hot(terms, y), by_p, strict=True)]  # fmt: skip


def nce(p, y):
    return math.log(p[y]) / sum(math.log(v) for v in p)


def nce_slope(p, y):
    return share_slope([math.log(v) for v in p], [1 / v for v in p], y)


def nfl(p, y, gamma=0.5, detach=False):
    return fl(p, y, gamma) / sum(fl(p, k, gamma) for k in range(len(p)))


def nfl_slope(p, y, gamma=0.5, detach=False):
    classes = range(len(p))
    own = [fl_slope(p, k, gamma, detach)[k] for k in classes]
    return share_slope([fl(p, k, gamma) for k in classes], own, y)


def ngce(p, y, q=0.7):
    return (1 - p[y] ** q) / (len(p) - sum(v**q for v in p))


def ngce_slope(p, y, q=0.7):
    return share_slope([1 - v**q for v in p], [-q * v ** (q - 1) for v in p], y)


def nnce(p, y, p_min=1e-7):
    left = [-math.log(p_min) + math.log(max(v, p_min)) for v in p]
    return 1 - left[y] / sum(left)


def nnce_slope(p, y, p_min=1e-7):
    left = [-math.log(p_min) + math.log(max(v, p_min)) for v in p]
    by_p = [1 / v if v > p_min else 0.0 for v in p]
    return [-s for s in share_slope(left, by_p, y)]


# ------------------------------------------------------------------------------------- asymmetric


def agce(p, y, a, q):
    return ((a + 1) ** q - (a + p[y]) ** q) / q


def agce_slope(p, y, a, q):
    return only(p, y, -((a + p[y]) ** (q - 1)))


def aul(p, y, a, q):
    return ((a - p[y]) ** q - (a - 1) ** q) / q


def aul_slope(p, y, a, q):
    return only(p, y, -((a - p[y]) ** (q - 1)))


def ael(p, y, a):
    return math.exp(-p[y] / a)


def ael_slope(p, y, a):
    return only(p, y, -math.exp(-p[y] / a) / a)


# ------------------------------------------------------------------------------------ correntropy


def kernel(square: float, sigma: float) -> float:
    return math.exp(-square / (2 * sigma**2))


def cll_worst(sigma, form):
    """The loss of a prediction that is one-hot and wrong."""
    terms, square = {"target": (1, 1), "vector": (1, 2), "elementwise": (2, 1)}[form]
    return terms * (1 - kernel(square, sigma))


def cll(p, y, sigma, form="target", normalise=False):
    squares = [e**2 for e in errors(p, y)]
    if form == "target":
        loss = 1 - kernel((1 - p[y]) ** 2, sigma)
    elif form == "vector":
        loss = 1 - kernel(sum(squares), sigma)
    else:
        loss = sum(1 - kernel(s, sigma) for s in squares)
    return loss / cll_worst(sigma, form) if normalise else loss


def cll_slope(p, y, sigma, form="target", normalise=False):
    e = errors(p, y)
    if form == "target":
        slope = only(p, y, -e[y] / sigma**2 * kernel(e[y] ** 2, sigma))
    elif form == "vector":
        slope = [-ek / sigma**2 * kernel(sum(v**2 for v in e), sigma) for ek in e]
    else:
        slope = [-ek / sigma**2 * kernel(ek**2, sigma) for ek in e]
    return [s / cll_worst(sigma, form) for s in slope] if normalise else slope


def generalised_cll(p, y, alpha, beta):
    return 1 - math.exp(-(((1 - p[y]) / beta) ** alpha))


def generalised_cll_slope(p, y, alpha, beta):
    x = (1 - p[y]) / beta
    return only(p, y, -alpha / beta * x ** (alpha - 1) * math.exp(-(x**alpha)))


def mixture_cll(p, y, sigmas, weights):
    return sum(w * cll(p, y, s) for w, s in zip(weights, sigmas, strict=True))


def mixture_cll_slope(p, y, sigmas, weights):
    each = (w * cll_slope(p, y, s)[y] for w, s in zip(weights, sigmas, strict=True))
    return only(p, y, sum(each))


def mse(p, y):
    return sum(e**2 for e in errors(p, y))


def mse_slope(p, y):
    return [-2 * e for e in errors(p, y)]


# ------------------------------------------------- divergences, other softmaxes, clipped logits


def gjs(p, y, pi=0.5):
    m = plus(pi, one_hot(p, y), 1 - pi, p)
    return (entropy(m) - (1 - pi) * entropy(p)) / (-(1 - pi) * math.log(1 - pi))


def gjs_slope(p, y, pi=0.5):  # d/dv of -v log v is -log v - 1
    m = plus(pi, one_hot(p, y), 1 - pi, p)
    return [(math.log(mk) - math.log(pk)) / math.log(1 - pi) for mk, pk in zip(m, p, strict=True)]


def eps_softmax(p, m):
    top = p.index(max(p))
    return [(v + (m if k == top else 0)) / (m + 1) for k, v in enumerate(p)]


def ce_eps(p, y, m=1e5):
    return ce(eps_softmax(p, m), y)


def ce_eps_slope(p, y, m=1e5):
    return only(p, y, -1 / ((m + 1) * eps_softmax(p, m)[y]))


def ldr_kl(z, y, lam=10.0):
    return lam * math.log(sum(math.exp((v - z[y]) / lam) for v in z) / len(z))


def ldr_kl_slope(z, y, lam=10.0):
    p = softmax(z, lam)
    return [v - t for v, t in zip(p, one_hot(p, y), strict=True)]


def clipped_logits(z, tau, released):
    norm = math.sqrt(sum(v**2 for v in z))
    length = 1 / tau if released else tau
    return [v * length / norm for v in z] if norm > tau else z


def logit_clip(z, y, tau=1.5, released=False):
    return ce(softmax(clipped_logits(z, tau, released)), y)


def logit_clip_slope(z, y, tau=1.5, released=False):
    """Through v = length z / ||z||: what is along z is lost, the rest is scaled."""
    v = clipped_logits(z, tau, released)
    g = [-e for e in errors(softmax(v), y)]
    if v == z:
        return g
    norm, length = (math.sqrt(sum(x**2 for x in w)) for w in (z, v))
    along = sum(gk * zk for gk, zk in zip(g, z, strict=True)) / norm**2
    return [(gk - along * zk) * length / norm for gk, zk in zip(g, z, strict=True)]


def both(first, second, own: str = ""):
    """value or slope of alpha first + beta second; ``own`` names the parameters of ``first``."""

    def value_or_slope(p, y, alpha=1.0, beta=1.0, **rest):
        a = first(p, y, **{k: rest.pop(k) for k in own.split() if k in rest})
        b = second(p, y, **rest)
        return plus(alpha, a, beta, b) if isinstance(a, list) else alpha * a + beta * b

    return value_or_slope


# -------------------------------------------------------------------------------------- the table

OF_P = {
    "CE": (ce, ce_slope),
    "FL": (fl, fl_slope),
    "GCE": (gce, gce_slope),
    "TaylorCE": (taylor, taylor_slope),
    "PHuberCE": (phuber, phuber_slope),
    "ClippedCE": (clipped_ce, clipped_ce_slope),
    "LabelSmoothing": (smoothed, smoothed_slope),
    "MAE": (mae, mae_slope),
    "RCE": (rce, rce_slope),
    "SCE": (sce, sce_slope),
    "NCE": (nce, nce_slope),
    "NFL": (nfl, nfl_slope),
    "NGCE": (ngce, ngce_slope),
    "NNCE": (nnce, nnce_slope),
    "NCE+MAE": (both(nce, mae), both(nce_slope, mae_slope)),
    "NCE+RCE": (both(nce, rce), both(nce_slope, rce_slope)),
    "NFL+RCE": (both(nfl, rce, "gamma detach"), both(nfl_slope, rce_slope, "gamma detach")),
    "ANL-CE": (both(nce, nnce), both(nce_slope, nnce_slope)),
    "AGCE": (agce, agce_slope),
    "AUL": (aul, aul_slope),
    "AEL": (ael, ael_slope),
    "NCE+AGCE": (both(nce, agce), both(nce_slope, agce_slope)),
    "NCE+AUL": (both(nce, aul), both(nce_slope, aul_slope)),
    "NCE+AEL": (both(nce, ael), both(nce_slope, ael_slope)),
    "GJS": (gjs, gjs_slope),
    "CE_eps+MAE": (both(ce_eps, mae, "m"), both(ce_eps_slope, mae_slope, "m")),
    "MSE": (mse, mse_slope),
    "CLL": (cll, cll_slope),
    "GeneralisedCLL": (generalised_cll, generalised_cll_slope),
    "MixtureCLL": (mixture_cll, mixture_cll_slope),
}
OF_LOGITS = {
    "LDR-KL": (ldr_kl, ldr_kl_slope),
    "CE+LogitClip": (logit_clip, logit_clip_slope),
}


def transcribed_value(name: str, z: list[float], y: int, **parameters: object) -> float:
    if name in OF_LOGITS:
        return OF_LOGITS[name][0](z, y, **parameters)
    return OF_P[name][0](softmax(z), y, **parameters)


def transcribed_gradient(name: str, z: list[float], y: int, **parameters: object) -> list[float]:
    """At the logits, through the Jacobian of softmax."""
    if name in OF_LOGITS:
        return OF_LOGITS[name][1](z, y, **parameters)
    p = softmax(z)
    s = OF_P[name][1](p, y, **parameters)
    mean = sum(pk * sk for pk, sk in zip(p, s, strict=True))
    return [pk * (sk - mean) for pk, sk in zip(p, s, strict=True)]
