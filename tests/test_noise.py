"""Transition matrices are what they claim, and the labels drawn from them follow them exactly."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from labelnoise import data, noise
from labelnoise.checks import check_matrix
from labelnoise.noise.matrices import CIFAR100_SUPERCLASSES
from labelnoise.seeds import stream

quick = settings(deadline=None, derandomize=True, database=None, max_examples=60)
CLASSES = st.integers(2, 40)
RATES = st.floats(0, 1)
SEEDS = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def mnist_labels() -> np.ndarray:
    return data.load("mnist", "train")[1]


def sha256(labels: np.ndarray) -> str:
    return hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()


def row_p_values(labels: np.ndarray, noisy: np.ndarray, T: np.ndarray) -> np.ndarray:
    """For each class the probability of counts at least as far from n T[i] under the multinomial
    with row T[i]: Pearson's chi-square, and 0 where something impossible happened."""
    p = []
    for i, row in enumerate(T):
        observed = np.bincount(noisy[labels == i], minlength=len(T))
        possible = row > 0
        if observed[~possible].any():
            p.append(0.0)
        elif possible.sum() == 1:
            p.append(1.0)
        else:
            expected = observed.sum() * row[possible]
            assert expected.min() > 5, "too few samples for a chi-square"
            p.append(stats.chisquare(observed[possible], expected).pvalue)
    return np.array(p)


def follows(labels: np.ndarray, T: np.ndarray, claimed: np.ndarray) -> bool:
    """Whether labels drawn from ``T`` spread around ``claimed`` as the multinomial says.

    If they do, the p-values are uniform: Kolmogorov and Smirnov's test over all classes and 40
    seeds. It sees a wrong mean (small p-values) and a wrong spread, above or below, and it needs
    no lucky seed: class 2 of seed 4 alone has p = 6e-5, which 4000 such rows do hold now and then.
    """
    varied = ((claimed > 0) & (claimed < 1)).any(axis=1)
    p = [
        row_p_values(labels, noise.corrupt(labels, T, seed)[0], claimed)[varied]
        for seed in range(40)
    ]
    return stats.kstest(np.concatenate(p), "uniform").pvalue > 0.001


# ------------------------------------------------------------------------------- the matrices


def matrices(K: int, rate: float) -> dict[str, np.ndarray]:
    return {
        "symmetric": noise.symmetric(K, rate),
        "keep_true": noise.symmetric(K, rate, keep_true=True),
        "pairflip": noise.pairflip(K, rate),
        "mnist": noise.asymmetric("mnist", rate),
        "fashion_mnist": noise.asymmetric("fashion_mnist", rate),
        "cifar10": noise.asymmetric("cifar10", rate),
        "cifar100": noise.asymmetric("cifar100", rate),
        "consecutive": noise.asymmetric("cifar100-consecutive", rate),
        "independent": noise.dmi("independent", rate),
        "dependent-a": noise.dmi("dependent-a", rate),
        "dependent-b": noise.dmi("dependent-b", rate),
        "cifar10-dependent": noise.dmi("cifar10-dependent", rate),
    }


@quick
@given(K=CLASSES, rate=RATES)
def test_rows_are_probabilities_that_sum_to_one(K, rate):
    for name, T in matrices(K, rate).items():
        assert T.min() >= 0, name
        np.testing.assert_allclose(T.sum(axis=1), 1, rtol=0, atol=1e-12, err_msg=name)
        assert check_matrix(T) is not None


@quick
@given(K=CLASSES, rate=RATES)
def test_symmetric_noise_is_uniform_over_the_others_or_over_all(K, rate):
    for i in range(K):
        for j in range(K):
            same = i == j
            others = 1 - rate if same else rate / (K - 1)
            every = (1 - rate if same else 0) + rate / K
            assert noise.symmetric(K, rate)[i, j] == pytest.approx(others, abs=1e-15)
            assert noise.symmetric(K, rate, keep_true=True)[i, j] == pytest.approx(every, abs=1e-15)


@quick
@given(K=CLASSES, rate=RATES)
def test_pairflip_goes_to_the_next_class(K, rate):
    T = np.zeros((K, K))
    for i in range(K):
        T[i, i] += 1 - rate
        T[i, (i + 1) % K] += rate
    np.testing.assert_array_equal(noise.pairflip(K, rate), T)


BY_NAME = {
    "mnist": {"7": "1", "2": "7", "5": "6", "6": "5", "3": "8"},
    "fashion_mnist": {
        "Ankle boot": "Sneaker",
        "Sneaker": "Sandal",
        "Pullover": "Shirt",
        "Coat": "Dress",
        "Dress": "Coat",
    },
    "cifar10": {
        "truck": "automobile",
        "bird": "airplane",
        "deer": "horse",
        "cat": "dog",
        "dog": "cat",
    },
}


def by_name(dataset: str, flips: dict[str, str], rate: float) -> np.ndarray:
    names = data.INFO[dataset].class_names
    T = np.eye(len(names))
    for true, wrong in flips.items():
        T[names.index(true), names.index(true)] = 1 - rate
        T[names.index(true), names.index(wrong)] = rate
    return T


@pytest.mark.parametrize("dataset", BY_NAME)
def test_asymmetric_noise_confuses_the_classes_that_the_papers_name(dataset):
    T = by_name(dataset, BY_NAME[dataset], 0.3)
    np.testing.assert_array_equal(noise.asymmetric(dataset, 0.3), T)


# Krizhevsky's table, in the order of the label ids, which is alphabetical.
SUPERCLASSES = """
    beaver dolphin otter seal whale | aquarium_fish flatfish ray shark trout
    orchid poppy rose sunflower tulip | bottle bowl can cup plate
    apple mushroom orange pear sweet_pepper | clock keyboard lamp telephone television
    bed chair couch table wardrobe | bee beetle butterfly caterpillar cockroach
    bear leopard lion tiger wolf | bridge castle house road skyscraper
    cloud forest mountain plain sea | camel cattle chimpanzee elephant kangaroo
    fox porcupine possum raccoon skunk | crab lobster snail spider worm
    baby boy girl man woman | crocodile dinosaur lizard snake turtle
    hamster mouse rabbit shrew squirrel | maple_tree oak_tree palm_tree pine_tree willow_tree
    bicycle bus motorcycle pickup_truck train | lawn_mower rocket streetcar tank tractor
"""


def test_cifar100_superclasses_partition_the_labels():
    assert sorted(sum(CIFAR100_SUPERCLASSES, ())) == list(range(100))
    names = data.INFO["cifar100"].class_names
    ours = {tuple(names[c] for c in group) for group in CIFAR100_SUPERCLASSES}
    assert ours == {
        tuple(group.split()) for row in SUPERCLASSES.strip().split("\n") for group in row.split("|")
    }


def test_cifar100_flips_to_the_next_class_of_the_superclass():
    flips = {}
    for row in SUPERCLASSES.strip().split("\n"):
        for group in row.split("|"):
            members = group.split()
            flips |= dict(zip(members, members[1:] + members[:1], strict=True))
    T = by_name("cifar100", flips, 0.4)
    np.testing.assert_array_equal(noise.asymmetric("cifar100", 0.4), T)


def test_the_consecutive_variant_is_another_noise_and_says_so():
    T = noise.asymmetric("cifar100-consecutive", 0.4)
    for i in range(100):
        following = i + 1 if i % 5 < 4 else i - 4
        assert (T[i, i], T[i, following]) == (0.6, 0.4)
    assert not np.array_equal(T, noise.asymmetric("cifar100", 0.4))


def test_dmi_patterns_are_those_of_its_paper():
    np.testing.assert_allclose(noise.dmi("independent", 0.3), [[0.85, 0.15], [0.15, 0.85]])
    np.testing.assert_array_equal(noise.dmi("dependent-a", 0.25), [[0.75, 0.25], [0, 1]])
    np.testing.assert_array_equal(noise.dmi("dependent-b", 0.25), [[1, 0], [0.25, 0.75]])
    flips = {k: v for k, v in BY_NAME["cifar10"].items() if k != "dog"}  # the dog stays a dog
    T = by_name("cifar10", flips, 0.6)
    np.testing.assert_array_equal(noise.dmi("cifar10-dependent", 0.6), T)


# --------------------------------------------------------------------------- drawing the labels


def drawn_slowly(labels: np.ndarray, T: np.ndarray, seed: int) -> list[int]:
    """The specification: inverse CDF on the upper 53 bits of raw PCG64 outputs, one by one."""
    bits = np.random.PCG64(stream(seed, "noise"))
    noisy = []
    for y in labels:
        u = (int(bits.random_raw()) >> 11) / 2**53
        below, j = 0.0, 0
        while j < len(T) - 1 and u >= below + T[y, j]:
            below, j = below + T[y, j], j + 1
        noisy.append(j)
    return noisy


@quick
@given(K=st.integers(2, 12), rate=RATES, seed=SEEDS, keep_true=st.booleans())
def test_labels_are_drawn_by_the_inverse_cdf(K, rate, seed, keep_true):
    T = noise.symmetric(K, rate, keep_true=keep_true)
    labels = np.arange(50) % K
    noisy, flipped = noise.corrupt(labels, T, seed)
    assert noisy.tolist() == drawn_slowly(labels, T, seed)
    assert noisy.dtype == np.int64
    assert flipped.tolist() == [a != b for a, b in zip(labels, noisy, strict=True)]


@quick
@given(K=CLASSES, seed=SEEDS, exact=st.booleans())
def test_the_true_label_is_never_drawn_unless_asked(K, seed, exact):
    labels = np.arange(3000) % K
    noisy, flipped = noise.corrupt(labels, noise.symmetric(K, 1.0), seed, exact=exact)
    assert flipped.all()
    assert (noisy != labels).all()
    asked = noise.symmetric(K, 1.0, keep_true=True)
    assert not noise.corrupt(labels, asked, seed, exact=exact)[1].all()


@quick
@given(K=CLASSES, seed=SEEDS, exact=st.booleans())
def test_rate_zero_changes_nothing(K, seed, exact):
    labels = np.arange(500) % K
    noisy, flipped = noise.corrupt(labels, noise.symmetric(K, 0.0), seed, exact=exact)
    assert not flipped.any()
    assert (noisy == labels).all()


@quick
@given(K=st.integers(2, 12), seed=SEEDS, data_=st.data())
def test_nothing_of_probability_zero_ever_happens(K, seed, data_):
    weights = data_.draw(
        st.lists(
            st.lists(st.integers(0, 3), min_size=K, max_size=K).filter(any), min_size=K, max_size=K
        )
    )
    T = np.array(weights, dtype=float)
    T /= T.sum(axis=1, keepdims=True)
    labels = np.arange(400) % K
    for exact in (False, True):
        noisy, _ = noise.corrupt(labels, T, seed, exact=exact)
        assert (T[labels, noisy] > 0).all()


class LargestDraws:
    """A PCG64 whose every output has all 64 bits set."""

    def __init__(self, seed: int):
        pass

    def random_raw(self, n: int) -> np.ndarray:
        return np.full(n, 2**64 - 1, dtype=np.uint64)


def test_the_largest_draw_stays_among_the_possible_labels(monkeypatch):
    """Ten times 0.1 is below 1 in floats, and a uniform number must never round up to 1: neither
    may push a label off the end, or into a class of probability 0."""
    monkeypatch.setattr(np.random, "PCG64", LargestDraws)
    T = np.full((11, 11), 0.1)
    T[:, 10] = 0
    assert np.cumsum(T[0])[-1] < 1
    assert (noise.corrupt(np.arange(11), T, 0)[0] == 9).all()
    assert (noise.corrupt(np.arange(3), np.full((3, 3), 1 / 3), 0)[0] == 2).all()


@quick
@given(K=st.integers(2, 12), rate=RATES, seed=SEEDS)
def test_exact_gives_exact_counts(K, rate, seed):
    labels = np.repeat(np.arange(K), np.arange(20, 20 + K))
    T = noise.symmetric(K, rate)
    noisy, _ = noise.corrupt(labels, T, seed, exact=True)
    for i in range(K):
        counts = np.bincount(noisy[labels == i], minlength=K)
        assert counts.sum() == 20 + i
        assert (np.abs(counts - T[i] * (20 + i)) < 1).all()


def test_exact_gives_exactly_the_published_cifar_counts():
    labels = np.repeat(np.arange(10), 5000)
    noisy, flipped = noise.corrupt(labels, noise.asymmetric("cifar10", 0.4), 1, exact=True)
    pairs = {(9, 1), (2, 0), (4, 7), (3, 5), (5, 3)}
    changes, counts = np.unique(
        np.stack([labels[flipped], noisy[flipped]]), axis=1, return_counts=True
    )
    assert {tuple(pair) for pair in changes.T.tolist()} == pairs
    assert counts.tolist() == [2000] * 5


def test_exact_flips_different_positions_for_different_seeds():
    labels = np.arange(1000) % 10
    T = noise.symmetric(10, 0.5)
    _, a = noise.corrupt(labels, T, 0, exact=True)
    _, b = noise.corrupt(labels, T, 1, exact=True)
    assert a.sum() == b.sum() == 500
    assert 150 < (a & b).sum() < 350  # independent: 250 expected


def test_flips_are_the_same_on_every_platform_and_numpy():
    raw = np.random.PCG64(stream(0, "noise")).random_raw(4).tolist()
    assert raw == [
        422265401405490659,
        15537757425846952156,
        12832439901687760105,
        2272334197008615933,
    ]
    labels, T = np.arange(1000) % 10, noise.symmetric(10, 0.6)
    drawn, exact = (noise.corrupt(labels, T, 0, exact=exact)[0] for exact in (False, True))
    assert drawn[:12].tolist() == [0, 7, 5, 1, 4, 4, 3, 7, 4, 8, 5, 9]
    assert sha256(drawn) == "a24cba8d4e580f897a2dcf283b30051189aca2a2854aef479704dd7ecec49a79"
    assert sha256(exact) == "af45738eda432539efadc556e1833fcac1f26bd5bc88a176fa0751ba7ceeec60"


def test_flips_do_not_depend_on_what_was_drawn_before():
    labels, T = np.arange(1000) % 10, noise.symmetric(10, 0.6)
    first = noise.corrupt(labels, T, 5)[0]
    np.random.seed(1)  # noqa: NPY002 (the global generator is the point)
    noise.corrupt(labels, T, 6)
    assert np.array_equal(noise.corrupt(labels, T, 5)[0], first)


def test_labels_are_not_changed_in_place():
    labels = np.arange(100) % 10
    noise.corrupt(labels, noise.symmetric(10, 1.0), 0)
    noise.corrupt(labels, noise.symmetric(10, 1.0), 0, exact=True)
    assert (labels == np.arange(100) % 10).all()


# ------------------------------------------------------------------------- real labels of MNIST


def test_the_headline_flips_on_mnist_are_frozen(mnist_labels):
    headline = noise.corrupt(mnist_labels, noise.symmetric(10, 0.6), 0)[0]
    assert sha256(headline) == "16b1ec1b1808d4292f77964facf1f8e645e86fa495e576b50a60cd5929e692df"
    other = noise.corrupt(mnist_labels, noise.asymmetric("mnist", 0.4), 3)[0]
    assert sha256(other) == "f57fb3ff514d9b46bcaf6aa31479bf179525f9c953318dee3b70adf0e7b89dcf"


@pytest.mark.parametrize("kind", ["symmetric", "keep_true", "pairflip", "mnist"])
def test_realised_noise_per_class_on_mnist_is_the_matrix(mnist_labels, kind):
    T = matrices(10, 0.6)[kind]
    assert follows(mnist_labels, T, T)


@pytest.mark.parametrize("kind", ["symmetric", "mnist"])
def test_realised_noise_over_the_headline_seeds_is_the_matrix(mnist_labels, kind):
    """The five seeds of the headline together: 50 rows pooled into 10."""
    T = matrices(10, 0.6)[kind]
    noisy = np.concatenate([noise.corrupt(mnist_labels, T, seed)[0] for seed in range(5)])
    assert row_p_values(np.tile(mnist_labels, 5), noisy, T).min() * len(T) > 0.01


@pytest.mark.parametrize(
    "wrong",
    [
        noise.symmetric(10, 0.6, keep_true=True),  # the other convention
        noise.symmetric(10, 0.59),
        0.99 * noise.symmetric(10, 0.6) + 0.01 * np.eye(10)[[0] * 10],  # some draws end at class 0
        noise.asymmetric("mnist", 0.6),
        noise.pairflip(10, 0.6),
    ],
    ids=["keep_true", "rate", "biased", "asymmetric", "pairflip"],
)
def test_a_wrong_matrix_fails_the_same_check(mnist_labels, wrong):
    assert not follows(mnist_labels, noise.symmetric(10, 0.6), wrong)


def test_the_previous_class_is_not_the_next(mnist_labels):
    """A transposed matrix that is row-stochastic too: only the realised noise can tell."""
    assert not follows(mnist_labels, noise.pairflip(10, 0.4), noise.pairflip(10, 0.4).T)


def test_a_wrong_spread_fails_the_same_check(mnist_labels, monkeypatch):
    """Exact counts have the right mean and no spread at all: they are no independent draws."""
    T, corrupt = noise.symmetric(10, 0.6), noise.corrupt
    monkeypatch.setattr(noise, "corrupt", lambda y, T, seed: corrupt(y, T, seed, exact=True))
    assert not follows(mnist_labels, T, T)


def test_one_class_flipped_too_rarely_is_found(mnist_labels):
    T = noise.symmetric(10, 0.6)
    noisy, flipped = noise.corrupt(mnist_labels, T, 0)
    assert row_p_values(mnist_labels, noisy, T)[3] > 0.01
    noisy[np.flatnonzero(flipped & (mnist_labels == 3))[:250]] = 3
    assert row_p_values(mnist_labels, noisy, T)[3] < 1e-6


@pytest.mark.parametrize(("keep_true", "rate"), [(False, 0.6), (True, 0.54)])
def test_the_two_conventions_differ_in_their_realised_rate(mnist_labels, keep_true, rate):
    T = noise.symmetric(10, 0.6, keep_true=keep_true)
    flips = sum(int(noise.corrupt(mnist_labels, T, seed)[1].sum()) for seed in range(5))
    low, high = stats.binom.interval(0.999, 5 * len(mnist_labels), rate)
    assert low <= flips <= high


def test_realised_counts_what_happened():
    labels, noisy = np.array([0, 0, 0, 1]), np.array([0, 2, 2, 1])
    T = noise.realised(labels, noisy, 3)
    np.testing.assert_allclose(T[:2], [[1 / 3, 0, 2 / 3], [0, 1, 0]])
    assert np.isnan(T[2]).all()


# ---------------------------------------------------------------------- instance-dependent noise


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", "train")


def test_instance_rows_are_probabilities_with_the_true_class_at_one_minus_q(digits):
    images, labels = digits
    rows = noise.instance_rows(images, labels, 10, 0.4, 0)
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-12)
    q = 1 - rows[np.arange(len(labels)), labels]
    expected = []  # Box and Muller on the stream, one sample after the other
    bits = np.random.PCG64(stream(0, "instance-noise"))
    u = [(int(r) >> 11) / 2**53 for r in bits.random_raw(2 * len(labels))]
    for a, b in zip(u[: len(labels)], u[len(labels) :], strict=True):
        normal = math.sqrt(-2 * math.log(1 - a)) * math.cos(2 * math.pi * b)
        expected.append(0.4 + 0.1 * normal)
    assert min(expected) > 0, "nothing to truncate at this rate"
    np.testing.assert_allclose(q, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6])
def test_instance_noise_has_the_nominal_rate_on_average(digits, rate):
    images, labels = digits
    rows = noise.instance_rows(images, labels, 10, rate, 1)
    q = 1 - rows[np.arange(len(labels)), labels]
    assert q.mean() == pytest.approx(rate, abs=4 * 0.1 / math.sqrt(len(q)) + 0.006)  # truncation
    assert q.std() == pytest.approx(0.1, rel=0.1)
    _, flipped = noise.corrupt_rows(labels, rows, 1)
    low, high = stats.binom.interval(0.999, len(labels), q.mean())
    assert low <= flipped.sum() <= high


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.98, 1.0])
def test_instance_rates_are_truncated_by_redrawing(digits, rate):
    images, labels = digits
    rows = noise.instance_rows(images, labels, 10, rate, 0)
    q = 1 - rows[np.arange(len(labels)), labels]
    assert q.min() >= 0
    assert q.max() <= 1
    truncated = stats.truncnorm((0 - rate) / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1)
    assert stats.kstest(q, truncated.cdf).pvalue > 0.001


def test_instance_noise_depends_on_the_image_and_on_nothing_but_it_and_its_class(digits):
    images, labels = digits
    images, labels = images.copy(), labels.copy()
    same = np.flatnonzero(labels == 3)[:3]
    images[same[1]] = images[same[0]]
    rows = noise.instance_rows(images, labels, 10, 0.4, 0)
    directions = []
    for n in same:
        wrong = np.delete(rows[n], 3)
        directions.append(wrong / wrong.sum())
    np.testing.assert_allclose(directions[0], directions[1], rtol=1e-9)
    assert np.abs(directions[0] - directions[2]).max() > 0.01


def test_instance_noise_repeats_for_a_seed_and_changes_with_it(digits):
    images, labels = digits
    rows = [noise.instance_rows(images, labels, 10, 0.4, seed) for seed in (0, 0, 1)]
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


# ------------------------------------------------------------------------------------ bad input

Y, T10 = np.arange(100) % 10, noise.symmetric(10, 0.4)
LEAKY = T10.copy()
LEAKY[4, 4] -= 0.01
SIGNED = T10.copy()
SIGNED[2, :2] = -0.1, SIGNED[2, :2].sum() + 0.1

REFUSED = {
    "rate above 1": (lambda: noise.symmetric(10, 1.5), r"rate=1\.5 must be .* \[0, 1\]"),
    "rate in percent": (lambda: noise.asymmetric("mnist", 60), r"rate=60 must .* 0\.6 for 60 %"),
    "rate below 0": (lambda: noise.pairflip(10, -0.1), r"rate=-0\.1 must be"),
    "rate nan": (lambda: noise.dmi("independent", math.nan), r"rate=nan must be"),
    "rate text": (lambda: noise.symmetric(10, "0.6"), r"rate='0\.6' must be a number"),
    "rate none": (lambda: noise.symmetric(10, None), r"rate=None must be a number"),
    "instance rate": (
        lambda: noise.instance_rows(np.zeros((100, 4)), Y, 10, 2.0, 0),
        r"rate=2\.0 must be",
    ),
    "one class": (lambda: noise.symmetric(1, 0.5), r"num_classes=1 must be .* at least 2"),
    "K a float": (lambda: noise.pairflip(10.0, 0.5), r"num_classes=10\.0 must be an integer"),
    "unknown data set": (
        lambda: noise.asymmetric("svhn", 0.4),
        r"dataset='svhn' .* known: mnist, fashion_mnist, cifar10, .*cifar100, cifar100-consecutive",
    ),
    "unknown pattern": (
        lambda: noise.dmi("both", 0.4),
        r"pattern='both' is unknown; known: independent, dependent-a, dependent-b, cifar10",
    ),
    "row sum": (
        lambda: noise.corrupt(Y, LEAKY, 0),
        r"T must be row-stochastic.*row 4 sums to 0\.9",
    ),
    "negative": (lambda: noise.corrupt(Y, SIGNED, 0), r"T must hold probabilities .* from -0\.1"),
    "nan in T": (lambda: noise.corrupt(Y, T10 * math.nan, 0), r"T must hold probabilities"),
    "T not square": (lambda: noise.corrupt(Y, T10[:4], 0), r"T must be square .* \(4, 10\)"),
    "T one-dimensional": (lambda: noise.corrupt(Y, T10[0], 0), r"T must have two .* \(10,\)"),
    "T 1 x 1": (lambda: noise.corrupt(Y * 0, np.ones((1, 1)), 0), r"T must be square .* \(1, 1\)"),
    "label K": (lambda: noise.corrupt(Y + 1, T10, 0), r"labels must lie in 0\.\.9, got 1\.\.10"),
    "label -1": (lambda: noise.corrupt(Y - 1, T10, 0), r"labels must lie in 0\.\.9, got -1\.\.8"),
    "labels floats": (lambda: noise.corrupt(Y * 1.0, T10, 0), r"labels must be .* dtype float64"),
    "labels booleans": (lambda: noise.corrupt(Y > 3, T10, 0), r"labels must be .* dtype bool"),
    "labels one-hot": (
        lambda: noise.corrupt(np.eye(10, dtype=int), T10, 0),
        r"labels must be a one-dimensional integer array, got shape \(10, 10\)",
    ),
    "exact, bad label": (
        lambda: noise.corrupt(Y + 1, T10, 0, exact=True),
        r"labels must lie in 0\.\.9",
    ),
    "rows and labels": (
        lambda: noise.corrupt_rows(Y, T10, 0),
        r"rows has 10 rows but labels has 100",
    ),
    "rows sum": (lambda: noise.corrupt_rows(Y, T10[Y] * 0.9, 0), r"rows must be row-stochastic"),
    "images and labels": (
        lambda: noise.instance_rows(np.zeros((99, 4)), Y, 10, 0.4, 0),
        r"images has 99 samples but labels has 100",
    ),
    "realised": (lambda: noise.realised(Y, Y, 9), r"labels must lie in 0\.\.8, got 0\.\.9"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_by_name_and_value(case):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist", "cifar10"])
def test_a_matrix_in_cleanlabs_convention_is_refused_with_the_remedy(dataset):
    transposed = noise.asymmetric(dataset, 0.4).T
    with pytest.raises(ValueError, match=r"cleanlab's convention\): transpose it"):
        noise.corrupt(Y, transposed, 0)


def test_rows_that_do_not_sum_to_one_are_not_taken_for_a_transpose():
    with pytest.raises(ValueError, match=r"row 1 sums to 0\.9; divide each row by its sum"):
        check_matrix([[0.7, 0.3], [0.3, 0.6]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_matrix_of_float32_is_taken_and_one_of_float64_left_as_it_is(dtype):
    T = noise.symmetric(7, 0.3).astype(dtype)
    taken = check_matrix(T)
    np.testing.assert_allclose(taken, T, rtol=1e-6)
    np.testing.assert_allclose(taken.sum(axis=1), 1, rtol=1e-12)
    assert dtype is np.float32 or np.array_equal(taken, T)


def test_realised_refuses_labels_of_unlike_length():
    with pytest.raises(ValueError, match="labels"):
        noise.realised(np.array([0, 1, 2]), np.array([1]), 3)


def test_a_rate_is_no_truth_value():
    with pytest.raises(ValueError, match="rate=True"):
        noise.symmetric(10, True)
