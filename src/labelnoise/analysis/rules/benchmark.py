"""The rules of notebook 05: are robust losses better than cross-entropy, and CLL than the others,
"in most cases"?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from labelnoise.analysis.contrasts import Verdict, judge
from labelnoise.analysis.rules.rule import Rule, accuracies, differences
from labelnoise.configuration import Run
from labelnoise.experiments.benchmark import (
    benchmark_cifar10,
    benchmark_cnn,
    benchmark_headline,
    benchmark_mlp,
    benchmark_mr,
)
from labelnoise.sweep import Outcome

MARGIN = 0.5  # percentage points
STOPPED = "CE, stopped early"

MOST_CASES = """\
A cell is a data set, a network and a noise. Clean test accuracy after the last epoch, in percent,
paired by seed within a cell; a diverged run counts as a guess, 100/K. CE stopped early is CE
trained on 90 % of the labels, at the epoch with the best accuracy on the noisy labels of the rest.
In each cell every other method is compared with CE, and CLL with every other loss but CE, two
families. A method is above or below if its paired t-test, two-sided and adjusted by Holm over the
family, has p < 0.05 and its mean difference lies beyond 0.5 points; equivalent if both one-sided
tests against plus and minus 0.5 points, adjusted likewise, have p < 0.05; undecided otherwise.
(Holm over paired tests, and not Dunnett's test, since the spread over seeds differs up to a hundred
times between losses, and Dunnett's pools it.)
A case is a cell and an other loss. Over all cells the share of cases in which a method is above is
reported with its 95 % interval from resampling data sets: all ordered draws of as many data sets
as there are, with replacement, 2.5 and 97.5 % points. "In most cases" is reproduced if that
interval lies above one half, not reproduced if it lies below, undecided otherwise and with fewer
than three data sets. It is read twice: CLL above the other robust losses (the abstract's sentence),
and robust losses above CE. They are our data sets, not the paper's.
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
    return Cell(run.dataset, run.model, f"{run.noise['kind']} {100 * run.noise['rate']:g} %")


def by_cell(outcomes: Sequence[Outcome]) -> dict[Cell, dict[str, dict[int, float]]]:
    """Cell -> method -> accuracy by seed, in percent."""
    cells: dict[Cell, dict[str, list[Outcome]]] = {}
    for o in outcomes:
        method = STOPPED if o.run.val_fraction else o.run.loss["name"]
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
    """``against CE`` and ``CLL against``: cell -> method -> verdict; and ``shares``, the share of
    cases above in percent with its interval and word, for both readings."""
    against, turned = {}, {}
    for cell, methods in by_cell(outcomes).items():
        if "CE" in methods:
            against[cell] = compare(methods, "CE", turned=False)
        if "CLL" in methods:
            others = {name: each for name, each in methods.items() if name not in ("CE", STOPPED)}
            turned[cell] = compare(others, "CLL", turned=True)
    losses = {cell: {n: v for n, v in each.items() if n != STOPPED}
              for cell, each in against.items()}  # fmt: skip
    shares = {"robust losses above CE": share(losses), "CLL above the others": share(turned)}
    return {"against CE": against, "CLL against": turned, "shares": shares}


def share(verdicts: Mapping[Cell, Mapping[str, Verdict]]) -> tuple[float, float, float, str] | None:
    """Share of cases that are above, its interval from resampling data sets (percent), and the word
    of the rule; None without a case."""
    cases: dict[str, list[bool]] = {}
    for cell, each in verdicts.items():
        cases.setdefault(cell.dataset, []).extend(v.word == "above" for v in each.values())
    sets = [hits for hits in cases.values() if hits]
    if not sets:
        return None
    found = 100 * float(np.mean(np.concatenate(sets)))
    draws = [100 * np.mean(np.concatenate(drawn)) for drawn in product(sets, repeat=len(sets))]
    low, high = np.percentile(draws, [2.5, 97.5])
    word = "undecided"
    if len(sets) >= 3:
        word = "reproduced" if low > 50 else "not reproduced" if high < 50 else "undecided"
    return found, float(low), float(high), word


def judged_runs() -> list[Run]:
    """All cells but the headline's."""
    return benchmark_mlp() + benchmark_mr() + benchmark_cnn() + benchmark_cifar10()


RULES = (
    Rule("most cases", MOST_CASES, MARGIN, judged_runs, judge_most_cases),
    Rule("most cases, the headline's cell", MOST_CASES, MARGIN, benchmark_headline,
         judge_most_cases, after="the headline's records are older than the benchmark"),
)  # fmt: skip
