"""Paired differences, judged: is one above the other, are they equivalent, or is it undecided?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05
ABOVE, BELOW, EQUIVALENT, UNDECIDED = "above", "below", "equivalent", "undecided"


@dataclass(frozen=True)
class Verdict:
    """One contrast: its differences over seeds (percentage points), their mean, the two p-values
    adjusted by Holm over its family, and the word. None where one seed gives no p-value."""

    differences: tuple[float, ...]
    mean: float
    p_difference: float | None
    p_equivalence: float | None
    word: str


def judge(contrasts: Mapping[str, Sequence[float]], margin: float) -> dict[str, Verdict]:
    """A verdict for each contrast of one family, name -> differences over seeds.

    ``above`` or ``below`` if the two-sided paired t-test, adjusted by Holm over the family, has
    p < 0.05 and the mean lies beyond ``margin``; ``equivalent`` if both one-sided t-tests against
    +- ``margin`` have p < 0.05, adjusted likewise (Schuirmann's two one-sided tests);
    ``undecided`` otherwise, and for fewer than two seeds.

    Raises ``ValueError`` for a margin that is not positive and for differences that are not finite.
    """
    if not margin > 0:
        raise ValueError(f"margin={margin!r} must be a number of points above 0")
    values = {name: np.asarray(each, dtype=float) for name, each in contrasts.items()}
    for name, each in values.items():
        if len(each) == 0 or not np.isfinite(each).all():
            raise ValueError(f"contrast {name!r} has differences {list(each)}: they must be finite "
                             "and at least one")  # fmt: skip
    tested = {name: each for name, each in values.items() if len(each) > 1}
    different = holm({name: t_test(d, 0.0, "two-sided") for name, d in tested.items()})
    equivalent = holm(
        {
            name: max(t_test(d, -margin, "greater"), t_test(d, margin, "less"))
            for name, d in tested.items()
        }
    )
    verdicts = {}
    for name, d in values.items():
        mean, p, q = float(d.mean()), different.get(name), equivalent.get(name)
        word = UNDECIDED
        if p is not None and p < LEVEL and abs(mean) > margin:
            word = ABOVE if mean > 0 else BELOW
        elif q is not None and q < LEVEL:
            word = EQUIVALENT
        verdicts[name] = Verdict(tuple(map(float, d)), mean, p, q, word)
    return verdicts


def t_test(values: np.ndarray, against: float, alternative: str) -> float:
    """The p-value of Student's t-test of the mean against a number; of equal values (to 1e-9, far
    below what one sample moves an accuracy), which have no spread, 0 or 1."""
    if np.ptp(values) < 1e-9:
        off = values[0] - against if abs(values[0] - against) > 1e-9 else 0.0
        return float(not {"two-sided": off != 0, "greater": off > 0, "less": off < 0}[alternative])
    return float(stats.ttest_1samp(values, against, alternative=alternative).pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjustment: in ascending order the k-th of m is multiplied by m - k + 1, and
    none falls below the one before it."""
    adjusted, least = {}, 0.0
    for k, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - k) * p_values[name]))
        adjusted[name] = least
    return adjusted


def standard_error(values: Sequence[float]) -> float:
    """Of the mean: s / sqrt(n), for two values or more."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))
