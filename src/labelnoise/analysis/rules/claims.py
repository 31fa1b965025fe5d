"""The rules of notebook 10: when is a sentence of a source reproduced?

``WORDS`` judges CLL's abstract, and was written before its runs. What stands below it was written
when the records that it judges were there, and says so.
"""

import re
from collections.abc import Mapping, Sequence

from labelnoise.analysis import stats
from labelnoise.analysis.rules import benchmark
from labelnoise.analysis.rules.rule import Rule
from labelnoise.config import Run
from labelnoise.experiments.benchmark import benchmark_headline
from labelnoise.experiments.dmi import dmi_cifar10, dmi_cold, dmi_dogs, dmi_fashion, dmi_mr
from labelnoise.experiments.human_noise import human_dmi
from labelnoise.experiments.mnist_symmetric import (
    SCALED_CE,
    cnn_losses,
    every_loss,
    headline,
    mnist,
    robust_losses,
)
from labelnoise.experiments.model_the_noise import clipping, detectors, thirty_percent
from labelnoise.experiments.robustness_theory import ratio_sweep

MARGIN = 3.0  # percentage points: "partly"
REPRODUCED, PARTLY, NOT, UNDECIDED = "reproduced", "partly", "not reproduced", "undecided"
NOT_TESTABLE, NOT_RUN = "not testable", "not run here"
SIGNS = {REPRODUCED: "●", PARTLY: "◐", NOT: "○", UNDECIDED: "?", NOT_RUN: "–", NOT_TESTABLE: "×"}
"""Verdict -> the sign before it, so that a glance needs no colour."""

WORDS = """\
- Headline metric: clean test accuracy after the *last* epoch, in percent, over seeds.
- A number of the paper is reproduced if it lies inside the 95 % prediction interval for one
  more seed of ours (mean +- t s sqrt(1 + 1/n)); for "CLL reaches 96.81" also if our mean is above
  it, since the claim is that CLL gets that far. Partly: within 3 points of our mean.
  Not reproduced: otherwise. With fewer than two seeds there is no interval, and only the
  distance counts.
- An ordering ("better than") is reproduced if the 95 % t interval of the differences, paired by
  seed, lies above 0; partly if only their mean does.
- "In most cases" needs more than one case: as long as one data set at one noise rate is tested,
  it is at best partly reproduced, and is so if CLL beats more than half of the robust losses
  that we ran.
- Not testable: what the public text leaves out, with the reason.
- A claim whose runs are not recorded is not yet run, never guessed.
"""
AFTER = """\
- Added when GCE and MAE were known: if CLL beats no majority yet, but would if it also beat the
  losses that have one seed and lie below it there, "in most cases" is not yet run.
"""


def number_of_the_paper(values: Sequence[float], paper: float, *, at_least: bool = False) -> str:
    """The word for a number of the paper beside ours, one a seed, all in percent; ``at_least``: a
    mean above it will do."""
    mean, band = stats.summarise(values).mean, stats.prediction_interval(values)
    if (at_least and mean >= paper) or (band and band[0] <= paper <= band[1]):
        return REPRODUCED
    return PARTLY if abs(mean - paper) <= MARGIN else NOT


def ordering(differences: Sequence[float]) -> str:
    """The word for "better than", of the differences at the same seeds."""
    gain = stats.summarise(differences)
    if gain.low is not None and gain.low > 0:
        return REPRODUCED
    return PARTLY if gain.mean > 0 else NOT


def most_cases(gains: Mapping[str, Sequence[float]]) -> str:
    """The word for "better than other robust losses in most cases", of what CLL gains on each."""
    won, open_ = won_and_open(gains)
    if len(won) > len(gains) / 2:
        return PARTLY
    return NOT_RUN if len(won) + len(open_) > len(gains) / 2 else NOT


def won_and_open(gains: Mapping[str, Sequence[float]]) -> tuple[list[str], list[str]]:
    """The losses that CLL beats, and those that a second seed might show it to beat."""
    won = [name for name, each in gains.items() if ordering(each) == REPRODUCED]
    single = {name: each[0] for name, each in gains.items() if len(each) == 1}
    return won, [name for name, gain in single.items() if gain > 0]


# ------------------------------------------------------------------------ written after their runs

LATE = "written after its runs"
GRADIENTS = """\
"The gradients show why" is an ordering of the shares, CE's above CLL's; it is at best partly
reproduced if a loss that trained here takes a larger share of its gradient from wrong labels than
CLL does, and all the same memorises fewer of them, at a seed that both have: then the share does
not explain who memorises.
"""
FORMULA = """\
A statement about a formula is reproduced if it holds, within what the test says, wherever it was
computed; partly if it holds in some places; not reproduced if in none.
"""
ABOVE_CE = """\
"Robust" in training is reproduced if, for each of the losses that are named, the 95 % t interval of
its last-epoch accuracy minus CE's, paired by seed, lies above 0; partly if it does for some of
them; not reproduced if for none.
"""
TWO_WORDS = """\
The rule of notebook 04 gives a word for the last epoch and one for the fall from the best epoch:
reproduced if both are supported, partly if one is and the other undecided, undecided if both are,
not reproduced if one is contradicted.
"""
BEST = """\
"Can outperform" is partly reproduced, on one data set at one rate, if one of the losses that are
named is above each of the other losses that trained with the same network (95 % t interval of the
paired difference above 0); not reproduced if none is.
"""
WORD_OF_07 = """\
The word of the rule of notebook 07: supported is reproduced, contradicted is not reproduced.
"""
NOTHING_ELSE = """\
"Without auxiliary information" is reproduced if L_DMI from random weights ends within 3 points of
L_DMI from its warm start at every pattern; partly if it needs that start, which rests on the same
noisy labels and on nothing else.
"""
WINS = """\
"Beats all others" on a data set, by the comparisons of notebook 07 with CE, GCE and CLL at every
pattern and rate: reproduced if L_DMI wins each, partly if it wins more than it loses, not
reproduced otherwise.
"""
HELPS = """\
An answer is judged by the words of notebook 06 against CE, one for each noise that is named:
reproduced if it helps under each, partly if under some, not reproduced if it helps under none and
hurts under one, undecided otherwise.
"""
OPTIMAL = """\
"Cross-entropy is optimal" is not reproduced if some answer of notebook 06 helps under each of the
three noises; undecided otherwise.
"""
DERIVATION = """\
A derivation is reproduced if every line holds; partly if its last line does and another does not;
not reproduced otherwise.
"""
FAVOURABLY = """\
"Compares favourably" is reproduced if leaving out what cleanlab suspects helps under each of the
three noises and is above (95 % t interval of the paired difference) each of the other answers of
notebook 06 that are not told the noise; partly if it helps under each and is above more of them
than it is below; not reproduced otherwise.
"""
OF_05 = """\
The word of the rule of notebook 05, "in most cases", of every cell there that has all of its runs.
"""
IN_CELLS = """\
"Robust" on other data sets, by the verdicts of notebook 05 against CE: reproduced if each of the
losses that are named is above in every cell, partly if one is in some cell, not reproduced if none
is in any.
"""
OF_09 = """\
The word of the rule of notebook 09 on L_DMI: supported is reproduced, partly supported is partly,
refuted is not reproduced.
"""


def capped(word: str, against: bool) -> str:
    """At best partly, where something speaks ``against``."""
    return PARTLY if against and word == REPRODUCED else word


def everywhere(holds: Sequence[bool]) -> str:
    """The word for a statement that holds in all, some or no places."""
    return REPRODUCED if all(holds) else PARTLY if any(holds) else NOT


def each_above(gains: Mapping[str, Sequence[float]]) -> str:
    """The word for "robust", of what each named loss gains on CE."""
    return everywhere([ordering(each) == REPRODUCED for each in gains.values()])


def best(gains: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The word for "can outperform": named loss -> what it gains on each other loss."""
    return PARTLY if any(each_above(each) == REPRODUCED for each in gains.values()) else NOT


def two_words(said: str) -> str:
    """The word of what the rule of notebook 04 says of the last epoch and of the fall."""
    words = re.findall(r"(?:last epoch|fall): (\w+)", said)
    if "contradicted" in words:
        return NOT
    return {2: REPRODUCED, 1: PARTLY}.get(words.count("supported"), UNDECIDED)


def of_notebook_07(word: str) -> str:
    """The word of this notebook for one of notebook 07."""
    return {"supported": REPRODUCED, "contradicted": NOT, "undecided": UNDECIDED}.get(word, NOT_RUN)


def of_notebook_09(word: str | None) -> str:
    """The word of this notebook for one of notebook 09; None is not judged yet."""
    found = {"supported": REPRODUCED, "partly supported": PARTLY, "refuted": NOT}
    return found.get(word, NOT_RUN)


def wins(words: Sequence[str]) -> str:
    """The word for "beats all others", of *wins*, *loses* and *level*."""
    if set(words) == {"wins"}:
        return REPRODUCED
    return PARTLY if words.count("wins") > words.count("loses") else NOT


def helps(words: Sequence[str]) -> str:
    """The word for an answer, of *helps*, *hurts* and *undecided*, one a noise."""
    if "helps" in words:
        return everywhere([word == "helps" for word in words])
    return NOT if "hurts" in words else UNDECIDED


def derived(holds: Sequence[bool]) -> str:
    """The word for a derivation, of its lines."""
    return REPRODUCED if all(holds) else PARTLY if holds[-1] else NOT


def favourably(words: Sequence[str], gains: Mapping[str, Sequence[float]]) -> str:
    """The word for the pruned network, of its words against CE and its gains on other answers."""
    above = [ordering(each) == REPRODUCED for each in gains.values()]
    below = [stats.summarise(each).high < 0 for each in gains.values()]
    if helps(words) != REPRODUCED:
        return NOT
    return REPRODUCED if all(above) else PARTLY if sum(above) > sum(below) else NOT


# ------------------------------------------------------------------------------------- the runs


def judged_runs() -> list[Run]:
    """Every run that a claim rests on."""
    return headline() + robust_losses(range(3)) + cnn_losses()


def cll_runs() -> list[Run]:
    """``judged_runs``, and cross-entropy in CLL's size, which speaks to the gradients."""
    return [*judged_runs(), mnist(SCALED_CE)]


def asymmetric_runs() -> list[Run]:
    """The CNN at three seeds, and the MLP at every loss and ratio that it trained."""
    cnn = headline(range(3)) + robust_losses(range(3)) + cnn_losses()
    return cnn + every_loss() + ratio_sweep()


def dmi_runs() -> list[Run]:
    return dmi_fashion() + dmi_mr() + dmi_cold() + dmi_cifar10() + dmi_dogs()


def cells_of_05() -> list[Run]:
    """The benchmark, with the cell that is the headline."""
    return benchmark_headline() + benchmark.judged_runs()


def of_05_and_09() -> list[Run]:
    return cells_of_05() + human_dmi()


def thirty_runs() -> list[Run]:
    return thirty_percent() + clipping() + detectors()


RULES = (
    Rule("claims of the abstract", WORDS, MARGIN, judged_runs, number_of_the_paper, after=AFTER),
    Rule("what the gradients show", GRADIENTS, None, cll_runs, capped, after=LATE),
    Rule("claims of asymmetric losses", ABOVE_CE + TWO_WORDS + BEST, None, asymmetric_runs,
         each_above, after=LATE),
    Rule("claims of L_DMI", WORD_OF_07 + NOTHING_ELSE + WINS, MARGIN, dmi_runs, wins, after=LATE),
    Rule("claims by notebooks 05 and 09", OF_05 + IN_CELLS + OF_09, None, of_05_and_09, everywhere,
         after=LATE),
    Rule("claims of the 30 % thread", HELPS + OPTIMAL + DERIVATION + FAVOURABLY, None, thirty_runs,
         helps, after=LATE),
)  # fmt: skip
