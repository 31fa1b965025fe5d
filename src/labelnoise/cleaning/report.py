"""What is said of your labels: before the judges train, and after, with alarms where the list of
suspects cannot be trusted.

    print(before(labels))
    print(after(labels, p))     # p as own_data.out_of_sample returns them

An alarm says what was seen and what to do. ``noise.signs`` has the conditions; that none rings does
not prove the list right: a confusion that is always made the same way looks like a truth.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from labelnoise.cleaning.arrays import encoded
from labelnoise.noise import signs
from labelnoise.noise.signs import Sign

SHOWN = 8  # classes that an alarm names
ROWS = 30  # classes that are listed with their counts
OF_ALL = (
    "Most classes are named, so that this says nothing of a single one: the judges know too "
    "little, or most labels are wrong. Look at twenty suspects. If their labels are right, give "
    "the judges more to go by: for photos the embeddings of a trained network (.npy) in place of "
    "pixels, or another network, or more samples."
)
ELSEWHERE = """\
Not looked for here, with cleanlab's call for each (X: features or embeddings, p: probabilities):
  outliers            cleanlab.outlier.OutOfDistribution().fit_score(features=X)
  near duplicates     cleanlab.Datalab({"y": labels}, label_name="y").find_issues(features=X,
                      issue_types={"near_duplicate": {}}), after pip install cleanlab[datalab]
  several annotators  cleanlab.multiannotator.get_label_quality_multiannotator(table, p)"""


@dataclass(frozen=True)
class Alarm:
    """``name`` is one of ``signs.NAMES``; what was ``seen``; and an ``advice``."""

    name: str
    seen: str
    advice: str

    def __str__(self) -> str:
        return f"ALARM, {self.name}: {self.seen}\n  {self.advice}"


@dataclass(frozen=True)
class Report:
    """What the judges found.

    - ``noise_rate``: the share of wrong labels, in 0..1, as confident learning estimates it.
    - ``per_class``: for each class its labels (``count``), how many of them are ``suspects``, their
      ``share suspect``, for how many samples it is suggested (``times suggested``), and ``T
      diagonal``, the estimated share of its samples that are labelled right; NaN where too few
      samples belong to it surely.
    - ``alarms``: why not to trust it; empty where nothing rang.
    """

    noise_rate: float
    per_class: pd.DataFrame
    alarms: tuple[Alarm, ...]

    def __str__(self) -> str:
        suspects, n = self.per_class["suspects"].sum(), self.per_class["count"].sum()
        worst = self.per_class.sort_values("share suspect", ascending=False, kind="stable")
        lines = [
            f"{suspects} of {n} labels are suspect; estimated noise rate "
            f"{100 * self.noise_rate:.0f} %.",
            worst.head(ROWS).to_string(index=False, float_format=lambda v: f"{v:.2f}"),
            "T diagonal: the estimated share of the samples of a class that are labelled right.",
        ]
        if len(worst) > ROWS:
            lines.append(f"... and {len(worst) - ROWS} classes with a smaller share of suspects")
        lines += [str(alarm) for alarm in self.alarms] or ["No alarm."]
        return "\n".join([*lines, ELSEWHERE])


def before(
    labels: ArrayLike, *, folds: int = signs.FOLDS, training: str = "", minutes: float | None = None
) -> str:
    """The classes with their counts, what will be trained, and the alarms that labels alone give.

    ``training`` says what a fold trains (``an MLP for 50 epochs``), ``minutes`` how long all of it
    is likely to take. Raises ``ValueError`` for labels of fewer than two classes, and for missing
    ones.
    """
    classes, given = encoded("labels", labels, len(np.asarray(labels, dtype=object)))
    counts = np.bincount(given)
    order = np.argsort(-counts, kind="stable")
    sizes = [f"{classes[k]} {counts[k]}" for k in order]
    if len(sizes) > ROWS:
        sizes = [*sizes[: ROWS // 2], "...", *sizes[-ROWS // 2 :]]
    lines = [f"{len(given)} labels, {len(classes)} classes: {', '.join(sizes)}."]
    if training:
        time = "" if minutes is None else f", about {max(minutes, 0.1):.1f} minutes in all"
        lines.append(f"{folds} times {training}{time}.")
    found = signs.before(counts.tolist(), folds)
    return "\n".join([*lines, *(str(alarm(each, classes, counts)) for each in found)])


def after(labels: ArrayLike, p: ArrayLike, *, folds: int = signs.FOLDS) -> Report:
    """What out-of-sample probabilities ``p`` ``[N, K]``, the classes sorted, say of the labels.

    Raises ``ValueError`` for labels and probabilities that do not belong together, and
    ``ModuleNotFoundError`` without cleanlab.
    """
    classes, given = encoded("labels", labels, len(np.asarray(p)))
    seen = signs.measured(given, p)
    count, suspects = np.array(seen["given"]), np.array(seen["suspects"])
    T = signs.matrix(seen)
    table = pd.DataFrame(
        {
            "class": classes,
            "count": count,
            "suspects": suspects,
            "share suspect": suspects / count,
            "times suggested": seen["suggested"],
            "T diagonal": np.diag(T),
        }
    )
    found = tuple(alarm(sign, classes, count, seen) for sign in signs.signs(seen, folds))
    return Report(signs.noise_rate(seen), table, found)


def alarm(sign: Sign, classes: np.ndarray, count: np.ndarray, seen: dict | None = None) -> Alarm:
    """The words for a sign; ``seen`` is what was measured, None before the judges have trained."""
    names = listed(str(classes[k]) for k in sign.classes)
    counted = listed(f"{classes[k]} ({count[k]})" for k in sign.classes)
    of = {
        "few samples": (
            f"half of the {len(classes)} classes have {int(np.median(count))} labels or fewer",
            "The judges know too little, and right labels will be accused. Collect more, merge "
            "classes, or take more folds, which leave more to learn from.",
        ),
        "rare class": (
            f"{counted}: so few labels that wrong ones from other classes may outnumber them",
            "Do not delete its suspects unseen, and do not trust its row of T. Collect more of it, "
            "or merge it with the class that it resembles.",
        ),
        "overlooked class": (
            f"{names}: hardly ever suggested, whatever the label says",
            "The judges have not learnt it, so that its right labels look wrong. Read its suspects "
            "yourself, do not trust its row of T, and collect more of it or merge it.",
        ),
        "half suspect": (
            f"{names}: more than half of the labels are suspect",
            "Look at twenty of them first. If they are right, the judges confuse this class: raise "
            "lr, or take another network. If they are wrong, label the class anew.",
        ),
        "rows alike": (
            f"{names}: their labels say nearly the same",
            "Do not correct a loss by this T, which can hardly be inverted: use a robust loss "
            "(GCE), and label some samples of both classes by hand, or merge the two.",
        ),
        "learnt nothing": (
            f"the judges agree with {share(seen)} of the labels, no more than always naming the "
            "most frequent one would",
            "This list says nothing. Raise lr (ten times, for some thousand images), or take more "
            "epochs or another network.",
        ),
        "columns permuted": (
            f"{names}: each fits the column of another class better than its own",
            "The columns of the probabilities must be in the order of the sorted classes, as "
            "classes_ of scikit-learn has them. Put them in that order and start again.",
        ),
    }[sign.name]
    large = sum(count[k] >= signs.RARE * count.mean() for k in sign.classes)
    about_judges = sign.name in ("rare class", "overlooked class", "half suspect")
    if about_judges and 2 * large > len(classes):
        of = (of[0], OF_ALL)
    return Alarm(sign.name, *of)


def listed(names: Iterable[str]) -> str:
    """The names, the first of them where they are many."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def share(seen: dict | None) -> str:
    return "" if seen is None else f"{100 * seen['agreed'] / sum(seen['given']):.0f} %"
