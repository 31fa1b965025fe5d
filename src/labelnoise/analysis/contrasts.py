"""Differences, judged: is one above the other, are they equivalent, or is it undecided?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats

LEVEL = 0.05
ABOVE, BELOW, EQUIVALENT, UNDECIDED = "above", "below", "equivalent", "undecided"


@dataclass(frozen=True)
class Verdict:
    """One contrast: its differences over seeds (percentage points) where they are paired, their
    mean, the two p-values adjusted by Holm over its family, and the word. None where one seed gives
    no p-value."""

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
    values = {name: finite(name, each) for name, each in contrasts.items()}
    p_of = {name: partial(t_test, each) for name, each in values.items() if len(each) > 1}
    means = {name: float(each.mean()) for name, each in values.items()}
    return verdicts(means, p_of, margin, {name: tuple(map(float, v)) for name, v in values.items()})


def judge_unpaired(
    contrasts: Mapping[str, tuple[Sequence[float], Sequence[float]]], margin: float
) -> dict[str, Verdict]:
    """As ``judge``, name -> two samples that share nothing: the mean of the first minus that of the
    second, by Welch's t-test, which lets their spreads differ. Its verdicts have no differences."""
    both = {
        name: (finite(name, a), finite(name, b)) for name, (a, b) in contrasts.items()
    }  # fmt: skip
    p_of = {n: partial(welch, a, b) for n, (a, b) in both.items() if min(len(a), len(b)) > 1}
    means = {name: float(a.mean() - b.mean()) for name, (a, b) in both.items()}
    return verdicts(means, p_of, margin, dict.fromkeys(means, ()))


def finite(name: str, values: Sequence[float]) -> np.ndarray:
    found = np.asarray(values, dtype=float)
    if len(found) == 0 or not np.isfinite(found).all():
        raise ValueError(f"contrast {name!r} has differences {list(found)}: they must be finite "
                         "and at least one")  # fmt: skip
    return found


def verdicts(
    means: Mapping[str, float],
    p_of: Mapping[str, Callable[[float, str], float]],
    margin: float,
    differences: Mapping[str, tuple[float, ...]],
) -> dict[str, Verdict]:
    """The words of one family. ``p_of``: name -> the p-value of its mean against a number, for an
    alternative; a name that is not there has too few seeds for one."""
    if not margin > 0:
        raise ValueError(f"margin={margin!r} must be a number of points above 0")
    different = holm({name: test(0.0, "two-sided") for name, test in p_of.items()})
    equivalent = holm(
        {name: max(test(-margin, "greater"), test(margin, "less")) for name, test in p_of.items()}
    )
    found = {}
    for name, mean in means.items():
        p, q, word = different.get(name), equivalent.get(name), UNDECIDED
        if p is not None and p < LEVEL and abs(mean) > margin:
            word = ABOVE if mean > 0 else BELOW
        elif q is not None and q < LEVEL:
            word = EQUIVALENT
        found[name] = Verdict(differences[name], mean, p, q, word)
    return found


def t_test(values: np.ndarray, against: float, alternative: str) -> float:
    """The p-value of Student's t-test of the mean against a number; of equal values (to 1e-9, far
    below what one sample moves an accuracy), which have no spread, 0 or 1."""
    if np.ptp(values) < 1e-9:
        off = values[0] - against if abs(values[0] - against) > 1e-9 else 0.0
        return float(not {"two-sided": off != 0, "greater": off > 0, "less": off < 0}[alternative])
    return float(stats.ttest_1samp(values, against, alternative=alternative).pvalue)


def welch(a: np.ndarray, b: np.ndarray, against: float, alternative: str) -> float:
    """The p-value of Welch's t-test of the difference of two means against a number; of two samples
    without spread that of their difference alone. (From the moments, since scipy warns of a single
    sample without spread, which is no fault here.)"""
    if max(np.ptp(a), np.ptp(b)) < 1e-9:
        return t_test(np.array([a[0] - b[0]] * 2), against, alternative)
    first, second = ((each.mean(), each.std(ddof=1), len(each)) for each in (a - against, b))
    found = stats.ttest_ind_from_stats(*first, *second, equal_var=False, alternative=alternative)
    return float(found.pvalue)


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
