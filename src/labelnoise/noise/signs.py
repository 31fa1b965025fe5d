"""Signs that a list of suspect labels cannot be trusted, told by the labels and the out-of-sample
probabilities alone.

``measured`` counts, ``signs`` compares the counts with thresholds. The thresholds were set on
scikit-learn's digits (``tests/test_report.py`` has the study); how they do on other data is shown
in notebook 08. There is no sign of a judge that knows its own samples by heart: that it agrees with
every label may as well mean that every label is right, and labels and probabilities do not tell
which.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from labelnoise.noise import detection, estimation

FEW = 10  # labels of the middle class that a judge learns from, below which it knows too little
RARE = 0.25  # of the mean size of a class: a class below that is rare, whatever the noise
DROWNED = 1.5  # times the wrong labels that it should get: a class with no more labels drowns
SELDOM = 0.5  # of its labels: a class that is suggested for fewer is overlooked
SUSPECT = 0.5  # of its labels: the share of suspects above which a class cannot be read
ALIKE = 0.15  # total variation between two rows of T, below which T is close to singular
MOVED = 0.1  # mean probability by which another column fits a class better than its own
FOLDS = 5

NAMES = ("few samples", "rare class", "overlooked class", "half suspect", "rows alike",
         "learnt nothing", "columns permuted")  # fmt: skip


class Sign(NamedTuple):
    """One of ``NAMES``, and the positions of the classes that it is about: none where it is about
    all of them; for ``rows alike`` two."""

    name: str
    classes: tuple[int, ...] = ()


def measured(labels: ArrayLike, probabilities: ArrayLike) -> dict:
    """What ``signs`` looks at, as plain numbers, for ``labels`` int ``[N]`` in 0..K-1 and their
    out-of-sample ``probabilities`` ``[N, K]``; lists have an entry a class.

    - ``given``: how many labels; ``suspects``: how many of them cleanlab's filter
      ``prune_by_noise_rate`` counts among the wrong ones; ``suggested``: for how many samples the
      class is the favourite; ``agreed``: how many samples have their label as the favourite.
    - ``joint``: confident learning's counts, ``[given][true]``, scaled to the number of labels;
      ``sure``: how many samples confidently belong to the class, before that scaling.
    - ``column``: the column of the probabilities that fits the labels of the class best, where
      every class takes another one; ``gain``: by how much its mean probability there is larger than
      in its own column.

    Raises ``ValueError`` for labels and probabilities that are none or do not belong together.
    """
    from scipy.optimize import linear_sum_assignment  # a bare GPU server trains without scipy

    given, p = estimation.check(labels, probabilities)
    K = p.shape[1]
    favourite, n = p.argmax(axis=1), np.bincount(given, minlength=K)
    sure = detection.cleanlab().count.compute_confident_joint(given, p, calibrate=False)
    joint = detection.cleanlab().count.calibrate_confident_joint(sure, given).astype(float)
    flagged = detection.suspects(given, p, detection.FILTERS[0])
    means = np.stack([p[given == k].mean(axis=0) for k in range(K)])
    column = linear_sum_assignment(-means)[1]
    gain = means[np.arange(K), column] - np.diag(means)
    return {
        "given": n.tolist(),
        "suspects": np.bincount(given[flagged], minlength=K).tolist(),
        "suggested": np.bincount(favourite, minlength=K).tolist(),
        "agreed": int((favourite == given).sum()),
        "joint": joint.round(3).tolist(),
        "sure": sure.sum(axis=0).tolist(),
        "column": column.tolist(),
        "gain": gain.round(4).tolist(),
    }


def noise_rate(seen: dict) -> float:
    """The share of wrong labels that the joint estimates, in 0..1."""
    joint = np.array(seen["joint"], dtype=float)
    return float(1 - np.trace(joint) / joint.sum())


def matrix(seen: dict) -> np.ndarray:
    """T ``[K, K]``, as ``estimation.from_confident_joint``; the row of a class to which at most one
    sample confidently belongs is NaN."""
    joint = np.array(seen["joint"], dtype=float)
    total = joint.sum(axis=0)
    T = np.divide(joint, total, out=np.full_like(joint, np.nan), where=total > 0).T
    T[np.array(seen["sure"]) <= 1] = np.nan
    return T


def learnt_nothing(given: Sequence[int], agreed: int) -> bool:
    """Whether a judge agrees with no more of the labels, ``given`` by class, than always naming the
    most frequent one would, by two standard errors."""
    n = sum(given)
    constant = max(given) / n
    return agreed / n <= constant + 2 * np.sqrt(constant * (1 - constant) / n)


def before(given: Sequence[int], folds: int = FOLDS) -> list[Sign]:
    """The signs that the number of labels in each class gives, before any training."""
    n = np.array(given)
    found = []
    if np.median(n) * (folds - 1) / folds < FEW:
        found.append(Sign("few samples"))
    if len(rare := np.flatnonzero(n < RARE * n.mean())):
        found.append(Sign("rare class", tuple(rare.tolist())))
    return found


def signs(seen: dict, folds: int = FOLDS) -> list[Sign]:
    """The signs in what was ``measured``, in the order of ``NAMES``.

    - *few samples*: half of the classes have fewer than ``FEW`` labels in the folds that a judge
      learns from.
    - *rare class*: it has fewer than ``RARE`` of the mean number of labels; or no more than
      ``DROWNED`` times the wrong labels that the other classes send it, if these are spread over
      all classes alike: at 1.5, two of three of its labels are wrong.
    - *overlooked class*: it is suggested for fewer than ``SELDOM`` as many samples as carry its
      label.
    - *half suspect*: more than ``SUSPECT`` of its labels are suspects.
    - *rows alike*: of the classes that were not named yet, two rows of T differ by less than
      ``ALIKE``.
    - *learnt nothing*: see ``learnt_nothing``.
    - *columns permuted*: each class of a circle of classes has a mean probability that is larger
      by ``MOVED`` in the column of the next one than in its own.
    """
    n = np.array(seen["given"])
    N, K = int(n.sum()), len(n)
    found = [sign for sign in before(seen["given"], folds) if sign.name == "few samples"]
    sent = noise_rate(seen) * (N - n) / (K - 1)
    by_class = {
        "rare class": (n < RARE * N / K) | (n <= DROWNED * sent),
        "overlooked class": np.array(seen["suggested"]) < SELDOM * n,
        "half suspect": np.array(seen["suspects"]) > SUSPECT * n,
    }
    found += [Sign(name, positions(hits)) for name, hits in by_class.items() if hits.any()]
    if alike := closest(matrix(seen), ~np.any(list(by_class.values()), axis=0)):
        found.append(Sign("rows alike", alike))
    if learnt_nothing(seen["given"], seen["agreed"]):
        found.append(Sign("learnt nothing"))
    if moved := permuted(seen["column"], seen["gain"]):
        found.append(Sign("columns permuted", moved))
    return found


def positions(hits: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(hits).tolist())


def closest(T: np.ndarray, asked: np.ndarray) -> tuple[int, ...]:
    """The two of the ``asked`` classes, bool ``[K]``, whose rows of T are most alike, if these
    differ by less than ``ALIKE``; of rows that are NaN nothing is said."""
    asked = np.flatnonzero(asked & ~np.isnan(T).any(axis=1))
    if len(asked) < 2:
        return ()
    apart = np.abs(T[asked][:, None] - T[asked][None]).sum(axis=2) / 2
    np.fill_diagonal(apart, np.inf)
    i, j = np.unravel_index(apart.argmin(), apart.shape)
    return (int(asked[i]), int(asked[j])) if apart[i, j] < ALIKE else ()


def permuted(column: Sequence[int], gain: Sequence[float]) -> tuple[int, ...]:
    """The classes of every circle, class -> column -> column of that class ..., all of whose
    classes gain at least ``MOVED``."""
    found = []
    for start in range(len(column)):
        circle, at = [start], column[start]
        while at != start:
            circle.append(at)
            at = column[at]
        if all(column[k] != k and gain[k] >= MOVED for k in circle):
            found.append(start)
    return tuple(found)
