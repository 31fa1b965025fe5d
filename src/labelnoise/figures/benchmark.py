"""Pictures of notebook 05: cells by losses, and what the same budget of tuning changes."""

import re
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure

from labelnoise.analysis.contrasts import Verdict
from labelnoise.analysis.rules import benchmark as rule
from labelnoise.analysis.rules import tuning as budget
from labelnoise.analysis.rules.benchmark import STOPPED, Cell
from labelnoise.analysis.tables.benchmark import DATASETS, METHODS, NETWORKS, SIGNS, asked, title
from labelnoise.experiments.benchmark import NAMES, TUNED_CELLS
from labelnoise.figures import colour
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced

POINTS = SymLogNorm(linthresh=1, vmin=-60, vmax=60)  # fine around 0, and still tells 10 from 50
TICKS = (-50, -10, -2, 0, 2, 10, 50)
LEGEND = "    ".join(f"{sign} {word}" for word, sign in SIGNS.items())


@traced
def cases(outcomes: Sequence[Outcome]) -> Figure:
    """Cells x methods: the mean difference to CE in points as colour and number, before it the sign
    of the verdict; grey where nothing is judged, hatched where it was not asked for."""
    judged = rule.judge_most_cases(outcomes)["against CE"]
    wanted: dict[Cell, set[str]] = {}
    for run in asked():
        method = STOPPED if run.val_fraction else run.loss.name
        wanted.setdefault(rule.cell_of(run), set()).add(method)
    labels = ["{}, {}, {}".format(*title(cell)) for cell in wanted]
    columns = [method for method in METHODS if method != "CE"]
    figure, ax = plt.subplots(figsize=(10.5, 1.6 + 0.45 * len(wanted)))
    image = draw_verdicts(ax, [judged.get(cell, {}) for cell in wanted], columns, labels)
    for i, (cell, methods) in enumerate(wanted.items()):
        for j, name in enumerate(columns):
            if name in methods and cell not in judged:
                ax.text(j, i, "not yet", ha="center", va="center", fontsize=8, color="0.35")
    legend(figure, ax, image, "minus CE, last epoch (percentage points)")
    return figure


def draw_verdicts(
    ax: plt.Axes, rows: Sequence[Mapping[str, Verdict]], columns: Sequence[str],
    labels: Sequence[str],
) -> plt.cm.ScalarMappable:  # fmt: skip
    """A row of verdicts a label: the mean as colour, sign and number as text."""
    means = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        for j, name in enumerate(columns):
            if name in row:
                means[i, j] = row[name].mean
    ax.set_facecolor("0.92")
    image = ax.imshow(means, cmap="RdBu", norm=POINTS, aspect="auto")
    for (i, j), mean in np.ndenumerate(means):
        if not np.isnan(mean):
            ax.text(j, i, f"{SIGNS[rows[i][columns[j]].word]} {mean:+.1f}", ha="center",
                    va="center", fontsize=9,
                    color="white" if abs(POINTS(mean) - 0.5) > 0.32 else "black")  # fmt: skip
    heads = [re.sub(r", | (?=early)", "\n", name) for name in columns]
    ax.set_xticks(range(len(columns)), heads, fontsize=10)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(top=True, bottom=False, labeltop=True, labelbottom=False, length=0)
    ax.set_xticks(np.arange(len(columns)) + 0.5, minor=True)
    ax.set_yticks(np.arange(len(labels)) + 0.5, minor=True)
    ax.grid(visible=False)
    ax.grid(which="minor", color="white", lw=2)
    ax.tick_params(which="minor", length=0)
    return image


def legend(figure: Figure, axes, image: plt.cm.ScalarMappable, what: str) -> None:
    """The colour bar, and what the signs say."""
    bar = figure.colorbar(image, ax=axes, location="bottom", fraction=0.04, pad=0.03, aspect=45)
    bar.set_ticks(TICKS, labels=[f"{tick:+d}" if tick else "0" for tick in TICKS])
    bar.ax.minorticks_off()
    bar.set_label(f"{what}\n{LEGEND}")


@traced
def tuned(
    maps: Sequence[Outcome], at_place: Sequence[Outcome], published: Sequence[Outcome]
) -> Figure:
    """A panel a tuned cell, a row a method: clean test accuracy at the published setting (ring) and
    at the tuned one (dot), mean and each seed; the line is tuned CE."""
    cells = [c for c in TUNED_CELLS if budget.by_method(at_place, c)] or list(TUNED_CELLS)[:1]
    figure, axes = plt.subplots(1, len(cells), figsize=(1.6 + 2.7 * len(cells), 4.6), sharey=True,
                                squeeze=False)  # fmt: skip
    for ax, cell in zip(axes[0], cells, strict=True):
        before, after = (budget.by_method(some, cell) for some in (published, at_place))
        for row, method in enumerate(METHODS):
            tone = "0.35" if method == STOPPED else colour(method)
            points = [list(some.get(method, {}).values()) for some in (before, after)]
            for values, fill, up in zip(points, ("none", tone), (-0.16, 0.16), strict=True):
                ax.plot(values, [row + up] * len(values), "|", ms=7, color=tone, alpha=0.6)
                if values:
                    ax.plot(np.mean(values), row + up, "o", ms=8, mec=tone, mfc=fill, mew=1.8)
        if "CE" in after:
            ax.axvline(np.mean(list(after["CE"].values())), color=colour("CE"), lw=1.2, ls="--")
        dataset, _, model = TUNED_CELLS[cell]
        ax.set(title=f"{DATASETS[dataset]},\n{NETWORKS[model]}", xlabel="clean test accuracy (%)")
    axes[0, 0].set_yticks(range(len(METHODS)), METHODS)
    axes[0, 0].invert_yaxis()
    marks = [
        plt.Line2D([], [], ls="", marker="o", ms=8, mec="0.2", mfc=fill, mew=1.8, label=name)
        for fill, name in (("none", "published setting"), ("0.2", "tuned on noisy labels"))
    ]
    marks += [plt.Line2D([], [], ls="", marker="|", color="0.2", label="each seed"),
              plt.Line2D([], [], ls="--", color=colour("CE"), label="tuned CE")]  # fmt: skip
    figure.legend(handles=marks, loc="outside lower center", ncols=4, fontsize="small")
    return figure


@traced
def places(maps: Sequence[Outcome], cell: str) -> Figure:
    """One tuned cell: a map of step x decay a loss, accuracy on held-out noisy labels after the
    last epoch (percent, mean of three seeds) as colour and number; the chosen place has a frame."""
    chosen = budget.chosen_places(maps, (cell,)).get(cell, {})
    found = {name: budget.places_of(maps, cell, name) for name in NAMES}
    scores = {name: {place: np.mean([budget.held_out(o) for o in group])
                     for place, group in each.items()} for name, each in found.items()}  # fmt: skip
    every = [score for each in scores.values() for score in each.values()]
    norm = Normalize(min(every, default=0), max(every, default=1))
    figure, axes = plt.subplots(2, 4, figsize=(10.5, 6), sharex=True, sharey=True)
    for ax, (name, each) in zip(axes.flat, scores.items(), strict=True):
        grid = np.full((5, 5), np.nan)
        for (step, decay), score in each.items():
            grid[decay + 1, step + 1] = score
            ax.text(step, decay, f"{score:.1f}", ha="center", va="center", fontsize=7.5,
                    color="black" if norm(score) > 0.55 else "white")  # fmt: skip
        image = ax.imshow(grid, cmap="viridis", norm=norm, origin="lower",
                          extent=(-1.5, 3.5, -1.5, 3.5))  # fmt: skip
        if name in chosen:
            step, decay = chosen[name]
            ax.add_patch(plt.Rectangle((step - 0.5, decay - 0.5), 1, 1, fill=False, ec="#D55E00",
                                       lw=3))  # fmt: skip
        ax.set(title=name, xticks=range(-1, 4), yticks=range(-1, 4), xlim=(-1.6, 3.6),
               ylim=(-1.6, 3.6))  # fmt: skip
        ax.grid(visible=False)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    for ax in axes[:, 0]:
        ax.set_ylabel("decay")
    figure.colorbar(image, ax=axes, label="accuracy on held-out noisy labels (%)", shrink=0.8)
    return figure
