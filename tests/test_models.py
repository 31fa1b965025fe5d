"""The networks are the published ones, and their weights depend on the seed alone."""

import math

import pytest
import torch
from torch import nn

from labelnoise import models
from labelnoise.seeds import generator

SHAPES = {"cnn4": (1, 28, 28), "mlp": (1, 28, 28)}
every = pytest.mark.parametrize("name", models.MODELS)


def same(a: nn.Module, b: nn.Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_every_network_is_tested_here():
    assert set(SHAPES) == set(models.MODELS)


@every
def test_the_seed_decides_the_weights(name):
    a, b, c = (models.build(name, SHAPES[name], 10, seed) for seed in (0, 0, 1))
    assert same(a, b)
    for ours, other in zip(a.parameters(), c.parameters(), strict=True):
        constant = ours.unique().numel() == 1  # batch norm starts at 1 and 0
        assert constant or not torch.equal(ours, other)


@every
def test_the_global_generator_does_not_touch_the_weights(name):
    torch.manual_seed(1)
    a = models.build(name, SHAPES[name], 10, 0)
    torch.manual_seed(2)
    torch.rand(1000)
    nn.Linear(50, 50)
    b = models.build(name, SHAPES[name], 10, 0)
    assert same(a, b)


@every
def test_no_weight_keeps_what_torchs_constructor_drew(name):
    """Every layer type that draws random numbers must be redrawn by ``initialise``."""
    model = models.MODELS[name](SHAPES[name], 10)
    with torch.no_grad():
        for p in model.parameters():
            if p.unique().numel() > 1:
                p.fill_(math.nan)
    models.initialise(model, generator(0, "init"))
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_the_cnn_is_the_published_one():
    model = models.build("cnn4", (1, 28, 28), 10, 0)
    by_hand = (
        (32 * 1 * 9 + 32)
        + 2 * 32
        + (64 * 32 * 9 + 64)
        + 2 * 64
        + (64 * 7 * 7 * 128 + 128)
        + 2 * 128
        + (128 * 10 + 10)
    )
    assert sum(p.numel() for p in model.parameters()) == by_hand == 422_090
    assert [layer.in_features for layer in model if isinstance(layer, nn.Linear)] == [3136, 128]


def test_the_mlp_has_one_hidden_layer_of_256():
    model = models.build("mlp", (1, 28, 28), 10, 0)
    assert sum(p.numel() for p in model.parameters()) == 784 * 256 + 256 + 256 * 10 + 10


def layers(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


@every
def test_initial_weights_fill_the_published_ranges(name):
    for layer in layers(models.build(name, SHAPES[name], 10, 3)):
        fan_in = layer.weight[0].numel()
        if isinstance(layer, nn.Conv2d):  # Kaiming, uniform, fan in
            bound = math.sqrt(6 / fan_in)
        else:  # Xavier, uniform
            bound = math.sqrt(6 / (fan_in + layer.out_features))
        weights = layer.weight.detach().flatten()
        assert weights.abs().max() <= bound
        assert weights.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.12)
        assert abs(weights.mean().item()) < 4 * bound / math.sqrt(3 * weights.numel())
        assert layer.bias.abs().max() <= 1 / math.sqrt(fan_in)
        assert layer.bias.std() > 0.3 / math.sqrt(fan_in)


def test_pooling_first_gives_exactly_what_relu_first_gives():
    """Public code has ReLU before the pooling; values and gradients are the same to the bit."""
    ours = models.build("cnn4", (1, 12, 12), 10, 0)
    order = list(ours)
    for i in [i for i, layer in enumerate(ours) if isinstance(layer, nn.MaxPool2d)]:
        order[i], order[i + 1] = order[i + 1], order[i]
    assert [type(m) for m in order] != [type(m) for m in ours]
    published = nn.Sequential(*order)
    images = torch.randn(16, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    results = []
    for model in (ours, published):
        x = images.clone().requires_grad_()
        for m in model:
            if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d):
                m.reset_running_stats()
        model.zero_grad()
        logits = model(x)
        logits.square().sum().backward()
        results.append([logits, x.grad, *(p.grad.clone() for p in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@every
@pytest.mark.parametrize(("shape", "K"), [((1, 8, 8), 10), ((3, 32, 32), 100), ((1, 29, 31), 2)])
def test_networks_fit_the_images_and_the_classes(name, shape, K):
    model = models.build(name, shape, K, 0).eval()
    assert model(torch.zeros(2, *shape)).shape == (2, K)


def test_an_unknown_network_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="model 'resnet34' is unknown; known: cnn4, mlp"):
        models.build("resnet34", (1, 28, 28), 10, 0)
