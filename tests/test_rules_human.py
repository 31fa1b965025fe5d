"""The rules of the same budget of tuning and of people's labels judge what their words say."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from factory import outcome
from labelnoise.analysis.rules import human_noise, tuning
from labelnoise.analysis.rules.benchmark import STOPPED
from labelnoise.experiments.benchmark import (
    PLACES,
    TUNED_CELLS,
    TUNING_SEEDS,
    protocol_at,
    protocol_of,
    tuning_runs,
)
from labelnoise.runs.sweep import Outcome

# ------------------------------------------------------------------------------ choosing a place


@pytest.mark.parametrize("dataset", ["letter", "cifar10_features"])
@pytest.mark.parametrize(("name", "place"), [("CE", (2, 0)), ("CLL", (0, 2))])
def test_two_places_are_ce_and_cll_as_published_but_for_clipping(dataset, name, place):
    published = {k: v for k, v in protocol_of(dataset).items() if k != "clip_norm"}
    assert protocol_at(dataset, name, place) == published


def tuned(value: Callable, name: str = "CE", places=PLACES) -> list[Outcome]:
    """Tuning runs on letters; ``value(place, seed)`` is the curve on held-out labels, None of a run
    that diverged after being far ahead."""
    runs = tuning_runs("letter", name, places)
    curves = [value(place, seed) for seed, place in product(TUNING_SEEDS, places)]
    return [
        outcome(run, None if curve is None else 50.0, curves={"val_accuracy": curve or [99.0]})
        for run, curve in zip(runs, curves, strict=True)
    ]


def chosen(value: Callable, stopped: bool = False) -> tuple[int, int]:
    return tuning.choose(tuning.places_of(tuned(value), "letter", "CE"), stopped)


def test_the_best_mean_is_chosen_and_ties_go_to_the_smaller_step_then_decay():
    assert chosen(lambda at, seed: [38.0 if at == (2, 2) else 30.0]) == (2, 2)
    means = {(0, 1): 38.8, (1, 1): 38.9, (1, 2): 39.9, (2, 0): 39.0}  # and 40 +- 1.155 at the best
    assert chosen(lambda at, seed: [38.0 + 2 * seed if at == (2, 2) else means.get(at, 9.0)]) == (
        1, 1,
    )  # fmt: skip


def test_a_diverged_run_has_learnt_nothing_and_stopping_looks_at_the_best_epoch():
    assert chosen(lambda at, seed: None if at == (2, 2) and seed else [40.0 - at[0]]) == (0, 0)
    assert chosen(lambda at, seed: None if at == (2, 2) else [20.0 + at[1]], stopped=True) == (0, 2)
    peak = {(1, 2): [50.0, 20.0], (2, 1): [20.0, 40.0]}
    assert chosen(lambda at, seed: peak.get(at, [30.0])) == (2, 1)
    assert chosen(lambda at, seed: peak.get(at, [30.0]), stopped=True) == (1, 2)


def test_a_place_that_lacks_a_seed_is_no_place():
    places = tuning.places_of(tuned(lambda at, seed: [30.0])[:-1], "letter", "CE")
    assert len(places) == 8
    with pytest.raises(ValueError, match=r"places \[\(2, 2\)\] have not all .* grid tuning"):
        tuning.choose(places)


def test_a_map_goes_on_beyond_the_edges_that_the_choice_touches():
    assert tuning.beyond((1, 1)) == []
    assert set(tuning.beyond((0, 1))) == {(-1, 0), (-1, 1), (-1, 2)}
    assert set(tuning.beyond((1, 2))) == {(0, 3), (1, 3), (2, 3)}
    assert set(tuning.beyond((2, 0))) == {
        (3, 0), (3, 1), (3, 2), (0, -1), (1, -1), (2, -1), (3, -1)
    }  # fmt: skip
    assert len(tuning.beyond((0, 0))) == len(tuning.beyond((2, 2))) == 7


def test_an_extended_map_is_chosen_from_once_more_and_once_only(monkeypatch):
    """CE stopped early has no extension of its own, and chooses among all of CE's runs."""
    recorded = tuned(lambda at, seed: [60.0, 50.0] if at == (2, 0) else [30.0])

    def replayed(runs, profile):
        keys = {run.key for run in runs}
        return [o for o in recorded if o.run.key in keys]

    monkeypatch.setattr(tuning, "sweep", replayed)
    monkeypatch.setattr(tuning, "tuning", lambda: tuning_runs("letter", "CE"))
    asked = tuning.extensions()
    beyond = tuning_runs("letter", "CE", tuning.beyond((2, 0)))
    assert {run.key for run in asked} == {run.key for run in beyond}
    assert tuning.chosen_places(tuning.maps()) == {}, "the map is not extended yet"
    recorded += tuned(lambda at, seed: [70.0, 65.0] if at == (3, -1) else [30.0],
                      places=tuning.beyond((2, 0)))  # fmt: skip
    assert tuning.chosen_places(tuning.maps()) == {"letter": {"CE": (3, -1), STOPPED: (3, -1)}}
    assert len(tuning.extensions()) == len(asked), "by the nine alone"
    runs = tuning.tuned_runs()
    assert {(r.seed, r.val_fraction) for r in runs} == {
        (seed, held_out) for seed in (3, 4, 5, 6, 7) for held_out in (0.0, 0.1)
    }  # fmt: skip
    assert {r.protocol["lr"] for r in runs} == {protocol_at("letter", "CE", (3, -1))["lr"]}


# -------------------------------------------------------------------------------- the same budget


@pytest.fixture
def compared(monkeypatch) -> Callable:
    """The last runs, all at the centre, whose accuracy is ``value(cell, method)`` and a little
    more with every seed."""
    centre = {cell: dict.fromkeys(tuning.METHODS, (1, 1)) for cell in TUNED_CELLS}
    monkeypatch.setattr(
        tuning, "chosen_places", lambda found, cells: {cell: centre[cell] for cell in cells}
    )
    monkeypatch.setattr(tuning, "maps", list)  # of no use then, and long to read

    def made(value: Callable, cells=tuple(TUNED_CELLS)) -> list[Outcome]:
        found = []
        for cell in cells:
            for run in tuning.tuned_runs((cell,)):
                method = STOPPED if run.val_fraction else run.loss.name
                at = value(cell, method) + 0.01 * run.seed
                # CE stopped early is read where it stopped, whatever its last epoch was.
                stopped = {"last": 5.0, "val_chosen": at} if run.val_fraction else {"last": at}
                found.append(outcome(run, **stopped))
        return found

    return made


@pytest.mark.parametrize(
    ("wins", "word"),
    [
        (("letter", "clothes", "objects"), "reproduced"),
        (("clothes",), "partly"),
        (("objects, linear",), "not reproduced"),
    ],
)
def test_a_robust_loss_beats_a_tuned_ce_where_one_is_above(compared, wins, word):
    """Another loss may win in each cell; CE stopped early, far above in all, is no loss."""
    winner = dict(zip(wins, ("GCE", "AUL", "CLL"), strict=False))
    found = compared(lambda cell, method: 90.0 if method == STOPPED else
                     83.0 if method == winner.get(cell) else 80.0)  # fmt: skip
    judged = tuning.judge_same_budget(found)
    assert judged["word"] == word
    assert set(judged["cells"]) == {"letter", "clothes", "objects"}
    assert {each[STOPPED].word for each in judged["cells"].values()} == {"above"}
    letters_lack_one = tuning.judge_same_budget(found[1:])
    assert (set(letters_lack_one["cells"]), letters_lack_one["word"]) == (
        {"clothes", "objects"}, None,
    )  # fmt: skip


def test_on_frozen_features_ce_is_enough_where_no_other_loss_is_above(compared):
    level = compared(lambda cell, method: {"MAE": 40.0, STOPPED: 90.0}.get(method, 80.0))
    assert tuning.judge_frozen(level)["word"] == "supported", "one is below, and that is enough"
    assert tuning.judge_frozen(level[:-1]) == {"cells": {}, "word": None}
    above = compared(lambda cell, method: 82.0 if method == "SCE" else 80.0)
    assert tuning.judge_frozen(above)["word"] == "refuted"
    guesses = [outcome(o.run, None) if o.run.loss.name == "GCE" and o.run.seed == 3 else o
               for o in level]  # fmt: skip
    judged = tuning.judge_frozen(guesses)
    assert judged["word"] == "undecided", "one guess among five says nothing"
    assert min(judged["cells"][tuning.LINEAR]["GCE"].differences) == pytest.approx(10 - 80.03)


# ------------------------------------------------------------------------------- people and twin


def half(run) -> str:
    return human_noise.half_of(run)[1]


@pytest.fixture
def world(monkeypatch) -> Callable:
    """Clothes with the CNN and news; each method but CE gains ``gain(dataset, half)``."""
    asked = human_noise.grids.human_clothes_cnn() + human_noise.grids.human_news()
    monkeypatch.setattr(human_noise, "judged_runs", lambda: asked)

    def made(gain: Callable) -> list[Outcome]:
        found = []
        for run in asked:
            ce = human_noise.method_of(run) == "CE"
            at = 80.0 + 0.3 * run.seed + (0 if ce else gain(run.dataset, half(run)) + run.seed / 50)
            stopped = {"last": 5.0, "val_chosen": at} if run.val_fraction else {"last": at}
            found.append(outcome(run, **stopped))
        return found

    return made


PEOPLE_GAIN = [
    (6.0, "above", "equivalent", "supported", "refuted"),
    (3.0, "above", "below", "supported", "supported"),
    (0.0, "equivalent", "below", "refuted", "supported"),
    (-2.0, "below", "below", "refuted", "supported"),
]


@pytest.mark.parametrize(("gain", "first", "second", "survive", "broken"), PEOPLE_GAIN)
def test_a_case_survives_or_turns_and_a_promise_is_kept_or_broken(
    world, gain, first, second, survive, broken
):
    found = human_noise.judge_survival(world(lambda data, half: gain if half == "people" else 6.0))
    assert len(found["cases"]) == 3 + 4
    assert STOPPED in {method for _, method in found["cases"]}
    assert set(found["cases"].values()) == {(first, second)}
    assert (found["survive"], found["broken promises"]) == (survive, broken)


def test_a_cell_that_lacks_a_run_is_not_judged_and_other_runs_change_nothing(world):
    """And one data set alone, or one that has a case, decides nothing."""
    whole = world(lambda data, half: 6.0)
    found = human_noise.judge_survival(whole)
    stray = [replace(o, run=replace(o.run, loss=human_noise.grids.COUNTED)) for o in whole
             if o.run.loss.name == "GCE"]  # fmt: skip
    assert human_noise.judge_survival(whole + stray) == found
    found = human_noise.judge_survival(whole[:-1])
    assert {cell.dataset for cell in found["gains"]} == {"fashion_mnist_h"}
    assert {cell.dataset for cell in found["left"]} == {"fashion_mnist_h"}
    assert (found["survive"], found["broken promises"]) == ("undecided", "undecided")
    one = world(lambda data, half: 6.0 if data == "noisyag" else 0.0)
    assert human_noise.judge_survival(one)["survive"] == "undecided"


@pytest.mark.parametrize(
    ("shares", "strictly", "word"),
    [
        ({"a": 0.75, "b": 1.0}, False, "supported"),
        ({"a": 0.74, "b": 1.0}, False, "undecided"),
        ({"a": 0.49, "b": 0.0}, False, "refuted"),
        ({"a": 0.5, "b": 0.0}, False, "undecided"),
        ({"a": 1.0}, False, "undecided"),
        ({}, False, "undecided"),
        ({"a": 0.51, "b": 0.6}, True, "supported"),
        ({"a": 0.5, "b": 0.6}, True, "undecided"),
        ({"a": 0.5, "b": 0.4}, True, "undecided"),
        ({"a": 0.49, "b": 0.4}, True, "refuted"),
    ],
)
def test_words_of_shares_change_where_the_rule_says(shares, strictly, word):
    high = 0.5 if strictly else 0.75
    assert human_noise.word_of_shares(shares, high, 0.5, strictly=strictly) == word


def gains(runs, name: str, people: Callable) -> list[Outcome]:
    """CE at 80, and the method ``name`` above it by ``people(run)``, or by 4 on a twin."""
    return [
        outcome(run, 80.0 + 0.01 * run.seed + (
            0 if human_noise.method_of(run) != name else people(run) if half(run) == "people" else 4
        ))
        for run in runs
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "judge", "name"),
    [
        (human_noise.counted_runs, human_noise.judge_counted, human_noise.COUNTED_T),
        (human_noise.grids.human_dmi, human_noise.judge_dmi, "DMI"),
    ],
)
def test_a_method_helps_with_people_if_it_does_on_every_set(runs, judge, name):
    def word(people: Callable) -> str:
        return judge(gains(runs(), name, people))["word"]

    assert word(lambda run: 3.0) == "supported"
    assert word(lambda run: 3.0 if run.noise.set == "worst" else -3.0) == "partly supported"
    assert word(lambda run: 0.0) == "refuted"
    whole = gains(runs(), name, lambda run: 3.0)
    cells = {cell for cell, _ in judge(whole)["verdicts"]}
    found = judge(whole[1:])
    assert found["word"] is None
    assert {cell for cell, _ in found["verdicts"]} == cells - {human_noise.half_of(whole[0].run)[0]}
    assert judge([]) == {"verdicts": {}, "word": None}


def test_peoples_mistakes_are_harder_to_find_if_they_are_everywhere():
    def found(people: Callable) -> list[Outcome]:
        return [
            outcome(run, detection={"average_precision": 70.0 + 0.1 * run.seed
                                    + (people(run) if half(run) == "people" else 0)})
            for run in human_noise.grids.human_detectors()
        ]  # fmt: skip

    harder = found(lambda run: -5.0)
    judged = human_noise.judge_finding(harder)
    assert ({v.word for v in judged["verdicts"].values()}, len(judged["verdicts"])) == (
        {"below"}, 12,
    )  # fmt: skip
    assert judged["word"] == "supported"
    some = human_noise.judge_finding(found(lambda run: -5.0 if run.model == "mlp" else 5.0))
    assert some["word"] == "partly supported"
    assert human_noise.judge_finding(found(lambda run: 0.0))["word"] == "refuted"
    lacking = human_noise.judge_finding(harder[1:])
    assert (len(lacking["verdicts"]), lacking["word"]) == (9, None), "a cell of three losses"
