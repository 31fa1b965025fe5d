"""Label noise: transition matrices and the corruption of labels.

Convention: ``T[i, j] = P(noisy label = j | true label = i)``, so rows sum to 1. (cleanlab uses the
transpose.) The *realised* rate is the share of labels that really changed; it is what papers
should state, and every run records it.

Two conventions of "symmetric noise" are in use, and many papers disagree only because of this:
the flip may exclude the true class (realised rate = nominal rate; ALFs, APL) or may land on it
again (realised rate = (K-1)/K of the nominal; DivideMix, the first L_DMI code).
"""

import numpy as np

from labelnoise.seeds import stream

SUM_TOLERANCE = 1e-5  # the sum of a row in float32 is off by some 1e-6

# True class -> noisy class. MNIST and CIFAR-10 as in the papers from Patrini et al. 2017 on;
# Fashion-MNIST as in the GCE paper (Zhang & Sabuncu 2018). On CIFAR-10 the public code of ALFs and
# APL does something else: it flips cats to dogs, and then flips dogs, the new ones among them, so
# that at a rate of 0.4 cat -> dog is 0.242, and 18.45 % of all labels are wrong in place of 20 %.
ASYMMETRIC_MAPS = {
    "mnist": {7: 1, 2: 7, 5: 6, 6: 5, 3: 8},
    "fashion_mnist": {9: 7, 7: 5, 2: 6, 4: 3, 3: 4},
    "cifar10": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3},
}

# The 20 superclasses of CIFAR-100 (Krizhevsky 2009), as fine label ids in ascending order.
CIFAR100_SUPERCLASSES = (
    (4, 30, 55, 72, 95),  # aquatic mammals
    (1, 32, 67, 73, 91),  # fish
    (54, 62, 70, 82, 92),  # flowers
    (9, 10, 16, 28, 61),  # food containers
    (0, 51, 53, 57, 83),  # fruit and vegetables
    (22, 39, 40, 86, 87),  # household electrical devices
    (5, 20, 25, 84, 94),  # household furniture
    (6, 7, 14, 18, 24),  # insects
    (3, 42, 43, 88, 97),  # large carnivores
    (12, 17, 37, 68, 76),  # large man-made outdoor things
    (23, 33, 49, 60, 71),  # large natural outdoor scenes
    (15, 19, 21, 31, 38),  # large omnivores and herbivores
    (34, 63, 64, 66, 75),  # medium-sized mammals
    (26, 45, 77, 79, 99),  # non-insect invertebrates
    (2, 11, 35, 46, 98),  # people
    (27, 29, 44, 78, 93),  # reptiles
    (36, 50, 65, 74, 80),  # small mammals
    (47, 52, 56, 59, 96),  # trees
    (8, 13, 48, 58, 90),  # vehicles 1
    (41, 69, 81, 85, 89),  # vehicles 2
)


def symmetric(num_classes: int, rate: float, *, keep_true: bool = False) -> np.ndarray:
    """Uniform noise, ``[K, K]``.

    ``keep_true=False``: ``T = (1 - rate) I + rate/(K-1) (1 - I)``; realised rate = ``rate``.
    ``keep_true=True``: ``T = (1 - rate) I + rate/K``; realised rate = ``rate (K-1)/K``.
    """
    K = _num_classes(num_classes)
    rate = _rate(rate)
    if keep_true:
        return (1 - rate) * np.eye(K) + rate / K
    return (1 - rate) * np.eye(K) + rate / (K - 1) * (1 - np.eye(K))


def pairflip(num_classes: int, rate: float) -> np.ndarray:
    """Every class flips to the next one with probability ``rate`` (Han et al. 2018), ``[K, K]``."""
    K = _num_classes(num_classes)
    rate = _rate(rate)
    return (1 - rate) * np.eye(K) + rate * np.roll(np.eye(K), 1, axis=1)


def asymmetric(dataset: str, rate: float) -> np.ndarray:
    """Noise between similar classes, each with probability ``rate``, ``[K, K]``.

    ``dataset``: ``mnist``, ``fashion_mnist``, ``cifar10`` (see ``ASYMMETRIC_MAPS``), ``cifar100``
    (next class within the true superclass, circularly), or ``cifar100-consecutive``: the next of
    five *consecutive* label ids, which is what public code runs although ids are alphabetical and
    such groups are no superclasses.
    """
    rate = _rate(rate)
    if dataset in ASYMMETRIC_MAPS:
        K, flips = 10, ASYMMETRIC_MAPS[dataset]
    elif dataset == "cifar100":
        K, flips = 100, {c: g[(k + 1) % 5] for g in CIFAR100_SUPERCLASSES for k, c in enumerate(g)}
    elif dataset == "cifar100-consecutive":
        K, flips = 100, {c: c // 5 * 5 + (c + 1) % 5 for c in range(100)}
    else:
        known = [*ASYMMETRIC_MAPS, "cifar100", "cifar100-consecutive"]
        raise ValueError(f"dataset={dataset!r} has no asymmetric noise; known: {', '.join(known)}")
    T = np.eye(K)
    for true, noisy in flips.items():
        T[true, true] = 1 - rate
        T[true, noisy] = rate
    return T


def dmi(pattern: str, rate: float) -> np.ndarray:
    """The matrices of the L_DMI experiments (Xu et al. 2019), rows = true class.

    Binary tasks, ``[2, 2]``: ``independent`` ``[[1-r/2, r/2], [r/2, 1-r/2]]``;
    ``dependent-a`` ``[[1-r, r], [0, 1]]``; ``dependent-b`` ``[[1, 0], [r, 1-r]]``.
    CIFAR-10, ``[10, 10]``: ``cifar10-dependent`` truck->automobile, bird->airplane, deer->horse,
    cat->dog, and unlike other papers not dog->cat.
    """
    r = _rate(rate)
    if pattern == "cifar10-dependent":
        T = asymmetric("cifar10", r)
        T[5] = np.eye(10)[5]
        return T
    binary = {
        "independent": [[1 - r / 2, r / 2], [r / 2, 1 - r / 2]],
        "dependent-a": [[1 - r, r], [0, 1]],
        "dependent-b": [[1, 0], [r, 1 - r]],
    }
    if pattern not in binary:
        known = ", ".join([*binary, "cifar10-dependent"])
        raise ValueError(f"pattern={pattern!r} is unknown; known: {known}")
    return np.array(binary[pattern], dtype=float)


def instance_rows(
    images: np.ndarray, labels: np.ndarray, num_classes: int, rate: float, seed: int
) -> np.ndarray:
    """Instance-dependent noise after Xia et al. 2020: one row ``P(noisy = . | x, true)`` a sample.

    Sample n draws its own rate ``q_n`` from Normal(rate, 0.1) truncated to [0, 1]. A standard
    normal projection of the input, standardised by one mean and deviation of all its pixels, one
    matrix a true class, scores the classes; the true class is excluded, the softmax of the rest
    times ``q_n`` is the row. (The authors' code projects raw pixels, 0 to 255: the scores lie so
    far apart that nearly all flips of a sample go to one class, with a mean largest probability of
    0.9995 where ours has 0.964.)
    ``images`` ``[N, ...]``; returns float64 ``[N, K]``; feed it to ``corrupt_rows``.
    """
    K = _num_classes(num_classes)
    rate = _rate(rate)
    y = _labels(labels, K)
    if len(images) != len(y):
        raise ValueError(f"images has {len(images)} samples but labels has {len(y)}")
    x = np.asarray(images, dtype=np.float64).reshape(len(y), -1)
    x = (x - x.mean()) / max(x.std(), 1e-12)
    bits = np.random.PCG64(stream(seed, "instance-noise"))
    q = rate + 0.1 * _normal(bits, len(y))
    while (outside := (q < 0) | (q > 1)).any():  # truncation by redrawing
        q[outside] = rate + 0.1 * _normal(bits, outside.sum())
    rows = np.zeros((len(y), K))
    for c in range(K):
        mine = np.flatnonzero(y == c)
        scores = x[mine] @ _normal(bits, x.shape[1] * K).reshape(-1, K)
        scores[:, c] = -np.inf
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        rows[mine] = q[mine, None] * scores / scores.sum(axis=1, keepdims=True)
        rows[mine, c] = 1 - q[mine]
    return rows


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
    y = _labels(labels, len(T))
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
    rows = _stochastic(rows, "rows")
    y = _labels(labels, rows.shape[1])
    if len(rows) != len(y):
        raise ValueError(f"rows has {len(rows)} rows but labels has {len(y)} entries")
    u = _uniform(np.random.PCG64(stream(seed, "noise")), len(y))
    cdf = np.cumsum(rows, axis=1)
    # Rounding may leave the last value below 1; a draw above it must not reach a class of
    # probability 0, so everything from the last possible class on counts as 1.
    last = rows.shape[1] - 1 - np.argmax(rows[:, ::-1] > 0, axis=1)
    cdf[np.arange(rows.shape[1]) >= last[:, None]] = 1.0
    noisy = (u[:, None] >= cdf).sum(axis=1)
    return noisy, noisy != y


def realised(labels: np.ndarray, noisy: np.ndarray, num_classes: int) -> np.ndarray:
    """The matrix that really happened, ``[K, K]``; the row of a class without samples is NaN."""
    true, given = _labels(labels, num_classes), _labels(noisy, num_classes)
    if len(true) != len(given):
        raise ValueError(f"labels has {len(true)} entries but noisy has {len(given)}")
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (true, given), 1)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)


def check_matrix(T: np.ndarray) -> np.ndarray:
    """``T`` as float64 if it is a transition matrix, else ``ValueError`` with the reason."""
    T = _stochastic(T, "T")
    if T.shape[0] != T.shape[1] or len(T) < 2:
        raise ValueError(f"T must be square [K, K] with K >= 2, got shape {T.shape}")
    return T


def _stochastic(P: np.ndarray, name: str) -> np.ndarray:
    P = np.asarray(P, dtype=np.float64)
    if P.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, got shape {P.shape}")
    if not np.isfinite(P).all() or (P < 0).any() or (P > 1).any():
        raise ValueError(
            f"{name} must hold probabilities in [0, 1]; it ranges from {P.min()} to {P.max()}"
        )
    sums = P.sum(axis=1, keepdims=True)
    if len(P) and (off := np.abs(sums - 1)).max() > SUM_TOLERANCE:
        remedy = "divide each row by its sum"
        if len(P) == P.shape[1] and np.abs(P.sum(axis=0) - 1).max() <= SUM_TOLERANCE:
            remedy = "this one is column-stochastic (cleanlab's convention): transpose it"
        raise ValueError(
            f"{name} must be row-stochastic, T[i, j] = P(noisy j | true i), but row "
            f"{off.argmax()} sums to {sums[off.argmax(), 0]:.9g}; {remedy}"
        )
    # Of float64 nothing is changed, so that what is recorded stays what was given.
    return P if len(P) == 0 or off.max() <= 1e-9 else P / sums


def _labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    y = np.asarray(labels)
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"labels must be a one-dimensional integer array, got shape {y.shape} and "
            f"dtype {y.dtype}"
        )
    if len(y) and (y.min() < 0 or y.max() >= num_classes):
        raise ValueError(f"labels must lie in 0..{num_classes - 1}, got {y.min()}..{y.max()}")
    return y.astype(np.int64)


def _uniform(bits: np.random.PCG64, n: int) -> np.ndarray:
    """``n`` numbers in [0, 1) from raw draws, the same for every numpy (Generator's may change)."""
    return (bits.random_raw(n) >> np.uint64(11)) * 2.0**-53


def _normal(bits: np.random.PCG64, n: int) -> np.ndarray:
    """``n`` standard normal numbers from raw draws (Box and Muller)."""
    radius = np.sqrt(-2 * np.log1p(-_uniform(bits, n)))
    return radius * np.cos(2 * np.pi * _uniform(bits, n))


def _num_classes(num_classes: int) -> int:
    if not isinstance(num_classes, int | np.integer) or num_classes < 2:
        raise ValueError(f"num_classes={num_classes!r} must be an integer of at least 2")
    return int(num_classes)


def _rate(rate: float) -> float:
    number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    if not number or not 0 <= rate <= 1:
        raise ValueError(
            f"rate={rate!r} must be a number in [0, 1]: the share of labels to flip, "
            "e.g. 0.6 for 60 %"
        )
    return float(rate)


def _largest_remainder(expected: np.ndarray) -> np.ndarray:
    """Whole counts that sum to ``round(expected.sum())`` and differ from ``expected`` by < 1."""
    counts = np.floor(expected + 1e-9).astype(int)
    short = round(expected.sum()) - counts.sum()
    counts[np.argsort(-(expected - counts), kind="stable")[:short]] += 1
    return counts
