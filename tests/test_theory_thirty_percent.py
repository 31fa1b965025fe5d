"""The answer to "30 % of my labels are wrong" is derived rightly, and its relatives are what they
are said to be."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labelnoise import noise
from labelnoise.losses import CE, Backward, Forward, LabelSmoothing, Mixture
from labelnoise.theory import model_the_noise
from loss_cases import batch, gradient

quick = settings(deadline=None, derandomize=True, database=None, max_examples=40)
close = torch.testing.assert_close
rates = st.floats(0.0, 0.95)
classes = st.integers(2, 12)
seeds = st.integers(0, 10**6)


def outputs(N: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Softmax outputs and one-hot labels, ``[12, N]``."""
    logits, targets = batch(12, N, seed=seed)
    return logits.softmax(dim=1).numpy(), np.eye(N)[targets.numpy()]


# ------------------------------------------------------------------------------ the closed form


def test_the_offset_is_3_over_7_n():
    for N in (2, 10, 1000):
        assert model_the_noise.offset(0.3, N) == pytest.approx(3 / (7 * N))
    assert model_the_noise.offset(0.0, 10) == 0


@quick
@given(rates, classes, seeds)
def test_the_closed_form_is_the_gradient_of_the_code(rate, N, seed):
    found = model_the_noise.check(N, rate, samples=20, seed=seed)
    assert max(found.value, found.dl_dy, found.dl_dz) < 1e-12
    assert found.finite < 1e-8


@quick
@given(rates, classes, seeds)
def test_the_closed_forms_are_the_posts_sums_term_by_term(rate, N, seed):
    y, t = outputs(N, seed)
    k = rate / ((1 - rate) * N)
    by_y, by_z = model_the_noise.dl_dy(y, t, rate), model_the_noise.dl_dz(y, t, rate)
    for n in range(3):
        pulls = [t[n, j] * y[n, j] / (k + y[n, j]) for j in range(N)]
        assert by_y[n] == pytest.approx([-t[n, i] / (k + y[n, i]) for i in range(N)])
        assert by_z[n] == pytest.approx([y[n, i] * sum(pulls) - pulls[i] for i in range(N)])
        label = t[n].argmax()
        weight = y[n, label] / (k + y[n, label])
        assert by_z[n] == pytest.approx(weight * (y[n] - t[n]), abs=1e-15)


def test_soft_labels_are_averages_of_hard_ones():
    y = outputs(4, 0)[0][:1]
    soft = np.array([[0.1, 0.2, 0.3, 0.4]])
    parts = [share * model_the_noise.dl_dz(y, np.eye(4)[[i]]) for i, share in enumerate(soft[0])]
    assert model_the_noise.dl_dz(y, soft) == pytest.approx(sum(parts))


# ------------------------------------------------------------------------------------- in symbols


@pytest.mark.parametrize("N", [2, 3, 10])
@pytest.mark.parametrize(
    ("lines", "exception"),
    [
        (model_the_noise.derivation, "the post's middle"),  # it lacks a minus sign
        (model_the_noise.relations, "one curvature"),
    ],
)
def test_every_line_holds_but_one(lines, exception, N):
    found = lines(N)
    assert len(found) == 9
    (wrong,) = [each.line for each in found if not each.holds]
    assert exception in wrong


# ---------------------------------------------------------------------------------------- in code


@quick
@given(rates, classes, seeds)
def test_the_relations_hold_in_the_code_up_to_rounding(rate, N, seed):
    matches = model_the_noise.in_code(N, rate, samples=20, seed=seed)
    assert len(matches) == 4
    for match in matches:
        size = 1e-11 / (1 - rate)
        assert match.value < size, match
        assert match.gradient < size, match


@quick
@given(st.floats(0.0, 0.99), classes, seeds)
def test_a_share_of_wrong_labels_becomes_a_larger_share_of_redrawn_ones(share, N, seed):
    wrong = share * (N - 1) / N
    rate = model_the_noise.redrawn_rate(wrong, N)
    assert rate == pytest.approx(share)
    T = noise.symmetric(N, wrong)
    assert noise.symmetric(N, rate, keep_true=True) == pytest.approx(T, abs=1e-12)
    logits, targets = batch(12, N, seed=seed)
    close(Forward(T)(logits, targets), Mixture(rate)(logits, targets))


def test_thirty_percent_wrong_of_ten_classes_are_a_third_redrawn():
    assert model_the_noise.redrawn_rate(0.3, 10) == pytest.approx(1 / 3)
    assert model_the_noise.backward_epsilon(0.3) == pytest.approx(-3 / 7)


@quick
@given(st.floats(0.0, 0.99), classes, seeds, st.sampled_from([0.01, 1.0, 10.0]))
def test_the_mixture_costs_at_most_what_smoothing_costs(rate, N, seed, spread):
    """By Jensen: -log of a mean of probabilities against the mean of -log, with the same weights.
    They are equal where all probabilities are."""
    logits, targets = batch(12, N, spread=spread, seed=seed)
    mixture, smoothing = (f(rate, "none")(logits, targets) for f in (Mixture, LabelSmoothing))
    assert (mixture <= smoothing + 1e-12).all()
    flat = torch.zeros_like(logits)
    close(Mixture(rate)(flat, targets), LabelSmoothing(rate)(flat, targets))
    close(gradient(Mixture(rate), flat, targets), gradient(LabelSmoothing(rate), flat, targets))


# ----------------------------------------------------------------------------- where they end


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("q", [[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [1 / 3, 1 / 3, 1 / 3]])
def test_what_each_loss_learns_is_its_least_expected_loss(q, rate):
    q = np.array(q)
    labels = (1 - rate) * q + rate / 3
    backward = Backward(noise.symmetric(3, rate, keep_true=True))
    made = {"CE": CE(), "LabelSmoothing": LabelSmoothing(rate), "Mixture": Mixture(rate),
            "Backward": backward}  # fmt: skip
    learnt = model_the_noise.learnt(q, rate)
    assert set(learnt) == set(made)
    others = np.random.default_rng(0).dirichlet(np.ones(3), size=500).clip(1e-9)
    for name, loss in made.items():
        z = torch.from_numpy(np.log(np.vstack([learnt[name], others]))).requires_grad_()
        costs = [loss.per_sample(z, torch.full((501,), j)) for j in range(3)]
        risk = torch.stack(costs, dim=1) @ torch.from_numpy(labels)
        assert (risk[1:] > risk[0]).all(), name
        assert torch.autograd.grad(risk[0], z)[0][0].abs().max() < 1e-12, name


def test_of_a_sure_sample_ce_learns_the_noise_and_smoothing_twice_of_it():
    learnt = model_the_noise.learnt(np.eye(10)[0], 0.3)
    belief = {name: p[0] for name, p in learnt.items()}
    assert belief == pytest.approx(
        {"CE": 0.73, "LabelSmoothing": 0.541, "Mixture": 1.0, "Backward": 1.0}
    )


def test_a_few_labels_can_send_backward_to_minus_infinity_and_never_the_mixture():
    """All labels of a group are right by chance: no share is left for the noise to explain."""
    backward = Backward(noise.symmetric(10, 0.3, keep_true=True))
    sure = torch.zeros(1, 10, dtype=torch.float64)
    label = torch.tensor([0])
    costs = []
    for size in (1e1, 1e2, 1e3):
        sure[0, 0] = size
        costs.append(backward(sure, label).item())
    assert costs[2] < 9 * costs[1] < 9 * 9 * costs[0] < 0
    assert Mixture(0.3)(sure, label).item() == pytest.approx(-math.log(0.73))


# -------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: model_the_noise.offset(1.0, 10), r"rate=1\.0"),
        (lambda: model_the_noise.offset(0.3, 1), "num_classes=1"),
        (lambda: model_the_noise.redrawn_rate(0.9, 10), r"wrong=0\.9 .* below"),
        (lambda: model_the_noise.redrawn_rate(-0.1, 10), r"wrong=-0\.1"),
        (lambda: model_the_noise.redrawn_rate("0.3", 10), r"wrong='0\.3'"),
        (lambda: model_the_noise.learnt([0.5, 0.6]), "y must be probabilities"),
        (lambda: model_the_noise.dl_dz([0.5, 0.5], [0, 2]), "t must be probabilities"),
        (lambda: model_the_noise.dl_dz([0.5, 0.5], [1]), "one shape"),
        (lambda: model_the_noise.dl_dy(1.0, 1.0), "N >= 2"),
    ],
)
def test_mistakes_are_refused_by_name_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
