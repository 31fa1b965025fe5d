"""The networks of the protocols, with weights that depend on the seed alone."""

import math

import torch
from torch import nn

from labelnoise.seeds import generator


class CNN4(nn.Sequential):
    """The "4-layer CNN" of the MNIST experiments of APL and ALFs: two 3x3 convolutions (32, 64),
    each with batch norm, 2x2 max pooling and ReLU, and two linear layers (128, K).

    Input ``[B, C, H, W]``, H and W at least 4; output logits ``[B, K]``. Public code applies ReLU
    before pooling; the two commute, and pooling first leaves a quarter of the ReLUs.
    """

    def __init__(self, shape: tuple[int, int, int], num_classes: int):
        channels, height, width = shape
        super().__init__(
            nn.Conv2d(channels, 32, 3, padding=1), nn.BatchNorm2d(32), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 4) * (width // 4), 128), nn.BatchNorm1d(128), nn.ReLU(),
            nn.Linear(128, num_classes),
        )  # fmt: skip


class MLP(nn.Sequential):
    """Ours, for CPUs: one hidden layer of 256 ReLUs. Wide enough that cross-entropy memorises
    wrong labels, small enough for a minute of one core a run."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int):
        super().__init__(
            nn.Flatten(), nn.Linear(math.prod(shape), 256), nn.ReLU(), nn.Linear(256, num_classes)
        )


MODELS = {"cnn4": CNN4, "mlp": MLP}


def build(name: str, shape: tuple[int, int, int], num_classes: int, seed: int) -> nn.Module:
    """The network ``name`` for images of ``shape`` (C, H, W), initialised from ``seed``."""
    if name not in MODELS:
        raise ValueError(f"model {name!r} is unknown; known: {', '.join(MODELS)}")
    model = MODELS[name](shape, num_classes)
    initialise(model, generator(seed, "init"))
    return model


@torch.no_grad()
def initialise(model: nn.Module, source: torch.Generator) -> None:
    """Kaiming-uniform (fan-in) convolutions and Xavier-uniform linear layers, as in the public
    code of APL and ALFs; biases uniform in +-1/sqrt(fan-in), which is torch's default there.

    Every weight comes from ``source``: torch's constructors draw from the global generator, so a
    network would otherwise depend on what ran before it.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, generator=source)
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=source)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            layer.bias.uniform_(-bound, bound, generator=source)
