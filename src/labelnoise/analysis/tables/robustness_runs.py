"""What became of the runs, beside what the theorems had said of their losses (notebook 04)."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from labelnoise import theory
from labelnoise.analysis import stats
from labelnoise.analysis.rules.robustness_theory import p_value
from labelnoise.analysis.tables import (
    MISSING,
    number,
    shown,
    spread,
)
from labelnoise.analysis.tables.mnist_symmetric import loss_of, ranked_groups
from labelnoise.analysis.tables.robustness_theory import (
    covered_beyond,
    is_symmetric,
    of_target,
    percent_or_none,
)
from labelnoise.config import LossSetting
from labelnoise.experiments import chosen, setting_of
from labelnoise.losses import Loss, build
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced


def behaviour(outcome: Outcome) -> str:
    """What became of a run: ``lost classes`` if it ends below 88 % and was never more than 2 points
    better (a digit that is never answered costs about ten), else ``memorised`` if it predicts 10 %
    or more of the wrong labels as given, else ``held``. The borders are ours, for MNIST."""
    result = outcome.record["result"]
    if result["last"] < 88 and result["best"] - result["last"] <= 2:
        return "lost classes"
    return "memorised" if result["fit_wrong"] >= 10 else "held"


def summary_table(outcomes: Sequence[Outcome], num_classes: int, rate: float) -> pd.DataFrame:
    """Every loss, ranked: is its class sum a constant, its asymmetry ratio, the guarantee at
    symmetric noise of ``rate`` (both for losses of p_y), and what happened in the runs."""
    rows = {}
    for name, group in ranked_groups(outcomes).items():
        loss = loss_of(group[0])
        of_target = theory.sees_only_target(loss)
        rows[name] = {
            "symmetric": "yes" if is_symmetric(loss, num_classes) else "no",
            "asymmetry ratio": ratio(loss) if of_target else MISSING,
            "wrong answers at most (%)": guarantee(loss, num_classes, rate) if of_target
            else MISSING,
            "last epoch": spread([o.last for o in group]),
            "what happened": behaviours(group),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object)


@traced
def ratio(loss: Loss) -> str:
    """The asymmetry ratio."""
    return f"{theory.asymmetry_ratio(loss):.3f}"


@traced
def guarantee(loss: Loss, num_classes: int, rate: float) -> str:
    """The bound on the share of wrong answers at symmetric noise of a rate, in percent."""
    return percent_or_none(theory.error_bound(loss, num_classes, rate))


@traced
def behaviours(runs: Sequence[Outcome]) -> str:
    """What became of the runs (``behaviour``), counted."""
    found = [behaviour(o) for o in runs]
    return ", ".join(f"{found.count(f)} {f}" for f in dict.fromkeys(found))


def criteria(rate: float, num_classes: int) -> dict[str, Callable[[Loss], float | None]]:
    """What a theory says of a loss of p_y before any training, as one number."""

    def guaranteed(loss: Loss) -> float:
        return 100 * theory.error_bound(loss, num_classes, rate)

    def start(loss: Loss) -> float:
        return theory.pull_at_start(loss, num_classes)[0]

    def start_share(loss: Loss) -> float:
        return 100 * theory.pull_at_start(loss, num_classes)[1]

    def belief(loss: Loss) -> float:
        return theory.at_rest(loss, num_classes, rate).belief

    return {
        "asymmetry ratio": theory.asymmetry_ratio,
        "asymmetry ratio, errors above 0.1": lambda loss: theory.asymmetry_ratio(loss, 0.1),
        "wrong answers at most (%)": guaranteed,
        "belief at rest": belief,
        "pull on an untrained network": start,
        "the same in % of the largest pull": start_share,
    }


def predictions(outcomes: Sequence[Outcome], num_classes: int, rate: float) -> pd.DataFrame:
    """One row a loss of p_y and setting: its criteria, its last-epoch accuracy, and its fall from
    the best epoch to the last; seed 0."""
    return predicted([o for o in outcomes if o.run.seed == 0 and has_criteria(loss_of(o))],
                     num_classes, rate)  # fmt: skip


def has_criteria(loss: Loss) -> bool:
    """Whether the criteria are for this loss: one of p_y alone, and no sum."""
    return theory.sees_only_target(loss) and "+" not in loss.name


@traced
def predicted(outcomes: Sequence[Outcome], num_classes: int, rate: float) -> pd.DataFrame:
    """A row an outcome: what the criteria say of its loss, its last-epoch accuracy, and its fall
    from the best epoch to the last."""
    rows = {}
    for o in outcomes:
        loss, result = loss_of(o), o.record["result"]
        found = {name: f(loss) for name, f in criteria(rate, num_classes).items()}
        rows[shown(o.run.label)] = {
            "name": loss.name, **found, "last epoch": result["last"],
            "fall": result["best"] - result["last"], "fate": behaviour(o),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


@traced
def claim_table(table: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of every criterion with accuracy and with the fall, over all
    settings and, where some lost classes, over the others (``fate``), with permutation p-values."""
    learnt = table[table["fate"] != "lost classes"]
    parts = {"all": table, "no class lost": learnt}
    if len(learnt) == len(table):
        del parts["no class lost"]
    rows = {}
    for criterion in criteria(0.6, 10):
        cells = {}
        for which, part in parts.items():
            for measured in ("last epoch", "fall"):
                column = f"{measured}, {which} ({len(part)})"
                if len(part) < 3:
                    cells[column] = MISSING
                    continue
                rho, p = stats.rank_correlation(part[criterion], part[measured])
                cells[column] = f"{rho:+.2f} ({p_value(p)})"
        rows[criterion] = cells
    return pd.DataFrame(rows).T


def to_follow(name: str) -> LossSetting:
    """The loss ``name`` of ``every_loss``, if it sees p_y alone; ``ValueError`` lists those."""
    known = ("CLL", *(loss.name for loss in of_target()))
    return setting_of(chosen("follow", name, known, "every_loss"))


@traced
def followed(
    names: Sequence[str], outcomes: Sequence[Outcome], num_classes: int, rate: float
) -> pd.DataFrame:
    """Losses of p_y, by name, through every section: a row a question, a column a loss; at
    symmetric noise of ``rate``, and what became of them in ``outcomes``."""
    columns = {}
    for setting in map(to_follow, dict.fromkeys(names)):
        loss, runs = setting.build(), [o for o in outcomes if o.run.loss == setting]
        sums = theory.class_sum_range(loss, num_classes)
        pull, share = theory.pull_at_start(loss, num_classes)
        doubted = float(theory.weight(loss, 0.01)) * 0.99
        columns[shown(setting.label)] = {
            "1 class sum strays by (%)": "100" if np.isinf(sums.high)
            else f"{100 * sums.spread / sums.high:.1f}",
            "2 wrong answers at most (%)": percent_or_none(
                theory.error_bound(loss, num_classes, rate)),
            "3 asymmetry ratio": f"{theory.asymmetry_ratio(loss):.3f}",
            "4 asymmetric beyond an error of": covered_beyond(
                loss, rate / (num_classes - 1) / (1 - rate)),
            "5 belief at the minimum": f"{theory.at_rest(loss, num_classes, rate).belief:.2f}",
            "6 pull, untrained": f"{pull:.3f}",
            "6 the same, % of the largest": f"{100 * share:.1f}",
            "6 pull at p_y = 0.01, % of the largest": f"{100 * doubted * share / pull:.1f}",
            "7 last epoch (%)": spread([o.last for o in runs]),
            "7 wrong labels memorised (%)": spread(
                [o.record["result"]["fit_wrong"] for o in runs], 1),
        }  # fmt: skip
    return pd.DataFrame(columns)


def slow_start_table(outcomes: Sequence[Outcome], num_classes: int) -> pd.DataFrame:
    """The same in numbers: the pull at the start, the last accuracy, the mean gradient of the
    first and of the last epoch."""
    rows = []
    for sigma, last, record, decay in sorted(
        over_settings(outcomes), key=lambda w: (w[0], not w[3])
    ):
        norms = record["curves"]["gradient_norm"]
        pull, share = theory.pull_at_start(build("CLL", sigma=sigma), num_classes)
        rows.append(
            {
                "sigma": f"{sigma:g}",
                "weight decay": "0.001" if decay else "0",
                "pull at p = 1/K": f"{pull:.2g}",
                "of the largest (%)": f"{100 * share:.1f}",
                "gradient, epoch 1": f"{norms[0]:.2g}",
                "gradient, last epoch": f"{norms[-1]:.2g}",
                "last epoch (%)": number(last),
            }
        )
    return pd.DataFrame(rows).set_index("sigma")


def over_settings(outcomes: Sequence[Outcome]) -> list[tuple[float, float, dict, bool]]:
    """(sigma, last accuracy, record, with weight decay) of the runs with CLL ``target``."""
    return [
        (o.run.loss.parameters["sigma"], o.last, o.record, o.run.protocol["weight_decay"] > 0)
        for o in outcomes
        if o.run.loss.name == "CLL" and o.run.loss.parameters["form"] == "target"
        and not o.run.loss.parameters["normalise"]
    ]  # fmt: skip
