"""Pictures of what a loss promises under noise: class sums, excess risk, asymmetry, calibration."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from labelnoise import theory
from labelnoise.analysis import stats
from labelnoise.analysis.rules.robustness_theory import p_value
from labelnoise.analysis.tables.gradients import distinct, label
from labelnoise.analysis.tables.robustness_runs import over_settings
from labelnoise.analysis.tables.robustness_theory import (
    measured_weights,
    ratio_on_grid,
    worst_excess,
)
from labelnoise.figures import DASHES, FAMILY_COLOURS, colour, family
from labelnoise.figures.gradients import below, line_styles, name_points, sigma_axis
from labelnoise.losses import CLL, Loss, build
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced

MARKS = "os^Dv<>Ph"


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
def guarantees(losses: Sequence[Loss], num_classes: int, rates: Sequence[float]) -> Figure:
    """Left: the bound on the share of wrong answers over the rate of symmetric noise. Right: the
    bound on the excess risk (line) and the worst that is found over all posteriors of a lattice
    with K = 3 (the mark of each loss), both relative to the largest loss there is."""
    losses = distinct(losses)
    figure = plt.figure(figsize=(11, 4.6))
    left, right = figure.subplots(1, 2)
    three, every = np.linspace(0, 0.64, 9), max(1, len(rates) // 8)
    for loss, line, mark in zip(losses, line_styles(losses), MARKS, strict=False):
        bounds = [100 * theory.error_bound(loss, num_classes, r) for r in rates]
        mark = {"marker": mark, "ms": 6, "mfc": "none", "mew": 1.4}
        left.plot(rates, bounds, **line, **mark, markevery=every)
        top = theory.of_every_label(loss, np.eye(3))[0, 1]
        if not np.isfinite(theory.class_sum_range(loss, 3).high):
            continue
        fine = np.linspace(0, 0.64, 65)
        bound = [theory.excess_risk_bound(loss, 3, float(r)) / top for r in fine]
        right.plot(fine, bound, **line)
        found = worst_excess(loss, three) / top
        right.plot(three, found, ls="", color=line["color"], clip_on=False, zorder=4, **mark)
    left.set(xlabel="rate of symmetric noise", ylabel="wrong answers, at most (%)", ylim=(-3, 103),
             title=f"The guarantee, K = {num_classes}")  # fmt: skip
    right.set(xlabel="rate of symmetric noise", ylabel="excess risk / largest loss", ylim=(0, 0.6),
              title="Bound (lines) and worst case found (marks), K = 3")  # fmt: skip
    below(figure, left)
    return figure


@traced
def cll_guarantee(sigmas: Sequence[float], num_classes: Sequence[int], rate: float) -> Figure:
    """CLL ``target`` over sigma: how far its class sum strays, and the bound on wrong answers. The
    walk is finer around sigma = 0.6, where both have a sharp valley."""
    low, high = min(sigmas), max(sigmas)
    valley = [sigma for sigma in np.linspace(0.46, 0.7, 25) if low < sigma < high]
    fine = np.unique([*np.geomspace(low, high, 31), *valley])
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


@traced
def coarse_grids(losses: Sequence[Loss], sizes: Sequence[int]) -> Figure:
    """The asymmetry ratio on ever finer grids over (p, d); marks at the right: its true value."""
    losses = distinct(losses)
    figure = plt.figure(figsize=(8.4, 4.6))
    ax = figure.subplots()
    side_by_side = 1.6 * max(sizes) * np.geomspace(0.85, 1 / 0.85, len(losses))  # equals are seen
    for loss, line, right in zip(losses, line_styles(losses), side_by_side, strict=True):
        ax.plot(sizes, [ratio_on_grid(loss, n) for n in sizes], marker="o", ms=4, **line)
        ax.plot(right, theory.asymmetry_ratio(loss), marker="D", ms=6, color=line["color"])
    ax.set(xscale="log", xlabel="steps of the grid over p and over d", ylim=(-0.03, 1.03),
           ylabel="asymmetry ratio r", title="A grid hides the zero")  # fmt: skip
    ax.set_xticks([*sizes, 1.6 * max(sizes)], [*map(str, sizes), "exact"])
    ax.set_xticks([], minor=True)
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


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
def triangles(losses: Sequence[Loss], q: Sequence[float]) -> Figure:
    """The conditional risk under posterior ``q`` over all answers p of three classes, from its
    least (0) to its ninth decile (1), with its minimum (white) and the posterior itself (cross)."""
    losses, answers = distinct(losses), theory.lattice(3, 60)
    x, y = _corner(answers)
    rows = -(-len(losses) // 3)
    columns = min(3, len(losses))
    figure = plt.figure(figsize=(3.9 * columns + 0.8, 3.7 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[len(losses) :]:
        ax.remove()
    for ax, loss in zip(axes, losses, strict=False):
        risk = theory.of_every_label(loss, answers) @ np.asarray(q)
        scale = np.quantile(risk, 0.9) - risk.min()  # the corners of CE are endless
        height = np.clip((risk - risk.min()) / scale, 0, 1 - 1e-9)
        drawn = ax.tricontourf(Triangulation(x, y), height, levels=np.linspace(0, 1, 15),
                               cmap="cividis")  # fmt: skip
        least = np.column_stack(_corner(answers[risk.argmin()][None]))[0]
        ax.plot(*least, "o", ms=11, mfc="white", mec="black", clip_on=False, zorder=4)
        ax.plot(*np.ravel(_corner(np.asarray(q)[None])), "x", ms=9, mew=2.5, color="black",
                zorder=5)  # fmt: skip
        _name_corners(ax)
        ax.set_title(label(loss))
    figure.colorbar(drawn, ax=list(axes[: len(losses)]), shrink=0.75, ticks=[0, 0.25, 0.5, 0.75, 1],
                    label="risk: 0 least, 1 ninth decile (own scale a loss)")  # fmt: skip
    return figure


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


# What the text names in each column of ``claim``.
POINTED_OUT = (
    ("CE", "SCE", "GCE", "TaylorCE", "CLL(target, sigma 1)", "GeneralisedCLL", "MixtureCLL", "MAE",
     "AUL(a 5.5, q 3)", "AEL"),
    ("CE", "GCE", "TaylorCE", "CLL(target, sigma 1)", "MAE", "AEL(a 0.25)", "AUL(a 1.2, q 3)",
     "GCE(q 0.3)", "GeneralisedCLL"),
    ("CE", "SCE", "GCE", "TaylorCE", "CLL(target, sigma 1)", "RCE", "AEL", "AUL(a 5.5, q 3)",
     "GeneralisedCLL"),
)  # fmt: skip


@traced
def claim(table: pd.DataFrame) -> Figure:
    """Accuracy (top) and fall (bottom) of each loss against three criteria of ``predictions``; the
    losses of ``POINTED_OUT`` are named."""
    shown = ("asymmetry ratio", "wrong answers at most (%)", "pull on an untrained network")
    figure, axes = plt.subplots(2, 3, figsize=(14, 9.5), sharey="row", sharex="col")
    for column, criterion in zip(axes.T, shown, strict=True):
        for ax, measured in zip(column, ("last epoch", "fall"), strict=True):
            for kind in dict.fromkeys(map(family, table["name"])):
                rows = table[[family(n) == kind for n in table["name"]]]
                ax.plot(rows[criterion], rows[measured], "o", ms=7, alpha=0.8, label=kind,
                        color=FAMILY_COLOURS[kind])  # fmt: skip
            rho, p = stats.rank_correlation(table[criterion], table[measured])
            ax.set_title(f"Spearman {rho:+.2f}, {p_value(p)}", fontsize="small")
        column[1].set_xlabel(criterion)
    axes[0, 2].set_xscale("log")
    axes[0, 2].set_xlim(3e-3, 3)
    axes[0, 0].set_ylabel("last-epoch accuracy (%)")
    axes[1, 0].set_ylabel("fall from best to last epoch (points)")
    axes[1, 0].set_yscale("symlog", linthresh=1)
    axes[1, 0].set_ylim(-0.5, 40)
    axes[0, 0].set_ylim(5, 106)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, fontsize="small")
    figure.draw_without_rendering()
    for column, criterion, pointed in zip(axes.T, shown, POINTED_OUT, strict=True):
        rows = table.loc[table.index.intersection(pointed)]
        for ax, measured in zip(column, ("last epoch", "fall"), strict=True):
            points = zip(rows[criterion], rows[measured], strict=True)
            name_points(ax, dict(zip(rows.index, points, strict=True)))
    return figure


@traced
def slow_start(outcomes: Sequence[Outcome], num_classes: int) -> Figure:
    """CLL ``target`` over sigma: the pull on an untrained network, and what became of it, with and
    without weight decay."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), sharex=True)
    points = sorted(over_settings(outcomes), key=lambda point: point[:2])
    sigmas = np.geomspace(min(s for s, *_ in points), max(s for s, *_ in points), 80)
    pulls = [theory.pull_at_start(build("CLL", sigma=float(s)), num_classes) for s in sigmas]
    left.plot(sigmas, [p for p, _ in pulls], color=colour("CLL"), lw=2, label="|dL/dz_y|")
    left.plot(sigmas, [share for _, share in pulls], color="black", ls="--", lw=1.6,
              label="as a share of the largest pull")  # fmt: skip
    left.set(yscale="log", ylim=(1e-6, 2), ylabel="pull on an untrained network",
             title=f"At p = 1/{num_classes}")  # fmt: skip
    left.legend(fontsize="small", loc="lower right")
    for decay, mark, shift in ((True, "o", 1.0), (False, "x", 1.02)):
        xy = [(s * shift, last) for s, last, _, decayed in points if decayed == decay]
        if xy:
            words = "weight decay 0.001" if decay else "no weight decay"
            right.plot(*zip(*xy, strict=True), mark, ms=8, mew=2, label=words,
                       color=colour("CLL") if decay else "#D55E00")  # fmt: skip
    right.axhline(100 / num_classes, color="0.4", ls=":", lw=1, label="chance")
    right.set(ylabel="last-epoch accuracy (%)", ylim=(0, 102), title="After 50 epochs, MLP")
    right.legend(fontsize="small", loc="center right")
    for ax in (left, right):
        ax.set(xscale="log", xlabel="sigma (probability)")
        ticks = [0.1, 0.2, 0.3, 0.5, 1.0, 2.0]
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.set_xticks([], minor=True)
    return figure
