"""The pictures and tables of notebook 06 show the records' own numbers and follow the rule."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("agg")

from factory import outcome
from labelnoise import experiments, losses, noise
from labelnoise.analysis.tables import MISSING
from labelnoise.analysis.tables import model_the_noise as tables
from labelnoise.figures import model_the_noise
from labelnoise.noise import estimation
from labelnoise.runs.sweep import Outcome

pytestmark = pytest.mark.usefixtures("no_figure_is_left_open")


def made(gain_of: dict[str, list[float]]) -> list[Outcome]:
    """Records of every answer: CE at 90 + seed, the others ahead of it by what is given."""
    return [
        outcome(r, 90.0 + r.seed + (gain_of[r.label][r.seed] if r.label in gain_of else 0.0),
                **({"first": {"last": 80.0}, "T": noise.symmetric(10, 0.3).tolist()}
                   if r.trainings > 1 else {}))
        for r in experiments.thirty_percent()
    ]  # fmt: skip


def test_every_run_belongs_to_one_noise_and_one_kind_of_answer():
    outcomes = made({})
    groups = tables.by_noise(outcomes)
    assert [len(g) for g in groups.values()] == [51, 51, 51]
    for name, group in groups.items():
        assert {str(o.run.noise) for o in group} == {str(group[0].run.noise)}, name
    assert {tables.kind(o) for o in outcomes} == set(tables.KINDS)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([1.0, 1.1, 0.9], "helps"),
        ([-1.0, -1.1, -0.9], "hurts"),
        ([1.0, -1.0, 0.5], "undecided"),
        ([3.0, 0.1, 0.2], "undecided"),  # always ahead, but the interval holds 0
    ],
)
def test_the_rule_judges_differences_paired_by_seed(differences, expected):
    table = tables.answers_table(made({"GCE": differences}))
    for name in tables.NOISES:
        mean = sum(differences) / 3
        assert table.loc["GCE", (name, "against CE")] == f"{mean:+.2f} ({expected})"
        # the seeds themselves differ by more than any of these
        assert table.loc["CE", (name, "last epoch")] == "91.00 ± 1.00"
        assert table.loc["CE", (name, "against CE")] == MISSING


def test_one_seed_is_never_judged():
    pruned = next(o.run.label for o in made({}) if o.run.method)
    first = [o for o in made({pruned: [5.0, 5.0, 5.0]}) if o.run.label == "CE" or not o.run.seed]
    table = tables.answers_table(first)
    assert table.loc[pruned, ("symmetric, 30 %", "against CE")] == "+5.00 (one seed)"


def test_a_diverged_run_has_no_part_in_a_mean():
    outcomes = made({})
    at = next(i for i, o in enumerate(outcomes) if o.run.label == "GCE" and o.run.seed == 2)
    outcomes[at] = outcome(outcomes[at].run, None)
    groups = tables.by_noise(outcomes).values()
    (group,) = [group for group in groups if outcomes[at] in group]
    assert len(tables.gains(group)["GCE"]) == 2


def test_the_picture_has_a_dot_where_the_mean_is():
    outcomes = made({"GCE": [1.0, 2.0, 3.0]})
    figure = model_the_noise.answers(outcomes)
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    dots = {
        (round(float(c.lines[0].get_xdata()[0]), 6), int(c.lines[0].get_ydata()[0]))
        for c in figure.axes[1].containers
    }
    assert (93.0, names.index("GCE")) in dots
    assert (91.0, names.index("CE")) in dots


def test_the_picture_has_the_t_interval_the_best_epoch_and_ce_of_each_noise():
    outcomes = made({"GCE": [1.0, 2.0, 3.0]})
    for k, group in enumerate(tables.by_noise(outcomes).values()):
        for o in group:
            o.record["result"]["last"] -= 10 * k
    figure = model_the_noise.answers(outcomes)
    row = [tick.get_text() for tick in figure.axes[0].get_yticklabels()].index("GCE")
    for k, ax in enumerate(figure.axes):
        bars = [b for c in ax.containers for drawn in c.lines[2] for b in drawn.get_segments()]
        (ends,) = [b[:, 0].tolist() for b in bars if b[0, 1] == row]
        half = 4.3027 * 2 / 3**0.5  # t of two degrees of freedom; the seeds' deviation is 2
        assert ends == pytest.approx([93 - 10 * k - half, 93 - 10 * k + half], abs=1e-3)
        rings = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
        assert {float(ring.get_xdata()[0]) for ring in rings} == {99.0}
        (ce,) = [line for line in ax.lines if line.get_linestyle() == "--"]
        assert list(ce.get_xdata()) == pytest.approx([91 - 10 * k] * 2)


def stopped(kept: list[float]) -> list[Outcome]:
    """Records of early stopping: the held-out labels like the second and the fourth epoch best."""
    return [outcome(r, 70.0, val_chosen=kept[r.seed]) for r in experiments.early_stopping()]


def with_curves(outcomes: list[Outcome]) -> list[Outcome]:
    for o in outcomes:
        o.record["curves"] = {"val_accuracy": [40.0, 68.0, 60.0, 68.0],
                              "test_accuracy": [80.0, 96.0, 95.0, 97.0]}  # fmt: skip
    return outcomes


def test_early_stopping_is_judged_by_the_first_best_epoch_of_the_held_out_labels():
    every = made({"GCE": [4.0, 5.0, 6.0]})  # CE at 90, 91, 92
    held = with_curves(stopped([91.0, 92.1, 92.9]))
    table = tables.early_stopping_table(every, held, "GCE")
    for name in tables.NOISES:
        column = table[name]
        assert column["which epoch that is, by seed"] == "2, 2, 2"
        assert column[f"{tables.STOPPED}: the epoch that is kept"] == "92.00 ± 0.95"
        assert column[f"{tables.STOPPED}, against CE"] == "+1.00 (helps)"
        assert column[f"GCE, against {tables.STOPPED}"] == "4.00 ± 1.05"
    nothing = tables.early_stopping_table(every, [], "GCE")
    assert nothing.loc[f"{tables.STOPPED}, against CE"].tolist() == [MISSING] * 3


def test_early_stopping_is_drawn_where_it_was_kept_and_an_outlier_as_its_number():
    every = made({"AGCE": [-60.0, -60.0, -60.0]})
    held = with_curves(stopped([91.0, 92.1, 92.9]))
    figure = model_the_noise.answers(every, held, low=80)
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names.index(tables.STOPPED) == 1
    for ax in figure.axes:
        dots = {int(c.lines[0].get_ydata()[0]): float(c.lines[0].get_xdata()[0])
                for c in ax.containers}  # fmt: skip
        assert dots[1] == pytest.approx(92)
        assert names.index("AGCE") not in dots
        assert [t.get_text().strip() for t in ax.texts] == ["31.0"]
    for ax in model_the_noise.over_epochs(with_curves(every), held, "GCE").axes:
        lines = [line for line in ax.lines if len(line.get_xdata()) > 1]
        assert len(lines) == 6, "three seeds of each"
        dots = [line for line in ax.lines if len(line.get_xdata()) == 1]
        assert {(int(d.get_xdata()[0]), float(d.get_ydata()[0])) for d in dots} == {(2, 96.0)}


def test_an_interval_that_leaves_what_is_possible_gives_way_to_its_seeds():
    ax = model_the_noise.answers(made({"GCE": [6.0, 6.0, -10.0]})).axes[0]
    row = [tick.get_text() for tick in ax.get_yticklabels()].index("GCE")
    (drawn,) = [c for c in ax.containers if c.lines[0].get_ydata()[0] == row]
    assert not drawn.lines[2]
    assert any(list(line.get_xdata()) == [96, 97, 82] for line in ax.lines)


def test_the_line_of_an_estimate_is_the_mean_and_clean_labels_cost_what_the_noise_does():
    outcomes = made({})
    for o in outcomes:
        if o.run.loss.estimated:
            rate = (0.3, 0.2, 0.4)[o.run.seed]
            o.record["result"]["T"] = noise.symmetric(10, rate).tolist()
    symmetric, asymmetric = model_the_noise.estimates(outcomes).axes
    lines = {line.get_label(): line for line in asymmetric.lines}
    assert list(lines["assuming clean labels"].get_ydata()) == pytest.approx([0, 22.5])
    at = symmetric.lines[0]
    assert (list(at.get_xdata()), list(at.get_ydata())) == ([30], pytest.approx([20 / 3]))


def test_the_map_has_assumed_rates_upwards_and_true_ones_to_the_right():
    runs = experiments.assumed_rates()
    found = [outcome(r, 50 + 10 * r.noise.rate + r.loss.parameters["rate"])
             for r in runs[:-1]]  # fmt: skip
    ax = model_the_noise.rate_map(found).axes[0]
    texts = {t.get_position(): t for t in ax.texts}
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "15", "30", "45", "60", "75"]
    assert texts[1, 0].get_text() == "51.5"  # true 15 %, assumed 0
    assert texts[0, 4].get_text() == "50.6"  # true 0, assumed 60 %
    assert texts[2, 2].get_fontweight() == "bold"
    assert (5, 5) not in texts  # not recorded


def test_errors_of_the_estimates_are_those_of_their_matrices():
    outcomes = made({})
    table = tables.estimates_table(outcomes)
    row = table.loc["Forward(T from anchors)"]
    assert row["symmetric, 30 %"] == "0.00 ± 0.00"
    assert row["drawn anew, 30 %"] == "3.00 ± 0.00"  # 30 % wrong estimated, 27 % true
    drawn = model_the_noise.estimates(outcomes).axes[0].lines
    clean = next(line for line in drawn if line.get_label() == "assuming clean labels")
    assert list(clean.get_ydata()) == pytest.approx([0, 75])
    dots = next(line for line in drawn if line.get_label() == "Forward(T from anchors)")
    assert list(dots.get_xdata()) == pytest.approx([30, 30, 30])
    assert list(dots.get_ydata()) == pytest.approx([0, 0, 0])


def test_both_stages_are_told_apart():
    table = tables.first_table(made({}))
    row = table.loc["symmetric, 30 %", "Forward(T from anchors)"]
    assert list(row) == ["80.00 ± 0.00", "91.00 ± 1.00"]
    assert [noise for noise, _ in table.index[::3]] == [*tables.NOISES]


def test_pull_is_the_gradient_of_the_loss():
    lines = model_the_noise.pull({"CE": losses.CE(), "mixture": losses.Mixture(0.3)}).axes[0].lines
    p = lines[0].get_xdata() / 100
    assert np.allclose(lines[0].get_ydata(), 1 - p)
    k = 3 / 70
    assert np.allclose(lines[1].get_ydata(), (1 - p) * p / (k + p))


@pytest.mark.parametrize("lost", ["Backward(true T)", "CE"])
def test_diverged_runs_are_counted_and_stop_no_table_or_picture(lost):
    every = [outcome(o.run, None) if o.run.label == lost and not o.run.method else o
             for o in made({"GCE": [1.0, 1.1, 0.9]})]  # fmt: skip
    table = tables.answers_table(every)
    for name in tables.NOISES:
        assert table.loc[lost, (name, "last epoch")] == f"{MISSING} (3 diverged)"
        assert table.loc[lost, (name, "against CE")] == MISSING
        paired = MISSING if lost == "CE" else "+1.00 (helps)"
        assert table.loc["GCE", (name, "against CE")] == paired
    assert len(model_the_noise.answers(every).axes) == 3
    one = next(i for i, o in enumerate(every) if o.run.label == "GCE")
    every[one] = outcome(every[one].run, None)
    row = tables.answers_table(every).loc["GCE"]
    assert row.str.endswith("(1 diverged)").sum() == 1


def test_corrections_at_other_rates_stand_beside_the_error_of_their_matrix():
    half = ((1 - 0.5) * np.eye(10) + 0.5 * np.ones((10, 10)) / 10).tolist()
    label, told = "Forward(T from anchors)", "Forward(true T)"
    runs = experiments.estimated_matrices()
    found = [outcome(r, 90.0, T=half, first={"last": 80.0}) for r in runs if r.label == label][:2]
    truth = [outcome(r, 95.0) for r in runs if r.label == told][:2]
    table = tables.corrected_table([*found, *truth])
    assert list(table[told].columns) == ["last epoch", "best epoch"]
    assert table[told, "last epoch"].tolist() == ["95.00", "95.00"]
    assert table[label, "best epoch"].tolist() == ["99.00", "99.00"]
    errors = [tables.estimation_error(o) for o in found]
    assert list(table.index) == [("symmetric", 0.1), ("symmetric", 0.5)]
    assert table[label, "error of T"].tolist() == [f"{100 * e:.2f}" for e in errors]
    assert table[label, "first training"].tolist() == ["80.00", "80.00"]
    assert table[label, "last epoch"].tolist() == ["90.00", "90.00"]
    assert errors[0] == pytest.approx(0.35)  # 45 % flipped where it should be 10 %
    assert tables.corrected_table([]).empty


def test_the_closest_rows_of_a_matrix_are_named_with_their_distance_and_what_was_learnt():
    learnt = {"fit_clean": 93.0, "fit_wrong": 18.2}
    runs = {r.label: r for r in experiments.assumed_flips()}
    M = np.eye(10)
    M[3, [3, 8]] = 0.6, 0.4  # 40 % of the way to the 8
    estimated = next(r for r in experiments.estimated_matrices() if r.loss.estimated)
    given = [outcome(runs["Forward(T asymmetric 0.49)"], 80.0, **learnt),
             outcome(runs["Forward(true T)"], 97.0, **learnt),
             outcome(estimated, None, T=M.tolist(), **learnt)]  # fmt: skip
    table = tables.closest_table(given)
    assert table["closest rows"].tolist() == ["3 and 8", "5 and 6", "5 and 6"]
    assert table["apart"].tolist() == pytest.approx([60, 20, 2])  # by hand: 51 : 49 against 49 : 51
    assert table["last epoch"].tolist() == ["–", "97.00", "80.00"]
    assert table["best epoch"].tolist() == ["–", "99.00", "99.00"]
    assert table["correct labels fitted"].tolist() == ["93.0"] * 3
    assert table["wrong labels memorised"].tolist() == ["18.2"] * 3
    assert tables.closest_table([]).empty


def test_the_best_epoch_of_a_diverged_run_is_in_no_mean():
    lost = outcome(experiments.assumed_flips()[3], None)
    table = tables.corrected_table([lost])
    assert list(table["Forward(true T)", "best epoch"]) == ["– (1 diverged)"]


def test_the_anchors_of_sure_networks_miss_what_their_mean_and_a_count_have():
    """Networks that are right, sure in one sample of five: T with a 1 at the 99 % point."""
    T = noise.symmetric(10, 0.3)
    p = np.repeat(T, 100, axis=0)
    true, sure = np.arange(1000) // 100, np.arange(1000) % 5 == 0
    p[sure] = np.eye(10)[true[sure]]
    given = noise.corrupt(true, T, 0)[0]
    column = tables.anchor_table({"CE": SimpleNamespace(given=given, p=p)}, T)["CE"]
    assert column["one sample, at the 95 % point of p_i"] == "0.0"
    assert column["one sample, at the 99 % point of p_i"] == "30.0"
    assert column["mean of all samples predicted as i"] == "6.0"
    joint = estimation.from_confident_joint(given, p)
    assert column["confident joint"] == f"{100 * estimation.error(joint, T):.1f}"
    assert float(column["confident joint"]) < 12
