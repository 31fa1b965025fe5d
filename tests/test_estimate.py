"""Transition matrices are found in what a network predicts; what cannot be estimated is refused."""

import builtins
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelnoise import noise
from labelnoise.checks import check_matrix
from labelnoise.noise import estimation

quick = settings(deadline=None, derandomize=True, database=None, max_examples=40)
T3 = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.3, 0.1, 0.6]])


def posteriors(K: int, N: int, seed: int, sure: float = 0.5) -> np.ndarray:
    """Clean posteriors ``[N, K]``, of which the first K are anchors, and a share is nearly sure."""
    draw = np.random.default_rng(seed)
    q = draw.dirichlet(np.ones(K), size=N)
    near = np.eye(K)[draw.integers(K, size=N)] * 0.98 + 0.02 / K
    q = np.where(draw.random((N, 1)) < sure, near, q)
    q[:K] = np.eye(K)
    return q


def matrix(K: int, seed: int) -> np.ndarray:
    return 0.6 * np.eye(K) + 0.4 * np.random.default_rng(seed).dirichlet(np.ones(K), size=K)


# ---------------------------------------------------------------------------------------- anchors


@quick
@given(st.integers(2, 10), st.integers(0, 10**6))
def test_a_perfect_anchor_gives_its_row_exactly(K, seed):
    """Patrini et al., theorem 3: a network that knows the noisy posterior, and a sure sample."""
    T = matrix(K, seed)
    T = np.maximum(T, 0.7 * np.eye(K))  # the diagonal leads its column
    T /= T.sum(axis=1, keepdims=True)
    found = estimation.from_anchors(posteriors(K, 200, seed) @ T, percentile=100)
    assert found == pytest.approx(T, abs=1e-12)


def test_a_percentile_passes_over_outliers():
    T = noise.symmetric(10, 0.4)
    probs = posteriors(10, 5000, seed=1) @ T
    probs[:5] = np.eye(10)[:5]  # memorised: surer than any true anchor
    robust, fooled = (estimation.from_anchors(probs, percentile=p) for p in (97, 100))
    assert estimation.error(robust, T) < 0.02
    assert estimation.error(fooled, T) > 0.15
    assert np.array_equal(estimation.from_anchors(probs), robust)


def public_code(probs: np.ndarray, percentile: float) -> np.ndarray:
    """The anchors of giorgiop/loss-correction: the largest p_i below the percentile, which is taken
    upwards."""
    rows = []
    for p in probs.T:
        bound = np.percentile(p, percentile, method="higher")
        rows.append(probs[np.where(p >= bound, 0, p).argmax()])
    return np.array(rows) / np.sum(rows, axis=1, keepdims=True)


def test_the_anchors_are_those_of_public_code():
    draw = np.random.default_rng(2)  # no two samples alike: public code leaves out ties
    probs = draw.dirichlet(np.full(10, 0.2), size=1000) @ noise.asymmetric("mnist", 0.3)
    assert estimation.from_anchors(probs) == pytest.approx(public_code(probs, 97), abs=1e-12)
    largest = probs[probs.argmax(axis=0)]
    assert estimation.from_anchors(probs, 100) == pytest.approx(largest, abs=1e-12)


def test_an_anchor_is_a_sample_at_or_below_the_percentile_the_first_of_equals():
    probs = np.array([[0.6, 0.4, 0.0], [0.6, 0.0, 0.4], [0.3, 0.3, 0.4], [0.2, 0.3, 0.5]])
    found = estimation.from_anchors(probs, percentile=60)  # 1.8 of 0..3: the second smallest
    assert found == pytest.approx(probs[[2, 2, 1]])
    assert estimation.from_anchors(probs, 100) == pytest.approx(probs[[0, 0, 3]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("K", [2, 10, 100])
def test_probabilities_may_be_stored_in_half_precision(dtype, K):
    T = noise.symmetric(K, 0.3)
    probs = (posteriors(K, 500, seed=3) @ T).astype(dtype)
    found = estimation.from_anchors(probs, percentile=100)
    assert found.dtype == np.float64
    check_matrix(found)
    assert estimation.error(found, T) < 1e-3


# -------------------------------------------------------------------------------- confident joint


def counted(labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Confident learning's counts, sample by sample: [label, true], scaled to the labels there
    are (before they are rounded to whole numbers)."""
    K = probs.shape[1]
    bound = [np.mean([p[k] for y, p in zip(labels, probs, strict=True) if y == k])
             for k in range(K)]  # fmt: skip
    C = np.zeros((K, K))
    for y, p in zip(labels, probs, strict=True):
        confident = [k for k in range(K) if p[k] >= bound[k]]
        if confident:
            C[y, max(confident, key=p.__getitem__)] += 1
    return C / C.sum(axis=1, keepdims=True) * np.bincount(labels, minlength=K)[:, None]


def trained(K: int, T: np.ndarray, N: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy labels, and the noisy posterior of a network that is right but not sure."""
    q = posteriors(K, N, seed, sure=0.9)
    draw = np.random.default_rng(seed + 1)
    true = np.array([draw.choice(K, p=row) for row in q])
    return noise.corrupt(true, T, seed=seed)[0], q @ T


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_confident_joint_is_counted_as_the_paper_says_and_turned_to_our_convention(seed):
    pytest.importorskip("cleanlab", reason="needs cleanlab, of the extra `notebooks`")
    labels, probs = trained(3, T3, 1500, seed)
    C = counted(labels, probs)
    found = estimation.from_confident_joint(labels, probs)
    assert found == pytest.approx((C / C.sum(axis=0)).T, abs=3 / 500)  # cleanlab rounds the counts
    check_matrix(found)
    assert estimation.error(found, T3) < 0.05
    assert estimation.error(found, T3) < estimation.error(found.T / found.sum(axis=0)[:, None], T3)


def test_without_cleanlab_the_error_names_the_remedy(monkeypatch):
    ordinary = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("cleanlab"):
            raise ImportError(name)
        return ordinary(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="needs cleanlab: pip install"):
        estimation.from_confident_joint([0, 1], np.eye(2))


def test_a_class_that_nobody_confidently_belongs_to_has_no_row():
    """Class 2 reaches its own mean only where class 0 is more probable still: cleanlab counts 1 on
    the diagonal for it, of which calibration would make a clean row."""
    pytest.importorskip("cleanlab", reason="needs cleanlab, of the extra `notebooks`")
    labels = np.repeat([0, 1, 2], 10)
    rows = ([0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.6, 0.0, 0.4])
    probs = np.repeat(rows, 10, axis=0)
    probs[:10] = [0.6, 0.0, 0.4]  # so that they reach the mean p_0
    with pytest.raises(ValueError, match="class 2: its row"):
        estimation.from_confident_joint(labels, probs)


# ------------------------------------------------------------------------------------------ error


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.6, 1.0])
def test_the_error_of_overlooking_noise_is_its_rate(rate):
    for T in (noise.symmetric(10, rate), noise.pairflip(10, rate)):
        assert estimation.error(np.eye(10), T) == pytest.approx(rate)


def test_the_error_is_half_of_what_the_rows_differ_by_averaged_over_the_classes():
    a, b = matrix(5, 0), matrix(5, 1)
    by_hand = sum(abs(a[i, j] - b[i, j]) for i in range(5) for j in range(5)) / (2 * 5)
    assert estimation.error(a, b) == estimation.error(b, a) == pytest.approx(by_hand)


# -------------------------------------------------------------------------------------- bad input

P = np.array([[0.5, 0.25, 0.25]] * 4)
Y = [0, 1, 2, 0]


def changed(row: int, values: list[float]) -> np.ndarray:
    p = P.copy()
    p[row] = values
    return p


PROBS = [
    (P[0], r"probs .* got \(3,\)"),
    (P[:, :1], r"probs .* K >= 2, got \(4, 1\)"),
    (P[:0], r"probs .* N >= 1 .* got \(0, 3\)"),
    (np.eye(3, dtype=int), "probs .* int64"),
    ([["a", "b"]], "probs must be floats"),
    (changed(2, [math.nan, 0.5, 0.5]), "row 2 ranges from nan"),
    (changed(1, [math.inf, 0, 0]), r"\[0, 1\], but row 1"),
    (changed(3, [2.0, -1.0, 0.0]), r"row 3 ranges from -1\.0 to 2\.0; .*softmax"),
    (changed(2, [0.5, 0.3, 0.3]), r"row 2 sums to 1\.1; pass the softmax"),
    (changed(2, [0.5, 0.2, 0.2]), r"row 2 sums to 0\.9"),
]


@pytest.mark.parametrize(("probs", "named"), PROBS)
def test_what_are_no_probabilities_is_refused(probs, named):
    with pytest.raises(ValueError, match=named):
        estimation.from_anchors(probs)
    with pytest.raises(ValueError, match=named):
        estimation.from_confident_joint(Y[: len(np.atleast_2d(probs))], probs)


LABELS = [
    (Y[:3], r"labels .* 4 rows of probs, got \(3,\)"),
    (np.eye(4, 3), r"labels .* \(4, 3\)"),
    ([0.0, 1.0, 2.0, 0.0], "labels .* float64"),
    ([0, 1, 2, -1], r"labels .* 0\.\.2, .* got -1\.\.2"),
    ([0, 1, 2, 3], r"labels .* 0\.\.2, .* got 0\.\.3"),
    ([0, 0, 2, 2], "class 1 has no label .*leave out its column"),
]


@pytest.mark.parametrize(("labels", "named"), LABELS)
def test_labels_that_do_not_fit_are_refused(labels, named):
    with pytest.raises(ValueError, match=named):
        estimation.from_confident_joint(labels, P)


@pytest.mark.parametrize(("K", "percentile"), [(10, 97), (16, 97), (17, 100), (100, 100)])
def test_the_default_percentile_never_asks_for_samples_of_other_classes(K, percentile):
    T = noise.symmetric(K, 0.4)
    probs = posteriors(K, 60 * K, 1, sure=0.9) @ T
    found = estimation.from_anchors(probs)
    assert np.array_equal(found, estimation.from_anchors(probs, percentile))
    assert estimation.error(found, T) < 0.1


@pytest.mark.parametrize("percentile", [0, 101, math.nan, "97", True])
def test_a_percentile_outside_its_range_and_a_class_without_an_anchor_are_refused(percentile):
    with pytest.raises(ValueError, match=f"percentile={percentile!r}"):
        estimation.from_anchors(P, percentile)
    with pytest.raises(ValueError, match=r"class 2 has no anchor: .*raise percentile"):
        estimation.from_anchors(np.array([[0.5, 0.5, 0.0]] * 4))


@pytest.mark.parametrize(
    ("T_hat", "T", "message"),
    [
        (np.eye(2), np.eye(3), r"T_hat is for 2 classes but T for 3"),
        (T3.T, T3, r"row-stochastic"),
        (T3, np.full((3, 3), np.nan), r"must hold probabilities"),
    ],
)
def test_the_error_refuses_what_are_no_two_matrices_of_one_size(T_hat, T, message):
    with pytest.raises(ValueError, match=message):
        estimation.error(T_hat, T)
