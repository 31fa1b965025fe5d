"""A user's list of suspects as a method: what it draws, what its record holds, how it is judged."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from factory import outcome, quick
from labelnoise.analysis.rules import suspects as rules
from labelnoise.analysis.tables import suspects as tables
from labelnoise.config import SuspectList, method
from labelnoise.experiments import noisy
from labelnoise.experiments import suspects as grids
from labelnoise.noise import signs
from labelnoise.reproduce import soundness
from labelnoise.runs.sweep import Outcome
from labelnoise.training import methods, suspect_list

RUN = quick(
    subset=None, noise=noisy("symmetric", 0.3), method=method("suspect_list", size=100, rare=3)
)


@pytest.fixture(scope="module")
def record() -> dict:
    return methods.train(RUN, device="cpu")


def test_the_record_is_sound_and_has_a_list_of_every_judge(record):
    result = record["result"]
    assert result["drawn"]["samples"] == 95
    assert set(result["lists"]) == set(rules.JUDGES) == set(record["provenance"]["seconds_of"])
    assert [*soundness.stage(result, record["curves"], 2)] == []
    assert [*soundness.more(result, record["curves"], RUN)] == []
    assert [*soundness.Labels().differ(RUN, record)] == []
    forged = {**result, "drawn": {"samples": 96, "wrong": 1}}
    assert len([*soundness.more(forged, record["curves"], RUN)]) == 3


def test_a_list_is_the_same_again(record):
    again = methods.train(RUN, device="cpu")
    assert again["result"] == record["result"]
    assert again["curves"] == record["curves"]


def test_as_many_of_each_true_class_are_drawn_and_few_of_the_rare_one():
    true = torch.arange(10).repeat(50)
    kept = suspect_list.drawn(true, SuspectList(size=304, rare=8), seed=0)
    assert torch.bincount(true[kept]).tolist() == [31, 31, 31, 31, 30, 30, 30, 30, 5, 30]
    other = suspect_list.drawn(true, SuspectList(size=304, rare=8), seed=1)
    assert kept.tolist() != other.tolist()
    with pytest.raises(ValueError, match="more samples of the classes"):
        suspect_list.drawn(true, SuspectList(size=600), seed=0)


def test_every_fold_has_its_share_of_every_class():
    given = np.repeat(range(4), [40, 23, 5, 12])
    fold = suspect_list.stratified(given, 5, seed=0)
    for k in range(4):
        counts = np.bincount(fold[given == k], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_no_judge_of_scikit_learn_sees_what_it_judges():
    class Watch:
        def get_params(self, deep=False):
            return {}

        def fit(self, rows, given):
            self.seen, self.classes_ = set(rows[:, 0]), np.array([0, 2])
            return self

        def predict_proba(self, rows):
            assert not self.seen & set(rows[:, 0])
            return np.tile([0.25, 0.75], (len(rows), 1))

    rows, fold = np.arange(12.0)[:, None], np.arange(12) % 3
    p = suspect_list.judged(Watch(), rows, np.zeros(12, dtype=int), fold, K=3)
    assert (p == [0.25, 0, 0.75]).all()


@pytest.mark.parametrize(
    ("options", "dataset", "message"),
    [({"rare": 10}, "digits", "rare=10 is no class"), ({}, "mr", "cannot|has none"),
     ({"size": 5}, "digits", "size=5")],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused_before_any_training(options, dataset, message):
    with pytest.raises(ValueError, match=message):
        quick(method=method("suspect_list", **options)) if dataset == "digits" else method(
            "suspect_list", **options
        ).check(dataset)


# ------------------------------------------------------------------------------------- the rules


def measured(K: int, rare: int | None, ring: bool) -> dict:
    """Clean labels of a judge that is right; or a rare class that is never suggested."""
    n = np.full(K, 40)
    if rare is not None:
        n[rare] = 5 if ring else 40
    suggested = n.copy()
    return {
        "given": n.tolist(), "suspects": [0] * K, "suggested": suggested.tolist(),
        "agreed": int(n.sum()), "joint": np.diag(n).astype(float).tolist(), "sure": n.tolist(),
        "column": list(range(K)), "gain": [0.0] * K,
    }  # fmt: skip


def world(network: Callable = lambda run: 90.0, ring: Callable = lambda run: True) -> list[Outcome]:
    found = []
    for run in grids.suspect_lists():
        K = 26 if run.dataset == "letter" else 10
        clean = run.noise == grids.CLEAN
        rare = 0 if clean else run.method.rare
        seen = measured(K, rare, ring(run) if run.method.rare is not None or clean else False)
        filters = {"prune_by_noise_rate": {"precision": 80.0, "recall": 70.0, "flagged": 9}}
        lists = {
            judge: {
                "detection": {"average_precision": at, "filters": filters},
                "measured": seen,
            }
            for judge, at in zip(rules.JUDGES, (network(run), 90.0, 85.0), strict=True)
        }
        seconds = {"seconds_of": dict.fromkeys(rules.JUDGES, 3.0)}
        found.append(outcome(run, lists=lists, provenance=seconds))
    return found


@pytest.mark.parametrize(("good", "word"), [(6, "supported"), (4, "supported"), (3, "refuted")])
def test_as_good_is_judged_by_the_mean_of_cells_with_half_a_point(good, word):
    cells = grids.CELLS[:good]
    found = world(lambda run: 89.6 if (run.dataset, run.noise) in cells else 89.4)
    judged = rules.judge_as_good(found)
    assert (judged["good"], judged["word"]) == (good, word)
    lacking = [o for o in found if o.run.key != rules.balanced_runs()[0].key]
    assert rules.judge_as_good(lacking)["word"] is None


def test_a_rare_class_has_to_ring_in_every_seed_of_all():
    def rare_only(run):
        return run.noise != grids.CLEAN

    assert rules.judge_rare(world(ring=rare_only))["word"] == "supported"
    assert rules.judge_rare(world(ring=lambda run: False))["word"] == "refuted"
    once = world(ring=lambda run: rare_only(run) and (run.seed, run.dataset) != (1, "letter"))
    judged = rules.judge_rare(once)
    assert judged["word"] == "partly supported"
    assert sorted(judged["rang"].values()) == [2] * 4 + [3] * 8


def test_a_sign_that_names_most_classes_does_not_name_the_rare_one():
    run = next(run for run in grids.suspect_lists() if run.method.rare == 8)
    assert rules.names_rare(signs.Sign("half suspect", (1, 2, 8)), run)
    assert not rules.names_rare(signs.Sign("half suspect", (1, 2, 7, 8)), run)
    assert not rules.names_rare(signs.Sign("half suspect", (1, 2)), run)


@pytest.mark.parametrize(("false", "word"), [(0, "supported"), (1, "undecided"), (2, "refuted")])
def test_one_false_alarm_in_twenty_is_too_many(false, word):
    ringing = [run.key for run in rules.clean_runs()[:false]]
    judged = rules.judge_false(world(ring=lambda run: run.key in ringing))
    assert (len(judged["false"]), judged["of"], judged["word"]) == (false, 35, word)


def test_tables_show_every_cell_with_and_without_records():
    found = world()
    for outcomes in ([], found):
        for size in grids.SIZES:
            assert len(tables.finding_table(outcomes, size)) == 12
            assert len(tables.alarm_table(outcomes, size)) == 15
        assert tables.seconds_table(outcomes).shape == (6, 3)
        assert len(tables.verdict_table(outcomes)) == 3
    rare = tables.alarm_table(found).loc["digits", "symmetric", "one rare"]
    assert rare["network"] == "rare class 3 (3)"
