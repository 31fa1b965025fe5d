"""The closed forms equal the losses that train networks; peaks, limits and matrices are as said."""

import math

import numpy as np
import pytest
import torch

from labelnoise import noise, theory
from labelnoise.losses import (
    AEL,
    AGCE,
    AUL,
    CE,
    CLL,
    FL,
    GCE,
    MAE,
    MSE,
    NCE,
    NFL,
    RCE,
    SCE,
    CE_eps,
    GeneralisedCLL,
    Loss,
    Sum,
    TargetLoss,
    TaylorCE,
    build,
)
from labelnoise.noise import transition
from labelnoise.theory import formulas
from loss_cases import EVERY, FEW, FORMS

CLIPPED = build("CE+LogitClip")  # the one loss that is no function of p
FIRST = [build(name, **settings) for name, settings in FEW if name != CLIPPED.name]
ALL = [build(name, **settings) for name, settings in EVERY if name != CLIPPED.name]
ALL += [SCE(0.0, 1.0), CE_eps(1.0)]
TARGET_LOSSES = [loss for loss in ALL if theory.sees_only_target(loss)]
MOVING = [loss for loss in ALL if not loss.settings().get("detach")]
HELD = [loss for loss in ALL if loss.settings().get("detach")]


def shown(loss: Loss) -> str:
    return f"{loss.name}({', '.join(f'{k}={v}' for k, v in loss.settings().items())})"


every_moving_loss = pytest.mark.parametrize("loss", MOVING, ids=shown)
every_held_loss = pytest.mark.parametrize("loss", HELD, ids=shown)
every_k = pytest.mark.parametrize("K", [2, 10, 100])


def logits(K: int, samples: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    z = 3 * torch.randn(samples, K, generator=draw, dtype=torch.float64)
    return z, torch.randint(K, (samples,), generator=draw)


def frozen(loss: Loss, at: np.ndarray):
    """(p, t) -> L with the focal factor held at the softmax output ``at``."""
    if isinstance(loss, Sum):
        terms = ((loss.alpha, loss.first), (loss.beta, loss.second))
        each = [(w, frozen(part, at)) for w, part in terms]
        return lambda p, t: sum(w * f(p, t) for w, f in each)
    if isinstance(loss, RCE):
        return lambda p, t: -loss.A * (1 - (t * p).sum(-1))
    factor = (1 - at) ** loss.gamma
    if isinstance(loss, FL):
        return lambda p, t: -(t * factor * np.log(p)).sum(-1)
    assert isinstance(loss, NFL)
    return lambda p, t: (t * factor * np.log(p)).sum(-1) / (factor * np.log(p)).sum(-1)


def free(K: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A p that does not sum to 1, and its label."""
    return 0.8 * np.random.default_rng(seed).dirichlet(np.full(K, 3.0)), np.eye(K)[0]


def differences(f, x: np.ndarray, h: float) -> np.ndarray:
    """Central differences of ``f`` along the last axis of ``x``."""
    steps = h * np.eye(x.shape[-1])
    return np.stack([(f(x + d) - f(x - d)) / (2 * h) for d in steps], axis=-1)


# ---------------------------------------------------------------- slopes against their values


@every_held_loss
@every_k
def test_a_held_focal_factor_is_left_out_of_the_slope_and_only_that(loss, K):
    z, y = logits(K, samples=1, seed=1)
    p, t, z = torch.softmax(z, 1).numpy()[0], np.eye(K)[y[0]], z.numpy()[0]
    f = frozen(loss, p)
    assert f(p, t) == pytest.approx(float(theory.value(loss, p, int(y[0]))), rel=1e-12)
    held = differences(lambda z: f(np.exp(z) / np.exp(z).sum(), t), z, 1e-5)
    closed = theory.dL_dz(loss, p, int(y[0]))
    assert np.allclose(closed, held, rtol=1e-7, atol=1e-7)
    at, label = free(K)
    held = differences(lambda p: frozen(loss, at)(p, label), at, 1e-7)
    assert np.allclose(formulas.formula(loss)(at, label)[1], held, rtol=1e-6, atol=1e-6)


@every_held_loss
def test_with_a_held_factor_the_slope_is_not_that_of_the_value(loss):
    found = theory.check(loss, 10, samples=20)
    assert max(found.value, found.autograd) < 1e-11
    assert found.finite > 1e-4


@pytest.mark.parametrize("K", [2, 10])
@every_moving_loss
def test_the_slope_in_p_takes_every_p_as_free(loss, K):
    """Against differences of the formula itself, off the simplex, where softmax cannot go."""
    p, t = free(K)
    f = formulas.formula(loss)
    slopes = differences(lambda p: f(p, t)[0], p, 1e-7)
    assert np.allclose(f(p, t)[1], slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("loss", TARGET_LOSSES, ids=shown)
def test_losses_of_p_y_are_a_weighted_cross_entropy(loss):
    z, y = logits(10)
    p, y = torch.softmax(z, 1).numpy(), y.numpy()
    onehot = np.eye(10)[y]
    weight = theory.weight(loss, p[np.arange(len(y)), y])
    assert np.allclose(theory.dL_dz(loss, p, y), weight[:, None] * (p - onehot), atol=1e-12)


def test_the_losses_of_p_y_alone_are_those_that_are_given_nothing_else():
    for loss in ALL:
        of_p_y = isinstance(loss, TargetLoss) or (isinstance(loss, CLL) and loss.form == "target")
        if isinstance(loss, Sum):
            of_p_y = loss.alpha == 0 and isinstance(loss.second, TargetLoss)
        assert theory.sees_only_target(loss) == of_p_y, shown(loss)
    assert not theory.sees_only_target(CLIPPED)


def test_the_weights_are_the_published_ones():
    p = np.linspace(0.01, 0.99, 50)
    assert np.allclose(theory.weight(CE(), p), 1)
    assert np.allclose(theory.weight(MAE(), p), 2 * p)
    assert np.allclose(theory.weight(GCE(0.7), p), p**0.7)
    assert np.allclose(theory.weight(SCE(2.0, 3.0, A=-4.0), p), 2 + 12 * p)
    assert np.allclose(theory.weight(AGCE(0.6, 0.4), p), p * (0.6 + p) ** -0.6)
    assert np.allclose(theory.weight(AUL(5.5, 3.0), p), p * (5.5 - p) ** 2)
    assert np.allclose(theory.weight(AEL(2.5), p), p * np.exp(-p / 2.5) / 2.5)
    assert np.allclose(theory.weight(TaylorCE(6), p), 1 - (1 - p) ** 6)
    expected = p * (1 - p) / 0.25 * np.exp(-((1 - p) ** 2) / 0.5)
    assert np.allclose(theory.weight(CLL(0.5), p), expected)


@pytest.mark.parametrize("loss", FIRST, ids=shown)
def test_the_pull_sums_to_zero_and_dies_where_a_bounded_slope_meets_disbelief(loss):
    p = np.full((3, 10), 1e-9)
    p[:, 0] = [1e-9, 0.3, 0.9]
    p[:, 1] = 1 - p[:, 0] - 8e-9
    pull = theory.dL_dz(loss, p)
    assert np.allclose(pull.sum(axis=1), 0, atol=1e-11)
    shouts = loss.name in ("CE", "FL", "LabelSmoothing", "CE_eps+MAE", "LDR-KL")
    shouts |= isinstance(loss, SCE) and loss.alpha > 0
    assert (abs(pull[0, 0]) > 0.09) == shouts


# One of each formula: symbols stand for the numbers.
SYMBOLIC = {loss.name: loss for loss in [*FIRST, CE_eps(1.0)] if not isinstance(loss, CLL)}
SYMBOLIC |= {f"CLL {f} {n}": CLL(1.0, f, n) for f in FORMS for n in (False, True)}
SYMBOLIC |= {"SCE without CE": SCE(0.0, 1.0)}


@pytest.mark.parametrize(("name", "loss"), SYMBOLIC.items(), ids=SYMBOLIC)
def test_sympy_finds_no_difference(name, loss):
    K = 2 if "NNCE" in name or name == "ANL-CE" else 3  # every clamped class doubles the pieces
    rest = theory.symbolic_rest(loss, K)
    assert len(rest) == K + K**2 + K
    assert set(rest) == {0}


def test_sympy_finds_of_a_held_factor_just_its_slope():
    sympy = pytest.importorskip("sympy")
    p, gamma = sympy.symbols("p_1:4", positive=True), sympy.Symbol("gamma", positive=True)
    slopes = [gamma * (1 - v) ** (gamma - 1) * sympy.log(v) for v in p]  # factor' times -log
    costs = [-((1 - v) ** gamma) * sympy.log(v) for v in p]
    expected = {
        FL(0.5, detach=True): [-slopes[0], 0, 0],
        NFL(0.5, detach=True): [
            (costs[0] / sum(costs) - int(k == 0)) * slope / sum(costs)
            for k, slope in enumerate(slopes)
        ],
    }
    for loss, left in expected.items():
        rest = theory.symbolic_rest(loss, 3)
        assert set(rest[3:]) == {0}
        assert [sympy.simplify(a - b) for a, b in zip(rest, left, strict=False)] == [0, 0, 0]
        assert rest[0] != 0


@pytest.mark.parametrize(
    "loss",
    [
        Sum(NCE(), MAE(), 0.3, 2.0),
        Sum(NCE(), GeneralisedCLL(1.5, 2.0), 0.1, 5.0),  # two alphas and two betas
        Sum(SCE(0.1, 2.0), GCE(0.7), 0.5, 0.0),
        Sum(Sum(NCE(), AEL(2.5), 3.0, 0.5), MSE(), 0.5, 4.0),
    ],
    ids=shown,
)
def test_a_sum_is_its_weighted_parts(loss):
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=20)
    for of in (theory.value, theory.dL_dp, theory.dL_dz):
        expected = loss.alpha * of(loss.first, p, 2) + loss.beta * of(loss.second, p, 2)
        assert np.allclose(of(loss, p, 2), expected, rtol=1e-13)
    found = theory.check(loss, 5, samples=20)
    assert max(found.value, found.autograd) < 1e-11
    assert set(theory.symbolic_rest(loss)) == {0}


def test_a_sum_of_losses_of_p_y_has_the_sum_of_their_weights():
    p = np.linspace(0.01, 1, 50)
    both = theory.weight(Sum(CE(), CLL(0.5), 0.2, 3.0), p)
    assert np.allclose(both, 0.2 + 3 * theory.weight(CLL(0.5), p))
    assert np.allclose(theory.weight(Sum(NCE(), AEL(2.5), 0.0, 3.0), p),
                       3 * theory.weight(AEL(2.5), p))  # fmt: skip


def test_the_slope_is_finite_at_certainty():
    for loss in TARGET_LOSSES:
        if not isinstance(loss, GeneralisedCLL):  # infinite for alpha < 1
            assert np.isfinite(theory.weight(loss, 1.0)), loss
    assert [theory.weight(FL(gamma), 1.0) for gamma in (0.0, 0.5, 1.0, 2.0)] == [1, 0, 0, 0]


@pytest.mark.parametrize("K", [2, 4])
def test_of_equally_probable_classes_the_first_is_on_top_as_in_the_code(K):
    z, y = torch.zeros(K, K, dtype=torch.float64), torch.arange(K)
    expected = CE_eps(10.0).per_sample(z, y).numpy()
    assert len(set(expected)) == 2
    assert np.allclose(theory.value(CE_eps(10.0), np.full((K, K), 1 / K), y.numpy()), expected)


def test_the_checks_can_fail(monkeypatch):
    monkeypatch.setitem(formulas.OF_TARGET, "MAE", lambda p_y: (2 * (1 - p_y), -2.001 + 0 * p_y))
    assert set(theory.symbolic_rest(MAE())) != {0}
    found = theory.check(MAE(), 10, samples=20)
    assert found.value < 1e-13
    assert found.autograd > 1e-5
    assert found.finite > 1e-5
    monkeypatch.setitem(formulas.OF_TARGET, "MAE", lambda p_y: (2.001 * (1 - p_y), -2 + 0 * p_y))
    assert theory.check(MAE(), 10, samples=20).value > 1e-5


@pytest.mark.parametrize("loss", FIRST, ids=shown)
def test_check_finds_only_rounding(loss):
    found = theory.check(loss, 10, samples=50)
    size = max(1, loss.settings().get("beta", 1))
    assert max(found.value, found.autograd) < 1e-12 * size
    assert found.finite < 1e-7 * size


# ------------------------------------------------------------------------------ peaks and start


@pytest.mark.parametrize(("sigma", "p_y"), [(0.3, 0.64), (0.5, 0.50), (1.0, 0.38)])
def test_the_pull_peaks_where_it_was_published(sigma, p_y):
    assert round(theory.steepest_in_z(sigma), 2) == p_y


def test_two_peaks_are_exact():
    sympy = pytest.importorskip("sympy")
    u = sympy.Symbol("u", positive=True)
    for sigma, root in ((sympy.Rational(1, 2), sympy.Rational(1, 2)), (1, (sympy.sqrt(5) - 1) / 2)):
        pull = (1 - u) * u**2 / sigma**2 * sympy.exp(-(u**2) / (2 * sigma**2))
        assert sympy.simplify(sympy.diff(pull, u).subs(u, root)) == 0
        assert theory.steepest_in_z(float(sigma)) == pytest.approx(float(1 - root), abs=1e-12)


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 30.0])
def test_peaks_are_those_of_the_curves(sigma):
    p_y = np.linspace(0, 1, 200001)
    u = 1 - p_y
    slope = u / sigma**2 * np.exp(-(u**2) / (2 * sigma**2))
    assert theory.steepest_in_p(sigma) == pytest.approx(p_y[slope.argmax()], abs=1e-5)
    assert theory.steepest_in_z(sigma) == pytest.approx(p_y[(slope * p_y * u).argmax()], abs=1e-5)


def test_peaks_have_the_limits_of_a_narrow_and_a_wide_kernel():
    assert 1 - theory.steepest_in_z(1e-3) == pytest.approx(math.sqrt(2) * 1e-3, rel=1e-2)
    assert theory.steepest_in_z(1e3) == pytest.approx(1 / 3, abs=1e-6)


@pytest.mark.parametrize("K", [2, 10, 100])
def test_the_pull_at_the_start_is_the_formula_at_one_kth(K):
    for sigma in (0.3, 0.5, 1.0):
        pull, share = theory.pull_at_start(CLL(sigma), K)
        u = 1 - 1 / K
        expected = u**2 / K / sigma**2 * math.exp(-(u**2) / (2 * sigma**2))
        v = 1 - theory.steepest_in_z(sigma)
        largest = (1 - v) * v**2 / sigma**2 * math.exp(-(v**2) / (2 * sigma**2))
        assert pull == pytest.approx(expected, rel=1e-12)
        assert share == pytest.approx(expected / largest, rel=1e-6)
    assert theory.pull_at_start(CE(), K) == pytest.approx((1 - 1 / K, 1 - 1 / K), rel=1e-5)


def test_a_small_bandwidth_stalls_the_start_but_not_elementwise():
    shares = [theory.pull_at_start(CLL(sigma), 10)[1] for sigma in (0.1, 0.3, 0.5, 1.0)]
    assert shares[0] < 1e-15
    assert shares[1:] == pytest.approx([0.022, 0.211, 0.448], abs=1e-3)
    assert theory.pull_at_start(CLL(0.1, form="elementwise"), 10)[1] > 0.4


# --------------------------------------------------------------------- forms, limits, neighbours


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_a_firm_other_opinion_reduces_the_forms_to_target(sigma):
    p = theory.simplex(np.linspace(0, 1, 41), 10, "one")
    target = theory.dL_dz(CLL(sigma), p)[:, 0]
    narrower = theory.dL_dz(CLL(sigma / math.sqrt(2)), p)[:, 0]
    assert np.allclose(theory.dL_dz(CLL(sigma, form="vector"), p)[:, 0], narrower, atol=1e-14)
    assert np.allclose(theory.dL_dz(CLL(sigma, form="elementwise"), p)[:, 0], 2 * target)


def test_a_wide_kernel_gives_the_squared_error():
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=50)
    e = np.eye(5)[2] - p
    squared = {"target": e[:, 2] ** 2, "vector": (e**2).sum(1), "elementwise": (e**2).sum(1)}
    for form, goal in squared.items():
        gaps = []
        for sigma in (4.0, 8.0, 1e5):
            scaled = 2 * sigma**2 * theory.value(CLL(sigma, form=form), p, 2)
            gaps.append(np.abs(scaled - goal).max())
        assert gaps[0] > 1e-3, "the limit is not reached at once"
        assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.05)
        assert gaps[2] < 1e-9


def test_a_narrow_kernel_counts_errors():
    p = theory.simplex(np.array([0.0, 0.5, 0.99, 1.0]), 4)
    assert np.allclose(theory.value(CLL(1e-3), p), [1, 1, 1, 0])
    assert np.allclose(theory.value(CLL(1e-3, form="vector"), p), [1, 1, 1, 0])


@pytest.mark.parametrize("form", FORMS)
def test_normalised_a_one_hot_wrong_answer_costs_one(form):
    wrong = theory.simplex(0.0, 10, "one")
    for sigma in (0.1, 1.0, 10.0):
        assert theory.value(CLL(sigma, form=form, normalise=True), wrong) == pytest.approx(1)
        assert theory.value(CLL(sigma, form=form), wrong) == pytest.approx(
            float(formulas.one_hot_wrong(form, sigma))
        )


def test_no_bandwidth_gives_mae():
    gaps = {sigma: theory.mae_gap(sigma) for sigma in np.geomspace(0.005, 200, 60)}
    assert min(gaps.values()) > 0.088
    assert 0.35 < min(gaps, key=gaps.get) < 0.45
    assert theory.mae_gap(200.0) == pytest.approx(0.25, abs=1e-3), "the squared error's"
    assert theory.mae_gap(0.001) == pytest.approx(0.5, abs=5e-3), "counting's"


# -------------------------------------------------------------------------- at rest under noise


def test_cross_entropy_rests_at_the_noise_itself_and_still_pulls():
    rest = theory.at_rest(CE(), 10, 0.6)
    right = math.sqrt(0.6**2 + 9 * (0.6 / 9) ** 2)
    wrong = math.sqrt(0.4**2 + (1 - 0.6 / 9) ** 2 + 8 * (0.6 / 9) ** 2)
    assert rest.belief == pytest.approx(0.4, abs=1e-4)
    assert (rest.right, rest.wrong) == pytest.approx((right, wrong), abs=1e-3)
    assert rest.mean == pytest.approx(0.4 * right + 0.6 * wrong, abs=1e-3)
    assert rest.share == pytest.approx(71.0, abs=0.05)


def test_the_brier_score_is_honest_too_and_the_target_form_is_not():
    assert theory.at_rest(CLL(1e3, form="vector"), 10, 0.6).belief == pytest.approx(0.4, abs=1e-3)
    assert theory.at_rest(CLL(1e3), 10, 0.6).belief > 0.8
    cll = theory.at_rest(CLL(1.0), 10, 0.6)
    assert cll.belief == pytest.approx(0.898, abs=2e-3)
    assert cll.mean < 0.02 * theory.at_rest(CE(), 10, 0.6).mean


def test_mae_rests_at_certainty_without_any_pull():
    rest = theory.at_rest(MAE(), 10, 0.6)
    assert rest.belief > 0.9999
    assert rest.mean < 1e-4
    assert rest.share is None


# ------------------------------------------------------------------------- transition matrices


def test_realised_rates_of_both_conventions():
    assert transition.realised_rate(noise.symmetric(10, 0.6)) == pytest.approx(0.6)
    for K in (2, 10, 100):
        T = noise.symmetric(K, 0.6, keep_true=True)
        assert transition.realised_rate(T) == pytest.approx(0.6 * (K - 1) / K)
    T = noise.asymmetric("mnist", 0.4)
    assert transition.realised_rate(T) == pytest.approx(0.2)
    only_sevens = np.eye(10)[7]
    assert transition.realised_rate(T, only_sevens) == pytest.approx(0.4)


def test_the_closest_rows_are_those_that_are_hardest_to_tell_apart():
    assert transition.closest_rows(np.eye(3)) == (0, 1, 1.0)
    assert transition.closest_rows(noise.asymmetric("mnist", 0.4)) == (5, 6, pytest.approx(0.2))
    assert transition.closest_rows(noise.asymmetric("mnist", 0.5)) == (5, 6, 0.0)  # singular
    assert transition.closest_rows(noise.symmetric(10, 0.9))[2] == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="sum"):
        transition.closest_rows(np.ones((3, 3)))


def test_confusion_ratios_are_the_published_ones():
    ratios = [
        transition.confusion_ratio(noise.symmetric(10, r))[0] for r in (0.2, 0.4, 0.6, 0.8, 0.9)
    ]
    assert ratios == pytest.approx([0.028, 0.074, 0.167, 0.444, 1.0], abs=5e-4)
    ratios = [transition.confusion_ratio(noise.asymmetric("mnist", r)).max() for r in (0.1, 0.4)]
    assert ratios == pytest.approx([0.111, 0.667], abs=5e-4)
    assert transition.confusion_ratio(noise.symmetric(3, 1.0)).tolist() == [math.inf] * 3
    assert transition.confusion_ratio(np.eye(3)).tolist() == [0, 0, 0]
    rows = np.array([[0.6, 0.4, 0], [0, 1, 0], [0.1, 0.3, 0.6]])
    assert transition.confusion_ratio(rows) == pytest.approx([2 / 3, 0, 1 / 2])


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """The class sizes of MNIST's training set."""
    sizes = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    return np.repeat(np.arange(10), sizes)


def test_deviations_are_binomial_standard_scores():
    true, noisy = np.array([0] * 100 + [1] * 50), np.array([0] * 70 + [1] * 30 + [1] * 50)
    T = np.array([[0.8, 0.2], [0.0, 1.0]])
    z = transition.deviations(true, noisy, T)
    assert z[0] == pytest.approx([-2.5, 2.5])
    assert np.isnan(z[1]).all()


@pytest.mark.parametrize("kind", ["symmetric", "keep_true", "asymmetric", "pairflip"])
def test_fair_draws_pass_and_other_matrices_fail(labels, kind):
    T = {
        "symmetric": noise.symmetric(10, 0.6),
        "keep_true": noise.symmetric(10, 0.6, keep_true=True),
        "asymmetric": noise.asymmetric("mnist", 0.4),
        "pairflip": noise.pairflip(10, 0.45),
    }[kind]
    noisy, _ = noise.corrupt(labels, T, seed=0)
    z = transition.deviations(labels, noisy, T)
    assert np.nanmax(abs(z)) < 4
    _, dof, p = transition.chi_square(labels, noisy, T)
    assert dof == int((T > 0).sum() - 10)
    assert 1e-3 < p < 1 - 1e-3
    slightly = 0.97 * T + 0.03 * np.eye(10)
    assert transition.chi_square(labels, noisy, slightly)[2] < 1e-3


def test_the_p_value_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    true, noisy = (
        np.array([0] * 100 + [1] * 50),
        np.array([0] * 70 + [1] * 30 + [0] * 20 + [1] * 30),
    )
    statistic, dof, p = transition.chi_square(true, noisy, np.array([[0.75, 0.25], [0.3, 0.7]]))
    seen, expected = np.array([70, 30, 20, 30]), np.array([75, 25, 15, 35])
    assert statistic == pytest.approx(((seen - expected) ** 2 / expected).sum())
    assert dof == 2
    assert p == pytest.approx(stats.chi2.sf(statistic, 2))


def test_a_forbidden_flip_is_infinitely_unlikely():
    statistic, _, p = transition.chi_square(np.array([0, 1]), np.array([1, 1]), np.eye(2))
    assert (statistic, p) == (math.inf, 0.0)


def test_no_freedom_is_no_evidence():
    assert transition.chi_square(np.array([0, 1]), np.array([0, 1]), np.eye(2)) == (0.0, 0, 1.0)


# ----------------------------------------------------------------------------------- bad input


class Unknown(Loss):
    def per_sample(self, logits, targets):
        return logits[:, 0]


P = np.full(4, 0.25)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: theory.value(CE(), [0.5, 0.6]), "sum to 1"),
        (lambda: theory.value(CE(), [-0.5, 1.5]), r"p must lie in \[0, 1\]"),
        (lambda: theory.value(CE(), [np.nan, 1.0]), r"p must lie in \[0, 1\]"),
        (lambda: theory.value(CE(), 0.5), "K >= 2"),
        (lambda: theory.value(CE(), P, 4), r"y must lie in 0..3"),
        (lambda: theory.value(CE(), P, 0.0), "y must be an integer"),
        (lambda: theory.value(CE(), [P, P], [0]), r"shape \(2,\)"),
        (lambda: theory.dL_dz(Unknown(), P), "Unknown has no closed form over p here; known: CE, "),
        (lambda: theory.value(CLIPPED, P), r"CE\+LogitClip has no closed form over p here"),
        (lambda: theory.weight(CLIPPED, 0.5), r"CE\+LogitClip has no closed form over p here"),
        (lambda: theory.dL_dz(Sum(MAE(), CLIPPED), P), r"CE\+LogitClip has no closed form"),
        (lambda: theory.weight(Sum(NCE(), MAE()), 0.5), r"NCE\+MAE sees all of p"),
        (lambda: theory.weight(MSE(), 0.5), "MSE sees all of p: it has no weight of p_y alone"),
        (lambda: theory.weight(CLL(1.0, form="vector"), 0.5), "no weight of p_y alone"),
        (lambda: theory.weight(CE(), 1.5), r"p_y must lie in \[0, 1\]"),
        (lambda: theory.simplex(0.5, 1), "num_classes=1"),
        (lambda: theory.simplex(0.5, 10, "some"), "uniform, one"),
        (lambda: theory.steepest_in_p(0.0), "sigma=0.0"),
        (lambda: theory.steepest_in_z(-1.0), "sigma=-1.0"),
        (lambda: theory.mae_gap(0.0), "sigma=0.0"),
        (lambda: theory.at_rest(CE(), 10, 1.5), "rate=1.5"),
        (lambda: theory.check(CE(), 1), "num_classes=1"),
        (lambda: transition.realised_rate(np.eye(3), [1, 2]), "counts must be 3 class sizes"),
        (lambda: transition.confusion_ratio(np.ones((2, 2))), "row-stochastic"),
        (lambda: transition.deviations(np.array([5]), np.array([0]), np.eye(2)), r"0..1"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
