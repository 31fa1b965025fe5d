"""The alarms ring where a list of suspects cannot be trusted, and nowhere else, on digits."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from labelnoise import data, noise
from labelnoise.cleaning import report
from labelnoise.noise import signs

SYMMETRIC = noise.symmetric(10, 0.3)


def study(
    seed: int, size: int = 600, T: np.ndarray | None = None, rare: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """On what the thresholds of ``signs`` were set: labels given, labels that are true, and
    out-of-sample probabilities of logistic regression, of digits with as many of each class, but of
    ``rare`` 1 % and no fewer than 5."""
    images, true = data.load("digits")
    order = np.random.default_rng(seed).permutation(len(true))
    sizes = [max(5, size // 100) if k == rare else size // 10 for k in range(10)]
    kept = np.concatenate([order[true[order] == k][:n] for k, n in enumerate(sizes)])
    given = true[kept] if T is None else noise.corrupt(true[kept], T, seed)[0]
    judge, folds = LogisticRegression(max_iter=50), StratifiedKFold(5, shuffle=True, random_state=0)
    rows = images[kept].reshape(len(kept), -1) / 255
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        p = cross_val_predict(judge, rows, given, cv=folds, method="predict_proba")
    return given, true[kept], p


def rings(given: np.ndarray, p: np.ndarray) -> dict[str, tuple[int, ...]]:
    return {sign.name: sign.classes for sign in signs.signs(signs.measured(given, p))}


def test_nothing_rings_on_clean_and_balanced_digits_in_20_seeds():
    for seed in range(20):
        given, _, p = study(seed)
        assert report.after(given, p).alarms == (), seed


def test_nothing_rings_on_balanced_digits_with_30_percent_noise():
    for T in (SYMMETRIC, noise.asymmetric("mnist", 0.3)):
        given, true, p = study(0, 1200, T)
        found = report.after(given, p)
        assert found.alarms == ()
        assert found.noise_rate == pytest.approx((given != true).mean(), abs=0.05)


@pytest.mark.parametrize("size", [300, 1200])
def test_a_rare_class_rings_at_30_percent_noise_and_without(size):
    for T in (SYMMETRIC, None):
        given, _, p = study(1, size, T, rare=8)
        found = rings(given, p)
        assert 8 in found["rare class"]
        assert all(set(classes) <= {8} for classes in found.values())


def test_too_few_samples_are_told_before_any_training():
    counts = [12] * 10
    assert signs.before(counts, 5) == [signs.Sign("few samples")]
    assert signs.before(counts, 10) == [], "more folds leave more to learn from"
    text = report.before(np.repeat(["a", "b", "c"], [100, 90, 5]), training="an MLP", minutes=2.0)
    assert "ALARM, rare class: c (5)" in text
    assert "few samples" not in text


def test_permuted_columns_are_found_and_nothing_else_is_taken_for_them():
    given, _, p = study(0, 600, SYMMETRIC)
    assert "columns permuted" not in rings(given, p)
    order = [*range(1, 10), 0]
    assert rings(given, p[:, order])["columns permuted"] == tuple(range(10))
    swapped = p[:, [0, 1, 2, 4, 3, *range(5, 10)]]
    assert rings(given, swapped)["columns permuted"] == (3, 4)


def test_a_judge_that_learnt_nothing_and_rows_that_are_alike_are_found():
    rng = np.random.default_rng(0)
    given, _, p = study(0, 600, SYMMETRIC)
    guess = rng.dirichlet(np.ones(10), len(given))
    assert "learnt nothing" in rings(given, guess)
    T = np.eye(10)
    T[[3, 3, 5, 5], [3, 5, 3, 5]] = 0.5  # no label tells a three from a five
    seen = {**signs.measured(given, p), "joint": (60 * T).tolist()}
    assert signs.Sign("rows alike", (3, 5)) in signs.signs(seen)


def test_the_report_counts_every_class():
    given, _, p = study(0, 600, SYMMETRIC)
    names = np.array([f"digit {k}" for k in range(10)])
    found = report.after(names[given], p)
    table = found.per_class.set_index("class")
    assert table.loc["digit 3", "count"] == (given == 3).sum()
    assert table["times suggested"].sum() == len(given)
    assert table["T diagonal"].between(0.5, 0.9).all()
    assert "No alarm." in str(found)


def test_a_class_that_nobody_surely_belongs_to_has_no_diagonal():
    given = np.repeat(range(3), [50, 50, 8])
    p = np.eye(3)[np.minimum(given, 1)] * 0.94 + 0.02
    found = report.after(given, p)
    assert np.isnan(found.per_class["T diagonal"].iloc[2])
    assert {"overlooked class", "rare class"} <= {alarm.name for alarm in found.alarms}
