"""What a transition matrix promises, and whether the flips keep it.

``T[i, j] = P(noisy label = j | true label = i)``, ``[K, K]``, as in ``matrices.py``.
"""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike

from labelnoise.checks import check_matrix
from labelnoise.noise.corruption import realised


def realised_rate(T: np.ndarray, counts: ArrayLike | None = None) -> float:
    """The share of labels that T changes: 1 - sum_i n_i T[i, i] / n, for ``counts`` n_i ``[K]`` of
    the classes (default: all equal)."""
    T = check_matrix(T)
    n = np.ones(len(T)) if counts is None else np.asarray(counts, dtype=float)
    if n.shape != (len(T),) or (n < 0).any() or n.sum() <= 0:
        raise ValueError(
            f"counts must be {len(T)} class sizes, none negative and not all 0, got {counts!r}"
        )
    return float(1 - n @ np.diag(T) / n.sum())


def confusion_ratio(T: np.ndarray) -> np.ndarray:
    """Per true class the most frequent wrong label relative to the right one, ``[K]``:
    max_{j != i} T[i, j] / T[i, i]. Below 1 the true class still leads (Zhou et al., ICML 2021,
    call it clean-label dominance); 1 is the limit."""
    T = check_matrix(T)
    off = np.where(np.eye(len(T), dtype=bool), -np.inf, T).max(axis=1)
    return np.divide(off, np.diag(T), out=np.full(len(T), np.inf), where=np.diag(T) > 0)


def closest_rows(T: np.ndarray) -> tuple[int, int, float]:
    """The two classes whose labels look most alike, and how far apart their rows are, in [0, 1]:
    the total variation sum_k |T[i, k] - T[j, k]| / 2. At 0 the two rows are equal and T is
    singular: no label tells the one class from the other, whatever corrects for T."""
    T = check_matrix(T)
    apart = np.abs(T[:, None] - T[None]).sum(axis=2) / 2
    np.fill_diagonal(apart, np.inf)
    i, j = np.unravel_index(apart.argmin(), apart.shape)
    return int(i), int(j), float(apart[i, j])


def deviations(true: np.ndarray, noisy: np.ndarray, T: np.ndarray) -> np.ndarray:
    """How far the realised matrix lies from T, in its own standard deviations, ``[K, K]``.

    The n_i labels of class i are n_i independent draws from row T[i], so the count N_ij is
    binomial: (N_ij - n_i T[i, j]) / sqrt(n_i T[i, j] (1 - T[i, j])). NaN where T[i, j] is 0 or 1
    (nothing can vary) and where a class has no samples.
    """
    counts, n, T = _counts(true, noisy, T)
    spread = np.sqrt(n * T * (1 - T))
    return np.divide(counts - n * T, spread, out=np.full_like(T, np.nan), where=spread > 0)


def chi_square(true: np.ndarray, noisy: np.ndarray, T: np.ndarray) -> tuple[float, int, float]:
    """Pearson's test of "the flips follow T": (statistic, degrees of freedom, p-value).

    sum_ij (N_ij - n_i T[i, j])^2 / (n_i T[i, j]) over the cells with T[i, j] > 0; a row with m such
    cells has m - 1 degrees of freedom. A flip that T forbids gives (inf, ..., 0).
    """
    counts, n, T = _counts(true, noisy, T)
    possible = (T > 0) & (n > 0)
    dof = int((possible.sum(axis=1) - 1).clip(min=0).sum())
    if counts[~possible].any():
        return math.inf, dof, 0.0
    expected = np.where(possible, n * T, 1.0)
    statistic = float(np.where(possible, (counts - n * T) ** 2 / expected, 0.0).sum())
    if dof == 0:
        return statistic, 0, 1.0
    halves = torch.tensor([dof / 2, statistic / 2], dtype=torch.float64)
    return statistic, dof, float(torch.special.gammaincc(halves[0], halves[1]))


def _counts(true: np.ndarray, noisy: np.ndarray, T: np.ndarray):
    """Counts ``[K, K]``, class sizes ``[K, 1]``, and the checked T."""
    T = check_matrix(T)
    share = realised(true, noisy, len(T))  # checks the labels
    n = np.bincount(true, minlength=len(T))[:, None].astype(float)
    return np.rint(np.nan_to_num(share) * n), n, T
