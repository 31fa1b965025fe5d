"""Each sample judged by a classifier that never saw it, so that a memorised wrong label cannot
vouch for itself.

    p = out_of_sample(images, labels)                                    # our networks
    p = out_of_sample(features, labels, LogisticRegression())            # any of scikit-learn's
    p, p_more = out_of_sample(images, labels, also=images_without_labels)
"""

import os
import sys

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin, clone
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import _safe_indexing
from tqdm.auto import tqdm

from labelnoise.checks import check_integer
from labelnoise.cleaning.arrays import encoded
from labelnoise.cleaning.classifier import NetworkClassifier

FLATTEN = "make_pipeline(FunctionTransformer(lambda x: x.reshape(len(x), -1)), ...)"
# What programs that show a notebook to somebody set for its kernel: Jupyter, VS Code, Colab.
# papermill, nbval and nbconvert set none of them.
SHOWN_BY = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG")


def out_of_sample(
    X: ArrayLike,
    y: ArrayLike,
    classifier: ClassifierMixin | None = None,
    *,
    folds: int = 5,
    also: ArrayLike | None = None,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Each sample's probabilities by a classifier that was trained on all folds but its own:
    float64 ``[N, K]``, the classes sorted.

    - ``X``: images, features ``[N, D]``, texts: N samples of whatever the classifier takes, as an
      array, a list, a DataFrame or a sparse matrix.
    - ``y``: their labels, of any kind that sorts.
    - ``classifier``: any of scikit-learn's with ``predict_proba``; default ``NetworkClassifier()``,
      for images. What takes features only needs images that are flattened, in a pipeline.
    - ``also``: more samples, without a label. Then a second array follows, ``[M, K]``: the mean of
      what the classifiers of all folds say of them.

    A bar shows how far the trainings are, if somebody watches (``watched``).

    Raises ``ValueError`` for labels that are not one for each sample, missing, or of one class, for
    folds that are no integer of at least 2, for a class with fewer samples than folds, and for a
    classifier without probabilities or that cannot take these samples; and what it raises itself.
    """
    classifier = NetworkClassifier() if classifier is None else classifier
    X, also = samples(X), None if also is None else samples(also)
    classes, given = encoded("labels", y, X.shape[0])
    check_folds(classes, given, folds)
    if not hasattr(classifier, "predict_proba"):
        raise ValueError(f"{classifier!r} has no predict_proba: it cannot say how sure it is; wrap "
                         "it in sklearn.calibration.CalibratedClassifierCV, or take another"
                         )  # fmt: skip
    ours = isinstance(classifier, NetworkClassifier)
    epochs = classifier.epochs() if ours else 1
    p = np.empty((X.shape[0], len(classes)))
    more = None if also is None else np.zeros((also.shape[0], len(classes)))
    split = StratifiedKFold(folds, shuffle=True, random_state=0)
    with tqdm(total=folds * epochs, unit="epoch" if ours else "fold", disable=not watched()) as bar:
        reports = {"on_epoch": lambda epoch: bar.update()} if ours else {}
        for seen, unseen in split.split(given, given):
            made = fitted(clone(classifier), _safe_indexing(X, seen), given[seen], **reports)
            p[unseen] = made.predict_proba(_safe_indexing(X, unseen))
            if more is not None and len(more):
                more += made.predict_proba(also) / folds
            del made  # with its samples, if it keeps them, before the next fold copies others
            if not ours:
                bar.update()
    return p if more is None else (p, more)


def check_folds(classes: np.ndarray, given: np.ndarray, folds: int) -> None:
    """``ValueError`` unless each of the ``classes`` has a sample for every fold, of at least 2."""
    check_integer("folds", folds, 2)
    counts = np.bincount(given)
    rare, n = classes[counts.argmin()], counts.min()
    if n < 2:
        raise ValueError(f"1 sample of class {rare}: give a class two at least, or leave it out")
    if n < folds:
        raise ValueError(
            f"{len(classes)} classes, and {n} samples of class {rare}: there must be {folds} "
            "samples of each, one a fold; lower folds, or leave the class out"
        )


def samples(X: ArrayLike) -> ArrayLike:
    """``X`` as something with a shape, whose rows are samples."""
    return X if hasattr(X, "iloc") or issparse(X) else np.asarray(X)


def fitted(classifier: ClassifierMixin, X: ArrayLike, y: np.ndarray, **options) -> ClassifierMixin:
    """The classifier, fitted; what scikit-learn's say of images is made plain."""
    try:
        return classifier.fit(X, y, **options)
    except ValueError as error:
        if isinstance(classifier, NetworkClassifier) or X.ndim < 3:
            raise
        raise ValueError(
            f"{type(classifier).__name__} cannot take samples of shape {X.shape[1:]} ({error}); "
            f"flatten images, X.reshape(len(X), -1), or in a pipeline: {FLATTEN}"
        ) from error


def watched() -> bool:
    """Whether somebody sees a bar: in a terminal, or in a notebook that is open. A notebook that is
    executed unseen must not differ by one."""
    if "ipykernel" in sys.modules:
        return any(name in os.environ for name in SHOWN_BY)
    return sys.stderr is not None and sys.stderr.isatty()
