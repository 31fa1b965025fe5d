"""Pictures of wrong labels: digits, transition matrices, rates."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from labelnoise import noise
from labelnoise.figures import DASHES
from labelnoise.noise import transition
from labelnoise.tracing import traced

RIGHT, WRONG = "#0072B2", "#D55E00"


@traced
def digits(
    images: np.ndarray, true: np.ndarray, noisy: np.ndarray, *, rows: int = 4, columns: int = 12
) -> Figure:
    """The first ``rows x columns`` images with their given labels. A wrong label is told by a
    frame, a cross and "given (is true)", so that it needs no colour.

    ``images`` uint8 ``[N, 1, H, W]``, ``true`` and ``noisy`` ``[N]``.
    """
    if not len(images) == len(true) == len(noisy):
        raise ValueError(
            f"images, true and noisy differ in length: {len(images)}, {len(true)}, {len(noisy)}"
        )
    if rows < 1 or columns < 1 or rows * columns > len(images):
        raise ValueError(
            f"rows={rows} and columns={columns} must be at least 1 and ask for no more than the "
            f"{len(images)} images"
        )
    figure = plt.figure(figsize=(0.92 * columns, 1.16 * rows + 0.4))
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for ax, image, is_, given in zip(axes, images, true, noisy, strict=False):
        wrong = is_ != given
        ax.imshow(image.reshape(image.shape[-2:]), cmap="gray_r", interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.set_title(
            f"{given} (is {is_})" if wrong else f"{given}",
            fontsize=10, fontweight="bold" if wrong else "normal", pad=3,
        )  # fmt: skip
        ax.spines[:].set(color=WRONG if wrong else "0.8", linewidth=2.5 if wrong else 0.8)
        if wrong:
            ax.plot([0.06, 0.2], [0.8, 0.94], [0.06, 0.2], [0.94, 0.8], color=WRONG, lw=2.2,
                    transform=ax.transAxes)  # fmt: skip
    handles = [
        Rectangle((0, 0), 1, 1, fill=False, edgecolor=WRONG, linewidth=2.5),
        Rectangle((0, 0), 1, 1, fill=False, edgecolor="0.8", linewidth=0.8),
    ]
    names = ["wrong label (thick frame, cross, true class in brackets)", "right label"]
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=10, frameon=False)
    return figure


@traced
def matrices(named: Mapping[str, np.ndarray], *, columns: int = 2, top: float = 1.0) -> Figure:
    """Heat maps of matrices ``[K, K]`` of probabilities, numbers in percent where K <= 10;
    colours from 0 to ``top``. Zeros stay empty."""
    if not named:
        raise ValueError("named is empty: give at least one matrix, as {title: T}")
    columns = min(columns, len(named))
    rows = -(-len(named) // columns)
    figure = plt.figure(figsize=(5.0 * columns + 0.6, 4.7 * rows))
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, (title, T) in zip(axes.flat, named.items(), strict=False):
        image = heat(ax, 100 * T, top=100 * top)
        ax.set(title=title, xlabel="noisy label j", ylabel="true class i")
    for ax in axes.flat[len(named) :]:
        ax.remove()
    figure.colorbar(image, ax=axes, shrink=0.7, label="P(noisy j | true i) (%)")
    return figure


@traced
def conventions(num_classes: Sequence[int] = (2, 10, 100)) -> Figure:
    """Realised against nominal rate for the two kinds of symmetric noise; with ``keep_true`` it
    depends on K, a line each."""
    rates = np.linspace(0, 1, 21)
    figure = plt.figure(figsize=(7, 4.6))
    ax = figure.subplots()
    true_excluded = [transition.realised_rate(noise.symmetric(10, r)) for r in rates]
    ax.plot(100 * rates, 100 * np.array(true_excluded), color=RIGHT, lw=2.5,
            label="true class excluded (any K)")  # fmt: skip
    for K, dash in zip(num_classes, DASHES[1:], strict=False):
        kept = [transition.realised_rate(noise.symmetric(K, r, keep_true=True)) for r in rates]
        ax.plot(100 * rates, 100 * np.array(kept), color=WRONG, ls=dash, lw=2,
                label=f"may land on the true class, K = {K}")  # fmt: skip
    ax.set(xlabel="nominal rate (%)", ylabel="realised rate (%)", xlim=(0, 100), ylim=(0, 100))
    ax.set_title("What the same number means in two papers")
    ax.legend(loc="upper left", fontsize="small")
    return figure


@traced
def spread(z: np.ndarray) -> Figure:
    """Standardised deviations of a realised matrix ``z`` ``[K, K]`` (``transition.deviations``):
    cell by cell, and sorted against the quantiles of a standard normal."""
    cells = np.sort(z[np.isfinite(z)])
    if not len(cells):
        raise ValueError("z holds no finite value: a matrix of zeros and ones cannot deviate")
    figure = plt.figure(figsize=(11, 4.8))
    left, right = figure.subplots(1, 2, width_ratios=[1.1, 1])
    image = heat(left, z, top=4.0, diverging=True)
    left.set(title="Cell by cell", xlabel="noisy label j", ylabel="true class i")
    figure.colorbar(image, ax=left, shrink=0.85, label="deviation (standard deviations)")
    expected = normal_quantiles(len(cells))
    right.axline((0, 0), slope=1, color="0.4", lw=1.2, label="exactly standard normal")
    right.plot(expected, cells, "o", color=RIGHT, ms=4, label=f"the {len(cells)} cells, sorted")
    right.set(title="All together", xlabel="expected (standard deviations)",
              ylabel="seen (standard deviations)", xlim=(-4, 4), ylim=(-4, 4))  # fmt: skip
    right.legend(loc="upper left", fontsize="small")
    return figure


@traced
def exact_or_drawn(drawn: np.ndarray, exact: np.ndarray, nominal: float) -> Figure:
    """Realised rates over seeds, ``[seeds, K]`` each, one box of dots a class: independent draws
    beside exact counts. Rates in [0, 1]."""
    if drawn.shape != exact.shape or drawn.ndim != 2:
        raise ValueError(
            f"drawn and exact must both be [seeds, K], got {drawn.shape} and {exact.shape}"
        )
    figure = plt.figure(figsize=(10, 4.2))
    ax = figure.subplots()
    side = np.linspace(-0.16, 0.16, len(drawn))
    for rates, shift, colour, marker, name in (
        (drawn, -0.2, RIGHT, "o", "independent draws"),
        (exact, 0.2, WRONG, "x", "exact counts"),
    ):
        x = np.arange(rates.shape[1])[None, :] + shift + 0.9 * side[:, None]
        ax.plot(x.ravel(), 100 * rates.ravel(), marker, color=colour, ms=4, alpha=0.8,
                label=f"{name} ({len(rates)} seeds)")  # fmt: skip
    ax.axhline(100 * nominal, color="0.3", lw=1, ls="--", label=f"nominal {100 * nominal:g} %")
    ax.set_xticks(np.arange(drawn.shape[1]))
    ax.set(xlabel="true class", ylabel="realised rate (%)", title="How many labels of a class flip")
    ax.grid(axis="x", visible=False)
    ax.legend(fontsize="small", ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return figure


@traced
def margin(num_classes: int, rate: float) -> Figure:
    """Share of the true class and of each wrong class among the given labels, over the rate of
    symmetric noise; the limit (K-1)/K, where they meet; and ``rate``."""
    K = len(noise.symmetric(num_classes, rate))
    limit = 100 * (K - 1) / K
    rates = np.linspace(0, 1, 101)
    figure = plt.figure(figsize=(7.4, 4.6))
    ax = figure.subplots()
    ax.plot(100 * rates, 100 * (1 - rates), color=RIGHT, lw=2.5, label="the true class")
    ax.plot(100 * rates, 100 * rates / (K - 1), color=WRONG, lw=2.5, ls="--",
            label=f"each of the {K - 1} wrong classes")  # fmt: skip
    ax.axvline(limit, color="0.3", ls=":", lw=1.5, label=f"limit (K-1)/K = {limit:.4g} %")
    ax.vlines(100 * rate, 100 * rate / (K - 1), 100 * (1 - rate), color="0.2", lw=1.2,
              label=f"margin at {100 * rate:g} %")  # fmt: skip
    ax.plot([100 * rate] * 2, [100 * (1 - rate), 100 * rate / (K - 1)], "o", color="0.2", ms=6)
    ax.set(xlabel="rate of symmetric noise (%)", ylabel="share of the given labels (%)",
           xlim=(0, 100), ylim=(0, 100), title=f"Who wins the vote, K = {K}")  # fmt: skip
    ax.legend(fontsize="small")
    return figure


@traced
def instance(rates: np.ndarray, T: np.ndarray, nominal: float) -> Figure:
    """Instance-dependent noise: a histogram of the samples' own rates ``[N]``, and the matrix
    ``[K, K]`` that they add up to."""
    figure = plt.figure(figsize=(11, 4.8))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
    left.hist(100 * rates, bins=np.linspace(0, 100, 41), color=RIGHT, edgecolor="white", lw=0.4)
    left.add_line(Line2D([100 * nominal] * 2, [0, 1], color="0.2", ls="--", lw=1.5,
                         transform=left.get_xaxis_transform(),
                         label=f"nominal {100 * nominal:g} %"))  # fmt: skip
    left.set(xlabel="a sample's own rate (%)", ylabel="samples", xlim=(0, 100),
             title="Some samples are harder than others")  # fmt: skip
    left.legend(fontsize="small")
    image = heat(right, 100 * T, top=60.0)
    right.set(title="Averages over each class", xlabel="noisy label j", ylabel="true class i")
    figure.colorbar(image, ax=right, shrink=0.85, label="mean P(noisy j | x, true i) (%)")
    return figure


def heat(ax: Axes, cells: np.ndarray, *, top: float, diverging: bool = False) -> object:
    """One heat map with its numbers; ``diverging`` for values around 0, coloured on +-top."""
    cmap, low = ("PuOr", -top) if diverging else ("Blues", 0)
    image = ax.imshow(cells, cmap=cmap, vmin=low, vmax=top)
    ax.grid(visible=False)
    ticks = np.arange(len(cells)) if len(cells) <= 10 else np.arange(0, len(cells), 10)
    ax.set_xticks(ticks)
    ax.set_yticks(ticks)
    digits = 0 if np.allclose(cells, np.rint(cells), equal_nan=True) else 1
    for i, j in np.ndindex(*cells.shape) if len(cells) <= 10 else ():
        if np.isnan(cells[i, j]) or (cells[i, j] == 0 and not diverging):
            continue
        text = f"{round(cells[i, j], digits) + 0.0:.{digits}f}"  # + 0.0 makes -0.0 a plain 0.0
        shade = "white" if abs(cells[i, j]) > 0.6 * top else "black"
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color=shade)
    return image


def normal_quantiles(n: int) -> np.ndarray:
    """Where n sorted standard normal values are expected: quantiles at (i - 1/2)/n."""
    return np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
