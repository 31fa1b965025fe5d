"""The rules of notebook 05: are robust losses better than cross-entropy, and CLL than the others,
"in most cases"?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from labelnoise.analysis.contrasts import Verdict, judge
from labelnoise.analysis.rules.rule import Rule, accuracies
from labelnoise.analysis.stats import differences
from labelnoise.config import Run
from labelnoise.experiments.benchmark import (
    benchmark_cifar10,
    benchmark_cnn,
    benchmark_headline,
    benchmark_mlp,
    benchmark_mr,
    benchmark_small,
)
from labelnoise.runs.sweep import Outcome

MARGIN = 0.5  # percentage points
STOPPED = "CE, stopped early"

MOST_CASES = """\
A cell is a data set, a network and a noise. Clean test accuracy after the last epoch, in percent,
paired by seed within a cell; a diverged run counts as a guess, 100/K. CE stopped early is CE
trained on 90 % of the labels, at the epoch with the best accuracy on the noisy labels of the rest.
(The cell of the headline has no such run.) In each cell that has all of its runs every other method
is compared with CE, and CLL with every loss but CE, two families. A method is above or below if its
paired t-test, two-sided and adjusted by Holm over the family, has p < 0.05 and its mean difference
lies beyond 0.5 points; equivalent if both one-sided tests against plus and minus 0.5 points,
adjusted likewise, have p < 0.05; undecided otherwise.
(Holm over paired tests, and not Dunnett's test, since the spread over seeds differs up to a hundred
times between losses, and Dunnett's pools it.)
"In most cases" is read twice. The abstract's sentence: a case is a cell and a loss other than CE
and CLL, and CLL wins it if CLL minus that loss is above. Robust losses against CE: a case is a cell
and a loss other than CE, CLL among them, and the loss wins it if it is above; CE stopped early
stands in the tables and in no share. Of both the shares of cases that are won, lost (below) and
open (equivalent or undecided) are reported, those won with a 95 % interval from resampling data
sets: all ordered draws of as many data sets as there are, with replacement, 2.5 and 97.5 % points.
The sentence is reproduced if that interval lies above one half; not reproduced if the same interval
of the cases that are won or open lies below one half; undecided otherwise, and with fewer than
three data sets. They are our data sets, not the paper's.
The cell MNIST, CNN, 60 % symmetric is the headline, whose records are older than this rule: it is
in the tables and in the shares, and the shares are given without it, too.
"""


@dataclass(frozen=True)
class Cell:
    """A data set, a network and a noise, as tables print them."""

    dataset: str
    model: str
    noise: str


def cell_of(run: Run) -> Cell:
    return Cell(run.dataset, run.model, f"{run.noise.kind} {100 * run.noise.rate:g} %")


def by_cell(outcomes: Sequence[Outcome]) -> dict[Cell, dict[str, dict[int, float]]]:
    """Cell -> method -> accuracy by seed, in percent."""
    cells: dict[Cell, dict[str, list[Outcome]]] = {}
    for o in outcomes:
        method = STOPPED if o.run.val_fraction else o.run.loss.name
        cells.setdefault(cell_of(o.run), {}).setdefault(method, []).append(o)
    return {
        cell: {
            name: accuracies(group, "val_chosen" if name == STOPPED else "last")
            for name, group in methods.items()
        }
        for cell, methods in cells.items()
    }


def compare(methods: Mapping[str, dict[int, float]], base: str, turned: bool) -> dict[str, Verdict]:
    """Each other method minus ``base``; ``turned``: base minus each. One family."""
    pairs = {}
    for name, each in methods.items():
        a, b = (methods[base], each) if turned else (each, methods[base])
        if name != base and (found := differences(a, b)):
            pairs[name] = found
    return judge(pairs, MARGIN)


def judge_most_cases(outcomes: Sequence[Outcome]) -> dict[str, dict]:
    """``against CE`` and ``CLL against``: cell -> method -> verdict, for the cells whose runs are
    all there; and ``shares``, a ``Share`` for both readings, or None without a case."""
    there = {o.run.key for o in outcomes}
    whole: dict[Cell, bool] = {}
    for run in judged_runs() + benchmark_headline():
        whole[cell_of(run)] = whole.get(cell_of(run), True) and run.key in there
    against, turned = {}, {}
    for cell, methods in by_cell([o for o in outcomes if whole.get(cell_of(o.run))]).items():
        against[cell] = compare(methods, "CE", turned=False)
        others = {name: each for name, each in methods.items() if name not in ("CE", STOPPED)}
        turned[cell] = compare(others, "CLL", turned=True)
    losses = {cell: {n: v for n, v in each.items() if n != STOPPED}
              for cell, each in against.items()}  # fmt: skip
    shares = {"robust losses above CE": share(losses), "CLL above the others": share(turned)}
    return {"against CE": against, "CLL against": turned, "shares": shares}


@dataclass(frozen=True)
class Share:
    """Cases in percent: won, with its 95 % interval over data sets, lost and open; and the word."""

    won: float
    low: float
    high: float
    lost: float
    open: float
    word: str


def share(verdicts: Mapping[Cell, Mapping[str, Verdict]]) -> Share | None:
    """The shares of one reading, by the rule; None without a case."""
    words: dict[str, list[str]] = {}
    for cell, each in verdicts.items():
        words.setdefault(cell.dataset, []).extend(v.word for v in each.values())
    sets = [np.array(found) for found in words.values() if found]
    if not sets:
        return None
    low, high = resampled([found == "above" for found in sets])
    _, at_best = resampled([found != "below" for found in sets])
    word = "undecided"
    if len(sets) >= 3:
        word = "reproduced" if low > 50 else "not reproduced" if at_best < 50 else "undecided"
    every = np.concatenate(sets)
    won, lost = (100 * float((every == word).mean()) for word in ("above", "below"))
    return Share(won, low, high, lost, 100 - won - lost, word)


def resampled(sets: Sequence[np.ndarray]) -> tuple[float, float]:
    """The 2.5 and 97.5 % points of the share of hits, in percent, over all ordered draws of as many
    data sets as there are, with replacement."""
    draws = [100 * np.concatenate(drawn).mean() for drawn in product(sets, repeat=len(sets))]
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def judged_runs() -> list[Run]:
    """All cells but the headline's."""
    return (benchmark_mlp() + benchmark_small() + benchmark_mr() + benchmark_cnn()
            + benchmark_cifar10())  # fmt: skip


RULES = (
    Rule("most cases", MOST_CASES, MARGIN, judged_runs, judge_most_cases),
    Rule("most cases, the headline's cell", MOST_CASES, MARGIN, benchmark_headline,
         judge_most_cases, after="the headline's records are older than the benchmark"),
)  # fmt: skip
