"""Losses in anyone's loop: they refuse and ignore labels as torch's own loss does, and keep the
digits of their matrices whatever the module is cast to."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from labelnoise import losses, noise
from labelnoise.config import loss_setting
from labelnoise.losses import CE, DMI, GCE, Backward, Bootstrap, Forward, Mixture
from loss_cases import SETTINGS, batch, gradient

T = noise.symmetric(7, 0.3)
LOSSES = [losses.build(name, **settings[0]) for name, settings in SETTINGS.items()]
LOSSES += [Mixture(0.3), Forward(T), Backward(T), Bootstrap(), Bootstrap(hard=True)]
each = pytest.mark.parametrize("loss", [*LOSSES, DMI()], ids=lambda loss: loss.name)
close = torch.testing.assert_close


def with_ignored(loss: losses.Loss, ignored: int | None, reduction: str = "mean"):
    made = losses.build(loss.name, **loss.settings(), reduction=reduction, ignore_index=ignored)
    assert made.settings() == loss.settings()
    assert repr(made) == repr(loss)
    return made


# --------------------------------------------------------------------------- labels out of range


@each
@pytest.mark.parametrize("label", [-1, 7])
@pytest.mark.parametrize("ignored", [None, 3])
def test_a_label_out_of_range_is_refused_with_its_value(loss, label, ignored):
    logits, targets = batch(K=7)
    targets[5] = label
    with pytest.raises(ValueError, match=rf"lie in 0\.\.6, but targets\[5\] is {label}; number"):
        with_ignored(loss, ignored)(logits, targets)


@pytest.mark.parametrize("loss", [GCE(), Forward(T), Backward(T), losses.AMSE(), DMI()], ids=repr)
def test_no_label_is_read_as_another_when_compiled_or_mapped(loss):
    logits, targets = batch(K=7)
    targets[5] = -1
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    mapped = torch.func.vmap(loss)
    for call in (compiled, lambda z, y: mapped(z[None], y[None])):
        with pytest.raises((ValueError, RuntimeError, IndexError)):
            call(logits, targets)


def test_lists_and_what_lies_on_two_devices_are_refused_plainly():
    logits, targets = batch()
    with pytest.raises(ValueError, match=r"targets must be a tensor, got list: torch.as_tensor"):
        GCE()(logits, targets.tolist())
    with pytest.raises(ValueError, match="logits must be a tensor, got ndarray"):
        GCE()(logits.numpy(), targets)
    with pytest.raises(ValueError, match=r"logits are on meta, targets on cpu: move"):
        GCE()(logits.to("meta"), targets)


# ------------------------------------------------------------------------------- ignored labels


@each
@pytest.mark.parametrize("ignored", [-100, 3, 99])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_what_is_ignored_is_as_if_it_was_not_there(loss, ignored, reduction):
    if isinstance(loss, DMI) and reduction != "mean":
        return
    logits, targets = batch(B=30, K=7)
    keep = torch.arange(30) % 3 > 0
    targets = targets.where(targets != ignored, 0).where(keep, ignored)
    loss = with_ignored(loss, ignored, reduction)
    value, slope = loss(logits, targets), gradient(loss, logits, targets)
    left, pull = loss(logits[keep], targets[keep]), gradient(loss, logits[keep], targets[keep])
    assert value.shape == ((30,) if reduction == "none" else ())
    close(value[keep] if reduction == "none" else value, left)
    close(slope[keep], pull)
    assert not slope[~keep].any()
    if reduction == "none":
        assert not value[~keep].any()


@pytest.mark.parametrize("ignored", [-100, -1, 3])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_ce_ignores_as_torch_does(ignored, reduction):
    logits, targets = batch()
    targets[::4] = ignored
    options = {"ignore_index": ignored, "reduction": reduction}
    close(CE(**options)(logits, targets), cross_entropy(logits, targets, **options))
    targets[:] = ignored
    close(CE(**options)(logits, targets), cross_entropy(logits, targets, **options), equal_nan=True)


@pytest.mark.parametrize("loss", [GCE(), Forward(T), DMI()], ids=repr)
def test_compiled_and_mapped_losses_ignore_too(loss):
    logits, targets = batch(B=40, K=7)
    targets[::4] = -100
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    close(compiled(logits, targets), loss(logits, targets))
    mapped = torch.func.vmap(loss)(logits[None], targets[None])
    close(mapped[0], loss(logits, targets))


def test_what_is_ignored_is_no_setting_of_a_run():
    with pytest.raises(ValueError, match="ignore_index is not a setting of a run"):
        loss_setting("GCE", ignore_index=3)
    for value in (True, 1.0, "3"):
        with pytest.raises(ValueError, match=f"ignore_index={value!r} must be an integer, or None"):
            GCE(ignore_index=value)


# --------------------------------------------------------------------------- a module that is cast


@pytest.mark.parametrize("make", [Forward, Backward])
def test_a_matrix_keeps_its_digits_whatever_its_module_is_cast_to(make):
    logits, targets = batch(K=7)
    here = make(T)(logits, targets)
    for cast in (nn.Module.half, nn.Module.bfloat16, nn.Module.float, nn.Module.double):
        outer = nn.Sequential(nn.Linear(2, 2))
        outer.add_module("loss", losses.Sum(make(T), CE(), beta=0))
        assert cast(outer).loss(logits, targets) == here
