"""Transition matrices from the probabilities that a network predicts, when nobody knows them.

``T[i, j] = P(noisy label = j | true label = i)``, ``[K, K]``. The network has
been trained on the noisy labels, so what it predicts, ``probs`` ``[N, K]``, is the noisy posterior;
for ``from_confident_joint`` out of sample (cross-validated), since a network that has memorised a
label finds no fault with it.
"""

import numpy as np
from numpy.typing import ArrayLike

from labelnoise.checks import check_matrix

# float16 rounds each probability by at most 2^-12 of its size; a sum over K of them is off by no
# more than that plus K times the smallest step there, 3e-8.
SUM_TOLERANCE = 1e-3


def from_anchors(probs: ArrayLike, percentile: float | None = None) -> np.ndarray:
    """T ``[K, K]`` from one anchor a class: a sample that surely belongs to it has the noisy
    posterior T[i], so row i is what the network predicts for the anchor of class i.

    Patrini et al., CVPR 2017 (arXiv 1609.03683), theorem 3. The anchor of
    class i is the sample at the ``percentile`` of p_i, in (0, 100]: 100 is the sample with the
    largest p_i, a lower one passes over outliers. Of samples with the same p_i it is the first. The
    authors' code (giorgiop/loss-correction) takes 97 (one rank lower than here where 0.97 (N - 1)
    is a whole number), and 100 for CIFAR-100, where a class is but 1 % of the data: a percentile
    below 100 - 100/K asks for samples of other classes. So the default is 97 for up to 16 classes,
    where a class has twice the 3 %, and 100 for more.

    Raises ``ValueError`` for what are no probabilities, a percentile outside (0, 100], and a class
    whose anchor has p_i = 0.
    """
    probs = _probabilities(probs)
    if percentile is None:
        percentile = 97.0 if probs.shape[1] <= 16 else 100.0
    number = isinstance(percentile, int | float | np.number) and not isinstance(percentile, bool)
    if not number or not 0 < percentile <= 100:
        raise ValueError(f"percentile={percentile!r} must be a number above 0 and at most 100")
    at = np.percentile(probs, percentile, axis=0, method="lower")
    if not at.all():
        raise ValueError(
            f"class {at.argmin()} has no anchor: its probability is 0 at the percentile "
            f"{percentile:g} of the samples; raise percentile, or leave this class out"
        )
    return probs[(probs == at).argmax(axis=0)]


def from_confident_joint(labels: ArrayLike, probs: ArrayLike) -> np.ndarray:
    """T ``[K, K]`` from confident learning's counts, for the noisy ``labels`` ``[N]``.

    Northcutt et al., JAIR 2021 (arXiv 1911.00068), section 3. A sample counts as truly of class j
    if p_j reaches the mean p_j of the samples labelled j (of several such classes, the one of the
    largest p_j); C[s, j] counts the samples that are labelled s and truly j, scaled to the number
    of labels s. cleanlab's ``compute_confident_joint`` counts; T[i, j] = C[j, i] / sum_s C[s, i].
    (cleanlab's own noise matrix is the transpose: its columns sum to 1.)

    Raises ``ValueError`` for what are no probabilities or labels, for a class without labels and
    for one that no sample confidently belongs to; ``ImportError`` without cleanlab.
    """
    probs = _probabilities(probs)
    labels = _labels(labels, *probs.shape)
    try:
        from cleanlab import count  # heavy, and only for this
    except ImportError as error:
        raise ImportError(
            "from_confident_joint needs cleanlab: pip install 'labelnoise[notebooks]', or "
            "pip install cleanlab"
        ) from error
    counts = count.compute_confident_joint(labels, probs, calibrate=False)  # [label, true]
    # cleanlab puts a 1 on the diagonal where nobody confidently has a label and belongs to it.
    if (alone := counts.sum(axis=0) <= 1).any():
        raise ValueError(
            f"at most one sample confidently belongs to class {alone.argmax()}: its row of T "
            "cannot be estimated; give more samples, or train the network longer"
        )
    counts = count.calibrate_confident_joint(counts, labels).astype(float)
    return (counts / counts.sum(axis=0)).T


def error(T_hat: ArrayLike, T: ArrayLike) -> float:
    """How far the estimate lies from T: (1/K) sum_i (1/2) sum_j |T_hat[i, j] - T[i, j]|, in [0, 1].

    The total variation between two rows, averaged over the classes: the share of labels that the
    two would have to give differently. So it has the unit of a noise rate: taking noise of rate r
    for no noise is an error of r. (The sum of absolute values, as some papers print it, is 2 K
    times this, and relative to sum |T| = K, 2 times.)
    """
    T_hat, T = check_matrix(T_hat), check_matrix(T)
    if T_hat.shape != T.shape:
        raise ValueError(f"T_hat is for {len(T_hat)} classes but T for {len(T)}")
    return float(np.abs(T_hat - T).sum(axis=1).mean() / 2)


def _probabilities(probs: ArrayLike) -> np.ndarray:
    """``probs`` in float64 with rows that sum to 1, or ``ValueError``."""
    p = np.asarray(probs)
    if p.ndim != 2 or p.shape[0] < 1 or p.shape[1] < 2 or not np.issubdtype(p.dtype, np.floating):
        raise ValueError(
            f"probs must be floats of shape [N, K] with N >= 1 and K >= 2, got {p.shape} {p.dtype}"
        )
    p = p.astype(np.float64)
    wrong = ~((p >= 0) & (p <= 1 + SUM_TOLERANCE)).all(axis=1)  # NaN included
    if wrong.any():
        n = int(wrong.argmax())
        raise ValueError(
            f"probs must lie in [0, 1], but row {n} ranges from {p[n].min()} to {p[n].max()}; "
            "logits have to pass through a softmax first"
        )
    sums = p.sum(axis=1, keepdims=True)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst, 0] - 1) > SUM_TOLERANCE:
        raise ValueError(
            f"each row of probs must sum to 1 (to {SUM_TOLERANCE:g}, for float16), but row {worst} "
            f"sums to {sums[worst, 0]:.6g}; pass the softmax over all classes"
        )
    return p / sums


def _labels(labels: ArrayLike, N: int, K: int) -> np.ndarray:
    y = np.asarray(labels)
    if y.shape != (N,) or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"labels must be integers of shape [N], one for each of the {N} rows of probs, got "
            f"{y.shape} {y.dtype}"
        )
    if y.min() < 0 or y.max() >= K:
        raise ValueError(
            f"labels must lie in 0..{K - 1}, the columns of probs, got {y.min()}..{y.max()}"
        )
    if (missing := np.flatnonzero(np.bincount(y, minlength=K) == 0)).size:
        raise ValueError(
            f"class {missing[0]} has no label at all, so nothing can be learnt about it; leave out "
            "its column of probs, or give samples of it"
        )
    return y.astype(np.int64)


def check(labels: ArrayLike, probs: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Labels int64 ``[N]`` and probabilities float64 ``[N, K]``, rows summing to 1; ``ValueError``
    for what are none, and for a class without labels."""
    probs = _probabilities(probs)
    return _labels(labels, *probs.shape), probs
