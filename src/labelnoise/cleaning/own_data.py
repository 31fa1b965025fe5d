"""Your own labels: a ranked list of those that are likely wrong.

    python -m labelnoise.cleaning.own_data photos/ labels.csv --out suspects.csv
    python -m labelnoise.cleaning.own_data photos/                    # a folder for each class
    python -m labelnoise.cleaning.own_data embeddings.npy labels.csv
    python -m labelnoise.cleaning.own_data labels.csv --probabilities p.npz

In Python: ``inputs.load``, and ``suspects(X, labels, judge)`` or its two halves,
``folds.out_of_sample`` and ``ranking``. ``docs/own_labels.md`` has an example of each.

Each sample is judged by a classifier that never saw it (``folds`` trainings), so that a memorised
wrong label cannot vouch for itself.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, clone

from labelnoise.cleaning import inputs, outputs, report
from labelnoise.cleaning.arguments import judge, read_arguments
from labelnoise.cleaning.arrays import encoded
from labelnoise.cleaning.classifier import NetworkClassifier
from labelnoise.cleaning.folds import check_folds, out_of_sample
from labelnoise.cleaning.inputs import Samples
from labelnoise.noise import detection, signs

# ------------------------------------------------------------------------------ the ranking


def suspects(
    images: ArrayLike,
    labels: ArrayLike,
    classifier: ClassifierMixin | None = None,
    *,
    folds: int = 5,
    files: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Every sample, the most suspect label first: ``ranking`` of what ``out_of_sample`` finds.

    Raises what these two do, before any training.
    """
    encoded("labels", labels, len(images))
    check_files(files, len(images))
    detection.cleanlab()
    return ranking(labels, out_of_sample(images, labels, classifier, folds=folds), files=files)


def ranking(
    labels: ArrayLike, probabilities: np.ndarray, *, files: Sequence[str] | None = None
) -> pd.DataFrame:
    """Every sample, the most suspect label first, by out-of-sample ``probabilities`` ``[N, K]``.

    Columns: ``index`` (into ``labels``), ``file`` if ``files`` are given, ``label`` as given,
    ``probability`` that the networks give it, ``suggestion`` (their favourite class) with its
    ``suggestion_probability``, and ``suspect``: whether cleanlab's filter ``prune_by_noise_rate``
    counts the label among the wrong ones.

    Warns (``UserWarning``) if the networks agree with no more of the labels than always naming the
    most frequent one would: such networks have learnt nothing, and their list says nothing.

    Raises ``ValueError`` for labels, probabilities or files that do not belong together, and
    ``ModuleNotFoundError`` without cleanlab.
    """
    p = np.asarray(probabilities)
    classes, given = encoded("labels", labels, len(p))
    check_files(files, len(p))
    flagged = detection.suspects(given, p, "prune_by_noise_rate")
    counts, agreed = np.bincount(given), int((p.argmax(axis=1) == given).sum())
    if signs.learnt_nothing(counts.tolist(), agreed):
        warnings.warn(
            f"the networks agree with {100 * agreed / len(p):.0f} % of the labels, and always "
            f"naming the most frequent one would with {100 * counts.max() / len(p):.0f} %: they "
            "have learnt too little to judge; try a larger learning rate (ten times, for some "
            "thousand images), more epochs, or another network",
            stacklevel=2,
        )
    order = detection.ranked(given, p)
    every = np.arange(len(p))
    table = pd.DataFrame(
        {
            "index": every,
            **({"file": list(files)} if files is not None else {}),
            "label": np.asarray(labels),
            "probability": p[every, given],
            "suggestion": classes[p.argmax(axis=1)],
            "suggestion_probability": p.max(axis=1),
            "suspect": flagged,
        }
    )
    return table.iloc[order].reset_index(drop=True)


def check_files(files: Sequence[str] | None, N: int) -> None:
    """``ValueError`` unless there are N files, or None."""
    if files is not None and len(files) != N:
        raise ValueError(f"files must name one file for each of {N} images, got {len(files)}")


# -------------------------------------------------------------------------- the command line


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 when the list is written, 1 with a message when it cannot be made."""
    chosen = read_arguments(arguments)
    try:
        run(chosen)
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError, MemoryError) as error:
        print(f"error: {error or 'there is not enough memory'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "stopped before the end: nothing is kept; the same line starts again", file=sys.stderr
        )
        return 130
    return 0


def run(chosen: argparse.Namespace) -> None:
    """Reads, trains unless there are probabilities, writes, and says what it does."""
    detection.cleanlab()
    kept = chosen.out.with_suffix(".npz")
    read = [chosen.data, chosen.labels, chosen.probabilities]
    outputs.check(chosen.out, "--out", read)
    if chosen.probabilities is None:
        outputs.check(kept, "--out, with the probabilities in", read)
    samples = samples_of(chosen)
    around = chosen.pictures or (chosen.labels or chosen.data).parent
    if chosen.gallery:
        outputs.check_gallery(chosen.gallery, samples, around, [*read, chosen.out, kept])
    outputs.check_room(chosen.out.parent, samples)
    print(said_before(samples, chosen), flush=True)
    if chosen.probabilities is None:
        p = trained(chosen, samples)
        outputs.save_probabilities(kept, p, np.unique(labels_of(samples)), samples.files)
    else:
        kept, p = chosen.probabilities, outputs.probabilities(chosen.probabilities, samples)
    table = listed(samples, p)
    try:
        outputs.save_list(chosen.out, table)
    except OSError as error:
        raise OSError(f"{error}; nothing has to be trained again: add --probabilities {kept}"
                      ) from error  # fmt: skip
    print(report.after(labels_of(samples), p[samples.labelled], folds=chosen.folds))
    print(f"the list, the most suspect first: {chosen.out}; its probabilities: {kept}")
    print("Read it from the top, and stop where most of the labels are right.")
    if chosen.gallery:
        drawn = outputs.gallery(chosen.gallery, table, samples, around)
        print(f"the first {drawn} as pictures: {chosen.gallery}")


def samples_of(chosen: argparse.Namespace) -> Samples:
    """What the command line names, read."""
    columns = {"file_column": chosen.file_column, "label_column": chosen.label_column}
    if chosen.data is None:
        return inputs.labels_alone(chosen.labels, **columns)
    if chosen.data.suffix.lower() == ".npy":
        return inputs.arrays(chosen.data, chosen.labels, **columns)
    return inputs.pictures(chosen.data, chosen.labels, **columns, size=chosen.size)


def labels_of(samples: Samples) -> np.ndarray:
    """The labels that there are."""
    return samples.labels[samples.labelled]


def trained(chosen: argparse.Namespace, samples: Samples) -> np.ndarray:
    """Out-of-sample probabilities ``[N, K]``, rounded to float32 as they are kept; those of a
    sample without a label are the mean over the folds."""
    X, labelled = samples.X, samples.labelled
    classifier = judge(chosen, X.ndim == 2)
    if not isinstance(classifier, NetworkClassifier):
        X = X.reshape(len(X), -1)
    classes = np.unique(labels_of(samples))
    p = np.empty((len(X), len(classes)))
    p[labelled], p[~labelled] = out_of_sample(
        X[labelled], labels_of(samples), classifier, folds=chosen.folds, also=X[~labelled]
    )
    return p.astype(np.float32).astype(np.float64)


def listed(samples: Samples, p: np.ndarray) -> pd.DataFrame:
    """``ranking`` of what has a label; below it what has none, the surest suggestion first."""
    at, rest = np.flatnonzero(samples.labelled), np.flatnonzero(~samples.labelled)
    files = samples.files

    def of(places: np.ndarray) -> list[str] | None:
        return None if files is None else [files[i] for i in places]

    with warnings.catch_warnings():  # the report has an alarm for it
        warnings.simplefilter("ignore", UserWarning)
        table = ranking(samples.labels[at], p[at], files=of(at))
    table["index"] = at[table["index"]]
    if not rest.size:
        return table
    rest = rest[np.argsort(-p[rest].max(axis=1), kind="stable")]
    best = np.unique(samples.labels[at])[p[rest].argmax(axis=1)]
    columns = {"index": rest, "file": of(rest), "label": "", "probability": np.nan,
               "suggestion": best, "suggestion_probability": p[rest].max(axis=1),
               "suspect": False}  # fmt: skip
    below = pd.DataFrame({name: columns[name] for name in table.columns})
    return pd.concat([table, below], ignore_index=True)


def said_before(samples: Samples, chosen: argparse.Namespace) -> str:
    """What is said before the training: notes, the classes with their counts, what is trained."""
    notes = [f"note: {note}" for note in samples.notes]
    training = minutes = None
    if chosen.probabilities is None:
        check_folds(*encoded("labels", labels_of(samples), samples.labelled.sum()), chosen.folds)
        classifier, X = judge(chosen, samples.X.ndim == 2), samples.X[samples.labelled]
        training = (chosen.judge or "logistic_regression").replace("_", " ")
        if isinstance(classifier, NetworkClassifier):
            training = f"{chosen.model} with {chosen.loss}, {chosen.epochs} epochs"
            minutes = chosen.folds * chosen.epochs * an_epoch(classifier, X, labels_of(samples))
    words = report.before(
        labels_of(samples), folds=chosen.folds, training=training or "", minutes=minutes
    )
    return "\n".join([*notes, words])


def an_epoch(classifier: NetworkClassifier, X: np.ndarray, labels: np.ndarray) -> float:
    """How many minutes an epoch of it takes, by the second of two."""
    marks = []
    short = clone(classifier).set_params(protocol={**classifier.recipe().protocol, "epochs": 2})
    short.fit(X, labels, on_epoch=lambda epoch: marks.append(time.perf_counter()))
    return (marks[1] - marks[0]) / 60


if __name__ == "__main__":
    sys.exit(main())
