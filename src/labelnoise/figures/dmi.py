"""Pictures and tables of L_DMI (notebook 07): what it promises, and what became of it."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labelnoise.analysis import stats
from labelnoise.analysis.rules.dmi import (
    finished,
    losses_of,
    noises,
)
from labelnoise.analysis.tables.dmi import PATTERNS
from labelnoise.config import Noise
from labelnoise.experiments import GRIDS
from labelnoise.figures import DASHES
from labelnoise.runs.sweep import Outcome
from labelnoise.theory import dmi as theory
from labelnoise.theory.dmi import Costs
from labelnoise.tracing import traced

LOOKS = {  # loss -> colour (Okabe and Ito) and marker
    "CE": ("#D55E00", "o"),
    "Forward": ("#000000", "s"),
    "GCE": ("#009E73", "^"),
    "CLL": ("#0072B2", "D"),
    "DMI": ("#CC79A7", "v"),
}
TONES = [tone for tone, _ in LOOKS.values()]


@traced
def order_figure(found: Mapping[str, Costs]) -> Figure:
    """Each loss with noise over the same loss without, a dot a classifier, a colour a noise."""
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.6))
    for (name, costs), (tone, marker) in zip(found.items(), LOOKS.values(), strict=False):
        dots = {"ls": "", "ms": 5, "marker": marker, "color": tone, "label": name}
        axes[0].plot(costs.dmi, costs.dmi_noisy, **dots)
        axes[1].plot(costs.ce, costs.ce_noisy, **{**dots, "label": None})
    for ax, loss in zip(axes, ("L_DMI", "cross-entropy"), strict=True):
        ax.set(xlabel=f"{loss}, true labels (nats)", ylabel=f"{loss}, noisy labels (nats)",
               title=loss)  # fmt: skip
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return figure


@traced
def batch_figure(classes: Sequence[int], sizes: Sequence[int], rate: float) -> Figure:
    """Over the batch size, a colour a number of classes: how far L_DMI of a batch lies from that of
    all data (median, and 5 to 95 % of the batches), and how often a batch prefers the better of two
    classifiers by L_DMI (line) and by CE (dotted)."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 5))
    for K, tone, marker in zip(classes, TONES[2:], "osD", strict=False):
        found = [theory.batches(K, rate, size) for size in sizes]
        low, median, high = np.quantile([b.error for b in found], (0.05, 0.5, 0.95), axis=1)
        axes[0].fill_between(sizes, low, high, color=tone, alpha=0.2)
        line = {"color": tone, "marker": marker, "ms": 5}
        axes[0].plot(sizes, median, **line, label=f"L_DMI, K = {K}")
        axes[1].plot(sizes, [100 * b.dmi_right.mean() for b in found], **line)
        axes[1].plot(sizes, [100 * b.ce_right.mean() for b in found], **line, ls=":", mfc="none",
                     label=f"CE, K = {K}")  # fmt: skip
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.set_xlabel("batch size (samples)")
    axes[0].axhline(0, color="0.4", lw=1)
    axes[0].set_yscale("symlog")
    axes[0].set_yticks([-1, 0, 1, 10, 30], ["-1", "0", "1", "10", "30"])
    axes[0].set(ylabel="L_DMI: batch minus all data (nats)", ylim=(-1.5, 45),
                title="Is a batch enough to measure it?")  # fmt: skip
    axes[1].set(ylim=(-3, 103), ylabel="batches that prefer the better one (%)",
                title="Is a batch enough to compare two classifiers?")  # fmt: skip
    figure.legend(loc="outside lower center", ncols=6, fontsize="small")
    return figure


@traced
def grid_figure(
    grid: str,
    outcomes: Sequence[Outcome],
    constant: float | None = None,
    closer: float | None = None,
) -> Figure:
    """Last-epoch accuracy over r for a ``grid`` of ``experiments.GRIDS``, a panel a pattern: mean
    and 95 % t interval (dot), each seed (dash). ``constant``: the accuracy of always naming the
    largest class, in percent. ``closer``: a second row of the same with a scale of its own, from
    there on."""
    runs = GRIDS[grid]()
    settings, named = noises(runs), losses_of(runs)
    patterns = list(dict.fromkeys(n.pattern for n in settings))
    lows = [None] if closer is None else [None, closer]
    figure, axes = plt.subplots(
        len(lows), len(patterns), figsize=(1.6 + 3.6 * len(patterns), 1 + 3.6 * len(lows)),
        sharey="row", squeeze=False)  # fmt: skip
    for line, low in zip(axes, lows, strict=True):
        for ax, pattern in zip(line, patterns, strict=True):
            here = [n for n in settings if n.pattern == pattern]
            for k, name in enumerate(named):
                draw_means(ax, here, outcomes, name, k)
            if not any(o.run.noise.pattern == pattern for o in outcomes):
                ax.text(0.5, 0.3, "not yet run", transform=ax.transAxes, ha="center", fontsize=14)
            if constant is not None:
                ax.axhline(constant, color="0.4", ls=(0, (1, 2)), lw=1.4)
            rates = [100 * n.rate for n in here]
            ax.set_xticks(rates, [f"{r:g}" for r in rates])
            ax.set(xlabel="r (%)", xlim=(min(rates) - 6, max(rates) + 6),
                   title=PATTERNS[pattern] if low is None else f"the same, from {low:g} % on",
                   )  # fmt: skip
        bottom, top = line[0].get_ylim()  # of three seeds an interval can leave what is possible
        ends = (max(bottom, -3), min(top, 103)) if low is None else (low, min(top, 100))
        line[0].set(ylabel="clean test accuracy, last epoch (%)", ylim=ends)
    marks = [plt.Line2D([], [], color=LOOKS[name][0], marker=LOOKS[name][1], ls=DASHES[k],
                        label=label) for k, (name, label) in enumerate(named.items())]  # fmt: skip
    if constant is not None:
        marks.append(plt.Line2D([], [], color="0.4", ls=(0, (1, 2)), label="always the same class"))
    columns = 6 if len(patterns) > 1 else 2
    figure.legend(handles=marks, loc="outside lower center", ncols=columns, fontsize="small")
    return figure


def draw_means(
    ax: Axes, settings: Sequence[Noise], outcomes: Sequence[Outcome], name: str, k: int
) -> None:
    """The ``k``-th loss of a panel: its mean, interval and seeds at every noise of ``settings``."""
    tone, marker = LOOKS[name]
    groups = [
        (100 * n.rate + 1.2 * (k - 2), [o.last for o in finished(outcomes, n, name)])
        for n in settings
    ]
    groups = [(x, stats.summarise(last), last) for x, last in groups if last]
    for x, _, last in groups:
        ax.plot([x] * len(last), last, "_", ms=7, color=tone)
    ax.errorbar([x for x, _, _ in groups], [s.mean for _, s, _ in groups],
                yerr=[s.half_width or 0 for _, s, _ in groups], marker=marker, ms=5.5,
                lw=1, ls=DASHES[k], color=tone, capsize=3)  # fmt: skip
