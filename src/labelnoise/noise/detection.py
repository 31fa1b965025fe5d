"""Finding the wrong labels: confident learning (Northcutt et al., JAIR 2021, arXiv 1911.00068).

All functions take the given labels, int ``[N]``, and out-of-sample probabilities ``[N, K]``: each
sample's must come from a network that never saw it, or every memorised label looks right. The
filters are cleanlab's.
"""

from types import ModuleType

import numpy as np

from labelnoise.noise import estimation

FILTERS = ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning")  # cleanlab's
FIRST = 1000  # suggestions that a patient user looks at


def suspects(labels: np.ndarray, probabilities: np.ndarray, filter_by: str) -> np.ndarray:
    """The labels that cleanlab's ``find_label_issues`` suspects with this filter: bool ``[N]``.

    Raises ``ValueError`` for probabilities or labels that are none (see ``estimate.check``) and for
    an unknown filter.
    """
    labels, probabilities = estimation.check(labels, probabilities)
    if filter_by not in FILTERS:
        raise ValueError(f"filter_by={filter_by!r} is unknown; known: {', '.join(FILTERS)}")
    return cleanlab().filter.find_label_issues(labels, probabilities, filter_by=filter_by, n_jobs=1)


def ranked(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """All samples, the most suspect first: by rising p_y, the probability of the given label;
    ties by their position. int ``[N]``."""
    labels, probabilities = estimation.check(labels, probabilities)
    return np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")


def detection(labels: np.ndarray, probabilities: np.ndarray, wrong: np.ndarray) -> dict:
    """How well the probabilities find the labels that are ``wrong``, bool ``[N]``.

    - ``average_precision`` of the ranking by p_y, in percent: the mean precision over all ranks at
      which a wrong label stands.
    - ``found``: how many of the first 1000 of the ranking are wrong, or of all if there are fewer.
    - for each filter of cleanlab how many labels are ``flagged``, and ``precision`` (the share of
      these that is wrong) and ``recall`` (the share of the wrong that is flagged) in percent, None
      where nothing is flagged or wrong.
    """
    order = ranked(labels, probabilities)
    hits = np.asarray(wrong)[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    found = {
        "average_precision": share(precision[hits].sum(), hits.sum()),
        "found": int(hits[:FIRST].sum()),
        "filters": {},
    }
    for name in FILTERS:
        flagged = suspects(labels, probabilities, name)
        both = (flagged & wrong).sum()
        found["filters"][name] = {
            "flagged": int(flagged.sum()),
            "precision": share(both, flagged.sum()),
            "recall": share(both, hits.sum()),
        }
    return found


def share(part: float, whole: float) -> float | None:
    """``part`` of ``whole`` in percent; None of nothing."""
    return 100 * float(part) / float(whole) if whole else None


def cleanlab() -> ModuleType:
    """The library, imported only where it is needed: a bare GPU server does without it.

    Raises ``ModuleNotFoundError`` that names the remedy.
    """
    try:
        import cleanlab.count
        import cleanlab.filter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error}; confident learning needs it: python -m pip install cleanlab==2.9.0"
        ) from error
    return cleanlab
