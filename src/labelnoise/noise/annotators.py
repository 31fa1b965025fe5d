"""Labels of many annotators: ``counts[n, k]`` of them gave sample n the class k, int ``[N, K]``."""

import numpy as np

from labelnoise.checks import check_integer
from labelnoise.seeds import stream


def drawn(counts: np.ndarray, how_many: int, seed: int) -> np.ndarray:
    """The labels of ``how_many`` annotators of each sample, drawn by seed without replacement:
    int64 ``[how_many, N]``, in the order of the draws. The first is the same however many follow.

    Raises ``ValueError`` for counts that are no whole numbers from 0, and for a sample that fewer
    have annotated.
    """
    left = check_counts(counts).copy()
    check_integer("how_many", how_many, 1)
    if (short := left.sum(axis=1) < how_many).any():
        raise ValueError(f"counts: sample {short.argmax()} has {left[short.argmax()].sum()} "
                         f"annotators, but {how_many} are drawn: leave such samples out, or draw "
                         "fewer")  # fmt: skip
    N = len(left)
    bits = np.random.PCG64(stream(seed, "annotators"))
    labels = np.empty((how_many, N), dtype=np.int64)
    for label in labels:
        # Whole numbers throughout: a product of floats may round up to the number of annotators.
        share = bits.random_raw(N) >> np.uint64(11)  # of 2^53
        who = (share * left.sum(axis=1).astype(np.uint64)) >> np.uint64(53)
        label[:] = (who.astype(np.int64)[:, None] >= left.cumsum(axis=1)).sum(axis=1)
        left[np.arange(N), label] -= 1
    return labels


def majority(counts: np.ndarray) -> np.ndarray:
    """The class that most annotators gave, the lowest of equals: int64 ``[N]``."""
    return check_counts(counts).argmax(axis=1)


def worst(labels: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Of several annotators' labels ``[M, N]`` the first that is wrong, or the true one where all
    are right: int64 ``[N]``."""
    wrong = labels != true
    return labels[wrong.argmax(axis=0), np.arange(len(true))]


def check_counts(counts: np.ndarray) -> np.ndarray:
    """``counts`` as int64 ``[N, K]``, or ``ValueError``."""
    found = np.asarray(counts)
    if found.ndim != 2 or not np.issubdtype(found.dtype, np.integer) or (found < 0).any():
        raise ValueError(
            f"counts must be whole numbers from 0 of shape [N, K], how many gave a sample which "
            f"class, got shape {found.shape} and dtype {found.dtype}"
        )
    return found.astype(np.int64)
