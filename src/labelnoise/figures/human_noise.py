"""Pictures of notebook 09: gains under people's labels beside those under their twins."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from labelnoise.analysis.rules import human_noise as rule
from labelnoise.analysis.rules.benchmark import STOPPED
from labelnoise.analysis.rules.human_noise import TOLD_T
from labelnoise.analysis.tables.benchmark import DATASETS
from labelnoise.analysis.tables.human_noise import HALVES, METHODS, title
from labelnoise.figures import colour
from labelnoise.figures.benchmark import draw_verdicts, legend
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced

MARKERS = {"cifar10_features": "o", "fashion_mnist_h": "s", "noisyag": "^"}
COLUMNS = tuple(name for name in METHODS if name != "CE")


@traced
def rankings(outcomes: Sequence[Outcome]) -> Figure:
    """Cells x methods, people's half beside the twin's: the mean difference to CE in points as
    colour and number, before it the sign of its verdict."""
    gains = rule.judge_survival(outcomes)["gains"]
    labels = ["{}, {},\n{}".format(*title(cell)) for cell in gains]
    figure, axes = plt.subplots(1, 2, figsize=(17, 2.2 + 0.62 * len(gains)), sharey=True)
    for ax, half in zip(axes, HALVES, strict=True):
        rows = [halves[half] for halves in gains.values()]
        image = draw_verdicts(ax, rows, COLUMNS, labels)
        ax.set_title({"people": "people's labels", "twin": "their twin"}[half], pad=48)
    legend(figure, axes, image, "minus CE, last epoch (percentage points)")
    return figure


@traced
def people_and_twin(outcomes: Sequence[Outcome]) -> Figure:
    """The gain of each method on CE with people's labels over its gain with the twin (points), a
    dot a cell and method; below the diagonal people leave less of it than the twin promised."""
    gains = rule.judge_survival(outcomes)["gains"]
    figure, axes = plt.subplots(1, 2, figsize=(11.5, 5.6))
    for cell, halves in gains.items():
        for name, verdict in halves["twin"].items():
            for ax in axes:
                ax.plot(verdict.mean, halves["people"][name].mean, MARKERS[cell.dataset],
                        ms=7, alpha=0.8, **face(name))  # fmt: skip
    every = [v.mean for halves in gains.values() for half in halves.values() for v in half.values()]
    ends = (min(every, default=-1) - 2, max(every, default=1) + 2)
    for ax, (low, high) in zip(axes, (ends, (-4, 6)), strict=True):
        ax.plot([low, high], [low, high], color="0.4", lw=1, ls="--")
        ax.axhline(0, color="0.4", lw=1)
        ax.axvline(0, color="0.4", lw=1)
        ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        ax.set(xlabel="gain on CE, twin (points)", ylabel="gain on CE, people (points)")
    axes[0].set_title("all")
    axes[1].set_title("the same, from -4 to 6 points")
    handles = [plt.Line2D([], [], ls="", marker="o", label=name, **face(name)) for name in COLUMNS]
    handles += [plt.Line2D([], [], ls="", marker=mark, color="0.4", label=DATASETS[name])
                for name, mark in MARKERS.items()]  # fmt: skip
    figure.legend(handles=handles, loc="outside right center", fontsize="small")
    return figure


def face(name: str) -> dict:
    """The colour of a method; SCE, which shares it with NCE+RCE, is hollow."""
    tone = {TOLD_T: "#000000", STOPPED: "0.55"}.get(name) or colour(name)
    return {"color": tone, "mec": tone, "mfc": "none" if name == "SCE" else tone}
