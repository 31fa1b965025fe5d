"""Special cases: at the ends of its parameters a loss is another one, and what its paper proves
about it holds."""

import itertools
import math

import numpy as np
import pytest
import torch

from labelnoise import theory
from labelnoise.losses import (
    AEL,
    AGCE,
    AMSE,
    AUL,
    CE,
    CLL,
    FL,
    GCE,
    GJS,
    LDRKL,
    LOSSES,
    MAE,
    MSE,
    NCE,
    NFL,
    NGCE,
    NNCE,
    PUBLISHED,
    RCE,
    SCE,
    CE_eps,
    ClippedCE,
    GeneralisedCLL,
    LabelSmoothing,
    LogitClip,
    Loss,
    MixtureCLL,
    PHuberCE,
    Sum,
    TaylorCE,
)
from loss_cases import FEW, at, batch, gradient, names, of

close = torch.testing.assert_close
P = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)

# ------------------------------------------------------------------------------- CE and its bends


def same(a: Loss, b: Loss, scale: float = 1.0, rtol: float = 1e-9, atol: float = 1e-12) -> None:
    """scale * a is b: values and gradients."""
    for logits, targets in (batch(), batch(K=2, spread=1.0), batch(K=30, seed=7)):
        a.reduction = b.reduction = "none"
        close(scale * a(logits, targets), b(logits, targets), rtol=rtol, atol=atol)
        close(scale * gradient(a, logits, targets), gradient(b, logits, targets),
              rtol=rtol, atol=atol)  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ce_is_torchs_own(reduction, dtype):
    logits, targets = batch(seed=3)
    logits = logits.to(dtype)
    ours = CE(reduction=reduction)
    theirs = torch.nn.CrossEntropyLoss(reduction=reduction)
    close(ours(logits, targets), theirs(logits, targets))
    close(gradient(ours, logits, targets), gradient(theirs, logits, targets), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 0.99])
def test_label_smoothing_is_torchs_own(epsilon):
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=epsilon)
    for logits, targets in (batch(), batch(K=2), batch(K=30)):
        close(LabelSmoothing(epsilon)(logits, targets), theirs(logits, targets))
        close(gradient(LabelSmoothing(epsilon), logits, targets), gradient(theirs, logits, targets))


def test_a_negative_epsilon_pushes_away_from_the_other_classes_without_end():
    logits = torch.tensor([[100.0, 0.0, 0.0]], dtype=torch.float64)
    value = LabelSmoothing(-0.5)(logits, torch.tensor([0]))
    assert value.item() == pytest.approx(-0.5 / 3 * 200)


CE_IS = [
    FL(0.0),
    FL(0.0, detach=True),
    LabelSmoothing(0.0),
    PHuberCE(1e12),
    ClippedCE(1e3),
    CE_eps(0.0),
    TaylorCE(2000),
    GCE(1e-10),
    LogitClip(CE(), 1e3),
    SCE(1.0, 0.0),
]


@pytest.mark.parametrize("loss", CE_IS, ids=repr)
def test_losses_that_bend_ce_are_ce_where_nothing_is_bent(loss):
    logits, targets = batch(spread=0.5)
    close(loss(logits, targets), CE()(logits, targets), rtol=1e-7, atol=0)
    close(gradient(loss, logits, targets), gradient(CE(), logits, targets), rtol=1e-6, atol=1e-9)


HALF_OF_MAE_IS = [GCE(1.0), TaylorCE(1), AGCE(0.1, 1.0), AGCE(6.0, 1.0), AUL(1.5, 1.0),
                  AUL(5.5, 1.0), RCE(-1.0)]  # fmt: skip


@pytest.mark.parametrize("loss", HALF_OF_MAE_IS, ids=repr)
def test_half_of_mae_is_at_the_robust_end_of_many_losses(loss):
    same(loss, MAE(), scale=2.0)


def test_taylor_ce_rises_with_its_order_to_ce():
    logits, targets = at(P[P < 0.9])
    orders = [TaylorCE(order, reduction="none")(logits, targets) for order in (1, 2, 6, 12)]
    for low, high in zip(orders, [*orders[1:], CE(reduction="none")(logits, targets)], strict=True):
        assert (low < high).all()


@pytest.mark.parametrize("tau", [1.5, 10.0, 100.0])
def test_phuber_is_continuous_with_its_slope_at_one_over_tau_and_bounded(tau):
    loss = PHuberCE(tau, reduction="none")
    around = at([1 / tau - 1e-9, 1 / tau + 1e-9])
    below, above = loss(*around).tolist()
    assert below == pytest.approx(above, abs=3e-9 * tau)
    assert below == pytest.approx(math.log(tau), abs=3e-9 * tau)
    below, above = gradient(loss, *around)[:, 0].tolist()
    assert below == pytest.approx(above, abs=1e-7)
    logits, targets = at(P)
    by_p = gradient(loss, logits, targets)[:, 0] / (P * (1 - P))
    assert (by_p >= -tau * (1 + 1e-9)).all()
    inside = logits.softmax(dim=1)[:, 0] > 1 / tau
    close(loss(logits, targets)[inside], CE(reduction="none")(logits, targets)[inside])


def test_clipped_ce_is_ce_below_its_bound_and_gives_up_above():
    loss, (logits, targets) = ClippedCE(math.log(10), reduction="none"), at(P)
    value, slope = loss(logits, targets), gradient(loss, logits, targets)
    learnt = P > 0.1 + 1e-9
    close(value[learnt], -P[learnt].log())
    close(slope[learnt], gradient(CE(), logits[learnt], targets[learnt]) * learnt.sum())
    close(value[~learnt], torch.full_like(value[~learnt], math.log(10)), rtol=1e-15, atol=0)
    assert (slope[P < 0.1 - 1e-9] == 0).all()


# ---------------------------------------------------------- class sums and normalisation


def class_sum(loss: Loss, K: int) -> torch.Tensor:
    logits, _ = batch(B=12, K=K, spread=4.0)
    loss.reduction = "none"
    return sum(loss(logits, torch.full((12,), k)) for k in range(K))


@pytest.mark.parametrize("K", [2, 10, 100])
@pytest.mark.parametrize(
    ("loss", "total"),
    [
        (NCE(), lambda K: 1),
        (NFL(0.5), lambda K: 1),
        (NFL(2.0, detach=True), lambda K: 1),
        (NGCE(0.7), lambda K: 1),
        (NGCE(0.1), lambda K: 1),
        (NNCE(), lambda K: K - 1),
        (NNCE(1e-3), lambda K: K - 1),
        (MAE(), lambda K: 2 * (K - 1)),
        (RCE(), lambda K: math.log(1e4) * (K - 1)),
        (RCE(-4.0), lambda K: 4 * (K - 1)),
        (Sum(NCE(), MAE(), 10.0, 0.5), lambda K: 10 + (K - 1)),
        (Sum(NCE(), NNCE()), lambda K: K),
    ],
    ids=lambda value: str(value) if isinstance(value, Loss) else "total",
)
def test_the_sum_over_all_labels_is_a_constant(loss, total, K):
    close(class_sum(loss, K), torch.full((12,), float(total(K)), dtype=torch.float64))


def test_other_losses_are_not_symmetric():
    for loss in (CE(), GCE(0.7), MSE(), CLL(0.5), AGCE(4, 0.2), AUL(3, 0.1), AEL(3.5), GJS(0.5)):
        total = class_sum(loss, 10)
        assert total.max() - total.min() > 1e-3, loss


@pytest.mark.parametrize("K", [2, 10])
@pytest.mark.parametrize("A", [math.log(1e-4), -4.0, -1.0])
def test_normalised_rce_is_normalised_mae_whatever_A_is(A, K):
    logits, targets = batch(B=12, K=K, spread=4.0)
    rce = RCE(A, reduction="none")(logits, targets)
    normalised = rce / class_sum(RCE(A), K)
    close(normalised, MAE(reduction="none")(logits, targets) / (2 * (K - 1)))
    slip = 1 / 4 * (K - 1) * RCE(-4.0, reduction="none")(logits, targets)  # of public code, A = -4
    if K == 10:
        close(slip, 2.25 * RCE(-4.0, reduction="none")(logits, targets))
        assert (slip > 80 * normalised).all()


def test_normalised_losses_meet_at_the_ends_of_their_parameters():
    same(NFL(0.0), NCE())
    same(NFL(0.0, detach=True), NCE())
    same(NGCE(1e-9), NCE(), rtol=1e-6, atol=1e-8)
    for K in (2, 7):
        logits, targets = batch(K=K)
        close(NGCE(1.0)(logits, targets), MAE()(logits, targets) / (2 * (K - 1)))


def test_nnce_has_no_gradient_for_a_class_below_its_clamp():
    loss = NNCE(1e-4, reduction="none")
    logits = torch.tensor([[0.0, -1.0, -15.0]], dtype=torch.float64)
    slope = gradient(loss, logits, torch.tensor([0]))[0]
    frozen = logits.clone()
    frozen[0, 2] = -20.0
    # only through the denominator of softmax, which sees e^-15
    close(loss(frozen, torch.tensor([0])), loss(logits, torch.tensor([0])), rtol=1e-5, atol=0)
    assert slope[2].abs() < 1e-6 < slope[1].abs()
    assert loss(logits, torch.tensor([2])).item() == 1


# ---------------------------------------------------------- sums of losses

SUMS = [case for case in FEW if isinstance(of(case[0], **case[1]), Sum)]


@pytest.mark.parametrize(("name", "parameters"), SUMS, ids=names)
def test_a_sum_is_the_sum_of_its_parts(name, parameters):
    loss = of(name, **parameters)
    assert "+" not in name or name == f"{loss.first.name}+{loss.second.name}"
    logits, targets = batch()
    parts = [part.per_sample(logits, targets) for part in (loss.first, loss.second)]
    for alpha, beta in ((1.0, 1.0), (0.1, 4.0), (0.0, 2.0), (3.0, 0.0)):
        whole = of(name, **{**parameters, "alpha": alpha, "beta": beta})
        close(whole(logits, targets), alpha * parts[0] + beta * parts[1])


@pytest.mark.parametrize(("whole", "part"), [("NCE+AGCE", "AGCE"), ("NCE+AUL", "AUL"),
                                             ("NCE+AEL", "AEL")])  # fmt: skip
def test_on_mnist_the_published_sums_with_alpha_0_are_the_asymmetric_losses(whole, part):
    settings = {name: PUBLISHED["mnist"][name]["parameters"] for name in (whole, part)}
    logits, targets = batch()
    a, b = (LOSSES[name](**settings[name]) for name in (whole, part))
    assert torch.equal(a(logits, targets), b(logits, targets))
    assert torch.equal(gradient(a, logits, targets), gradient(b, logits, targets))


# ---------------------------------------------------------- asymmetric


@pytest.mark.parametrize("q", [0.2, 0.7, 1.0])
def test_agce_tends_to_gce_as_a_vanishes(q):
    logits, targets = at(torch.linspace(0.05, 1 - 1e-6, 100, dtype=torch.float64))
    gce = GCE(q, reduction="none")(logits, targets)
    distances = [
        (AGCE(a, q, reduction="none")(logits, targets) - gce).abs().max().item()
        for a in (2e-2, 2e-3, 2e-4, 2e-5)
    ]
    for far, near in itertools.pairwise(distances):
        assert near <= 0.15 * far + 1e-12  # linear in a
    assert distances[-1] < 1e-3


@pytest.mark.parametrize("q", [0.1, 0.5, 2.0, 3.0])
def test_aul_scaled_tends_to_half_of_mae_as_a_grows(q):
    same(AUL(1e7, q), MAE(reduction="none"), scale=2 * 1e7 ** (1 - q), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("K", [2, 7])
def test_amse_runs_from_the_squared_error_to_mae(K):
    logits, targets = batch(K=K)
    close(K * AMSE(1.0)(logits, targets), MSE()(logits, targets))
    pull = K * gradient(AMSE(1.0), logits, targets)
    close(pull, gradient(MSE(), logits, targets))
    a, loss = 1e6, AMSE(1e6, reduction="none")
    least = (a - 1) ** 2 / K
    near = K / a * (loss(logits, targets) - least)
    close(near, MAE(reduction="none")(logits, targets), rtol=1e-5, atol=1e-5)
    mae = gradient(MAE(reduction="none"), logits, targets)
    close(K / a * gradient(loss, logits, targets), mae, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "w", [(0.5, 0.3, 0.2), (0.4, 0.35, 0.25), (0.6, 0.2, 0.2), (0.45, 0.2, 0.35)]
)
def test_amse_tolerates_noise_exactly_where_its_paper_says(w):
    """Theorem of arXiv 2507.17692: with m the likeliest label and every other n,
    w_m / w_n >= (a + sum_{i != m} w_i / w_n) / (a - 1), which is w_m - w_n >= 1/a."""
    w = np.array(w) / sum(w)
    answers = theory.lattice(3, 200)
    critical = 1 / np.diff(np.sort(w))[-1]
    for a in (0.9 * critical, 1.1 * critical):
        ratios = w[0] / w[1:]
        asked = (a + w[1:].sum() / w[1:]) / (a - 1)
        tolerant = bool((ratios >= asked).all())
        assert tolerant == (a > critical)
        risk = sum(share * theory.value(AMSE(a), answers, k) for k, share in enumerate(w))
        assert (answers[risk.argmin()].max() == 1) == tolerant


# ---------------------------------------------------------- correntropy


@pytest.mark.parametrize("form", ["target", "vector", "elementwise"])
def test_cll_becomes_the_squared_error_for_a_wide_kernel(form):
    logits, targets = batch()
    e = torch.nn.functional.one_hot(targets, 7) - torch.softmax(logits, dim=1)
    squared = e.gather(1, targets[:, None]).square() if form == "target" else e.square()
    sigma = 1e4
    got = 2 * sigma**2 * CLL(sigma, form, reduction="none")(logits, targets)
    close(got, squared.sum(dim=1), rtol=1e-7, atol=1e-15)
    if form != "target":
        same(CLL(sigma, form), MSE(), scale=2 * sigma**2, rtol=1e-7)


@pytest.mark.parametrize(
    ("form", "expected"), [("target", [0, 1]), ("vector", [0, 1]), ("elementwise", [0, 2])]
)
def test_cll_counts_errors_for_a_narrow_kernel(form, expected):
    logits = torch.tensor([[50.0, 0, 0], [0, 50.0, 0]], dtype=torch.float64)
    targets = torch.tensor([0, 0])
    got = CLL(1e-3, form, reduction="none")(logits, targets)
    close(got, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("form", ["target", "vector", "elementwise"])
@pytest.mark.parametrize("sigma", [1e-6, 0.1, 1.0, 7.0, 1e6])
def test_cll_normalised_costs_one_for_a_one_hot_wrong_prediction(form, sigma):
    logits = torch.full((10, 10), -1e3, dtype=torch.float64).fill_diagonal_(1e3)
    wrong = (torch.arange(10) + 1) % 10
    right = torch.arange(10)
    loss = CLL(sigma, form, normalise=True, reduction="none")
    close(loss(logits, wrong), torch.ones(10, dtype=torch.float64))
    assert (loss(logits, right) == 0).all()


def test_cll_target_equals_half_of_elementwise_for_two_classes():
    """With K = 2 both errors are equal: a check that the forms share one scale."""
    logits, targets = batch(K=2)
    target, elementwise = (CLL(0.5, form)(logits, targets) for form in ("target", "elementwise"))
    close(2 * target, elementwise)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 3.0])
def test_extended_kernels_contain_cll(sigma):
    same(GeneralisedCLL(2.0, math.sqrt(2) * sigma), CLL(sigma))
    same(MixtureCLL([sigma] * 3, [0.2, 0.3, 0.5]), CLL(sigma))
    parts = (CLL(0.3), CLL(1.0))
    same(MixtureCLL([0.3, 1.0], [0.25, 0.75]), Sum(*parts, 0.25, 0.75))


def test_generalised_cll_of_shape_1_with_a_wide_kernel_is_half_of_mae():
    same(GeneralisedCLL(1.0, 1e6), MAE(), scale=2e6, rtol=1e-5)


# ---------------------------------------------------------- divergences, softmaxes, clipped logits


def test_gjs_tends_to_ce_as_pi_vanishes():
    logits, targets = at(torch.linspace(0.05, 0.999, 100, dtype=torch.float64))
    ce = CE(reduction="none")(logits, targets)
    near, far = (
        (GJS(pi, reduction="none")(logits, targets) - ce).abs().max() for pi in (1e-3, 1e-2)
    )
    assert near < 0.15 * far < 0.15
    assert near < 0.02


@pytest.mark.parametrize("r", [1e-3, 1e-6, 1e-12])
def test_gjs_tends_to_half_of_mae_as_pi_goes_to_1_but_only_as_one_over_a_logarithm(r):
    """With r = 1 - pi: L = (1 - p_y) + [(1 - p_y) + p_y log p_y] / (-log r) + O(r / log r)."""
    logits, targets = at(P)
    pi = 1 - r
    r = 1 - pi
    first = (1 - P + P * P.log()) / -math.log(r)
    close(GJS(pi, reduction="none")(logits, targets), 1 - P + first, rtol=0, atol=r + 1e-12)
    assert (first >= 0).all()
    assert first.max() > 0.03  # even at 1e-12: MAE is far


def test_gjs_at_one_half_is_the_jensen_shannon_divergence_over_log_2_halves():
    """KL(y || m)/2 + KL(p || m)/2 with m their mean, over Z = log(2)/2."""
    logits, targets = batch(B=8)
    p = torch.softmax(logits, dim=1)
    label = torch.eye(7, dtype=torch.float64)[targets]
    m = (p + label) / 2
    js = ((p * (p / m).log()).sum(dim=1) - m.gather(1, targets[:, None]).log()[:, 0]) / 2
    close(GJS(0.5, reduction="none")(logits, targets), js / (math.log(2) / 2))


@pytest.mark.parametrize("lam", [0.5, 1.0, 10.0])
def test_ldr_kl_is_ce_at_a_temperature(lam):
    for logits, targets in (batch(), batch(K=2)):
        K = logits.shape[1]
        cold = CE(reduction="none")(logits / lam, targets)
        close(LDRKL(lam, reduction="none")(logits, targets), lam * cold - lam * math.log(K))


@pytest.mark.parametrize("m", [1.0, 1e3, 1e5])
def test_ce_eps_is_nearly_constant_where_the_network_agrees_and_ce_where_it_does_not(m):
    logits, targets = batch(B=200)
    agrees = logits.argmax(dim=1) == targets
    value = CE_eps(m, reduction="none")(logits, targets)
    slope = gradient(CE_eps(m), logits, targets)
    ce = CE(reduction="none")(logits, targets)
    assert agrees.any()
    assert (value[agrees] <= math.log((m + 1) / m)).all()
    assert (slope[agrees].abs() <= 1 / m).all()
    close(value[~agrees], ce[~agrees] + math.log(m + 1))
    close(slope[~agrees], gradient(CE(), logits, targets)[~agrees])


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("inner", [CE(), GCE(0.7), NCE()], ids=repr)
def test_logit_clip_touches_nothing_inside_its_ball(inner, released):
    logits, targets = batch()
    inside = logits / logits.norm(dim=1, keepdim=True) * torch.linspace(0, 0.799, 24)[:, None]
    loss = LogitClip(inner, 0.8, released)
    assert torch.equal(loss(inside, targets), inner(inside, targets))
    assert torch.equal(gradient(loss, inside, targets), gradient(inner, inside, targets))


def test_logit_clip_sees_only_the_direction_outside_its_ball():
    logits, targets = batch()
    for tau, released, length in ((1.5, False, 1.5), (1.5, True, 1 / 1.5), (0.5, True, 2.0)):
        loss = LogitClip(CE(), tau, released, reduction="none")
        far, farther = ((logits + 1) * s for s in (100, 1e6))
        unit = far / far.norm(dim=1, keepdim=True)
        close(loss(far, targets), CE(reduction="none")(length * unit, targets))
        close(loss(farther, targets), loss(far, targets))


def test_formula_and_released_code_of_logit_clip_agree_at_tau_1_only():
    same(LogitClip(CE(), 1.0), LogitClip(CE(), 1.0, released=True))
    logits, targets = batch()
    formula, code = (LogitClip(CE(), 1.5, released)(logits, targets) for released in (False, True))
    assert (formula - code).abs() > 0.01


@pytest.mark.parametrize("K", [2, 10])
@pytest.mark.parametrize("tau", [0.5, 1.5])
def test_logit_clip_bounds_p_y_and_for_two_classes_attains_the_bound(tau, K):
    reach = (K - 1) * math.exp(tau * math.sqrt(2))
    logits, targets = batch(B=200, K=K, spread=100.0)
    value = LogitClip(CE(), tau, reduction="none")(logits, targets)
    assert (value <= math.log1p(reach) + 1e-12).all()
    assert (value >= math.log1p((K - 1) ** 2 / reach) - 1e-12).all()
    if K == 2:
        worst = LogitClip(CE(), tau)(torch.tensor([[-9.0, 9.0]]), torch.tensor([0]))
        assert worst.item() == pytest.approx(math.log1p(reach), rel=1e-6)
