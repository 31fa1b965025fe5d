"""Pictures of gradients: closed forms over p_y and sigma, and who pulls while a network trains."""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, product

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labelnoise import theory
from labelnoise.analysis import stats
from labelnoise.analysis.tables import by_label, shown
from labelnoise.analysis.tables.gradients import GRID, distinct, foretold, label
from labelnoise.figures import DASHES, colour
from labelnoise.figures.mnist_symmetric import curve
from labelnoise.losses import CLL, Loss
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced

BELIEF = "p_y, belief in the given label (probability)"


@traced
def over_p(losses: Sequence[Loss], num_classes: int = 10) -> Figure:
    """L, |dL/dp_y| and |dL/dz_y| over p_y, a line a loss; the peaks of CLL ``target`` are dots.
    What p_y leaves is spread evenly over the other classes."""
    p, losses = theory.simplex(GRID, num_classes), distinct(losses)
    figure = plt.figure(figsize=(13, 4.4))
    axes = figure.subplots(1, 3)
    for loss, line in zip(losses, line_styles(losses), strict=True):
        axes[0].plot(GRID, theory.value(loss, p), **line)
        axes[1].plot(GRID, abs(theory.dL_dp(loss, p)[:, 0]), **line)
        axes[2].plot(GRID, abs(theory.dL_dz(loss, p)[:, 0]), **line)
        if isinstance(loss, CLL) and loss.form == "target":
            peaks = theory.steepest_in_p(loss.sigma), theory.steepest_in_z(loss.sigma)
            slopes = theory.dL_dp, theory.dL_dz
            for ax, peak, gradient in zip(axes[1:], peaks, slopes, strict=True):
                height = abs(gradient(loss, theory.simplex(peak, num_classes))[0])
                ax.plot(peak, height, "o", color=line["color"], ms=7, zorder=3)
    axes[0].set(ylabel="loss L", title="What a sample costs")
    axes[1].set(ylabel="|dL/dp_y|", title="Slope in the probability")
    axes[2].set(ylabel="|dL/dz_y|", title="Pull at the logit of the given label")
    for ax, cap in zip(axes, (4, 6.5, np.inf), strict=True):  # some losses grow without bound
        top = max(line.get_ydata().max() for line in ax.lines)
        ax.set(xlabel=BELIEF, xlim=(0, 1), ylim=(0, min(cap, 1.06 * top)))
    below(figure, axes[0])
    return figure


@traced
def vanishing(losses: Sequence[Loss], num_classes: int = 10) -> Figure:
    """|dL/dz_y| over p_y with both axes logarithmic: how the pull of a label dies out as the
    network comes to disbelieve it."""
    p_y = np.geomspace(1e-4, 0.999, 400)
    p, losses = theory.simplex(p_y, num_classes), distinct(losses)
    figure = plt.figure(figsize=(8.4, 4.6))
    ax = figure.subplots()
    for loss, line in zip(losses, line_styles(losses), strict=True):
        ax.plot(p_y, abs(theory.dL_dz(loss, p)[:, 0]), **line)
    untrained = f"untrained, p_y = 1/{num_classes}"
    ax.axvline(1 / num_classes, color="0.4", lw=1, ls=":", label=untrained)
    ax.set(
        xscale="log", yscale="log", ylim=(1e-6, 3), title="Confident disagreement",
        xlabel=BELIEF, ylabel="|dL/dz_y|",
    )  # fmt: skip
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


@traced
def bandwidth_map(sigmas: Sequence[float], num_classes: int = 10) -> Figure:
    """|dL/dz_y| of CLL ``target`` over p_y and sigma, relative to its largest at that sigma, with
    the closed forms of both peaks."""
    fine = bandwidths(sigmas, 161)
    p_y = np.linspace(0, 1, 201)
    p = theory.simplex(p_y, num_classes)
    pull = np.array([abs(theory.dL_dz(CLL(float(s)), p)[:, 0]) for s in fine])
    figure = plt.figure(figsize=(8.4, 4.8))
    ax = figure.subplots()
    shown = ax.pcolormesh(p_y, fine, pull / pull.max(axis=1, keepdims=True), cmap="cividis",
                          vmin=0, vmax=1, shading="nearest", rasterized=True)  # fmt: skip
    for steepest, dash, name in (
        (theory.steepest_in_z, "-", "peak of |dL/dz_y| (cubic)"),
        (theory.steepest_in_p, "--", "peak of |dL/dp_y| (1 - p_y = sigma)"),
    ):
        ax.plot([steepest(float(s)) for s in fine], fine, color="white", ls=dash, lw=2, label=name)
    ax.axvline(1 / num_classes, color="white", ls=":", lw=1.6,
               label=f"untrained network, p_y = 1/{num_classes}")  # fmt: skip
    sigma_axis(ax.yaxis, sigmas, ax.set_yscale)
    ax.set(xlabel=BELIEF, ylabel="sigma (probability)",
           title="Where CLL listens", xlim=(0, 1), ylim=(fine[0], fine[-1]))  # fmt: skip
    ax.grid(visible=False)
    legend = ax.legend(fontsize="small", loc="lower left", facecolor="0.25", framealpha=0.85)
    for text in legend.get_texts():
        text.set_color("white")
    figure.colorbar(shown, ax=ax, label="|dL/dz_y| / its largest at this sigma")
    return figure


@traced
def start(
    sigmas: Sequence[float], num_classes: Sequence[int], beside: Sequence[Loss] = ()
) -> Figure:
    """The pull on an untrained network, |dL/dz_y| at p = 1/K, over sigma: as it is, and relative
    to the largest pull there is. A line a K; ``beside``: other losses, at the first of
    ``num_classes``, named at the right edge."""
    fine = bandwidths(sigmas, 41)
    figure = plt.figure(figsize=(11, 4.6))
    axes = figure.subplots(1, 2)
    titles = ("As it is", "Relative to the largest pull")
    for K, dash in zip(sorted(set(num_classes)), DASHES, strict=False):
        pulls = np.array([theory.pull_at_start(CLL(float(s)), K) for s in fine]).T
        for ax, pull in zip(axes, pulls, strict=True):
            ax.plot(fine, pull, color=colour("CLL"), ls=dash, lw=2, label=f"CLL target, K = {K}")
    for i, loss in enumerate(beside):  # dashes in turn: two losses at one height are both seen
        dash = (6 * i, (6, 6 * max(1, len(beside) - 1)))
        for ax, pull in zip(axes, theory.pull_at_start(loss, num_classes[0]), strict=True):
            ax.axhline(pull, color=colour(type(loss).__name__), lw=1.8, ls=dash)
    for ax, which in zip(axes, (0, 1), strict=True):
        heights = {label(loss): theory.pull_at_start(loss, num_classes[0])[which]
                   for loss in beside}  # fmt: skip
        for height, names in together(heights).items():
            ax.annotate(f"{', '.join(names)} (K = {num_classes[0]})", (1.01, height), va="center",
                        fontsize="small", xycoords=("axes fraction", "data"),
                        annotation_clip=False)  # fmt: skip
    for ax, title in zip(axes, titles, strict=True):
        sigma_axis(ax.xaxis, sigmas, ax.set_xscale)
        ax.set(xlabel="sigma (probability)", title=title, yscale="log", ylim=(1e-4, 2))
    axes[0].set_ylabel("|dL/dz_y| at p = 1/K")
    axes[1].set_ylabel("share of the largest |dL/dz_y|")
    below(figure, axes[0])
    return figure


@traced
def spreads(sigmas: Sequence[float], num_classes: int = 10) -> Figure:
    """|dL/dz_y| over p_y for the three forms of CLL, a panel each: the remaining 1 - p_y spread
    evenly over the other classes (solid) or all on one of them (dashed)."""
    figure = plt.figure(figsize=(13, 4.4))
    axes = figure.subplots(1, 3, sharey=True)
    shades = shade(len(sigmas))
    for ax, form in zip(axes, theory.CLL_FORMULAS, strict=True):
        for sigma, tone in zip(sigmas, shades, strict=True):
            for rest, dash in (("uniform", "-"), ("one", "--")):
                words = {"uniform": "spread evenly", "one": "all on one"}[rest]
                p = theory.simplex(GRID, num_classes, rest)
                pull = abs(theory.dL_dz(CLL(sigma, form=form), p)[:, 0])
                ax.plot(GRID, pull, color=tone, ls=dash, lw=2, label=f"sigma {sigma:g}, {words}")
        ax.set(xlabel=BELIEF, title=form, xlim=(0, 1))
    axes[0].set(ylabel="|dL/dz_y|", ylim=(0, None))
    below(figure, axes[0])
    return figure


@traced
def limits(wide: Sequence[float], narrow: Sequence[float]) -> Figure:
    """The limits of CLL ``target``: 2 sigma^2 CLL against the squared error for growing sigma
    (``wide``), CLL against counting for shrinking sigma (``narrow``), and its distance from MAE."""
    u = 1 - GRID
    figure = plt.figure(figsize=(13, 4.4))
    left, middle, right = figure.subplots(1, 3)
    left.plot(GRID, u**2, color="black", lw=3, alpha=0.35, label="squared error (1 - p_y)^2")
    middle.plot([0, 1], [1, 1], color="black", lw=3, alpha=0.35, label="counting: 1 unless p_y = 1")
    middle.plot(1, 0, "o", color="black", ms=6, clip_on=False, zorder=3)
    for ax, sigmas in ((left, wide), (middle, narrow)):
        for sigma, tone, dash in zip(sigmas, shade(len(sigmas)), cycle(DASHES), strict=False):
            scale = 2 * sigma**2 if ax is left else 1
            cost = scale * theory.value(CLL(sigma), theory.simplex(GRID, 2))
            ax.plot(GRID, cost, color=tone, ls=dash, lw=2, label=f"sigma {sigma:g}")
        ax.set(xlabel=BELIEF, xlim=(0, 1), ylim=(0, 1.05))
        ax.legend(fontsize="small", loc="upper right" if ax is left else "lower left")
    left.set(ylabel="2 sigma^2 CLL", title="A wide kernel: the squared error")
    middle.set(ylabel="CLL", title="A narrow kernel: counting")
    fine = np.geomspace(0.01, 100, 161)
    right.plot(fine, [100 * theory.mae_gap(float(s)) for s in fine], color=colour("CLL"), lw=2)
    right.axhline(50, color="0.4", lw=1, ls=":")
    right.axhline(25, color="0.4", lw=1, ls="--")
    right.annotate("counting, 50 %", (100, 50), ha="right", va="bottom", fontsize="small")
    right.annotate("squared error, 25 %", (100, 25), ha="right", va="bottom", fontsize="small")
    right.set(xscale="log", xlabel="sigma (probability)", ylim=(0, 60), xlim=(0.01, 100),
              ylabel="RMS distance from MAE (% of MAE)", title="Never MAE")  # fmt: skip
    return figure


@traced
def training(outcomes: Sequence[Outcome]) -> Figure:
    """Whose gradients drive training, over epochs: the share of the total gradient norm at the
    logits that comes from mislabelled samples, and the mean norm of a sample (log scale). Seeds
    thin, mean thick. The level at which a wrong label's norm is a right one's is drawn.

    The runs need the ``gradient`` probe.
    """
    figure = plt.figure(figsize=(11, 4.6))
    share, norm = figure.subplots(1, 2)
    for i, (name, group) in enumerate(by_label(outcomes).items()):
        line = {"color": colour(group[0].run.loss.name), "ls": DASHES[i % len(DASHES)]}
        line["label"] = f"{shown(name)} ({len(group)} seed{'s' if len(group) > 1 else ''})"
        curve(share, group, "gradient_share", **line)
        curve(norm, group, "gradient_norm", **line)
    for rate in sorted({round(100 * o.run.noise.rate) for o in outcomes}):
        share.axhline(rate, color="0.3", ls=(0, (1, 2)), lw=1.4,
                      label=f"mislabelled samples, {rate} %")  # fmt: skip
    share.set(xlabel="epoch", ylabel="share of the gradient norm (%)", ylim=(0, 103),
              title="From mislabelled samples")  # fmt: skip
    norm.set(xlabel="epoch", ylabel="mean ||dL/dz|| of a sample", title="Norm of the gradient",
             yscale="log")  # fmt: skip
    if outcomes:
        below(figure, share)
    else:
        share.text(0.5, 0.5, "no run recorded yet", ha="center", transform=share.transAxes)
    return figure


def bandwidths(sigmas: Sequence[float], n: int) -> np.ndarray:
    """``n`` bandwidths from the smallest to the largest of ``sigmas``, evenly on a log scale."""
    low, high = (CLL(extreme(sigmas, default=0.0)).sigma for extreme in (min, max))
    if low == high:
        raise ValueError(f"sigmas={list(sigmas)!r} must hold two different bandwidths or more")
    return np.geomspace(low, high, n)


def line_styles(losses: Sequence[Loss]) -> list[dict]:
    """Colour, dash and label of each loss: its own colour, or shades of CLL's for several CLLs, the
    darker the larger the bandwidth. Dashes go by the bandwidth, too, wherever a CLL stands."""
    several = sorted((loss for loss in losses if isinstance(loss, CLL)), key=lambda c: c.sigma)
    tones = shade(len(several)) if len(several) > 1 else [colour("CLL")]
    rank = {id(loss): i for i, loss in enumerate(several)}
    styles = []
    for i, loss in enumerate(losses):
        tone = tones[rank[id(loss)]] if id(loss) in rank else colour(loss.name)
        dash = DASHES[(rank.get(id(loss), i) if len(several) > 1 else i) % len(DASHES)]
        styles.append({"color": tone, "ls": dash, "lw": 2, "label": label(loss)})
    return styles


def together(heights: dict[str, float], factor: float = 1.15) -> dict[float, list[str]]:
    """Names by height, on a log scale: those within ``factor`` of the first share a line."""
    groups: dict[float, list[str]] = {}
    for name, height in heights.items():
        near = [h for h in groups if h / factor <= height <= h * factor]
        groups.setdefault(near[0] if near else height, []).append(name)
    return groups


def name_points(ax: Axes, points: dict[str, tuple[float, float]]) -> None:
    """Names beside points, moved apart from one another and from the points, each with a thin line
    to its own. Call it when the limits and scales of ``ax`` are set."""
    to_axes = (ax.transData + ax.transAxes.inverted()).transform
    spots = {name: tuple(to_axes(point)) for name, point in points.items()}
    width, height = axes_inches(ax)
    letter, line = 7.6 / (72 * width), 11 / (72 * height)
    taken = [(x - letter, x + letter, y) for x, y in spots.values()]

    def seats(name: str, x: float, y: float) -> Iterator[tuple[float, float, float, float]]:
        width = 0.62 * letter * len(name)
        sides = (1, -1) if x < 0.6 else (-1, 1)
        for step, side in product(range(40), sides):
            dy = (step + 1) // 2 * 0.5 * line * (-1) ** step
            start = x + 1.8 * side * letter
            low, high = sorted((start, start + side * width))
            if low > 0 and high < 1 and 0.03 < y + dy < 0.97:
                yield start, y + dy, low, high

    def free(low: float, high: float, y: float) -> bool:
        return all(high < a or low > b or abs(y - at) > line for a, b, at in taken)

    for name, (x, y) in sorted(spots.items(), key=lambda item: item[1][1]):
        for tx, ty, low, high in seats(name, x, y):
            if free(low, high, ty):
                taken.append((low, high, ty))
                ax.annotate(name, (x, y), (tx, ty), xycoords="axes fraction",
                            textcoords="axes fraction", fontsize=8.5, va="center",
                            ha="left" if tx > x else "right",
                            arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.6,
                                        "shrinkA": 1, "shrinkB": 3})  # fmt: skip
                break


def axes_inches(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes on paper."""
    box = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    return box.width, box.height


@traced
def against_rest(outcomes: Sequence[Outcome]) -> Figure:
    """What was memorised in the end, over two numbers that are known before training: the mean
    norm that ``theory.at_rest`` leaves, and the pull on an untrained network; with Spearman's rank
    correlation. A dot a setting, its mean over seeds."""
    found = foretold(outcomes)
    rest, pull, memorised = np.array(list(found.values())).T
    names = [o.run.loss.name for o in outcomes]
    tones = {shown(o.run.label): colour(name) for o, name in zip(outcomes, names, strict=True)}
    figure = plt.figure(figsize=(12.5, 6.4))
    left, right = figure.subplots(1, 2, sharey=True)
    for ax, x, title in ((left, rest, "Look-alikes"), (right, pull, "Size alone")):
        rho, _ = stats.rank_correlation(x, memorised)
        ax.set_title(f"{title}: rank correlation {rho:+.2f} over {len(x)} settings")
        ax.scatter(x, memorised, s=55, c=[tones[name] for name in found], zorder=3)
    left.set(xlabel="mean ||dL/dz|| at rest, predicted", yscale="log", ylim=(0.25, 140),
             ylabel="wrong labels memorised (%)", xlim=(-3e-4, 4))  # fmt: skip
    left.set_xscale("symlog", linthresh=1e-3, linscale=0.5)
    right.set(xlabel="pull |dL/dz_y| on an untrained network", xscale="log", xlim=(0.015, 200))
    figure.draw_without_rendering()
    for ax, x in ((left, rest), (right, pull)):
        name_points(ax, dict(zip(found, zip(x, memorised, strict=True), strict=True)))
    return figure


def shade(n: int) -> list[tuple]:
    """``n`` blues from light to dark."""
    return [plt.get_cmap("Blues")(t) for t in np.linspace(0.42, 1.0, n)]


def below(figure: Figure, ax: Axes) -> None:
    """One legend for the whole figure, under it."""
    handles, names = ax.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)),
                  fontsize="small")  # fmt: skip


def sigma_axis(axis, sigmas: Sequence[float], set_scale: Callable) -> None:
    """A logarithmic axis whose ticks are the bandwidths."""
    set_scale("log")
    axis.set_ticks(sorted(sigmas), [f"{s:g}" for s in sorted(sigmas)], minor=False)
    axis.set_ticks([], minor=True)
