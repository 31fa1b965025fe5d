"""Pictures of what a loss promises under noise: class sums, excess risk, asymmetry, calibration."""

from collections.abc import Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from labelnoise import noise, theory
from labelnoise.figures import DASHES
from labelnoise.figures.gradients import below, distinct, label, line_styles, sigma_axis
from labelnoise.losses import CLL, Loss, build
from labelnoise.losses.published import PUBLISHED
from labelnoise.tracing import traced

# ---------------------------------------------------------------------------- the losses to look at


def of_target(dataset: str = "mnist") -> list[Loss]:
    """Every loss of p_y alone at its published setting (CLL is not among them); a sum whose other
    weight is 0 is the loss that is left, and not repeated."""
    settings = PUBLISHED[dataset].items()
    built = [build(name, **s["parameters"]) for name, s in settings if "+" not in name]
    return [loss for loss in built if theory.sees_only_target(loss)]


# ------------------------------------------------------------------------ symmetry and excess risk


@traced
def class_sums(losses: Sequence[Loss], num_classes: int) -> Figure:
    """The class sum S(p) = sum_k L(p, k) relative to its value at the uniform p, from there to a
    one-hot answer (left) and along an even split over 1, 2, ..., K classes (right)."""
    K, losses = num_classes, distinct(losses)
    belief = np.linspace(1 / K, 1 - 1e-6, 400)
    splits = np.array([[1 / n if k < n else 0.0 for k in range(K)] for n in range(1, K + 1)])
    figure = plt.figure(figsize=(11, 4.6))
    left, right = figure.subplots(1, 2, sharey=True)
    for loss, line in zip(losses, line_styles(losses), strict=True):
        uniform = theory.class_sum(loss, np.full(K, 1 / K))
        left.plot(belief, theory.class_sum(loss, theory.simplex(belief, K)) / uniform, **line)
        right.plot(range(1, K + 1), theory.class_sum(loss, splits) / uniform, marker="o", ms=4,
                   **line)  # fmt: skip
    left.set(xlabel="p_1, the rest even (probability)", ylim=(0.8, 1.45), title="More confident",
             ylabel="class sum / that of the uniform answer")  # fmt: skip
    right.set(xlabel="classes that share the probability", title="An even split over some classes")
    below(figure, left)
    return figure


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


@traced
def guarantees(losses: Sequence[Loss], num_classes: int, rates: Sequence[float]) -> Figure:
    """Left: the bound on the share of wrong answers over the rate of symmetric noise. Right: the
    bound on the excess risk (line) and the worst that is found over all posteriors of a lattice
    with K = 3 (dots), both relative to the largest loss there is."""
    losses = distinct(losses)
    figure = plt.figure(figsize=(11, 4.6))
    left, right = figure.subplots(1, 2)
    three = np.linspace(0, 0.64, 17)
    for loss, line in zip(losses, line_styles(losses), strict=True):
        left.plot(rates, [100 * theory.error_bound(loss, num_classes, r) for r in rates], **line)
        top = theory.of_every_label(loss, np.eye(3))[0, 1]
        if not np.isfinite(theory.class_sum_range(loss, 3).high):
            continue
        bound = [theory.excess_risk_bound(loss, 3, float(r)) / top for r in three]
        right.plot(three, bound, **line)
        right.plot(three, worst_excess(loss, three) / top, "o", ms=4, color=line["color"])
    left.set(xlabel="rate of symmetric noise", ylabel="wrong answers, at most (%)", ylim=(-3, 103),
             title=f"The guarantee, K = {num_classes}")  # fmt: skip
    right.set(xlabel="rate of symmetric noise", ylabel="excess risk / largest loss", ylim=(0, 1),
              title="Bound (lines) and worst case found (dots), K = 3")  # fmt: skip
    below(figure, left)
    return figure


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


@traced
def cll_guarantee(sigmas: Sequence[float], num_classes: Sequence[int], rate: float) -> Figure:
    """CLL ``target`` over sigma: how far its class sum strays, and the bound on wrong answers."""
    fine = np.geomspace(min(sigmas), max(sigmas), 61)
    figure = plt.figure(figsize=(11, 4.4))
    left, right = figure.subplots(1, 2)
    for K, dash in zip(num_classes, DASHES, strict=False):
        found = [theory.class_sum_range(CLL(float(s)), K) for s in fine]
        line = {"color": "#0072B2", "ls": dash, "lw": 2, "label": f"K = {K}"}
        left.plot(fine, [100 * r.spread / r.high for r in found], **line)
        bound = [100 * theory.error_bound(CLL(float(s)), K, rate) for s in fine]
        right.plot(fine, bound, **line)
    for ax in (left, right):
        sigma_axis(ax.xaxis, sigmas, ax.set_xscale)
        ax.set(xlabel="sigma (probability)")
        ax.legend(fontsize="small")
    left.set(ylabel="largest minus least (% of largest)", title="How far the class sum strays",
             ylim=(0, None))  # fmt: skip
    right.set(ylabel="wrong answers, at most (%)", ylim=(0, 103),
              title=f"The guarantee at {100 * rate:g} % symmetric noise")  # fmt: skip
    return figure


# ------------------------------------------------------------------------------------- asymmetry


def ratio_on_grid(loss: Loss, n: int) -> float:
    """The asymmetry ratio as a grid of n steps over p and d shows it: never at the limit."""
    p = np.arange(n + 1) / n
    cost = theory.value(loss, theory.simplex(np.clip(p, 1e-12, 1), 2))
    least = [((cost[: n + 1 - d] - cost[d:]) / (cost[0] - cost[d])).min() for d in range(1, n + 1)]
    return float(min(least))


@traced
def coarse_grids(losses: Sequence[Loss], sizes: Sequence[int]) -> Figure:
    """The asymmetry ratio on ever finer grids over (p, d); marks at the right: its true value."""
    losses = distinct(losses)
    figure = plt.figure(figsize=(8.4, 4.6))
    ax = figure.subplots()
    for loss, line in zip(losses, line_styles(losses), strict=True):
        ax.plot(sizes, [ratio_on_grid(loss, n) for n in sizes], marker="o", ms=4, **line)
        ax.plot(1.6 * max(sizes), theory.asymmetry_ratio(loss), marker="_", ms=18, mew=3,
                color=line["color"])  # fmt: skip
    ax.set(xscale="log", xlabel="steps of the grid over p and over d", ylim=(-0.03, 1.03),
           ylabel="asymmetry ratio r", title="A grid hides the zero")  # fmt: skip
    ax.set_xticks([*sizes, 1.6 * max(sizes)], [*map(str, sizes), "exact"])
    ax.set_xticks([], minor=True)
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


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
def margins(losses: Sequence[Loss], levels: dict[str, float]) -> Figure:
    """The asymmetry ratio restricted to answers that leave the label an error of at least epsilon,
    over epsilon; ``levels``: name of a noise -> its noise ratio, drawn as horizontal lines."""
    losses, epsilon = distinct(losses), np.geomspace(1e-3, 0.6, 80)
    figure = plt.figure(figsize=(9, 4.8))
    ax = figure.subplots()
    for loss, line in zip(losses, line_styles(losses), strict=True):
        ax.plot(epsilon, [theory.asymmetry_ratio(loss, float(m)) for m in epsilon], **line)
    for name, level in levels.items():
        ax.axhline(level, color="0.35", lw=1, ls=":")
        ax.annotate(name, (1.1e-3, level), fontsize="small", va="bottom", color="0.25")
    ax.set(xscale="log", xlabel="epsilon, the least error that counts (probability)",
           ylabel="asymmetry ratio beyond epsilon", ylim=(-0.02, 1.03),
           title="Which noise is tolerated, and up to which confidence")  # fmt: skip
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


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


# ----------------------------------------------------------------------------------- calibration


@traced
def triangles(losses: Sequence[Loss], q: Sequence[float]) -> Figure:
    """The conditional risk under posterior ``q`` over all answers p of three classes, dark where it
    is low, with its minimum (white) and the posterior itself (black cross)."""
    losses, answers = distinct(losses), theory.lattice(3, 60)
    x, y = _corner(answers)
    figure = plt.figure(figsize=(2.5 * len(losses), 2.7))
    for ax, loss in zip(np.atleast_1d(figure.subplots(1, len(losses))), losses, strict=True):
        risk = theory.of_every_label(loss, answers) @ np.asarray(q)
        shown = np.minimum(risk, np.quantile(risk, 0.9))  # the corners of CE are endless
        ax.tricontourf(Triangulation(x, y), shown, levels=14, cmap="cividis")
        least = np.column_stack(_corner(answers[risk.argmin()][None]))[0]
        ax.plot(*least, "o", ms=11, mfc="white", mec="black", clip_on=False, zorder=4)
        ax.plot(*np.ravel(_corner(np.asarray(q)[None])), "x", ms=9, mew=2.5, color="black",
                zorder=5)  # fmt: skip
        _name_corners(ax)
        ax.set_title(label(loss))
    return figure


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


# --------------------------------------------------------------------------------- sample weights


@traced
def weights(losses: Sequence[Loss], num_classes: int) -> Figure:
    """w(p_y) over p_y, both on a log scale: lines from the closed form, dots measured by autograd
    on random logits."""
    losses, p_y = distinct(losses), np.geomspace(1e-4, 1 - 1e-4, 500)
    figure = plt.figure(figsize=(9.6, 5.4))
    ax = figure.subplots()
    for loss, line in zip(losses, line_styles(losses), strict=True):
        ax.plot(p_y, theory.weight(loss, p_y), **line)
        ax.plot(*measured_weights(loss, num_classes), "o", ms=3.5, color=line["color"])
    ax.axvline(1 / num_classes, color="0.4", lw=1, ls=":")
    ax.annotate(f"untrained,\np_y = 1/{num_classes}", (1 / num_classes, 1.4e-4), fontsize="small",
                xytext=(4, 0), textcoords="offset points")  # fmt: skip
    ax.set(xscale="log", yscale="log", ylim=(1e-4, 5), xlim=(1e-4, 1),
           xlabel="p_y, belief in the given label (probability)",
           ylabel="weight w(p_y) = -p_y dL/dp_y", title="What a sample weighs")  # fmt: skip
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


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


# -------------------------------------------------------------------------------------- parts


def styles(losses: Sequence[Loss]) -> list[dict]:
    """Colours and dashes for a list that is too long for one of either."""
    tones, dashes = cycle(plt.get_cmap("tab10").colors), cycle(DASHES)
    return [
        {"color": t, "ls": d, "lw": 2, "label": label(loss)}
        for loss, t, d in zip(losses, tones, dashes, strict=False)
    ]


def _corner(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Three probabilities to a point of an equilateral triangle."""
    return p[:, 1] + p[:, 2] / 2, p[:, 2] * np.sqrt(3) / 2


def _name_corners(ax: Axes) -> None:
    ax.annotate("0", (-0.05, -0.02), ha="right", va="center")
    ax.annotate("1", (1.05, -0.02), ha="left", va="center")
    ax.annotate("class 2", (0.5, 0.9), ha="center", va="bottom", fontsize="small")
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set(xlim=(-0.12, 1.12), ylim=(-0.08, 1.0))


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
