"""The rule of notebook 04: does a higher asymmetry ratio mean a better tolerance?"""

import pandas as pd

from labelnoise.analysis import stats
from labelnoise.analysis.rules.rule import Rule
from labelnoise.experiments.robustness_theory import ratio_sweep

HIGHER_RATIO = """\
Spearman's rank correlation between ratio and last-epoch accuracy (seed 0, one point a loss and
setting, none left out), with a two-sided permutation p-value; supported if the correlation is
positive and p < 0.05, contradicted if it is negative and p < 0.05, undecided otherwise. The same is
read for the fall from best to last epoch (supported if negative), and for other criteria beside.
"""


def verdict(table: pd.DataFrame) -> str:
    """ALFs' claim in words, of a table with a row a loss and setting and the columns ``asymmetry
    ratio``, ``last epoch`` and ``fall``."""
    words = []
    for measured, sign in (("last epoch", 1), ("fall", -1)):
        rho, p = stats.rank_correlation(table["asymmetry ratio"], table[measured])
        decided = "supported" if sign * rho > 0 else "contradicted"
        words.append(f"{measured}: {decided if p < 0.05 else 'undecided'} "
                     f"(Spearman {rho:+.2f}, {p_value(p)}, {len(table)} settings)")  # fmt: skip
    return "A higher asymmetry ratio means a better tolerance. " + "; ".join(words)


def p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


RULES = (
    Rule(
        "a higher ratio, a better tolerance",
        HIGHER_RATIO,
        None,
        ratio_sweep,
        verdict,
        after="the words were committed three minutes after the commit that trained the runs, "
        "and, by the records' dates, forty minutes before the runs",
    ),
)
