"""Pictures and tables of finding the wrong labels (notebook 08).

The numbers of a detector are in its record; what it says of every single sample, which the curves
and galleries need, is in the arrays beside the record. Of the committed records only the first
seed has them.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labelnoise.analysis.tables import MISSING
from labelnoise.analysis.tables.confident_learning import Evidence
from labelnoise.figures import DASHES, colour
from labelnoise.figures.label_noise import WRONG
from labelnoise.noise import detection
from labelnoise.noise.detection import FILTERS
from labelnoise.tracing import traced

MARKERS = dict(zip(FILTERS, ("o", "s", "^", "D"), strict=True))


@traced
def curves(found: Mapping[str, Evidence]) -> Figure:
    """Left, how many right labels stand among the first n suggestions, as far as an eighth beyond
    the number of wrong ones (dashed), in a random order dotted; right, precision over recall where
    cleanlab's filters, the points, cut the rankings."""
    if not found:
        return no_run_yet(plt.figure(figsize=(12, 1)))
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2))
    lowest = [100.0, 100.0]
    for (name, says), dash in zip(found.items(), DASHES, strict=False):
        line = {"color": colour(says.run.loss.name), "ls": dash}
        hits, n = says.wrong[says.order], np.arange(1, len(says.order) + 1)
        precision, recall = 100 * np.cumsum(hits) / n, 100 * np.cumsum(hits) / hits.sum()
        left.plot(n, n - np.cumsum(hits), lw=2, label=name, **line)
        left.plot(n, n * (1 - hits.mean()), color="0.4", ls=":", lw=1.5)
        left.axvline(hits.sum(), color="0.4", lw=1, ls="--")
        right.plot(recall, precision, lw=2, **line)
        for by, marker in MARKERS.items():
            flagged = detection.suspects(says.given, says.p, by)
            point = [100 * says.wrong[flagged].mean() if flagged.any() else 0.0,
                     100 * flagged[says.wrong].mean()]  # fmt: skip
            right.plot(point[1], point[0], marker, color=line["color"], mec="black", ms=8, zorder=3)
            lowest = np.minimum(lowest, point)
    end = 1.125 * max(says.wrong.sum() for says in found.values())
    left.set_yscale("symlog", linthresh=1)
    left.set(xlabel="suggestions looked at, n", title="False alarms among the first n",
             ylabel="of these right (labels)", xlim=(0, end), ylim=(-0.2, end))  # fmt: skip
    left.text(0.3 * end, 0.09 * end, "random order", fontsize="small")
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    right.set(title="Where the filters cut", xlabel="recall: wrong labels that are found (%)",
              ylabel="precision: found labels that are wrong (%)",
              ylim=(lowest[0] - 4, 100.5), xlim=(lowest[1] - 4, 100.5))  # fmt: skip
    handles = [plt.Line2D([], [], marker=m, ls="", color="0.6", mec="black", label=by)
               for by, m in MARKERS.items()]  # fmt: skip
    figure.legend(handles=left.get_legend_handles_labels()[0] + handles, ncols=4,
                  loc="outside lower center", fontsize="small")  # fmt: skip
    return figure


@traced
def gallery(
    images: np.ndarray, says: Evidence | None, index: Sequence[int], names: Sequence[str],
    *, columns: int = 12,
) -> Figure:  # fmt: skip
    """Images ``[N, 1, H, W]`` at ``index``: given label → suggestion, and how sure the network is.
    Among flipped labels one that the noise left alone has a thick frame and a cross. Without
    evidence, a note."""
    if says is None:
        return no_run_yet(tiles([], [], columns=columns))
    mixed = len(set(says.wrong[np.asarray(index, dtype=int)])) == 2
    titles = [f"{names[says.given[i]]} → {names[k]}\n{100 * says.p[i, k]:.0f} %"
              for i, k in zip(index, says.suggestion[np.asarray(index, dtype=int)], strict=True)
              ]  # fmt: skip
    framed = [bool(mixed and not says.wrong[i]) for i in index]
    figure = tiles([images[i, 0] for i in index], titles, framed, columns=columns)
    if mixed:
        name = "not flipped: the data set's own label (frame, cross)"
        handle = plt.Rectangle((0, 0), 1, 1, fill=False, edgecolor=WRONG, linewidth=2.5, label=name)
        figure.legend(handles=[handle], loc="outside lower center", fontsize=9, frameon=False)
    return figure


def tiles(
    pictures: Sequence[np.ndarray], titles: Sequence[str], framed: Sequence[bool] = (), *,
    columns: int = 12, cmap: str = "gray_r",
) -> Figure:  # fmt: skip
    """Pictures uint8 ``[H, W]`` or ``[H, W, 3]`` in rows, a title of two or three lines above each;
    some ``framed`` and crossed."""
    rows = max(1, -(-len(pictures) // columns))
    lines = max((title.count("\n") for title in titles), default=1)
    figure = plt.figure(figsize=(0.95 * columns, (1.2 + 0.15 * lines) * rows + 0.3))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    framed = framed or [False] * len(pictures)
    for ax, image, title, frame in zip(axes, pictures, titles, framed, strict=False):
        picture(ax, image, frame, cmap)
        ax.set_title(title, fontsize=9, fontweight="normal", pad=3, parse_math=False)
    return figure


def picture(ax: Axes, image: np.ndarray, framed: bool, cmap: str = "gray_r") -> None:
    """One image without ticks, framed and crossed at will."""
    ax.set_axis_on()
    ax.imshow(image, cmap=cmap, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(color=WRONG if framed else "0.8", linewidth=2.5 if framed else 0.8)
    if framed:
        ax.plot([0.06, 0.2], [0.8, 0.94], [0.06, 0.2], [0.94, 0.8], color=WRONG, lw=2.2,
                transform=ax.transAxes)  # fmt: skip


def no_run_yet(figure: Figure) -> Figure:
    """The figure, with nothing but the words that its runs are missing."""
    if not figure.axes:  # a notebook does not show a figure without axes
        figure.subplots().set_axis_off()
    figure.text(0.5, 0.5, f"{MISSING} not yet recorded", ha="center", va="center")
    return figure
