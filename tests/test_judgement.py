"""The rule that judges a record by its retraining: to the bit here, by the spread elsewhere."""

import numpy as np
import pytest
from scipy import stats

import audit_cases
from labelnoise.reproduce import judgement
from labelnoise.reproduce.judgement import FALLS, STANDS, UNJUDGED, judge
from labelnoise.training.methods import train


@pytest.fixture(scope="module")
def record() -> dict:
    """Trained here, on a device whose word is pinned to no processor."""
    made = train(audit_cases.run(), device="cpu")
    return audit_cases.changed(made, provenance={"device": "Some CPU"})


def elsewhere(record: dict, **result: object) -> dict:
    """Its retraining on another machine, with other numbers."""
    return audit_cases.changed(record, result=result, provenance={"processor": {"model": "x"}})


def seeds(record: dict, *values: float, loss: str = "CE", **config: object) -> list[dict]:
    """Other seeds of the setting, or of another loss, that differ in ``last`` alone."""
    loss = {"name": loss, "parameters": {}}
    loss = record["config"]["loss"] if loss["name"] == "CE" else loss
    return [audit_cases.changed(record, config={"seed": seed, "loss": loss, **config},
                                result={"last": value})
            for seed, value in enumerate(values, 1)]  # fmt: skip


def last(record: dict, value: float) -> dict:
    return audit_cases.changed(record, result={"last": value})


# ------------------------------------------------------------------------------ on the same machine


@pytest.mark.parametrize("old", [False, True])
def test_the_same_machine_gives_the_same_bits_or_the_record_falls(old, record):
    again = audit_cases.sealed(record)
    made = audit_cases.sealed(record, old=old)
    assert judge(made, again, []).word == STANDS
    for edit in ({"last": made["result"]["last"] + 1e-9}, {"best_epoch": 7}, {"fit_wrong": 0.01}):
        forged = audit_cases.changed(made, result=edit)
        word, why = judge(forged, again, [forged, *seeds(record, 1.0, 50.0, 99.0)])
        assert word == FALLS, "whatever the seeds would allow"
        assert next(iter(edit)) in why
        assert ("by a word only" in why) == old
    curve = [0.0, *record["curves"]["train_loss"][1:]]
    assert judge(audit_cases.changed(made, curves={"train_loss": curve}), again, []).word == FALLS
    arrays = audit_cases.changed(made, result={"arrays": {"probabilities": "0"}})
    assert judge(arrays, again, []).word == FALLS


@pytest.mark.parametrize("name", ["torch", "threads", "precision", "processor"])
def test_another_build_or_processor_is_elsewhere(name, record):
    other = audit_cases.changed(record, provenance={name: "other"}, result={"last": 50.0})
    assert judge(last(record, 50.1), other, []).word == UNJUDGED


def test_an_old_record_is_of_the_same_machine_if_the_device_is_the_same_word(record):
    old = audit_cases.sealed(last(record, 50.1), old=True)
    assert judge(old, record, []).word == FALLS
    other = audit_cases.changed(record, provenance={"device": "another word"})
    assert judge(old, other, []).word == UNJUDGED


def test_an_old_record_of_a_pinned_word_is_of_that_processor_only(record):
    """A newer EPYC goes by the same word, and computes other bits."""
    old = audit_cases.sealed(last(record, 50.1), old=True)
    old["provenance"]["device"] = word = "AMD EPYC"
    for edit, verdict in (({}, FALLS), ({"model": "33"}, UNJUDGED)):
        made = {"device": word, "processor": {**judgement.PINNED[word], **edit}}
        assert judge(old, audit_cases.changed(record, provenance=made), []).word == verdict


def test_other_flips_are_another_run(record):
    other = audit_cases.changed(record, provenance={"flips_sha256": "0" * 64})
    assert judge(record, other, [])[1].startswith("FLIPS DIFFER")


# ---------------------------------------------------------------------------------------- elsewhere


def test_three_other_seeds_judge_by_their_own_spread(record):
    """s of 49, 50, 51 is 1, df 2: t_{2, 0.995} sqrt(2) = 14.036 apart are allowed."""
    others = seeds(record, 49.0, 50.0, 51.0) + seeds(record, 1.0, 99.0, loss="MAE")
    limit = stats.t.ppf(0.995, 2) * np.sqrt(2)
    for apart, word in ((0.0, STANDS), (limit - 0.01, STANDS), (limit + 0.01, FALLS)):
        made = last(record, 50.0)
        assert judge(made, elsewhere(record, last=50.0 + apart), [made, *others]).word == word


def test_fewer_seeds_are_pooled_over_comparable_settings_whatever_the_loss(record):
    """s^2 = (1 * 2 + 2 * 1) / 3, df 3."""
    others = seeds(record, 49.0, 51.0) + seeds(record, 80.0, 81.0, 82.0, loss="MAE")
    others += seeds(record, 7.0, loss="MSE")
    limit = stats.t.ppf(0.995, 3) * np.sqrt(4 / 3) * np.sqrt(2)
    for apart, word in ((limit - 0.01, STANDS), (limit + 0.01, FALLS)):
        assert judge(last(record, 50.0), elsewhere(record, last=50 + apart), others).word == word


@pytest.mark.parametrize(
    "other", [{"noise": {"kind": "clean"}}, {"model": "cnn4"}, {"subset": None},
              {"val_fraction": 0.1}, {"method": {"name": "pruned"}}]
)  # fmt: skip
def test_other_data_noise_networks_or_methods_judge_nothing(other, record):
    others = seeds(record, 49.0, 50.0, 51.0, **other)
    word, why = judge(last(record, 50.0), elsewhere(record, last=90.0), others)
    assert word == UNJUDGED
    assert "last" in why


def test_a_single_pair_of_seeds_judges_nothing(record):
    others = seeds(record, 50.0, 51.0)
    assert judge(last(record, 50.0), elsewhere(record, last=50.5), others).word == UNJUDGED


def test_a_record_does_not_vouch_for_itself(record):
    """With itself among the seeds, a forged 96.81 would widen the spread until it lies inside."""
    made, others = last(record, 96.81), seeds(record, 50.0, 51.0, 50.5)
    assert judge(made, elsewhere(record, last=50.2), [made, *others]).word == FALLS


@pytest.mark.parametrize("name", ["best", "fit_clean", "fit_wrong", "fit_true", "noise_rate"])
def test_every_number_of_the_result_is_judged_not_only_the_last(name, record):
    others = seeds(record, *[record["result"]["last"]] * 3)
    assert judge(record, elsewhere(record, last=record["result"]["last"]), others).word == STANDS
    forged = audit_cases.changed(record, result={name: record["result"][name] - 5.0})
    word, why = judge(forged, elsewhere(record), others)
    assert word == FALLS
    assert name in why


def test_counts_and_epochs_are_judged_no_finer_than_by_one(record):
    others = seeds(record, *[record["result"]["last"]] * 4)
    for by, word in ((1, STANDS), (40, FALLS)):
        again = elsewhere(record, best_epoch=record["result"]["best_epoch"] + by)
        assert judge(record, again, others).word == word


def test_counts_of_which_the_first_is_none_are_counts(record):
    made = audit_cases.changed(record, curves={"changed": [None, 5]})
    others = [audit_cases.changed(made, config={"seed": seed}) for seed in (1, 2, 3)]
    again = audit_cases.changed(elsewhere(made), curves={"changed": [None, 6]})
    assert judge(made, again, others).word == STANDS, "one count apart"


def test_a_curve_is_judged_by_its_mean_difference(record):
    others = seeds(record, *[record["result"]["last"]] * 4)
    again = elsewhere(record)
    again["curves"]["train_loss"] = [value + 0.5 for value in again["curves"]["train_loss"]]
    word, why = judge(record, again, others)
    assert word == FALLS
    assert "curves.train_loss" in why


def test_nested_numbers_and_matrices_are_judged(record):
    T, first = [[0.9, 0.1], [0.2, 0.8]], {"last": 80.0, "noise_rate": 60.0}
    made = audit_cases.changed(record, result={"T": T, "first": first})
    others = [audit_cases.changed(made, config={"seed": seed}) for seed in (1, 2, 3)]
    assert judge(made, elsewhere(made), others).word == STANDS
    for edit, name in (
        ({"T": [[0.9, 0.1], [0.5, 0.5]]}, "T[2]"),
        ({"first": {**first, "last": 90.0}}, "first.last"),
        ({"first": {**first, "noise_rate": 60.001}}, "first.noise_rate"),
        ({"first": None}, "first"),
    ):
        word, why = judge(audit_cases.changed(made, result=edit), elsewhere(made), others)
        assert word == FALLS
        assert name in why


def test_divergence_is_compared_and_never_averaged(record):
    def diverged(record: dict, at: int = 2) -> dict:
        return audit_cases.changed(record, result={"last": None, "diverged_at": at})

    others = seeds(record, *[record["result"]["last"]] * 3)
    for made, again in (
        (record, diverged(elsewhere(record))),
        (diverged(record), elsewhere(record)),
    ):
        assert judge(made, again, others).word == FALLS
    broken = [diverged(other, at=1) for other in others]
    assert judge(diverged(record), diverged(elsewhere(record), at=1), broken).word == STANDS
    assert judge(diverged(record), diverged(elsewhere(record), at=1), others).word == UNJUDGED
    lively = [*others, diverged(seeds(record, 0.0, 0.0, 0.0, 0.0)[3])]
    assert judge(record, elsewhere(record), lively).word == STANDS, "its None is left out"


def test_arrays_and_the_order_of_records_make_no_difference(record):
    made = audit_cases.changed(record, result={"arrays": {"probabilities": "0" * 64}})
    again = audit_cases.changed(elsewhere(record), result={"arrays": {"probabilities": "1" * 64}})
    others = seeds(record, 49.0, 50.0, 51.0)
    assert judge(made, again, others) == judge(made, again, others[::-1])
    assert judge(made, again, others).word == STANDS
