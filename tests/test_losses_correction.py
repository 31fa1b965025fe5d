"""The losses that model the noise are their formulas, keep the promises of their papers, and stay
finite; so does L_DMI, the loss of a whole batch."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labelnoise import losses, noise
from labelnoise.losses import (
    CE,
    CORRECTIONS,
    DMI,
    LOSSES,
    Backward,
    Bootstrap,
    Forward,
    LabelSmoothing,
    Loss,
    Mixture,
)
from labelnoise.losses.dmi import joint
from loss_cases import batch, gradient

close = torch.testing.assert_close
quick = settings(deadline=None, derandomize=True, database=None, max_examples=40)

SINGULAR = [[0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.1, 0.0, 0.9]]
SLOPED = [[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.3, 0.1, 0.6]]  # with zeros, and not symmetric
TINY = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.5 - 1e-300, 1e-300]]

PER_SAMPLE: list[Loss] = [
    Mixture(0.0), Mixture(0.3), Mixture(0.99), Mixture(1e-12),
    Forward(np.eye(3)), Forward(SLOPED), Forward(SINGULAR), Forward(noise.symmetric(3, 0.6)),
    Backward(np.eye(3)), Backward(SLOPED), Backward(noise.symmetric(3, 0.6)),
    Bootstrap(), Bootstrap(0.3), Bootstrap(1.0), Bootstrap(hard=True), Bootstrap(0.3, hard=True),
    LabelSmoothing(-0.3 / 0.7),
]  # fmt: skip
EVERY = [*PER_SAMPLE, DMI(), DMI(1e-30), DMI(0.004)]


def shown(loss: Loss) -> str:
    return f"{loss.name}({list(loss.settings().values())})"


every = pytest.mark.parametrize("loss", EVERY, ids=shown)
per_sample = pytest.mark.parametrize("loss", PER_SAMPLE, ids=shown)


def unreduced(loss: Loss) -> Loss:
    return losses.build(loss.name, **loss.settings(), reduction="none")


def random_matrix(K: int, seed: int, spread: float = 1.0) -> np.ndarray:
    """Row-stochastic, and random."""
    scores = np.exp(spread * np.random.default_rng(seed).normal(size=(K, K)))
    return scores / scores.sum(axis=1, keepdims=True)


# -------------------------------------------------------------------------------------- the table


def test_the_corrections_are_a_table_of_their_own():
    assert list(CORRECTIONS) == ["Mixture", "Forward", "Backward", "Bootstrap", "DMI"]
    assert not set(CORRECTIONS) & set(LOSSES)
    for name, loss in CORRECTIONS.items():
        assert getattr(losses, name) is loss


@every
def test_settings_are_plain_json_and_rebuild_the_loss(loss):
    values = json.loads(json.dumps(loss.settings(), allow_nan=False))
    again = losses.build(loss.name, **values)
    assert again.name == loss.name
    assert again.settings() == loss.settings() == values
    logits, targets = batch(K=3)
    assert torch.equal(again(logits, targets), loss(logits, targets))


def test_a_matrix_is_kept_to_the_last_digit_whatever_it_is_given_as():
    T = random_matrix(4, seed=0)
    for given_as in (T, T.tolist(), torch.from_numpy(T), tuple(map(tuple, T))):
        for loss in (Forward(given_as), Backward(given_as)):
            assert loss.settings() == {"T": T.tolist()}
    assert repr(Forward(np.eye(100))) == "Forward(T=[100, 100])"
    assert not Forward(T).state_dict()
    assert not list(Forward(T).parameters())


def test_defaults_are_those_of_the_papers():
    assert Bootstrap().settings() == {"beta": 0.95, "hard": False}
    assert Bootstrap(hard=True).settings() == {"beta": 0.8, "hard": True}
    assert DMI().settings() == {"floor": 1e-17}


# ---------------------------------------------------------------------------- values and gradients


def transcribed(loss: Loss, p: list[float], y: int) -> float:
    """The formula of a loss per sample in plain arithmetic."""
    s, K = loss.settings(), len(p)
    if loss.name == "Mixture":
        return -math.log(s["rate"] / K + (1 - s["rate"]) * p[y])
    if loss.name == "Forward":
        return -math.log(sum(s["T"][i][y] * p[i] for i in range(K)))
    if loss.name == "Backward":
        row = np.linalg.solve(np.transpose(s["T"]), np.eye(K)[y])  # x T = one-hot(y)
        return -sum(w * math.log(v) for w, v in zip(row, p, strict=True))
    if loss.name == "Bootstrap":
        own = [float(k == max(range(K), key=p.__getitem__)) for k in range(K)] if s["hard"] else p
        target = [s["beta"] * (k == y) + (1 - s["beta"]) * own[k] for k in range(K)]
        return -sum(t * math.log(v) for t, v in zip(target, p, strict=True))
    e = s["epsilon"]
    return -sum(((1 - e) * (k == y) + e / K) * math.log(v) for k, v in enumerate(p))


def slope(loss: Loss, p: np.ndarray, y: int) -> np.ndarray:
    """dL/dz in closed form."""
    s, label = loss.settings(), np.eye(len(p))[y]
    if loss.name == "Mixture":
        mixed = s["rate"] / len(p) + (1 - s["rate"]) * p[y]
        return (1 - s["rate"]) * p[y] / mixed * (p - label)
    if loss.name == "Forward":  # p minus the posterior of the true class, given the label
        explains = np.array(s["T"])[:, y] * p
        return p - explains / explains.sum()
    if loss.name == "Backward":
        return p - np.linalg.inv(s["T"])[y]
    if loss.name == "Bootstrap":
        of_entropy = -p * (np.log(p) - (p * np.log(p)).sum())
        own = p - np.eye(len(p))[p.argmax()] if s["hard"] else of_entropy
        return s["beta"] * (p - label) + (1 - s["beta"]) * own
    return p - (1 - s["epsilon"]) * label - s["epsilon"] / len(p)


@per_sample
def test_value_and_gradient_are_the_closed_form(loss):
    logits, targets = batch(K=3)
    value = unreduced(loss)(logits, targets)
    pull = gradient(unreduced(loss), logits, targets)
    assert value.dtype == torch.float64
    for i, (z, y) in enumerate(zip(logits.tolist(), targets.tolist(), strict=True)):
        p = softmax(z)
        assert value[i].item() == pytest.approx(transcribed(loss, p, y), rel=1e-11, abs=1e-13)
        assert pull[i].tolist() == pytest.approx(slope(loss, np.array(p), y), rel=1e-9, abs=1e-11)


def softmax(z: list[float]) -> list[float]:
    return torch.softmax(torch.tensor(z, dtype=torch.float64), dim=0).tolist()


def determinant(U: list[list[float]]) -> float:
    """By the definition: a signed sum over permutations."""
    total = 0.0
    for order in itertools.permutations(range(len(U))):
        swaps = sum(a > b for a, b in itertools.combinations(order, 2))
        total += (-1) ** swaps * math.prod(U[i][j] for i, j in enumerate(order))
    return total


@pytest.mark.parametrize("K", [2, 3, 4])
@pytest.mark.parametrize("floor", [1e-17, 1e-3])
def test_dmi_is_the_logarithm_of_the_determinant_of_the_joint(K, floor):
    logits, targets = batch(B=20, K=K, seed=5)
    U = [[0.0] * K for _ in range(K)]
    for z, y in zip(logits.tolist(), targets.tolist(), strict=True):
        U[y] = [u + v / 20 for u, v in zip(U[y], softmax(z), strict=True)]
    close(joint(logits, targets), torch.tensor(U, dtype=torch.float64))
    det = determinant(U)
    expected = -math.log(abs(det) + floor / K**K)
    assert DMI(floor)(logits, targets).item() == pytest.approx(expected, rel=1e-12)

    def minor(i, j):
        return [[U[a][b] for b in range(K) if b != j] for a in range(K) if a != i]

    by_U = [
        [-math.copysign(1, det) * (-1) ** (i + j) * determinant(minor(i, j)) for j in range(K)]
        for i in range(K)
    ]
    by_U = np.array(by_U) / (abs(det) + floor / K**K)
    pull = gradient(DMI(floor), logits, targets).numpy()
    for row, z, y in zip(pull, logits.tolist(), targets.tolist(), strict=True):
        p = np.array(softmax(z))
        assert row == pytest.approx(p * (by_U[y] - p @ by_U[y]) / 20, rel=1e-9, abs=1e-12)


@every
def test_autograd_agrees_with_finite_differences(loss):
    logits, targets = batch(B=9, K=3, spread=1.5, seed=2)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


@per_sample
def test_reductions_are_consistent(loss):
    logits, targets = batch(K=3)
    none, total, mean = (
        losses.build(loss.name, **loss.settings(), reduction=r)(logits, targets)
        for r in ("none", "sum", "mean")
    )
    assert none.shape == targets.shape
    close(none.sum(), total)
    close(total / len(targets), mean)


# ------------------------------------------------------------------------------------- the extremes


def extreme(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4], [0.0, 0.0, 0.0],
            [90.0, 0.0, -90.0], [-16.5, 0.0, 0.0], [800.0, 90.0, 0.0]]  # fmt: skip
    logits = torch.tensor([row for row in rows for _ in range(3)], dtype=dtype)
    return logits, torch.arange(3).repeat(len(rows))


@pytest.mark.parametrize("loss", [*EVERY, Forward(TINY)], ids=shown)
def test_values_and_gradients_are_finite_at_extreme_logits(loss):
    for dtype in (torch.float32, torch.float64):
        logits, targets = extreme(dtype)
        value, pull = loss(logits, targets), gradient(loss, logits, targets)
        assert value.dtype == pull.dtype == dtype
        assert torch.isfinite(value)
        assert torch.isfinite(pull).all()


@pytest.mark.parametrize("loss", [*EVERY, Forward(TINY)], ids=shown)
def test_under_bfloat16_autocast_nothing_is_computed_in_bfloat16(loss):
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        logits, targets = extreme(torch.float32)
        logits = logits.to(dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value, pull = loss(logits, targets), gradient(loss, logits, targets)
        assert value.dtype == torch.float32
        assert torch.isfinite(pull.float()).all()
        assert torch.equal(value, loss(logits.float(), targets))
        assert torch.equal(pull, gradient(loss, logits, targets))


@every
def test_float32_agrees_with_float64(loss):
    logits, targets = batch(B=60, K=3)
    single = logits.float()
    close(loss(single, targets).double(), loss(single.double(), targets), rtol=1e-5, atol=1e-6)
    exact = gradient(loss, single.double(), targets)
    close(gradient(loss, single, targets).double(), exact, rtol=1e-4, atol=1e-6)


@every
def test_nan_logits_are_not_turned_into_a_number(loss):
    logits, targets = batch(K=3)
    logits[3, 2] = math.nan
    assert torch.isnan(loss(logits, targets))


# --------------------------------------------------------------------------------- transformations


@per_sample
def test_vmap_gives_each_samples_own_loss_and_gradient(loss):
    logits, targets = batch(K=3)

    def one(z, y):
        return loss(z[None], y[None])

    apart = unreduced(loss)
    close(torch.func.vmap(one)(logits, targets), apart(logits, targets))
    pull = torch.func.vmap(torch.func.grad(one))(logits, targets)
    close(pull, gradient(apart, logits, targets))


def test_vmap_gives_the_dmi_of_every_batch():
    logits, targets = batch(B=60, K=3)
    logits, targets = logits.view(4, 15, 3), targets.view(4, 15)
    apart = [DMI()(z, y) for z, y in zip(logits, targets, strict=True)]
    close(torch.func.vmap(DMI())(logits, targets), torch.stack(apart))
    pull = torch.func.vmap(torch.func.grad(DMI()))(logits, targets)
    apart = [gradient(DMI(), z, y) for z, y in zip(logits, targets, strict=True)]
    close(pull, torch.stack(apart))


COMPILED = [Mixture(0.3), Forward(SLOPED), Backward(SLOPED), Bootstrap(), Bootstrap(hard=True),
            DMI()]  # fmt: skip


@pytest.mark.parametrize("loss", COMPILED, ids=shown)
def test_a_compiled_loss_is_the_same_loss(loss):
    logits, targets = batch(K=3)
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    close(compiled(logits, targets), loss(logits, targets))
    close(gradient(compiled, logits, targets), gradient(loss, logits, targets))


@pytest.mark.cuda
@every
def test_a_loss_follows_its_module_to_the_device(loss):
    logits, targets = batch(K=3)
    here = loss(logits, targets)
    there = losses.build(loss.name, **loss.settings()).to("cuda")
    close(there(logits.cuda(), targets.cuda()).cpu(), here)


# ----------------------------------------------------------------------------------- special cases


def same(a: Loss, b: Loss) -> None:
    logits, targets = batch(K=3)
    close(a(logits, targets), b(logits, targets))
    close(gradient(a, logits, targets), gradient(b, logits, targets))


@pytest.mark.parametrize(
    "loss",
    [Mixture(0), Forward(np.eye(3)), Backward(np.eye(3)), Bootstrap(1), Bootstrap(1, hard=True)],
    ids=shown,
)
def test_without_noise_and_with_full_trust_every_correction_is_ce(loss):
    same(loss, CE())


def test_forward_and_backward_undo_a_mere_renaming_of_the_classes():
    logits, targets = batch(K=3)
    renamed = np.eye(3)[[1, 2, 0]]  # true class i is always called i + 1
    expected = CE()(logits, (targets - 1) % 3)
    close(Forward(renamed)(logits, targets), expected)
    close(Backward(renamed)(logits, targets), expected)


def test_the_mixture_stops_pulling_at_labels_that_it_takes_for_noise():
    logits = torch.tensor([[-30.0, 0, 0]], dtype=torch.float64)
    label = torch.tensor([0])
    assert Mixture(0.3)(logits, label).item() == pytest.approx(math.log(3 / 0.3))
    assert gradient(Mixture(0.3), logits, label).abs().max() < 1e-11
    assert gradient(CE(), logits, label).abs().max() > 0.99


def test_a_class_that_cannot_become_the_label_has_no_part_in_forwards_gradient():
    """Given the label 0 under SLOPED the true class is not 1, so p_1 only goes down."""
    pull = gradient(Forward(SLOPED), torch.zeros(1, 3, dtype=torch.float64), torch.tensor([0]))
    close(pull[0], torch.tensor([1 / 3 - 0.7, 1 / 3, 1 / 3 - 0.3], dtype=torch.float64))


def test_bootstrapping_differentiates_the_prediction_inside_its_target():
    """The gradient is that of beta CE + (1 - beta) H(p): with p held constant in the target, the
    second term would have none."""
    logits, targets = batch(K=3)
    z = logits.clone().requires_grad_()
    log_p = torch.log_softmax(z, dim=1)
    ce = CE()(z, targets)
    entropy = -(log_p.exp() * log_p).sum(dim=1).mean()
    (flowing,) = torch.autograd.grad(0.7 * ce + 0.3 * entropy, z, retain_graph=True)
    own = -(log_p.detach().exp() * log_p).sum(dim=1).mean()
    (held,) = torch.autograd.grad(0.7 * ce + 0.3 * own, z)
    close(gradient(Bootstrap(0.7), logits, targets), flowing)
    close(held, 0.7 * gradient(CE(), logits, targets))
    assert (flowing - held).abs().max() > 1e-3


@quick
@given(st.integers(2, 10), st.floats(0.001, 0.999), st.integers(0, 10**6))
def test_values_lie_in_the_documented_ranges(K, rate, seed):
    logits, targets = batch(12, K, spread=30.0, seed=seed)
    T = random_matrix(K, seed)
    sides = torch.from_numpy(-np.log(T)).T[targets]
    for loss, low, top in (
        (Mixture(rate), -math.log(1 - rate + rate / K), math.log(K / rate)),
        (Forward(T), sides.min(dim=1).values, sides.max(dim=1).values),
        (Bootstrap(rate), 0, math.inf),
        (Bootstrap(rate, hard=True), 0, math.inf),
    ):
        value = unreduced(loss)(logits, targets)
        assert (value >= low - 1e-9).all()
        assert (value <= top + 1e-9).all()
    value = DMI(1e-17)(*batch(12 + K, K, spread=30.0, seed=seed))
    assert K * math.log(K) - 1e-9 <= value <= K * math.log(K) + 17 * math.log(10) + 1e-9


# --------------------------------------------------------------------------- theorems of the papers


def posterior(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(3)) * 0.9 + 0.1 / 3


def expected(loss: Loss, z: torch.Tensor, label: np.ndarray) -> torch.Tensor:
    """The mean loss ``[n]`` of the logits ``[n, K]`` over labels of the given distribution."""
    one_label = [torch.full((len(z),), j) for j in range(len(label))]
    costs = [unreduced(loss).per_sample(z, labels) for labels in one_label]
    return torch.stack(costs, dim=1) @ torch.from_numpy(label)


@quick
@given(st.integers(0, 10**6), st.sampled_from(["random", "symmetric", "SLOPED"]))
def test_forward_under_noise_is_least_at_the_clean_posterior(seed, kind):
    """Patrini et al., theorem 2. The excess risk of an answer p is KL(T^T q || T^T p): 0 at p = q,
    and for a non-singular T nowhere else."""
    T = {"random": random_matrix(3, seed, spread=1.5), "symmetric": noise.symmetric(3, 0.5),
         "SLOPED": np.array(SLOPED)}[kind]  # fmt: skip
    q = posterior(seed)
    noisy = q @ T
    answers = np.random.default_rng(seed).dirichlet(np.ones(3), size=300).clip(1e-9)
    at_q = torch.from_numpy(np.log(q))[None].requires_grad_()
    least = expected(Forward(T), at_q, noisy)
    excess = (expected(Forward(T), torch.from_numpy(np.log(answers)), noisy) - least).detach()
    p = answers / answers.sum(axis=1, keepdims=True)
    divergence = (noisy * np.log(noisy / (p @ T))).sum(axis=1)
    close(excess, torch.from_numpy(divergence), rtol=1e-6, atol=1e-12)
    assert (excess > 0).all()
    assert torch.autograd.grad(least.sum(), at_q)[0].abs().max() < 1e-12


def test_the_minimum_of_forward_is_found_by_descent():
    T, q = np.array(SLOPED), np.array([0.2, 0.5, 0.3])
    z = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.LBFGS([z], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-15,
                                line_search_fn="strong_wolfe")  # fmt: skip

    def closure():
        descent.zero_grad()
        risk = expected(Forward(T), z, q @ T).sum()
        risk.backward()
        return risk

    descent.step(closure)
    close(z.detach().softmax(dim=1)[0], torch.from_numpy(q), rtol=0, atol=1e-6)


def test_forward_under_a_singular_noise_cannot_tell_the_merged_classes_apart():
    answers = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])  # classes 0 and 1 have one row of T
    risks = expected(Forward(SINGULAR), torch.from_numpy(np.log(answers)), answers[0] @ SINGULAR)
    close(risks[0], risks[1])


@quick
@given(st.integers(2, 10), st.integers(0, 10**6))
def test_backward_under_noise_costs_what_ce_costs_without(K, seed):
    """Patrini et al., theorem 1: for every true class and every prediction."""
    T = 0.3 * random_matrix(K, seed) + 0.7 * np.eye(K)
    logits, _ = batch(5, K, seed=seed)
    costs = [unreduced(Backward(T)).per_sample(logits, torch.full((5,), j)) for j in range(K)]
    clean = -torch.log_softmax(logits, dim=1)
    close(torch.stack(costs, dim=1) @ torch.from_numpy(T).T, clean, rtol=1e-9, atol=1e-9)


def noisy_joint(K: int, seed: int, spread: float = 2.0):
    """The joint of true class and prediction of a random network, and a random T."""
    z = spread * np.random.default_rng(seed).normal(size=(200, K))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    true = np.random.default_rng(seed + 1).integers(K, size=200)
    U = np.zeros((K, K))
    np.add.at(U, true, p / 200)
    return U, 0.4 * random_matrix(K, seed) + 0.6 * np.eye(K)


@quick
@given(st.integers(2, 8), st.integers(0, 10**6))
def test_noise_multiplies_the_determinant_of_the_joint_by_that_of_T(K, seed):
    """Every sample is given each label j in the share T[i, j], as an infinite data set has it."""
    U, T = noisy_joint(K, seed)
    clean, noisy = (np.linalg.slogdet(each)[1] for each in (U, T.T @ U))
    assert noisy == pytest.approx(clean + np.linalg.slogdet(T)[1], abs=1e-9)


def repeated(logits: torch.Tensor, true: torch.Tensor, T: np.ndarray, times: int):
    """A data set in which the labels follow T exactly: sample b is there ``times`` times, with the
    label j in times T[y_b, j] of them."""
    counts = np.rint(times * T).astype(int)
    assert (counts.sum(axis=1) == times).all()
    noisy = [np.repeat(np.arange(len(T)), counts[y]) for y in true.tolist()]
    return logits.repeat_interleave(times, dim=0), torch.from_numpy(np.concatenate(noisy))


def test_noise_adds_a_constant_to_dmi_and_keeps_the_order_of_networks():
    T = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.0, 0.3, 0.7]])
    true = torch.arange(30) % 3
    shift = -math.log(abs(np.linalg.det(T)))
    clean, noisy = [], []
    for seed in range(8):
        logits, _ = batch(30, 3, seed=seed)
        clean.append(DMI()(logits, true).item())
        noisy.append(DMI()(*repeated(logits, true, T, times=10)).item())
        assert noisy[-1] - clean[-1] == pytest.approx(shift, abs=1e-9)
    assert np.argsort(noisy).tolist() == np.argsort(clean).tolist()


@quick
@given(st.integers(2, 6), st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_dmi_sees_neither_the_order_of_samples_nor_the_names_of_outputs_or_labels(K, seed, random):
    logits, targets = batch(40, K, spread=1.0, seed=seed)
    value = DMI()(logits, targets)
    samples, outputs, names = (list(range(n)) for n in (40, K, K))
    for order in (samples, outputs, names):
        random.shuffle(order)
    near = {"rtol": 1e-6, "atol": 1e-6}
    close(DMI()(logits[samples], targets[samples]), value, **near)
    close(DMI()(logits[:, outputs], targets), value, **near)
    close(DMI()(logits, torch.tensor(names)[targets]), value, **near)


def test_dmi_is_least_for_a_perfect_network_on_balanced_labels():
    targets = torch.arange(40) % 4
    perfect = 1e3 * torch.eye(4, dtype=torch.float64)[targets]
    least = DMI(1e-17)(perfect, targets)
    assert least.item() == pytest.approx(4 * math.log(4))
    for seed in range(20):
        assert DMI(1e-17)(batch(40, 4, seed=seed)[0], targets) > least


@pytest.mark.parametrize(("B", "K"), [(2, 2), (3, 2), (4, 2), (3, 3)])
def test_the_determinant_of_a_batch_is_right_up_to_a_constant_of_its_size(B, K):
    """Over all batches of B draws from five samples the mean of det U is B! / ((B-K)! B^K) times
    the determinant of all."""
    logits, _ = batch(5, K, seed=3)
    targets = torch.tensor([0, 1, K - 1, 0, 1])
    dets = [
        torch.linalg.det(joint(logits[list(draw)], targets[list(draw)])).item()
        for draw in itertools.product(range(5), repeat=B)
    ]
    factor = math.perm(B, K) / B**K
    whole = torch.linalg.det(joint(logits, targets)).item()
    assert np.mean(dets) == pytest.approx(factor * whole, rel=1e-9)


def test_the_floor_of_public_code_is_a_floor_of_ours():
    """-log(|det| + 0.001) of counts (CIFAR-10) and of shares (Fashion-MNIST)."""
    logits, targets = batch(B=128, K=3)
    counts = torch.eye(3, dtype=torch.float64)[targets].T @ logits.softmax(dim=1)
    of_counts = -torch.log(torch.linalg.det(counts).abs() + 0.001)
    of_shares = -torch.log(torch.linalg.det(counts / 128).abs() + 0.001)
    close(DMI(0.001 * (3 / 128) ** 3)(logits, targets) - 3 * math.log(128), of_counts)
    close(DMI(0.001 * 3**3)(logits, targets), of_shares)


# ------------------------------------------------------------------------------- singular batches

THREE = torch.arange(24) % 3
SINGULAR_BATCHES = {
    "a class is missing": (batch(K=3)[0], torch.arange(24) % 2),
    "one class only": (batch(K=3)[0], torch.zeros(24, dtype=torch.int64)),
    "the network is constant": (torch.zeros(24, 3), THREE),
    "an output is never used": (torch.tensor([[9.0, 1.0, -1e4]]).repeat(24, 1), THREE),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", SINGULAR_BATCHES)
def test_a_singular_joint_has_a_finite_value_and_no_gradient(case, dtype):
    logits, targets = SINGULAR_BATCHES[case]
    logits = logits.to(dtype)
    ceiling = 3 * math.log(3) - math.log(1e-6)
    assert DMI(1e-6)(logits, targets).item() == pytest.approx(ceiling, abs=1e-5)
    assert (gradient(DMI(1e-6), logits, targets) == 0).all()


def test_a_nearly_singular_joint_has_a_gradient_that_is_finite():
    alike = 5 * torch.eye(3)[[0, 0, 2] * 8]  # classes 0 and 1: det U is 0 up to rounding
    for floor in (1e-30, 1e-17, 1e-3):
        assert torch.isfinite(DMI(floor)(alike, THREE))
        assert gradient(DMI(floor), alike, THREE).abs().max() < 1 / floor
    for size in (1e-1, 1e-3, 1e-8, 1e-100, 1e-300):
        logits = torch.zeros(24, 3, dtype=torch.float64)
        logits[0, 0] = size
        pull = gradient(DMI(), logits, torch.arange(24) % 3)
        assert torch.isfinite(pull).all()
    for top in (300.0, 690.0, 712.0, 740.0, 1e4):  # det down to 1e-300 and below
        logits = torch.tensor([[top, 0.0], [top, 1.0]], dtype=torch.float64)
        labels = torch.tensor([0, 1])
        assert torch.isfinite(DMI(1e-30)(logits, labels))
        assert torch.isfinite(gradient(DMI(1e-30), logits, labels)).all()


@pytest.mark.parametrize("top", [20.0, 40.0, 60.0])
def test_a_determinant_far_below_rounding_still_counts(top):
    """p = (1 - a, a) and (1 - b, b): det(2 U) = b - a, here down to 1e-26."""
    logits = torch.tensor([[top, 0.0], [top, 1.0]], dtype=torch.float64)
    a, b = (1 / (1 + math.exp(top - shift)) for shift in (0, 1))
    value = DMI(1e-30)(logits, torch.tensor([0, 1]))
    assert value.item() == pytest.approx(2 * math.log(2) - math.log(b - a + 1e-30))
    assert gradient(DMI(1e-30), logits, torch.tensor([0, 1])).abs().max() > 0.1


@pytest.mark.parametrize(("K", "teaches"), [(10, True), (20, True), (50, False)])
def test_dmi_is_below_its_floor_with_many_classes(K, teaches):
    """Three answers of four right: the limit that the docstring of DMI states."""
    draw = torch.Generator().manual_seed(0)
    targets = torch.randint(K, (40 * K,), generator=draw)
    logits = torch.randn(len(targets), K, generator=draw, dtype=torch.float64)
    logits += 2.6 * torch.nn.functional.one_hot(targets, K)
    pull = gradient(DMI(), logits, targets).norm()
    assert pull > 0.05 if teaches else pull < 1e-12


# -------------------------------------------------------------------------------------- bad input

Z, Y = torch.zeros(6, 3), torch.arange(6) % 3
REFUSED = {
    "rate 1": ("Mixture", {"rate": 1.0}, r"rate=1\.0 must be .* below 1: .*e\.g\. 0\.3 for 30 %"),
    "rate -": ("Mixture", {"rate": -0.1}, r"rate=-0\.1 must be a number of at least 0"),
    "rate percent": ("Mixture", {"rate": 30}, r"rate=30 must be"),
    "rate nan": ("Mixture", {"rate": math.nan}, r"rate=nan must be"),
    "rate flag": ("Mixture", {"rate": True}, r"rate=True must be"),
    "rate missing": ("Mixture", {}, r"loss Mixture: .*rate"),
    "T missing": ("Forward", {}, r"loss Forward: .*'T'"),
    "T text": ("Forward", {"T": "symmetric"}, r"T must be a \[K, K\] matrix of numbers.* got str"),
    "T ragged": ("Backward", {"T": [[1.0], [0.5, 0.5]]}, r"T must be a \[K, K\] matrix.* got list"),
    "T none": ("Forward", {"T": None}, r"T must have two dimensions"),
    "T wide": ("Forward", {"T": [[0.5, 0.5]]}, r"T must be square"),
    "T one class": ("Forward", {"T": [[1.0]]}, r"T must be square \[K, K\] with K >= 2"),
    "T columns": ("Forward", {"T": np.transpose(SLOPED)}, r"row-stochastic.*transpose it"),
    "T negative": ("Forward", {"T": [[1.1, -0.1], [0, 1]]}, r"T must hold probabilities"),
    "T nan": ("Forward", {"T": [[math.nan, 1], [0, 1]]}, r"T must hold probabilities"),
    "T no label": ("Forward", {"T": [[1, 0], [1, 0]]}, r"column 1 of T is all zeros.*mix in"),
    "T singular": ("Backward", {"T": SINGULAR}, r"T is singular .*Forward\(T\) needs no inverse"),
    "T flat": ("Backward", {"T": noise.symmetric(10, 0.9)}, r"T is singular or nearly so"),
    "T nearly": ("Backward", {"T": noise.symmetric(10, 0.9 - 1e-7)}, r"\(condition number \d"),
    "beta 0": ("Bootstrap", {"beta": 0}, r"beta=0 must be a number above 0 and at most 1"),
    "beta 2": ("Bootstrap", {"beta": 2.0}, r"beta=2\.0 must be a number above 0 and at most 1"),
    "hard": ("Bootstrap", {"hard": 1}, r"hard=1 must be True or False"),
    "floor 0": ("DMI", {"floor": 0}, r"floor=0 must be a number in \[1e-30, 1\]"),
    "floor 2": ("DMI", {"floor": 2}, r"floor=2 must be a number in \[1e-30, 1\]"),
    "floor text": ("DMI", {"floor": "0.001"}, r"floor='0\.001' must be a number"),
    "sum": ("DMI", {"reduction": "sum"}, r"reduction='sum' is not possible: .*whole batch"),
    "none": ("DMI", {"reduction": "none"}, r"reduction='none' is not possible: .*no value per "),
    "reduction": ("DMI", {"reduction": "max"}, r"reduction='max' is unknown; known: mean"),
    "parameter": ("DMI", {"T": SLOPED}, r"loss DMI: .*'T'"),
    "smoothing": ("LabelSmoothing", {"epsilon": 1.0}, r"epsilon=1\.0 must be a number below 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_refused_by_name_and_value(case):
    name, parameters, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        losses.build(name, **parameters)


REFUSED_CALLS = {
    "forward K": (Forward(np.eye(4)), Z, Y, r"T is for 4 classes, but the logits have 3"),
    "backward K": (Backward(np.eye(2)), Z, Y, r"T is for 2 classes, but the logits have 3"),
    "small batch": (DMI(), Z[:2], Y[:2], r"batch of 2 samples is too small for DMI with 3 classe"),
}
for loss in COMPILED:
    REFUSED_CALLS[f"{shown(loss)} shape"] = (loss, Z, Y[:4], r"share one batch .* got 6 and 4")
    REFUSED_CALLS[f"{shown(loss)} dtype"] = (loss, Z, Y.int(), r"targets must be int64")


@pytest.mark.parametrize("case", REFUSED_CALLS)
def test_a_call_refuses_what_does_not_fit(case):
    loss, logits, targets, message = REFUSED_CALLS[case]
    with pytest.raises(ValueError, match=message):
        loss(logits, targets)


def test_dmi_refuses_to_be_split_into_samples():
    with pytest.raises(ValueError, match="no value per sample"):
        DMI().per_sample(Z, Y)
    DMI()(Z[:3], Y[:3])  # as many samples as classes are enough


def test_backward_allows_what_float32_can_carry():
    T = noise.symmetric(10, 0.9 - 1e-4)  # condition number 9000
    logits, targets = batch(K=10)
    assert torch.isfinite(Backward(T)(logits.float(), targets))
