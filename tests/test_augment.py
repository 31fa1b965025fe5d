"""Whole batches are cropped, flipped and rotated as torchvision does it image by image."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labelnoise.data.augment import NAMES, Augmentation, moved
from labelnoise.data.torchvision_shim import import_torchvision
from labelnoise.seeds import generator

import_torchvision()
from torchvision.transforms import functional as F  # noqa: E402

CPU = torch.device("cpu")


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    """uint8 without a 0, so that zeros in a result come from outside."""
    source = torch.Generator().manual_seed(seed)
    return torch.randint(1, 256, shape, generator=source, dtype=torch.uint8)


def theirs(image: torch.Tensor, crop=None, flip=None, rotation=None) -> torch.Tensor:
    """One image by torchvision, in the order of public code."""
    _, H, W = image.shape
    if crop is not None:
        image = F.crop(F.pad(image, [4]), *crop.tolist(), H, W)
    if flip is not None and flip:
        image = F.hflip(image)
    if rotation is not None:
        image = F.rotate(image, rotation.item(), fill=[0.0] * len(image))
    return image


def one_by_one(batch: torch.Tensor, **draws: torch.Tensor) -> torch.Tensor:
    each = range(len(batch))
    return torch.stack([theirs(batch[i], **{k: v[i] for k, v in draws.items()}) for i in each])


def draws(names: tuple[str, ...], n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    return Augmentation(names, n, generator(seed, "augmentation"), CPU).draws


# ------------------------------------------------------------------- the same as torchvision's


def test_every_crop_and_flip_is_torchvisions_to_the_bit():
    """All 81 offsets, with and without the flip."""
    offsets = torch.cartesian_prod(torch.arange(9), torch.arange(9)).repeat(2, 1)
    flip = torch.arange(162) >= 81
    batch = images(162, 3, 32, 32)
    result = moved(batch, crop=offsets, flip=flip)
    assert torch.equal(result, one_by_one(batch, crop=offsets, flip=flip))
    assert result.dtype == torch.uint8
    assert torch.equal(moved(batch, crop=offsets), one_by_one(batch, crop=offsets))
    assert torch.equal(moved(batch, flip=flip), one_by_one(batch, flip=flip))


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 12), st.integers(1, 12)),
    seed=st.integers(0, 10**6),
)
def test_crop_and_flip_are_torchvisions_for_every_shape(shape, seed):
    batch, made = images(*shape, seed=seed), draws(("crop", "flip"), shape[0], seed)
    assert torch.equal(moved(batch, **made), one_by_one(batch, **made))


@pytest.mark.parametrize("shape", [(512, 3, 32, 32), (300, 1, 28, 28), (300, 2, 9, 14)])
def test_rotation_is_torchvisions_but_for_ties(shape):
    """torchvision finds the nearest pixel in float32: where two are equally near within its
    rounding, it may take the other. Less than one pixel in 20,000 (4 in a million were seen)."""
    batch, made = images(*shape), draws(("rotation",), shape[0])
    assert made["rotation"].abs().max() > 19
    result, reference = moved(batch, **made), one_by_one(batch, **made)
    differs = (result != reference).any(dim=1)
    assert differs.float().mean() < 1 / 20_000
    assert nearest_margin(made["rotation"], *shape[2:])[differs].max(initial=0) < 1e-5


def nearest_margin(degrees: torch.Tensor, H: int, W: int):
    """How far, in pixels, the source of each pixel lies from the border between two pixels."""
    angle = degrees.double().deg2rad().view(-1, 1, 1)
    up = (torch.arange(H) - (H - 1) / 2).view(1, H, 1)
    right = (torch.arange(W) - (W - 1) / 2).view(1, 1, W)
    y = angle.cos() * up + angle.sin() * right + H / 2  # whole numbers are the borders
    x = angle.cos() * right - angle.sin() * up + W / 2
    return torch.minimum((y - y.round()).abs(), (x - x.round()).abs()).numpy()


def test_the_three_together_are_applied_in_the_order_of_public_code():
    batch, made = images(256, 3, 32, 32), draws(NAMES, 256)
    result, reference = moved(batch, **made), one_by_one(batch, **made)
    assert (result != reference).any(dim=1).float().mean() < 1 / 20_000


def test_without_draws_images_stay_as_they_are():
    batch = images(3, 3, 8, 8)
    assert torch.equal(moved(batch), batch)
    still = Augmentation((), 3, generator(0, "augmentation"), CPU)
    assert still(batch, torch.arange(3)) is batch


# ---------------------------------------------------------------------------- their distribution


def chi_square_is_plausible(counts: torch.Tensor) -> bool:
    """Within five standard deviations of what uniform draws give."""
    expected = counts.sum() / len(counts)
    statistic, freedom = ((counts - expected) ** 2 / expected).sum(), len(counts) - 1
    return abs(statistic - freedom) < 5 * (2 * freedom) ** 0.5


def test_draws_are_uniform_and_independent():
    n = 81 * 500
    made = draws(NAMES, n)
    top, left = made["crop"].unbind(1)
    assert chi_square_is_plausible(torch.bincount(top * 9 + left, minlength=81).double())
    assert chi_square_is_plausible(torch.bincount(made["flip"].long(), minlength=2).double())
    turn = (made["rotation"] + 20) / 40
    assert turn.min() >= 0
    assert turn.max() <= 1
    assert chi_square_is_plausible(torch.histc(turn, 50, 0, 1).double())
    joint = (top * 2 + made["flip"]) * 3 + (turn * 3).long().clamp(max=2)
    assert chi_square_is_plausible(torch.bincount(joint, minlength=54).double())


# ----------------------------------------------------------------------------------- exactness


def test_seed_and_epoch_decide_the_draws():
    def made(seed: int, epoch: int) -> torch.Tensor:
        source = generator(seed, "augmentation", epoch)
        return Augmentation(NAMES, 64, source, CPU)(images(64, 3, 32, 32), torch.arange(64))

    assert torch.equal(made(0, 3), made(0, 3))
    assert not torch.equal(made(0, 3), made(0, 4))
    assert not torch.equal(made(0, 3), made(1, 3))


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 40), seed=st.integers(0, 1000))
def test_a_samples_draw_does_not_depend_on_batches_or_their_order(batch, seed):
    whole = images(40, 1, 10, 10)
    augmented = Augmentation(NAMES, 40, generator(seed, "augmentation"), CPU)
    expected = augmented(whole, torch.arange(40))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    for index in order.split(batch):
        assert torch.equal(augmented(whole[index], index), expected[index])


def test_a_draw_does_not_depend_on_what_else_is_drawn():
    every = draws(NAMES, 50)
    assert tuple(every) == NAMES
    for name in NAMES:
        (alone,) = draws((name,), 50).values()
        assert torch.equal(alone, every[name])


def test_the_global_generator_is_neither_used_nor_moved():
    before = torch.get_rng_state()
    first = draws(NAMES, 20)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert all(torch.equal(first[name], draw) for name, draw in draws(NAMES, 20).items())


@pytest.mark.cuda
def test_cuda_moves_the_same_pixels():
    batch, index = images(256, 3, 32, 32), torch.arange(256)
    made = {}
    for device in (CPU, torch.device("cuda")):
        augmented = Augmentation(NAMES, 256, generator(0, "augmentation"), device)
        made[device.type] = augmented(batch.to(device), index.to(device)).cpu()
    assert torch.equal(made["cpu"], made["cuda"])
