"""Pictures and tables of L_DMI (notebook 07): what it promises, and what became of it."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labelnoise.analysis import stats
from labelnoise.analysis.rules.dmi import (
    at,
    finished,
    gains,
    judged,
    losses_of,
    noises,
)
from labelnoise.analysis.tables import MISSING, number, sources, spread
from labelnoise.config import Run
from labelnoise.figures import DASHES
from labelnoise.runs.sweep import Outcome
from labelnoise.theory import dmi as theory
from labelnoise.theory.dmi import Costs
from labelnoise.tracing import of_numbers, traced

LOOKS = {  # loss -> colour (Okabe and Ito) and marker
    "CE": ("#D55E00", "o"),
    "Forward": ("#000000", "s"),
    "GCE": ("#009E73", "^"),
    "CLL": ("#0072B2", "D"),
    "DMI": ("#CC79A7", "v"),
}
TONES = [tone for tone, _ in LOOKS.values()]
PATTERNS = {
    "independent": "independent\n[[1-r/2, r/2], [r/2, 1-r/2]]",
    "dependent-a": "class-dependent (a)\n[[1-r, r], [0, 1]]",
    "dependent-b": "class-dependent (b)\n[[1, 0], [r, 1-r]]",
    "cifar10-dependent": "four classes into another one",
}


# ------------------------------------------------------------------------------ what it promises


@traced
def orders(noises: Mapping[str, np.ndarray]) -> dict[str, Costs]:
    """Name of a noise ``[3, 3]`` -> the losses of a crowd of imagined classifiers under it."""
    logits, true = theory.crowd(3)
    return {name: theory.costs(logits, true, T) for name, T in noises.items()}


@traced
def order_table(noises: Mapping[str, np.ndarray], found: Mapping[str, Costs]) -> pd.DataFrame:
    """A row a noise: what the noise adds to L_DMI, at least and at most, beside -log |det T|, and
    Spearman's rank correlation of each loss with itself without noise."""
    rows = {}
    for name, costs in found.items():
        det, added = abs(np.linalg.det(noises[name])), costs.dmi_noisy - costs.dmi
        kept = stats.rank_correlation(costs.dmi, costs.dmi_noisy)[0]
        rows[name] = {
            "|det T|": number(det),
            "-log |det T|": number(-np.log(det)) if det > 1e-12 else "inf",
            "added to L_DMI": f"{added.min():.2f} to {added.max():.2f}" if det > 1e-12 else "floor",
            "order kept by L_DMI": number(kept) if det > 1e-12 else MISSING,
            "order kept by CE": number(stats.rank_correlation(costs.ce, costs.ce_noisy)[0]),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("noise")


@traced
def processed_table(num_classes: int) -> pd.DataFrame:
    """How often a loss falls when a classifier's answers are passed through a random matrix, in
    percent of 1000, and by how much at most (nats)."""
    rows = {
        loss: {
            "lower than before (%)": number(100 * float((change < -1e-9).mean()), 1),
            "largest fall": number(max(0.0, -float(change.min()))),
            "largest rise": number(float(change.max())),
        }
        for loss, change in zip(("L_DMI", "CE"), theory.processed(num_classes), strict=True)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("loss")


@traced
def rare_class_table(share: float) -> pd.DataFrame:
    """The best threshold between a common class and a rare one, by accuracy and by |det U|."""
    rows = {
        rule: {
            'says "rare" from P(rare) =': number(posterior),
            "recall, common (%)": number(common, 1),
            "recall, rare (%)": number(rare, 1),
            "accuracy (%)": number((1 - share) * common + share * rare, 1),
            "balanced accuracy (%)": number((common + rare) / 2, 1),
            "|det U|": number(det, 3),
        }
        for rule, posterior, common, rare, det in theory.rare_class(share)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("threshold with")


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
def permutation_table(num_classes: int = 3) -> pd.DataFrame:
    """One classifier whose outputs are renamed in every way."""
    rows = [
        {"outputs": order, "accuracy (%)": number(a, 1), "CE": number(ce), "L_DMI": number(dmi)}
        for order, a, ce, dmi in theory.permuted(num_classes)
    ]
    return pd.DataFrame(rows).set_index("outputs")


@traced
def slope_table(num_classes: int, skills: Sequence[float]) -> pd.DataFrame:
    """How hard each loss pulls at the logits of a batch, from a constant answer to a good one."""
    rows = [
        {
            "skill": f"{skill:g}" if skill else "0 (constant)",
            "accuracy (%)": number(accuracy, 1),
            "slope of L_DMI": f"{dmi:.1e}" if dmi > 1e-15 else "0",
            "slope of CE": f"{ce:.1e}",
        }
        for skill, accuracy, dmi, ce in theory.slopes(num_classes, skills)
    ]
    return pd.DataFrame(rows).set_index("skill")


# --------------------------------------------------------------------------- what became of it


def grid_table(
    runs: Sequence[Run], outcomes: Sequence[Outcome], *, balanced: bool = False
) -> pd.DataFrame:
    """Last-epoch accuracy in percent (``balanced``: the mean of the recalls of the classes), mean ±
    sd over seeds: a row a pattern and rate, a column a loss; a dash for what is not recorded, and
    how many runs diverged."""

    def value(o: Outcome) -> float | None:
        if o.last is None or not balanced:
            return o.last
        return stats.mean(o.record["result"]["recalls"])

    rows = {
        (setting["pattern"], setting["rate"]): {
            label: spread([value(o) for o in at(outcomes, setting, name)])
            for name, label in losses_of(runs).items()
        }
        for setting in noises(runs)
    }
    return table_of(rows)


def table_of(rows: Mapping[tuple[str, float], Mapping[str, str]]) -> pd.DataFrame:
    """A row a pattern and rate."""
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    return table.rename_axis(["pattern", "r"])


@of_numbers
def worth(differences: Sequence[float]) -> str:
    """The mean difference at the same seeds, in points, ± the half-width of its 95 % interval, and
    the word of the rule."""
    gain = stats.summarise(differences)
    return f"{gain.mean:+.2f} ± {gain.half_width:.2f} ({judged(differences)})"


def against_table(runs: Sequence[Run], outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """What DMI is worth against each other loss, in points, with the word of the rule."""
    rows = {}
    for setting in noises(runs):
        cells = {}
        for name, label in losses_of(runs).items():
            if name != "DMI":
                found = gains(outcomes, setting, name)
                cells[f"against {label}"] = MISSING if found is None else worth(found)
        rows[setting["pattern"], setting["rate"]] = cells
    return table_of(rows)


@traced
def grid_figure(
    runs: Sequence[Run], outcomes: Sequence[Outcome], constant: float | None = None
) -> Figure:
    """Last-epoch accuracy over r, a panel a pattern: mean and 95 % t interval (dot), each seed
    (dash). ``constant``: the accuracy of always naming the largest class, in percent."""
    settings, named = noises(runs), losses_of(runs)
    patterns = list(dict.fromkeys(n["pattern"] for n in settings))
    figure, axes = plt.subplots(1, len(patterns), figsize=(1.6 + 3.6 * len(patterns), 4.6),
                                sharey=True, squeeze=False)  # fmt: skip
    for ax, pattern in zip(axes[0], patterns, strict=True):
        here = [n for n in settings if n["pattern"] == pattern]
        for k, name in enumerate(named):
            tone, marker = LOOKS[name]
            groups = [
                (100 * n["rate"] + 1.2 * (k - 2), [o.last for o in finished(outcomes, n, name)])
                for n in here
            ]
            groups = [(x, stats.summarise(last), last) for x, last in groups if last]
            for x, _, last in groups:
                ax.plot([x] * len(last), last, "_", ms=7, color=tone)
            ax.errorbar([x for x, _, _ in groups], [s.mean for _, s, _ in groups],
                        yerr=[s.half_width or 0 for _, s, _ in groups], marker=marker, ms=5.5,
                        lw=1, ls=DASHES[k], color=tone, capsize=3)  # fmt: skip
        if not any(o.run.noise["pattern"] == pattern for o in outcomes):
            ax.text(0.5, 0.3, "not yet run", transform=ax.transAxes, ha="center", fontsize=14)
        if constant is not None:
            ax.axhline(constant, color="0.4", ls=(0, (1, 2)), lw=1.4)
        rates = [100 * n["rate"] for n in here]
        ax.set_xticks(rates, [f"{r:g}" for r in rates])
        ax.set(xlabel="r (%)", title=PATTERNS[pattern], xlim=(min(rates) - 6, max(rates) + 6))
    low, high = axes[0][0].get_ylim()  # of three seeds an interval can leave what is possible
    axes[0][0].set(ylabel="clean test accuracy, last epoch (%)",
                   ylim=(max(low, -3), min(high, 103)))  # fmt: skip
    marks = [plt.Line2D([], [], color=LOOKS[name][0], marker=LOOKS[name][1], ls=DASHES[k],
                        label=label) for k, (name, label) in enumerate(named.items())]  # fmt: skip
    if constant is not None:
        marks.append(plt.Line2D([], [], color="0.4", ls=(0, (1, 2)), label="always the same class"))
    columns = 6 if len(patterns) > 1 else 2
    figure.legend(handles=marks, loc="outside lower center", ncols=columns, fontsize="small")
    return figure


def stage_table(runs: Sequence[Run], outcomes: Sequence[Outcome], loss: str) -> pd.DataFrame:
    """Both stages of one loss, and what each rule of selection would have reported, in percent
    (mean over seeds): the last epoch of the first stage, which is plain CE; its epoch with the best
    noisy validation accuracy, where the second stage starts; of that one the last epoch, the epochs
    with the best noisy validation accuracy and with the lowest validation loss, and the best epoch
    on the test set."""
    columns = {
        "first stage, last epoch": lambda r: r["first"]["last"],
        "start": lambda r: r["first"]["val_chosen"],
        "last epoch": lambda r: r["last"],
        "noisy validation accuracy": lambda r: r["val_chosen"],
        "validation loss": lambda r: r["val_loss_chosen"],
        "best epoch": lambda r: r["best"],
    }
    rows = {
        (n["pattern"], n["rate"]): {
            title: spread(
                [None if o.last is None else of(o.record["result"]) for o in at(outcomes, n, loss)]
            )
            for title, of in columns.items()
        }
        for n in noises(runs)
    }
    return table_of(rows)


def cold_table(
    cold: Sequence[Outcome], warm: Sequence[Outcome], runs: Sequence[Run]
) -> pd.DataFrame:
    """L_DMI from random weights (``runs``, at one seed each) beside its warm start at that seed:
    last-epoch accuracy, and the accuracy with the two outputs swapped."""
    rows = {}
    for run in runs:
        seeded = [[o.last for o in at(found, run.noise, "DMI") if o.run.seed == run.seed]
                  for found in (cold, warm)]  # fmt: skip
        alone, started = ([*last, None][0] for last in seeded)
        rows[run.noise["pattern"], run.noise["rate"]] = {
            "from random weights": number(alone),
            "outputs swapped": number(None if alone is None else 100 - alone),
            "warm start": number(started),
        }
    return table_of(rows)


def state_table(grids: Mapping[str, tuple[Sequence[Run], Sequence[Outcome]]]) -> pd.DataFrame:
    """How much of each grid of the paper is recorded; of the data sets that cannot be fetched,
    where their files are expected."""
    rows = [
        {"data set": name, "runs": len(runs), "recorded": len(outcomes), "state": sources(outcomes)}
        for name, (runs, outcomes) in grids.items()
    ]
    rows += [
        {"data set": name, "runs": MISSING, "recorded": 0,
         "state": f"bring the data: photo_sets.{loader}"}
        for name, loader in (("Dogs vs. Cats", "dogs_vs_cats"), ("Clothing1M", "clothing1m"))
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index("data set")
