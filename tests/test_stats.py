"""Statistics against closed forms, and the rule that chooses CLL against hand-made records."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from labelnoise import experiments
from labelnoise.analysis import stats
from labelnoise.analysis.rules.mnist_symmetric import choose_cll
from labelnoise.files import COMMITTED
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import Outcome, sweep


def validated(loss: dict, accuracy: float) -> Outcome:
    """A candidate's outcome with a made-up noisy-validation accuracy, in percent."""
    run = next(r for r in experiments.cll_choice() if r.loss == loss)
    return Outcome(run, {"curves": {"val_accuracy": [10.0, accuracy]}}, "committed")


def test_summary_is_mean_sample_deviation_and_t_interval():
    values = [97.0, 98.0, 99.5]
    s = stats.summarise(values)
    low, high = scipy_stats.t.interval(0.95, 2, np.mean(values), scipy_stats.sem(values))
    assert s.n == 3
    assert (s.mean, s.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (s.low, s.high) == pytest.approx((low, high))


def test_one_seed_has_no_interval():
    s = stats.summarise([97.0])
    assert (s.n, s.mean, s.sd, s.low, s.high) == (1, 97.0, None, None, None)
    assert stats.prediction_interval([97.0]) is None


def test_t_and_prediction_intervals_cover_what_they_promise():
    rng = np.random.default_rng(0)
    draws = rng.normal(5, 2, size=(4000, 4))
    summaries = [stats.summarise(row[:3]) for row in draws]
    assert np.mean([s.low <= 5 <= s.high for s in summaries]) == pytest.approx(0.95, abs=0.012)
    bands = [stats.prediction_interval(row[:3]) for row in draws]
    inside = [low <= row[3] <= high for (low, high), row in zip(bands, draws, strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


def test_paired_uses_the_shared_seeds_only():
    s = stats.paired({0: 3.0, 1: 5.0, 7: 100.0}, {0: 1.0, 1: 2.0, 8: 0.0})
    assert (s.n, s.mean) == (2, 2.5)
    with pytest.raises(ValueError, match="share none"):
        stats.paired({0: 1.0}, {1: 1.0})


@pytest.mark.parametrize("values", [[], [1.0, None], [math.nan]])
def test_a_diverged_run_is_never_averaged(values):
    with pytest.raises(ValueError, match="diverged"):
        stats.summarise(values)


def test_choice_takes_a_clear_winner():
    target, narrow, vector, elementwise = experiments.CLL_CANDIDATES
    outcomes = [validated(target, 30), validated(narrow, 30), validated(vector, 38),
                validated(elementwise, 30)]  # fmt: skip
    assert choose_cll(outcomes).run.loss == vector


def test_choice_gives_ties_to_target_and_then_to_the_larger_sigma():
    # At 39 % of 6000 the standard error is 0.63, so half a point is a tie.
    target, narrow, vector, elementwise = experiments.CLL_CANDIDATES
    outcomes = [validated(vector, 39.0), validated(narrow, 38.9), validated(target, 38.5),
                validated(elementwise, 39.1)]  # fmt: skip
    assert choose_cll(outcomes).run.loss == target
    outcomes[2] = validated(target, 38.0)  # now worse by more than one standard error
    assert choose_cll(outcomes).run.loss == narrow


def test_the_committed_validation_runs_choose_the_cll_that_the_tables_use():
    outcomes = sweep(experiments.cll_choice(), "replay", committed=Ledger(COMMITTED))
    if len(outcomes) < len(experiments.CLL_CANDIDATES):
        pytest.skip("the noisy-validation runs are not all recorded yet")
    assert choose_cll(outcomes).run.loss == experiments.CLL
