"""Pictures and tables of the question "30 % of my labels are wrong" (notebook 06)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from labelnoise.analysis import stats
from labelnoise.analysis.tables import by_label
from labelnoise.config import noisy
from labelnoise.figures import DASHES
from labelnoise.losses import Loss
from labelnoise.noise import estimation
from labelnoise.runs.sweep import Outcome
from labelnoise.theory.gradients import by_autograd, simplex
from labelnoise.tracing import traced

if TYPE_CHECKING:
    pass
from labelnoise.analysis.tables.model_the_noise import (
    KINDS,
    TONES,
    best_of,
    by_noise,
    estimation_error,
    kind,
)


@traced
def pull(named: Mapping[str, Loss], num_classes: int = 10) -> Figure:
    """How hard a label pulls at its own logit, -dL/dz_y by autograd, over the p_y that it has
    already; the other classes share the rest alike. Below 0 it pushes away."""
    p_y = np.linspace(0.002, 0.998, 250)
    z = torch.from_numpy(np.log(simplex(p_y, num_classes)))
    y = torch.zeros(len(p_y), dtype=torch.long)
    figure, ax = plt.subplots(figsize=(8, 4.2))
    for (name, loss), dash, tone in zip(named.items(), DASHES, TONES, strict=False):
        ax.plot(100 * p_y, -by_autograd(loss, z, y)[:, 0], ls=dash, color=tone, lw=2, label=name)
    ax.axhline(0, color="0.4", lw=0.8)
    ax.set(xlabel="probability of the given label, $p_y$ (%)",
           ylabel=r"pull, $-\partial \ell/\partial z_y$")  # fmt: skip
    figure.legend(loc="outside right upper", fontsize="small")
    return figure


@traced
def answers(outcomes: Sequence[Outcome]) -> Figure:
    """Last-epoch accuracy of every answer, a panel a noise: mean and 95 % t interval over seeds
    (dot), each seed (bar), best epoch (ring); the vertical line is CE."""
    panels = by_noise(outcomes)
    order = list(by_label(outcomes))
    figure, axes = plt.subplots(1, 3, figsize=(13, 0.33 * len(order) + 1.9), sharey=True)
    for ax, (name, group) in zip(axes, panels.items(), strict=True):
        for label, each in by_label(group).items():
            row, tone = order.index(label), KINDS[kind(each[0])][0]
            last = [o.last for o in each if o.last is not None]
            if not last:  # diverged at every seed
                continue
            s = stats.summarise(last)
            ax.errorbar(s.mean, row, xerr=s.half_width, fmt="o", ms=6, color=tone, capsize=3)
            ax.plot(last, [row] * len(last), "|", ms=9, mew=1.2, color=tone)
            best = np.mean([best_of(o) for o in each if o.last is not None])
            ax.plot(best, row, "o", ms=8, mfc="none", mec=tone, mew=1.2)
            if label == "CE":
                ax.axvline(s.mean, color="0.4", ls="--", lw=1)
        low, high = ax.get_xlim()  # of three seeds an interval can leave what is possible
        ax.set(title=name, xlabel="clean test accuracy (%)",
               xlim=(max(low, 0), min(high, 100.5)))  # fmt: skip
        ax.grid(axis="y", alpha=0.35)
    axes[0].set_yticks(range(len(order)), order, fontsize="small")
    axes[0].set_ylim(len(order) - 0.4, -0.6)
    shown = {kind(o) for o in outcomes}
    marks = [plt.Line2D([], [], marker="o", ls="", color=tone, label=f"changes {what}")
             for what, (tone, _) in KINDS.items() if what in shown]  # fmt: skip
    marks.append(plt.Line2D([], [], marker="o", ls="", mfc="none", color="0.3", label="best epoch"))
    marks.append(plt.Line2D([], [], ls="--", color="0.4", label="CE, last epoch"))
    figure.legend(handles=marks, loc="outside lower center", ncols=6, fontsize="small")
    return figure


@traced
def rate_map(outcomes: Sequence[Outcome]) -> Figure:
    """Last-epoch accuracy of the mixture over assumed x true noise rate, a number a cell."""
    rows = [
        (o.run.loss.parameters["rate"], o.run.noise.rate, o.last)
        for o in outcomes
        if o.last is not None
    ]
    cells = pd.DataFrame(rows, columns=["assumed", "true", "last"]).pivot_table(
        index="assumed", columns="true", values="last"
    )
    figure, ax = plt.subplots(figsize=(7, 5.2))
    if cells.empty:
        return figure
    image = ax.imshow(cells, cmap="viridis", origin="lower", vmin=50, vmax=100, aspect="auto")
    for (i, j), value in np.ndenumerate(cells.to_numpy()):
        if np.isnan(value):  # not recorded
            continue
        bold = "bold" if cells.index[i] == cells.columns[j] else "normal"
        ax.text(j, i, f"{value:.1f}", ha="center", va="center", fontweight=bold,
                color="white" if value < 80 else "black")  # fmt: skip
    ax.set_xticks(range(cells.shape[1]), [f"{100 * r:g}" for r in cells.columns])
    ax.set_yticks(range(cells.shape[0]), [f"{100 * r:g}" for r in cells.index])
    ax.set(xlabel="true rate (% of labels drawn anew)", ylabel="assumed rate (%)")
    ax.grid(visible=False)
    figure.colorbar(image, label="last-epoch test accuracy (%)", extend="min")
    return figure


@traced
def estimates(outcomes: Sequence[Outcome], dataset: str = "mnist") -> Figure:
    """The error of the estimated matrices over the noise rate, a panel a kind of noise, a line an
    estimator, a dot a seed; the grey line is what taking the labels for clean costs."""
    kinds = {"symmetric": (0.0, 0.75), "asymmetric": (0.0, 0.45)}
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True)
    for ax, (name, rates) in zip(axes, kinds.items(), strict=True):
        mine = [o for o in outcomes if o.run.noise.kind == name and o.run.loss.estimated
                and not o.run.noise.as_config().get("keep_true")]  # fmt: skip
        for (label, group), tone, mark in zip(
            by_label(mine).items(), TONES[2:], "os", strict=False
        ):
            at = pd.Series([estimation_error(o) for o in group],
                           index=[o.run.noise.rate for o in group]) * 100  # fmt: skip
            mean = at.groupby(level=0).mean()
            ax.plot(100 * mean.index, mean, "-", color=tone, lw=1.5)
            ax.plot(100 * at.index, at, mark, color=tone, ms=6, label=label, mfc="none", mew=1.5)
        true = [noisy(name, rate).matrix(dataset) for rate in rates]
        clean = [100 * estimation.error(np.eye(len(T)), T) for T in true]
        ends = [100 * rate for rate in rates]
        ax.plot(ends, clean, color="0.5", ls="--", lw=1, label="assuming clean labels")
        ax.set(title=f"{name} noise", xlabel="noise rate (%)")
    axes[0].set_ylabel("error of T (% of labels)")
    axes[0].set_ylim(bottom=0)
    axes[0].legend(fontsize="small")
    return figure
