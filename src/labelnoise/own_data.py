"""Your own images and labels: a ranked list of the labels that are likely wrong.

    python -m labelnoise.own_data photos/ labels.csv --loss CLL --out suspects.csv

``photos/`` holds the images, all of one size, in any format that Pillow reads; ``labels.csv`` has
the columns ``file`` and ``label``, a row an image. In Python: ``suspects(images, labels)``.

Each image is judged by a network that never saw it (``folds`` trainings), so that a memorised wrong
label cannot vouch for itself.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from labelnoise import confident, losses, models
from labelnoise.classifier import NetworkClassifier


def load(folder: Path, table: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images uint8 ``[N, C, H, W]`` (C = 1 if all are grey, else 3), labels ``[N]`` as text, and
    their file names, in the order of the table.

    Raises ``ValueError`` for a table without the two columns, an empty one, a file that is named
    twice, has no label, is not in the folder or is no image, for files in the folder without a
    row, and for images of different sizes.
    """
    from PIL import Image, UnidentifiedImageError

    rows = pd.read_csv(table, dtype=str)
    if not {"file", "label"} <= set(rows.columns) or rows.empty:
        raise ValueError(f"{table} must have the columns file and label and at least one row; it "
                         f"has {list(rows.columns)} and {len(rows)} rows")  # fmt: skip
    if rows["label"].isna().any():
        raise ValueError(f"{table}: {rows['file'][rows['label'].isna()].iloc[0]} has no label")
    if rows["file"].duplicated().any():
        raise ValueError(f"{table} names {rows['file'][rows['file'].duplicated()].iloc[0]} twice")
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    there.discard(str(table.relative_to(folder)) if table.is_relative_to(folder) else "")
    for what, names in (
        (f"in {table} but not in {folder}", set(rows["file"]) - there),
        (f"in {folder} but not in {table}", there - set(rows["file"])),
    ):
        if names:
            raise ValueError(f"{len(names)} files are {what}, for example {min(names)}")
    pictures = []
    for name in rows["file"]:
        try:
            with Image.open(folder / name) as picture:
                grey = picture.mode in ("L", "1", "I", "I;16", "F")
                pictures.append(np.asarray(picture.convert("L" if grey else "RGB")))
        except UnidentifiedImageError as error:
            raise ValueError(f"{folder / name} is no image that Pillow can read") from error
        if pictures[-1].shape[:2] != pictures[0].shape[:2]:
            raise ValueError(f"{name} is of size {pictures[-1].shape[:2]}, {rows['file'].iloc[0]} "
                             f"of {pictures[0].shape[:2]}; resize them to one size")  # fmt: skip
    if any(p.ndim == 3 for p in pictures):
        pictures = [p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2) for p in pictures]
    images = np.stack(pictures)
    images = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images[:, None]
    return np.ascontiguousarray(images), rows["label"].to_numpy(), list(rows["file"])


def suspects(
    images: ArrayLike,
    labels: ArrayLike,
    classifier: NetworkClassifier | None = None,
    *,
    folds: int = 5,
    files: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Every sample, the most suspect label first.

    Columns: ``index`` (into ``images``), ``file`` if ``files`` are given, ``label`` as given,
    ``probability`` that the networks give it, ``suggestion`` (their favourite class) with its
    ``suggestion_probability``, and ``suspect``: whether cleanlab's filter ``prune_by_noise_rate``
    counts the label among the wrong ones. Any scikit-learn classifier will do.

    Raises ``ValueError`` for a class with fewer samples than ``folds``, and what the classifier
    raises.
    """
    classifier = NetworkClassifier() if classifier is None else classifier
    images, labels = np.asarray(images), np.asarray(labels)
    if labels.shape != (len(images),):
        raise ValueError(f"labels must hold one label for each of {len(images)} images, "
                         f"got {labels.shape}")  # fmt: skip
    classes, given, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2 or counts.min() < folds:
        raise ValueError(
            f"{len(classes)} classes, and {counts.min()} samples of class "
            f"{classes[counts.argmin()]}: there must be two classes at least, with {folds} samples "
            "each, one a fold; lower folds, or leave the class out"
        )
    split = StratifiedKFold(folds, shuffle=True, random_state=0)
    p = cross_val_predict(classifier, images, given, cv=split, method="predict_proba")
    flagged = confident.suspects(given, p, "prune_by_noise_rate")
    order = confident.ranked(given, p)
    rows = np.arange(len(labels))
    table = pd.DataFrame(
        {
            "index": rows,
            **({"file": list(files)} if files is not None else {}),
            "label": labels,
            "probability": p[rows, given],
            "suggestion": classes[p.argmax(axis=1)],
            "suggestion_probability": p.max(axis=1),
            "suspect": flagged,
        }
    )
    return table.iloc[order].reset_index(drop=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 when the list is written, 1 with a message when the data do not fit."""
    parser = argparse.ArgumentParser(
        prog="python -m labelnoise.own_data", description="Rank labels that are likely wrong."
    )
    parser.add_argument("folder", type=Path, help="the images, all of one size")
    parser.add_argument("labels", type=Path, help="CSV with the columns file and label")
    parser.add_argument("--loss", default="CLL", choices=losses.LOSSES, help="default: CLL")
    networks = [name for name in models.MODELS if name not in models.FOR_TEXT]
    parser.add_argument("--model", default="mlp", choices=networks, help="default: mlp")
    parser.add_argument("--folds", type=int, default=5, help="networks to train (default: 5)")
    parser.add_argument("--out", type=Path, default=Path("suspects.csv"), help="the list")
    chosen = parser.parse_args(arguments)
    try:
        images, labels, files = load(chosen.folder, chosen.labels)
        classifier = NetworkClassifier(chosen.loss, chosen.model)
        table = suspects(images, labels, classifier, folds=chosen.folds, files=files)
        table.to_csv(chosen.out, index=False)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{table['suspect'].sum()} of {len(table)} labels are suspect; the most suspect come "
          f"first in {chosen.out}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
