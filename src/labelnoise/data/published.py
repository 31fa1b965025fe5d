"""What was published of each data set, as checksums, and the one way to a file: it is found below
the directories, and refused unless it has its checksum.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labelnoise.data.download import LARGEST, DataError

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


def damaged(path: Path, problem: str) -> DataError:
    return DataError(f"data file {path} {problem}\n  remedy: delete it and run `make data`")
