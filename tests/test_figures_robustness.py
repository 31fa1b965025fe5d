"""Rankings, criteria and pictures of robustness show the records and the theory, nothing else."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

mpl.use("agg")

import factory
from labelnoise import experiments, figures, losses, theory
from labelnoise.analysis import stats
from labelnoise.analysis.rules import robustness_theory as rule
from labelnoise.analysis.tables import mnist_symmetric as mnist_symmetric_tables
from labelnoise.analysis.tables import robustness_runs as of_runs
from labelnoise.analysis.tables import robustness_theory as tables
from labelnoise.figures import mnist_symmetric, robustness_theory
from labelnoise.losses import AEL, CE, CLL, GCE, LOSSES, MAE, TaylorCE

pytestmark = pytest.mark.usefixtures("no_figure_is_left_open")


def outcome(run, last, best=96.0, **result):
    return factory.outcome(run, last, best=best, **result)


def runs_of(*names: str, seeds=(0, 1)) -> list:
    return [r for r in experiments.every_loss(seeds) if r.loss.name in names]


# ---------------------------------------------------------------------------------- correlation


def test_rank_correlation_is_spearmans_with_ties():
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 6, 30), rng.normal(size=30)
    rho, p = stats.rank_correlation(x, y)
    assert rho == pytest.approx(spearmanr(x, y).statistic)
    assert p == pytest.approx(spearmanr(x, y).pvalue, abs=0.03)
    assert stats.rank_correlation(x, y) == (rho, p)
    assert stats.rank_correlation([1, 1, 1], [1, 2, 3]) == (0, 1)


# -------------------------------------------------------------------------------------- ranking


def test_every_loss_belongs_to_one_family_and_has_a_colour():
    members = [name for names in losses.FAMILIES.values() for name in names]
    assert sorted(members) == sorted(LOSSES)
    assert list(figures.FAMILY_COLOURS) == list(losses.FAMILIES)
    assert all(figures.colour(name) != "#666666" for name in LOSSES)
    assert figures.family("Unknown") is None
    assert figures.colour("Unknown") == "#666666"


def test_the_ranking_is_by_mean_last_epoch_and_counts_what_diverged():
    ce, mae = runs_of("CE"), runs_of("MAE")
    found = [outcome(ce[0], 80.0), outcome(ce[1], 82.0), outcome(mae[0], 95.0),
             outcome(mae[1], None)]  # fmt: skip
    table = mnist_symmetric_tables.ranking_table(found)
    assert list(table["loss"]) == ["MAE", "CE"]
    assert list(table["last epoch"]) == ["95.00", "81.00 ± 1.41"]
    assert list(table["each seed"]) == ["95.0 (1 diverged)", "80.0, 82.0"]


def test_the_ranked_plot_draws_mean_interval_best_and_the_cnn_beside():
    ce = runs_of("CE")
    cnn = experiments.headline([0])[:1]
    figure = mnist_symmetric.ranked(
        [outcome(ce[0], 80.0), outcome(ce[1], 82.0)], [outcome(cnn[0], 50.0)]
    )
    drawn = [tuple(line.get_xdata()) for line in figure.axes[0].lines]
    assert (96.0,) in drawn
    assert (81.0,) in drawn
    assert (80.0, 82.0) in drawn
    assert (50.0,) in drawn
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["CE"]


def test_a_lost_class_is_told_from_memorisation():
    run = runs_of("CE", seeds=(0,))[0]
    made = (
        outcome(run, 95.0),
        outcome(run, 80.0, best=80.5),
        outcome(run, 9.8, best=9.8, fit_wrong=10.1),  # a constant answer
        outcome(run, 80.0, fit_wrong=20.0),
    )
    told = [of_runs.behaviour(each) for each in made]
    assert told == ["held", "lost classes", "lost classes", "memorised"]


def test_the_summary_joins_theory_and_what_happened():
    a, b = runs_of("MAE")
    found = [outcome(a, 95.0), outcome(b, 86.0, best=86.5), outcome(runs_of("NCE")[0], 90.0),
             outcome(runs_of("CE")[0], 80.0, fit_wrong=20.0)]  # fmt: skip
    table = of_runs.summary_table(found, 10, 0.6)
    assert list(table.index) == ["MAE", "NCE", "CE"]
    assert list(table["symmetric"]) == ["yes", "yes", "no"]
    assert list(table["asymmetry ratio"]) == ["1.000", "–", "0.000"]
    assert list(table["wrong answers at most (%)"]) == ["0.0", "–", "no guarantee"]
    assert list(table["what happened"]) == ["1 held, 1 lost classes", "1 held", "1 memorised"]


def test_symmetric_losses_are_recognised():
    named = {name: tables.is_symmetric(losses.build(name, **s["parameters"]), 10)
             for name, s in losses.PUBLISHED["mnist"].items()}  # fmt: skip
    assert {name for name, found in named.items() if found} == {
        "MAE", "RCE", "NCE", "NFL", "NGCE", "NNCE", "NCE+MAE", "NCE+RCE", "NFL+RCE", "ANL-CE"
    }  # fmt: skip


def test_the_size_table_puts_both_networks_beside_the_pull():
    mlp, cnn = runs_of("CE", "RCE", seeds=(0,)), experiments.headline([0])[:1]
    found = [outcome(mlp[0], 80.0), outcome(mlp[1], 95.0), outcome(cnn[0], 50.0)]
    table = mnist_symmetric_tables.size_table(found, ["RCE", "CE", "MAE"])
    assert list(table.index) == ["RCE", "CE"]
    assert list(table["pull, untrained"]) == ["0.829", "0.900"]
    assert list(table["CNN, last epoch"]) == ["–", "50.00"]
    assert list(table["MLP, seeds"]) == [1, 1]


# ------------------------------------------------------------------------------ the claim of ALFs


def test_predictions_take_seed_0_and_losses_of_p_y_only():
    found = [outcome(r, 90.0) for r in runs_of("CE", "AEL", "NCE", "NCE+AEL")]
    table = of_runs.predictions(found, 10, 0.6)
    assert list(table.index) == ["CE", "AEL"]
    assert table.loc["AEL", "asymmetry ratio"] == pytest.approx(np.exp(-1 / 3.5))
    assert table.loc["CE", "wrong answers at most (%)"] == 100
    assert table.loc["CE", "pull on an untrained network"] == pytest.approx(0.9)
    assert table.loc["CE", "fall"] == pytest.approx(6.0)


def test_the_verdict_follows_its_rule():
    ratio = np.linspace(0, 1, 12)

    def judged(last, fall):
        columns = {"asymmetry ratio": ratio, "last epoch": last, "fall": fall}
        return rule.verdict(pd.DataFrame(columns))

    noise = np.array([5, 1, 4, 2, 6, 3, 5.5, 1.5, 4.5, 2.5, 6.5, 3.5])
    assert "last epoch: supported" in judged(ratio, noise)
    assert "last epoch: contradicted" in judged(-ratio, noise)
    assert "last epoch: undecided" in judged(noise, noise)
    assert "fall: supported" in judged(noise, -ratio)
    assert "fall: contradicted" in judged(noise, ratio)


def test_the_claims_figure_has_every_setting_in_every_panel():
    found = [outcome(r, 60.0 + 5 * i) for i, r in enumerate(runs_of("CE", "AEL", "MAE", "GCE",
                                                                    seeds=(0,)))]  # fmt: skip
    predictions = of_runs.predictions(found, 10, 0.6)
    for ax in robustness_theory.claim(predictions).axes:
        assert sum(len(line.get_xdata()) for line in ax.lines) == 4
    table = of_runs.claim_table(predictions)
    assert list(table.index) == list(of_runs.criteria(0.6, 10))


def test_the_walk_over_sigma_keeps_weight_decay_apart():
    found = [outcome(r, 95.0) for r in experiments.cll_start()]
    table = of_runs.slow_start_table(found, 10)
    assert len(table) == len(found)
    assert list(table["weight decay"]).count("0") == 4
    assert robustness_theory.slow_start(found, 10).axes[1].lines[1].get_xdata() == pytest.approx(
        [0.2, 0.25, 0.3, 0.33], rel=0.03
    )


def test_a_loss_is_followed_through_every_section():
    names = ("AEL", "CE", "CLL", "CE")
    runs = [r for r in experiments.every_loss((0, 1)) if r.loss.name in names]
    found = [outcome(r, 90.0 + r.seed, fit_wrong=2.0) for r in runs]
    table = of_runs.followed(names, found, 10, 0.6)
    assert list(table) == ["AEL", "CE", "CLL(target, sigma 1)"]
    assert table["CE"].tolist() == [
        "100", "no guarantee", "0.000", "never", "0.40", "0.900", "90.0", "99.0", "90.50 ± 0.71",
        "2.0 ± 0.0",
    ]  # fmt: skip
    assert table.loc["3 asymmetry ratio", "AEL"] == "0.751"
    assert table.iloc[7, 2] == "5.0", "as in the table of weights"
    with pytest.raises(ValueError, match="follow='NCE' has no records; recorded are 'CLL', 'CE'"):
        of_runs.to_follow("NCE")


# ------------------------------------------------------------------------ pictures of the theory


def test_losses_of_p_y_are_found_and_not_repeated():
    names = [loss.name for loss in tables.of_target()]
    assert {"CE", "GCE", "AGCE", "MixtureCLL"} <= set(names)
    assert not [n for n in names if "+" in n or n in ("NCE", "MSE", "LDR-KL")]


def test_a_grid_overstates_the_ratio_and_comes_down_to_it():
    coarse, fine = (tables.ratio_on_grid(CLL(0.5), n) for n in (10, 100))
    assert coarse > 0.25 > fine > theory.asymmetry_ratio(CLL(0.5)) == 0
    assert tables.ratio_on_grid(AEL(3.5), 100) == pytest.approx(0.751, abs=0.005)


def test_the_bound_is_drawn_and_kept():
    rates = (0.2, 0.5)
    table = tables.bound_check([GCE(0.7), CLL(1.0), MAE()], rates)
    assert set(table["rates with a violation"]) == {"0 of 2"}
    assert float(table.loc["GCE", "worst / bound, any rate"]) > 0.1  # and not for nothing
    figure = robustness_theory.guarantees([GCE(0.7)], 10, rates)
    expected = [100 * theory.error_bound(GCE(0.7), 10, r) for r in rates]
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx(expected)


def test_class_sums_are_drawn_relative_to_the_uniform_answer():
    left, right = robustness_theory.class_sums([MAE(), TaylorCE(2)], 4).axes[:2]
    assert left.lines[0].get_ydata() == pytest.approx(1)
    assert right.lines[1].get_ydata()[-1] == pytest.approx(1)
    assert right.lines[1].get_ydata()[0] == pytest.approx(4.5 / (4 * (0.75 + 0.75**2 / 2)))


def test_the_triangle_marks_the_least_risk():
    figure = robustness_theory.triangles([CE(), MAE()], (0.5, 0.3, 0.2))
    ce, mae = (ax.lines[0] for ax in figure.axes[:2])
    assert (ce.get_xdata()[0], ce.get_ydata()[0]) == pytest.approx((0.4, 0.2 * np.sqrt(3) / 2))
    assert (mae.get_xdata()[0], mae.get_ydata()[0]) == pytest.approx((0, 0))
