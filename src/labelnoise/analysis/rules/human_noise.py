"""The rules of notebook 09: does what synthetic noise says of the losses hold for people's labels?

A cell is a data set, a network and a set of people's labels; ``people`` and ``twin`` are its two
halves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from labelnoise.analysis.contrasts import ABOVE, BELOW, Verdict, judge, judge_unpaired
from labelnoise.analysis.rules.benchmark import MARGIN, STOPPED, compare
from labelnoise.analysis.rules.rule import Rule, accuracies
from labelnoise.analysis.stats import differences
from labelnoise.config import Run
from labelnoise.config.noise import Twin
from labelnoise.experiments import human_noise as grids
from labelnoise.runs.sweep import Outcome

TOLD_T = "Forward, oracle's T"
COUNTED_T = "Forward, counted T"

SURVIVE = """\
A cell is a data set, a network and a set of labels that people gave: the five sets of CIFAR-10N on
frozen features with a linear head and with an MLP, the three sets of Fashion-MNIST-H with the MLP
and one annotator's also with the CNN, NoisyAG-News with the word CNN. Each cell has two halves:
people's labels, and their twin, flips of the same counts that fall on any image of a class. The
gain of a method is its clean test accuracy after the last epoch minus that of CE, paired by seed;
CE stopped early is trained on 90 % of the labels and kept at the epoch with the best accuracy on
the noisy labels of the rest; a diverged run counts as a guess. In each half every other method is
compared with CE, one family: above, below, equivalent or undecided by two-sided and by two
one-sided paired t-tests, both adjusted by Holm, with the margin of 0.5 points. Nothing of a cell is
judged before both halves are whole.
A case is a cell and a method that is above CE on the twin. It survives if the method is above CE
with people's labels, too, and turns if it is below. "The rankings survive people" is supported if
at least three quarters of the cases survive in each data set that has a case, refuted if fewer than
half survive in each, undecided otherwise, and with fewer than two data sets that have a case. What
a seed draws differs: CIFAR-10N's and NoisyAG's labels are the same for all seeds, so that people's
half varies by initial weights and orders alone.
"A twin promises more than people keep": in each cell the gains with people minus the gains with the
twin, by Welch's t-test, unpaired, one family a cell, the margin of 0.5 points. A case is as above,
and a broken promise if that difference is below. Supported if more than half of the cases are
broken promises in each data set that has a case, refuted if fewer than half in each, undecided
otherwise, and with fewer than two data sets that have a case.
"""

COUNT_T = """\
Forward correction with the T of cleanlab's confident joint, counted by five folds of CE, minus CE,
on people's labels and on their twins, clean test accuracy after the last epoch, seeds 3, 4, 5,
paired by seed. One family for people's sets and one for the twins: above, below, equivalent or
undecided by two-sided and by two one-sided t-tests, both adjusted by Holm, with the margin of
0.5 points. "A counted T helps with people's labels" is supported if it is above CE on every set of
people's labels, refuted if on none, partly supported otherwise.
"""

DMI = """\
L_DMI on Fashion-MNIST-H: both stages of its protocol with the MLP, minus CE in the same two stages,
clean test accuracy after the last epoch, seeds 3, 4, 5, paired by seed. One family for people's
three sets and one for the twins: above, below, equivalent or undecided by two-sided and by two
one-sided t-tests, both adjusted by Holm, with the margin of 0.5 points. "L_DMI helps with people's
labels" is supported if it is above on each of the three sets, refuted if on none, partly supported
otherwise.
"""

FIND = """\
The average precision with which out-of-sample probabilities (five folds) rank the wrong labels, in
percent: people's minus the twin's, seeds 3, 4, 5, by Welch's t-test, unpaired, one family over the
cells (random1 and worst of CIFAR-10N with the linear head, one annotator's and the worst of three
of Fashion-MNIST-H with the MLP) and the losses that judge (CE, GCE, CLL): above, below, equivalent
or undecided, adjusted by Holm, with the margin of 0.5 points. "People's mistakes are harder to
find" is supported if each of the twelve is below, refuted if none is, partly supported otherwise.
"""


@dataclass(frozen=True)
class Cell:
    """A data set, a network and a set of people's labels."""

    dataset: str
    model: str
    labels: str


def half_of(run: Run) -> tuple[Cell, str]:
    """The cell of a run, and ``people`` or ``twin``."""
    twin = isinstance(run.noise, Twin)
    labels = run.noise.of if twin else run.noise.set
    return Cell(run.dataset, run.model, labels), "twin" if twin else "people"


def method_of(run: Run) -> str:
    if run.loss == grids.ORACLE:
        return TOLD_T
    if run.loss == grids.COUNTED:
        return COUNTED_T
    return STOPPED if run.val_fraction and not run.method else run.loss.name


def by_half(outcomes: Sequence[Outcome]) -> dict[Cell, dict[str, dict[str, dict[int, float]]]]:
    """Cell -> half -> method -> accuracy by seed, in percent."""
    groups: dict[Cell, dict[str, dict[str, list[Outcome]]]] = {}
    for o in outcomes:
        cell, half = half_of(o.run)
        groups.setdefault(cell, {}).setdefault(half, {}).setdefault(method_of(o.run), []).append(o)
    return {
        cell: {
            half: {
                name: accuracies(group, "val_chosen" if name == STOPPED else "last")
                for name, group in methods.items()
            }
            for half, methods in halves.items()
        }
        for cell, halves in groups.items()
    }


def judged_runs() -> list[Run]:
    asked = (grids.human_objects, grids.human_clothes, grids.human_clothes_cnn, grids.human_news)
    return [run for grid in asked for run in grid()]


def whole_cells(outcomes: Sequence[Outcome], asked: Iterable[Run]) -> list[Outcome]:
    """The outcomes of those runs, and none of others, in cells of which all are there."""
    asked = {run.key: half_of(run)[0] for run in asked}
    lacking = {asked[key] for key in asked.keys() - {o.run.key for o in outcomes}}
    return [o for o in outcomes if asked.get(o.run.key) not in {None, *lacking}]


def judge_survival(outcomes: Sequence[Outcome]) -> dict:
    """``gains``: cell -> half -> method -> verdict against CE; ``left``: cell -> method -> people's
    gain minus the twin's; ``cases``: (cell, method) -> the words of both; and a word for each of
    the two sentences."""
    gains, left, cases = {}, {}, {}
    for cell, halves in by_half(whole_cells(outcomes, judged_runs())).items():
        gains[cell] = {half: compare(found, "CE", turned=False) for half, found in halves.items()}
        names = [name for name in halves["people"] if name != "CE"]
        left[cell] = judge_unpaired(
            {n: tuple(differences(halves[h][n], halves[h]["CE"]) for h in ("people", "twin"))
             for n in names}, MARGIN,
        )  # fmt: skip
        for name in names:
            if gains[cell]["twin"][name].word == ABOVE:
                cases[cell, name] = (gains[cell]["people"][name].word, left[cell][name].word)
    return {
        "gains": gains,
        "left": left,
        "cases": cases,
        "survive": word_of_shares(shares(cases, 0, ABOVE), 0.75, 0.5),
        "broken promises": word_of_shares(shares(cases, 1, BELOW), 0.5, 0.5, strictly=True),
    }


def shares(cases: Mapping[tuple[Cell, str], tuple[str, str]], which: int, word: str
           ) -> dict[str, float]:  # fmt: skip
    """Data set -> the share of its cases of which the first or second word is ``word``."""
    by_set = sorted(cases, key=lambda case: case[0].dataset)
    found = {}
    for dataset, group in groupby(by_set, key=lambda case: case[0].dataset):
        hits = [cases[case][which] == word for case in group]
        found[dataset] = sum(hits) / len(hits)
    return found


def word_of_shares(
    by_set: Mapping[str, float], high: float, low: float, strictly: bool = False
) -> str:
    """``supported`` if each share is at least ``high`` (``strictly``: above it), ``refuted`` if
    each is below ``low``."""
    if len(by_set) < 2:
        return "undecided"
    if all(each > high or (each == high and not strictly) for each in by_set.values()):
        return "supported"
    return "refuted" if all(each < low for each in by_set.values()) else "undecided"


def judge_halves(pairs: Mapping[tuple[Cell, str], Sequence[float]]) -> dict:
    """``verdicts``: (cell, half) -> verdict, a family each half; and the ``word``, by people's."""
    verdicts: dict[tuple[Cell, str], Verdict] = {}
    for half in ("people", "twin"):
        family = {key: each for key, each in pairs.items() if key[1] == half and each}
        verdicts |= judge(family, MARGIN)
    wins = [v.word == ABOVE for (_, half), v in verdicts.items() if half == "people"]
    return {"verdicts": verdicts, "word": all_or_none(wins)}


def all_or_none(wins: Sequence[bool]) -> str | None:
    """The word of a sentence that has to hold everywhere; None where nothing was looked at."""
    if not wins:
        return None
    return "supported" if all(wins) else "partly supported" if any(wins) else "refuted"


def counted_runs() -> list[Run]:
    """The runs with a counted T, and CE beside them."""
    runs = grids.human_counted()
    seeds = sorted({run.seed for run in runs})
    pairs = (("cifar10_features", "linear"), ("fashion_mnist_h", "mlp"))
    beside = [run for pair in pairs for run in grids.compared(*pair, seeds)]
    return runs + [r for r in beside if method_of(r) == "CE"]


def judge_counted(outcomes: Sequence[Outcome]) -> dict:
    """Of the outcomes of ``counted_runs``: ``judge_halves``, of whole cells, and a word only once
    all of them are whole."""
    return of_two(outcomes, counted_runs(), COUNTED_T)


def judge_dmi(outcomes: Sequence[Outcome]) -> dict:
    """Of the outcomes of ``human_dmi``, likewise."""
    return of_two(outcomes, grids.human_dmi(), "DMI")


def of_two(outcomes: Sequence[Outcome], asked: Sequence[Run], name: str) -> dict:
    mine = whole_cells(outcomes, asked)
    pairs = {
        (cell, half): differences(methods[name], methods["CE"])
        for cell, halves in by_half(mine).items()
        for half, methods in halves.items()
    }
    whole = {o.run.key for o in mine} == {run.key for run in asked}
    return {**judge_halves(pairs), **({} if whole else {"word": None})}


def judge_finding(outcomes: Sequence[Outcome]) -> dict:
    """``verdicts``: (cell, loss) -> people's average precision minus the twin's, of whole cells;
    and the ``word``, once all runs are there."""
    found: dict[tuple[Cell, str], dict[str, list[float]]] = {}
    for o in whole_cells(outcomes, grids.human_detectors()):
        cell, half = half_of(o.run)
        precision = o.record["result"]["detection"]["average_precision"]
        found.setdefault((cell, o.run.loss.name), {}).setdefault(half, []).append(precision)
    pairs = {key: (each["people"], each["twin"]) for key, each in found.items()}
    verdicts = judge_unpaired(pairs, MARGIN)
    whole = {o.run.key for o in outcomes} >= {run.key for run in grids.human_detectors()}
    return {
        "verdicts": verdicts,
        "word": all_or_none([v.word == BELOW for v in verdicts.values()]) if whole else None,
    }


RULES = (
    Rule("rankings survive people", SURVIVE, MARGIN, judged_runs, judge_survival),
    Rule("a counted T and people", COUNT_T, MARGIN, counted_runs, judge_counted),
    Rule("L_DMI and people", DMI, MARGIN, grids.human_dmi, judge_dmi),
    Rule("finding people's mistakes", FIND, MARGIN, grids.human_detectors, judge_finding),
)
