"""Tables of notebook 07: what L_DMI promises, and what it reached."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from labelnoise.analysis import stats
from labelnoise.analysis.rules.dmi import (
    at,
    gains,
    judged,
    losses_of,
    noises,
)
from labelnoise.analysis.tables import MISSING, number, sources, spread
from labelnoise.config import Run
from labelnoise.runs.sweep import Outcome
from labelnoise.theory import dmi as theory
from labelnoise.theory.dmi import Costs
from labelnoise.tracing import of_numbers, traced

PATTERNS = {
    "independent": "independent\n[[1-r/2, r/2], [r/2, 1-r/2]]",
    "dependent-a": "class-dependent (a)\n[[1-r, r], [0, 1]]",
    "dependent-b": "class-dependent (b)\n[[1, 0], [r, 1-r]]",
    "cifar10-dependent": "four classes into another one",
}


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
        (setting.pattern, setting.rate): {
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
        rows[setting.pattern, setting.rate] = cells
    return table_of(rows)


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
        (n.pattern, n.rate): {
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
        rows[run.noise.pattern, run.noise.rate] = {
            "from random weights": number(alone),
            "outputs swapped": number(None if alone is None else 100 - alone),
            "warm start": number(started),
        }
    return table_of(rows)


def state_table(grids: Mapping[str, tuple[Sequence[Run], Sequence[Outcome]]]) -> pd.DataFrame:
    """How much of each grid of the paper is recorded. (Clothing1M has a loader, and no grid that
    one machine could train.)"""
    rows = [
        {"data set": name, "runs": len(runs), "recorded": len(outcomes), "state": sources(outcomes)}
        for name, (runs, outcomes) in grids.items()
    ]
    rows.append(
        {"data set": "Clothing1M", "runs": MISSING, "recorded": 0,
         "state": "bring the data and a cluster: data.photos.clothing1m"}
    )  # fmt: skip
    return pd.DataFrame(rows).set_index("data set")
