"""The networks are the published ones, and their weights depend on the seed alone."""

import hashlib
import math

import pytest
import torch
from torch import nn

from labelnoise import models
from labelnoise.data.torchvision_shim import import_torchvision
from labelnoise.seeds import generator

SHAPES = {
    "cnn4": (1, 28, 28),
    "mlp": (1, 28, 28),
    "cnn8": (3, 32, 32),
    "cnn2": (1, 28, 28),
    "resnet34": (3, 32, 32),
    "word_cnn": (500,),
    "linear": (16,),
}
FOR_IMAGES = [name for name, kinds in models.READS.items() if "images" in kinds]
every = pytest.mark.parametrize("name", models.MODELS)


def same(a: nn.Module, b: nn.Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def constant(p: torch.Tensor) -> bool:
    """As batch norm starts: all 1 or all 0."""
    return bool((p == p.flatten()[0]).all())


def test_every_network_is_tested_here():
    assert set(SHAPES) == set(models.MODELS)


@every
def test_the_seed_alone_decides_the_weights(name):
    torch.manual_seed(1)
    a = models.build(name, SHAPES[name], 10, 0)
    torch.manual_seed(2)
    b, c = (models.build(name, SHAPES[name], 10, seed) for seed in (0, 1))
    assert same(a, b)
    for ours, other in zip(a.parameters(), c.parameters(), strict=True):
        assert constant(ours) or not torch.equal(ours, other)


@every
def test_no_weight_keeps_what_torchs_constructor_drew(name):
    """Every layer type that draws random numbers must be redrawn by ``initialise``."""
    model = models.MODELS[name](SHAPES[name], 10)
    with torch.no_grad():
        for p in model.parameters():
            if not constant(p):
                p.fill_(math.nan)
    models.initialise(model, generator(0, "init"))
    assert all(torch.isfinite(p).all() for p in model.parameters())


def parameters(name: str, K: int) -> int:
    return sum(p.numel() for p in models.build(name, SHAPES[name], K, 0).parameters())


def convolution(before: int, after: int) -> int:
    """3x3, with bias and batch norm."""
    return after * before * 9 + after + 2 * after


@pytest.mark.parametrize(
    ("name", "K", "by_hand", "published"),
    [
        ("cnn4", 10, convolution(1, 32) + convolution(32, 64)
         + (64 * 7 * 7 * 128 + 128) + 2 * 128 + (128 * 10 + 10), 422_090),
        ("cnn8", 10, convolution(3, 64) + convolution(64, 64)
         + convolution(64, 128) + convolution(128, 128)
         + convolution(128, 196) + convolution(196, 196)
         + (196 * 4 * 4 * 256 + 256) + 2 * 256 + (256 * 10 + 10), 1_639_794),
        ("cnn2", 2, (16 * 25 + 16) + (32 * 16 * 25 + 32) + (32 * 4 * 4 * 2 + 2), 14_274),
        ("word_cnn", 2, 500 * 128 + sum(100 * 128 * words + 100 for words in (3, 4, 5))
         + 300 * 2 + 2, 218_502),
        ("mlp", 10, (784 * 256 + 256) + (256 * 10 + 10), 203_530),
        ("linear", 10, 16 * 10 + 10, 170),
    ],
)  # fmt: skip
def test_a_network_has_the_parameters_of_the_published_one(name, K, by_hand, published):
    assert parameters(name, K) == by_hand == published


def test_resnet34_is_torchvisions_with_another_stem():
    """The same count, and from the same weights the same logits and gradients."""
    import_torchvision()
    from torchvision.models import resnet34

    theirs = resnet34(num_classes=100)
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = nn.Identity()
    ours = models.build("resnet34", (3, 32, 32), 100, 0)
    published = 21_797_672  # with 1000 classes and a 7x7 stem
    by_hand = published - 64 * 3 * (49 - 9) - 513 * (1000 - 100)
    assert parameters("resnet34", 100) == by_hand == 21_328_292

    assert len(ours.state_dict()) == len(theirs.state_dict())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    results = []
    for model in (ours, theirs):
        logits = model.train()(images)
        logits.square().mean().backward()
        results.append([logits, *(p.grad for p in model.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * b.abs().max().item())


def test_the_word_cnn_is_the_published_one():
    model = models.build("word_cnn", (500,), 2, 0).double().eval()
    tokens = torch.randint(0, 500, (7, 19), generator=torch.Generator().manual_seed(0))
    x = model.embedding(tokens).transpose(1, 2)  # as public code has it: tanh, then the maximum
    pooled = [filters(x).tanh().max(dim=2).values for filters in model.filters]
    torch.testing.assert_close(model(tokens), model.linear(torch.cat(pooled, dim=1)))


@pytest.mark.parametrize("name", ["cnn2", "word_cnn"])
def test_the_networks_of_l_dmi_drop_one_half(name):
    modules = models.build(name, SHAPES[name], 2, 0).modules()
    assert [layer.p for layer in modules if isinstance(layer, nn.Dropout)] == [0.5]


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("cnn4", "0c31ec12228a1601fca7d78ce941975c95fbeeaf368aaafe94c6047d2f9f16ac"),
        ("mlp", "c18052ad7d26c58e881cf0b1fd4a0776d1dedd810114c885ca26d84f47a30f83"),
    ],
)
def test_the_weights_of_a_seed_never_change(name, sha256):
    """Committed records began with these."""
    weights = models.build(name, (1, 28, 28), 10, 0).parameters()
    content = b"".join(p.detach().numpy().tobytes() for p in weights)
    assert hashlib.sha256(content).hexdigest() == sha256


def layers(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]


@pytest.mark.parametrize("name", [name for name in FOR_IMAGES if name != "cnn2"])
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
        if layer.bias is not None:
            assert layer.bias.abs().max() <= 1 / math.sqrt(fan_in)
            assert layer.bias.std() > 0.3 / math.sqrt(fan_in)


@pytest.mark.parametrize("name", ["cnn2", "word_cnn"])
def test_the_networks_of_l_dmi_begin_as_torch_begins(name):
    """Public code leaves them at torch's defaults: standard normal, and +-1/sqrt(fan in)."""
    model = models.build(name, SHAPES[name], 2, 0)
    if name == "word_cnn":
        words = model.embedding.weight.detach()
        assert words.mean().item() == pytest.approx(0, abs=0.02)
        assert words.std().item() == pytest.approx(1, abs=0.02)
    for layer in layers(model):
        bound = 1 / math.sqrt(layer.weight[0].numel())
        assert max(layer.weight.abs().max(), layer.bias.abs().max()) <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize("name", ["cnn4", "cnn8", "cnn2"])
def test_pooling_first_gives_exactly_what_relu_first_gives(name):
    """Public code has ReLU before the pooling; values and gradients are the same to the bit."""
    ours = models.build(name, (1, 16, 16), 10, 0)
    order = list(ours)
    for i in [i for i, layer in enumerate(ours) if isinstance(layer, nn.MaxPool2d)]:
        order[i], order[i + 1] = order[i + 1], order[i]
    assert [type(m) for m in order] != [type(m) for m in ours]
    published = nn.Sequential(*order)
    images = torch.randn(16, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    results = []
    for model in (ours, published):
        x = images.clone().requires_grad_()
        for m in model:
            if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d):
                m.reset_running_stats()
        model.zero_grad()
        torch.manual_seed(0)  # for dropout
        logits = model(x)
        logits.square().sum().backward()
        results.append([logits, x.grad, *(p.grad.clone() for p in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


FITS = [
    *((name, shape, K) for name in FOR_IMAGES
      for shape, K in (((1, 8, 8), 10), ((3, 32, 32), 100), ((1, 29, 31), 2))
      if (name, shape) != ("cnn2", (1, 8, 8))),
    ("cnn2", (3, 16, 16), 2), ("mlp", (16,), 26), ("linear", (16,), 26),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "K"), FITS)
def test_networks_fit_the_inputs_and_the_classes(name, shape, K):
    model = models.build(name, shape, K, 0).eval()
    assert model(torch.zeros(2, *shape)).shape == (2, K)


def test_the_word_cnn_fits_the_vocabulary_the_length_and_the_classes():
    for V, length, K in ((2, 5, 2), (30, 54, 7)):
        model = models.build("word_cnn", (V,), K, 0).eval()
        assert model(torch.full((3, length), V - 1)).shape == (3, K)


@pytest.mark.parametrize(
    ("name", "shape", "named"),
    [
        ("cnn4", (1, 3, 28), r"shape=\(1, 3, 28\) is too small.* 4x4"),
        ("cnn8", (3, 32, 7), r"shape=\(3, 32, 7\) is too small.* 8x8"),
        ("cnn2", (3, 15, 16), r"shape=\(3, 15, 16\) is too small.* 16x16"),
        ("resnet34", (500,), r"shape=\(500,\) must be \(C, H, W\)"),
        ("mlp", (28, 28), r"shape=\(28, 28\) must be \(C, H, W\)"),
        ("cnn8", (0, 32, 32), r"shape=\(0, 32, 32\)"),
        ("word_cnn", (3, 32, 32), r"shape=\(3, 32, 32\) must be \(V,\)"),
        ("word_cnn", (0,), r"shape=\(0,\) must be \(V,\)"),
        ("resnet50", (1, 28, 28), "'resnet50' .*cnn4, mlp, linear"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, shape, named):
    with pytest.raises(ValueError, match=named):
        models.build(name, shape, 10, 0)
