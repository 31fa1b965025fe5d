"""Every loss is its formula: against scalar float64 transcriptions, closed-form gradients, special
cases and its neighbours, at the ends of the number range, and under torch's transformations."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labelnoise import losses
from labelnoise.losses import CE, CLL, GCE, LOSSES, MAE, SCE

quick = settings(deadline=None, derandomize=True, database=None, max_examples=40)

# ---------------------------------------------------- the formulas, transcribed sample by sample
#
# value(p, y, ...) -> loss;  slope(p, y, ...) -> its partial derivatives by p_0 .. p_{K-1}.


def one_hot_error(p: list[float], y: int) -> list[float]:
    return [(1.0 if k == y else 0.0) - p[k] for k in range(len(p))]


def only(p: list[float], y: int, derivative: float) -> list[float]:
    return [derivative if k == y else 0.0 for k in range(len(p))]


def ce(p, y):
    return -math.log(p[y])


def ce_slope(p, y):
    return only(p, y, -1 / p[y])


def mae(p, y):
    return sum(abs(e) for e in one_hot_error(p, y))


def mae_slope(p, y):  # 2 (1 - p_y); the sum over all |e_k| has the same gradient at the logits
    return only(p, y, -2.0)


def gce(p, y, q=0.7):
    return (1 - p[y] ** q) / q


def gce_slope(p, y, q=0.7):
    return only(p, y, -(p[y] ** (q - 1)))


LOG_ZERO = math.log(1e-4)


def sce(p, y, alpha=1.0, beta=1.0, A=LOG_ZERO):
    reverse = -sum(p[k] * (0.0 if k == y else A) for k in range(len(p)))
    return alpha * -math.log(p[y]) + beta * reverse


def sce_slope(p, y, alpha=1.0, beta=1.0, A=LOG_ZERO):
    return only(p, y, -alpha / p[y] + beta * A)


def cll(p, y, sigma, form="target", normalise=False):
    def kernel(square):
        return math.exp(-square / (2 * sigma**2))

    squares = [e**2 for e in one_hot_error(p, y)]
    if form == "target":
        loss, worst = 1 - kernel((1 - p[y]) ** 2), 1 - kernel(1)
    elif form == "vector":
        loss, worst = 1 - kernel(sum(squares)), 1 - kernel(2)
    else:
        loss, worst = sum(1 - kernel(s) for s in squares), 2 * (1 - kernel(1))
    return loss / worst if normalise else loss


def cll_slope(p, y, sigma, form="target", normalise=False):
    e = one_hot_error(p, y)

    def kernel(square):
        return math.exp(-square / (2 * sigma**2))

    if form == "target":
        slope = only(p, y, -e[y] / sigma**2 * kernel(e[y] ** 2))
        worst = 1 - kernel(1)
    elif form == "vector":
        slope = [-ek / sigma**2 * kernel(sum(v**2 for v in e)) for ek in e]
        worst = 1 - kernel(2)
    else:
        slope = [-ek / sigma**2 * kernel(ek**2) for ek in e]
        worst = 2 * (1 - kernel(1))
    return [s / worst for s in slope] if normalise else slope


CASES = [
    ("CE", {}, ce, ce_slope),
    ("MAE", {}, mae, mae_slope),
    ("GCE", {}, gce, gce_slope),
    ("GCE", {"q": 0.1}, gce, gce_slope),
    ("GCE", {"q": 1.0}, gce, gce_slope),
    ("SCE", {}, sce, sce_slope),
    ("SCE", {"alpha": 0.1, "beta": 2.0, "A": -4.0}, sce, sce_slope),
    ("SCE", {"alpha": 0.0}, sce, sce_slope),
    ("SCE", {"beta": 0.0}, sce, sce_slope),
    *(
        ("CLL", {"sigma": sigma, "form": form, "normalise": normalise}, cll, cll_slope)
        for form in ("target", "vector", "elementwise")
        for normalise in (False, True)
        for sigma in (0.2, 0.5, 1.0, 3.0)
    ),
]
EVERY = [(name, parameters) for name, parameters, _, _ in CASES]
FEW = [case for case in EVERY if case[1].get("sigma", 0.5) == 0.5]


def names(case: object) -> str | None:
    if isinstance(case, dict):
        return ",".join(map(str, case.values())) or "default"
    return case if isinstance(case, str) else None


every = pytest.mark.parametrize(("name", "parameters"), EVERY, ids=names)
few = pytest.mark.parametrize(("name", "parameters"), FEW, ids=names)
transcribed = pytest.mark.parametrize(
    ("name", "parameters", "value", "slope"), CASES, ids=lambda c: names(c) or ""
)


def softmax(z: list[float]) -> list[float]:
    exps = [math.exp(v - max(z)) for v in z]
    return [v / sum(exps) for v in exps]


def batch(B: int = 24, K: int = 7, spread: float = 3.0, seed: int = 0):
    source = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(B, K, dtype=torch.float64, generator=source)
    return logits, torch.randint(K, (B,), generator=source)


def gradient(loss: losses.Loss, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits, targets).sum(), logits)[0]


def test_every_loss_of_the_table_is_transcribed_here():
    assert {name for name, _ in EVERY} == set(LOSSES)


# ------------------------------------------------------------------------- values and gradients


@transcribed
def test_the_value_is_the_formula(name, parameters, value, slope):
    logits, targets = batch()
    got = LOSSES[name](**parameters, reduction="none")(logits, targets)
    assert got.dtype == torch.float64
    for z, y, loss in zip(logits.tolist(), targets.tolist(), got.tolist(), strict=True):
        assert loss == pytest.approx(value(softmax(z), y, **parameters), rel=1e-11, abs=1e-14)


@transcribed
def test_the_gradient_at_the_logits_is_the_closed_form(name, parameters, value, slope):
    logits, targets = batch(seed=1)
    got = gradient(LOSSES[name](**parameters, reduction="sum"), logits, targets)
    for z, y, row in zip(logits.tolist(), targets.tolist(), got.tolist(), strict=True):
        p = softmax(z)
        s = slope(p, y, **parameters)
        K = len(p)
        chain = [sum(s[k] * p[k] * ((k == j) - p[j]) for k in range(K)) for j in range(K)]
        assert row == pytest.approx(chain, rel=1e-9, abs=1e-13)


@every
def test_autograd_agrees_with_finite_differences(name, parameters):
    logits, targets = batch(B=4, K=5, spread=1.5, seed=2)
    loss = LOSSES[name](**parameters)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 1.0])
def test_cll_target_is_steepest_where_the_error_is_sigma(sigma):
    miss = torch.linspace(1e-4, 1 - 1e-4, 9999, dtype=torch.float64)
    logits = torch.stack([torch.log1p(-miss), miss.log()], dim=1)  # so that p_y = 1 - miss
    targets = torch.zeros(len(miss), dtype=torch.int64)
    p = torch.softmax(logits, dim=1)[:, 0]
    by_logit = gradient(CLL(sigma, reduction="sum"), logits, targets)[:, 0].abs()
    by_p = by_logit / (p * (1 - p))
    assert miss[by_p.argmax()].item() == pytest.approx(sigma, abs=2e-4)


@pytest.mark.parametrize(("sigma", "p"), [(0.3, 0.64), (0.5, 0.50), (1.0, 0.38)])
def test_cll_target_pushes_the_logits_hardest_where_the_design_says(sigma, p):
    miss = torch.linspace(1e-3, 1 - 1e-3, 999, dtype=torch.float64)
    logits = torch.stack([torch.log1p(-miss), miss.log()], dim=1)
    by_logit = gradient(CLL(sigma, reduction="sum"), logits, torch.zeros(999, dtype=torch.int64))
    assert 1 - miss[by_logit[:, 0].abs().argmax()].item() == pytest.approx(p, abs=0.006)


# --------------------------------------------------------------------------------- special cases


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ce_is_torchs_own(reduction, dtype):
    logits, targets = batch(seed=3)
    logits = logits.to(dtype)
    ours = CE(reduction=reduction)
    theirs = torch.nn.CrossEntropyLoss(reduction=reduction)
    torch.testing.assert_close(ours(logits, targets), theirs(logits, targets))
    torch.testing.assert_close(
        gradient(ours, logits, targets), gradient(theirs, logits, targets), rtol=1e-5, atol=1e-6
    )


def test_gce_runs_from_ce_to_half_of_mae():
    logits, targets = batch()
    torch.testing.assert_close(GCE(1e-9)(logits, targets), CE()(logits, targets), rtol=1e-7, atol=0)
    torch.testing.assert_close(GCE(1.0)(logits, targets), MAE()(logits, targets) / 2)


def test_sce_is_the_sum_of_its_parts():
    logits, targets = batch()
    rce = MAE()(logits, targets) / 2 * -math.log(1e-4)
    for alpha, beta in ((1, 1), (0.1, 1), (6, 0.1), (0, 1), (1, 0)):
        expected = alpha * CE()(logits, targets) + beta * rce
        torch.testing.assert_close(SCE(alpha, beta)(logits, targets), expected)


def test_mae_summed_over_all_labels_is_a_constant():
    logits, _ = batch(B=5, K=7)
    labels = range(7)
    total = sum(MAE(reduction="none")(logits, torch.full((5,), k)) for k in labels)
    torch.testing.assert_close(total, torch.full((5,), 2.0 * 6, dtype=torch.float64))


@pytest.mark.parametrize("form", ["target", "vector", "elementwise"])
def test_cll_becomes_the_squared_error_for_a_wide_kernel(form):
    logits, targets = batch()
    e = torch.nn.functional.one_hot(targets, 7) - torch.softmax(logits, dim=1)
    squared = e.gather(1, targets[:, None]).square() if form == "target" else e.square()
    sigma = 1e4
    got = 2 * sigma**2 * CLL(sigma, form, reduction="none")(logits, targets)
    torch.testing.assert_close(got, squared.sum(dim=1), rtol=1e-7, atol=1e-15)


@pytest.mark.parametrize(
    ("form", "expected"), [("target", [0, 1]), ("vector", [0, 1]), ("elementwise", [0, 2])]
)
def test_cll_counts_errors_for_a_narrow_kernel(form, expected):
    logits = torch.tensor([[50.0, 0, 0], [0, 50.0, 0]], dtype=torch.float64)
    targets = torch.tensor([0, 0])
    got = CLL(1e-3, form, reduction="none")(logits, targets)
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("form", ["target", "vector", "elementwise"])
@pytest.mark.parametrize("sigma", [1e-6, 0.1, 1.0, 7.0, 1e6])
def test_cll_normalised_costs_one_for_a_one_hot_wrong_prediction(form, sigma):
    logits = torch.full((10, 10), -1e3, dtype=torch.float64).fill_diagonal_(1e3)
    wrong = (torch.arange(10) + 1) % 10
    right = torch.arange(10)
    loss = CLL(sigma, form, normalise=True, reduction="none")
    torch.testing.assert_close(loss(logits, wrong), torch.ones(10, dtype=torch.float64))
    assert (loss(logits, right) == 0).all()


def test_cll_target_equals_half_of_elementwise_for_two_classes():
    """With K = 2 both errors are equal: a check that the forms share one scale."""
    logits, targets = batch(K=2)
    target, both = (CLL(0.5, form)(logits, targets) for form in ("target", "elementwise"))
    torch.testing.assert_close(2 * target, both)


# ------------------------------------------------------------------------------ ends of the range


def extreme(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose p_y rounds to 0, to 1, to 1/K, and lies just off 1."""
    rows = [
        [1e4, -1e4, 0.0, 3.0],
        [-1e4, 1e4, 1e4, -1e4],
        [1e4, 1e4, 1e4, 1e4],
        [-1e4, -1e4, -1e4, -1e4],
        [0.0, 0.0, 0.0, 0.0],
        [17.5, 0.0, 0.0, 0.0],
        [90.0, 0.0, 0.0, 0.0],
        [-90.0, 0.0, 0.0, 0.0],
    ]
    logits = torch.tensor([row for row in rows for _ in range(4)], dtype=dtype)
    return logits, torch.arange(4).repeat(len(rows))


SHARP = [
    *EVERY,
    *(("CLL", {"sigma": s, "form": f}) for s in (1e-6, 1e6) for f in losses.correntropy.FORMS),
    *(("CLL", {"sigma": 1e6, "form": f, "normalise": True}) for f in losses.correntropy.FORMS),
    ("GCE", {"q": 1e-6}),
]


@pytest.mark.parametrize(("name", "parameters"), SHARP, ids=names)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_at_extreme_logits(name, parameters, dtype):
    logits, targets = extreme(dtype)
    loss = LOSSES[name](**parameters, reduction="none")
    assert torch.isfinite(loss(logits, targets)).all()
    assert (loss(logits, targets) >= 0).all()
    assert torch.isfinite(gradient(loss, logits, targets)).all()


@pytest.mark.parametrize(("name", "parameters"), SHARP, ids=names)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_values_and_gradients_are_finite_under_bfloat16_autocast(name, parameters, dtype):
    logits, targets = extreme(torch.float32)
    logits = logits.to(dtype)
    loss = LOSSES[name](**parameters, reduction="none")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits, targets)
        slope = gradient(loss, logits, targets)
    assert value.dtype == torch.float32
    assert torch.isfinite(value).all()
    assert torch.isfinite(slope.float()).all()
    torch.testing.assert_close(value, loss(logits.float(), targets), rtol=0, atol=0)


@every
def test_half_precision_logits_are_computed_in_float32(name, parameters):
    logits, targets = batch()
    loss = LOSSES[name](**parameters)
    for half in (torch.bfloat16, torch.float16):
        rounded = logits.to(half)
        torch.testing.assert_close(
            loss(rounded, targets), loss(rounded.float(), targets), rtol=0, atol=0
        )


@every
def test_float32_agrees_with_float64_from_certainly_wrong_to_certainly_right(name, parameters):
    """To the rounding of log_softmax, which is absolute (6e-8) where p_y is close to 1."""
    margin = torch.linspace(-80, 80, 321)
    logits = torch.stack([margin, torch.zeros_like(margin), -margin / 2], dim=1)
    targets = torch.zeros(len(margin), dtype=torch.int64)
    loss = LOSSES[name](**parameters, reduction="none")
    torch.testing.assert_close(
        loss(logits, targets).double(), loss(logits.double(), targets), rtol=2e-6, atol=2e-6
    )
    torch.testing.assert_close(
        gradient(loss, logits, targets).double(),
        gradient(loss, logits.double(), targets),
        rtol=1e-5,
        atol=2e-6,
    )


@every
def test_nan_logits_are_not_turned_into_a_number(name, parameters):
    logits, targets = batch()
    logits[3, 2] = math.nan
    value = LOSSES[name](**parameters, reduction="none")(logits, targets)
    assert torch.isnan(value).nonzero().flatten().tolist() == [3]
    assert torch.isnan(LOSSES[name](**parameters)(logits, targets))


# --------------------------------------------------------------------------------- transformations


@few
def test_vmap_gives_each_samples_own_loss_and_gradient(name, parameters):
    logits, targets = batch()
    loss = LOSSES[name](**parameters)

    def one(z, y):
        return loss(z[None], y[None])

    per_sample = LOSSES[name](**parameters, reduction="none")
    torch.testing.assert_close(torch.func.vmap(one)(logits, targets), per_sample(logits, targets))
    torch.testing.assert_close(
        torch.func.vmap(torch.func.grad(one))(logits, targets),
        gradient(per_sample, logits, targets),
    )
    stacked = torch.func.vmap(loss)(logits.view(4, 6, 7), targets.view(4, 6))
    torch.testing.assert_close(stacked, per_sample(logits, targets).view(4, 6).mean(dim=1))


@few
def test_a_compiled_loss_is_the_same_loss(name, parameters):
    logits, targets = batch()
    loss = LOSSES[name](**parameters)
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(logits, targets), loss(logits, targets))
    torch.testing.assert_close(gradient(compiled, logits, targets), gradient(loss, logits, targets))


# ------------------------------------------------------------------------------------- properties


@st.composite
def problems(draw):
    """A loss, logits [B, K] in float64, and targets."""
    name, parameters = draw(st.sampled_from(EVERY))
    if name == "CLL":
        parameters = {**parameters, "sigma": draw(st.floats(0.05, 20))}
    if name == "GCE":
        parameters = {"q": draw(st.floats(0.01, 1))}
    B, K = draw(st.integers(1, 6)), draw(st.integers(2, 12))
    seed, spread = draw(st.integers(0, 2**31)), draw(st.sampled_from([0.1, 1.0, 10.0, 1000.0]))
    return name, parameters, *batch(B, K, spread, seed)


@quick
@given(problems(), st.randoms(use_true_random=False))
def test_losses_do_not_care_about_the_order_of_the_classes(problem, random):
    name, parameters, logits, targets = problem
    order = list(range(logits.shape[1]))
    random.shuffle(order)
    loss = LOSSES[name](**parameters, reduction="none")
    position = torch.tensor(order).argsort()
    torch.testing.assert_close(loss(logits[:, order], position[targets]), loss(logits, targets))
    torch.testing.assert_close(
        gradient(loss, logits[:, order], position[targets]),
        gradient(loss, logits, targets)[:, order],
        rtol=1e-7,
        atol=1e-9,
    )


@quick
@given(problems(), st.floats(-100, 100))
def test_losses_do_not_see_a_shift_of_all_logits(problem, shift):
    name, parameters, logits, targets = problem
    loss = LOSSES[name](**parameters, reduction="none")
    torch.testing.assert_close(
        loss(logits + shift, targets), loss(logits, targets), rtol=1e-6, atol=1e-9
    )
    per_sample = gradient(loss, logits, targets).sum(dim=1)
    torch.testing.assert_close(per_sample, torch.zeros_like(per_sample), rtol=0, atol=1e-8)


@quick
@given(problems())
def test_reductions_are_consistent(problem):
    name, parameters, logits, targets = problem
    none, total, mean = (
        LOSSES[name](**parameters, reduction=r)(logits, targets) for r in ("none", "sum", "mean")
    )
    assert none.shape == targets.shape
    torch.testing.assert_close(none.sum(), total)
    torch.testing.assert_close(total / len(targets), mean)
    torch.testing.assert_close(LOSSES[name](**parameters)(logits, targets), mean, rtol=0, atol=0)


def upper_end(name: str, parameters: dict) -> float:
    """The upper end of the documented range."""
    if name == "MAE":
        return 2.0
    if name == "GCE":
        return 1 / parameters["q"]
    if name != "CLL":
        return math.inf
    if parameters["normalise"]:
        return 1.0
    narrow = 2 * parameters["sigma"] ** 2
    return {
        "target": -math.expm1(-1 / narrow),
        "vector": -math.expm1(-2 / narrow),
        "elementwise": -2 * math.expm1(-1 / narrow),
    }[parameters["form"]]


@quick
@given(problems())
def test_values_lie_in_the_documented_range(problem):
    name, parameters, logits, targets = problem
    loss = LOSSES[name](**parameters, reduction="none")
    value, top = loss(logits, targets), upper_end(name, parameters)
    assert (value >= 0).all()
    assert (value <= top * (1 + 1e-12)).all()
    certain = torch.full_like(logits, -1e4).scatter(1, targets[:, None], 1e4)
    wrong = certain.roll(1, dims=1)
    assert (loss(certain, targets) == 0).all()
    if top < math.inf:
        torch.testing.assert_close(loss(wrong, targets), torch.full_like(value, top))
    else:
        assert (loss(wrong, targets) >= 1e4 * parameters.get("alpha", 1)).all()


@quick
@given(problems())
def test_one_sample_is_enough_and_counts_alone(problem):
    name, parameters, logits, targets = problem
    loss = LOSSES[name](**parameters, reduction="none")
    alone = torch.cat([loss(z[None], y[None]) for z, y in zip(logits, targets, strict=True)])
    torch.testing.assert_close(alone, loss(logits, targets))


# -------------------------------------------------------------------------- settings and bad input


def test_settings_are_what_the_constructor_takes_and_rebuild_the_loss():
    logits, targets = batch()
    for name, parameters in EVERY:
        loss = losses.build(name, **parameters)
        assert parameters.items() <= loss.settings().items()
        again = losses.build(name, **loss.settings())
        assert torch.equal(again(logits, targets), loss(logits, targets))
    assert losses.build("CLL", sigma=1).settings() == {
        "sigma": 1.0,
        "form": "target",
        "normalise": False,
    }
    assert repr(GCE(0.5)) == "GCE(q=0.5)"


def test_published_settings_build_and_name_their_source():
    for table in losses.PUBLISHED.values():
        for name, entry in table.items():
            losses.build(name, **entry["parameters"])
            assert entry["source"]
    assert losses.PUBLISHED["mnist"]["GCE"]["parameters"] == {"q": 0.7}
    assert losses.PUBLISHED["mnist"]["SCE"]["parameters"] == {"alpha": 1.0, "beta": 1.0}


Z, Y = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)

REFUSED_CALLS = {
    "empty batch": (Z[:0], Y[:0], r"at least one sample, got 0 and 0"),
    "unlike batch": (Z, Y[:3], r"share one batch .* got 4 and 3"),
    "logits 1-d": (Z[0], Y, r"logits must be floats of shape \[B, K\].* got \(3,\)"),
    "logits 3-d": (Z[None], Y, r"logits must be floats .* got \(1, 4, 3\)"),
    "one class": (Z[:, :1], Y, r"K >= 2, got \(4, 1\)"),
    "integer logits": (Z.long(), Y, r"logits must be floats .* torch\.int64"),
    "complex logits": (Z + 0j, Y, r"logits must be floats .* torch\.complex64"),
    "one-hot targets": (Z, torch.eye(4, 3).long(), r"targets must be int64 .* got \(4, 3\)"),
    "float targets": (Z, Y.float(), r"targets must be int64 .* torch\.float32"),
    "int32 targets": (Z, Y.int(), r"targets must be int64 .* torch\.int32"),
    "boolean targets": (Z, Y.bool(), r"targets must be int64 .* torch\.bool"),
    "scalar target": (Z, Y[0], r"targets must be int64 .* got \(\)"),
}


@pytest.mark.parametrize("case", REFUSED_CALLS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_call_refuses_wrong_shapes_and_types_by_name(name, case):
    logits, targets, message = REFUSED_CALLS[case]
    loss = losses.build(name, **({"sigma": 1.0} if name == "CLL" else {}))
    with pytest.raises(ValueError, match=message):
        loss(logits, targets)


REFUSED_PARAMETERS = {
    "sigma 0": ("CLL", {"sigma": 0}, r"sigma=0 must be a number above 0"),
    "sigma -1": ("CLL", {"sigma": -1.0}, r"sigma=-1\.0 must be"),
    "sigma nan": ("CLL", {"sigma": math.nan}, r"sigma=nan must be"),
    "sigma inf": ("CLL", {"sigma": math.inf}, r"sigma=inf must be .* at most 1e\+06"),
    "sigma tiny": ("CLL", {"sigma": 1e-9}, r"sigma=1e-09 is below 1e-6"),
    "sigma bool": ("CLL", {"sigma": True}, r"sigma=True must be"),
    "sigma text": ("CLL", {"sigma": "0.5"}, r"sigma='0\.5' must be"),
    "sigma none": ("CLL", {"sigma": None}, r"sigma=None must be"),
    "sigma missing": ("CLL", {}, r"loss CLL: .*sigma"),
    "form": ("CLL", {"sigma": 1, "form": "l2"}, r"'l2' is unknown; known: target, vector, elem"),
    "normalise": ("CLL", {"sigma": 1, "normalise": 1}, r"normalise=1 must be True or False"),
    "q 0": ("GCE", {"q": 0}, r"q=0 must be a number above 0 and at most 1"),
    "q 1.1": ("GCE", {"q": 1.1}, r"q=1\.1 must be"),
    "q bool": ("GCE", {"q": True}, r"q=True must be"),
    "alpha": ("SCE", {"alpha": -0.1}, r"alpha=-0\.1 must be"),
    "beta": ("SCE", {"beta": math.nan}, r"beta=nan must be"),
    "alpha and beta": ("SCE", {"alpha": 0, "beta": 0}, r"alpha and beta are both 0"),
    "A": ("SCE", {"A": 4.0}, r"A=-?4\.0 must be"),
    "reduction": ("CE", {"reduction": "avg"}, r"reduction='avg' is unknown; known: mean, sum, no"),
    "parameter": ("MAE", {"scale": 2}, r"loss MAE: .*'scale'"),
    "loss": ("CLLL", {}, r"loss 'CLLL' is unknown; known: CE, MAE, GCE, SCE, CLL"),
    "case": ("ce", {}, r"loss 'ce' is unknown; known: CE"),
}


@pytest.mark.parametrize("case", REFUSED_PARAMETERS)
def test_a_parameter_out_of_range_is_refused_by_name_and_value(case):
    name, parameters, message = REFUSED_PARAMETERS[case]
    with pytest.raises(ValueError, match=message):
        losses.build(name, **parameters)


@pytest.mark.parametrize(
    "parameters",
    [{"alpha": math.inf}, {"beta": math.inf}, {"A": -math.inf}, {"alpha": False}, {"beta": False}],
    ids=str,
)
def test_sce_refuses_infinite_weights_and_truth_values(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        losses.build("SCE", **parameters)


def test_sce_names_A_when_it_is_no_number():
    with pytest.raises(ValueError, match="A='x'"):
        losses.build("SCE", A="x")


def test_numbers_of_numpy_are_numbers():
    assert CLL(np.float64(0.5)).settings()["sigma"] == 0.5
    assert type(CLL(np.float64(0.5)).settings()["sigma"]) is float
