"""Tables of notebook 01: rates, conventions, and which noise the records were drawn from."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from labelnoise import noise
from labelnoise.checks import check_rate
from labelnoise.noise import transition
from labelnoise.runs.sweep import Outcome
from labelnoise.training.task import given_labels


def inner(rate: float) -> float:
    """``rate``, if there are both right and wrong labels at it."""
    if not 0 < check_rate(rate) < 1:
        raise ValueError(f"rate={rate!r} must lie between 0 (no label is wrong) and 1 (no label is "
                         "right), e.g. 0.6 for 60 %")  # fmt: skip
    return rate


def rate_table(named: Mapping[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """Per matrix: the share of labels that it changes, for equal classes and for ``labels``, and
    the worst class's confusion ratio."""
    rows = {}
    for title, T in named.items():
        counts = np.bincount(labels, minlength=len(T))
        rows[title] = {
            "realised, equal classes (%)": f"{100 * transition.realised_rate(T):.1f}",
            "realised, these labels (%)": f"{100 * transition.realised_rate(T, counts):.1f}",
            "worst confusion ratio": f"{transition.confusion_ratio(T).max():.3f}",
        }
    return pd.DataFrame(rows).T


def convention_table(rates: Sequence[float], num_classes: Sequence[int]) -> pd.DataFrame:
    """Realised rate (%) of symmetric noise that may land on the true class, over nominal rate and
    K. Where the true class is excluded, realised and nominal are equal."""
    cells = {
        f"K = {K}": {
            f"{100 * rate:g} % nominal": f"{100 * transition.realised_rate(T):.1f}"
            for rate in rates
            for T in [noise.symmetric(K, rate, keep_true=True)]
        }
        for K in num_classes
    }
    return pd.DataFrame(cells)


def margin_table(rates: Sequence[float], num_classes: int) -> pd.DataFrame:
    """Symmetric noise: what the true class keeps, what each wrong class gets, their ratio."""
    rows = {}
    for rate in rates:
        T = noise.symmetric(num_classes, rate)
        rows[f"{100 * rate:g} %"] = {
            "true class (%)": f"{100 * T[0, 0]:.1f}",
            "each wrong class (%)": f"{100 * T[0, 1]:.1f}",
            "confusion ratio": f"{transition.confusion_ratio(T)[0]:.3f}",
        }
    return pd.DataFrame(rows).T


def class_means(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The matrix ``[K, K]`` that rows ``P(noisy | x, true)`` ``[N, K]`` average to, class by class;
    NaN for a class without samples."""
    K = rows.shape[1]
    return np.array(
        [rows[labels == c].mean(axis=0) if (labels == c).any() else [np.nan] * K for c in range(K)]
    )


def instance_table(rows: np.ndarray, labels: np.ndarray) -> pd.Series:
    """Single samples under instance-dependent noise, ``rows`` ``[N, K]``: their rates, and the
    share of samples of which something holds."""
    n = np.arange(len(labels))
    wrong = rows.copy()
    wrong[n, labels] = 0
    rates, top = wrong.sum(axis=1), wrong.max(axis=1)
    return pd.Series(
        {
            "mean rate (%)": f"{100 * rates.mean():.1f}",
            "standard deviation of the rate (%)": f"{100 * rates.std():.1f}",
            "one wrong class takes > 90 % of the flips (%)": (
                f"{100 * (top > 0.9 * rates).mean():.0f}"
            ),
            "the likeliest label is wrong (%)": (f"{100 * (top > rows[n, labels]).mean():.0f}"),
        }
    )


def class_rates(
    labels: np.ndarray, T: np.ndarray, seeds: Sequence[int], *, exact: bool = False
) -> np.ndarray:
    """Realised rate of every class under every seed, ``[seeds, K]``."""
    flipped = [noise.corrupt(labels, T, seed, exact=exact)[1] for seed in some(seeds)]
    return np.array([[f[labels == c].mean() for c in range(len(T))] for f in flipped])


def seed_table(labels: np.ndarray, T: np.ndarray, seeds: Sequence[int]) -> pd.DataFrame:
    """What a seed fixes: the realised rate, the first labels, the fingerprint of all of them; and
    how much it shares with the first seed."""
    first = noise.corrupt(labels, T, some(seeds)[0])[0]
    rows = {}
    for seed in seeds:
        noisy, flipped = noise.corrupt(labels, T, seed)
        both = flipped & (first != labels)
        rows[f"seed {seed}"] = {
            "realised (%)": f"{100 * flipped.mean():.2f}",
            "first labels": " ".join(map(str, noisy[:12])),
            "SHA-256": fingerprint(noisy)[:12],
            f"wrong here and under seed {seeds[0]} (%)": f"{100 * both.mean():.1f}",
            "with the same wrong label (%)": f"{100 * (both & (noisy == first)).mean():.1f}",
        }
    return pd.DataFrame(rows).T


def some(seeds: Sequence[int]) -> list[int]:
    """``seeds`` as a list, if there is one."""
    if not isinstance(seeds, Sequence) or isinstance(seeds, str) or len(seeds) == 0:
        raise ValueError(f"seeds={seeds!r} must be a list of at least one seed, e.g. [0, 1, 2]")
    return list(seeds)


def fingerprint(noisy: np.ndarray) -> str:
    """SHA-256 of labels as little-endian 64-bit integers: what a record keeps of its flips."""
    return hashlib.sha256(np.asarray(noisy).astype("<i8").tobytes()).hexdigest()


def provenance_table(
    outcomes: Sequence[Outcome], images: np.ndarray, labels: np.ndarray
) -> pd.DataFrame:
    """Draws the labels of recorded runs again and compares fingerprint and realised rate."""
    columns = ["loss", "seed", "SHA-256", "as recorded", "realised (%)"]
    rows = []
    for o in outcomes:
        again = fingerprint(given_labels(o.run, images, labels))
        same = again == o.record["provenance"]["flips_sha256"]
        rate = f"{o.record['result']['noise_rate']:.2f}"
        rows.append((o.run.label, o.run.seed, again[:12], "yes" if same else "NO", rate))
    return pd.DataFrame(rows, columns=columns).set_index(["loss", "seed"])
