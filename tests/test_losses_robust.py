"""Every loss at the ends of the number range, under torch's transformations, and what is true of it
for any number of classes and samples, any logits and any parameters."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labelnoise import losses
from labelnoise.losses import LOSSES
from loss_cases import (
    CASES,
    FEW,
    FORMS,
    SETTINGS,
    batch,
    ends,
    every,
    few,
    gradient,
    names,
    of,
    several_errors,
    sharp,
)

quick = settings(deadline=None, derandomize=True, database=None, max_examples=40)
many = settings(quick, max_examples=200)
close = torch.testing.assert_close

# ------------------------------------------------------------------------------ ends of the range


def extreme(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose p_y rounds to 0, to 1, to 1/K, and lies just off 0 and off 1."""
    rows = [
        [1e4, -1e4, 0.0, 3.0],
        [-1e4, 1e4, 1e4, -1e4],
        [1e4, 1e4, 1e4, 1e4],
        [-1e4, -1e4, -1e4, -1e4],
        [0.0, 0.0, 0.0, 0.0],
        [17.5, 0.0, 0.0, 0.0],
        [90.0, 0.0, 0.0, 0.0],
        [-16.5, 0.0, 0.0, 0.0],
        [-90.0, 0.0, 0.0, 0.0],
    ]
    logits = torch.tensor([row for row in rows for _ in range(4)], dtype=dtype)
    return logits, torch.arange(4).repeat(len(rows))


@sharp
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_at_extreme_logits(name, parameters, dtype):
    logits, targets = extreme(dtype)
    loss = of(name, **parameters)
    value = loss(logits, targets)
    assert value.dtype == dtype
    assert torch.isfinite(value).all()
    assert torch.isfinite(gradient(loss, logits, targets)).all()
    low, top = ends(loss, K=4)
    assert (value >= low - 1e-6 * abs(low)).all() or low == -math.inf
    assert (value <= top * (1 + 1e-5)).all()


@sharp
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_values_and_gradients_are_finite_under_bfloat16_autocast(name, parameters, dtype):
    logits, targets = extreme(torch.float32)
    logits = logits.to(dtype)
    loss = of(name, **parameters)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits, targets)
        slope = gradient(loss, logits, targets)
    assert value.dtype == torch.float32
    assert torch.isfinite(value).all()
    assert torch.isfinite(slope.float()).all()
    close(value, loss(logits.float(), targets), rtol=0, atol=0)
    close(slope, gradient(loss, logits, targets), rtol=0, atol=0)


@every
def test_half_precision_logits_are_computed_in_float32(name, parameters):
    logits, targets = batch()
    loss = of(name, "mean", **parameters)
    for half in (torch.bfloat16, torch.float16):
        rounded = logits.to(half)
        close(loss(rounded, targets), loss(rounded.float(), targets), rtol=0, atol=0)


@every
def test_float32_agrees_with_float64_from_certainly_wrong_to_certainly_right(name, parameters):
    """To the rounding of log_softmax, which is absolute (6e-8) where p_y is close to 1, times the
    steepness of the loss (that of cross-entropy is 1)."""
    margin = torch.linspace(-80, 80, 321)
    if name == "GeneralisedCLL" and parameters["alpha"] < 1:  # infinitely steep at p_y = 1
        margin = margin[margin < 5]
    logits = torch.stack([margin, torch.zeros_like(margin), -margin / 2], dim=1)
    targets = torch.zeros(len(margin), dtype=torch.int64)
    loss = of(name, **parameters)
    slope = gradient(loss, logits.double(), targets)
    atol = 2e-6 * max(1.0, slope.abs().max().item())
    if name == "AGCE":  # of a + p_y, 6e-8 is lost
        atol = max(atol, 2e-10 / parameters["a"])
    close(loss(logits, targets).double(), loss(logits.double(), targets), rtol=2e-6, atol=atol)
    close(gradient(loss, logits, targets).double(), slope, rtol=1e-5, atol=atol)


@sharp
def test_nan_logits_are_not_turned_into_a_number(name, parameters):
    logits, targets = batch()
    logits[3, 2] = math.nan
    logits[7, targets[7]] = math.nan
    value = of(name, **parameters)(logits, targets)
    assert torch.isnan(value).nonzero().flatten().tolist() == [3, 7]
    assert torch.isnan(of(name, "mean", **parameters)(logits, targets))


# --------------------------------------------------------------------------------- transformations


@few
def test_vmap_gives_each_samples_own_loss_and_gradient(name, parameters):
    logits, targets = batch()
    loss, per_sample = of(name, "mean", **parameters), of(name, **parameters)

    def one(z, y):
        return loss(z[None], y[None])

    close(torch.func.vmap(one)(logits, targets), per_sample(logits, targets))
    close(
        torch.func.vmap(torch.func.grad(one))(logits, targets),
        gradient(per_sample, logits, targets),
    )
    stacked = torch.func.vmap(loss)(logits.view(4, 6, 7), targets.view(4, 6))
    close(stacked, per_sample(logits, targets).view(4, 6).mean(dim=1))


# A sum is compiled as its parts are; one of each kind of sum is enough.
COMPILED = [case for case in FEW if "+" not in case[0] or case[0] in ("CE+LogitClip", "CE_eps+MAE")]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [*COMPILED, ("FL", {"detach": True}), ("NFL+RCE", {"detach": True})],
    ids=names,
)
def test_a_compiled_loss_is_the_same_loss(name, parameters):
    logits, targets = batch()
    loss = of(name, "mean", **parameters)
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    close(compiled(logits, targets), loss(logits, targets))
    close(gradient(compiled, logits, targets), gradient(loss, logits, targets))


# ------------------------------------------------------------------------------------- properties


@st.composite
def problems(draw, among: tuple[str, ...] = tuple(CASES)):
    """A loss, logits [B, K] in float64, and targets."""
    name = draw(st.sampled_from(among))
    parameters = draw(st.fixed_dictionaries(CASES[name].drawn))
    B, K = draw(st.integers(1, 6)), draw(st.integers(2, 12))
    seed, spread = draw(st.integers(0, 2**31)), draw(st.sampled_from([0.1, 1.0, 10.0, 1000.0]))
    return name, parameters, *batch(B, K, spread, seed)


@pytest.mark.parametrize("name", LOSSES)
def test_every_parameter_is_drawn(name):
    assert set(CASES[name].drawn) == set(of(name, **SETTINGS[name][0]).settings())


def steepness(loss: losses.Loss, logits: torch.Tensor, targets: torch.Tensor) -> float:
    return max(1.0, gradient(loss, logits, targets).abs().max().item())


@many
@given(problems(), st.randoms(use_true_random=False))
def test_losses_do_not_care_about_the_order_of_the_classes(problem, random):
    name, parameters, logits, targets = problem
    order = list(range(logits.shape[1]))
    random.shuffle(order)
    loss = of(name, **parameters)
    position = torch.tensor(order).argsort()
    close(loss(logits[:, order], position[targets]), loss(logits, targets))
    close(
        gradient(loss, logits[:, order], position[targets]),
        gradient(loss, logits, targets)[:, order],
        rtol=1e-7,
        atol=1e-9 * steepness(loss, logits, targets),
    )


@many
@given(problems(tuple(sorted(set(CASES) - {"CE+LogitClip"}))), st.floats(-100, 100))
def test_losses_do_not_see_a_shift_of_all_logits(problem, shift):
    name, parameters, logits, targets = problem
    loss = of(name, **parameters)
    atol = 1e-9 * steepness(loss, logits, targets)
    close(loss(logits + shift, targets), loss(logits, targets), rtol=1e-6, atol=atol)
    per_sample = gradient(loss, logits, targets).sum(dim=1)
    close(per_sample, torch.zeros_like(per_sample), rtol=0, atol=10 * atol)


def test_clipped_logits_do_see_a_shift():
    logits, targets = batch()
    loss = of("CE+LogitClip")
    assert (loss(logits + 10, targets) - loss(logits, targets)).abs().min() > 1e-3


@many
@given(problems())
def test_reductions_are_consistent(problem):
    name, parameters, logits, targets = problem
    none, total, mean = (
        of(name, r, **parameters)(logits, targets) for r in ("none", "sum", "mean")
    )
    assert none.shape == targets.shape
    close(none.sum(), total)
    close(total / len(targets), mean)
    close(LOSSES[name](**parameters)(logits, targets), mean, rtol=0, atol=0)


@many
@given(problems())
def test_values_lie_in_the_documented_range_and_reach_its_ends(problem):
    name, parameters, logits, targets = problem
    loss, K = of(name, **parameters), logits.shape[1]
    low, top = ends(loss, K)
    certain = torch.full_like(logits, -1e8).scatter(1, targets[:, None], 1e8)
    despair = torch.zeros_like(logits).scatter(1, targets[:, None], -1e8)  # the others alike
    wrong = certain.roll(1, dims=1)
    right = loss(certain, targets)
    worst = torch.maximum(loss(despair, targets), loss(wrong, targets))
    for value in (loss(logits, targets), right, worst):
        assert (value >= low - 1e-12 * (1 + abs(low))).all() or low == -math.inf
        assert (value <= top + 1e-12 * (1 + top)).all()
    if name in ("LabelSmoothing", "CE+LogitClip"):  # they ask for less than certainty
        return
    close(right, torch.full_like(right, low), rtol=1e-12, atol=1e-12)
    if name == "MixtureCLL" or several_errors(**parameters):  # bounds that are not reached
        return
    if top < math.inf:
        close(worst, torch.full_like(worst, top), rtol=1e-5, atol=1e-12)
    else:
        assert (worst >= 1e6 * parameters.get("alpha", 1)).all()


@quick
@given(problems())
def test_one_sample_is_enough_and_counts_alone(problem):
    name, parameters, logits, targets = problem
    loss = of(name, **parameters)
    alone = torch.cat([loss(z[None], y[None]) for z, y in zip(logits, targets, strict=True)])
    close(alone, loss(logits, targets))


@pytest.mark.parametrize("name", LOSSES)
def test_one_sample_of_two_classes_has_a_loss_and_a_gradient(name):
    logits, targets = torch.tensor([[0.3, -0.2]]), torch.tensor([1])
    loss = of(name, "mean", **SETTINGS[name][0])
    assert loss(logits, targets).shape == ()
    assert torch.isfinite(loss(logits, targets))
    assert gradient(loss, logits, targets).norm() > 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.64, 1.0])
def test_only_elementwise_cll_with_a_narrow_kernel_counts_one_wrong_prediction_several_times(
    sigma, form
):
    """A prediction spread evenly over n of the 9 wrong classes, beside a one-hot wrong one."""
    logits = torch.full((9, 10), -1e4, dtype=torch.float64)
    for n in range(1, 10):
        logits[n - 1, 1 : n + 1] = 1e4
    loss = of("CLL", sigma=sigma, form=form)
    value = loss(logits, torch.zeros(9, dtype=torch.int64))
    exceeds = (value > value[0] * (1 + 1e-12)).any()
    assert exceeds == (form == "elementwise" and sigma < 0.64)
    assert (value <= ends(loss, K=10)[1] * (1 + 1e-12)).all()
