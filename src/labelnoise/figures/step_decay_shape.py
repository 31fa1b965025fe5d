"""Accuracy over the length of the step, a line a shape (notebook 03, "Size or shape?")."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from labelnoise.analysis.rules.rule import accuracies
from labelnoise.analysis.tables.step_decay_shape import LEVELS
from labelnoise.experiments.mnist_symmetric import MORE_SHAPES, PULLS, SHAPES, protocol_at
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced

# label of a loss -> its colour, line and marker
LOOKS = {
    SHAPES[0].label: ("#D55E00", "-", "o"),
    SHAPES[1].label: ("#0072B2", "-", "s"),
    SHAPES[2].label: ("#56B4E9", "--", "^"),
    SHAPES[3].label: ("#000000", ":", "D"),
    MORE_SHAPES[0].label: ("#009E73", "-.", "v"),
    MORE_SHAPES[1].label: ("#CC79A7", (0, (5, 1, 1, 1, 1, 1)), "P"),
}
TITLES = {"mlp": "MLP", "cnn4": "CNN"}


@traced
def over_step(outcomes: Sequence[Outcome]) -> Figure:
    """Last-epoch accuracy over step = learning rate x pull: a row a network, a column a decay =
    weight decay / pull, a line a shape; the mean over seeds, and each seed as a dot. A network is
    shown once it has more than the two published places."""
    lengths = {model: {o.run.protocol["lr"] for o in outcomes if o.run.model == model
                       and o.run.loss == SHAPES[0]} for model in TITLES}  # fmt: skip
    networks = [model for model, found in lengths.items() if len(found) > 2]
    figure, axes = plt.subplots(len(networks), 3, figsize=(11, 3.4 * len(networks) + 0.7),
                                sharex=True, sharey="row", squeeze=False)  # fmt: skip
    for row, model in zip(axes, networks, strict=True):
        for decay, ax in enumerate(row):
            for loss in SHAPES + MORE_SHAPES:
                line(ax, [o for o in outcomes if o.run.model == model], loss, decay)
            ax.set(xscale="log", title=f"{TITLES[model]}, {LEVELS[decay]} decay")
        row[0].set_ylabel("last-epoch accuracy (%)")
        row[0].set_ylim(top=100)
    steps = [protocol_at(SHAPES[0], (k, 0))["lr"] * PULLS[SHAPES[0].label] for k in range(3)]
    for ax in axes[-1]:
        ax.set_xticks(steps, [f"{step:.2g}" for step in steps], fontsize="small")
        ax.set_xticks([], minor=True)
        ax.set_xlabel("step: learning rate x pull at the start")
    handles = {}
    for ax in axes.flat:
        handles |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3,
                  fontsize="small")  # fmt: skip
    return figure


def line(ax: plt.Axes, outcomes: Sequence[Outcome], loss, decay: int) -> None:
    """One shape at one decay: its seeds, and the line of their means."""
    tone, dash, marker = LOOKS[loss.label]
    steps, means = [], []
    for step in range(3):
        protocol = protocol_at(loss, (step, decay))
        group = [o for o in outcomes if o.run.loss == loss and o.run.protocol == protocol]
        if group:
            values = list(accuracies(group).values())
            steps.append(protocol["lr"] * PULLS[loss.label])
            means.append(np.mean(values))
            ax.plot([steps[-1]] * len(values), values, ".", ms=4, alpha=0.5, color=tone)
    if steps:
        ax.plot(steps, means, color=tone, ls=dash, marker=marker, ms=6, mfc="none",
                label=loss.label)  # fmt: skip
