"""People's mistakes: how they go together, which of them nobody finds, and what tables show."""

from itertools import combinations, permutations, product

import numpy as np
import pytest

import factory
from labelnoise.analysis.tables import MISSING
from labelnoise.analysis.tables import human_mistakes as table
from labelnoise.analysis.tables.confident_learning import Evidence
from labelnoise.analysis.tables.step_decay_shape import NOT_JUDGED
from labelnoise.experiments import human_detectors
from labelnoise.noise.detection import FILTERS

COUNTS = np.array([[4, 1, 0], [0, 3, 2], [2, 2, 1], [0, 0, 4]])
TRUE = np.array([0, 1, 1, 2])


def annotators(n: int) -> list[int]:
    """The labels of image ``n``, an annotator each."""
    return np.repeat(np.arange(3), COUNTS[n]).tolist()


def test_three_annotators_and_two_are_counted_as_one_would_by_hand():
    wrong, agree, first, both, same = np.zeros(4), [], [], [], []
    for n, y in enumerate(TRUE):
        triples = list(combinations(annotators(n), 3))
        for triple in triples:
            wrong[sum(a != y for a in triple)] += 1 / len(triples) / len(TRUE)
        pairs = list(permutations(annotators(n), 2))
        agree.append(np.mean([a == b for a, b in pairs]))
        first.append(np.mean([a != y for a, _ in pairs]))
        both.append(np.mean([y not in (a, b) for a, b in pairs]))
        same.append(np.mean([a == b != y for a, b in pairs]))
    assert table.of_three(COUNTS, TRUE) == pytest.approx(wrong)
    expected = [np.mean(agree), sum(both) / sum(first), sum(same) / sum(both)]
    assert list(table.together(COUNTS, TRUE).values()) == pytest.approx([100 * v for v in expected])


def test_twins_look_at_the_class_alone():
    T = table.by_class(COUNTS, TRUE)
    assert T[1] == pytest.approx([(0 + 0.4) / 2, (0.6 + 0.4) / 2, (0.4 + 0.2) / 2])
    wrong, agree, first, both, same = np.zeros(4), 0.0, 0.0, 0.0, 0.0
    for y in TRUE:
        for triple in product(range(3), repeat=3):
            wrong[sum(a != y for a in triple)] += np.prod(T[y, list(triple)]) / len(TRUE)
        for a, b in product(range(3), repeat=2):
            p = T[y, a] * T[y, b]
            agree += p * (a == b) / len(TRUE)
            first += p * (a != y)
            both += p * (y not in (a, b))
            same += p * (a == b != y)
    assert table.of_three_twins(T, TRUE) == pytest.approx(wrong)
    expected = [agree, both / first, same / both]
    assert list(table.together_twins(T, TRUE).values()) == pytest.approx(
        [100 * v for v in expected]
    )


def test_a_third_of_the_annotators_is_up_to_a_third():
    counts = np.array([[1, 2, 0], [2, 1, 0], [3, 0, 0], [23, 43, 0], [22, 44, 0]])
    assert table.thirds(counts, np.array([0, 0, 0, 0, 0])).tolist() == [0, 1, 2, 1, 0]
    assert table.thirds(counts, np.array([2, 1, 1, 1, 1])).tolist() == [0, 0, 0, 1, 1]


def test_a_wrong_label_is_missed_if_no_detector_names_it_among_as_many_as_are_wrong():
    true, given = np.array([0, 0, 0, 1, 1]), np.array([1, 1, 0, 0, 1])  # 0, 1 and 3 are wrong
    of_given = ([0.1, 0.9, 0.2, 0.8, 0.3], [0.1, 0.6, 0.7, 0.5, 0.4])  # name 0 2 4, and 0 4 3
    says = []
    for p_y in of_given:
        p = np.empty((5, 2))
        p[np.arange(5), given], p[np.arange(5), 1 - given] = p_y, 1 - np.array(p_y)
        says.append(Evidence(human_detectors()[0], given, true, p))
    assert np.flatnonzero(table.missed(says)).tolist() == [1]
    assert np.flatnonzero(table.missed(says[:1])).tolist() == [1, 3]


def found(run, precision: float):
    filters = {by: {"flagged": 1000, "precision": precision / 2, "recall": precision / 4}
               for by in FILTERS}  # fmt: skip
    return factory.outcome(run, detection={"average_precision": precision, "filters": filters})


def test_people_and_twin_stand_where_they_belong_and_what_lacks_is_a_dash(monkeypatch):
    monkeypatch.setattr(table, "truth", lambda dataset: np.zeros(10_000))
    every = [found(run, {"people": 60.0, "twin": 80.0}[table.half_of(run)[1]] + run.seed / 10)
             for run in human_detectors()]  # fmt: skip
    done = [o for o in every
            if table.half_of(o.run)[0].labels == "worst" and o.run.loss.name != "GCE"]  # fmt: skip
    finding, filters = table.finding_table(done), table.filter_table(done)
    row = ("clothes", "worst", "CLL")
    assert list(finding.loc[row]) == ["60.4 ± 0.1", "80.4 ± 0.1", MISSING, NOT_JUDGED, "3, 3"]
    assert set(table.finding_table(every)["verdict"]) == {"below"}
    assert list(filters.loc[row]) == ["10.0", "10.0", "30.2", "40.2", "15.1", "20.1"]
    for empty in (("clothes", "worst", "GCE"), ("objects", "worse_label", "CE")):
        assert set(finding.loc[empty]) == {MISSING, NOT_JUDGED, "0, 0"}
        assert set(filters.loc[empty]) == {MISSING}
    assert len(finding) == 12


def test_a_set_that_nobody_gave_is_refused():
    with pytest.raises(ValueError, match=r"random_label1.*news"):
        table.beside("random1")
