""""""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from labelnoise.analysis.tables import by_label, shown
from labelnoise.analysis.tables.mnist_symmetric import ranked_groups
from labelnoise.figures import DASHES, FAMILY_COLOURS, colour, family
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced


@traced
def ranked(
    mlp: Sequence[Outcome], cnn: Sequence[Outcome] = (), paper: Mapping[str, float] | None = None
) -> Figure:
    """Every loss by its last-epoch accuracy with the MLP, best on top: mean (dot) and each seed
    (bar), the mean of the best epochs (ring), each seed of the CNN where there is one (diamond).
    No intervals: a loss that loses a class on one seed of three has an interval wider than what is
    possible. ``paper``: name -> value, a mark above the rows, since it is of another network than
    most of them."""
    groups = ranked_groups(mlp)
    beside = by_label(cnn)
    figure, ax = plt.subplots(figsize=(9, 0.29 * len(groups) + 1.9))
    for row, (name, group) in enumerate(groups.items()):
        tone = _family_colour(group[0])
        ax.plot(np.mean([o.record["result"]["best"] for o in group]), row, "o", ms=8, mfc="none",
                mec=tone, mew=1.2)  # fmt: skip
        ax.plot(np.mean([o.last for o in group]), row, "o", ms=6, color=tone)
        ax.plot([o.last for o in group], [row] * len(group), "|", ms=10, mew=1.4, color=tone)
        for o in beside.get(name, ()):
            ax.plot(o.last, row, "D", ms=4.5, mfc="white", mec="black", mew=1)
    for name, value in (paper or {}).items():
        ax.plot(value, -1, "v", ms=7, color="black", clip_on=False)
        ax.annotate(f"{name} {value:.2f}", (value, -1.35), fontsize="small", ha="right",
                    va="bottom", annotation_clip=False)  # fmt: skip
    ax.set_yticks(range(len(groups)), groups, fontsize="small")
    ax.set(ylim=(len(groups) - 0.3, -0.7), xlim=(18, 100.5), xlabel="clean test accuracy (%)")
    ax.grid(axis="y", alpha=0.35)
    families = [Line2D([], [], marker="o", ls="", color=tone, label=name)
                for name, tone in FAMILY_COLOURS.items()]  # fmt: skip
    marks = [
        Line2D([], [], marker="o", ls="", color="0.3", label="MLP, last epoch, mean"),
        Line2D([], [], marker="|", ls="", ms=9, color="0.3", label="MLP, last epoch, each seed"),
        Line2D([], [], marker="o", ls="", mfc="none", color="0.3", label="MLP, best epoch, mean"),
        Line2D(
            [],
            [],
            marker="D",
            ls="",
            mfc="white",
            color="black",
            label="CNN, last epoch, each seed",
        ),
    ]
    figure.legend(handles=families + marks, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def _family_colour(outcome: Outcome) -> str:
    return FAMILY_COLOURS.get(family(outcome.run.loss.name), "#666666")


FORM_COLOURS = {"target": "#0072B2", "vector": "#E69F00", "elementwise": "#009E73"}
FORM_MARKERS = {"target": "o", "vector": "s", "elementwise": "^"}


def curve(ax: Axes, outcomes: Sequence[Outcome], field: str, **line: object) -> None:
    """One curve over epochs: every seed thin, their mean thick."""
    curves = [np.array(o.record["curves"][field], dtype=float) for o in outcomes]
    epochs = np.arange(1, len(curves[0]) + 1)
    if len(curves) > 1:
        for values in curves:
            ax.plot(epochs[: len(values)], values, lw=0.7, alpha=0.45, **{**line, "label": None})
    complete = [values for values in curves if len(values) == len(epochs)]
    ax.plot(epochs, np.mean(complete, axis=0), **{"lw": 2, **line})


@traced
def learning_curves(
    outcomes: Sequence[Outcome], paper: Mapping[str, tuple[float, str]] | None = None
) -> Figure:
    """Clean test accuracy over epochs, a line a loss. ``paper``: label -> (value, loss name),
    drawn as horizontal lines."""
    figure, ax = plt.subplots(figsize=(8, 5))
    for i, (label, group) in enumerate(by_label(outcomes).items()):
        name = group[0].run.loss.name
        named = f"{shown(label)} ({len(group)} seed{'s' if len(group) > 1 else ''})"
        curve(
            ax, group, "test_accuracy", color=colour(name), ls=DASHES[i % len(DASHES)], label=named
        )
    for label, (value, name) in (paper or {}).items():
        ax.axhline(value, color=colour(name), ls=(0, (1, 2)), lw=1.2)
        ax.annotate(
            f"{label}\n{value:.2f}", (1.0, value), xycoords=("axes fraction", "data"),
            xytext=(5, 0), textcoords="offset points", va="center", fontsize="small",
        )  # fmt: skip
    ax.set(xlabel="epoch", ylabel="clean test accuracy (%)", title="Test accuracy while training")
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return figure


@traced
def memorisation(outcomes: Sequence[Outcome]) -> Figure:
    """What the network predicts on *mislabelled training* samples: their wrong label
    (memorised) or their true label (corrected)."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True)
    panels = (("fit_wrong", "memorised: predicted as the wrong label"),
              ("fit_true", "corrected: predicted as the true label"))  # fmt: skip
    for ax, (field, title) in zip(axes, panels, strict=True):
        for i, (label, group) in enumerate(by_label(outcomes).items()):
            name = group[0].run.loss.name
            curve(ax, group, field, color=colour(name), ls=DASHES[i % len(DASHES)],
                  label=shown(label))  # fmt: skip
        ax.set(xlabel="epoch", title=title, ylim=(-3, 103))
    axes[0].set_ylabel("mislabelled training samples (%)")
    axes[0].legend(loc="upper left", fontsize="small")
    return figure


@traced
def cll_map(
    mlp: Sequence[Outcome], cnn: Sequence[Outcome], references: Mapping[str, float], goal: float
) -> Figure:
    """Last-epoch accuracy of CLL over sigma, a line a form: the MLP, and beside it the points
    that the CNN has. What learnt nothing stands as a mark at the lower edge. ``references``: label
    -> accuracy of other losses with the MLP."""
    floor = 78.0
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    for ax, outcomes, title in (
        (axes[0], mlp, "MLP"),
        (axes[1], cnn, "4-layer CNN, 90 % of the data"),
    ):
        for k, (form, marker) in enumerate(FORM_MARKERS.items()):
            points = sorted(
                (o.run.loss.parameters["sigma"], o.last)
                for o in outcomes
                if o.run.loss.parameters["form"] == form
            )
            if points:
                sigmas, accuracies = zip(*points, strict=True)
                beside = np.array(sigmas) * 1.06 ** (k - 1)  # equal points stay visible
                heights = np.array(accuracies, dtype=float)
                learnt, look = heights > floor, {"color": FORM_COLOURS[form], "marker": marker}
                ls = DASHES[k] if len(points) > 4 else ""
                ax.plot(beside[learnt], heights[learnt], label=form, ls=ls, **look)
                ax.plot(beside[~learnt], np.full((~learnt).sum(), floor + 0.7), ls="", mfc="none",
                        **look)  # fmt: skip
        ax.axhline(goal, color="black", ls=(0, (1, 2)), lw=1.4, label=f"paper's CLL {goal:.2f}")
        ax.set(xscale="log", xlabel="bandwidth sigma (probability)", title=title, ylim=(floor, 100))
        ax.annotate("hollow, at this edge: below it, most at chance", (0.02, 0.12),
                    xycoords="axes fraction", fontsize="x-small")  # fmt: skip
        sigmas = sorted({o.run.loss.parameters["sigma"] for o in [*mlp, *cnn]})
        ax.set_xticks(sigmas, [f"{s:g}" for s in sigmas], minor=False)
        ax.set_xticks([], minor=True)
    for (label, value), dash in zip(references.items(), DASHES[1:], strict=False):
        axes[0].axhline(value, color="#666666", ls=dash, lw=1, label=f"{label} {value:.1f}")
    axes[0].set_ylabel("last-epoch test accuracy (%)")
    for ax in axes:
        ax.legend(loc="lower right", fontsize="small")
    return figure


@traced
def stalling(outcomes: Sequence[Outcome]) -> Figure:
    """How a small bandwidth stalls: test accuracy and mean gradient norm over epochs, a line a
    sigma, from light (small) to dark (large)."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2))
    ordered = sorted(outcomes, key=lambda o: o.run.loss.parameters["sigma"])
    shades = plt.get_cmap("viridis_r")(np.linspace(0.15, 1, len(ordered)))
    for i, (outcome, shade) in enumerate(zip(ordered, shades, strict=True)):
        # Lines that coincide lie on one another, the widest below.
        line = {"color": shade, "ls": DASHES[i % len(DASHES)], "lw": 7 - i}
        line["label"] = f"sigma {outcome.run.loss.parameters['sigma']:g}"
        curve(axes[0], [outcome], "test_accuracy", **line)
        curve(axes[1], [outcome], "gradient_norm", **line)
    axes[0].set(xlabel="epoch", ylabel="clean test accuracy (%)", title="Accuracy", ylim=(0, 102))
    axes[1].set(xlabel="epoch", ylabel="mean |dL/dz| of a sample", title="Gradient", yscale="log")
    axes[1].legend(fontsize="small")
    return figure


@traced
def protocol_bars(rows: Mapping[str, Mapping[str, float]], paper: Mapping[str, float]) -> Figure:
    """What the reporting rule does to a number: a group a setting, a bar a rule that its runs can
    follow. ``paper``: label -> accuracy, as vertical lines."""
    looks = {"last epoch": ("#0072B2", ""), "noisy validation": ("#E69F00", "//"),
             "best epoch": ("#BBBBBB", "..")}  # fmt: skip
    figure, ax = plt.subplots(figsize=(9, 1.6 + 0.27 * sum(len(b) + 1 for b in rows.values())))
    y, middles = 0.0, []
    for bars in rows.values():
        middles.append(y + (len(bars) - 1) / 2)
        for rule, value in bars.items():
            shade, hatch = looks[rule]
            ax.barh(y, value, 0.9, color=shade, hatch=hatch)
            ax.annotate(f"{value:.1f}", (value, y), xytext=(3, 0), textcoords="offset points",
                        va="center", fontsize="x-small",
                        bbox={"fc": "white", "ec": "none", "pad": 0.8})  # fmt: skip
            y += 1
        y += 1
    for k, (label, value) in enumerate(paper.items()):
        ax.axvline(
            value, color="black", ls=DASHES[2 - k], lw=1.2, label=f"paper: {label} {value:.2f}"
        )
    ax.set_yticks(middles, rows)
    ax.invert_yaxis()
    ax.set(xlabel="clean test accuracy (%)", xlim=(0, 108), title="One method, many numbers")
    handles = [Patch(facecolor=shade, hatch=hatch, label=rule)
               for rule, (shade, hatch) in looks.items()]  # fmt: skip
    handles += ax.get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="small")
    ax.grid(axis="y", visible=False)
    return figure
