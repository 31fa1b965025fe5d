"""What each theorem says of a loss, in numbers (notebook 04). What the runs did is in
``robustness_runs.py``."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from labelnoise import noise, theory
from labelnoise.analysis.tables.gradients import distinct, label
from labelnoise.losses import PUBLISHED, Loss, build
from labelnoise.tracing import traced


def is_symmetric(loss: Loss, num_classes: int) -> bool:
    """Whether the class sum is the same for 200 random answers, to 1e-9 of itself."""
    p = np.random.default_rng(0).dirichlet(np.full(num_classes, 0.5), 200).clip(1e-9)
    sums = theory.class_sum(loss, p / p.sum(axis=1, keepdims=True))
    return bool(np.ptp(sums) < 1e-9 * abs(sums).max())


def of_target(dataset: str = "mnist") -> list[Loss]:
    """Every loss of p_y alone at its published setting (CLL is not among them); a sum whose other
    weight is 0 is the loss that is left, and not repeated."""
    settings = PUBLISHED[dataset].items()
    built = [build(name, **s["parameters"]) for name, s in settings if "+" not in name]
    return [loss for loss in built if theory.sees_only_target(loss)]


@traced
def symmetry_table(losses: Sequence[Loss], num_classes: int, rate: float) -> pd.DataFrame:
    """The range of the class sum, how far it strays relative to its largest value, and what follows
    at symmetric noise: the bound on the excess risk, and on the share of wrong answers."""
    rows = {}
    for loss in distinct(losses):
        found = theory.class_sum_range(loss, num_classes)
        bound = theory.excess_risk_bound(loss, num_classes, rate)
        bounded = np.isfinite(found.high)
        rows[label(loss)] = {
            "least class sum": f"{found.low:.4g}",
            "largest": f"{found.high:.4g}" if bounded else "no bound",
            "strays by (%)": f"{100 * found.spread / found.high:.1f}" if bounded else "100",
            "excess risk at most": f"{bound:.4g}" if bounded else "no bound",
            "wrong answers at most (%)": percent_or_none(
                theory.error_bound(loss, num_classes, rate)
            ),
        }
    return pd.DataFrame(rows).T


def worst_excess(loss: Loss, rates: Sequence[float], steps: int = 24) -> np.ndarray:
    """The largest excess risk over all posteriors of a lattice with K = 3, for each rate."""
    q, answers = theory.lattice(3, 12), theory.lattice(3, steps)
    return np.array([theory.excess_risk(loss, q, float(r), answers).max() for r in rates])


def bound_check(losses: Sequence[Loss], rates: Sequence[float]) -> pd.DataFrame:
    """The excess risk against its bound, K = 3: both at the last of ``rates``, the worst over all
    posteriors; the largest share of the bound over all rates; how often it is violated."""
    rows = {}
    for loss in distinct(losses):
        rates = [float(r) for r in rates if r > 0]
        bound = np.array([theory.excess_risk_bound(loss, 3, r) for r in rates])
        worst = worst_excess(loss, rates)
        violated = int((worst > bound + 1e-9).sum())
        share = (worst / np.where(bound > 0, bound, np.inf)).max()
        bounded, symmetric = np.isfinite(bound).all(), (bound == 0).all()
        rows[label(loss)] = {
            "bound": "0" if symmetric else f"{bound[-1]:.3g}" if bounded else "none",
            "worst found": f"{worst[-1]:.3g}",
            "worst / bound, any rate": f"{share:.2f}" if bounded and not symmetric else "–",
            "rates with a violation": f"{violated} of {len(rates)}",
        }
    return pd.DataFrame(rows).T


def ratio_on_grid(loss: Loss, n: int) -> float:
    """The asymmetry ratio as a grid of n steps over p and d shows it: never at the limit."""
    p = np.arange(n + 1) / n
    cost = theory.value(loss, theory.simplex(np.clip(p, 1e-12, 1), 2))
    least = [((cost[: n + 1 - d] - cost[d:]) / (cost[0] - cost[d])).min() for d in range(1, n + 1)]
    return float(min(least))


@traced
def ratio_table(losses: Sequence[Loss], num_classes: int) -> pd.DataFrame:
    """The asymmetry ratio, and the largest rates at which the noise ratio stays within it: for
    symmetric noise eta/(K-1)/(1-eta), for noise onto one class eta/(1-eta)."""
    rows = {}
    for loss in distinct(losses):
        r, beyond = theory.asymmetry_ratio(loss), theory.asymmetry_ratio(loss, 0.1)
        others = (num_classes - 1) * r
        rows[label(loss)] = {
            "asymmetry ratio r": f"{r:.3f}",
            "symmetric noise up to (%)": f"{100 * others / (1 + others):.1f}",
            "noise onto one class up to (%)": f"{100 * r / (1 + r):.1f}",
            "r for errors above 0.1": f"{beyond:.3f}",
        }
    return pd.DataFrame(rows).T


@traced
def resting_table(losses: Sequence[Loss], num_classes: int, rate: float) -> pd.DataFrame:
    """Under symmetric noise: the least error beyond which the asymmetry ratio covers the noise
    ratio, and the error 1 - p_y at which the noisy risk is least (``theory.at_rest``)."""
    level = rate / (num_classes - 1) / (1 - rate)
    rows = {}
    for loss in distinct(losses):
        rest = theory.at_rest(loss, num_classes, rate)
        rows[label(loss)] = {
            "asymmetric beyond an error of": covered_beyond(loss, level),
            "error at rest": f"{1 - rest.belief:.3f}",
            "belief in the true class": f"{rest.belief:.3f}",
        }
    return pd.DataFrame(rows).T


def covered_beyond(loss: Loss, level: float) -> str:
    """The least epsilon at which the asymmetry ratio beyond epsilon reaches ``level``."""
    if theory.asymmetry_ratio(loss) >= level:
        return "0 (always)"
    if theory.asymmetry_ratio(loss, 0.999) < level:
        return "never"
    low, high = 0.0, 0.999
    while high - low > 1e-5:  # the ratio grows with epsilon: there are fewer answers left to fail
        middle = (low + high) / 2
        low, high = (
            (low, middle) if theory.asymmetry_ratio(loss, middle) >= level else (middle, high)
        )
    return f"{high:.3f}"


@traced
def calibration_table(losses: Sequence[Loss], noises: dict[str, np.ndarray]) -> pd.DataFrame:
    """Share of posteriors (K = 3) whose noisy minimiser has the Bayes class of the clean posterior
    on top, and its mean belief in it, for each noise."""
    rows = {
        "the noisy posterior itself": {
            name: f"{100 * kept_on_top(T):.0f} %" for name, T in noises.items()
        }
    }
    for loss in distinct(losses):
        found = {name: theory.calibration(loss, T) for name, T in noises.items()}
        rows[label(loss)] = {n: f"{c.right:.0f} % ({c.belief:.2f})" for n, c in found.items()}
    return pd.DataFrame(rows).T


def kept_on_top(T: np.ndarray, steps: int = 20) -> float:
    """The share of clean posteriors whose most probable class is that of the noisy one, too: what
    no loss can better."""
    q = theory.lattice(len(T), steps)
    ordered = np.sort(q, axis=1)
    q = q[ordered[:, -1] > ordered[:, -2] + 1e-9]
    return float(((q @ T).argmax(axis=1) == q.argmax(axis=1)).mean())


def measured_weights(loss: Loss, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(p_y, w) with w = |dL/dz_y| / (1 - p_y) from autograd, for a few answers p."""
    import torch

    p_y = np.geomspace(2e-4, 0.97, 12)
    z = torch.from_numpy(np.log(theory.simplex(p_y, num_classes)))
    slopes = theory.by_autograd(loss, z, torch.zeros(len(z), dtype=torch.int64))
    return p_y, np.abs(slopes[:, 0]) / (1 - p_y)


@traced
def weight_table(losses: Sequence[Loss], num_classes: int) -> pd.DataFrame:
    """Where the weight w and the pull w (1 - p_y) peak, and the pull relative to its peak on an
    untrained network (p_y = 1/K) and on a label that is all but ruled out (p_y = 0.01)."""
    p_y = np.linspace(1e-4, 1 - 1e-4, 20001)
    rows = {}
    for loss in distinct(losses):
        w = theory.weight(loss, p_y)
        pull = w * (1 - p_y)
        at = {p: float(theory.weight(loss, p) * (1 - p)) for p in (1 / num_classes, 0.01)}
        peak = pull.max()
        rows[label(loss)] = {
            "w peaks at p_y": "everywhere" if np.ptp(w) < 1e-9 else f"{p_y[w.argmax()]:.2f}",
            "pull peaks at p_y": f"{p_y[pull.argmax()]:.2f}",
            "largest pull": f"{peak:.3f}",
            "untrained (% of it)": f"{100 * at[1 / num_classes] / peak:.1f}",
            "p_y = 0.01 (% of it)": f"{100 * at[0.01] / peak:.1f}",
        }
    return pd.DataFrame(rows).T


def percent_or_none(share: float) -> str:
    """A bound on a share in percent, or that it says nothing."""
    return "no guarantee" if share >= 1 else f"{100 * share:.1f}"


def three_class_noises() -> dict[str, np.ndarray]:
    """The noises of the calibration table: K = 3, so symmetric noise ends at 2/3."""
    return {
        "clean": noise.symmetric(3, 0.0),
        "symmetric 40 %": noise.symmetric(3, 0.4),
        "symmetric 60 %": noise.symmetric(3, 0.6),
        "pairflip 40 %": noise.pairflip(3, 0.4),
        "symmetric 70 %, beyond the limit": noise.symmetric(3, 0.7),
    }
