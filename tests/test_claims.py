"""The verdicts follow the written rules: each rule is met by records that must trip it."""

import pytest

from factory import outcome
from labelnoise import experiments
from labelnoise.analysis import claims
from labelnoise.runs.sweep import Outcome


def outcomes(loss: dict, lasts: list[float], share: float = 50.0, source: str = "committed"):
    """Made-up outcomes of ``loss`` at the headline protocol, a seed each."""
    runs = [*experiments.headline(), *experiments.robust_losses(),
            *experiments.cnn_losses(experiments.SEEDS)]  # fmt: skip
    mine = {r.seed: r for r in runs if r.loss == loss}
    return [
        outcome(mine[seed], last, source=source,
                curves={"gradient_share": [60.0, share + seed / 10]})
        for seed, last in enumerate(lasts)
    ]  # fmt: skip


def verdict(number: int, committed: list[Outcome]) -> str:
    return claims.verdicts(committed, []).loc[number, "verdict"]


def test_nothing_is_guessed_without_records():
    table = claims.verdicts([], [])
    assert list(table["verdict"][:4]) == [claims.NOT_RUN] * 4
    assert table.loc[6, "verdict"] == claims.NOT_RUN
    assert list(table["verdict"][6:]) == [claims.NOT_TESTABLE] * 2


@pytest.mark.parametrize(
    ("lasts", "expected"),
    [
        ([98.0, 98.1, 97.9], claims.REPRODUCED),  # above the claim
        ([96.5, 96.7, 96.9], claims.REPRODUCED),  # below, but the interval holds it
        ([95.0, 95.01, 95.02], claims.PARTLY),  # within 3 points
        ([90.0, 90.1, 90.2], claims.NOT),
        ([95.0], claims.PARTLY),  # one seed: only the distance counts
    ],
)
def test_cll_claim(lasts, expected):
    assert verdict(1, outcomes(claims.CLL, lasts)) == expected


def test_the_two_readings_of_43_43_percent_are_judged_apart():
    committed = outcomes(claims.CE, [53.0, 53.5, 54.0]) + outcomes(claims.CLL, [97.0, 97.0, 97.0])
    assert verdict(2, committed) == claims.REPRODUCED
    assert verdict(3, committed) == claims.NOT
    cell = claims.verdicts(committed, []).loc[2, "committed"]
    assert "43.50 points" in cell
    assert "81.31 %" in cell


def test_ce_far_above_the_paper_is_not_reproduced():
    assert verdict(2, outcomes(claims.CE, [80.0, 80.1, 80.2])) == claims.NOT


def test_gradient_claim_needs_the_interval_above_zero():
    ce = outcomes(claims.CE, [50.0] * 3, share=70.0)
    assert verdict(4, ce + outcomes(claims.CLL, [98.0] * 3, share=50.0)) == claims.REPRODUCED
    assert verdict(4, ce + outcomes(claims.CLL, [98.0] * 3, share=75.0)) == claims.NOT


def test_threshold_claim_holds_for_the_kernel_and_not_for_another_place():
    assert verdict(5, []) == claims.REPRODUCED
    assert claims.peak_error(0.4) == pytest.approx(0.4, abs=1e-3)


def test_better_in_most_cases_is_partly_at_best_with_one_case():
    cll = outcomes(claims.CLL, [98.0, 98.1, 98.2])
    worse = [o for loss in claims.ROBUST for o in outcomes(loss, [90.0, 90.3, 90.1])]
    better = [o for loss in claims.ROBUST for o in outcomes(loss, [99.0, 99.2, 99.1])]
    assert verdict(6, cll + worse) == claims.PARTLY
    assert verdict(6, cll + better) == claims.NOT
    single = [o for loss in claims.ROBUST for o in outcomes(loss, [90.0])]
    assert verdict(6, cll + single) == claims.NOT_RUN  # one seed has no interval
    assert verdict(6, cll + worse[:-3] + single[-1:]) == claims.PARTLY


def test_agreement_tells_identical_inside_and_outside_apart():
    committed = outcomes(claims.CE, [50.0, 50.5, 51.0])
    identical = outcomes(claims.CE, [50.0], source="here")
    inside = outcomes(claims.CE, [51.2], source="here")
    outside = outcomes(claims.CE, [60.0], source="here")
    assert "bit-identical" in claims.agreement(committed, identical)["verdict"].iloc[0]
    assert claims.agreement(committed, inside)["verdict"].iloc[0] == "inside"
    assert claims.agreement(committed, outside)["verdict"].iloc[0] == "OUTSIDE"
    assert claims.agreement(committed, []).empty
