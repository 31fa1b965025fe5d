"""Tables and figures show the records' own numbers, say what is missing, and give equal bytes."""

import subprocess
import sys

import matplotlib as mpl
import pytest

mpl.use("agg")

from factory import outcome
from labelnoise import experiments, figures
from labelnoise.analysis import tables
from labelnoise.analysis.tables import mnist_symmetric as mnist_symmetric_tables
from labelnoise.figures import mnist_symmetric
from labelnoise.runs.sweep import Outcome

pytestmark = pytest.mark.usefixtures("no_figure_is_left_open")


def test_table_shows_mean_spread_interval_and_source():
    runs = [r for r in experiments.headline([0, 1, 2]) if r.loss.name == "CE"]
    found = [outcome(r, last) for r, last in zip(runs, (49.0, 50.0, 51.0), strict=True)]
    found[2] = outcome(runs[2], 51.0, source="here")
    row = tables.accuracy_table(runs, found, {"CE": "53.38"}).loc["CE"]
    assert row["last epoch"] == "50.00 ± 1.00"
    assert row["95 % interval"] == "[47.52, 52.48]"
    assert row["source"] == "2 committed, 1 here"
    assert row["paper"] == "53.38"


def test_what_is_not_recorded_is_a_row_of_dashes_and_named():
    runs = experiments.headline([0])
    found = [outcome(runs[0], 49.0)]
    table = tables.accuracy_table(runs, found)
    assert table.loc[experiments.CLL.label, "last epoch"] == tables.MISSING
    assert table.loc[experiments.CLL.label, "source"] == "not yet run"
    assert "CLL(target, sigma 1), cnn4, seed 0" in tables.recorded(runs, found)


def test_a_long_list_of_missing_runs_is_cut_short_and_still_counted():
    runs = experiments.thirty_percent(seeds=(0,))
    text = tables.recorded(runs, [outcome(runs[0])], names=2)
    assert text.startswith("1 of 51 runs")
    assert text.endswith("Mixture(rate 0.3), mlp, seed 0 (3 runs); and 44 more")


def test_a_diverged_run_is_counted_and_not_averaged():
    runs = [r for r in experiments.headline([0, 1]) if r.loss.name == "CE"]
    found = [outcome(runs[0], 49.0), outcome(runs[1], None)]
    row = tables.accuracy_table(runs, found).loc["CE"]
    assert row["last epoch"] == "49.00"
    assert row["seeds"] == "2 (1 diverged)"


def test_two_precisions_are_compared_seed_by_seed():
    runs = [r for r in experiments.parity() if r.loss.name == "CE" and r.model == "mlp"]
    shuffled = [runs[i] for i in (2, 0, 1)]

    def made(precision: str, lasts: dict) -> list[Outcome]:
        order = runs if precision == "float32" else shuffled
        return [outcome(r, lasts[r.seed], provenance={"precision": precision}) for r in order]

    ours = made("bfloat16", {0: 50.0, 1: 60.0, 2: 70.0})
    again = made("float32", {0: 51.0, 1: 61.0, 2: 71.0})
    row = mnist_symmetric_tables.parity_table(ours, again).loc["mlp", "CE"]
    assert row["bfloat16"] == "60.00 ± 10.00"
    assert row["float32"] == "61.00 ± 10.00"
    assert row["difference"] == "1.00 ± 0.00"  # unpaired, its spread would be that of the seeds
    assert row["seeds"] == 3
    assert mnist_symmetric_tables.parity_table(ours, again[1:]).loc["mlp", "CE"]["seeds"] == 2


def test_bandwidth_table_is_sigma_by_form():
    grid = [r for r in experiments.cll_map() if r.loss.name == "CLL"]
    found = [outcome(r, 10 * i) for i, r in enumerate(grid)]
    table = mnist_symmetric_tables.bandwidth_table(found)
    assert list(table.index) == sorted(experiments.CLL_SIGMAS)
    assert list(table.columns) == list(experiments.CLL_FORMS)
    assert table.loc[1.0, "vector"] == "100.00"


def test_protocol_rows_keep_the_rules_apart():
    runs = [*experiments.ce_protocols(), *experiments.headline([0])]
    rows = mnist_symmetric_tables.protocol_rows([outcome(r, 50.0) for r in runs])
    assert rows["CE, cnn4"] == {"last epoch": 50.0, "best epoch": 99.0}
    held_out = rows["CE, cnn4, 10 % held out"]
    assert held_out == {"last epoch": 50.0, "noisy validation": 97.5, "best epoch": 99.0}
    assert "noisy validation" not in rows["CE, cnn4, true label kept"]
    assert list(rows)[-1] == "CLL, cnn4"


def drawn(ax) -> list[list[float]]:
    return [list(line.get_ydata()) for line in ax.lines]


def test_curves_are_drawn_from_the_records():
    runs = [r for r in experiments.headline([0, 1]) if r.loss.name == "CE"]
    found = [outcome(runs[0], 40.0), outcome(runs[1], 60.0)]
    ax = mnist_symmetric.learning_curves(found, {"paper": (96.81, "CLL")}).axes[0]
    each, mean, paper = [[50, 60, 40], [50, 60, 60]], [50, 60, 50], [96.81, 96.81]
    assert drawn(ax) == [*each, mean, paper]
    assert ax.get_xlabel() == "epoch"
    assert "%" in ax.get_ylabel()
    memorised, corrected = mnist_symmetric.memorisation(found[:1]).axes
    assert drawn(memorised) == [[1, 3, 5]]
    assert drawn(corrected) == [[70, 80, 85]]
    accuracy, gradient = mnist_symmetric.stalling([outcome(experiments.headline([0])[1])]).axes
    assert drawn(accuracy) == [[50, 60, 95]]
    assert drawn(gradient) == [[0.5, 0.25, 0.1]]


def test_map_draws_every_point_of_both_networks():
    grid = [*experiments.cll_map(), *experiments.cll_points()]
    mlp, cnn, references = mnist_symmetric_tables.split_map([outcome(r, 90.0) for r in grid])
    figure = mnist_symmetric.cll_map(mlp, cnn, references, 96.81)
    points = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 6]
    assert len(points) == 3
    assert set(references) == {"CE", "MAE", "GCE"}
    assert figure.axes[1].lines[0].get_xdata() == pytest.approx(
        [sigma / 1.06 for sigma in (0.3, 0.5, 1.0)]
    )  # the forms stand side by side


def test_map_shows_at_its_edge_what_learnt_nothing():
    runs = [r for r in experiments.cll_map() if r.loss.name == "CLL"][:6]
    accuracies = [9.6, 9.6, 9.6, 95.0, 94.0, 91.0]
    found = [outcome(r, a) for r, a in zip(runs, accuracies, strict=True)]
    learnt, stalled = mnist_symmetric.cll_map(found, [], {}, 96.81).axes[0].lines[:2]
    assert list(learnt.get_ydata()) == accuracies[3:]
    assert len(stalled.get_ydata()) == 3
    assert stalled.get_markerfacecolor() == "none"


def test_protocol_bars_have_the_height_of_their_number():
    rows = {"CE": {"last epoch": 49.3, "best epoch": 96.9}}
    ax = mnist_symmetric.protocol_bars(rows, {"CE if points": 53.38}).axes[0]
    assert [round(bar.get_width(), 1) for bar in ax.patches] == [49.3, 96.9]


def test_the_same_figure_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELNOISE_OUT", str(tmp_path))
    written = []
    for _ in range(2):
        figures.style()
        rows = {"CE": {"last epoch": 49.3, "noisy validation": 96.0, "best epoch": 96.9}}
        figures.save(mnist_symmetric.protocol_bars(rows, {"CE if points": 53.38}), "test")
        files = [tmp_path / "figures" / f"test.{kind}" for kind in ("pdf", "png")]
        written.append([path.read_bytes() for path in files])
    assert written[0] == written[1]


def test_saved_table_is_csv_and_latex(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELNOISE_OUT", str(tmp_path))
    runs = experiments.headline([0])
    tables.save(tables.accuracy_table(runs, [outcome(runs[0], 49.0)]), "test")
    assert "49.00" in (tmp_path / "tables" / "test.csv").read_text()
    assert r"\begin{tabular}" in (tmp_path / "tables" / "test.tex").read_text()


def test_training_needs_no_notebook_and_no_statistics_packages():
    code = ("import sys, labelnoise.runs.sweep; "
            "print([m for m in ('scipy', 'pandas', 'sklearn', 'papermill', 'IPython') "
            "if m in sys.modules])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
