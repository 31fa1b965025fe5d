"""The rule of notebook 06: does an answer to "30 % of my labels are wrong" help?"""

from labelnoise.analysis import stats
from labelnoise.analysis.rules.rule import Rule
from labelnoise.config import Run
from labelnoise.experiments.model_the_noise import (
    clipping,
    early_stopping,
    own_labels,
    thirty_percent,
)

HELPS = """\
a method helps if the 95 % t interval of its paired difference to CE at the last epoch lies above 0,
hurts if it lies below, and is undecided otherwise; where there is one seed, nothing is judged.
"""

EARLY_STOPPING = """\
cross-entropy trains on 90 % of the noisy labels; the epoch with the best accuracy on the other
10 %, the first of equals, is the one that is kept. It helps if the 95 % t interval of the paired
difference lies above 0, hurts if it lies below, and is undecided otherwise: clean test accuracy of
that epoch, minus that of the last epoch of cross-entropy trained on all of the noisy labels. Three
seeds, under each of the three noises of the answers.
"""


def verdict(gain: stats.Summary) -> str:
    """``helps``, ``hurts``, ``undecided`` or ``one seed``, of a gain over CE paired by seed."""
    if gain.half_width is None:
        return "one seed"
    return "helps" if gain.low > 0 else "hurts" if gain.high < 0 else "undecided"


def judged_runs() -> list[Run]:
    return thirty_percent() + clipping() + own_labels()


RULES = (
    Rule("answers to 30 %", HELPS, None, judged_runs, verdict),
    Rule("early stopping", EARLY_STOPPING, None, early_stopping, verdict),
)
