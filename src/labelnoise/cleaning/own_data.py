"""Your own images and labels: a ranked list of the labels that are likely wrong.

    python -m labelnoise.cleaning.own_data photos/ labels.csv --out suspects.csv

``photos/`` holds the images, all of one size, in any format of 8 bits that Pillow reads;
``labels.csv`` has the columns ``file`` and ``label``, a row an image. In Python: ``load``, and
``suspects(images, labels)`` or its two halves, ``folds.out_of_sample`` and ``ranking``.

Each image is judged by a network that never saw it (``folds`` trainings), so that a memorised wrong
label cannot vouch for itself.
"""

import argparse
import csv
import io
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin

from labelnoise import losses
from labelnoise.cleaning.classifier import NETWORKS, NetworkClassifier, encoded
from labelnoise.cleaning.folds import out_of_sample
from labelnoise.config.protocols import MNIST_PROTOCOL
from labelnoise.noise import detection

# --------------------------------------------------------------------- a folder and a table


def load(folder: str | Path, table: str | Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images uint8 ``[N, C, H, W]`` (C = 1 if all are grey, else 3), labels ``[N]`` as text, and
    their file names as the table has them, in its order.

    Raises ``ValueError`` for what is no folder, for a table that ``rows`` or images that
    ``picture`` refuses, for files that are in only one of folder and table (hidden files and
    ``.csv`` in the folder may be), and for images of different sizes.
    """
    folder, table = Path(folder), Path(table)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: name the one that holds the images")
    files, labels = rows(table)
    paths = [os.path.normpath(name) for name in files]
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    images = {
        name
        for name, path in there.items()
        if not (hidden(name) or path.suffix.lower() == ".csv" or path.samefile(table))
    }
    for what, names in (
        (f"in {table} but not in {folder}", set(paths) - set(there)),
        (f"in {folder} but not in {table}", images - set(paths)),
    ):
        if names:
            raise ValueError(f"{len(names)} files are {what}, for example {min(names)}")
    pictures = [picture(folder / path) for path in paths]
    for name, found in zip(files, pictures, strict=True):
        if found.shape[1:] != pictures[0].shape[1:]:
            raise ValueError(f"{name} is of size {found.shape[1:]}, {files[0]} of "
                             f"{pictures[0].shape[1:]}; resize them to one size")  # fmt: skip
    shape = max(len(found) for found in pictures), *pictures[0].shape[1:]
    stacked = np.empty((len(pictures), *shape), dtype=np.uint8)
    for image, found in zip(stacked, pictures, strict=True):
        image[:] = found  # a grey one fills all channels
    return stacked, np.array(labels), files


def rows(table: Path) -> tuple[list[str], list[str]]:
    """Files and labels of the table, all as text: a class may be called ``NA`` or ``None``.

    Raises ``ValueError`` for a table that is not UTF-8, without the two columns or without rows, a
    row without a file or a label, and a file that is named twice.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")  # Excel begins with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{table} is no UTF-8 text ({error}): save it as CSV UTF-8") from error
    reader = csv.DictReader(io.StringIO(text))
    complete = {"file", "label"} <= set(reader.fieldnames or ())
    found = [(row, reader.line_num) for row in reader] if complete else []
    if not found:
        raise ValueError(f"{table} must have the columns file and label, separated by commas, and "
                         f"at least one row; its columns are {reader.fieldnames}")  # fmt: skip
    named: dict[str, int] = {}
    for row, line in found:
        for column in ("file", "label"):
            if not (row[column] or "").strip():
                raise ValueError(f"{table}, line {line}: the {column} is empty; fill it in, or "
                                 "leave the line out")  # fmt: skip
        path = os.path.normpath(row["file"])
        if path in named:
            raise ValueError(f"{table} names {path} twice, in lines {named[path]} and {line}; "
                             "leave one of them out")  # fmt: skip
        named[path] = line
    return [row["file"] for row, _ in found], [row["label"] for row, _ in found]


def hidden(name: str) -> bool:
    """Whether a file or one of its folders is hidden, as ``.DS_Store`` is."""
    return any(part.startswith(".") for part in Path(name).parts)


def picture(path: Path) -> np.ndarray:
    """uint8 ``[C, H, W]``, C = 1 if it is grey, else 3; what is transparent shows white below it,
    and what a camera held sideways is turned as its tag says. ``ValueError`` names a file that is
    damaged, no image, or of more than 8 bits a channel."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if image.mode == "F" or image.mode.startswith("I"):  # convert() would cut at 255
                raise ValueError(f"{path} has more than 8 bits a channel (Pillow's mode "
                                 f"{image.mode}): scale it to 0..255 and convert to 8 bit"
                                 )  # fmt: skip
            image = ImageOps.exif_transpose(image)
            grey = image.mode in ("1", "L", "LA", "La")
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except (OSError, SyntaxError) as error:  # Pillow's SyntaxError is a broken PNG
        raise ValueError(f"{path} is damaged or no image that Pillow can read: {error}") from error
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


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
    agreed, constant = (p.argmax(axis=1) == given).mean(), np.bincount(given).max() / len(p)
    if agreed <= constant + 2 * np.sqrt(constant * (1 - constant) / len(p)):  # two standard errors
        warnings.warn(
            f"the networks agree with {100 * agreed:.0f} % of the labels, and always naming the "
            f"most frequent one would with {100 * constant:.0f} %: they have learnt too little to "
            "judge; try a larger learning rate (ten times, for some thousand images), more epochs, "
            "or another network",
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
    parser = argparse.ArgumentParser(
        prog="python -m labelnoise.cleaning.own_data",
        description="Rank labels that are likely wrong.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    parser.add_argument("folder", type=Path, help="the images, all of one size")
    parser.add_argument("labels", type=Path, help="CSV with the columns file and label")
    for name, default, meaning in (
        ("folds", 5, "networks to train"),
        ("epochs", MNIST_PROTOCOL["epochs"], "of each training"),
        ("lr", MNIST_PROTOCOL["lr"], "learning rate of the first epoch"),
        ("seed", 0, "of initialisation and order"),
        ("threads", torch.get_num_threads(), "CPU threads; the last digits depend on them"),
    ):
        parser.add_argument(f"--{name}", type=type(default), default=default, help=meaning)
    parser.add_argument("--loss", default="GCE", choices=losses.LOSSES, help="of the networks")
    parser.add_argument("--model", default="mlp", choices=NETWORKS, help="the network")
    parser.add_argument("--out", type=Path, default=Path("suspects.csv"), help="the list")
    chosen = parser.parse_args(arguments)
    try:
        check_out(chosen.out, chosen.labels)
        images, labels, files = load(chosen.folder, chosen.labels)
        protocol = {**MNIST_PROTOCOL, "epochs": chosen.epochs, "lr": chosen.lr}
        classifier = NetworkClassifier(
            chosen.loss, chosen.model, protocol, chosen.seed, threads=chosen.threads
        )
        print(f"{chosen.folds} trainings of {chosen.epochs} epochs each, on {len(images)} images",
              flush=True)  # fmt: skip
        table = suspects(images, labels, classifier, folds=chosen.folds, files=files)
        table.to_csv(chosen.out, index=False)
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{table['suspect'].sum()} of {len(table)} labels are suspect; the most suspect come "
          f"first in {chosen.out}")  # fmt: skip
    return 0


def check_out(out: Path, labels: Path) -> None:
    """``ValueError`` for a list that could not be written, or would replace the labels."""
    if out.is_dir() or not out.parent.is_dir():
        what = "is a folder" if out.is_dir() else "lies in a folder that does not exist"
        raise ValueError(f"--out {out} {what}: name a file in a folder that does, suspects.csv")
    if out.exists() and labels.exists() and out.samefile(labels):
        raise ValueError(f"--out {out} would replace your labels: name another file")


if __name__ == "__main__":
    sys.exit(main())
