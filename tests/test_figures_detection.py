"""Pictures and tables of wrong labels that were found show the records and arrays, nothing else."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("agg")

import factory
from labelnoise import data, experiments
from labelnoise.analysis.tables import MISSING
from labelnoise.analysis.tables import confident_learning as tables
from labelnoise.config import Run, method, noisy
from labelnoise.figures import colour, confident_learning
from labelnoise.noise import detection
from labelnoise.noise.detection import FILTERS
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import Outcome
from labelnoise.training import methods

pytestmark = pytest.mark.usefixtures("no_figure_is_left_open")

RUNS = experiments.detectors()
CE, GCE = (experiments.published("mnist", name) for name in ("CE", "GCE"))


def outcome(run, precision=90.0, found=900, **result):
    filters = {by: {"flagged": 20, "precision": 80.0, "recall": 70.0} for by in FILTERS}
    of = {"average_precision": precision, "found": found, "filters": filters}
    return factory.outcome(run, detection=of, noise_rate=30.0, fit_wrong=11.0, **result)


def of_loss(name: str) -> list[Run]:
    return [run for run in RUNS if run.loss.name == name]


@pytest.fixture
def says() -> tables.Evidence:
    """Six samples of three classes. Samples 0, 1 and 2 are wrong; the network knows 0 and 1, but
    repeats the label of 2; it doubts the right label of 3."""
    true = np.array([1, 2, 0, 0, 1, 2])
    given = np.array([0, 0, 1, 0, 1, 2])
    p = np.array([[0.02, 0.9, 0.08], [0.1, 0.1, 0.8], [0.2, 0.7, 0.1],
                  [0.05, 0.35, 0.6], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]])  # fmt: skip
    return tables.Evidence(of_loss("CE")[0], given, true, p)


# ------------------------------------------------------------------------------------ evidence


def test_evidence_is_what_the_record_was_judged_by(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "COMMITTED", tmp_path)
    protocol = {**experiments.MNIST_PROTOCOL, "epochs": 2, "lr": 0.05}
    folds = method("cross_validation", folds=2)
    runs = [Run("digits", noisy("symmetric", 0.3), loss, "mlp", protocol, subset=600, method=folds)
            for loss in (CE, GCE)]  # fmt: skip
    ledger = Ledger(tmp_path)
    for run in runs:
        ledger.write(methods.train(run, device="cpu"))
    outcomes = [Outcome(run, ledger.find(run), "committed") for run in runs]
    ledger.path(runs[1]).with_suffix(".npz").unlink()
    found = tables.evidence(outcomes, *data.load("digits"))
    assert list(found) == ["CE"]
    again = detection.detection(found["CE"].given, found["CE"].p, found["CE"].wrong)
    assert again == outcomes[0].record["result"]["detection"]
    here = [Outcome(runs[0], outcomes[0].record, "here")]
    monkeypatch.setattr(tables, "REPRODUCED", tmp_path / "nothing")
    assert tables.evidence(here, *data.load("digits")) == {}


def test_the_most_suspect_come_first(says):
    assert says.order.tolist() == [0, 3, 1, 2, 4, 5]
    assert says.first(2).tolist() == [0, 3]
    assert says.first(2, flipped=True).tolist() == [0, 1]
    assert says.first(9, flipped=False).tolist() == [3, 4, 5]


# -------------------------------------------------------------------------------------- tables


def test_detectors_have_mean_and_interval_and_what_is_missing_shows():
    ce = [outcome(run, v, n) for run, v, n in zip(of_loss("CE"), (90, 92, 94), (900, 920, 940),
                                                  strict=True)]  # fmt: skip
    table = tables.detector_table(RUNS, [*ce, outcome(of_loss("GCE")[0], 95.0, 990)])
    assert list(table.index) == ["CE", "GCE", "NCE+RCE", "CLL(target, sigma 1)", "random order"]
    assert table.loc["CE"].tolist() == ["92.00 ± 2.00", "[87.03, 96.97]", "920.0 ± 20.0",
                                        "[870.3, 969.7]", "3", "committed"]  # fmt: skip
    assert table.loc["GCE"].tolist()[:5] == ["95.00", MISSING, "990.0", MISSING, "1"]
    assert table.loc["NCE+RCE"].tolist() == [MISSING] * 4 + ["0", "not yet run"]
    assert table.loc["random order"].tolist()[:3] == ["30.00", "", "300.0"]
    assert tables.detector_table(RUNS, []).loc["random order"].iloc[0] == MISSING


def test_an_interval_ends_at_what_is_possible():
    found = zip(of_loss("CE"), (99.9, 99.5, 99.9), (1000, 997, 1000), strict=True)
    row = tables.detector_table(RUNS, [outcome(*each) for each in found]).loc["CE"]
    assert row["95 % interval (%)"] == "[99.19, 100.00]"
    assert row["95 % interval (labels)"] == "[994.7, 1000.0]"


def test_a_filter_stands_beside_a_ranking_that_accuses_as_many(says, monkeypatch):
    monkeypatch.setattr(detection, "suspects", lambda *_: np.isin(np.arange(6), (0, 1)))
    table = tables.ranked_table(RUNS, {"CE": says})
    assert table.loc["CE", FILTERS[0]].tolist() == ["2", "100.0", "66.7", "50.0", "33.3"]
    assert table.loc["GCE", FILTERS[0]].tolist() == [MISSING] * 5


def test_filters_that_flagged_nothing_have_no_precision():
    some, none = (outcome(run) for run in of_loss("CE")[:2])
    none.record["result"]["detection"]["filters"][FILTERS[3]] = {
        "flagged": 0, "precision": None, "recall": 0.0
    }  # fmt: skip
    table = tables.filter_table(RUNS, [some, none])
    assert table.loc["CE", FILTERS[0]].tolist() == ["20 ± 0", "80.0 ± 0.0", "70.0 ± 0.0"]
    assert table.loc["CE", FILTERS[3]].tolist() == ["10 ± 14", "80.0", "35.0 ± 49.5"]
    assert table.loc["GCE", FILTERS[0]].tolist() == [MISSING] * 3


def test_the_depth_of_a_list_is_counted_in_stretches_and_in_all(says):
    table = tables.depth_table(says, (1, 3, 4))
    assert table.loc["1"].tolist() == ["100.0", "100.0", "33.3"]
    assert table.loc["3"].tolist() == ["50.0", "66.7", "66.7"]
    assert table.loc["4"].tolist() == ["100.0", "75.0", "100.0"]
    assert tables.depth_table(None, (1,)).loc["1"].tolist() == [MISSING] * 3


def test_both_failures_are_counted_among_the_labels_that_they_concern(says, monkeypatch):
    """Wrong labels that are repeated; right ones that the network is sure to be wrong."""
    monkeypatch.setattr(tables, "SURE", 0.1)
    table = tables.failure_table(RUNS, [outcome(of_loss("CE")[0])], {"CE": says})
    assert table.loc["CE"].tolist() == ["11.0", "33.3", "33.33"]
    assert table.columns[-1] == "right, p_y < 10 % (%)"
    assert table.loc["GCE"].tolist() == [MISSING] * 3


def test_suggestions_are_judged_on_wrong_labels_only(says, monkeypatch):
    monkeypatch.setattr(detection, "FIRST", 3)
    monkeypatch.setattr(detection, "suspects", lambda *_: np.arange(6) < 3)
    table = tables.suggestion_table(RUNS, {"CE": says})
    assert list(table.columns) == ["first 3", "flagged by prune_by_noise_rate", "all"]
    assert table.loc["CE"].tolist() == ["100.0", "66.7", "66.7"]
    assert table.loc["GCE"].tolist() == [MISSING] * 3


def test_pruning_is_held_against_one_training_at_the_same_seed():
    runs = [run for run in experiments.thirty_percent(seeds=[0]) if run.loss.name == "CE"]
    pruned = [run for run in runs if run.method]
    both = {"last": 97.0, "first": {"last": 94.0}, "pruned": {"removed": 200, "wrong": 150}}
    outcomes = [outcome(pruned[0], **both), outcome(replace(pruned[0], method=None), last=95.5),
                outcome(pruned[1], **both)]  # fmt: skip
    table = tables.pruning_table(runs, outcomes)
    assert table.iloc[0].tolist() == ["200", "75.0", "95.50", "94.00", "97.00", "+1.50"]
    assert table.iloc[1].tolist() == ["200", "75.0", MISSING, "94.00", "97.00", MISSING]
    assert table.iloc[2].tolist() == [MISSING] * 6
    assert [name for name, _ in table.index] == [*tables.NOISES]
    every = tables.pruning_table(experiments.thirty_percent(), [])
    assert list(every.index) == [(name, seed) for name in tables.NOISES for seed in (0, 1, 2)]


def test_probabilities_are_judged_as_detectors(says):
    given, wrong, p = (np.repeat(array, 2, axis=0) for array in (says.given, says.wrong, says.p))
    sure = np.eye(3)[given] * 0.8 + 0.2 / 3
    table = tables.judged(given, wrong, {"a": p, "b": sure})
    assert list(table["wrong labels repeated (%)"]) == ["33", "100"]
    precision = np.mean([1, 1, 3 / 5, 4 / 6, 5 / 7, 6 / 8])  # at the ranks of wrong labels
    assert table.loc["a", "average precision (%)"] == f"{100 * precision:.0f}"
    assert table.loc["b"].tolist()[2:] == [0, MISSING, "0"]


# ------------------------------------------------------------------------------------ pictures


def test_curves_draw_the_ranking_and_the_filters(says, monkeypatch):
    monkeypatch.setattr(detection, "suspects", lambda *_: np.array([1, 0, 0, 1, 1, 1], bool))
    left, right = confident_learning.curves({"CE": says}).axes
    precision = 100 * np.array([1, 1 / 2, 2 / 3, 3 / 4, 3 / 5, 3 / 6])
    assert left.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
    assert left.lines[0].get_ydata().tolist() == [0, 1, 1, 1, 2, 3], "false alarms, one by one"
    assert left.lines[1].get_ydata() == pytest.approx(np.arange(1, 7) / 2)
    assert left.lines[2].get_xdata() == [3, 3], "three labels are wrong"
    assert right.lines[0].get_xdata() == pytest.approx(100 * np.array([1, 1, 2, 3, 3, 3]) / 3)
    assert right.lines[0].get_ydata() == pytest.approx(precision)
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in right.lines[1:]]
    assert points == [pytest.approx((100 / 3, 25))] * len(FILTERS)
    assert {line.get_color() for line in right.lines} == {colour("CE")}
    assert right.get_xlim()[0] < 100 / 3
    assert right.get_ylim()[0] < 25


def test_the_gallery_names_given_label_and_suggestion(says):
    images = np.arange(6 * 4, dtype=np.uint8).reshape(6, 1, 2, 2)
    figure = confident_learning.gallery(images, says, [0, 3, 1], "abc", columns=2)
    shown = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title() for ax in shown] == ["a → b\n90 %", "a → c\n60 %", "a → c\n80 %"]
    assert [ax.images[0].get_array().tolist() for ax in shown] == images[[0, 3, 1], 0].tolist()
    assert [len(ax.lines) for ax in shown] == [0, 2, 0], "sample 3 is not flipped"
    assert "not flipped" in figure.legends[0].get_texts()[0].get_text()
    alike = confident_learning.gallery(images, says, [3, 4], "abc")
    assert not alike.legends
    assert not any(ax.lines for ax in alike.axes)


def test_what_is_not_recorded_is_said_in_its_place():
    images = np.zeros((1, 1, 2, 2), np.uint8)
    gallery = confident_learning.gallery(images, None, [], "ab")
    for figure in (confident_learning.curves({}), gallery):
        assert [text.get_text() for text in figure.texts] == [f"{MISSING} not yet recorded"]
        assert figure.axes, "a notebook shows no figure without axes"
