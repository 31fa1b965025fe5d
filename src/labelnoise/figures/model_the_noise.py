"""Pictures and tables of the question "30 % of my labels are wrong" (notebook 06)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from labelnoise.analysis import stats
from labelnoise.analysis.tables import by_label
from labelnoise.analysis.tables.model_the_noise import (
    KINDS,
    STOPPED,
    TONES,
    best_of,
    by_noise,
    estimation_error,
    kind,
)
from labelnoise.config import noisy
from labelnoise.figures import DASHES
from labelnoise.losses import Loss
from labelnoise.noise import estimation
from labelnoise.runs.sweep import Outcome
from labelnoise.theory.gradients import by_autograd, simplex
from labelnoise.tracing import traced

STOPPED_TONE = "#E69F00"


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
def answers(
    outcomes: Sequence[Outcome], stopped: Sequence[Outcome] = (), low: float | None = None
) -> Figure:
    """Last-epoch accuracy of every answer, a panel a noise, all with one scale: mean (dot) and 95 %
    t interval over seeds, each seed (bar), best epoch (ring); the vertical line is CE. An interval
    that leaves what is possible is left out, as of a few seeds that fall into two groups.
    ``stopped``: runs of CE that hold out noisy labels, a row of their own: the epoch that is kept.
    ``low``: where the scale begins; what lies below is an arrow with its number."""
    order = list(by_label(outcomes))
    if stopped:
        order.insert(1, STOPPED)
    figure, axes = plt.subplots(1, 3, figsize=(13, 0.33 * len(order) + 2.2), sharey=True,
                                sharex=True)  # fmt: skip
    for ax, (name, group) in zip(axes, by_noise(outcomes).items(), strict=True):
        for label, (tone, last, best) in rows(group, by_noise(stopped)[name]).items():
            row, s = order.index(label), stats.summarise(last)
            if low is not None and s.mean < low:
                ax.plot(low, row, "<", ms=9, color=tone, clip_on=False, zorder=5)
                ax.text(low, row, f"   {s.mean:.1f}", va="center", fontsize="small")
                continue
            possible = s.half_width if s.half_width and s.low >= 0 and s.high <= 100 else None
            ax.errorbar(s.mean, row, xerr=possible, fmt="o", ms=6, color=tone, capsize=3)
            ax.plot(last, [row] * len(last), "|", ms=9, mew=1.2, color=tone)
            ax.plot(np.mean(best), row, "o", ms=8, mfc="none", mec=tone, mew=1.2)
            if label == "CE":
                ax.axvline(s.mean, color="0.4", ls="--", lw=1)
        ax.set(title=name, xlabel="clean test accuracy (%)")
        ax.grid(axis="y", alpha=0.35)
    axes[0].set_xlim(low, min(axes[0].get_xlim()[1], 100.5))
    axes[0].set_yticks(range(len(order)), order, fontsize="small")
    axes[0].set_ylim(len(order) - 0.4, -0.6)
    shown = {kind(o) for o in outcomes}
    marks = [plt.Line2D([], [], marker="o", ls="", color=tone, label=f"changes {what}")
             for what, (tone, _) in KINDS.items() if what in shown]  # fmt: skip
    if stopped:
        marks.append(plt.Line2D([], [], marker="o", ls="", color=STOPPED_TONE, label=STOPPED))
    for label, mark in (("one seed", "|"), ("best epoch", "o")):
        marks.append(plt.Line2D([], [], marker=mark, ls="", mfc="none", color="0.3", label=label))
    marks.append(plt.Line2D([], [], ls="--", color="0.4", label="CE, last epoch"))
    figure.legend(handles=marks, loc="outside lower center", ncols=4, fontsize="small")
    return figure


def rows(group: Sequence[Outcome], stopped: Sequence[Outcome]) -> dict[str, tuple]:
    """Label -> colour, accuracies that count and best ones, of what has finished."""
    found = {
        label: (KINDS[kind(each[0])][0], [o.last for o in each], [best_of(o) for o in each])
        for label, each in by_label([o for o in group if o.last is not None]).items()
    }
    if done := [o for o in stopped if o.last is not None]:
        kept = [o.record["result"]["val_chosen"] for o in done]
        found[STOPPED] = STOPPED_TONE, kept, [best_of(o) for o in done]
    return found


@traced
def over_epochs(
    outcomes: Sequence[Outcome], stopped: Sequence[Outcome], answer: str, low: float = 85.0
) -> Figure:
    """Clean test accuracy over the epochs, a panel a noise, a line a seed, from ``low`` on: CE that
    holds out noisy labels (``stopped``), with a dot at the epoch that they choose, and the answer
    with the label ``answer``."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), sharey=True)
    for ax, (name, group) in zip(axes, by_noise(outcomes).items(), strict=True):
        beside = {o.run.seed: o for o in by_label(group).get(answer, [])}
        held = {o.run.seed: o for o in by_noise(stopped)[name]}
        for some, tone, dash in ((beside, "#0072B2", "--"), (held, STOPPED_TONE, "-")):
            for o in some.values():
                accuracy = o.record["curves"]["test_accuracy"]
                ax.plot(range(1, len(accuracy) + 1), accuracy, ls=dash, lw=1.3, color=tone)
        for o in held.values():
            kept = np.argmax(o.record["curves"]["val_accuracy"])
            ax.plot(kept + 1, o.record["curves"]["test_accuracy"][kept], "o", ms=8, color="black",
                    mfc=STOPPED_TONE, zorder=3)  # fmt: skip
        ax.set(title=name, xlabel="epoch", ylim=(low, 100))
    axes[0].set_ylabel("clean test accuracy (%)")
    marks = [
        plt.Line2D([], [], color=STOPPED_TONE, label="CE on 90 % of the noisy labels"),
        plt.Line2D([], [], color="black", mfc=STOPPED_TONE, marker="o", ms=8, ls="",
                   label="the epoch that the other 10 % choose"),
        plt.Line2D([], [], color="#0072B2", ls="--", label=answer),
    ]  # fmt: skip
    figure.legend(handles=marks, loc="outside lower center", ncols=3, fontsize="small")
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
            ax.plot(100 * at.index, at, mark, color=tone, ms=6, label=label, mfc="none", mew=1.5,
                    clip_on=False)  # fmt: skip
        true = [noisy(name, rate).matrix(dataset) for rate in rates]
        clean = [100 * estimation.error(np.eye(len(T)), T) for T in true]
        ends = [100 * rate for rate in rates]
        ax.plot(ends, clean, color="0.5", ls="--", lw=1, label="assuming clean labels")
        ax.set(title=f"{name} noise", xlabel="noise rate (%)")
    axes[0].set_ylabel("error of T (% of labels)")
    axes[0].set_ylim(bottom=0)
    axes[0].legend(fontsize="small")
    return figure
