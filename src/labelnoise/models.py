"""The networks of the protocols, with weights that depend on the seed alone.

Each takes ``shape`` and the number of classes K, and returns logits ``[B, K]``. Those for images
read float ``[B, C, H, W]``, with ``shape`` = (C, H, W); ``linear`` and ``mlp`` also read rows of
numbers, float ``[B, D]``, with ``shape`` = (D,); the one for text reads token numbers, int64
``[B, L]``, with ``shape`` = (V,), the size of the vocabulary.
"""

import math

import torch
from torch import Tensor, nn

from labelnoise.seeds import generator


class CNN4(nn.Sequential):
    """The "4-layer CNN" of the MNIST experiments of APL and ALFs: two 3x3 convolutions (32, 64),
    each with batch norm, 2x2 max pooling and ReLU, and two linear layers (128, K).

    Images of at least 4x4. Public code applies ReLU before pooling; the two commute, and pooling
    first leaves a quarter of the ReLUs.
    """

    def __init__(self, shape: tuple[int, int, int], num_classes: int):
        channels, height, width = image_shape(shape, least=4)
        super().__init__(
            nn.Conv2d(channels, 32, 3, padding=1), nn.BatchNorm2d(32), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 4) * (width // 4), 128), nn.BatchNorm1d(128), nn.ReLU(),
            nn.Linear(128, num_classes),
        )  # fmt: skip


class CNN8(nn.Sequential):
    """The "8-layer CNN" of the CIFAR-10 experiments of APL and ALFs: three pairs of 3x3
    convolutions (64, 128, 196), each with batch norm and ReLU, 2x2 max pooling after a pair, and
    two linear layers (256, K).

    Images of at least 8x8. Pooling comes before a pair's second ReLU, as in ``CNN4``.
    """

    def __init__(self, shape: tuple[int, int, int], num_classes: int):
        channels, height, width = image_shape(shape, least=8)
        pairs = []
        for before, after in ((channels, 64), (64, 128), (128, 196)):
            pairs += [
                nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(),
                nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.MaxPool2d(2),
                nn.ReLU(),
            ]  # fmt: skip
        super().__init__(
            *pairs, nn.Flatten(),
            nn.Linear(196 * (height // 8) * (width // 8), 256), nn.BatchNorm1d(256), nn.ReLU(),
            nn.Linear(256, num_classes),
        )  # fmt: skip


class CNN2(nn.Sequential):
    """The CNN of the Fashion-MNIST experiments of L_DMI: two 5x5 convolutions (16, 32) without
    padding, each with ReLU and 2x2 max pooling, dropout of one half, and one linear layer, which
    reads 512 numbers of a 28x28 image.

    Images of at least 16x16. Pooling comes before ReLU, as in ``CNN4``.
    """

    def __init__(self, shape: tuple[int, int, int], num_classes: int):
        channels, height, width = image_shape(shape, least=16)
        rows, columns = (((side - 4) // 2 - 4) // 2 for side in (height, width))
        super().__init__(
            nn.Conv2d(channels, 16, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(16, 32, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(32 * rows * columns, num_classes),
        )  # fmt: skip


class ResNet34(nn.Sequential):
    """ResNet-34 as the CIFAR-100 experiments have it: a 3x3 stem without stride or pooling, so that
    small images keep their size; then 3, 4, 6 and 3 blocks of 64, 128, 256 and 512 channels, the
    mean over all positions, and a linear layer. No convolution has a bias."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int):
        before, _, _ = image_shape(shape, least=1)
        stem = [nn.Conv2d(before, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        blocks, before = [], 64
        for channels, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
            for i in range(count):
                stride = 2 if i == 0 and channels > 64 else 1
                blocks.append(ResidualBlock(before, channels, stride))
                before = channels
        super().__init__(
            *stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, num_classes)
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: the input itself, or a 1x1 convolution of it where
    size or channels change (He et al. 2016, the basic block)."""

    def __init__(self, before: int, channels: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Identity() if stride == 1 and before == channels else nn.Sequential(
            nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class MLP(nn.Sequential):
    """Ours, for CPUs: one hidden layer of 256 ReLUs. Wide enough that cross-entropy memorises
    wrong labels, small enough for a minute of one core a run."""

    def __init__(self, shape: tuple[int, ...], num_classes: int):
        super().__init__(
            nn.Flatten(), nn.Linear(size(shape), 256), nn.ReLU(), nn.Linear(256, num_classes)
        )


class Linear(nn.Sequential):
    """Multinomial logistic regression: the head on features that somebody else has learnt."""

    def __init__(self, shape: tuple[int, ...], num_classes: int):
        super().__init__(nn.Flatten(), nn.Linear(size(shape), num_classes))


class WordCNN(nn.Module):
    """The word CNN of the MR experiments of L_DMI, after Kim (2014): a learnt embedding of 128,
    100 filters over each of 3, 4 and 5 words, the maximum over the sentence of their tanh, dropout
    of one half, a linear layer.

    Sentences of at least 5 tokens. Public code applies tanh before the maximum; the two commute.
    Padding has an embedding like any word, as there.
    """

    def __init__(self, shape: tuple[int], num_classes: int):
        super().__init__()
        if len(shape) != 1 or shape[0] < 1:
            raise ValueError(f"shape={shape} must be (V,), the size of a vocabulary: it reads text")
        self.embedding = nn.Embedding(shape[0], 128)
        self.filters = nn.ModuleList(nn.Conv1d(128, 100, words) for words in (3, 4, 5))
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(300, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens).transpose(1, 2)
        features = torch.cat([filters(x).amax(dim=2) for filters in self.filters], dim=1)
        return self.linear(self.dropout(features.tanh()))


MODELS = {
    "cnn4": CNN4, "mlp": MLP, "linear": Linear, "cnn8": CNN8, "cnn2": CNN2, "resnet34": ResNet34,
    "word_cnn": WordCNN,
}  # fmt: skip
READS = {
    **dict.fromkeys(MODELS, ("images",)),
    "mlp": ("images", "numbers"),
    "linear": ("images", "numbers"),
    "word_cnn": ("text",),
}
"""Network -> the kinds of inputs that it reads."""


def image_shape(shape: tuple[int, ...], least: int) -> tuple[int, int, int]:
    """``shape`` if it is (C, H, W) with sides that the network does not pool away."""
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape={shape} must be (C, H, W): the network reads images")
    if min(shape[1:]) < least:
        raise ValueError(f"shape={shape} is too small: the network pools {least}x{least} to 1x1")
    return shape


def size(shape: tuple[int, ...]) -> int:
    """How many numbers an image (C, H, W) or a row (D,) holds."""
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise ValueError(f"shape={shape} must be (C, H, W) or (D,): images or rows of numbers")
    return math.prod(shape)


def build(name: str, shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
    """The network ``name`` for inputs of ``shape``, initialised from ``seed``."""
    if name not in MODELS:
        raise ValueError(f"model {name!r} is unknown; known: {', '.join(MODELS)}")
    model = MODELS[name](shape, num_classes)
    initialise(model, generator(seed, "init"))
    return model


@torch.no_grad()
def initialise(model: nn.Module, source: torch.Generator) -> None:
    """Kaiming-uniform (fan-in) convolutions and Xavier-uniform linear layers, as in the public
    code of APL and ALFs; biases uniform in +-1/sqrt(fan-in), which is torch's default there. The
    word CNN and CNN2 have torch's defaults throughout, as in the public code of L_DMI.

    Every weight comes from ``source``: torch's constructors draw from the global generator, so a
    network would otherwise depend on what ran before it.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Embedding):
            layer.weight.normal_(generator=source)
        elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            if isinstance(model, WordCNN | CNN2):
                layer.weight.uniform_(-bound, bound, generator=source)
            elif isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=source)
            else:
                nn.init.kaiming_uniform_(layer.weight, generator=source)
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=source)
