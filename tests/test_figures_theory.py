"""What the figures and tables of notebooks 01 and 02 show is what theory and records say."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

import factory
from labelnoise import experiments, noise
from labelnoise.analysis.tables import gradients as gradients_tables
from labelnoise.analysis.tables import label_noise as label_noise_tables
from labelnoise.figures import gradients
from labelnoise.figures import label_noise as draw
from labelnoise.losses import CE, CLL, GCE, MAE
from labelnoise.noise import transition
from labelnoise.training.task import given_labels

pytestmark = pytest.mark.usefixtures("no_figure_is_left_open")


def xy(ax, label):
    """The one line of ``ax`` with this label."""
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return found.get_data()


# -------------------------------------------------------------------------- 02: closed forms


def test_curves_over_p_are_the_losses_and_their_gradients():
    value, slope, pull = gradients.over_p([CE(), MAE(), CLL(0.5)], 10).axes
    p, y = xy(value, "CE")
    assert np.allclose(y, -np.log(p))
    p, y = xy(slope, "MAE")
    assert np.allclose(y, 2)
    p, y = xy(pull, "CE")
    assert np.allclose(y, 1 - p)
    p, y = xy(pull, "CLL(target, sigma 0.5)")
    assert np.allclose(y, p * (1 - p) ** 2 / 0.25 * np.exp(-((1 - p) ** 2) / 0.5))
    assert len(p) > 500


def test_the_dots_are_the_peaks():
    _, slope, pull = gradients.over_p([CLL(0.5), CLL(1.0)], 10).axes
    dots = [[float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "o"]
            for ax in (slope, pull)]  # fmt: skip
    assert dots[0] == pytest.approx([0.5, 0.0])
    assert dots[1] == pytest.approx([0.5, 0.382], abs=1e-3)
    for ax in (slope, pull):
        for sigma in (0.5, 1.0):
            curve = xy(ax, f"CLL(target, sigma {sigma:g})")[1]
            heights = [line.get_ydata()[0] for line in ax.lines if line.get_marker() == "o"]
            assert min(abs(h - curve.max()) for h in heights) < 2e-3


def test_disbelief_falls_with_the_power_of_each_loss():
    (ax,) = gradients.vanishing([CE(), GCE(0.7), MAE(), CLL(1.0)], 10).axes
    for label, power in (("CE", 0), ("GCE", 0.7), ("MAE", 1), ("CLL(target, sigma 1)", 1)):
        x, y = xy(ax, label)
        slope = np.polyfit(np.log(x[:40]), np.log(y[:40]), 1)[0]
        assert slope == pytest.approx(power, abs=0.01)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_the_map_is_brightest_on_the_ridge():
    ax = gradients.bandwidth_map([0.2, 0.5, 2.0], 10).axes[0]
    (mesh,) = ax.collections
    cells = mesh.get_array()
    assert np.allclose(cells.max(axis=1), 1)
    brightest = np.linspace(0, 1, cells.shape[1])[cells.argmax(axis=1)]
    ridge, sigma = xy(ax, "peak of |dL/dz_y| (cubic)")
    assert np.abs(ridge - brightest).max() <= 0.005
    assert (sigma.min(), sigma.max()) == pytest.approx((0.2, 2.0))
    slope, sigma = xy(ax, "peak of |dL/dp_y| (1 - p_y = sigma)")
    assert np.allclose(slope, 1 - np.minimum(sigma, 1))
    assert xy(ax, "untrained network, p_y = 1/10")[0] == pytest.approx([0.1, 0.1])


def test_the_start_is_drawn_as_it_is_and_as_a_share():
    pull, share = gradients.start([0.1, 0.5, 2.0], (10, 2), [MAE()]).axes
    x, y = xy(pull, "CLL target, K = 10")
    assert np.allclose(y, 0.081 / x**2 * np.exp(-0.405 / x**2))
    x, y = xy(share, "CLL target, K = 10")
    assert np.interp(0.5, x, y) == pytest.approx(0.211, abs=5e-3)
    references = [ax.lines[-1].get_ydata()[0] for ax in (pull, share)]
    assert references == pytest.approx([0.18, 0.36], abs=1e-4)
    assert [text.get_text() for text in pull.texts] == ["MAE (K = 10)"]
    same = gradients.start([0.1, 2.0], (10,), [CE(), MAE(), GCE()]).axes[0]
    assert [text.get_text() for text in same.texts] == ["CE (K = 10)", "MAE, GCE (K = 10)"]


def test_the_forms_differ_by_what_the_rest_does():
    target, vector, elementwise = gradients.spreads([0.5], 10).axes
    even, one = "sigma 0.5, spread evenly", "sigma 0.5, all on one"
    assert np.allclose(xy(target, even)[1], xy(target, one)[1])
    assert np.allclose(xy(elementwise, one)[1], 2 * xy(target, one)[1])
    assert not np.allclose(xy(vector, even)[1], xy(vector, one)[1], atol=0.05)
    assert [ax.get_title() for ax in (target, vector, elementwise)] == list(experiments.CLL_FORMS)


def test_the_limits_are_approached():
    wide, narrow, gap = gradients.limits((1.0, 4.0), (0.3, 0.01)).axes
    p, square = xy(wide, "squared error (1 - p_y)^2")
    assert np.allclose(square, (1 - p) ** 2)
    assert np.abs(xy(wide, "sigma 4")[1] - square).max() < 0.016
    assert np.abs(xy(wide, "sigma 1")[1] - square).max() > 0.2
    p, y = xy(narrow, "sigma 0.01")
    assert np.allclose(y[p < 0.95], 1, atol=1e-5)
    sigma, distance = gap.lines[0].get_data()
    assert distance.min() == pytest.approx(8.9, abs=0.1)
    assert 0.35 < sigma[distance.argmin()] < 0.45


def test_the_tables_of_gradients_print_the_theory():
    checked = gradients_tables.gradient_table([CE(), CLL(0.5, form="vector"), CE()], 5, samples=20)
    assert list(checked.index) == ["CE", "CLL(vector, sigma 0.5)"]
    assert set(checked["sympy"]) == {"0"}
    assert set(checked["dL/dz, autograd"]) == {"below 1e-13"}
    assert set(checked["dL/dz, finite differences"]) == {"below 1e-08"}
    assert gradients_tables.order(2e-13, 1e-13).startswith("NOT below")
    peaks = gradients_tables.peak_table([0.3, 1.0])
    assert peaks.loc["sigma 0.3"].tolist() == ["0.700", "0.700", "0.640", "0.640"]
    assert peaks.loc["sigma 1"].tolist() == ["0.000", "0.000", "0.382", "0.382"]
    assert gradients_tables.start_table([1.0], 10).loc["sigma 1", "target"] == "0.0540 (44.8 %)"
    # the largest squared errors, 1 and 2, and what CLL makes of them at sigma = 1
    limit = gradients_tables.limit_table([1.0], 10).loc["sigma 1"].astype(float)
    one = 2 * np.exp(-0.5) - 1
    for form, gap in (("target", one), ("vector", 2 * np.exp(-1)), ("elementwise", 2 * one)):
        assert limit[form] == pytest.approx(gap, abs=4e-3)  # the grid stops just short of p_y = 0
    rest = gradients_tables.rest_table([CE(), MAE()], 10, 0.6)
    assert rest.loc["CE"].tolist() == ["0.40", "0.632", "1.033", "0.873", "71.0"]
    assert rest.loc["MAE", "from wrong labels (%)"] == "–"


# ------------------------------------------------------------------------------- 02: training


def outcome(run, share, norm, **result):
    curves = {"gradient_share": share, "gradient_norm": norm}
    return factory.outcome(run, curves=curves, **result)


@pytest.fixture
def outcomes():
    runs = experiments.headline(seeds=[0, 1])
    shares = ([70.0, 60.0], [40.0, 50.0], [74.0, 60.0], [44.0, 50.0])
    return [outcome(run, s, [0.5, 0.1]) for run, s in zip(runs, shares, strict=True)]


def test_training_shows_every_seed_and_the_mean(outcomes):
    share, norm = gradients.training(outcomes).axes
    epochs, mean = xy(share, "CE (2 seeds)")
    assert epochs.tolist() == [1, 2]
    assert mean.tolist() == [72.0, 60.0]
    assert xy(share, "CLL(target, sigma 1) (2 seeds)")[1].tolist() == [42.0, 50.0]
    drawn = [curve.get_ydata()[0] for curve in share.lines]
    assert {70.0, 74.0, 40.0, 44.0} <= set(drawn)
    assert xy(share, "mislabelled samples, 60 %")[1] == [60, 60]
    assert xy(norm, "CE (2 seeds)")[1].tolist() == [0.5, 0.1]


def test_the_training_table_weighs_shares_by_how_many_are_wrong(outcomes):
    table = gradients_tables.training_table(outcomes, epochs=(1, 2, 3))
    assert table.loc[("CE", 1), "share (%)"] == "72.0 ± 2.8"
    assert table.loc[("CE", 2), "wrong : right"] == "1.00 ± 0.00", "60 % of the pull from 60 %"
    assert table.loc[("CE", 2), "norm, right label"] == "0.100 ± 0.000"
    assert gradients_tables.norms(outcomes[0], 1) == pytest.approx(
        (70, 0.5 * 0.3 / 0.4, 0.5 * 0.7 / 0.6)
    )
    assert table.loc[("CLL(target, sigma 1)", 2), "wrong : right"] == "0.67 ± 0.00"
    assert table.loc[("CE", 3), "seeds"] == 0
    lost = outcome(outcomes[0].run, [70.0, None], [0.5, None])
    assert gradients_tables.norms(lost, 1) is not None
    assert gradients_tables.norms(lost, 2) is None


def test_theory_stands_beside_the_runs():
    ce, cll = experiments.headline(seeds=[0])
    held_out = replace(cll, val_fraction=0.1)
    made = [outcome(run, [70.0, 60.0], [0.5, 0.25], fit_wrong=memorised)
            for run, memorised in ((ce, 98.0), (cll, 1.0), (held_out, 2.0))]  # fmt: skip
    made += [outcome(run, [70.0, 60.0], [0.5, 0.25], fit_wrong=3.0 + i)
             for i, run in enumerate(experiments.size_or_shape()[::2])]  # fmt: skip
    table = gradients_tables.rest_against_runs(made, epoch=2)
    assert table.loc["CE"].tolist() == ["0.900", "0.873", "0.250", "71.0", "60.0", "98.0", 1]
    assert table["memorised (%)"].to_dict() == {
        "CLL(target, sigma 1)": "1.0", "CLL(target, sigma 1), 90 % of the data": "2.0",
        "0.06 CE": "3.0", "CE, lr 0.0006": "4.0", "CE, weight decay 0.0167": "5.0",
        "CLL(target, sigma 1), weight decay 6e-05": "6.0", "CE": "98.0",
    }  # fmt: skip
    assert {name: known[2] for name, known in gradients_tables.foretold(made).items()} == {
        "CLL(target, sigma 1)": 1.0, "0.06 CE": 3.0, "CE": 98.0
    }  # fmt: skip
    left, right = gradients.against_rest(made).axes
    at_rest = left.collections[0].get_offsets()[:, 0].tolist()
    assert at_rest == pytest.approx([0.0094, 0.0524, 0.873], abs=1e-3)
    assert right.collections[0].get_offsets().tolist()[2] == pytest.approx([0.9, 98.0])
    assert {text.get_text() for text in left.texts} == {"CLL(target, sigma 1)", "0.06 CE", "CE"}


def test_a_bandwidth_looks_the_same_beside_whatever_it_stands():
    one = gradients.line_styles([CLL(1.0), CE(), CLL(0.2), CLL(0.5)])
    other = gradients.line_styles([CLL(0.2), CLL(0.5), CLL(1.0)])
    by_label = {style["label"]: style for style in one}
    assert all(by_label[style["label"]] == style for style in other)
    assert by_label["CE"]["color"] == "#D55E00"


def test_names_of_points_at_one_place_do_not_cover_each_other():
    fig, ax = plt.subplots(figsize=(5, 4))
    fig.draw_without_rendering()
    gradients.name_points(ax, dict.fromkeys(("first", "second", "third"), (0.5, 0.5)))
    fig.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without the line to the point
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    plt.close(fig)


# ------------------------------------------------------------------------------- 01: noise


@pytest.fixture(scope="module")
def sample():
    """Images, true and noisy labels of 600 made-up samples."""
    bits = np.random.default_rng(0)
    images = bits.integers(0, 256, (600, 1, 8, 8), dtype=np.uint8)
    true = np.arange(600) % 10
    return images, true, noise.corrupt(true, noise.symmetric(10, 0.6), seed=0)[0]


def test_wrong_digits_are_marked_without_colour(sample):
    images, true, noisy = sample
    axes = draw.digits(images, true, noisy, rows=2, columns=6).axes
    assert len(axes) == 12
    for i, ax in enumerate(axes):
        wrong = true[i] != noisy[i]
        assert ax.get_title() == (f"{noisy[i]} (is {true[i]})" if wrong else f"{noisy[i]}")
        assert len(ax.lines) == (2 if wrong else 0), "the cross"
        assert (ax.spines["left"].get_linewidth() > 2) == wrong
        assert (ax.images[0].get_array() == images[i, 0]).all()


def test_heat_maps_show_the_matrix_in_percent():
    T = noise.asymmetric("mnist", 0.4)
    figure = draw.matrices({"asymmetric": T, "symmetric": noise.symmetric(10, 0.6)})
    first, second, bar = figure.axes
    assert np.allclose(first.images[0].get_array(), 100 * T)
    assert first.get_title() == "asymmetric"
    shown = {text.get_position(): text.get_text() for text in first.texts}
    assert shown[(1, 7)] == "40", "row 7, column 1: 7 -> 1"
    assert (0, 1) not in shown, "zeros stay empty"
    assert {text.get_text() for text in second.texts} == {"40.0", "6.7"}
    assert "%" in bar.get_ylabel()


def test_the_conventions_differ_by_one_kth():
    (ax,) = draw.conventions((2, 10)).axes
    x, y = xy(ax, "true class excluded (any K)")
    assert np.allclose(y, x)
    for K in (2, 10):
        x, y = xy(ax, f"may land on the true class, K = {K}")
        assert np.allclose(y, x * (K - 1) / K)


def test_the_spread_is_drawn_cell_by_cell_and_sorted(sample):
    _, true, noisy = sample
    z = transition.deviations(true, noisy, noise.symmetric(10, 0.6))
    cells, together, _ = draw.spread(z).axes
    assert np.allclose(cells.images[0].get_array(), z)
    expected, seen = xy(together, "the 100 cells, sorted")
    assert np.allclose(seen, np.sort(z.ravel()))
    assert expected[50] == pytest.approx(0.0125, abs=1e-3)
    assert expected[97] == pytest.approx(1.96, abs=1e-2)


def test_exact_counts_are_drawn_beside_independent_draws(sample):
    _, true, _ = sample
    T = noise.symmetric(10, 0.6)
    drawn = label_noise_tables.class_rates(true, T, range(3))
    exact = label_noise_tables.class_rates(true, T, range(3), exact=True)
    assert np.allclose(exact, 0.6)
    flipped = noise.corrupt(true, T, 2)[1]
    assert drawn[2, 4] == flipped[true == 4].mean()
    (ax,) = draw.exact_or_drawn(drawn, exact, 0.6).axes
    assert np.allclose(xy(ax, "independent draws (3 seeds)")[1], 100 * drawn.ravel())
    assert np.allclose(xy(ax, "exact counts (3 seeds)")[1], 60)
    assert np.allclose(xy(ax, "nominal 60 %")[1], 60)


def test_the_vote_is_lost_at_the_limit():
    (ax,) = draw.margin(10, 0.6).axes
    rates, true = xy(ax, "the true class")
    wrong = xy(ax, "each of the 9 wrong classes")[1]
    assert rates[np.abs(true - wrong).argmin()] == pytest.approx(90)
    assert xy(ax, "limit (K-1)/K = 90 %")[0] == pytest.approx([90, 90])
    (dots,) = [curve for curve in ax.lines if curve.get_marker() == "o"]
    assert dots.get_ydata() == pytest.approx([40, 60 / 9])


def test_instance_noise_shows_every_rate_and_the_class_means(sample):
    images, true, _ = sample
    rows = noise.instance_rows(images, true, 10, 0.6, seed=0)
    means = label_noise_tables.class_means(rows, true)
    rates = 1 - rows[np.arange(600), true]
    histogram, matrix, _ = draw.instance(rates, means, 0.6).axes
    assert sum(bar.get_height() for bar in histogram.patches) == 600
    assert np.allclose(matrix.images[0].get_array(), 100 * means)
    assert means[3] == pytest.approx(rows[true == 3].mean(axis=0))
    assert np.isnan(label_noise_tables.class_means(rows[true != 3], true[true != 3])[3]).all()


def test_the_table_of_instances_counts_samples():
    rows = np.array([[0.3, 0.7, 0.0], [0.4, 0.35, 0.25], [0.05, 0.95, 0.0], [0.0, 0.0, 1.0]])
    table = label_noise_tables.instance_table(rows, np.array([0, 0, 1, 2]))
    assert table.tolist() == ["33.8", "31.5", "50", "25"]


def test_the_tables_of_rates():
    labels = np.repeat(np.arange(10), 6)
    rates = label_noise_tables.rate_table(
        {"asymmetric": noise.asymmetric("mnist", 0.4)}, labels[labels == 7]
    )
    assert rates.loc["asymmetric"].tolist() == ["20.0", "40.0", "0.667"]
    conventions = label_noise_tables.convention_table((0.5, 0.6), (2, 10))
    assert conventions.loc["60 % nominal"].tolist() == ["30.0", "54.0"]
    assert conventions.loc["50 % nominal", "K = 10"] == "45.0"
    margins = label_noise_tables.margin_table((0.6, 0.9), 10)
    assert margins.loc["60 %"].tolist() == ["40.0", "6.7", "0.167"]
    assert margins.loc["90 %", "confusion ratio"] == "1.000"


def test_the_table_of_seeds(sample):
    _, true, noisy = sample
    table = label_noise_tables.seed_table(true, noise.symmetric(10, 0.6), [0, 1])
    assert table.loc["seed 0", "first labels"] == " ".join(map(str, noisy[:12]))
    assert table.loc["seed 0", "SHA-256"] == label_noise_tables.fingerprint(noisy)[:12]
    assert table["SHA-256"].is_unique
    assert 25 < float(table.loc["seed 1", "wrong here and under seed 0 (%)"]) < 47


def test_a_record_of_other_flips_is_seen(sample):
    images, true, _ = sample
    (run, *_) = experiments.headline(seeds=[0])
    flips = label_noise_tables.fingerprint(given_labels(run, images, true))
    recorded = [factory.outcome(run, provenance={"flips_sha256": f}) for f in (flips, "0" * 64)]
    table = label_noise_tables.provenance_table(recorded, images, true)
    assert table["as recorded"].tolist() == ["yes", "NO"]


def test_fingerprints_do_not_depend_on_the_integer_type():
    for dtype in (np.int32, np.int64):
        found = label_noise_tables.fingerprint(np.array([3, 1, 2], dtype=dtype))
        assert found.startswith("7c4cec7a")


# ------------------------------------------------------------------------------- bad input


BAD = [
    (lambda: draw.digits(np.zeros((2, 1, 8, 8)), np.zeros(2), np.zeros(3)), "differ in length"),
    (lambda: draw.digits(np.zeros((2, 1, 8, 8)), np.zeros(2), np.zeros(2)), "rows=4"),
    (lambda: draw.matrices({}), "named is empty"),
    (lambda: draw.spread(np.full((2, 2), np.nan)), "no finite value"),
    (lambda: draw.exact_or_drawn(np.zeros((2, 10)), np.zeros((3, 10)), 0.6), r"\(3, 10\)"),
    (lambda: label_noise_tables.class_rates(np.arange(2), np.eye(2), range(0)), "one seed"),
    (lambda: label_noise_tables.seed_table(np.arange(2), np.eye(2), 0), "seeds=0"),
    (lambda: label_noise_tables.inner("none"), "rate='none'"),
    (lambda: label_noise_tables.inner(1.0), "rate=1.0 must lie between"),
    (lambda: draw.margin(1, 0.6), "num_classes=1"),
    (lambda: draw.margin(10, 1.6), "rate=1.6"),
    (lambda: gradients.bandwidth_map([0.5], 10), "two different bandwidths"),
    (lambda: gradients.bandwidth_map([0.0, 0.5], 10), "sigma"),
    (lambda: gradients.over_p([CE()], 1), "num_classes=1"),
    (lambda: gradients.start([-0.5, 1.0], (10,)), "sigma"),
]


@pytest.mark.parametrize(("call", "named"), BAD)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
