"""Dogs vs. Cats and Clothing1M, from your own copy of the official files.

Neither may be passed on, so nothing is fetched: Dogs vs. Cats comes from Kaggle after a login,
Clothing1M (Xiao et al. 2015) from its authors on request. What is expected in the folder:

- Dogs vs. Cats: Kaggle's ``train.zip``, unpacked: ``train/cat.0.jpg`` ... ``train/dog.12499.jpg``.
- Clothing1M: ``images/`` and, beside it, two label files, ``noisy_label_kv.txt`` and
  ``clean_label_kv.txt``, with lines ``images/0/00/name.jpg 5``, and four lists of files,
  ``noisy_train_key_list.txt``, ``clean_train_key_list.txt``, ``clean_val_key_list.txt`` and
  ``clean_test_key_list.txt``, with lines ``images/0/00/name.jpg``.

Dogs vs. Cats at 64 x 64 is the data set `dogs_vs_cats`: put ``train.zip``, as it is or unpacked,
into the folder ``dogs_vs_cats`` of a data directory. It is decoded once, and kept beside the data
in 307 MB, which is also what it takes in memory.

A million photos do not fit into memory. So a data set is a list of files and their labels, and
``pixels`` reads as many as you ask for:

    files, labels = dogs_vs_cats(folder)
    images = pixels(files[:1000], DOGS_VS_CATS_SIZE)   # uint8 [1000, 3, 150, 150]

Kaggle's test photos have no labels; a test set has to be taken from ``train/``.
"""

import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from labelnoise.data import made
from labelnoise.data.download import DataError, progress
from labelnoise.data.formats import Labels, every

DOGS_VS_CATS_SIZE = 150  # of the experiments of L_DMI; a photo is squeezed to a square
SIDE = 64  # of the data set `dogs_vs_cats`
PLACE = "dogs_vs_cats"
COUNT = 25_000  # photos in train.zip
CATS_AND_DOGS = ("cat", "dog")
CLOTHES = (
    "T-Shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker", "Jacket",
    "Downcoat", "Suit", "Shawl", "Dress", "Vest", "Underwear",
)  # fmt: skip
PARTS = ("noisy_train", "clean_train", "clean_val", "clean_test")


def read_dogs_vs_cats(split: str, roots: Sequence[Path]) -> tuple[np.ndarray, Labels]:
    """uint8 ``[N, 3, 64, 64]`` and labels, 0 a cat, 1 a dog: 20000 for training, 5000 for tests."""
    return made.read(PLACE, split, roots, {"photos": COUNT, "side": SIDE})


def make_dogs_vs_cats(folder: Path, roots: Sequence[Path]) -> None:
    """Decode Kaggle's ``train.zip``, or the folder ``train`` that is in it, into ``folder``.

    Every fifth photo of each class is for tests. (L_DMI's lists are not public.) Raises
    ``DataError`` where there is no copy, and ``ValueError`` for a copy that is not whole.
    """
    import PIL

    copies = [root / PLACE / name for root in roots for name in ("train.zip", "train")]
    copies = [copy for copy in copies if copy.exists()]
    if not copies:
        raise DataError(
            f"none is there: get train.zip from kaggle.com/c/dogs-vs-cats (it asks for a login), "
            f"and put it as {PLACE}/train.zip into one of the data directories"
        )
    files, labels = dogs_vs_cats(zipfile.Path(copies[0]) if copies[0].suffix else copies[0].parent)
    if len(files) != COUNT:
        raise ValueError(f"{copies[0]} holds {len(files)} photos, Kaggle's {COUNT}: get it again")
    is_test = every(5, labels)
    order = np.argsort(is_test, kind="stable")
    with progress("photos of dogs_vs_cats", COUNT, unit=" photos") as advance:
        images = pixels([files[i] for i in order], SIDE, advance)
    made.store(
        folder / PLACE,
        images,
        labels[order],
        train=int((~is_test).sum()),
        of={"photos": COUNT, "side": SIDE, "Pillow": PIL.__version__},
    )


def dogs_vs_cats(folder: Path | zipfile.Path) -> tuple[list[Path], np.ndarray]:
    """The files of a folder or of a zip file in the order of their numbers, cat before dog, and
    their labels int64 ``[N]``, 0 a cat, 1 a dog: the classes alternate, so that the first n hold
    both.

    Raises ``ValueError`` for a folder without ``train/`` or with an empty one, for a file whose
    name tells no class, and for a class or a number that is missing.
    """
    train = folder / "train"
    if not train.is_dir():
        raise ValueError(f"{train} is not a folder: unpack Kaggle's train.zip into {folder}")
    numbers: dict[str, dict[int, Path]] = {name: {} for name in CATS_AND_DOGS}
    for path in train.iterdir():
        match = re.fullmatch(r"(cat|dog)\.(\d+)\.jpg", path.name)
        if match is None:
            raise ValueError(f"{path} is not named like cat.0.jpg or dog.0.jpg: move it away")
        numbers[match[1]][int(match[2])] = path
    if not any(numbers.values()):
        raise ValueError(f"{train} is empty: unpack Kaggle's train.zip into {folder}")
    size = max(map(len, numbers.values()))
    for name, found in numbers.items():
        if lost := sorted(set(range(size)) - set(found)):
            raise ValueError(f"{train / f'{name}.{lost[0]}.jpg'} is missing, and {len(lost) - 1} "
                             "more: unpack train.zip again")  # fmt: skip
    files = [numbers[name][i] for i in range(size) for name in CATS_AND_DOGS]
    return files, np.tile(np.arange(2), size)


def clothing1m(folder: Path, part: str) -> tuple[list[Path], np.ndarray]:
    """The files of ``part``, one of ``PARTS``, in the order of its list, and their labels int64
    ``[N]``, 0..13 (``CLOTHES``): noisy ones for ``noisy_train``, else those that were checked.

    Raises ``ValueError`` for an unknown part, a missing or empty list or label file, a line that
    cannot be read, a label outside 0..13, two labels of one file, and a listed file without one.
    Whether a million photos are there is not looked up before ``pixels`` reads them.
    """
    if part not in PARTS:
        raise ValueError(f"part={part!r} is unknown; known: {', '.join(PARTS)}")
    folder = Path(folder)
    labels: dict[str, int] = {}
    source = folder / f"{part.split('_')[0]}_label_kv.txt"
    for number, line in enumerate(lines(source), 1):
        match = re.fullmatch(r"(\S+)\s+(\d+)", line)
        if match is None or int(match[2]) >= len(CLOTHES):
            raise ValueError(f"{source}, line {number}: {line!r} is not a file and a label in "
                             f"0..{len(CLOTHES) - 1}")  # fmt: skip
        name, label = match[1], int(match[2])
        if labels.setdefault(name, label) != label:
            raise ValueError(f"{source}, line {number}: {name} has the label {label}, but "
                             f"{labels[name]} further up; copy it again from the official "
                             "files, or remove one line")  # fmt: skip
    listed = lines(folder / f"{part}_key_list.txt")
    if unlabelled := [name for name in listed if name not in labels]:
        raise ValueError(f"{len(unlabelled)} files of {part}_key_list.txt have no label in "
                         f"{source.name}, for example {unlabelled[0]}")  # fmt: skip
    return [folder / name for name in listed], np.array([labels[name] for name in listed])


def pixels(
    files: Sequence[Path], size: int, advance: Callable[[int], None] = lambda count: None
) -> np.ndarray:
    """uint8 ``[N, 3, size, size]``, RGB, each photo squeezed to a square (bilinear, antialiased).
    ``advance(1)`` is called after each. ``ValueError`` names a file that is missing or is no
    image."""
    from PIL import Image

    images = np.empty((len(files), 3, size, size), dtype=np.uint8)
    for image, path in zip(images, files, strict=True):
        try:
            with path.open("rb") as file, Image.open(file) as photo:
                small = photo.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        except FileNotFoundError:
            raise ValueError(f"{path} is missing: complete your copy of the images") from None
        except Exception as error:  # Pillow raises many kinds, one for enormous pictures
            raise ValueError(f"{path} is damaged or no image: {error}; fetch it anew") from error
        image[:] = np.asarray(small).transpose(2, 0, 1)
        advance(1)
    return images


def lines(path: Path) -> list[str]:
    """The lines of a text file that has some."""
    if not path.is_file():
        raise ValueError(f"{path} is missing: it comes with the official files")
    found = path.read_text().split("\n")
    found = [line.strip() for line in found if line.strip()]
    if not found:
        raise ValueError(f"{path} is empty: copy it again from the official files")
    return found
