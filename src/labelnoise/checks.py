"""What an argument must be: every check raises ``ValueError`` that names it and the remedy."""

import math
from collections.abc import Collection

import numpy as np

SUM_TOLERANCE = 1e-5  # the sum of a row in float32 is off by some 1e-6


def is_number(value: object) -> bool:
    """A finite int or float; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_integer(name: str, value: object, least: int) -> None:
    """``ValueError`` for what is no int of at least ``least``; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r} must be an integer of at least {least}")


def one_of(what: str, value: object, names: Collection) -> None:
    """``ValueError``, with the names that there are, for a ``value`` that is none of them."""
    if value not in names:
        raise ValueError(f"{what} {value!r} is unknown; known: {', '.join(map(str, names))}")


def positive(name: str, value: float, *, low: float = 0.0, high: float = math.inf) -> float:
    """``value`` as a float if it is finite and ``low < value <= high``, else ``ValueError``."""
    if not is_number(value) or not low < value <= high:
        upto = "" if high == math.inf else f" and at most {high:g}"
        raise ValueError(f"{name}={value!r} must be a number above {low:g}{upto}")
    return float(value)


def flag(name: str, value: bool) -> bool:
    """``value`` if it is True or False, else ``ValueError``."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be True or False")
    return value


def check_num_classes(num_classes: int) -> int:
    """The number of classes K, an integer of at least 2."""
    if not isinstance(num_classes, int | np.integer) or num_classes < 2:
        raise ValueError(f"num_classes={num_classes!r} must be an integer of at least 2")
    return int(num_classes)


def check_rate(rate: float) -> float:
    """A share of labels, in [0, 1], as a float."""
    number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    if not number or not 0 <= rate <= 1:
        raise ValueError(
            f"rate={rate!r} must be a number in [0, 1]: the share of labels to flip, "
            "e.g. 0.6 for 60 %"
        )
    return float(rate)


def check_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Labels ``[N]``, integers in 0..K-1, as int64."""
    y = np.asarray(labels)
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"labels must be a one-dimensional integer array, got shape {y.shape} and "
            f"dtype {y.dtype}"
        )
    if len(y) and (y.min() < 0 or y.max() >= num_classes):
        raise ValueError(f"labels must lie in 0..{num_classes - 1}, got {y.min()}..{y.max()}")
    return y.astype(np.int64)


def check_rows(P: np.ndarray, name: str) -> np.ndarray:
    """``P`` ``[N, K]`` as float64, whose rows are probabilities that sum to 1."""
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


def check_matrix(T: np.ndarray) -> np.ndarray:
    """``T`` as float64 if it is a transition matrix, else ``ValueError`` with the reason."""
    T = check_rows(T, "T")
    if T.shape[0] != T.shape[1] or len(T) < 2:
        raise ValueError(f"T must be square [K, K] with K >= 2, got shape {T.shape}")
    return T
