"""Tables of notebook 09: what is left of a loss's gain when the noise is people's."""

from collections.abc import Mapping, Sequence

import pandas as pd

from labelnoise.analysis.contrasts import ABOVE, BELOW, Verdict
from labelnoise.analysis.rules import human_noise as rule
from labelnoise.analysis.rules.benchmark import STOPPED
from labelnoise.analysis.rules.human_noise import COUNTED_T, TOLD_T, Cell
from labelnoise.analysis.tables import MISSING, spread
from labelnoise.analysis.tables.benchmark import DATASETS, NETWORKS
from labelnoise.experiments.benchmark import NAMES
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced

METHODS = (*NAMES, TOLD_T, STOPPED)
HALVES = ("people", "twin")
LABELS = {
    "aggre_label": "majority of three", "random_label1": "annotator 1", "random_label2":
    "annotator 2", "random_label3": "annotator 3", "worse_label": "worst of three",
    "annotator": "one annotator", "majority": "majority", "worst": "worst of three drawn",
}  # fmt: skip


def title(cell: Cell) -> tuple[str, str, str]:
    """Data set, network and label set of a cell, as tables and pictures print them."""
    return DATASETS[cell.dataset], NETWORKS[cell.model], LABELS[cell.labels]


def by_title(rows: Mapping[tuple, Mapping[str, str]], *levels: str) -> pd.DataFrame:
    """A row a cell, or a cell and what ``levels`` names; a dash for what it does not have."""
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    names = ["data set", "network", "labels", *levels]
    return table.set_axis(pd.MultiIndex.from_tuples(rows, names=names)).fillna(MISSING)


def accuracy_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Clean test accuracy after the last epoch in percent, mean ± sd over seeds, ``[cell and half x
    method]``; a diverged run counts as a guess, as in the rule."""
    rows = {}
    for cell, halves in rule.by_half(outcomes).items():
        for half in HALVES:
            found = halves.get(half, {})
            rows[(*title(cell), half)] = {
                name: spread(list(found[name].values()), 1) for name in METHODS if name in found
            }
    return by_title(rows, "noise")


@traced
def gain_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """What each method gains on CE (percentage points) with its word, under people's labels and
    under their twin, and people's gain minus the twin's; of the cells whose runs are all there."""
    judged, rows = rule.judge_survival(outcomes), {}
    for cell, halves in judged["gains"].items():
        parts = {**halves, "people minus twin": judged["left"][cell]}
        for part, verdicts in parts.items():
            rows[(*title(cell), part)] = {n: said(verdicts[n]) for n in METHODS if n in verdicts}
    return by_title(rows, "noise")


def said(verdict: Verdict) -> str:
    """The mean difference and its word."""
    return f"{verdict.mean:+.2f} {verdict.word}"


@traced
def survival_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """A row a data set: the cases, which are the methods above CE on a twin, and how many of them
    survive people, turn, and are broken promises; and last the words of the rule."""
    judged = rule.judge_survival(outcomes)
    cases = judged["cases"]
    rows = {}
    for dataset in dict.fromkeys(cell.dataset for cell in judged["gains"]):
        mine = [words for (cell, _), words in cases.items() if cell.dataset == dataset]
        rows[DATASETS[dataset]] = {
            "cells": str(sum(cell.dataset == dataset for cell in judged["gains"])),
            "cases": str(len(mine)),
            "survive": of(mine, 0, ABOVE),
            "turn": of(mine, 0, BELOW),
            "twin promised more": of(mine, 1, BELOW),
        }
    rows["by the rule"] = {"survive": judged["survive"], "twin promised more":
                           judged["broken promises"]}  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    return table.rename_axis("data set").fillna("")


def of(cases: Sequence[tuple[str, str]], which: int, word: str) -> str:
    """How many of the cases have a word, and which share."""
    n = sum(case[which] == word for case in cases)
    return f"{n} ({100 * n / len(cases):.0f} %)" if cases else MISSING


JUDGES = {COUNTED_T: rule.judge_counted, "DMI": rule.judge_dmi}


@traced
def beside_ce(outcomes: Sequence[Outcome], name: str) -> pd.DataFrame:
    """One of ``JUDGES``' methods beside CE with the same protocol and seeds, ``[cell and half]``:
    clean test accuracy, mean ± sd (percent), and the mean difference with its word; of the cells
    whose runs are all there."""
    halves, rows = rule.by_half(outcomes), {}
    for (cell, half), verdict in JUDGES[name](outcomes)["verdicts"].items():
        found = halves[cell][half]
        shared = sorted(set(found[name]) & set(found["CE"]))
        rows[(*title(cell), half)] = {
            **{m: spread([found[m][seed] for seed in shared], 1) for m in ("CE", name)},
            "difference": said(verdict),
        }
    return by_title(rows, "noise")
