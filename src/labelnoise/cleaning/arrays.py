"""Images and labels as the arrays that a training takes, or the error that says what is wrong."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

CHUNK = 2**22  # pixels that are counted at a time


def checked_images(X: ArrayLike) -> np.ndarray:
    """uint8 ``[N, C, H, W]``, or ``ValueError``."""
    images = np.asarray(X)
    images = images[:, None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8:
        raise ValueError(
            f"X must be images, uint8 in 0..255 of shape [N, C, H, W] or [N, H, W], got "
            f"{images.dtype} {images.shape}; scale floats to 0..255 and convert them first"
            + ("; for features [N, D], take a classifier of scikit-learn" * (images.ndim == 2))
        )
    if images.size == 0:
        raise ValueError(f"X is empty, of shape {images.shape}: give at least one image")
    if images.shape[3] <= 4 < images.shape[1]:
        raise ValueError(
            f"X of shape {images.shape} seems to be [N, H, W, C], but the channels come before the "
            "rows, [N, C, H, W]: permute it, X.transpose(0, 3, 1, 2)"
        )
    return np.ascontiguousarray(images)


def encoded(name: str, labels: ArrayLike, N: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes ``[K]``, sorted, and the labels ``[N]`` as their positions, int64 in 0..K-1.

    Raises ``ValueError``, which says ``name``, for anything but N labels, for one that is missing
    (None, NaN), for kinds that do not sort together, and for fewer than two classes.
    """
    raw = np.asarray(labels, dtype=object)  # of a list with text, numpy would make NaN 'nan'
    if raw.shape != (N,):
        raise ValueError(f"{name} must hold one label for each of {N} images, got {raw.shape}")
    if (missing := np.flatnonzero(pd.isna(raw))).size:
        raise ValueError(
            f"{name} holds {missing.size} missing labels (None or NaN), the first at index "
            f"{missing[0]}; leave these samples out, or label them"
        )
    try:
        np.unique(raw)
    except TypeError:
        kinds = ", ".join(sorted({type(label).__name__ for label in raw}))
        raise ValueError(
            f"{name} mixes labels that do not sort together ({kinds}); make all of them text, or "
            "all of them numbers"
        ) from None
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{name} holds {len(classes)} classes, {classes}: give samples of two at "
                         "least, or there is nothing to tell apart")  # fmt: skip
    return classes, codes


def mean_and_std(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Of each channel of uint8 ``[N, C, H, W]``, scaled to 0..1; 1e-6 on top of each standard
    deviation, since a constant channel must not divide by 0.

    From counts of the 256 values, which are exact; a float copy of all images would be four times
    their size.
    """
    counts = np.zeros((images.shape[1], 256), dtype=np.int64)
    step = max(1, CHUNK // images[0, 0].size)
    for start in range(0, len(images), step):
        for channel, count in enumerate(counts):
            count += np.bincount(images[start : start + step, channel].ravel(), minlength=256)
    share, values = counts / counts.sum(axis=1, keepdims=True), np.arange(256) / 255
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1)) + 1e-6
    return mean.tolist(), std.tolist()
