"""Tables of notebook 08: how well wrong labels are found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd

from labelnoise.analysis import stats
from labelnoise.analysis.tables import MISSING, count, interval, number, signed, sources, spread
from labelnoise.analysis.tables.model_the_noise import NOISES
from labelnoise.config import Run
from labelnoise.files import COMMITTED, REPRODUCED
from labelnoise.noise import detection
from labelnoise.noise.detection import FILTERS
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import call, traced
from labelnoise.training.task import given_labels

SURE = 0.01  # a network that gives a label less than this is sure that it is wrong


@dataclass(frozen=True)
class Evidence:
    """What the networks of one cross-validation say of samples that they never saw.

    ``given`` and ``true``, int ``[N]``, are the labels as the run had them and before its noise;
    ``p`` ``[N, K]`` are the out-of-sample probabilities.
    """

    run: Run
    given: np.ndarray
    true: np.ndarray
    p: np.ndarray
    ledger: str = "results"

    @property
    def origin(self) -> dict:
        """The arrays beside the record, as ``origin.expression`` tells them."""
        return {"evidence": f"{self.run.dataset}/{self.run.key}", "ledger": self.ledger}

    @property
    def wrong(self) -> np.ndarray:
        return self.given != self.true

    @property
    def suggestion(self) -> np.ndarray:
        """The most probable class of each sample."""
        return self.p.argmax(axis=1)

    @cached_property
    def order(self) -> np.ndarray:
        """All samples, the most suspect first."""
        return detection.ranked(self.given, self.p)

    def first(self, n: int, *, flipped: bool | None = None) -> np.ndarray:
        """The ``n`` most suspect samples, or with ``flipped`` those whose label was flipped by the
        noise (True) or was not (False)."""
        kept = self.order if flipped is None else self.order[self.wrong[self.order] == flipped]
        return kept[:n]


def evidence(
    outcomes: Sequence[Outcome], images: np.ndarray, true: np.ndarray
) -> dict[str, Evidence]:
    """Loss -> what its first outcome with stored arrays says; a loss without any is left out.
    ``images`` and ``true`` are the training set that the runs load."""
    found = {}
    for o in outcomes:
        if loss_name(o) in found or "detection" not in o.record["result"]:
            continue
        folder = COMMITTED if o.source == "committed" else REPRODUCED / "results"
        if (arrays := Ledger(folder).arrays(o.run)) is not None:
            part, labels = images[: o.run.subset], true[: o.run.subset]
            given = given_labels(o.run, part, labels)
            p = arrays["probabilities"].astype(np.float32)
            found[loss_name(o)] = Evidence(o.run, given, labels, p, o.ledger)
    return found


def loss_name(item: Outcome | Run) -> str:
    """The loss alone: every detector of a table is made by the same method."""
    return (item.run if isinstance(item, Outcome) else item).loss.label


def by_loss(runs: Sequence[Run], outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes of every loss that was asked for, an empty list where none is recorded."""
    groups = {loss_name(run): [] for run in runs}
    for o in outcomes:
        groups[loss_name(o)].append(o)
    return groups


def detector_table(runs: Sequence[Run], outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row a loss: average precision of its ranking and the wrong labels among its first 1000
    suggestions, mean ± sd and 95 % t interval over seeds; last what a random order would find."""
    columns = {
        "average_precision": ("average precision (%)", "95 % interval (%)", 2, 100),
        "found": (
            f"wrong in the first {detection.FIRST}", "95 % interval (labels)", 1, detection.FIRST
        ),
    }  # fmt: skip
    rows = {}
    for name, group in by_loss(runs, outcomes).items():
        row = rows.setdefault(name, {})
        for field, (title, likely, digits, top) in columns.items():
            values = [o.record["result"]["detection"][field] for o in group]
            row |= {title: spread(values, digits), likely: interval(values, digits, top)}
        row |= {"seeds": number(count(group), 0), "source": sources(group)}
    rates = [o.record["result"]["noise_rate"] for o in outcomes]
    chance = [stats.mean(rates)] if rates else []
    rows["random order"] = {
        "average precision (%)": spread(chance),
        columns["found"][0]: spread([c / 100 * detection.FIRST for c in chance], 1),
    }
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    return table.fillna("").rename_axis("loss")


def filter_table(runs: Sequence[Run], outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """cleanlab's filters for every loss: labels flagged, precision and recall in percent, mean ±
    sd over seeds."""
    rows = {}
    for name, group in by_loss(runs, outcomes).items():
        for by in FILTERS:
            cells = [o.record["result"]["detection"]["filters"][by] for o in group]
            rows[name, by] = {
                "flagged": spread([c["flagged"] for c in cells], 0),
                **{f"{field} (%)": spread([c[field] for c in cells if c[field] is not None], 1)
                   for field in ("precision", "recall")},
            }  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    return table.rename_axis(["loss", "filter"])


@traced
def ranked_table(runs: Sequence[Run], found: Mapping[str, Evidence]) -> pd.DataFrame:
    """cleanlab's filters beside a plain ranking that accuses as many: the labels with the least
    out-of-sample p_y. Precision and recall in percent, of one seed."""
    titles = [f"{which}: {share}" for which in ("filter", "ranking")
              for share in ("precision", "recall")]  # fmt: skip
    rows = {}
    for name in by_loss(runs, []):
        for by in FILTERS:
            rows[name, by] = {"flagged": MISSING, **dict.fromkeys(titles, MISSING)}
            if (says := found.get(name)) is None:
                continue
            flagged = np.flatnonzero(detection.suspects(says.given, says.p, by))
            rows[name, by]["flagged"] = str(len(flagged))
            shares = [
                detection.share(says.wrong[chosen].sum(), among)
                for chosen in (flagged, says.first(len(flagged)))
                for among in (len(flagged), says.wrong.sum())
            ]
            rows[name, by] |= {
                title: number(share, 1) for title, share in zip(titles, shares, strict=True)
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["loss", "filter"])


@traced
def depth_table(
    says: Evidence | None, ends: Sequence[int] = (1000, 5000, 10000, 15000, 18000, 20000)
) -> pd.DataFrame:
    """How far down its list of suspects is a detector worth reading? After that many suggestions,
    in percent: the share of wrong labels since the row above, among all so far, and of all wrong
    labels the share that is found."""
    rows = {}
    for start, end in zip((0, *ends), ends, strict=False):
        rows[f"{end}"] = dict.fromkeys(("wrong since then (%)", "wrong so far (%)",
                                        "of all that are wrong (%)"), MISSING)  # fmt: skip
        if says is not None:
            hits = says.wrong[says.order]
            shares = (
                detection.share(hits[start:end].sum(), end - start),
                detection.share(hits[:end].sum(), end),
                detection.share(hits[:end].sum(), hits.sum()),
            )
            rows[f"{end}"] = {
                title: number(share, 1) for title, share in zip(rows[f"{end}"], shares, strict=True)
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("suggestions")


@traced
def failure_table(
    runs: Sequence[Run], outcomes: Sequence[Outcome], found: Mapping[str, Evidence]
) -> pd.DataFrame:
    """The two ways in which a detector fails, in percent. How often a network repeats a wrong
    label, of samples that it trains on (mean over folds and seeds) and of samples that it never saw
    (``found``); and how often it gives a right label, never seen, less than ``SURE``."""
    rows = {}
    for name, group in by_loss(runs, outcomes).items():
        unseen = doubted = None
        if (says := found.get(name)) is not None:
            unseen = 100 * float((says.suggestion == says.given)[says.wrong].mean())
            p_y = says.p[np.arange(len(says.given)), says.given]
            doubted = 100 * float((p_y < SURE)[~says.wrong].mean())
        rows[name] = {
            "wrong, repeated, seen (%)": spread(
                [w for o in group if (w := o.record["result"]["fit_wrong"]) is not None], 1
            ),
            "wrong, repeated, never seen (%)": number(unseen, 1),
            f"right, p_y < {100 * SURE:g} % (%)": number(doubted),
        }
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).rename_axis("loss")


@traced
def suggestion_table(runs: Sequence[Run], found: Mapping[str, Evidence]) -> pd.DataFrame:
    """Is the network's favourite class the true one? In percent of the wrong labels among the first
    1000 suggestions, of those that cleanlab's default filter flags, and of all there are."""
    titles = (f"first {detection.FIRST}", f"flagged by {FILTERS[0]}", "all")
    rows = {}
    for name in by_loss(runs, []):
        rows[name] = dict.fromkeys(titles, MISSING)
        if (says := found.get(name)) is not None:
            first = np.isin(np.arange(len(says.given)), says.first(detection.FIRST))
            flagged = detection.suspects(says.given, says.p, FILTERS[0])
            right = says.suggestion == says.true
            for title, group in zip(titles, (first, flagged, first | True), strict=True):
                of = group & says.wrong
                rows[name][title] = number(detection.share((right & of).sum(), of.sum()), 1)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("loss")


def pruning_table(runs: Sequence[Run], outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """A row for every pruned run that was asked for: what was removed, and the last epoch (clean
    test accuracy, percent) of the same loss on all labels, of the first stage (the mean of its
    folds), and of the second stage, which trains on what was kept."""
    found = {o.run.key: o for o in outcomes}
    rows = {}
    pruned_runs = [run for run in runs if run.method and run.method.name == "pruned"]
    for noise, run in product(NOISES, pruned_runs):
        if run.noise != NOISES[noise]:
            continue
        result = found[run.key].record["result"] if run.key in found else None
        whole = found.get(replace(run, method=None).key)
        pruned = result["pruned"] if result else {}
        precision = call(detection.share, pruned["wrong"], pruned["removed"]) if pruned else None
        all_labels, second = whole and whole.last, result and result["last"]
        rows[noise, run.seed] = {
            "labels removed": number(pruned.get("removed"), 0),
            "of these wrong (%)": number(precision, 1),
            "one training, all labels": number(all_labels),
            "first stage": number(result and result["first"]["last"]),
            "second stage": number(second),
            "gain": MISSING if None in (all_labels, second) else signed(second - all_labels),
        }
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    return table.rename_axis(["noise", "seed"])


def judged(given: np.ndarray, wrong: np.ndarray, named: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Probabilities ``[N, K]`` by name, each as a detector of the ``wrong`` labels, with cleanlab's
    default filter."""
    rows = {}
    for name, p in named.items():
        made = detection.detection(given, p, wrong)
        flagged = made["filters"][FILTERS[0]]
        repeated = detection.share((p.argmax(axis=1) == given)[wrong].sum(), wrong.sum())
        rows[name] = {
            "wrong labels repeated (%)": number(repeated, 0),
            "average precision (%)": number(made["average_precision"], 0),
            "flagged": flagged["flagged"],
            "precision (%)": number(flagged["precision"], 0),
            "recall (%)": number(flagged["recall"], 0),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
