"""Every loss at the ends of the number range, under torch's transformations, and what is true of it
for any number of classes and samples, any logits and any parameters."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labelnoise import losses
from labelnoise.losses import LOSSES
from loss_cases import EVERY, FEW, SETTINGS, batch, every, few, gradient, names, of

quick = settings(deadline=None, derandomize=True, database=None, max_examples=40)
many = settings(quick, max_examples=200)
close = torch.testing.assert_close

# ---------------------------------------------------------------------------- documented ranges


def ends(name: str, parameters: dict, K: int) -> tuple[float, float]:
    """The documented range of a loss, with every parameter spelled out, for K classes."""
    g = parameters.get
    if name in SUMS:
        parts = [ends(part, parameters, K) for part in SUMS[name]]
        weighted = [[w * e if w else 0.0 for e in part]
                    for w, part in zip((g("alpha"), g("beta")), parts, strict=True)]  # fmt: skip
        return tuple(map(sum, zip(*weighted, strict=True)))
    if name == "CLL":
        c = -math.expm1(-(2 if g("form") == "vector" else 1) / (2 * g("sigma") ** 2))
        spread = K if several_errors(parameters) else 2
        top, worst = {"elementwise": (spread * c, 2 * c)}.get(g("form"), (c, c))
        return 0, top / worst if g("normalise") else top
    if name == "GJS":
        pi, rest = g("pi"), 1 - g("pi")
        return 0, (pi * math.log(pi) + rest * math.log(rest)) / (rest * math.log(rest))
    if name == "CE+LogitClip":
        tau = max(g("tau"), 1 / g("tau")) if g("released") else g("tau")
        reach = math.log(K - 1) + tau * math.sqrt(2)
        return 0, max(reach, 0) + math.log1p(math.exp(-abs(reach)))
    return {
        "MAE": lambda: (0, 2),
        "MSE": lambda: (0, 2),
        "RCE": lambda: (0, -g("A")),
        "GCE": lambda: (0, 1 / g("q")),
        "TaylorCE": lambda: (0, sum(1 / i for i in range(1, g("order") + 1))),
        "PHuberCE": lambda: (0, math.log(g("tau")) + 1),
        "ClippedCE": lambda: (0, g("bound")),
        "LabelSmoothing": lambda: (0 if g("epsilon") >= 0 else -math.inf, math.inf),
        "LDR-KL": lambda: (-g("lam") * math.log(K), math.inf),
        "NCE": lambda: (0, 1),
        "NFL": lambda: (0, 1),
        "NNCE": lambda: (0, 1),
        "NGCE": lambda: (0, 1 / (K - (K - 1) ** (1 - g("q")))),
        "AGCE": lambda: (0, ((g("a") + 1) ** g("q") - g("a") ** g("q")) / g("q")),
        "AUL": lambda: (0, (g("a") ** g("q") - (g("a") - 1) ** g("q")) / g("q")),
        "AEL": lambda: (math.exp(-1 / g("a")), 1),
        "GeneralisedCLL": lambda: (
            0,
            1.0
            if -g("alpha") * math.log(g("beta")) > 9
            else -math.expm1(-(g("beta") ** -g("alpha"))),
        ),
        "MixtureCLL": lambda: (0, 1),
    }.get(name, lambda: (0, math.inf))()


def several_errors(parameters: dict) -> bool:
    """Whether a prediction spread over many wrong classes can cost more than a one-hot one."""
    return parameters.get("form") == "elementwise" and parameters["sigma"] < 0.64


SUMS = {name: name.split("+") for name in LOSSES if "+" in name and name != "CE+LogitClip"}
SUMS["ANL-CE"] = ["NCE", "NNCE"]


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


SHARP = [
    *EVERY,
    *(("CLL", {"sigma": s, "form": f}) for s in (1e-6, 1e6) for f in losses.correntropy.FORMS),
    *(("CLL", {"sigma": 1e6, "form": f, "normalise": True}) for f in losses.correntropy.FORMS),
    *(("GeneralisedCLL", {"alpha": a, "beta": b})
      for a in (1e-3, 0.5, 10.0, 100.0) for b in (1e-6, 0.3, 1e6)),
    ("MixtureCLL", {"sigmas": [1e-6, 1e6], "weights": [0.5, 0.5]}),
    *((name, {"q": 1e-6}) for name in ("GCE", "NGCE")),
    *((name, {"gamma": g, "detach": d})
      for name in ("FL", "NFL") for g in (1e-3, 100.0) for d in (False, True)),
    *(("AGCE", {"a": a, "q": q}) for a, q in ((2e-6, 0.2), (2e-6, 5.0), (1e3, 0.1), (1e3, 10.0))),
    *(("AUL", {"a": a, "q": q}) for a, q in ((1 + 1e-9, 0.1), (1.001, 10.0), (1.5, 70.0),
                                             (1e3, 0.1), (1e3, 10.0))),
    *(("AEL", {"a": a}) for a in (1e-6, 1e6)),
    *(("GJS", {"pi": pi}) for pi in (1e-3, 1 - 1e-9)),
    *(("LDR-KL", {"lam": lam}) for lam in (1e-3, 1e3)),
    *(("PHuberCE", {"tau": tau}) for tau in (1.0001, 1e6)),
    *(("CE+LogitClip", {"tau": t, "released": r}) for t in (1e-6, 1e6) for r in (False, True)),
    ("CE_eps+MAE", {"m": 1e30}),
    ("TaylorCE", {"order": 100}),
    ("ClippedCE", {"bound": 1e-6}),
    ("LabelSmoothing", {"epsilon": -5.0}),
    ("NNCE", {"p_min": 1e-30}),
]  # fmt: skip
sharp = pytest.mark.parametrize(("name", "parameters"), SHARP, ids=names)


@sharp
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_at_extreme_logits(name, parameters, dtype):
    logits, targets = extreme(dtype)
    loss = of(name, **parameters)
    value = loss(logits, targets)
    assert value.dtype == dtype
    assert torch.isfinite(value).all()
    assert torch.isfinite(gradient(loss, logits, targets)).all()
    low, top = ends(name, loss.settings(), K=4)
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


# One of each way of computing: what is left out is a sum of these, or the same with other numbers.
COMPILED = ("CE", "GCE", "TaylorCE", "PHuberCE", "ClippedCE", "LabelSmoothing", "CE+LogitClip",
            "LDR-KL", "SCE", "NNCE", "ANL-CE", "AGCE", "AUL", "AEL", "GJS", "CE_eps+MAE", "MSE",
            "CLL", "GeneralisedCLL", "MixtureCLL")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        *((name, parameters) for name, parameters in FEW if name in COMPILED),
        ("FL", {"detach": True}),
        ("NFL+RCE", {"detach": True}),
    ],
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

WEIGHTS = {"alpha": st.floats(0.1, 10), "beta": st.floats(0.1, 100)}
A = {"A": st.floats(-10, -0.1)}
FOCAL = {"gamma": st.floats(0, 5), "detach": st.booleans()}
P_MIN = {"p_min": st.floats(1e-9, 0.05)}  # below 1/K for every K that is drawn
AGCE = {"a": st.floats(0.01, 10), "q": st.floats(0.05, 4)}
AUL = {"a": st.floats(1.05, 10), "q": st.floats(0.05, 4)}
AEL = {"a": st.floats(0.1, 10)}
DRAWN: dict[str, dict] = {
    "CE": {},
    "FL": FOCAL,
    "GCE": {"q": st.floats(0.01, 1)},
    "TaylorCE": {"order": st.integers(1, 30)},
    "PHuberCE": {"tau": st.floats(1.01, 100)},
    "ClippedCE": {"bound": st.floats(0.1, 50)},
    "LabelSmoothing": {"epsilon": st.floats(-1, 0.99)},
    "CE+LogitClip": {"tau": st.floats(0.1, 10), "released": st.booleans()},
    "LDR-KL": {"lam": st.floats(0.1, 20)},
    "MAE": {},
    "RCE": A,
    "SCE": {**WEIGHTS, **A},
    "NCE": {},
    "NFL": FOCAL,
    "NGCE": {"q": st.floats(0.01, 1)},
    "NNCE": P_MIN,
    "NCE+MAE": WEIGHTS,
    "NCE+RCE": {**WEIGHTS, **A},
    "NFL+RCE": {**WEIGHTS, **A, **FOCAL},
    "ANL-CE": {**WEIGHTS, **P_MIN},
    "AGCE": AGCE,
    "AUL": AUL,
    "AEL": AEL,
    "NCE+AGCE": {**WEIGHTS, **AGCE},
    "NCE+AUL": {**WEIGHTS, **AUL},
    "NCE+AEL": {**WEIGHTS, **AEL},
    "GJS": {"pi": st.floats(0.01, 0.99)},
    "CE_eps+MAE": {**WEIGHTS, "m": st.floats(0, 1e6)},
    "MSE": {},
    "CLL": {
        "sigma": st.floats(0.05, 20),
        "form": st.sampled_from(losses.correntropy.FORMS),
        "normalise": st.booleans(),
    },
    "GeneralisedCLL": {"alpha": st.floats(0.2, 10), "beta": st.floats(0.05, 20)},
    "MixtureCLL": {
        "sigmas": st.lists(st.floats(0.05, 20), min_size=4, max_size=4),
        "weights": st.permutations([0.1, 0.2, 0.3, 0.4]),
    },
}


@st.composite
def problems(draw, among: tuple[str, ...] = tuple(DRAWN)):
    """A loss, logits [B, K] in float64, and targets."""
    name = draw(st.sampled_from(among))
    parameters = draw(st.fixed_dictionaries(DRAWN[name]))
    B, K = draw(st.integers(1, 6)), draw(st.integers(2, 12))
    seed, spread = draw(st.integers(0, 2**31)), draw(st.sampled_from([0.1, 1.0, 10.0, 1000.0]))
    return name, parameters, *batch(B, K, spread, seed)


def test_every_loss_and_parameter_is_drawn():
    built = {name: LOSSES[name](**SETTINGS[name][0]).settings() for name in LOSSES}
    assert {name: set(each) for name, each in DRAWN.items()} == {
        name: set(each) for name, each in built.items()
    }


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
@given(problems(tuple(sorted(set(DRAWN) - {"CE+LogitClip"}))), st.floats(-100, 100))
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
    low, top = ends(name, loss.settings(), K)
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
    if name == "MixtureCLL" or several_errors(parameters):  # bounds that are not reached
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


@pytest.mark.parametrize("form", losses.correntropy.FORMS)
@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.64, 1.0])
def test_only_elementwise_cll_with_a_narrow_kernel_counts_one_wrong_prediction_several_times(
    sigma, form
):
    """A prediction spread evenly over n of the 9 wrong classes, beside a one-hot wrong one."""
    logits = torch.full((9, 10), -1e4, dtype=torch.float64)
    for n in range(1, 10):
        logits[n - 1, 1 : n + 1] = 1e4
    value = of("CLL", sigma=sigma, form=form)(logits, torch.zeros(9, dtype=torch.int64))
    exceeds = (value > value[0] * (1 + 1e-12)).any()
    assert exceeds == (form == "elementwise" and sigma < 0.64)
    assert (value <= ends("CLL", {"sigma": sigma, "form": form}, K=10)[1] * (1 + 1e-12)).all()
