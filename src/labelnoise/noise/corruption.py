"""Noisy labels drawn from a matrix, from a row for each sample, or from the samples themselves.

The draws are raw 64-bit outputs of PCG64, so that the same arguments give the same flips on every
platform and numpy version.
"""

import numpy as np

from labelnoise.checks import check_labels, check_matrix, check_num_classes, check_rate, check_rows
from labelnoise.seeds import stream


def corrupt(
    labels: np.ndarray, T: np.ndarray, seed: int, *, exact: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Draws noisy labels from ``T``: ``(noisy int64 [N], flipped bool [N])``.

    Each label is drawn independently from its row of ``T``; with ``exact=True`` every class flips
    exact counts (``T[i, j] n_i`` rounded by largest remainder) at random positions, as in the
    public code of APL and ALFs for CIFAR.

    The draws are raw 64-bit outputs of PCG64 turned into labels by the inverse CDF, so the same
    (labels, T, seed) gives the same flips on every platform and numpy version.

    Raises ``ValueError`` for a matrix that is not square and row-stochastic and for labels that
    are not integers in 0..K-1.
    """
    T = check_matrix(T)
    y = check_labels(labels, len(T))
    if not exact:
        return corrupt_rows(y, T[y], seed)
    raw = np.random.PCG64(stream(seed, "noise")).random_raw(len(y))
    noisy = y.copy()
    for i, row in enumerate(T):
        mine = np.flatnonzero(y == i)
        shuffled = mine[np.argsort(raw[mine], kind="stable")]
        noisy[shuffled] = np.repeat(np.arange(len(T)), _largest_remainder(row * len(mine)))
    return noisy, noisy != y


def corrupt_rows(labels: np.ndarray, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """As ``corrupt``, with a row of probabilities for each sample: ``rows`` ``[N, K]``."""
    rows = check_rows(rows, "rows")
    y = check_labels(labels, rows.shape[1])
    if len(rows) != len(y):
        raise ValueError(f"rows has {len(rows)} rows but labels has {len(y)} entries")
    u = uniform(np.random.PCG64(stream(seed, "noise")), len(y))
    cdf = np.cumsum(rows, axis=1)
    # Rounding may leave the last value below 1; a draw above it must not reach a class of
    # probability 0, so everything from the last possible class on counts as 1.
    last = rows.shape[1] - 1 - np.argmax(rows[:, ::-1] > 0, axis=1)
    cdf[np.arange(rows.shape[1]) >= last[:, None]] = 1.0
    noisy = (u[:, None] >= cdf).sum(axis=1)
    return noisy, noisy != y


def realised(labels: np.ndarray, noisy: np.ndarray, num_classes: int) -> np.ndarray:
    """The matrix that really happened, ``[K, K]``; the row of a class without samples is NaN."""
    true, given = check_labels(labels, num_classes), check_labels(noisy, num_classes)
    if len(true) != len(given):
        raise ValueError(f"labels has {len(true)} entries but noisy has {len(given)}")
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (true, given), 1)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)


def instance_rows(
    images: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    rate: float,
    seed: int,
    *,
    raw_pixels: bool = False,
) -> np.ndarray:
    """Instance-dependent noise after Xia et al. 2020: one row ``P(noisy = . | x, true)`` a sample.

    Sample n draws its own rate ``q_n`` from Normal(rate, 0.1) truncated to [0, 1]. A standard
    normal projection of the input, standardised by one mean and deviation of all its pixels, one
    matrix a true class, scores the classes; the true class is excluded, the softmax of the rest
    times ``q_n`` is the row. ``raw_pixels=True`` projects them as they are, 0 to 255, as the
    authors' code does: the scores then lie so far apart that nearly all flips of a sample go to one
    class, with a mean largest probability of 0.9995 where ours has 0.964.
    ``images`` ``[N, ...]``; returns float64 ``[N, K]``; feed it to ``corrupt_rows``.
    """
    K = check_num_classes(num_classes)
    rate = check_rate(rate)
    y = check_labels(labels, K)
    if len(images) != len(y):
        raise ValueError(f"images has {len(images)} samples but labels has {len(y)}")
    x = np.asarray(images, dtype=np.float64).reshape(len(y), -1)
    if not raw_pixels:
        x = (x - x.mean()) / max(x.std(), 1e-12)
    bits = np.random.PCG64(stream(seed, "instance-noise"))
    q = rate + 0.1 * normal(bits, len(y))
    while (outside := (q < 0) | (q > 1)).any():  # truncation by redrawing
        q[outside] = rate + 0.1 * normal(bits, outside.sum())
    rows = np.zeros((len(y), K))
    for c in range(K):
        mine = np.flatnonzero(y == c)
        scores = x[mine] @ normal(bits, x.shape[1] * K).reshape(-1, K)
        scores[:, c] = -np.inf
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        rows[mine] = q[mine, None] * scores / scores.sum(axis=1, keepdims=True)
        rows[mine, c] = 1 - q[mine]
    return rows


def uniform(bits: np.random.PCG64, n: int) -> np.ndarray:
    """``n`` numbers in [0, 1) from raw draws, the same for every numpy (Generator's may change)."""
    return (bits.random_raw(n) >> np.uint64(11)) * 2.0**-53


def normal(bits: np.random.PCG64, n: int) -> np.ndarray:
    """``n`` standard normal numbers from raw draws (Box and Muller)."""
    radius = np.sqrt(-2 * np.log1p(-uniform(bits, n)))
    return radius * np.cos(2 * np.pi * uniform(bits, n))


def _largest_remainder(expected: np.ndarray) -> np.ndarray:
    """Whole counts that sum to ``round(expected.sum())`` and differ from ``expected`` by < 1."""
    counts = np.floor(expected + 1e-9).astype(int)
    short = round(expected.sum()) - counts.sum()
    counts[np.argsort(-(expected - counts), kind="stable")[:short]] += 1
    return counts
