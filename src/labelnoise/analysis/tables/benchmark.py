"""Tables of notebook 05: the same losses in every cell, and at the same budget of tuning."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from labelnoise import data
from labelnoise.analysis import stats
from labelnoise.analysis.rules import benchmark as rule
from labelnoise.analysis.rules import tuning as budget
from labelnoise.analysis.rules.benchmark import STOPPED, Cell
from labelnoise.analysis.tables import MISSING, number, spread
from labelnoise.analysis.tables.step_decay_shape import listed
from labelnoise.config import Run
from labelnoise.experiments import GRIDS
from labelnoise.experiments.benchmark import NAMES, TUNED_CELLS, protocol_at
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced

BENCHMARK = ("benchmark_headline", "benchmark_mlp", "benchmark_small", "benchmark_mr",
             "benchmark_cnn", "benchmark_cifar10")  # fmt: skip
DATASETS = {
    "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "letter": "letter",
    "cifar10_features": "CIFAR-10, features", "cifar10": "CIFAR-10, pixels", "mr": "MR",
    "fashion_mnist_h": "Fashion-MNIST-H", "noisyag": "NoisyAG-News",
}  # fmt: skip
NETWORKS = {"mlp": "MLP", "linear": "linear head", "cnn4": "CNN", "word_cnn": "word CNN"}
METHODS = (*NAMES, STOPPED)
SIGNS = {"above": "\u25b2", "below": "\u25bc", "equivalent": "=", "undecided": "?"}


def asked() -> list[Run]:
    """Every run of every cell, a data set after the other."""
    runs = [run for name in BENCHMARK for run in GRIDS[name]()]
    return sorted(runs, key=lambda run: list(DATASETS).index(run.dataset))


def title(cell: Cell) -> tuple[str, str, str]:
    """Data set, network and noise of a cell, as tables and pictures print them."""
    return (DATASETS[cell.dataset], NETWORKS[cell.model], cell.noise.replace("dmi", "asymmetric"))


def by_title(rows: Mapping[Cell, Mapping[str, str]]) -> pd.DataFrame:
    """A row a cell; a dash for what it does not have."""
    table = pd.DataFrame.from_dict({title(cell): row for cell, row in rows.items()},
                                   orient="index", dtype=object)  # fmt: skip
    table.index = pd.MultiIndex.from_tuples(table.index, names=["data set", "network", "noise"])
    return table.fillna(MISSING)


# ------------------------------------------------------------------------- what is compared where


@traced
def protocol_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """A row a cell: its classes, what trains its network, with how many losses and seeds, and how
    many of its runs are recorded."""
    runs, rows = asked(), {}
    for cell in dict.fromkeys(map(rule.cell_of, runs)):
        mine = [run for run in runs if rule.cell_of(run) == cell]
        there = {o.run.key for o in outcomes} & {run.key for run in mine}
        p = mine[0].protocol
        rows[cell] = {
            "classes": str(data.INFO[cell.dataset].num_classes),
            "training": f"{p['optimizer'].upper()}, lr {p['lr']:g}, batch {p['batch']}, "
            f"{p['epochs']} epochs",
            "losses": str(len({run.loss.name for run in mine})),
            "seeds": f"{min(r.seed for r in mine)} to {max(r.seed for r in mine)}",
            "runs recorded": f"{len(there)} of {len(mine)}",
        }
    return by_title(rows)


def accuracy_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Clean test accuracy after the last epoch in percent, mean ± sd over seeds, ``[cell x
    method]``; of CE stopped early at the epoch that held-out noisy labels choose. A diverged run
    counts as a guess, as in the rule."""
    cells = rule.by_cell(outcomes)
    return by_title({
        cell: {name: spread(list(methods[name].values()), 1) for name in METHODS if name in methods}
        for cell, methods in cells.items()
    })  # fmt: skip


@traced
def verdict_table(outcomes: Sequence[Outcome], kind: str = "against CE") -> pd.DataFrame:
    """The mean difference in points and its word by the rule, of the cells whose runs are all
    there. ``kind``: ``against CE`` (each method minus CE) or ``CLL against`` (CLL minus each)."""
    return by_title({
        cell: {name: f"{v.mean:+.2f} {v.word}" for name, v in verdicts.items()}
        for cell, verdicts in rule.judge_most_cases(outcomes)[kind].items()
    })  # fmt: skip


@traced
def share_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """The shares of cases of both readings of "in most cases", with the cell of the headline and
    without it, in percent, and the words of the rule."""
    rows = {}
    headline = {run.key for run in GRIDS["benchmark_headline"]()}
    parts = {
        "all cells": outcomes,
        "without the headline's": [o for o in outcomes if o.run.key not in headline],
    }
    for part, found in parts.items():
        judged = rule.judge_most_cases(found)
        for reading, share in judged["shares"].items():
            cells = judged["CLL against" if reading.startswith("CLL") else "against CE"]
            if share is not None:
                rows[reading, part] = {
                    "cells": str(len(cells)),
                    "data sets": str(len({cell.dataset for cell in cells})),
                    "won (%)": f"{share.won:.0f}",
                    "95 % interval (%)": f"[{share.low:.0f}, {share.high:.0f}]",
                    "lost (%)": f"{share.lost:.0f}",
                    "open (%)": f"{share.open:.0f}",
                    "in most cases": share.word,
                }
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    return table.rename_axis(["reading", "of"])


def seeds_table(outcomes: Sequence[Outcome], name: str) -> pd.DataFrame:
    """One loss beside CE in every cell that has both, seed by seed: what the loss gains (percentage
    points), and its mean."""
    rows = {}
    for cell, methods in rule.by_cell(outcomes).items():
        if name in methods and (gains := stats.differences(methods[name], methods["CE"])):
            rows[cell] = {"mean": spread(gains, 1), "each seed": listed(gains)}
    return by_title(rows)


# ------------------------------------------------------------------------ the same budget of tuning


@traced
def tuned_table(
    cell: str,
    maps: Sequence[Outcome],
    tuned: Sequence[Outcome],
    published: Sequence[Outcome],
) -> pd.DataFrame:
    """A row a method of one of ``TUNED_CELLS``: the place that held-out noisy labels choose among
    ``maps``, their accuracy there (percent, mean of three seeds), and clean test accuracy of fresh
    seeds, mean ± sd, at the published setting and at that place; the latter minus tuned CE, with
    its word."""
    dataset, places = TUNED_CELLS[cell][0], budget.chosen_places(maps, (cell,)).get(cell, {})
    at_place, as_published = (budget.by_method(some, cell) for some in (tuned, published))
    verdicts = budget.judge_cells(tuned, (cell,)).get(cell, {})
    rows = {}
    for method in METHODS:
        if method not in places:
            continue
        name, place = "CE" if method == STOPPED else method, places[method]
        protocol = protocol_at(dataset, name, place)
        held_out = [
            budget.held_out(o, method == STOPPED) for o in budget.places_of(maps, cell, name)[place]
        ]
        verdict = verdicts.get(method)
        rows[method] = {
            "step, decay": f"{place[0]}, {place[1]}",
            "learning rate": f"{protocol['lr']:g}",
            "weight decay": f"{protocol['weight_decay']:g}",
            "held out (%)": number(np.mean(held_out), 1),
            "published (%)": spread(list(as_published.get(method, {}).values()), 1),
            "tuned (%)": spread(list(at_place.get(method, {}).values()), 1),
            "minus tuned CE": f"{verdict.mean:+.2f} {verdict.word}" if verdict else MISSING,
        }
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).rename_axis("method")


@traced
def order_table(tuned: Sequence[Outcome], published: Sequence[Outcome]) -> pd.DataFrame:
    """For each tuned cell whose runs are all there: how far the best and the worst of the eight
    losses lie apart at the published settings and at the tuned ones (points), which loss leads, and
    Spearman's rank correlation between the two orders."""
    rows = {}
    for cell in TUNED_CELLS:
        both = [budget.by_method(some, cell) for some in (published, tuned)]
        if all(set(NAMES) <= set(methods) for methods in both):
            before, after = ([np.mean(list(m[name].values())) for name in NAMES] for m in both)
            rows[cell] = {
                "apart, published": number(np.ptp(before), 1),
                "apart, tuned": number(np.ptp(after), 1),
                "first, published": NAMES[int(np.argmax(before))],
                "first, tuned": NAMES[int(np.argmax(after))],
                "rank correlation": number(stats.rank_correlation(before, after)[0]),
            }
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).rename_axis("cell")
