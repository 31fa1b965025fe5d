"""What the tests of ``labelnoise.losses`` know of every loss, and the batches that it is given."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import strategies as st

from labelnoise.losses import LOSSES, PUBLISHED, LogitClip, Loss, Sum


@dataclass(frozen=True)
class Case:
    """One loss. ``by_hand`` is worked out on paper at p = (1/2, 1/4, 1/4), for a label y."""

    settings: list[dict]  # to try, besides the published ones
    defaults: dict = field(default_factory=dict)  # what the constructor takes untold
    by_hand: list[tuple[dict, int, float]] = field(default_factory=list)  # parameters, y, value
    ends: Callable[..., tuple[float, float]] = lambda K, **_: (0, math.inf)  # the documented range
    drawn: dict = field(default_factory=dict)  # parameter -> strategy
    outside: dict = field(default_factory=dict)  # number -> values that it must not have
    sharp: list[dict] = field(default_factory=list)  # the ends of what is allowed
    published: dict = field(default_factory=dict)  # data set -> parameters, if not of ALFs or APL


LOG_2 = math.log(2)
LOG_ZERO = math.log(1e-4)
FORMS = ("target", "vector", "elementwise")
WIDTHS = (0, -1.0, 1e-9, 1e9)  # no bandwidths

WEIGHTS = {"alpha": st.floats(0.1, 10), "beta": st.floats(0.1, 100)}
NEGATIVE = {"alpha": (-0.1, -1), "beta": (-0.1, -1)}
A = {"A": st.floats(-10, -0.1)}
FOCAL = {"gamma": st.floats(0, 5), "detach": st.booleans()}
P_MIN = {"p_min": st.floats(1e-9, 0.05)}  # below 1/K for every K that is drawn
AGCE = {"a": st.floats(0.01, 10), "q": st.floats(0.05, 4)}
AUL = {"a": st.floats(1.05, 10), "q": st.floats(0.05, 4)}
AEL = {"a": st.floats(0.1, 10)}
HALF = {"gamma": 0.5, "detach": False}
ONES = {"alpha": 1.0, "beta": 1.0}


def same_for_all(low: float, top: float) -> Callable[..., tuple[float, float]]:
    return lambda K, **_: (low, top)


def gjs_ends(K, pi):
    rest = 1 - pi
    return 0, (pi * math.log(pi) + rest * math.log(rest)) / (rest * math.log(rest))


def clip_ends(K, tau, released):
    tau = max(tau, 1 / tau) if released else tau
    reach = math.log(K - 1) + tau * math.sqrt(2)
    return 0, max(reach, 0) + math.log1p(math.exp(-abs(reach)))


def several_errors(form: str = "target", sigma: float = 1.0, **_) -> bool:
    """Whether a prediction spread over many wrong classes can cost more than a one-hot one."""
    return form == "elementwise" and sigma < 0.64


def cll_ends(K, sigma, form, normalise):
    c = -math.expm1(-(2 if form == "vector" else 1) / (2 * sigma**2))
    spread = K if several_errors(form, sigma) else 2
    top, worst = {"elementwise": (spread * c, 2 * c)}.get(form, (c, c))
    return 0, top / worst if normalise else top


def generalised_ends(K, alpha, beta):
    return 0, 1.0 if -alpha * math.log(beta) > 9 else -math.expm1(-(beta**-alpha))


CASES: dict[str, Case] = {
    "CE": Case(
        [{}],
        by_hand=[({}, 0, LOG_2)],
    ),
    "FL": Case(
        [{}, {"gamma": 0.0}, {"gamma": 2.0}, {"gamma": 2.0, "detach": True}],
        defaults=HALF,
        by_hand=[({"gamma": 2.0}, 0, LOG_2 / 4)],  # (1 - 1/2)^2 log 2
        drawn=FOCAL,
        outside={"gamma": (-0.5, 101)},
        sharp=[{"gamma": g, "detach": d} for g in (1e-3, 100.0) for d in (False, True)],
    ),
    "GCE": Case(
        [{}, {"q": 0.1}, {"q": 1.0}],
        defaults={"q": 0.7},
        by_hand=[({"q": 0.5}, 1, 1.0)],  # (1 - sqrt(1/4)) / (1/2)
        ends=lambda K, q: (0, 1 / q),
        drawn={"q": st.floats(0.01, 1)},
        outside={"q": (0, -0.7, 1.1)},
        sharp=[{"q": 1e-6}],
    ),
    "TaylorCE": Case(
        [{}, {"order": 1}, {"order": 2}, {"order": 18}],
        defaults={"order": 6},
        by_hand=[({"order": 3}, 0, 2 / 3)],  # 1/2 + (1/4)/2 + (1/8)/3 = 12/24 + 3/24 + 1/24
        ends=lambda K, order: (0, sum(1 / i for i in range(1, order + 1))),
        drawn={"order": st.integers(1, 30)},
        outside={"order": (0, -1, 2.0, 1.5)},
        sharp=[{"order": 100}],
        published={dataset: {"order": 6} for dataset in PUBLISHED},
    ),
    "PHuberCE": Case(
        [{}, {"tau": 2.0}, {"tau": 1.1}, {"tau": 50.0}],
        defaults={"tau": 10.0},
        by_hand=[({"tau": 3.0}, 0, LOG_2),  # 1/2 > 1/3
                 ({"tau": 3.0}, 1, 0.25 + math.log(3))],  # -3/4 + log 3 + 1
        ends=lambda K, tau: (0, math.log(tau) + 1),
        drawn={"tau": st.floats(1.01, 100)},
        outside={"tau": (1, 0.5, 0, -10)},
        sharp=[{"tau": tau} for tau in (1.0001, 1e6)],
        published={"mnist": {"tau": 10}, "cifar10": {"tau": 2}, "cifar100": {"tau": 10}},
    ),
    "ClippedCE": Case(
        [{}, {"bound": 0.5}, {"bound": 2.5}],
        defaults={"bound": math.log(100)},
        by_hand=[({"bound": 1.0}, 0, LOG_2), ({"bound": 1.0}, 1, 1.0)],  # log 4 = 1.39
        ends=lambda K, bound: (0, bound),
        drawn={"bound": st.floats(0.1, 50)},
        outside={"bound": (0, -1)},
        sharp=[{"bound": 1e-6}],
    ),
    "LabelSmoothing": Case(
        [{}, {"epsilon": 0.0}, {"epsilon": 0.9}, {"epsilon": -0.6}],
        defaults={"epsilon": 0.1},
        by_hand=[({"epsilon": 0.3}, 0, 1.2 * LOG_2)],  # 0.7 log 2 + 0.1 (1 + 2 + 2) log 2
        ends=lambda K, epsilon: (0 if epsilon >= 0 else -math.inf, math.inf),
        drawn={"epsilon": st.floats(-1, 0.99)},
        outside={"epsilon": (1, 1.0, 1.5)},
        sharp=[{"epsilon": -5.0}],
    ),
    "CE+LogitClip": Case(
        [{}, *({"tau": t, "released": r} for r in (False, True) for t in (0.5, 1.0, 2.5))],
        defaults={"tau": 1.5, "released": False},
        ends=clip_ends,
        drawn={"tau": st.floats(0.1, 10), "released": st.booleans()},
        outside={"tau": (0, -1.5)},
        sharp=[{"tau": t, "released": r} for t in (1e-6, 1e6) for r in (False, True)],
        published={"mnist": {"tau": 1.5}, "cifar10": {"tau": 1.5}, "cifar100": {"tau": 0.5}},
    ),
    "LDR-KL": Case(
        [{}, {"lam": 1.0}, {"lam": 0.3}],
        defaults={"lam": 10.0},
        by_hand=[({"lam": 1.0}, 0, math.log(2 / 3)),  # log of (1 + 1/2 + 1/2) / 3
                 ({"lam": 0.5}, 1, LOG_2 / 2)],  # (1/2) log of ((2/1)^2 + 1 + 1) / 3
        ends=lambda K, lam: (-lam * math.log(K), math.inf),
        drawn={"lam": st.floats(0.1, 20)},
        outside={"lam": (0, -10.0)},
        sharp=[{"lam": lam} for lam in (1e-3, 1e3)],
        published={"mnist": {"lam": 10}, "cifar10": {"lam": 10}, "cifar100": {"lam": 1}},
    ),
    "MAE": Case(
        [{}],
        by_hand=[({}, 1, 1.5)],  # 3/4 of the label, 1/2 + 1/4 of the others
        ends=same_for_all(0, 2),
    ),
    "RCE": Case(
        [{}, {"A": -4.0}],
        defaults={"A": LOG_ZERO},
        by_hand=[({"A": -4.0}, 1, 3.0)],  # 4 (1/2 + 1/4)
        ends=lambda K, A: (0, -A),
        drawn=A,
        outside={"A": (0, 4.0)},
    ),
    "SCE": Case(
        [{}, {"alpha": 0.1, "beta": 2.0, "A": -4.0}, {"alpha": 0.0}, {"beta": 0.0}],
        defaults={**ONES, "A": LOG_ZERO},
        by_hand=[({"alpha": 2.0, "beta": 3.0, "A": -4.0}, 0, 2 * LOG_2 + 6)],  # 3 * 4 (1/4 + 1/4)
        drawn={**WEIGHTS, **A},
        outside={"A": (0, 4.0), **NEGATIVE},
    ),
    "NCE": Case(
        [{}],
        by_hand=[({}, 0, 1 / 5)],  # log 2 of (1 + 2 + 2) log 2
        ends=same_for_all(0, 1),
    ),
    "NFL": Case(
        [{}, {"gamma": 0.0}, {"gamma": 2.0}, {"gamma": 2.0, "detach": True}],
        defaults=HALF,
        by_hand=[({"gamma": 1.0}, 0, 1 / 7)],  # 1/2 of 1/2 + 3/4 * 2 + 3/4 * 2, times log 2
        ends=same_for_all(0, 1),
        drawn=FOCAL,
        outside={"gamma": (-0.5, 101)},
        sharp=[{"gamma": g, "detach": d} for g in (1e-3, 100.0) for d in (False, True)],
    ),
    "NGCE": Case(
        [{}, {"q": 0.1}, {"q": 1.0}],
        defaults={"q": 0.7},
        by_hand=[({"q": 0.5}, 1, 0.5 / (2 - math.sqrt(0.5)))],  # 1/2 of 1 - 0.71 + 1/2 + 1/2
        ends=lambda K, q: (0, 1 / (K - (K - 1) ** (1 - q))),
        drawn={"q": st.floats(0.01, 1)},
        outside={"q": (0, -0.7, 1.1)},
        sharp=[{"q": 1e-6}],
    ),
    "NNCE": Case(
        [{}, {"p_min": 0.01}, {"p_min": 1e-4}],
        defaults={"p_min": 1e-7},
        by_hand=[({"p_min": 1 / 16}, 0, 4 / 7)],  # 4 - 1 of (4 - 1) + (4 - 2) + (4 - 2) is left out
        ends=same_for_all(0, 1),
        drawn=P_MIN,
        outside={"p_min": (0, -1e-7, 0.6, 1)},
        sharp=[{"p_min": 1e-30}],
    ),
    "NCE+MAE": Case(
        [{}, {"alpha": 0.3, "beta": 7.0}],
        defaults=ONES,
        by_hand=[({"alpha": 10.0, "beta": 3.0}, 0, 5.0)],  # 10/5 + 3
        drawn=WEIGHTS,
        outside=NEGATIVE,
    ),
    "NCE+RCE": Case(
        [{}, {"alpha": 0.0, "A": -4.0}],
        defaults={**ONES, "A": LOG_ZERO},
        drawn={**WEIGHTS, **A},
    ),
    "NFL+RCE": Case(
        [{}, {"gamma": 1.0, "beta": 0.0}, {"gamma": 2.0, "detach": True, "A": -4.0}],
        defaults={**ONES, **HALF, "A": LOG_ZERO},
        drawn={**WEIGHTS, **A, **FOCAL},
        outside={"gamma": (-0.5, 101)},
    ),
    "ANL-CE": Case(
        [{}, {"alpha": 5.0, "beta": 0.5, "p_min": 0.01}],
        defaults={**ONES, "p_min": 1e-7},
        by_hand=[({"alpha": 10.0, "beta": 14.0, "p_min": 1 / 16}, 0, 10.0)],  # 10/5 + 14 * 4/7
        drawn={**WEIGHTS, **P_MIN},
        outside={"p_min": (0, -1e-7, 0.6, 1)},
        published={"mnist": {**ONES, "p_min": 1e-7}},
    ),
    "AGCE": Case(
        [{"a": 6.0, "q": 1.5}, {"a": 1e-5, "q": 0.5}, {"a": 2.0, "q": 1.0}],
        by_hand=[({"a": 1.0, "q": 2.0}, 0, 0.875)],  # (4 - 9/4) / 2
        ends=lambda K, a, q: (0, ((a + 1) ** q - a**q) / q),
        drawn=AGCE,
        outside={"a": (0, -1, 1e-9), "q": (0, -0.2, 1e3)},
        sharp=[{"a": a, "q": q}
               for a, q in ((2e-6, 0.2), (2e-6, 5.0), (1e3, 0.1), (1e3, 10.0))],
    ),
    "AUL": Case(
        [{"a": 6.3, "q": 1.5}, {"a": 1.1, "q": 5.0}, {"a": 2.0, "q": 1.0}],
        by_hand=[({"a": 2.0, "q": 2.0}, 0, 0.625)],  # (9/4 - 1) / 2
        ends=lambda K, a, q: (0, (a**q - (a - 1) ** q) / q),
        drawn=AUL,
        outside={"a": (1, 1.0, 0.5, -3), "q": (0, -0.1, 1e3)},
        sharp=[{"a": a, "q": q} for a, q in ((1 + 1e-9, 0.1), (1.001, 10.0), (1.5, 70.0),
                                             (1e3, 0.1), (1e3, 10.0))],
    ),
    "AEL": Case(
        [{"a": 0.25}, {"a": 30.0}],
        by_hand=[({"a": 0.25}, 0, math.exp(-2))],
        ends=lambda K, a: (math.exp(-1 / a), 1),
        drawn=AEL,
        outside={"a": (0, -3.5)},
        sharp=[{"a": a} for a in (1e-6, 1e6)],
    ),
    "NCE+AGCE": Case(
        [{"a": 0.6, "q": 0.6}],
        defaults=ONES,
        drawn={**WEIGHTS, **AGCE},
        outside={"a": (0,)},
    ),
    "NCE+AUL": Case(
        [{"a": 3.0, "q": 0.1}],
        defaults=ONES,
        drawn={**WEIGHTS, **AUL},
        outside={"a": (1,)},
    ),
    "NCE+AEL": Case(
        [{"a": 2.5}],
        defaults=ONES,
        drawn={**WEIGHTS, **AEL},
        outside={"a": (0,)},
    ),
    "AMSE": Case(
        [{}, {"a": 1.0}, {"a": 3.0}],
        defaults={"a": 30.0},
        by_hand=[({"a": 3.0}, 0, 51 / 24),  # (5/2)^2 + 2 (1/4)^2 over 3
                 ({"a": 1.0}, 1, 7 / 24)],  # (3/4)^2 + (1/2)^2 + (1/4)^2 over 3
        ends=lambda K, a: ((a - 1) ** 2 / K, (a**2 + 1) / K),
        drawn={"a": st.floats(1, 100)},
        outside={"a": (0.99, 0, -30.0, 1e7)},
        sharp=[{"a": 1e6}],
        published={"cifar10": {"a": 30}, "cifar100": {"a": 20}},
    ),
    "JAL-CE": Case(
        [{}, {"alpha": 0.0, "a": 2.0}, {"beta": 0.0}],
        defaults={**ONES, "a": 30.0},
        by_hand=[({"alpha": 10.0, "beta": 8.0, "a": 3.0}, 0, 19.0)],  # 10/5 + 8 * 51/24
        drawn={**WEIGHTS, "a": st.floats(1, 100)},
        published={"cifar10": {**ONES, "a": 30}, "cifar100": {"alpha": 5, "beta": 1, "a": 20}},
    ),
    "GJS": Case(
        [{}, {"pi": 0.1}, {"pi": 0.9}],
        defaults={"pi": 0.5},
        # m = (3/4, 1/8, 1/8): H(m) - H(p)/2 = 3/4 log 4/3 + 3/4 log 2 - (3/2 log 2) / 2, over
        # Z = (log 2) / 2
        by_hand=[({"pi": 0.5}, 0, 1.5 * math.log(4 / 3) / LOG_2 )],
        ends=gjs_ends,
        drawn={"pi": st.floats(0.01, 0.99)},
        outside={"pi": (0, 1, -0.5, 1.5, 1e-6)},
        sharp=[{"pi": pi} for pi in (1e-3, 1 - 1e-9)],
    ),
    "CE_eps+MAE": Case(
        [{}, {"m": 0.0}, {"m": 1.0, "beta": 0.0}, {"alpha": 0.02, "beta": 5, "m": 1e3}],
        defaults={**ONES, "m": 1e5},
        by_hand=[({"alpha": 1.0, "beta": 2.0, "m": 1.0}, 0, math.log(4 / 3) + 2),  # (1/2 + 1) / 2
                 ({"alpha": 1.0, "beta": 2.0, "m": 1.0}, 1, math.log(8) + 3)],  # (1/4) / 2
        drawn={**WEIGHTS, "m": st.floats(0, 1e6)},
        outside={"m": (-1, -1e-9)},
        sharp=[{"m": 1e30}],
        published={
            "mnist": {"alpha": 0.01, "beta": 5, "m": 1e5},
            "cifar10": {"alpha": 0.01, "beta": 5, "m": 1e5},
            "cifar100": {"alpha": 0.03, "beta": 1, "m": 1e4},
        },
    ),
    "MSE": Case(
        [{}],
        by_hand=[({}, 0, 3 / 8), ({}, 1, 7 / 8)],  # 1/4 + 2/16, and 9/16 + 1/4 + 1/16
        ends=same_for_all(0, 2),
    ),
    "CLL": Case(
        [{"sigma": sigma, "form": form, "normalise": normalise}
         for form in FORMS for normalise in (False, True) for sigma in (0.5, 0.2, 1.0, 3.0)],
        defaults={"form": "target", "normalise": False},
        # 2 sigma^2 = 1/2, and the squared errors are those of MSE; a one-hot wrong prediction has
        # 1, 2, and twice 1
        by_hand=[
            ({"sigma": 0.5}, 0, 1 - math.exp(-1 / 2)),
            ({"sigma": 0.5, "form": "vector"}, 0, 1 - math.exp(-3 / 4)),
            ({"sigma": 0.5, "form": "elementwise"}, 0, 3 - math.exp(-1 / 2) - 2 * math.exp(-1 / 8)),
            ({"sigma": 0.5, "normalise": True}, 0, (1 - math.exp(-1 / 2)) / (1 - math.exp(-2))),
            ({"sigma": 0.5, "form": "vector", "normalise": True}, 1,
             (1 - math.exp(-7 / 4)) / (1 - math.exp(-4))),
        ],
        ends=cll_ends,
        drawn={"sigma": st.floats(0.05, 20), "form": st.sampled_from(FORMS),
               "normalise": st.booleans()},
        outside={"sigma": WIDTHS},
        sharp=[
            *({"sigma": s, "form": f} for s in (1e-6, 1e6) for f in FORMS),
            *({"sigma": 1e6, "form": f, "normalise": True} for f in FORMS),
        ],
    ),
    "GeneralisedCLL": Case(
        [{"alpha": a, "beta": b} for a, b in ((2.0, 0.7), (0.5, 2.0), (4.0, 0.5))],
        by_hand=[({"alpha": 2.0, "beta": 0.25}, 0, 1 - math.exp(-4))],  # (1/2 over 1/4) squared
        ends=generalised_ends,
        # the steeper it is at p_y = 1, the more it makes of the rounding there
        drawn={"alpha": st.floats(0.5, 10), "beta": st.floats(0.05, 20)},
        outside={"alpha": (0, -1, 101), "beta": WIDTHS},
        sharp=[{"alpha": a, "beta": b}
               for a in (1e-3, 0.5, 10.0, 100.0) for b in (1e-6, 0.3, 1e6)],
    ),
    "MixtureCLL": Case(
        [{"sigmas": [0.2], "weights": [1.0]},
         {"sigmas": [0.1, 0.5, 2.0], "weights": [0.2, 0.3, 0.5]}],
        by_hand=[({"sigmas": [0.5, 0.25], "weights": [0.25, 0.75]}, 0,
                  1 - math.exp(-1 / 2) / 4 - 3 * math.exp(-2) / 4)],  # 1/4 over 1/2, and over 1/8
        ends=same_for_all(0, 1),
        drawn={"sigmas": st.lists(st.floats(0.05, 20), min_size=4, max_size=4),
               "weights": st.permutations([0.1, 0.2, 0.3, 0.4])},
        sharp=[{"sigmas": [1e-6, 1e6], "weights": [0.5, 0.5]}],
    ),
}  # fmt: skip

SETTINGS: dict[str, list[dict]] = {name: list(case.settings) for name, case in CASES.items()}
for table in PUBLISHED.values():
    for name, entry in table.items():
        for setting in (entry["parameters"], entry.get("apl", {})):
            if setting not in SETTINGS[name] and setting:
                SETTINGS[name].append(setting)

EVERY = [(name, parameters) for name, settings in SETTINGS.items() for parameters in settings]
# One of each loss, and of CLL each form.
FEW = [(name, settings[0]) for name, settings in SETTINGS.items() if name != "CLL"] + [
    ("CLL", parameters) for parameters in SETTINGS["CLL"] if parameters["sigma"] == 0.5
]
SHARP = [*EVERY, *((name, parameters) for name, case in CASES.items() for parameters in case.sharp)]


def names(case: object) -> str | None:
    if isinstance(case, dict):
        return ",".join(f"{k} {v}" for k, v in case.items()) or "default"
    return case if isinstance(case, str) else None


every = pytest.mark.parametrize(("name", "parameters"), EVERY, ids=names)
few = pytest.mark.parametrize(("name", "parameters"), FEW, ids=names)
sharp = pytest.mark.parametrize(("name", "parameters"), SHARP, ids=names)


def of(name: str, reduction: str = "none", **parameters: object) -> Loss:
    return LOSSES[name](**parameters, reduction=reduction)


def ends(loss: Loss, K: int) -> tuple[float, float]:
    """The documented range of a loss for K classes."""
    if isinstance(loss, Sum):
        parts = [ends(part, K) for part in (loss.first, loss.second)]
        weighted = [[w * e if w else 0.0 for e in part]
                    for w, part in zip((loss.alpha, loss.beta), parts, strict=True)]  # fmt: skip
        return tuple(map(sum, zip(*weighted, strict=True)))
    case = CASES.get(loss.name, CASES["CE"])  # CE_eps is only a part
    return case.ends(K, **loss.settings())


def stops_a_gradient(parameters: dict) -> bool:
    """Whether a focal factor is held constant, as public code does."""
    return parameters.get("detach", False)


def is_of_p(loss: Loss) -> bool:
    """All but a loss on clipped logits."""
    return not isinstance(loss, LogitClip)


@functools.cache
def drawn(B: int, K: int, spread: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(B, K, dtype=torch.float64, generator=source)
    return logits, torch.randint(K, (B,), generator=source)


def batch(B: int = 24, K: int = 7, spread: float = 3.0, seed: int = 0):
    logits, targets = drawn(B, K, spread, seed)
    return logits.clone(), targets.clone()


def at(p_y: torch.Tensor | list[float], K: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits with the given p_y, the other K - 1 classes alike; the label is class 0."""
    p_y = torch.as_tensor(p_y, dtype=torch.float64)
    others = (torch.log1p(-p_y) - math.log(K - 1))[:, None].expand(-1, K - 1)
    return torch.cat([p_y.log()[:, None], others], dim=1), torch.zeros(len(p_y), dtype=torch.int64)


def gradient(loss: Loss, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits, targets).sum(), logits)[0]
