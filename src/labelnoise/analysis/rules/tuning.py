"""The rules of notebooks 05 and 09 for every loss at the same budget of tuning."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from labelnoise.analysis.contrasts import ABOVE, BELOW, EQUIVALENT, Verdict, standard_error
from labelnoise.analysis.rules.benchmark import MARGIN, STOPPED, compare
from labelnoise.analysis.rules.rule import Rule, accuracies, lost
from labelnoise.config import Run
from labelnoise.experiments.benchmark import (
    HELD_OUT,
    NAMES,
    PLACES,
    SEEDS,
    TUNED_CELLS,
    TUNING_SEEDS,
    Place,
    protocol_at,
    setting,
    tuning,
    tuning_runs,
)
from labelnoise.runs.sweep import Outcome, sweep

SAME_BUDGET = """\
Every loss has the same budget of tuning, on noisy labels alone. Three cells: letters with 60 %
symmetric noise; clothes (Fashion-MNIST-H) with one annotator's labels; CIFAR-10's frozen features
with the worst labels of CIFAR-10N; each with the MLP. (A fourth, the last with a linear head, has a
question of its own.) Each of eight losses stands at nine places of step x decay in effective units,
is trained on 90 % of the given labels with seeds 0, 1, 2, and no gradient is clipped. Its place is
the one with the highest mean over these seeds of the accuracy on the held-out given labels after
the last epoch. Places within one standard error (of the best one's mean) tie; a tie goes to the
smaller step, then to the smaller decay. If that place lies at an edge of the map, the map is
extended once, by a row beyond each edge that it touches, and the choice is made again among all
places. CE stopped early is a method of its own: it chooses among CE's runs by the best held-out
accuracy of any epoch, in the same way, without an extension of its own. A diverged run's held-out
accuracy is 0.
There it is trained with fresh seeds, 3 to 7: a loss on all labels, CE stopped early on 90 % of
them, kept at the epoch with the best held-out accuracy. Clean test accuracy after the last epoch
(of the kept one), in percent; a diverged run counts as a guess. Each method minus tuned CE, paired
by seed, one family a cell: above, below, equivalent or undecided by two-sided and by two one-sided
t-tests, both adjusted by Holm, with the margin of 0.5 points.
"A robust loss beats a tuned cross-entropy" is reproduced if at least one loss is above in each of
the three cells, not reproduced if no loss is above in any of them, and partly otherwise. CE stopped
early stands in the tables and does not count as a loss. Whether tuning changes the order of the
losses is told by Spearman's rank correlation between their means at the published settings and at
the tuned ones, and is not judged.
"""

FROZEN = """\
Plain cross-entropy on frozen features: the cell with the linear head, tuned as the others are.
"On frozen features a tuned cross-entropy is enough" is supported if each of the seven other losses
is equivalent to it or below it, refuted if at least one is above, undecided otherwise; the same
tests, the same family (CE stopped early in it), the margin of 0.5 points.
"""

THREE = tuple(cell for cell in TUNED_CELLS if TUNED_CELLS[cell][2] == "mlp")
LINEAR = "objects, linear"
METHODS = (*NAMES, STOPPED)


def of_cell(outcomes: Sequence[Outcome], cell: str) -> list[Outcome]:
    """Those of one of ``TUNED_CELLS``."""
    return [o for o in outcomes if (o.run.dataset, o.run.noise, o.run.model) == TUNED_CELLS[cell]]


def places_of(found: Sequence[Outcome], cell: str, name: str) -> dict[Place, list[Outcome]]:
    """The tuning runs of one loss by their place; of places whose seeds are all there."""
    dataset = TUNED_CELLS[cell][0]
    mine: dict[str, list[Outcome]] = {}
    for o in of_cell(found, cell):
        if o.run.loss == setting(dataset, name):
            mine.setdefault(repr(o.run.protocol), []).append(o)
    reach = range(-1, 4)
    at = {(s, d): repr(protocol_at(dataset, name, (s, d))) for s in reach for d in reach}
    return {
        place: mine[key] for place, key in at.items()
        if {o.run.seed for o in mine.get(key, ())} >= set(TUNING_SEEDS)
    }  # fmt: skip


def choose(places: dict[Place, list[Outcome]], stopped: bool = False) -> Place:
    """The place that the rule chooses; ``stopped``: by the best epoch and not by the last.

    Raises ``ValueError`` unless the nine places of the map are there.
    """
    if lacking := [place for place in PLACES if place not in places]:
        raise ValueError(f"the places {lacking} have not all of their seeds: train the grid tuning "
                         "first")  # fmt: skip
    scores = {place: [held_out(o, stopped) for o in each] for place, each in places.items()}
    best = max(scores.values(), key=np.mean)
    least = np.mean(best) - standard_error(best)
    return min(place for place, each in scores.items() if np.mean(each) >= least)


def held_out(outcome: Outcome, stopped: bool = False) -> float:
    """The held-out accuracy by which a run is judged, in percent; 0 if it diverged."""
    if lost(outcome):
        return 0.0
    curve = outcome.record["curves"]["val_accuracy"]
    return max(curve) if stopped else curve[-1]


def beyond(place: Place) -> list[Place]:
    """The places beyond the edges of the nine that ``place`` touches; none for the centre."""
    step, decay = ({0: -1, 1: None, 2: 3}[index] for index in place)
    steps, decays = [0, 1, 2], [0, 1, 2]
    wide_steps = [*steps, *([step] if step is not None else [])]
    wide_decays = [*decays, *([decay] if decay is not None else [])]
    return [p for p in ((s, d) for s in wide_steps for d in wide_decays) if p not in PLACES]


def extensions() -> list[Run]:
    """The runs beyond an edge that the recorded maps ask for; of the maps that are whole."""
    found, runs = sweep(tuning(), "replay"), []
    for cell in TUNED_CELLS:
        for name in NAMES:
            places = places_of(found, cell, name)
            if all(place in places for place in PLACES):
                runs += tuning_runs(cell, name, beyond(choose(places)))
    return runs


def maps() -> list[Outcome]:
    """What is recorded of the maps, with what lies beyond an edge."""
    return sweep(tuning() + extensions(), "replay")


def chosen_places(
    found: Sequence[Outcome], cells: Sequence[str] = tuple(TUNED_CELLS)
) -> dict[str, dict[str, Place]]:
    """Cell -> method -> its place, of those of the ``maps`` that are whole and extended."""
    chosen: dict[str, dict[str, Place]] = {}
    for cell in cells:
        for method in METHODS:
            stopped = method == STOPPED
            places = places_of(found, cell, "CE" if stopped else method)
            if any(place not in places for place in PLACES):
                continue
            nine = {place: places[place] for place in PLACES}
            if any(place not in places for place in beyond(choose(nine))):
                continue
            chosen.setdefault(cell, {})[method] = choose(places, stopped)
    return chosen


def tuned_runs(cells: Sequence[str] = tuple(TUNED_CELLS), seeds: Sequence[int] = SEEDS
               ) -> list[Run]:  # fmt: skip
    """The last runs: each method at its place, with fresh seeds; of the maps that are whole.

    (Five records of CE on 90 % of the labels at place (1, 0) of the linear head are of a first
    version, which let CE stopped early choose among the nine places only and not, as the words have
    it, among all of CE's runs. Nothing reads them.)
    """
    runs = []
    for cell, methods in chosen_places(maps(), cells).items():
        dataset, noise, model = TUNED_CELLS[cell]
        for method, place in methods.items():
            name = "CE" if method == STOPPED else method
            run = Run(dataset, noise, setting(dataset, name), model,
                      protocol_at(dataset, name, place),
                      val_fraction=HELD_OUT if method == STOPPED else 0.0)  # fmt: skip
            runs += [replace(run, seed=seed) for seed in seeds]
    return runs


def by_method(outcomes: Sequence[Outcome], cell: str) -> dict[str, dict[int, float]]:
    """Method -> accuracy by seed in percent, of the outcomes of ``tuned_runs`` in one cell."""
    groups: dict[str, list[Outcome]] = {}
    for o in of_cell(outcomes, cell):
        groups.setdefault(STOPPED if o.run.val_fraction else o.run.loss.name, []).append(o)
    return {method: accuracies(groups[method], "val_chosen" if method == STOPPED else "last")
            for method in METHODS if method in groups}  # fmt: skip


def judge_cells(outcomes: Sequence[Outcome], cells: Sequence[str]) -> dict[str, dict[str, Verdict]]:
    """Cell -> method -> its verdict against tuned CE, of the cells whose runs are all there."""
    found = {}
    for cell in cells:
        methods = by_method(outcomes, cell)
        if set(methods) == set(METHODS) and all(set(m) >= set(SEEDS) for m in methods.values()):
            found[cell] = compare(methods, "CE", turned=False)
    return found


def above(verdicts: dict[str, Verdict]) -> list[str]:
    """The losses that are above tuned CE."""
    return [name for name, v in verdicts.items() if v.word == ABOVE and name != STOPPED]


def judge_same_budget(outcomes: Sequence[Outcome]) -> dict:
    """The verdicts of the three cells and, once all are there, the ``word`` for the sentence."""
    found = judge_cells(outcomes, THREE)
    if set(found) < set(THREE):
        return {"cells": found, "word": None}
    wins = [bool(above(found[cell])) for cell in THREE]
    word = "reproduced" if all(wins) else "partly" if any(wins) else "not reproduced"
    return {"cells": found, "word": word}


def judge_frozen(outcomes: Sequence[Outcome]) -> dict:
    """The verdicts of the linear head and the ``word``; None before its runs are there."""
    found = judge_cells(outcomes, (LINEAR,))
    if LINEAR not in found:
        return {"cells": {}, "word": None}
    words = {v.word for name, v in found[LINEAR].items() if name != STOPPED}
    word = ("refuted" if ABOVE in words else "supported" if words <= {EQUIVALENT, BELOW}
            else "undecided")  # fmt: skip
    return {"cells": found, "word": word}


RULES = (
    Rule("the choice of settings", SAME_BUDGET, MARGIN, lambda: tuning() + extensions(), choose),
    Rule("the same budget", SAME_BUDGET, MARGIN, lambda: tuned_runs(THREE), judge_same_budget),
    Rule("frozen features", FROZEN, MARGIN, lambda: tuned_runs((LINEAR,)), judge_frozen),
)
