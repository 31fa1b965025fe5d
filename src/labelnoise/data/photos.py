"""Dogs vs. Cats and Clothing1M, from your own copy of the official files.

Neither may be passed on, so nothing is fetched: Dogs vs. Cats comes from Kaggle after a login,
Clothing1M (Xiao et al. 2015) from its authors on request. What is expected in the folder:

- Dogs vs. Cats: Kaggle's ``train.zip``, unpacked: ``train/cat.0.jpg`` ... ``train/dog.12499.jpg``.
- Clothing1M: ``images/`` and, beside it, two label files, ``noisy_label_kv.txt`` and
  ``clean_label_kv.txt``, with lines ``images/0/00/name.jpg 5``, and four lists of files,
  ``noisy_train_key_list.txt``, ``clean_train_key_list.txt``, ``clean_val_key_list.txt`` and
  ``clean_test_key_list.txt``, with lines ``images/0/00/name.jpg``.

A million photos do not fit into memory. So a data set is a list of files and their labels, and
``pixels`` reads as many as you ask for:

    files, labels = dogs_vs_cats(folder)
    images = pixels(files[:1000], DOGS_VS_CATS_SIZE)   # uint8 [1000, 3, 150, 150]

Kaggle's test photos have no labels; a test set has to be taken from ``train/``.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

DOGS_VS_CATS_SIZE = 150  # of the experiments of L_DMI; a photo is squeezed to a square
CLOTHING1M_SIZE = (
    256  # which they crop to 224 at random for training; for tests they squeeze to 224
)
CATS_AND_DOGS = ("cat", "dog")
CLOTHES = (
    "T-Shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker", "Jacket",
    "Downcoat", "Suit", "Shawl", "Dress", "Vest", "Underwear",
)  # fmt: skip
PARTS = ("noisy_train", "clean_train", "clean_val", "clean_test")


def dogs_vs_cats(folder: Path) -> tuple[list[Path], np.ndarray]:
    """The files in the order of their numbers, cat before dog, and their labels int64 ``[N]``, 0 a
    cat, 1 a dog: the classes alternate, so that the first n hold both.

    Raises ``ValueError`` for a folder without ``train/`` or with an empty one, for a file whose
    name tells no class, and for a class or a number that is missing.
    """
    train = Path(folder) / "train"
    if not train.is_dir():
        raise ValueError(f"{train} is not a folder: unpack Kaggle's train.zip into {folder}")
    numbers: dict[str, dict[int, Path]] = {name: {} for name in CATS_AND_DOGS}
    for path in train.iterdir():
        told = re.fullmatch(r"(cat|dog)\.(\d+)\.jpg", path.name)
        if told is None:
            raise ValueError(f"{path} is not named like cat.0.jpg or dog.0.jpg: move it away")
        numbers[told[1]][int(told[2])] = path
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
        told = re.fullmatch(r"(\S+)\s+(\d+)", line)
        if told is None or int(told[2]) >= len(CLOTHES):
            raise ValueError(f"{source}, line {number}: {line!r} is not a file and a label in "
                             f"0..{len(CLOTHES) - 1}")  # fmt: skip
        name, label = told[1], int(told[2])
        if labels.setdefault(name, label) != label:
            raise ValueError(f"{source}, line {number}: {name} has the label {label}, but "
                             f"{labels[name]} further up; copy it again from the official "
                             "files, or remove one line")  # fmt: skip
    listed = lines(folder / f"{part}_key_list.txt")
    if unlabelled := [name for name in listed if name not in labels]:
        raise ValueError(f"{len(unlabelled)} files of {part}_key_list.txt have no label in "
                         f"{source.name}, for example {unlabelled[0]}")  # fmt: skip
    return [folder / name for name in listed], np.array([labels[name] for name in listed])


def pixels(files: Sequence[Path], size: int) -> np.ndarray:
    """uint8 ``[N, 3, size, size]``, RGB, each photo squeezed to a square (bilinear, antialiased).
    ``ValueError`` names a file that is missing or is no image."""
    from PIL import Image, UnidentifiedImageError

    images = np.empty((len(files), 3, size, size), dtype=np.uint8)
    for image, path in zip(images, files, strict=True):
        try:
            with Image.open(path) as photo:
                small = photo.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        except FileNotFoundError:
            raise ValueError(f"{path} is missing: complete your copy of the images") from None
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"{path} is damaged or no image: {error}; fetch it anew") from error
        image[:] = np.asarray(small).transpose(2, 0, 1)
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
