"""The rule of notebook 10: when is a sentence of CLL's abstract reproduced?"""

from collections.abc import Mapping, Sequence

from labelnoise.analysis import stats
from labelnoise.analysis.rules.rule import Rule
from labelnoise.config import Run
from labelnoise.experiments.mnist_symmetric import cnn_losses, headline, robust_losses

MARGIN = 3.0  # percentage points: "partly"
REPRODUCED, PARTLY, NOT = "reproduced", "partly", "not reproduced"
NOT_TESTABLE, NOT_RUN = "not testable", "not yet run"

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


def judged_runs() -> list[Run]:
    """Every run that a claim rests on."""
    return headline() + robust_losses(range(3)) + cnn_losses()


RULES = (
    Rule("claims of the abstract", WORDS, MARGIN, judged_runs, number_of_the_paper, after=AFTER),
)
