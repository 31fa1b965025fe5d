"""L_DMI in notebook 07: the numbers of its properties, and tables that follow the records."""

import math

import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("agg")

import factory
from labelnoise import experiments, losses, noise
from labelnoise.analysis.rules import dmi as rule
from labelnoise.analysis.tables import MISSING
from labelnoise.analysis.tables import dmi as tables
from labelnoise.figures import dmi as info
from labelnoise.losses.dmi import joint
from labelnoise.runs.sweep import Outcome
from labelnoise.theory import dmi as theory

pytestmark = pytest.mark.usefixtures("no_figure_is_left_open")


# ---------------------------------------------------------------------------- the two properties


def test_noise_adds_its_constant_to_l_dmi_and_turns_the_order_of_ce():
    found = tables.orders({"pairflip": noise.pairflip(3, 0.6)})["pairflip"]
    assert found.dmi_noisy - found.dmi == pytest.approx(np.full(60, -math.log(0.28)))
    assert np.corrcoef(found.ce, found.ce_noisy)[0, 1] < 0.5


def test_costs_in_expectation_are_those_of_the_losses_on_many_noisy_labels():
    logits, true = theory.crowd(3, size=2, samples=200)
    T = np.array([[0.6, 0.4, 0], [0, 1, 0], [0, 0.3, 0.7]])
    found = theory.costs(logits, true, T)
    many = true.repeat(2000)
    given = torch.from_numpy(noise.corrupt(many.numpy(), T, 0)[0])
    for m, z in enumerate(logits):
        assert found.dmi[m] == pytest.approx(losses.DMI()(z, true).item())
        assert found.ce[m] == pytest.approx(losses.CE()(z, true).item())
        z = z.repeat(2000, 1)
        assert found.dmi_noisy[m] == pytest.approx(losses.DMI()(z, given).item(), abs=0.02)
        assert found.ce_noisy[m] == pytest.approx(losses.CE()(z, given).item(), rel=0.01)


def test_of_joint_is_the_loss():
    logits, true = theory.crowd(4, size=1, samples=100)
    loss = losses.DMI()(logits[0], true)
    assert theory.of_joint(joint(logits[0], true)) == pytest.approx(loss.item())


def test_large_batches_measure_and_compare_better_and_small_ones_lack_classes():
    small, large = (theory.batches(10, 0.3, size, repeats=100) for size in (16, 256))
    assert small.lacks_class.mean() > 0.8
    assert large.lacks_class.mean() == 0
    assert np.ptp(np.quantile(large.error, (0.05, 0.95))) < 3
    assert np.median(small.error) > 10
    assert large.dmi_right.mean() > 0.9 > 0.3 > small.dmi_right.mean()
    assert (small.error[small.lacks_class] > 20).all()  # at the floor


def test_no_processing_of_the_answers_lowers_l_dmi():
    """Information-monotone; CE of a classifier that is too sure falls when it is made unsure."""
    dmi, ce = theory.processed(3, repeats=200)
    assert dmi.min() > -1e-9
    assert dmi.max() > 1
    assert ce.min() < -0.05 < 0.1 < ce.max()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_the_determinant_weighs_classes_alike(share):
    """It says "rare" from the posterior ``share`` on, the rule of the most balanced accuracy."""
    (_, half, *_), (_, prior, common, rare, det) = theory.rare_class(share)
    assert half == pytest.approx(0.5, abs=2e-3)
    assert prior == pytest.approx(share, abs=2e-3)
    assert common == pytest.approx(rare, abs=0.1)  # alike, as the two classes are
    assert det == pytest.approx(share * (1 - share) * (common + rare - 100) / 100)


def test_renaming_the_outputs_changes_all_but_l_dmi():
    rows = theory.permuted(3)
    assert rows[0][0] == "0 1 2"
    assert len({order for order, *_ in rows}) == 6
    accuracies, ce, dmi = zip(*((a, c, d) for _, a, c, d in rows), strict=True)
    assert sum(accuracies) == pytest.approx(200)  # each sample is right in 2 of 6 namings
    assert max(accuracies) == accuracies[0] > 90
    assert min(ce) == ce[0]
    assert dmi == pytest.approx([dmi[0]] * 6)


def test_a_constant_answer_has_no_slope():
    (_, _, constant, ce), (_, accuracy, warm, _) = theory.slopes(10, (0, 2))
    assert constant < 1e-15
    assert ce > 1e-3
    assert accuracy > 50
    assert warm > 10 * ce / 3


# ------------------------------------------------------------------------------------ the grids


RUNS = experiments.GRIDS["dmi_fashion"]()


def outcome(run, last: float | None, **result) -> Outcome:
    made = {"val_chosen": 97.0, "val_loss_chosen": 96.0,
            "first": {"last": 85.0, "val_chosen": 80.0}}  # fmt: skip
    return factory.outcome(run, last, **{**made, **result})


def made(ahead, runs=RUNS) -> list[Outcome]:
    """Every run at 80 + seed, DMI ahead by ``ahead(noise)`` and a little that differs by seed."""
    return [
        outcome(r, 80.0 + r.seed
                + (ahead(r.noise) + 0.1 * r.seed if r.loss.name == "DMI" else 0))
        for r in runs
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ahead", "word"),
    [
        (lambda n: 2.0, "supported"),
        (lambda n: 2.0 if n.rate == 0.6 and n.pattern != "independent" else 0.0, "supported"),
        (lambda n: 2.0 if n.pattern == "dependent-a" else 0.0, "undecided"),
        (lambda n: 0.0, "undecided"),
        (lambda n: -2.0 if (n.rate, n.pattern) == (0.2, "independent") else 2.0,
         "contradicted"),
        (lambda n: -0.5 if n.rate == 0.2 else 2.0, "supported"),  # within the margin
    ],
)  # fmt: skip
def test_the_verdict_is_the_rule_of_the_grid(ahead, word):
    assert rule.verdict(RUNS, made(ahead)) == word


def test_the_verdict_waits_for_every_comparison_and_forward_has_no_part_in_it():
    every = made(lambda n: 2.0)
    assert rule.verdict(RUNS, every[:-5]) == "supported"  # two seeds are left everywhere
    lacking = [o for o in every if o.run.loss.name != "GCE" or o.run.seed == 0]
    assert rule.verdict(RUNS, lacking) == "not yet run"
    assert rule.verdict(RUNS, []) == "not yet run"
    assert rule.verdict(RUNS, [o for o in every if o.run.loss.name != "Forward"]) == "supported"


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ((2.0, 2.1, 2.2), "wins"),
        ((-2.0, -2.1, -2.2), "loses"),
        ((0.4, 0.5, 0.45), "level"),  # above 0, within the margin
        ((-0.4, -0.5, -0.45), "level"),
        ((6.0, 0.1, 0.2), "level"),  # beyond the margin, but the interval holds 0
        ((-6.0, -0.1, -0.2), "level"),
    ],
)
def test_a_win_takes_the_margin_and_the_whole_interval(gains, word):
    setting = RUNS[0].noise
    ahead = {"DMI": gains, "CE": (0.0, 0.0, 0.0)}
    found = [outcome(r, 80.0 + r.seed + ahead[r.loss.name][r.seed])
             for r in RUNS if r.noise == setting and r.loss.name in ahead]  # fmt: skip
    differences = rule.gains(found, setting, "CE")
    assert rule.judged(differences) == word
    assert sum(differences) == pytest.approx(sum(gains))


def test_tables_show_the_records_by_pattern_rate_and_loss():
    outcomes = made(lambda n: 2.0)
    table = tables.grid_table(RUNS, outcomes)
    assert table.shape == (9, 5)
    assert table.index[0] == ("independent", 0.2)
    assert table.loc[("dependent-b", 0.6), "CE"] == "81.00 ± 1.00"
    assert table.loc[("dependent-b", 0.6), "DMI"] == "83.10 ± 1.10"
    against = tables.against_table(RUNS, outcomes)
    assert list(against.columns) == [
        "against CE", "against Forward(true T)", "against GCE", "against CLL(target, sigma 1)"
    ]  # fmt: skip
    assert against.loc[("dependent-a", 0.4), "against CE"] == "+2.10 ± 0.25 (wins)"
    stages = tables.stage_table(RUNS, outcomes, "DMI")
    assert stages.loc[("dependent-a", 0.4)].tolist() == [
        "85.00 ± 0.00", "80.00 ± 0.00", "83.10 ± 1.10", "97.00 ± 0.00", "96.00 ± 0.00",
        "99.00 ± 0.00",
    ]  # fmt: skip


def test_balanced_accuracy_is_the_mean_of_the_recalls():
    run = RUNS[0]
    outcomes = [outcome(run, 95.0, recalls=[100.0, 50.0])]
    label = next(iter(info.losses_of([run]).values()))
    at = run.noise.pattern, run.noise.rate
    assert tables.grid_table(RUNS, outcomes, balanced=True).loc[at, label] == "75.00"
    assert tables.grid_table(RUNS, outcomes).loc[at, label] == "95.00"


def test_what_is_missing_is_a_dash():
    for table in (tables.grid_table(RUNS, []), tables.against_table(RUNS, []),
                  tables.stage_table(RUNS, [], "DMI")):  # fmt: skip
        assert (table == MISSING).all(axis=None)


def test_diverged_runs_are_counted_and_keep_l_dmi_from_being_supported():
    broken = [outcome(r, None) for r in RUNS if r.loss.name == "DMI"]
    for balanced in (False, True):
        table = tables.grid_table(RUNS, broken, balanced=balanced)
        assert (table["DMI"] == f"{MISSING} (3 diverged)").all()
        assert (table.drop(columns="DMI") == MISSING).all(axis=None)
    assert (tables.stage_table(RUNS, broken, "DMI") == f"{MISSING} (3 diverged)").all(axis=None)
    every = made(lambda n: 2.0)
    last = max(i for i, o in enumerate(every) if o.run.loss.name == "DMI")
    every[last] = outcome(every[last].run, None)
    assert rule.verdict(RUNS, every) == "undecided"
    setting = every[last].run.noise
    cell = tables.grid_table(RUNS, every).loc[(setting.pattern, setting.rate), "DMI"]
    assert cell.endswith(" (1 diverged)")


def test_the_cold_start_stands_beside_the_warm_one_of_its_seed():
    runs = experiments.GRIDS["dmi_cold"]()
    cold = [outcome(r, 12.5) for r in runs]
    table = tables.cold_table(cold, made(lambda n: 2.0), runs)
    assert len(table) == 3
    assert table.loc[("dependent-a", 0.4)].tolist() == ["12.50", "87.50", "82.00"]
    assert (tables.cold_table([], [], runs) == MISSING).all(axis=None)
    others = [o for o in made(lambda n: 2.0) if o.run.seed != 0]
    assert (tables.cold_table(cold, others, runs)["warm start"] == MISSING).all()


def test_data_that_cannot_be_fetched_say_what_to_bring():
    table = tables.state_table({"Fashion-MNIST": (RUNS, made(lambda n: 0.0)), "MR": (RUNS, [])})
    assert table.loc["Fashion-MNIST"].tolist() == [135, 135, "committed"]
    assert table.loc["MR", "state"] == "not yet run"
    assert table.loc["Clothing1M", "state"].startswith("bring")


# ------------------------------------------------------------------------------------- pictures


def test_the_grid_figure_draws_means_at_their_rates_and_says_what_is_missing():
    some = [o for o in made(lambda n: 2.0) if o.run.noise.pattern != "dependent-b"]
    figure = info.grid_figure("dmi_fashion", some, constant=90.0)
    assert len(figure.axes) == 3
    for ax, drawn in zip(figure.axes, (True, True, False), strict=True):
        assert [t.get_text() for t in ax.texts] == ([] if drawn else ["not yet run"])
    dmi = figure.axes[0].containers[-1].lines[0]
    assert dmi.get_ydata().tolist() == pytest.approx([83.1] * 3)
    assert dmi.get_xdata() == pytest.approx([20, 40, 60], abs=3)
    (ends, *_) = figure.axes[0].containers[-1].lines[2][0].get_segments()
    assert np.ptp(ends[:, 1]) / 2 == pytest.approx(4.3027 * 1.1 / 3**0.5, abs=1e-3)
    seeds = pytest.approx([82.0, 83.1, 84.2])
    assert any(list(line.get_ydata()) == seeds for line in figure.axes[0].lines)


def test_a_closer_look_shows_the_same_means_on_a_scale_of_its_own():
    axes = info.grid_figure("dmi_fashion", made(lambda n: 2.0), closer=82.0).axes
    assert len(axes) == 6
    for above, below in zip(axes[:3], axes[3:], strict=True):
        assert below.get_ylim()[0] == 82
        drawn = [[c.lines[0].get_ydata().tolist() for c in ax.containers] for ax in (above, below)]
        assert drawn[0] == drawn[1]


def test_the_order_figure_has_a_dot_a_classifier():
    found = tables.orders({"symmetric": noise.symmetric(3, 0.4)})
    costs = found["symmetric"]
    figure = info.order_figure(found)
    drawn = ((costs.dmi, costs.dmi_noisy), (costs.ce, costs.ce_noisy))
    for ax, (clean, noisy) in zip(figure.axes, drawn, strict=True):
        (dots,) = ax.lines
        assert len(dots.get_xdata()) == 60
        assert np.array_equal(dots.get_xdata(), clean)
        assert np.array_equal(dots.get_ydata(), noisy)


def test_the_batch_figure_has_every_size_and_number_of_classes():
    figure = info.batch_figure((2, 3), (16, 64), 0.3)
    assert len(figure.axes[0].collections) == 2
    assert [len(line.get_xdata()) for line in figure.axes[1].lines] == [2] * 4
    drawn = figure.axes[1].lines[0].get_ydata()
    found = theory.batches(2, 0.3, 64)
    assert drawn[1] == 100 * found.dmi_right.mean()
    assert figure.axes[1].lines[1].get_ydata()[1] == 100 * found.ce_right.mean()
    assert figure.axes[0].lines[0].get_ydata()[1] == np.median(found.error)
