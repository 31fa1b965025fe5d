"""Tables of notebook 09, its first and last part: what people's mistakes look like, and who finds
them.

A function is given the names of sets of labels and loads them itself, so that a trace can name
them. Where a seed draws annotators or flips it is ``SEED``, the first of the runs.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from labelnoise import data, noise
from labelnoise.analysis.rules.human_noise import Cell, half_of, judge_finding
from labelnoise.analysis.tables import MISSING, number, signed, spread
from labelnoise.analysis.tables.confident_learning import Evidence, evidence
from labelnoise.analysis.tables.step_decay_shape import NOT_JUDGED
from labelnoise.checks import one_of
from labelnoise.config import Run
from labelnoise.config.noise import CIFAR10N, HUMAN_SETS
from labelnoise.experiments.benchmark import FEW_SEEDS
from labelnoise.experiments.human_noise import human_detectors
from labelnoise.noise.detection import FILTERS, share
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced
from labelnoise.training.task import people

SEED = FEW_SEEDS[0]
OF = {"fashion_mnist_h": "clothes", "cifar10_features": "objects", "noisyag": "news"}
SETS = {  # what the notebook calls a set of labels -> its data set, and its name there
    **{name: ("fashion_mnist_h", name) for name in HUMAN_SETS["fashion_mnist_h"]},
    **{name: ("cifar10_features", name) for name in CIFAR10N},
    "news": ("noisyag", "annotator"),
}
HALVES = ("people", "twin")


# ------------------------------------------------------------------------------ the labels


def truth(dataset: str) -> np.ndarray:
    """The true labels of the training samples, int64 ``[N]``; of CIFAR-10 without its images."""
    if dataset == "cifar10_features":
        return data.load("cifar10n")["clean_label"]
    return data.load(dataset)[1]


def labels_of(name: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The true labels of a set of ``SETS``, those that people gave, and the names of the classes.

    ``ValueError`` lists the sets if there is none of this name.
    """
    one_of("set of people's labels", name, SETS)
    dataset, there = SETS[name]
    true = truth(dataset)
    return true, people(dataset, there, SEED, true), data.INFO[dataset].class_names


def beside(name: str) -> str:
    """The set to look at beside this one: one annotator's labels of another data set."""
    one_of("set of people's labels", name, SETS)
    return "annotator" if SETS[name][0] == "cifar10_features" else "random_label1"


def counts_of(dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """How many annotators gave each sample each class, int64 ``[N, K]``, and the true labels."""
    if dataset == "cifar10_features":
        found = data.load("cifar10n")
        three = np.stack([found[f"random_label{i}"] for i in (1, 2, 3)])
        true = found["clean_label"]
        return (three[:, :, None] == np.arange(10)).sum(axis=0), true
    return data.annotations(dataset), truth(dataset)


@traced
def sets_table() -> pd.DataFrame:
    """A row a set of people's labels: how many samples, how many of its labels and of its twin's
    are wrong, the class that fares worst, and the classes in which the truth has less than half of
    the labels, or fewer than a wrong class."""
    rows = {}
    for name, (dataset, there) in SETS.items():
        true, given, classes = labels_of(name)
        T = noise.realised(true, given, len(classes))
        twin = noise.corrupt(true, T, SEED, exact=True)[0]
        kept = T.diagonal()
        worst = int(kept.argmin())
        rows[OF[dataset], there] = {
            "samples": number(len(true), 0),
            "wrong (%)": number(share((given != true).sum(), len(true)), 1),
            "twin: wrong (%)": number(share((twin != true).sum(), len(true)), 1),
            "worst class": classes[worst],
            "wrong in it (%)": number(100 * (1 - kept[worst]), 1),
            "truth below half in": f"{(kept < 0.5).sum()} of {len(T)} classes",
            "truth outvoted in": listed(T.argmax(axis=1) != np.arange(len(T)), classes),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["data set", "set"])


def listed(chosen: np.ndarray, classes: Sequence[str]) -> str:
    """The names of the chosen classes, or a dash."""
    return ", ".join(np.array(classes)[chosen]) or MISSING


@traced
def confusions_table(name: str, first: int = 8) -> pd.DataFrame:
    """The most frequent confusions of one set: what share of a class is given another one, and what
    share of that one comes back (percent of the class)."""
    true, given, classes = labels_of(name)
    T = noise.realised(true, given, len(classes))
    off = np.where(np.eye(len(T), dtype=bool), -1.0, T)
    order = np.argsort(-off, axis=None, kind="stable")[: min(first, len(T) * (len(T) - 1))]
    rows = {
        (classes[i], classes[j]): {
            "so labelled (%)": number(100 * T[i, j], 1),
            "the other way round (%)": number(100 * T[j, i], 1),
        }
        for i, j in zip(*np.unravel_index(order, T.shape), strict=True)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["truth", "label"])


# ----------------------------------------------------------------- the dependence on the image


def by_class(counts: np.ndarray, true: np.ndarray) -> np.ndarray:
    """``T[i, j]``, the probability that an annotator calls an image of class i a j: the mean over
    the class of the shares of its annotators."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    return np.array([shares[true == k].mean(axis=0) for k in range(counts.shape[1])])


def errors(counts: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each sample, how many annotators are wrong, and how many there are."""
    n = counts.sum(axis=1)
    return n - counts[np.arange(len(true)), true], n


def of_three(counts: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The probabilities that 0, 1, 2 or 3 of three annotators of an image err, who are drawn
    without replacement: the mean over images."""
    from scipy.stats import hypergeom

    wrong, n = errors(counts, true)
    return hypergeom.pmf(np.arange(4)[:, None], n, wrong, 3).mean(axis=1)


def of_three_twins(T: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The same of three annotators who look at the class alone and err by ``T``."""
    from scipy.stats import binom

    rates = (1 - T.diagonal())[true]
    return binom.pmf(np.arange(4)[:, None], 3, rates).mean(axis=1)


def together(counts: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Of two annotators of an image: how often they agree, how often the second errs if the first
    does, and how often with the same label if both do; all in percent."""
    wrong, n = errors(counts, true)
    pairs = n * (n - 1)
    alike = counts * (counts - 1)
    right = alike[np.arange(len(true)), true]
    both = (wrong * (wrong - 1) / pairs).mean()
    return {
        "two agree (%)": share((alike.sum(axis=1) / pairs).mean(), 1),
        "one errs: the other, too (%)": share(both, (wrong / n).mean()),
        "both err: same label (%)": share(((alike.sum(axis=1) - right) / pairs).mean(), both),
    }


def together_twins(T: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """The same of two annotators who look at the class alone and err by ``T``."""
    rates = 1 - T.diagonal()
    alike, right = (T**2).sum(axis=1), T.diagonal() ** 2
    both = (rates**2)[true].mean()
    return {
        "two agree (%)": share(alike[true].mean(), 1),
        "one errs: the other, too (%)": share(both, rates[true].mean()),
        "both err: same label (%)": share((alike - right)[true].mean(), both),
    }


@traced
def agreement_table(datasets: Sequence[str]) -> pd.DataFrame:
    """How annotators of one image err together, and how they would if they looked at its class
    alone, with the same confusions (their twins): of three annotators how many are wrong, in
    percent of the images, and of two how often they agree."""
    rows = {}
    for dataset in datasets:
        counts, true = counts_of(dataset)
        T = by_class(counts, true)
        for half, wrong, two in (
            ("people", of_three(counts, true), together(counts, true)),
            ("twins", of_three_twins(T, true), together_twins(T, true)),
        ):
            titles = ("of 3 wrong: 0 (%)", "1 (%)", "2 (%)", "3 (%)")
            cells = dict(zip(titles, 100 * wrong, strict=True)) | two
            rows[OF[dataset], half] = {title: number(v, 1) for title, v in cells.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["data set", "labels of"])


@traced
def spread_table(dataset: str) -> pd.DataFrame:
    """Within each class, the share of an image's annotators who are wrong: its mean, and how far
    images are spread about it (standard deviation, percentage points), beside the spread by chance
    alone, of annotators who look at the class (twins)."""
    counts, true = counts_of(dataset)
    wrong, n = errors(counts, true)
    rows = {}
    for k, name in enumerate(data.INFO[dataset].class_names):
        shares = (wrong / n)[true == k]
        rate = shares.mean()
        rows[name] = {
            "wrong (%)": number(100 * rate, 1),
            "spread, people": number(100 * shares.std(), 1),
            "spread, twins": number(100 * np.sqrt((rate * (1 - rate) / n[true == k]).mean()), 1),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")


# ------------------------------------------------------------------------ who finds mistakes


def cells_of(runs: Sequence[Run]) -> list[tuple[Cell, str]]:
    """Every cell and loss that was asked for, in order."""
    return list(dict.fromkeys((half_of(run)[0], run.loss.name) for run in runs))


def at(outcomes: Sequence[Outcome], cell: Cell, half: str, loss: str) -> list[dict]:
    """What the detectors of one half of a cell found."""
    return [
        o.record["result"]["detection"]
        for o in outcomes
        if half_of(o.run) == (cell, half) and o.run.loss.name == loss
    ]


def row_of(cell: Cell, *more: str) -> tuple[str, ...]:
    return (OF[cell.dataset], cell.labels, *more)


@traced
def finding_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Average precision of the ranking by p_y (percent, mean ± sd over seeds), on people's labels
    and on the twin, a row a set and loss; people's minus the twin's with the word of the rule,
    once the whole family is there."""
    judged = judge_finding(outcomes)
    rows = {}
    for cell, loss in cells_of(human_detectors()):
        verdict = judged["verdicts"].get((cell, loss))
        word = verdict.word if verdict and judged["word"] else NOT_JUDGED
        found = {half: [d["average_precision"] for d in at(outcomes, cell, half, loss)]
                 for half in HALVES}  # fmt: skip
        rows[row_of(cell, loss)] = {
            **{f"{half} (%)": spread(values, 1) for half, values in found.items()},
            "difference (points)": MISSING if verdict is None else signed(verdict.mean),
            "verdict": word,
            "seeds": ", ".join(str(len(values)) for values in found.values()),
        }
    names = ["data set", "set", "loss"]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(names)


@traced
def filter_table(outcomes: Sequence[Outcome], by: str = FILTERS[0]) -> pd.DataFrame:
    """What one of cleanlab's filters flags, people's labels beside the twin: of all labels, and its
    precision and recall; percent, mean over seeds."""
    one_of("filter of cleanlab", by, FILTERS)
    sizes = {dataset: len(truth(dataset)) for dataset in OF}
    rows = {}
    for cell, loss in cells_of(human_detectors()):
        cells = rows[row_of(cell, loss)] = {}
        found = {
            half: [d["filters"][by] for d in at(outcomes, cell, half, loss)] for half in HALVES
        }
        for title in ("flagged", "precision", "recall"):
            for half, filters in found.items():
                values = [f[title] for f in filters if f[title] is not None]
                if title == "flagged":
                    values = [share(v, sizes[cell.dataset]) for v in values]
                cells[f"{title}, {half} (%)"] = number(np.mean(values) if values else None, 1)
    names = ["data set", "set", "loss"]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(names)


def missed(says: Sequence[Evidence]) -> np.ndarray:
    """The wrong labels that no detector has among its first suspects, of which it names as many as
    labels are wrong: bool ``[N]``."""
    found = np.zeros(len(says[0].given), dtype=bool)
    for each in says:
        found[each.first(int(each.wrong.sum()))] = True
    return says[0].wrong & ~found


def said(outcomes: Sequence[Outcome]) -> dict[tuple[Cell, str], list[Evidence]]:
    """(cell, half) -> what its detectors say of every sample, one seed, where every loss that was
    asked for has its arrays."""
    asked = {name for _, name in cells_of(human_detectors())}
    ordered = sorted(outcomes, key=lambda o: (str(half_of(o.run)), o.run.seed))
    found = {}
    for key, group in groupby(ordered, key=lambda o: half_of(o.run)):
        for _, of_seed in groupby(group, key=lambda o: o.run.seed):
            true = truth(key[0].dataset)
            says = evidence(list(of_seed), true, true)  # people's noise asks for no input
            if {each.run.loss.name for each in says.values()} == asked:
                found.setdefault(key, list(says.values()))
    return found


THIRDS = ("up to a third", "up to two thirds", "more")


def thirds(counts: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Which third of the annotators gave the sample this label: 0, 1 or 2, ``[N]``."""
    alike, n = counts[np.arange(len(given)), given], counts.sum(axis=1)
    return (3 * alike > n).astype(int) + (3 * alike > 2 * n)


def part(chosen: np.ndarray, among: np.ndarray) -> str:
    """The share in percent, and of how many."""
    n = int(among.sum())
    return MISSING if n == 0 else f"{number(share((chosen & among).sum(), n), 1)} (of {n})"


@traced
def missed_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Of the wrong labels, the share (percent) that none of the losses has among as many first
    suspects as labels are wrong; also by how many of the image's annotators gave this wrong label.
    The first seed whose arrays are there; in brackets how many wrong labels."""
    found = said(outcomes)
    rows = {}
    for cell in dict.fromkeys(cell for cell, _ in cells_of(human_detectors())):
        for half in HALVES:
            row = rows[row_of(cell, half)] = dict.fromkeys(("all", *THIRDS), MISSING)
            if (cell, half) not in found:
                continue
            says = found[cell, half]
            lost, wrong = missed(says), says[0].wrong
            third = thirds(counts_of(cell.dataset)[0], says[0].given)
            row["all"] = part(lost, wrong)
            row |= {name: part(lost, wrong & (third == k)) for k, name in enumerate(THIRDS)}
    names = ["data set", "set", "labels of"]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(names)


@traced
def missed_class_table(outcomes: Sequence[Outcome], dataset: str) -> pd.DataFrame:
    """The same share by the true class, for the sets of one data set."""
    found, true = said(outcomes), truth(dataset)
    columns: dict[str, Mapping[str, str]] = {}
    for cell in dict.fromkeys(cell for cell, _ in cells_of(human_detectors())):
        for half in HALVES if cell.dataset == dataset else ():
            says = found.get((cell, half))
            columns[f"{cell.labels}, {half}"] = {
                name: part(missed(says), says[0].wrong & (true == k)) if says else MISSING
                for k, name in enumerate(data.INFO[dataset].class_names)
            }
    return pd.DataFrame(columns).rename_axis("class")
