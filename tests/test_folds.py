"""Out-of-sample probabilities: no sample is judged by a classifier that saw it."""

import io
import os

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from labelnoise.cleaning import folds
from labelnoise.cleaning.classifier import NetworkClassifier
from labelnoise.cleaning.folds import out_of_sample
from labelnoise.config.protocols import MNIST_PROTOCOL

FLAT = FunctionTransformer(lambda x: x.reshape(len(x), -1))
SPLIT = StratifiedKFold(3, shuffle=True, random_state=0)


def judge():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))


@pytest.fixture(scope="module")
def few(digits):
    """Features, and names whose order is not that of their codes."""
    images, _, given = digits
    return images[:200].reshape(200, -1) / 255, np.array([*"jihgfedcba"])[given[:200]]


def test_any_classifier_of_scikit_learn_judges_features_as_its_own_cross_validation_does(few):
    X, names = few
    p = out_of_sample(X, names, judge(), folds=3)
    codes = np.unique(names, return_inverse=True)[1]
    found = cross_val_predict(judge(), X, codes, cv=SPLIT, method="predict_proba")
    assert p == pytest.approx(found)


def test_a_frame_a_sparse_matrix_and_images_in_a_pipeline_are_judged_alike(few):
    pd = pytest.importorskip("pandas")
    X, names = few
    plain = make_pipeline(FLAT, LogisticRegression(max_iter=500))
    p = out_of_sample(X, names, plain, folds=3)
    assert out_of_sample(X.reshape(200, 1, 8, 8), names, plain, folds=3) == pytest.approx(p)
    bare = LogisticRegression(max_iter=500)
    assert out_of_sample(pd.DataFrame(X), names, bare, folds=3) == pytest.approx(p)
    assert out_of_sample(csr_array(X), names, bare, folds=3) == pytest.approx(p, abs=1e-3)


def test_what_has_no_label_gets_the_mean_of_the_folds(few):
    X, names = few
    p, more = out_of_sample(X[:150], names[:150], judge(), folds=3, also=X[150:])
    assert p == pytest.approx(out_of_sample(X[:150], names[:150], judge(), folds=3))
    codes = np.unique(names[:150], return_inverse=True)[1]
    each = [
        judge().fit(X[:150][seen], codes[seen]).predict_proba(X[150:])
        for seen, _ in SPLIT.split(codes, codes)
    ]
    assert more == pytest.approx(np.mean(each, axis=0))
    assert out_of_sample(X, names, judge(), folds=3, also=X[:0])[1].shape == (0, 10)


def test_what_a_classifier_cannot_take_is_said_with_the_remedy(few, digits):
    X, names = few
    images = X.reshape(200, 1, 8, 8)
    for made in (judge(), RandomForestClassifier()):
        with pytest.raises(ValueError, match=r"cannot take samples of shape \(1, 8, 8\).*flatten"):
            out_of_sample(images, names, made)
    with pytest.raises(ValueError, match=r"for features \[N, D\], take a classifier of scikit"):
        out_of_sample(X, names)
    with pytest.raises(ValueError, match="LinearSVC.* has no predict_proba"):
        out_of_sample(X, names, LinearSVC())


class Bar(folds.tqdm):
    seen: list[int] = []

    def __init__(self, **settings):
        super().__init__(**settings)
        self.seen.append(settings["total"])

    def update(self, n=1):
        self.seen.append(n)


def test_one_bar_counts_the_epochs_of_all_folds(digits, monkeypatch):
    images, labels = digits[0][:100], digits[1][:100] % 2
    short = {**MNIST_PROTOCOL, "epochs": 2}
    ce = NetworkClassifier("CE", protocol=short, device="cpu")
    after = NetworkClassifier("GCE", protocol=short, device="cpu", start=ce)
    monkeypatch.setattr(folds, "tqdm", Bar)
    for made, total in ((ce, 6), (after, 12), (make_pipeline(FLAT, LogisticRegression()), 3)):
        Bar.seen.clear()
        out_of_sample(images, labels, made, folds=3)
        assert Bar.seen == [total] + [1] * total


def test_a_notebook_has_a_bar_only_where_somebody_has_it_open(monkeypatch):
    for name in folds.SHOWN_BY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(folds.sys, "stderr", io.StringIO())
    assert not folds.watched()
    monkeypatch.setitem(folds.sys.modules, "ipykernel", os)
    assert not folds.watched()
    monkeypatch.setenv("JPY_SESSION_NAME", "my.ipynb")
    assert folds.watched()
