"""Tables of notebook 04: what each theorem says of a loss, and what the runs did."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from labelnoise import noise, theory
from labelnoise.analysis import stats
from labelnoise.analysis.rules.robustness_theory import p_value
from labelnoise.analysis.tables import (
    MISSING,
    number,
    shown,
    spread,
)
from labelnoise.analysis.tables.gradients import distinct, label
from labelnoise.analysis.tables.mnist_symmetric import loss_of, ranked_groups
from labelnoise.config import LossSetting
from labelnoise.experiments import chosen, setting_of
from labelnoise.losses import PUBLISHED, Loss, build
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


def is_symmetric(loss: Loss, num_classes: int) -> bool:
    """Whether the class sum is the same for 200 random answers, to 1e-9 of itself."""
    p = np.random.default_rng(0).dirichlet(np.full(num_classes, 0.5), 200).clip(1e-9)
    sums = theory.class_sum(loss, p / p.sum(axis=1, keepdims=True))
    return bool(np.ptp(sums) < 1e-9 * abs(sums).max())


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


def of_target(dataset: str = "mnist") -> list[Loss]:
    """Every loss of p_y alone at its published setting (CLL is not among them); a sum whose other
    weight is 0 is the loss that is left, and not repeated."""
    settings = PUBLISHED[dataset].items()
    built = [build(name, **s["parameters"]) for name, s in settings if "+" not in name]
    return [loss for loss in built if theory.sees_only_target(loss)]


@traced
def symmetry_table(losses: Sequence[Loss], num_classes: int, rate: float) -> pd.DataFrame:
    """The range of the class sum, how far it strays relative to its largest value, and what follows
    at symmetric noise: the bound on the excess risk, and on the share of wrong answers."""
    rows = {}
    for loss in distinct(losses):
        found = theory.class_sum_range(loss, num_classes)
        bound = theory.excess_risk_bound(loss, num_classes, rate)
        bounded = np.isfinite(found.high)
        rows[label(loss)] = {
            "least class sum": f"{found.low:.4g}",
            "largest": f"{found.high:.4g}" if bounded else "no bound",
            "strays by (%)": f"{100 * found.spread / found.high:.1f}" if bounded else "100",
            "excess risk at most": f"{bound:.4g}" if bounded else "no bound",
            "wrong answers at most (%)": percent_or_none(
                theory.error_bound(loss, num_classes, rate)
            ),
        }
    return pd.DataFrame(rows).T


def worst_excess(loss: Loss, rates: Sequence[float], steps: int = 24) -> np.ndarray:
    """The largest excess risk over all posteriors of a lattice with K = 3, for each rate."""
    q, answers = theory.lattice(3, 12), theory.lattice(3, steps)
    return np.array([theory.excess_risk(loss, q, float(r), answers).max() for r in rates])


def bound_check(losses: Sequence[Loss], rates: Sequence[float]) -> pd.DataFrame:
    """The excess risk against its bound, K = 3: both at the last of ``rates``, the worst over all
    posteriors; the largest share of the bound over all rates; how often it is violated."""
    rows = {}
    for loss in distinct(losses):
        rates = [float(r) for r in rates if r > 0]
        bound = np.array([theory.excess_risk_bound(loss, 3, r) for r in rates])
        worst = worst_excess(loss, rates)
        violated = int((worst > bound + 1e-9).sum())
        share = (worst / np.where(bound > 0, bound, np.inf)).max()
        bounded, symmetric = np.isfinite(bound).all(), (bound == 0).all()
        rows[label(loss)] = {
            "bound": "0" if symmetric else f"{bound[-1]:.3g}" if bounded else "none",
            "worst found": f"{worst[-1]:.3g}",
            "worst / bound, any rate": f"{share:.2f}" if bounded and not symmetric else "–",
            "rates with a violation": f"{violated} of {len(rates)}",
        }
    return pd.DataFrame(rows).T


def ratio_on_grid(loss: Loss, n: int) -> float:
    """The asymmetry ratio as a grid of n steps over p and d shows it: never at the limit."""
    p = np.arange(n + 1) / n
    cost = theory.value(loss, theory.simplex(np.clip(p, 1e-12, 1), 2))
    least = [((cost[: n + 1 - d] - cost[d:]) / (cost[0] - cost[d])).min() for d in range(1, n + 1)]
    return float(min(least))


@traced
def ratio_table(losses: Sequence[Loss], num_classes: int) -> pd.DataFrame:
    """The asymmetry ratio, and the largest rates at which the noise ratio stays within it: for
    symmetric noise eta/(K-1)/(1-eta), for noise onto one class eta/(1-eta)."""
    rows = {}
    for loss in distinct(losses):
        r, beyond = theory.asymmetry_ratio(loss), theory.asymmetry_ratio(loss, 0.1)
        others = (num_classes - 1) * r
        rows[label(loss)] = {
            "asymmetry ratio r": f"{r:.3f}",
            "symmetric noise up to (%)": f"{100 * others / (1 + others):.1f}",
            "noise onto one class up to (%)": f"{100 * r / (1 + r):.1f}",
            "r for errors above 0.1": f"{beyond:.3f}",
        }
    return pd.DataFrame(rows).T


@traced
def resting_table(losses: Sequence[Loss], num_classes: int, rate: float) -> pd.DataFrame:
    """Under symmetric noise: the least error beyond which the asymmetry ratio covers the noise
    ratio, and the error 1 - p_y at which the noisy risk is least (``theory.at_rest``)."""
    level = rate / (num_classes - 1) / (1 - rate)
    rows = {}
    for loss in distinct(losses):
        rest = theory.at_rest(loss, num_classes, rate)
        rows[label(loss)] = {
            "asymmetric beyond an error of": covered_beyond(loss, level),
            "error at rest": f"{1 - rest.belief:.3f}",
            "belief in the true class": f"{rest.belief:.3f}",
        }
    return pd.DataFrame(rows).T


def covered_beyond(loss: Loss, level: float) -> str:
    """The least epsilon at which the asymmetry ratio beyond epsilon reaches ``level``."""
    if theory.asymmetry_ratio(loss) >= level:
        return "0 (always)"
    if theory.asymmetry_ratio(loss, 0.999) < level:
        return "never"
    low, high = 0.0, 0.999
    while high - low > 1e-5:  # the ratio grows with epsilon: there are fewer answers left to fail
        middle = (low + high) / 2
        low, high = (
            (low, middle) if theory.asymmetry_ratio(loss, middle) >= level else (middle, high)
        )
    return f"{high:.3f}"


@traced
def calibration_table(losses: Sequence[Loss], noises: dict[str, np.ndarray]) -> pd.DataFrame:
    """Share of posteriors (K = 3) whose noisy minimiser has the Bayes class of the clean posterior
    on top, and its mean belief in it, for each noise."""
    rows = {
        "the noisy posterior itself": {
            name: f"{100 * kept_on_top(T):.0f} %" for name, T in noises.items()
        }
    }
    for loss in distinct(losses):
        found = {name: theory.calibration(loss, T) for name, T in noises.items()}
        rows[label(loss)] = {n: f"{c.right:.0f} % ({c.belief:.2f})" for n, c in found.items()}
    return pd.DataFrame(rows).T


def kept_on_top(T: np.ndarray, steps: int = 20) -> float:
    """The share of clean posteriors whose most probable class is that of the noisy one, too: what
    no loss can better."""
    q = theory.lattice(len(T), steps)
    ordered = np.sort(q, axis=1)
    q = q[ordered[:, -1] > ordered[:, -2] + 1e-9]
    return float(((q @ T).argmax(axis=1) == q.argmax(axis=1)).mean())


def measured_weights(loss: Loss, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(p_y, w) with w = |dL/dz_y| / (1 - p_y) from autograd, for a few answers p."""
    import torch

    p_y = np.geomspace(2e-4, 0.97, 12)
    z = torch.from_numpy(np.log(theory.simplex(p_y, num_classes)))
    slopes = theory.by_autograd(loss, z, torch.zeros(len(z), dtype=torch.int64))
    return p_y, np.abs(slopes[:, 0]) / (1 - p_y)


@traced
def weight_table(losses: Sequence[Loss], num_classes: int) -> pd.DataFrame:
    """Where the weight w and the pull w (1 - p_y) peak, and the pull relative to its peak on an
    untrained network (p_y = 1/K) and on a label that is all but ruled out (p_y = 0.01)."""
    p_y = np.linspace(1e-4, 1 - 1e-4, 20001)
    rows = {}
    for loss in distinct(losses):
        w = theory.weight(loss, p_y)
        pull = w * (1 - p_y)
        at = {p: float(theory.weight(loss, p) * (1 - p)) for p in (1 / num_classes, 0.01)}
        peak = pull.max()
        rows[label(loss)] = {
            "w peaks at p_y": "everywhere" if np.ptp(w) < 1e-9 else f"{p_y[w.argmax()]:.2f}",
            "pull peaks at p_y": f"{p_y[pull.argmax()]:.2f}",
            "largest pull": f"{peak:.3f}",
            "untrained (% of it)": f"{100 * at[1 / num_classes] / peak:.1f}",
            "p_y = 0.01 (% of it)": f"{100 * at[0.01] / peak:.1f}",
        }
    return pd.DataFrame(rows).T


def percent_or_none(share: float) -> str:
    """A bound on a share in percent, or that it says nothing."""
    return "no guarantee" if share >= 1 else f"{100 * share:.1f}"


def three_class_noises() -> dict[str, np.ndarray]:
    """The noises of the calibration table: K = 3, so symmetric noise ends at 2/3."""
    return {
        "clean": noise.symmetric(3, 0.0),
        "symmetric 40 %": noise.symmetric(3, 0.4),
        "symmetric 60 %": noise.symmetric(3, 0.6),
        "pairflip 40 %": noise.pairflip(3, 0.4),
        "symmetric 70 %, beyond the limit": noise.symmetric(3, 0.7),
    }
