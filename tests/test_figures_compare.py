"""What notebook 02 shows of any two losses, and of CLL under the slider, is what theory says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from labelnoise import experiments, theory
from labelnoise.analysis.tables import gradients as gradients_tables
from labelnoise.figures import compare
from labelnoise.losses import AGCE, CE, CLL, FL, GCE, LOSSES, MAE, MSE, LogitClip
from labelnoise.losses.base import Loss

pytestmark = pytest.mark.usefixtures("no_figure_is_left_open")


def xy(ax, label):
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return found.get_data()


def dots(ax):
    return [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]


def named(name: str) -> Loss:
    return compare.choose({"name": name})


# ----------------------------------------------------------------------------- any two losses


def test_a_pair_is_drawn_as_theory_has_it():
    cost, slope, pull, weight = compare.pair(GCE(0.7), AGCE(4.0, 0.2)).axes
    for label, loss in (("GCE", GCE(0.7)), ("AGCE", AGCE(4.0, 0.2))):
        p, y = xy(cost, label)
        simplex = theory.simplex(p, 10)
        assert len(p) == 1000
        assert np.allclose(y, theory.value(loss, simplex))
        assert np.allclose(xy(slope, label)[1], -theory.dL_dp(loss, simplex)[:, 0])
        assert np.allclose(xy(pull, label)[1], -theory.dL_dz(loss, simplex)[:, 0])
        p, y = xy(weight, label)
        assert np.allclose(y, theory.weight(loss, p))
    assert [peak[0] for peak in dots(pull)] == pytest.approx([0.41, 0.48], abs=0.005)
    assert [weight.get_xscale(), weight.get_yscale()] == ["logit", "log"]
    assert xy(weight, "untrained network, p_y = 1/10")[0] == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_can_be_drawn_beside_cross_entropy(name):
    loss = named(name)
    figure = compare.pair(CE(), loss)
    figure.canvas.draw()  # warnings are errors
    for ax in figure.axes:
        assert all(np.isfinite(line.get_xydata().astype(float)).all() for line in ax.lines)
    table = gradients_tables.pair_table(CE(), loss)
    assert table.shape == (8, 2)
    assert not table.isin(["nan", "inf"]).any(axis=None)


def test_all_gradients_are_those_of_the_closed_forms():
    p_y = np.linspace(0.01, 0.99, 50)
    p = theory.simplex(p_y, 10)
    for loss in (named(name) for name in LOSSES if "LogitClip" not in name):
        found = gradients_tables.curves(loss, p_y)
        assert np.allclose(found.value, theory.value(loss, p), rtol=1e-9), loss.name
        assert np.allclose(found.pull, theory.dL_dz(loss, p)[:, 0], rtol=1e-9), loss.name


@pytest.mark.parametrize("loss", [MSE(), CLL(0.3, form="elementwise"), LogitClip(CE(), 2.0)])
def test_the_slope_is_the_derivative_along_the_simplex(loss):
    p_y, h = np.array([0.06, 0.2, 0.42]), 1e-6
    up, down = (gradients_tables.curves(loss, p_y + step).value for step in (h, -h))
    assert np.allclose(gradients_tables.curves(loss, p_y).slope, (up - down) / (2 * h), rtol=1e-6)


def test_a_held_factor_is_drawn_as_it_trains():
    p_y = np.array([0.2, 0.7])
    free, held = (gradients_tables.curves(FL(2.0, detach=d), p_y) for d in (False, True))
    assert np.allclose(free.value, held.value)
    assert np.allclose(held.weight, (1 - p_y) ** 2)
    assert (free.weight > held.weight).all()


def test_losses_of_unlike_size_are_drawn_each_on_its_scale():
    cost, _, pull, weight = compare.pair(CE(), named("NCE+RCE")).axes
    p, y = xy(pull, "NCE+RCE")
    assert y.max() == pytest.approx(1)
    assert "230 dashed" in pull.get_ylabel()
    assert "solid" in cost.get_ylabel()
    assert xy(weight, "NCE+RCE")[1].max() > 900, "the log scale needs no such help"
    same = compare.pair(CE(), MAE()).axes[2]
    assert same.get_ylabel() == "|dL/dz_y|"
    assert np.allclose(xy(same, "MAE")[1], 2 * p * (1 - p))


def test_two_settings_of_one_loss_can_be_told_apart():
    first, second = compare.pair_styles(GCE(0.7), GCE(0.3))
    assert first["color"] != second["color"]
    assert first["ls"] != second["ls"]
    assert (first["label"], second["label"]) == ("GCE", "GCE(q 0.3)")
    styles = compare.pair_styles(CE(), CLL(1.0))
    assert [style["color"] for style in styles] == ["#D55E00", "#0072B2"], "their own colours"


def test_a_loss_that_never_pulls_is_drawn_flat():
    narrow = CLL(1e-6)
    compare.pair(narrow, narrow).canvas.draw()
    table = gradients_tables.pair_table(narrow, CE())
    assert table.iloc[:, 0].tolist() == ["1", "0", "–", "0", "–", "–", "–", "nowhere"]


def test_the_table_of_a_pair_prints_what_follows():
    table = gradients_tables.pair_table(CE(), MAE())
    assert list(table.columns) == ["CE", "MAE"]
    assert table["CE"].tolist() == ["unbounded", "1", "0.00", "0.9", "90.0", "99.9", "1.0",
                                    "nowhere"]  # fmt: skip
    assert table["MAE"].tolist() == ["2", "0.5", "0.50", "0.18", "36.0", "0.4", "4.0", "nowhere"]
    smooth = gradients_tables.facts(named("LabelSmoothing"), 10)
    assert smooth["pushes away from the label"] == "from p_y = 0.91"  # 1 - epsilon + epsilon/K
    assert list(gradients_tables.pair_table(CE(), CE(), 4).columns) == ["CE", "CE"]


@pytest.mark.parametrize(
    ("name", "bound"),
    [("CE", "unbounded"), ("SCE", "unbounded"), ("LDR-KL", "unbounded"), ("NCE", "1"),
     ("GCE", "1.43"), ("ClippedCE", "4.61"), ("GJS", "2"), ("CE_eps+MAE", "unbounded"),
     ("ANL-CE", "2"), ("NCE+RCE", "922")],
)  # fmt: skip
def test_the_largest_value_is_that_of_the_docstrings(name, bound):
    assert gradients_tables.facts(named(name), 10)["largest L"] == bound


# --------------------------------------------------------------------------------- the choice


def test_a_name_alone_is_the_published_setting_and_what_is_given_replaces_it():
    for name in LOSSES:
        assert named(name).settings() == experiments.setting_of(name).parameters
    assert compare.choose({"name": "AGCE", "parameters": {"a": 2}}).settings() == {"a": 2, "q": 0.2}
    assert compare.choose({"name": "CLL", "parameters": {"form": "vector"}}).form == "vector"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"name": "XENT"}, "'XENT' .* CE, FL"),
        ({"name": "GCE", "parameters": {"p": 1}}, "GCE .* p; it has: q"),
        ({"name": "CE", "parameters": {"reduction": "sum"}}, "reduction; .*none"),
        ({"name": "GCE", "parameters": {"q": 2}}, "q=2"),
        ({"name": "GCE", "parameter": {"q": 0.5}}, "'parameter': .* must be {'name'"),
        ({"name": "GCE", "parameters": [0.5]}, "must be {'name'"),
        ({"parameters": {}}, "must be {'name'"),
        ({"name": ["GCE"]}, "must be {'name'"),
        ("GCE", "'GCE' must be {'name'"),
    ],
)
def test_a_bad_choice_is_named(setting, message):
    with pytest.raises(ValueError, match=message):
        compare.choose(setting)


# --------------------------------------------------------------------------------- the slider


def test_a_frame_shows_the_three_forms():
    figure = compare.frames([0.2, 1.0])
    assert len(figure.axes) == 6
    for row, sigma in zip(np.reshape(figure.axes, (2, 3)), (0.2, 1.0), strict=True):
        for form in theory.CLL_FORMULAS:
            loss = CLL(sigma, form=form)
            p, y = xy(row[0], form)
            simplex = theory.simplex(p, 10)
            assert np.allclose(y, theory.value(loss, simplex))
            pull = -theory.dL_dz(loss, simplex)[:, 0]
            assert np.allclose(xy(row[1], form)[1], pull / (p * (1 - p)))
            assert np.allclose(xy(row[2], form)[1], pull)
        assert dots(row[2])[0][0] == pytest.approx(theory.steepest_in_z(sigma), abs=1e-3)
        assert [ax.get_title() for ax in row] == [
            f"{word} at sigma {sigma:g}" for word in ("Cost", "Slope", "Pull")
        ]


@pytest.mark.parametrize("sigmas", [[], [0.0], [-1.0, 0.5], ["wide"]])
def test_no_frame_without_a_bandwidth(sigmas):
    with pytest.raises(ValueError, match="sigma"):
        compare.frames(sigmas)


def test_the_slider_needs_two_ends():
    pytest.importorskip("ipywidgets", reason="needs ipywidgets, of the extra `notebooks`")
    with pytest.raises(ValueError, match="two different bandwidths"):
        compare.slider([0.5])


def test_the_slider_draws_the_frame_of_its_value(monkeypatch):
    pytest.importorskip("ipywidgets", reason="needs ipywidgets, of the extra `notebooks`")
    drawn = []
    frames = compare.frames
    monkeypatch.setattr(compare, "frames", lambda *a: drawn.append(frames(*a)) or drawn[-1])
    control, picture = compare.slider([0.1, 0.4, 1.6], 5).children
    assert (10**control.min, control.value, 10**control.max) == pytest.approx((0.1, 0.4, 1.6))
    for sigma in (1.0, 0.25):
        before = bytes(picture.value)
        control.value = sigma
        p, y = xy(drawn[-1].axes[2], "elementwise")
        theirs = theory.dL_dz(CLL(sigma, form="elementwise"), theory.simplex(p, 5))[:, 0]
        assert np.allclose(y, -theirs)
        assert bytes(picture.value).startswith(b"\x89PNG")
        assert bytes(picture.value) != before
    assert len(drawn) == 3
    assert not plt.get_fignums(), "an open figure would be shown a second time"
