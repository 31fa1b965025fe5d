"""Tables of notebook 06: what each answer to 30 % of wrong labels is worth."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from labelnoise import noise
from labelnoise.analysis import stats
from labelnoise.analysis.rules.model_the_noise import verdict
from labelnoise.analysis.tables import MISSING, as_numbers, by_label, number, spread
from labelnoise.experiments.model_the_noise import THIRTY
from labelnoise.noise import estimation
from labelnoise.noise.transition import closest_rows, realised_rate
from labelnoise.runs.sweep import Outcome
from labelnoise.theory.model_the_noise import learnt, redrawn_rate
from labelnoise.tracing import of_numbers, traced

if TYPE_CHECKING:
    from labelnoise.analysis.tables.confident_learning import Evidence


NOISES = dict(zip(("drawn anew, 30 %", "symmetric, 30 %", "asymmetric, 30 %"), THIRTY, strict=True))
TONES = ("#D55E00", "#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7")  # Okabe and Ito
KINDS = {  # what an answer changes -> its colour (Okabe and Ito) and the names of its losses
    "the loss": ("#0072B2", ("CE", "ClippedCE", "GCE", "NCE+RCE", "AGCE", "CLL")),
    "the model of the noise": ("#D55E00", ("Mixture", "Forward", "Backward")),
    "the labels": ("#009E73", ("LabelSmoothing", "Bootstrap")),
    "the data": ("#CC79A7", ()),
}
STOPPED = "CE, stopped early"


@traced
def convention_table(num_classes: Sequence[int], rate: float) -> pd.DataFrame:
    """What "30 %" means in a formula, a row a number of classes K, in percent: how many labels are
    wrong if ``rate`` of them are drawn anew, and how many must be drawn anew for ``rate`` wrong."""
    rows = {
        K: {
            f"wrong, if {100 * rate:g} % are drawn anew":
                100 * realised_rate(noise.symmetric(K, rate, keep_true=True)),
            f"drawn anew, if {100 * rate:g} % are wrong": 100 * redrawn_rate(rate, K),
        }
        for K in num_classes
    }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").round(1).rename_axis("K")


@traced
def learnt_table(samples: Mapping[str, Sequence[float]], rate: float) -> pd.DataFrame:
    """What each answer makes a network say, in percent of its favourite class, where the clean
    posterior is as in ``samples``: ``thirty_percent.learnt``, a column a sample."""
    columns = {
        name: {loss: 100 * p.max() for loss, p in learnt(q, rate).items()}
        for name, q in samples.items()
    }
    return pd.DataFrame(columns).round(1).rename_axis("loss")


def kind(outcome: Outcome) -> str:
    """What the answer changes: the loss, the model, the labels or the data."""
    if outcome.run.method:
        return "the data"
    return next(k for k, (_, names) in KINDS.items() if outcome.run.loss.name in names)


def best_of(outcome: Outcome) -> float | None:
    """Clean test accuracy at the best epoch, percent; None for a diverged run."""
    return None if outcome.last is None else outcome.record["result"]["best"]


def by_noise(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes of each of the three noises, in the order of ``NOISES``; others are left out."""
    return {name: [o for o in outcomes if o.run.noise == of] for name, of in NOISES.items()}


def gains(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """Label -> last-epoch accuracy minus CE's, seed by seed, for outcomes of one noise; an answer
    that shares no finished seed with CE is left out."""
    groups = by_label([o for o in outcomes if o.last is not None])
    ce = stats.by_seed(groups.pop("CE", []))
    finished = {label: stats.by_seed(group) for label, group in groups.items()}
    shared = {label: s for label, s in finished.items() if s.keys() & ce.keys()}
    return {label: stats.differences(s, ce) for label, s in shared.items()}


@of_numbers
def worth(differences: Sequence[float]) -> str:
    """The mean difference to CE at the same seeds, in points, and the word of the rule: helps or
    hurts where its 95 % interval leaves out 0."""
    gain = stats.summarise(differences)
    return f"{gain.mean:+.2f} ({verdict(gain)})"


def answers_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row an answer; for each noise the last epoch (mean ± sd, percent), and what it is worth
    against CE at the same seeds, with the verdict."""
    columns = {}
    for name, group in by_noise(outcomes).items():
        columns[name, "last epoch"] = {
            label: spread([o.last for o in each]) for label, each in by_label(group).items()
        }
        columns[name, "against CE"] = {
            label: worth(differences) for label, differences in gains(group).items()
        }
    order = list(by_label(outcomes))
    table = pd.DataFrame({key: pd.Series(cells, dtype=object) for key, cells in columns.items()})
    return table.reindex(order).fillna(MISSING).rename_axis("answer")


@traced
def kept_epochs(records: Sequence[Outcome]) -> str:
    """The epochs that noisy validation keeps, the first of equals, in the order of the seeds."""
    ordered = sorted(records, key=lambda o: o.run.seed)
    return ", ".join(str(1 + np.argmax(o.record["curves"]["val_accuracy"])) for o in ordered)


def early_stopping_table(
    outcomes: Sequence[Outcome], stopped: Sequence[Outcome], answer: str
) -> pd.DataFrame:
    """Early stopping on noisy labels beside CE and another ``answer`` (its label), a column a
    noise: clean test accuracy in percent, mean ± sd over seeds. ``stopped``: runs of CE that hold
    out a share of their noisy labels."""
    columns = {}
    for name, group in by_noise(outcomes).items():
        mine = [o for o in by_noise(stopped)[name] if o.last is not None]
        labelled = by_label([o for o in group if o.last is not None])
        ce, other = (stats.by_seed(labelled.get(label, [])) for label in ("CE", answer))
        kept = stats.by_seed(mine, "val_chosen")
        gain, rest = stats.differences(kept, ce), stats.differences(other, kept)
        columns[name] = {
            "CE on all labels, last epoch": spread([*ce.values()]),
            "CE on 90 %, last epoch": spread([o.last for o in mine]),
            f"{STOPPED}: the epoch that is kept": spread([*kept.values()]),
            "which epoch that is, by seed": kept_epochs(mine) if mine else MISSING,
            "the best epoch there was": spread([best_of(o) for o in mine]),
            f"{STOPPED}, against CE": worth(gain) if gain else MISSING,
            f"{answer}, last epoch": spread([*other.values()]),
            f"{answer}, against {STOPPED}": spread(rest),
        }
    return pd.DataFrame(columns, dtype=object).rename_axis("clean test accuracy (%)")


def estimates_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """How far the estimated matrices lie from the true one (mean total variation of the rows, in
    percent), by noise and estimator, mean ± sd over seeds."""
    columns = {
        name: {
            label: spread([100 * estimation_error(o) for o in each])
            for label, each in by_label([o for o in group if o.run.loss.estimated]).items()
        }
        for name, group in by_noise(outcomes).items()
    }
    return pd.DataFrame(columns, dtype=object).fillna(MISSING).rename_axis("answer")


def corrected_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Forward correction at several rates, in percent: the error of an estimated T, the last epoch
    of the first training (the mean of its folds), the last and the best epoch of the second, by
    noise and estimator, mean ± sd over seeds; with the true T there is one training."""
    rows: dict[tuple, dict] = {}
    for label, group in by_label(outcomes).items():
        for noise_of in {(o.run.noise.kind, o.run.noise.rate) for o in group}:
            mine = [o for o in group if (o.run.noise.kind, o.run.noise.rate) == noise_of]
            cells = rows.setdefault(noise_of, {})
            if mine[0].run.loss.estimated:
                cells[label, "error of T"] = spread([100 * estimation_error(o) for o in mine])
                first = [o.record["result"]["first"]["last"] for o in mine]
                cells[label, "first training"] = spread(first)
            cells[label, "last epoch"] = spread([o.last for o in mine])
            cells[label, "best epoch"] = spread([best_of(o) for o in mine])
    table = pd.DataFrame.from_dict(dict(sorted(rows.items())), orient="index", dtype=object)
    table = table.fillna(MISSING)
    return table.rename_axis(["noise", "rate"]) if rows else table


def matrix_of(outcome: Outcome) -> np.ndarray:
    """The matrix ``[K, K]`` that the run corrected with, estimated or assumed."""
    run = outcome.run
    if run.loss.estimated:
        return np.array(outcome.record["result"]["T"])
    return run.loss.parameters["T"].matrix(run.dataset)


@traced
def closest(record: Outcome) -> str:
    """The two most similar rows of the matrix that the run corrected with."""
    i, j, _ = closest_rows(matrix_of(record))
    return f"{i} and {j}"


@traced
def apart(record: Outcome) -> float:
    """How far apart those rows are, in percent."""
    return round(100 * closest_rows(matrix_of(record))[2], 1)


def closest_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Forward correction with several matrices, a row a run, the matrix with the most similar pair
    of rows last. Which two rows those are, and how far apart (``transition.closest_rows``); last
    and best epoch; and what the network says of its own training set, correct labels fitted and
    wrong ones memorised. In percent."""
    rows = []
    for o in outcomes:
        result = o.record["result"]
        rows.append(
            {
                "answer": o.run.label,
                "closest rows": closest(o),
                "apart": apart(o),
                "last epoch": number(o.last),
                "best epoch": number(best_of(o)),
                "correct labels fitted": number(result["fit_clean"], 1),
                "wrong labels memorised": number(result["fit_wrong"], 1),
            }
        )
    if not rows:
        return pd.DataFrame()
    table = as_numbers(pd.DataFrame(rows, dtype=object).set_index("answer"))
    return table.sort_values("apart", ascending=False, kind="stable")


@traced
def anchor_table(unseen: Mapping[str, "Evidence"], T: np.ndarray) -> pd.DataFrame:
    """The error (percent) of T as read off predictions of samples that the networks never saw, a
    column a loss: ``unseen`` is loss -> its evidence, given labels ``[N]`` and probabilities
    ``[N, K]``. By one sample a class, at several percentiles of p_i; by the mean of the samples
    whose favourite class is i; by the confident joint."""
    columns = {}
    for loss, says in unseen.items():
        given, p = says.given, says.p
        p, favourite = p / p.sum(axis=1, keepdims=True, dtype=np.float64), p.argmax(axis=1)
        made = {
            f"one sample, at the {q} % point of p_i": estimation.from_anchors(p, q)
            for q in (95, 96, 97, 99, 100)
        }
        made["mean of all samples predicted as i"] = np.stack(
            [p[favourite == k].mean(axis=0) for k in range(len(T))]
        )
        made["confident joint"] = estimation.from_confident_joint(given, p)
        columns[loss] = {by: number(100 * estimation.error(M, T), 1) for by, M in made.items()}
    return pd.DataFrame(columns).rename_axis("row i of T is read from")


@traced
def estimation_error(outcome: Outcome) -> float:
    """How far the matrix that the run estimated lies from the true one: the mean total variation of
    the rows, in [0, 1]."""
    T = outcome.run.noise.matrix(outcome.run.dataset)
    return float(estimation.error(outcome.record["result"]["T"], T))


def first_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Both stages of the answers that train more than once: last epoch of the first training (the
    mean of its folds) and of the second, percent, mean ± sd over seeds."""
    rows = {
        (name, label): {
            "first training": spread([o.record["result"]["first"]["last"] for o in each]),
            "second training": spread([o.last for o in each]),
        }
        for name, group in by_noise(outcomes).items()
        for label, each in by_label(group).items()
        if "first" in each[0].record["result"]
    }
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    return table.rename_axis(["noise", "answer"]) if rows else table
