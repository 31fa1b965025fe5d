"""What a loss promises under label noise is kept: ratios, class sums, bounds and calibration, held
against closed forms, brute force and random search."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from labelnoise import noise, theory
from labelnoise.losses import (
    AEL,
    AGCE,
    AUL,
    CE,
    CLL,
    FL,
    GCE,
    GJS,
    MAE,
    MSE,
    NCE,
    NFL,
    NGCE,
    NNCE,
    RCE,
    SCE,
    ClippedCE,
    GeneralisedCLL,
    LogitClip,
    Loss,
    MixtureCLL,
    PHuberCE,
    Sum,
    TaylorCE,
)
from labelnoise.theory import asymmetry_ratio, class_sum, class_sum_range, formulas

SIGMAS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5, 3.0)
MIXTURE = MixtureCLL([0.3, 1.0], [0.5, 0.5])
TWO_PEAKS = MixtureCLL([0.1, 1.0], [0.1, 0.9])
BOUNDED = [
    *(CLL(sigma) for sigma in SIGMAS), MIXTURE, GCE(0.7), GCE(0.2), GCE(1.0), TaylorCE(1),
    TaylorCE(2), TaylorCE(6), AGCE(4.0, 0.2), AGCE(0.6, 0.6), AGCE(6.0, 1.5), AUL(3.0, 0.1),
    AUL(5.5, 3.0), AUL(1.1, 0.5), AEL(3.5), AEL(0.3), PHuberCE(10.0), PHuberCE(2.0),
    GeneralisedCLL(0.5, 0.3), GeneralisedCLL(1.0, 1.0), GeneralisedCLL(1.5, 0.7),
    GeneralisedCLL(4.0, 0.5), GJS(0.1), GJS(0.5), GJS(0.9), ClippedCE(), ClippedCE(1.0),
    ClippedCE(12.0), MAE(), RCE(), SCE(0.0, 1.0),
]  # fmt: skip
UNBOUNDED = [CE(), FL(0.5), FL(2.0), FL(0.5, detach=True), SCE(), SCE(0.1, 2.0, A=-4.0)]
OF_P_Y = BOUNDED + UNBOUNDED
# Losses with a ratio above 0 that is no limit of a limit: what the theorem speaks of.
TOLERANT = [
    AGCE(4.0, 0.2), AGCE(0.6, 0.6), AGCE(6.0, 1.5), AUL(3.0, 0.1), AUL(5.5, 3.0), AUL(1.5, 1.5),
    AEL(3.5), AEL(0.7), TaylorCE(3), PHuberCE(2.0), ClippedCE(1.0), ClippedCE(), MAE(),
    GeneralisedCLL(0.5, 0.3), GeneralisedCLL(1.0, 0.6),
]  # fmt: skip

shares = st.floats(0, 1)
few = settings(max_examples=60, deadline=None)


def ids(losses: list[Loss]) -> dict:
    return {"argvalues": losses, "ids": [repr(loss).replace("\n", "") for loss in losses]}


def cost(loss: Loss, p) -> np.ndarray:
    """L(p_y), which is infinite at p_y = 0 for some."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(formulas.target_formula(loss)(np.asarray(p, dtype=float))[0])


def grid_ratio(loss: Loss, steps: int, margin: float = 0.0) -> float:
    """The least (l(p) - l(p + d)) / (l(0) - l(d)) over a grid of all p and d: brute force."""
    values = cost(loss, (1 - margin) * np.linspace(0, 1, steps + 1))
    least = math.inf
    for d in range(1, steps + 1):
        if math.isinf(falls := values[0] - values[d]):
            return 0.0  # an infinite l(0) next to a finite fall
        if falls > 1e-10 * values[0]:  # less is rounding
            least = min(least, ((values[:-d] - values[d:]) / falls).min())
    return least


# ------------------------------------------------------------------------------ asymmetry ratio


@pytest.mark.parametrize(
    ("loss", "ratio"),
    [
        (AGCE(4.0, 0.2), 0.837),
        (AUL(3.0, 0.1), 1.0),
        (AEL(3.5), 0.751),
        (AGCE(0.6, 0.6), 0.675),
        (AUL(5.5, 3.0), 0.669),
        (AEL(2.5), 0.670),
    ],
    ids=repr,
)
def test_the_largest_tolerable_noise_is_the_published_one(loss, ratio):
    assert round(asymmetry_ratio(loss), 3) == ratio


@few
@given(st.floats(0.02, 50), st.floats(0.05, 4), st.floats(0, 0.95))
def test_the_ratios_of_alfs_are_their_closed_conditions(x, q, margin):
    """Of AGCE and AUL in their a and q; of AEL at every margin."""
    agce, aul = AGCE(0.05 + x, q), AUL(1.02 + x, q)
    below_one = 1 if q >= 1 else (agce.a / (agce.a + 1)) ** (1 - q)
    assert asymmetry_ratio(agce) == pytest.approx(below_one, rel=1e-6)
    above_one = 1 if q <= 1 else ((aul.a - 1) / aul.a) ** (q - 1)
    assert asymmetry_ratio(aul) == pytest.approx(above_one, rel=1e-6)
    assert asymmetry_ratio(AEL(x), margin) == pytest.approx(math.exp((margin - 1) / x), rel=1e-6)


LINEAR = [MAE(), RCE(), RCE(-4.0), SCE(0.0, 2.0), GCE(1.0)]
ANY_SIGMA = (1e-6, 1e-3, 0.01, 0.02, 0.03, *SIGMAS, 10.0, 1e3, 1e6)
NOTHING = [  # an infinite slope at p_y = 0, or one that fades as p_y -> 1
    CE(), FL(0.5), FL(2.0), FL(0.5, detach=True), GCE(0.7), GCE(0.05), SCE(), SCE(0.01, 1.0),
    GJS(0.5), GJS(0.01), GJS(0.99), MIXTURE, TWO_PEAKS, Sum(CE(), MAE(), 0.1, 5.0),
    *(CLL(sigma) for sigma in ANY_SIGMA), *(CLL(sigma, normalise=True) for sigma in ANY_SIGMA),
    *(MixtureCLL([sigma, 0.5], [0.5, 0.5]) for sigma in ANY_SIGMA),
    *(GeneralisedCLL(alpha, beta) for beta in (0.01, 1.0, 10.0) for alpha in (1.01, 2.0, 10.0)),
]  # fmt: skip


def test_a_linear_loss_tolerates_every_dominated_noise_and_many_tolerate_nothing():
    """Also where the slope of CLL at p_y = 0, exp(-1 / 2 sigma^2), rounds to 0."""
    assert {asymmetry_ratio(loss, margin) for loss in LINEAR for margin in (0.0, 0.1, 0.9)} == {1}
    assert [loss for loss in NOTHING if asymmetry_ratio(loss) != 0] == []


def test_a_convex_loss_has_the_ratio_of_its_end_slopes():
    for tau in (1.5, 2.0, 10.0, 1e3):
        assert asymmetry_ratio(PHuberCE(tau)) == pytest.approx(1 / tau)
    for order in (1, 2, 6, 50):
        assert asymmetry_ratio(TaylorCE(order)) == pytest.approx(1 / order)
    for alpha in (0.2, 0.9, 1.0):
        assert {asymmetry_ratio(GeneralisedCLL(alpha, beta)) for beta in (0.01, 0.3, 10.0)} == {1}
    s0, s1 = (0.5 * math.exp(-p / 2) / 2 + 3 * 2 for p in (0, 1))  # of a weighted sum
    assert asymmetry_ratio(Sum(AEL(2.0), MAE(), 0.5, 3.0)) == pytest.approx(s1 / s0)
    assert asymmetry_ratio(Sum(NCE(), AEL(2.0), 0.0, 3.0)) == asymmetry_ratio(AEL(2.0))


@pytest.mark.parametrize("bound", [0.1, 0.5, 1.0, 2.0, math.log(100), 12.0, 15.0])
def test_the_ratio_of_clipped_ce_is_inside_and_found(bound):
    """It is flat at p_y = 0, so that no limit helps: -log(1 - d) / (bound + log d) at its least."""
    d = np.exp(np.linspace(-bound, 0, 400_001))[1:-1]
    expected = min(1.0, (-np.log1p(-d) / (bound + np.log(d))).min())
    assert asymmetry_ratio(ClippedCE(bound)) == pytest.approx(expected, rel=1e-5)
    if bound > 10:  # d = e exp(-bound), small: r = e exp(-bound)
        assert expected == pytest.approx(math.exp(1 - bound), rel=1e-4)


@pytest.mark.parametrize("loss", **ids(OF_P_Y))
@pytest.mark.parametrize("margin", [0.0, 0.07, 0.5])
def test_the_ratio_is_never_above_brute_force(loss, margin):
    assert 0 <= asymmetry_ratio(loss, margin) <= grid_ratio(loss, 400, margin) + 1e-7


@pytest.mark.parametrize(
    "loss", **ids([ClippedCE(1.0), ClippedCE(2.0), *TOLERANT[:9], GeneralisedCLL(1.0, 0.6)])
)
@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_brute_force_comes_close_where_the_infimum_can_be_reached(loss, margin):
    assert grid_ratio(loss, 1000, margin) == pytest.approx(asymmetry_ratio(loss, margin), abs=5e-3)


@pytest.mark.parametrize("margin", [0.02, 0.1, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_cll_with_a_margin_has_the_ratio_of_brute_force(sigma, margin):
    r = asymmetry_ratio(CLL(sigma), margin)
    grid = min(1.0, grid_ratio(CLL(sigma), 1000, margin))
    assert r <= grid + 1e-7
    assert r == pytest.approx(grid, rel=0.03, abs=1e-3)
    assert r == 1 or margin < sigma, "up to its peak at 1 - sigma the slope only rises"
    assert r > 0
    if sigma >= 1:  # convex: s(1 - margin) / s(0)
        expected = margin * math.exp((1 - margin**2) / (2 * sigma**2))
        assert r == pytest.approx(min(1, expected), rel=1e-6)


def test_a_flank_that_floats_cannot_see_is_no_ratio_of_zero():
    """Between p_y = 0 and 0.05 this one grows by 3e-15 in all, and the slope only rises."""
    assert asymmetry_ratio(CLL(0.12), 0.95) == 1
    for sigma in np.linspace(0.02, 0.2, 19):
        for margin in (0.2, 0.6, 0.9, 0.95, 0.99):
            assert asymmetry_ratio(CLL(sigma), margin) == 1


def test_a_slope_of_two_peaks_is_refused_where_it_matters():
    for call in (lambda: asymmetry_ratio(TWO_PEAKS, 0.05), lambda: class_sum_range(TWO_PEAKS, 3)):
        with pytest.raises(ValueError, match=r"MixtureCLL\(.*0\.1, 1\.0.* more than one peak"):
            call()


# -------------------------------------------------------------------------- the tolerance theorem
#
# With q_y = 1, let q_k <= r for a wrong class k. Moving ALL of p_k onto the true class changes
# sum_k q_k l(p_k) by q_k (l(0) - l(p_k)) - (l(p_y) - l(p_y + p_k)) <= 0: the definition of r with
# p = p_y, d = p_k. So the one-hot answer has the least risk, whatever p was. (Moving only a part
# need not help where l is concave: only the ends are safe.) With q_k > r there are p_y and p_k for
# which it does harm.


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(TOLERANT),
    st.lists(st.floats(0, 1), min_size=2, max_size=6),
    st.lists(shares, min_size=6, max_size=6),
)
def test_below_the_ratio_moving_a_wrong_class_to_the_true_one_never_costs(loss, mass, noise_shares):
    assume(sum(mass) > 1e-3)
    p, r = np.array(mass) / sum(mass), asymmetry_ratio(loss)
    q = np.array([1.0, *(r * share for share in noise_shares)])[: len(p)]
    risks = [q @ cost(loss, p)]
    for k in range(1, len(p)):
        p[0], p[k] = min(1.0, p[0] + p[k]), 0.0
        risks.append(q @ cost(loss, p))
    assert (np.diff(risks) <= 1e-9).all()


@pytest.mark.parametrize("loss", **ids(TOLERANT))
def test_below_the_ratio_no_answer_beats_the_true_class(loss):
    r, answers = asymmetry_ratio(loss), theory.lattice(3, 60)
    for q in ([1, r, r], [1, 0.5 * r, r], [1, 0, 0.999 * r]):
        risks = cost(loss, answers) @ q
        one_hot = risks[(answers[:, 0] == 1).argmax()]
        assert one_hot <= risks.min() + 1e-9


@pytest.mark.parametrize(
    "loss",
    **ids([loss for loss in [*TOLERANT, CE(), GCE(0.7), GJS(0.5), MIXTURE,
                             *map(CLL, SIGMAS[1:])] if asymmetry_ratio(loss) < 1]),
)  # fmt: skip
def test_above_the_ratio_some_answer_loses_by_moving_to_the_true_class(loss):
    q = min(0.999, 1.02 * asymmetry_ratio(loss) or 0.1)
    d = np.geomspace(1e-8, 1, 8001)  # of two classes the wrong one has d, and the true one 1 - d
    gained = cost(loss, 1 - d) - cost(loss, 1.0)
    lost = q * (cost(loss, 0.0) - cost(loss, d))
    assert (lost > gained).any()


@few
@given(
    st.sampled_from([CLL(0.3), CLL(0.5), CLL(1.0), CLL(2.0), AEL(0.7), MIXTURE, TaylorCE(6)]),
    st.floats(0.02, 0.9),
    shares,
    shares,
)
def test_the_theorem_with_a_margin_speaks_of_answers_that_keep_it(loss, margin, total, share):
    """Moving mass is safe as long as p_y stays below 1 - margin: CLL tolerates noise after all."""
    total *= 1 - margin
    p_y, p_k = share * total, (1 - share) * total
    q = asymmetry_ratio(loss, margin)
    before = cost(loss, p_y) + q * cost(loss, p_k)
    after = cost(loss, p_y + p_k) + q * cost(loss, 0.0)
    assert after <= before + 1e-9


# -------------------------------------------------------------------------------------- class sums


@cache
def random_p(K: int) -> np.ndarray:
    """From spiky to flat, with all vertices and edges (and their centres), ``[n, K]``."""
    draw = np.random.default_rng(K)
    spread = [draw.dirichlet(np.full(K, c), 400) for c in (0.02, 0.1, 0.3, 1.0, 5.0, 100.0)]
    edge = np.zeros((21, K))
    edge[:, 0] = np.linspace(0, 1, 21)
    edge[:, 1] = 1 - edge[:, 0]
    faces = [np.r_[np.full(n, 1 / n), np.zeros(K - n)] for n in range(1, K + 1)]
    return np.concatenate([*spread, np.eye(K), edge, faces])


@pytest.mark.parametrize("loss", **ids(BOUNDED))
@pytest.mark.parametrize("K", [2, 3, 10])
def test_no_class_sum_leaves_its_range(loss, K):
    low, high = class_sum_range(loss, K)
    # a p_k of 0 is taken as 1e-12, which a slope of up to 1e3 may see
    sums = class_sum(loss, random_p(K))
    assert low - 1e-7 <= sums.min() <= sums.max() <= high + 1e-7


@pytest.mark.parametrize("loss", **ids(BOUNDED))
@pytest.mark.parametrize("K", [2, 3])
def test_the_range_of_class_sums_is_that_of_a_fine_lattice(loss, K):
    low, high = class_sum_range(loss, K)
    sums = cost(loss, theory.lattice(K, 20000 if K == 2 else 300)).sum(axis=1)
    assert low - 1e-12 <= sums.min() <= sums.max() <= high + 1e-12
    slack = 1e-6 + (1e-2 if K == 3 else 1e-3) * (high - low)
    assert sums.min() <= low + slack
    assert sums.max() >= high - slack


@pytest.mark.parametrize("K", [2, 3, 10, 100])
@pytest.mark.parametrize("sigma", [1.0, 1.2, 3.0, 100.0])
def test_the_class_sums_of_a_wide_cll_have_a_closed_form(sigma, K):
    def c(s):
        return 1 - math.exp(-s / (2 * sigma**2))

    closed = theory.cll_class_sum_range(sigma, K)
    assert closed == pytest.approx((K * c((1 - 1 / K) ** 2), (K - 1) * c(1)), rel=1e-9)
    assert class_sum_range(CLL(sigma), K) == pytest.approx(closed, rel=1e-10)


@few
@given(st.floats(0.01, 1), st.integers(2, 30))
def test_the_class_sums_of_gce_have_the_published_bounds(q, K):
    found = class_sum_range(GCE(q), K)
    assert found == pytest.approx(((K - K ** (1 - q)) / q, (K - 1) / q), rel=1e-9)


@pytest.mark.parametrize("K", [2, 3, 10, 100])
def test_a_linear_loss_is_symmetric(K):
    for loss in (MAE(), RCE(), SCE(0.0, 1.0), GCE(1.0), TaylorCE(1), AGCE(4.0, 1.0), AUL(3.0, 1.0)):
        assert 0 <= class_sum_range(loss, K).spread < 1e-9
    assert class_sum_range(MAE(), K) == pytest.approx((2 * (K - 1), 2 * (K - 1)))


@pytest.mark.parametrize("loss", **ids(UNBOUNDED))
def test_an_unbounded_loss_has_no_highest_class_sum(loss):
    for K in (2, 3, 10):
        low, high = class_sum_range(loss, K)
        assert (high, class_sum_range(loss, K).spread) == (math.inf, math.inf)
        assert low - 1e-9 <= class_sum(loss, random_p(K)).min()
        assert class_sum(loss, random_p(K)).min() <= low + 0.02 * abs(low)
    assert class_sum_range(CE(), 10).low == pytest.approx(10 * math.log(10))


@pytest.mark.parametrize("K", [2, 3, 10])
def test_normalised_losses_are_symmetric(K):
    p = random_p(K)
    for loss in (NCE(), NFL(0.5), NFL(2.0, detach=True), NGCE(0.7), NGCE(0.1)):
        assert class_sum(loss, p) == pytest.approx(1, abs=1e-9)
    assert class_sum(NNCE(), p) == pytest.approx(K - 1, abs=1e-9)
    assert class_sum(MAE(), p) == pytest.approx(2 * (K - 1), abs=1e-9)
    assert class_sum(Sum(NCE(), MAE(), 2.0, 3.0), p) == pytest.approx(2 + 6 * (K - 1), abs=1e-9)
    assert np.ptp(class_sum(MSE(), p)) > 0.4
    assert class_sum(NCE(), p[0]).shape == ()


def test_of_every_label_is_the_loss_of_each_label():
    p = np.random.default_rng(0).dirichlet(np.ones(4), (2, 3))
    table = theory.of_every_label(CLL(0.5), p)
    assert table.shape == (2, 3, 4)
    assert np.allclose(table, 1 - np.exp(-((1 - p) ** 2) / 0.5))
    assert np.allclose(theory.of_every_label(CE(), np.eye(3)), -np.log(np.eye(3).clip(1e-12)))
    clipped = theory.of_every_label(LogitClip(CE(), 1.5), np.eye(3))
    assert clipped.max() < 3


# ------------------------------------------------------------------------ excess risk and its bound

LATTICE = theory.lattice(3, 30)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([*BOUNDED, *UNBOUNDED]),
    st.floats(0, 0.66),
    st.lists(st.tuples(shares, shares, shares), min_size=1, max_size=8),
)
def test_noise_never_costs_more_than_the_bound(loss, rate, drawn):
    q = np.array(drawn) + 1e-6
    q /= q.sum(axis=1, keepdims=True)
    bound = theory.excess_risk_bound(loss, 3, rate)
    excess = theory.excess_risk(loss, q, rate, LATTICE)
    assert excess.shape == (len(q),)
    assert (excess >= 0).all()
    assert (excess <= bound + 1e-7 / (2 - 3 * rate)).all()


def test_the_bound_is_not_empty():
    """Some posterior pays a good share of it."""
    q = theory.lattice(3, 20)
    for loss, share in ((CLL(0.5), 0.1), (GCE(0.7), 0.1), (AEL(0.3), 0.1)):
        bound = theory.excess_risk_bound(loss, 3, 0.4)
        assert share * bound < theory.excess_risk(loss, q, 0.4, LATTICE).max() <= bound


def test_the_excess_risk_is_that_of_the_definition():
    q, rate, loss = np.array([0.5, 0.3, 0.2]), 0.3, GCE(0.7)
    L = np.array([[(1 - v**0.7) / 0.7 for v in p] for p in LATTICE])
    noisy = [(1 - rate) * q[k] + rate / 2 * (1 - q[k]) for k in range(3)]
    expected = (L @ q)[(L @ noisy).argmin()] - (L @ q).min()
    assert expected > 0.01
    assert theory.excess_risk(loss, q[None], rate, LATTICE) == pytest.approx([expected], abs=1e-6)


def test_symmetric_noise_costs_a_symmetric_loss_nothing():
    q = theory.lattice(3, 12)
    for rate in (0.0, 0.3, 0.6):
        for K in (3, 10, 100):
            assert 0 <= theory.excess_risk_bound(MAE(), K, rate) < 1e-10
        assert theory.excess_risk(MAE(), q, rate, LATTICE).max() < 1e-12
    assert theory.excess_risk_bound(CE(), 3, 0.0) == 0
    assert theory.excess_risk_bound(CE(), 3, 0.1) == math.inf


def test_the_bound_of_gce_is_that_of_its_paper():
    """Zhang & Sabuncu 2018, theorem 1: eta (K^(1-q) - 1) / (q (K - 1 - eta K))."""
    for K, q, rate in ((10, 0.7, 0.6), (3, 0.2, 0.5), (100, 0.5, 0.9)):
        expected = rate * (K ** (1 - q) - 1) / (q * (K - 1 - rate * K))
        assert theory.excess_risk_bound(GCE(q), K, rate) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("K", [2, 3, 7, 10, 100])
def test_noise_that_hides_the_true_class_has_no_bound(K):
    for rate in ((K - 1) / K, min(1.0, (K - 1) / K + 0.01), 1.0):
        for loss in (MAE(), CLL(0.5)):
            with pytest.raises(ValueError, match=f"rate={rate!r} must be below"):
                theory.excess_risk_bound(loss, K, rate)


def test_the_error_bound_counts_what_a_wrong_prediction_costs_at_least():
    for loss, least in (
        (AEL(0.5), math.exp(-1) - math.exp(-2)),
        (GCE(0.7), (1 - 0.5**0.7) / 0.7),
        (CLL(2.0), 1 - math.exp(-0.25 / 8)),
    ):
        expected = theory.excess_risk_bound(loss, 10, 0.05) / least
        assert 0 < expected < 1
        assert theory.error_bound(loss, 10, 0.05) == pytest.approx(expected, rel=1e-9)
    assert theory.error_bound(CE(), 10, 0.05) == 1, "no bound is no more than all"
    assert theory.error_bound(GeneralisedCLL(100.0, 1e6), 3, 0.1) == 1, "no digit of it is left"


# ----------------------------------------------------------------------------- lattice, calibration


@pytest.mark.parametrize(("K", "steps"), [(2, 1), (2, 7), (3, 1), (3, 20), (4, 6), (5, 3)])
def test_a_lattice_is_every_p_of_its_step_once(K, steps):
    p = theory.lattice(K, steps)
    assert len(p) == math.comb(steps + K - 1, K - 1)
    assert np.allclose(p.sum(axis=1), 1)
    assert (p >= 0).all()
    assert np.allclose(p * steps, np.rint(p * steps))
    assert len(np.unique(np.rint(p * steps), axis=0)) == len(p)


class Partial(Loss):
    """Cross-entropy that counts class 0 three times: its answer is q_k w_k over their sum."""

    def per_sample(self, logits, targets):
        return torch.where(targets == 0, 3.0, 1.0) * CE().per_sample(logits, targets)


CLEAN = np.eye(3)


def test_cross_entropy_is_calibrated_and_honest():
    clean = theory.calibration(CE(), CLEAN)
    assert clean.right == 100
    q = theory.lattice(3, 20)
    ordered = np.sort(q, axis=1)
    unique = ordered[:, 2] > ordered[:, 1] + 1e-9
    assert clean.belief == pytest.approx(q[unique].max(axis=1).mean(), abs=1e-9), "its p is q"
    assert theory.calibration(CE(), noise.symmetric(3, 0.3)).right == 100
    assert theory.calibration(CE(), noise.symmetric(3, 0.3)).belief < clean.belief - 0.1


@pytest.mark.parametrize("loss", **ids([MAE(), GCE(0.7), AGCE(0.6, 0.6), AEL(2.5), MSE(), NCE()]))
def test_robust_losses_are_calibrated_without_noise(loss):
    assert theory.calibration(loss, CLEAN).right == 100


def test_an_uncalibrated_loss_is_caught():
    q = theory.lattice(3, 20)
    ordered = np.sort(q, axis=1)
    q = q[ordered[:, 2] > ordered[:, 1] + 1e-9]
    answers, bayes = q * [3, 1, 1], q.argmax(axis=1)
    right = np.isclose(answers[np.arange(len(q)), bayes], answers.max(axis=1)).mean()
    assert theory.calibration(Partial(), CLEAN).right == pytest.approx(100 * right, abs=3)
    assert 50 < 100 * right < 90


def test_noise_beyond_dominance_misleads_every_loss():
    pair = CLEAN.copy()
    pair[0, :2] = 0.4, 0.6
    for loss in (CE(), MAE(), CLL(0.5), GCE(0.7)):
        assert theory.calibration(loss, noise.symmetric(3, 0.8)).right < 50
        assert theory.calibration(loss, pair).right < 95


# --------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: asymmetry_ratio(CE(), -0.1), "margin=-0.1"),
        (lambda: asymmetry_ratio(CE(), 1.0), "margin=1.0"),
        (lambda: asymmetry_ratio(CE(), math.nan), "margin=nan"),
        (lambda: asymmetry_ratio(CE(), "0"), "margin='0'"),
        (lambda: asymmetry_ratio(NCE()), "NCE sees all of p"),
        (lambda: asymmetry_ratio(CLL(1.0, form="vector")), "CLL sees all of p"),
        (lambda: asymmetry_ratio(LogitClip(CE())), r"CE\+LogitClip sees all of p"),
        (lambda: class_sum_range(MSE(), 3), "MSE sees all of p"),
        (lambda: class_sum_range(MAE(), 1), "num_classes=1"),
        (lambda: theory.excess_risk_bound(Sum(NCE(), MAE()), 3, 0.1), r"NCE\+MAE sees all"),
        (lambda: theory.excess_risk_bound(MAE(), 3, -0.1), "rate=-0.1"),
        (lambda: theory.error_bound(MSE(), 3, 0.1), "MSE sees all of p"),
        (lambda: theory.cll_class_sum_range(0.99, 3), "sigma=0.99"),
        (lambda: theory.lattice(1, 5), "num_classes=1"),
        (lambda: theory.calibration(CE(), np.ones((3, 3))), "row-stochastic"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
