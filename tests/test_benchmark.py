"""The tables and pictures of notebooks 05 and 09 show the records' own numbers and their words."""

import matplotlib as mpl
import pytest

mpl.use("agg")

from factory import outcome
from labelnoise.analysis.rules import human_noise as people
from labelnoise.analysis.rules import tuning
from labelnoise.analysis.rules.benchmark import STOPPED, judged_runs
from labelnoise.analysis.tables import MISSING, benchmark, human_noise
from labelnoise.config.noise import Twin
from labelnoise.experiments.benchmark import tuning_published
from labelnoise.experiments.benchmark import tuning_runs as runs_of
from labelnoise.figures import benchmark as of_05
from labelnoise.figures import human_noise as of_09
from labelnoise.runs.sweep import Outcome

pytestmark = pytest.mark.usefixtures("no_figure_is_left_open")


def made(run, gain: float) -> Outcome:
    """CE at 70 + a hundredth a seed, the others off it by ``gain``."""
    value = 70 + 0.01 * run.seed + gain
    return outcome(run, value, val_chosen=value + 1 if run.val_fraction else None)


def texts(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_the_picture_of_cells_has_a_sign_and_a_number_for_every_case_and_says_what_is_not_there():
    gains = {"CE": 0.0, "CLL": 12.0, "GCE": -3.0, "MAE": 0.02}
    outcomes = [made(run, gains.get(run.loss.name, 5.0)) for run in judged_runs()
                if run.dataset == "letter"]  # fmt: skip
    lacking = [o for o in outcomes if o.run.noise.kind != "asymmetric" or o.run.seed != 7]
    found = texts(of_05.cases(lacking))
    assert [found.count(text) for text in ("▲ +12.0", "▼ -3.0", "= +0.0", "▲ +1.0")] == [1, 1, 1, 1]
    assert found.count("not yet") == sum(
        len({STOPPED if r.val_fraction else r.loss.name for r in benchmark.asked()
             if benchmark.rule.cell_of(r) == cell} - {"CE"})
        for cell in {benchmark.rule.cell_of(r) for r in benchmark.asked()}
        - {benchmark.rule.cell_of(lacking[0].run)}
    )  # fmt: skip
    row = benchmark.verdict_table(lacking).loc["letter", "MLP", "symmetric 60 %"]
    assert row["CLL"] == "+12.00 above"
    assert row[STOPPED] == "+1.00 above"
    seeds = benchmark.seeds_table(outcomes, "GCE")
    assert seeds.loc[("letter", "MLP", "symmetric 60 %"), "each seed"] == ", ".join(5 * ["-3.00"])


def tuned_world(best: tuple[int, int]) -> tuple[list[Outcome], list[Outcome], list[Outcome]]:
    """A map of letters on which held-out labels choose ``best``, there GCE 4 points above CE, and
    every loss at CE's accuracy as published."""
    maps = []
    for name in benchmark.NAMES:
        for place in tuning.PLACES + tuple(tuning.beyond(best)):
            score = 30.0 + (5.0 if place == best else 0.0)
            maps += [outcome(run, 70.0, curves={"val_accuracy": [10.0, score + 0.1 * run.seed]})
                     for run in runs_of("letter", name, [place])]  # fmt: skip
    chosen = tuning.chosen_places(maps, ("letter",))["letter"]
    assert set(chosen.values()) == {best}
    published = tuning_published(("letter",))
    at = {name: runs_of("letter", name, [best])[0].protocol for name in benchmark.NAMES}
    tuned = [made(type(r)(**{**r.config, "protocol": at[r.loss.name]}),
                  4.0 if r.loss.name == "GCE" else 0.0) for r in published]  # fmt: skip
    return maps, tuned, [made(r, 0.0) for r in published]


def test_a_tuned_cell_shows_the_place_its_settings_and_the_words():
    maps, tuned, published = tuned_world((1, 1))
    table = benchmark.tuned_table("letter", maps, tuned, published)
    gce = table.loc["GCE"]
    assert (gce["step, decay"], gce["held out (%)"]) == ("1, 1", "35.1")
    assert (gce["published (%)"], gce["tuned (%)"]) == ("70.0 ± 0.0", "74.0 ± 0.0")
    assert gce["minus tuned CE"] == "+4.00 above"
    assert table.loc["CE", "minus tuned CE"] == MISSING
    assert table.loc["MAE", "minus tuned CE"] == "+0.00 equivalent"
    order = benchmark.order_table(tuned, published)
    assert order.loc["letter", ["apart, published", "apart, tuned"]].tolist() == ["0.0", "4.0"]
    assert order.loc["letter", "first, tuned"] == "GCE"
    framed = [ax for ax in of_05.places(maps, "letter").axes if ax.patches]
    assert len(framed) == len(benchmark.NAMES)
    assert len(of_05.tuned(maps, tuned, published).axes) == 1


def test_a_map_that_is_not_whole_has_no_row():
    maps, tuned, published = tuned_world((2, 0))
    fewer = [o for o in maps if o.run.loss.name != "AUL" or o.run.seed != 2]
    table = benchmark.tuned_table("letter", fewer, tuned, published)
    assert set(benchmark.METHODS) - set(table.index) == {"AUL"}


def test_people_and_their_twin_stand_side_by_side():
    def gain(run):
        if run.loss.name == "CE":
            return 0.0
        promised = {"CLL": 8.0, "GCE": 6.0}.get(run.loss.name, 0.0)
        return promised if isinstance(run.noise, Twin) else promised / 4

    outcomes = [made(run, gain(run)) for run in people.judged_runs()
                if run.dataset in ("fashion_mnist_h", "noisyag")]  # fmt: skip
    table = human_noise.gain_table(outcomes)
    cell = ("NoisyAG-News", "word CNN", "one annotator")
    assert table.loc[(*cell, "twin"), "CLL"] == "+8.00 above"
    assert table.loc[(*cell, "people"), "CLL"] == "+2.00 above"
    assert table.loc[(*cell, "people minus twin"), "CLL"] == "-6.00 below"
    survival = human_noise.survival_table(outcomes)
    stopped = 1  # made one point better than CE, in every cell and half
    assert survival.loc["NoisyAG-News", "cases"] == str(2 + stopped)
    assert survival.loc["NoisyAG-News", "survive"] == "3 (100 %)"
    assert survival.loc["NoisyAG-News", "twin promised more"] == "2 (67 %)"
    assert survival.loc["by the rule"].tolist()[-1] == "supported"
    shown = texts(of_09.rankings(outcomes))
    assert "▲ +8.0" in shown
    assert len(of_09.people_and_twin(outcomes).axes) == 2
    few = outcomes[1:]
    assert len(human_noise.gain_table(few)) < len(table), "a cell that lacks a run is not judged"


def test_l_dmi_is_shown_beside_ce_at_the_same_seeds():
    outcomes = [
        made(run, 3.0 if run.loss.name == "DMI" else 0.0) for run in people.grids.human_dmi()
    ]
    for o in outcomes:
        o.record["result"]["val_chosen"] = 1.0
    table = human_noise.beside_ce(outcomes, "DMI")
    row = table.loc[("Fashion-MNIST-H", "MLP", "majority", "people")]
    assert row.tolist() == ["70.0 ± 0.0", "73.0 ± 0.0", "+3.00 above"]
