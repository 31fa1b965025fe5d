"""Rules judge what their words say, and were written before the runs that they judge."""

import io
import re
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from factory import outcome
from labelnoise import experiments
from labelnoise.analysis import contrasts
from labelnoise.analysis.rules import RULES, Rule, benchmark, mnist_symmetric, rule
from labelnoise.analysis.tables import step_decay_shape
from labelnoise.experiments.mnist_symmetric import CORNERS, OF_CE, OF_CLL, SHAPES, UNSEEN
from labelnoise.figures import step_decay_shape as draw
from labelnoise.files import COMMITTED, ROOT
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import Outcome

# ------------------------------------------------------------------------------ before the runs


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True)
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


@pytest.fixture
def history():
    if not git("rev-parse", "HEAD"):
        pytest.skip("there is no git history here")
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("the clone is shallow: fetch the whole history (git fetch --unshallow)")


def flat(text: str) -> str:
    """The words alone: without line breaks, indents, quotes and the signs of comments."""
    return " ".join(re.sub(r"[\"'#\\]", " ", text).split())


@cache
def source_at(commit: str) -> str:
    """All of the package as it stood at a commit; empty for a commit that is not there."""
    packed = subprocess.run(["git", "-C", ROOT, "archive", commit, "src"], capture_output=True)
    if packed.returncode:
        return ""
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
        texts = [files.extractfile(m).read() for m in files if m.name.endswith(".py")]
    return flat(b"\n".join(texts).decode())


def judged_before_it_was_written(rule: Rule, records: Ledger) -> list[str]:
    """The records of a rule whose commit does not hold its words."""
    found = {run.key: records.find(run) for run in rule.runs()}
    commits = {key: r["provenance"]["commit"] for key, r in found.items() if r}
    return [key for key, at in commits.items() if flat(rule.words) not in source_at(at)]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_stood_in_the_commit_of_every_record_that_it_judges(name, history):
    late = judged_before_it_was_written(RULES[name], Ledger(COMMITTED))
    assert bool(late) <= bool(RULES[name].after), f"{late} were made before the words of {name!r}"


# ------------------------------------------------------------------------------------ contrasts


def test_holm_is_holm():
    """Worked out by hand: 3 x 0.01, 2 x 0.03, and 0.04, which may not fall below the one before."""
    adjusted = contrasts.holm({"a": 0.03, "b": 0.01, "c": 0.04})
    assert adjusted == pytest.approx({"b": 0.03, "a": 0.06, "c": 0.06})
    assert contrasts.holm({"a": 0.7, "b": 0.9}) == {"a": 1.0, "b": 1.0}


def test_words_follow_from_the_tests_and_the_margin():
    found = contrasts.judge(
        {
            "far": [3.0, 3.2, 2.9, 3.1],
            "level": [0.05, -0.1, 0.08, -0.02],
            "certain but small": [0.4, 0.41, 0.39, 0.4],
            "wide": [5.0, -4.0, 6.0, -3.0],
            "down": [-3.0, -3.2, -2.9, -3.1],
            "alone": [40.0],
        },
        margin=0.5,
    )
    words = {name: verdict.word for name, verdict in found.items()}
    assert words == {"far": "above", "level": "equivalent", "certain but small": "equivalent",
                     "wide": "undecided", "down": "below", "alone": "undecided"}  # fmt: skip
    p = stats.ttest_1samp([3.0, 3.2, 2.9, 3.1], 0).pvalue
    assert found["wide"].p_difference > found["far"].p_difference >= p


@pytest.mark.parametrize(("values", "word"), [
    ([1.0, 1.0], "above"), ([-1.0, -1.0], "below"), ([0.2, 0.2], "equivalent"),
    ([0.0, 0.0], "equivalent"), ([0.5, 0.5], "undecided"),
])  # fmt: skip
def test_values_without_spread_are_judged_too(values, word):
    assert contrasts.judge({"it": values}, margin=0.5)["it"].word == word


@pytest.mark.parametrize(("values", "margin"), [([], 0.5), ([np.nan, 1.0], 0.5), ([1.0, 2.0], 0)])
def test_what_cannot_be_judged_is_refused(values, margin):
    with pytest.raises(ValueError, match=r"margin=|finite"):
        contrasts.judge({"it": values}, margin)


def test_samples_that_share_nothing_are_compared_by_welch():
    a, b, certain = [3.0, 5.0, 4.0, 6.0], [1.0, 1.5, 0.8], [2.0, 2.0, 2.0]
    found = contrasts.judge_unpaired({"it": (a, b)}, margin=0.5)["it"]
    there, above, below = (
        stats.ttest_ind(np.array(a) - off, b, equal_var=False, alternative=alternative).pvalue
        for off, alternative in ((0, "two-sided"), (-0.5, "greater"), (0.5, "less"))
    )
    assert found.p_difference == pytest.approx(there)
    assert found.p_equivalence == pytest.approx(max(above, below))
    assert (found.mean, found.word, found.differences) == (pytest.approx(3.4), "above", ())
    assert contrasts.judge_unpaired({"it": (b, a)}, margin=0.5)["it"].word == "below"
    words = {
        "both certain": (certain, [1.0, 1.0], "above"),
        "certain and level": (certain, [2.2, 2.2], "equivalent"),
        "one certain": (certain, [1.0, 1.1, 0.9], "above"),
        "one seed": (certain, [0.0], "undecided"),
    }
    judged = contrasts.judge_unpaired({n: (a, b) for n, (a, b, _) in words.items()}, margin=0.5)
    assert {n: v.word for n, v in judged.items()} == {n: word for n, (*_, word) in words.items()}


def test_false_alarms_are_as_rare_as_they_promise():
    """400 families of six contrasts between equals: at least one alarm in at most 5 % (Holm)."""
    draws = np.random.default_rng(0).normal(0, 2, (400, 6, 4))
    alarms = [
        any(v.word in ("above", "below")
            for v in contrasts.judge(dict(enumerate(family)), 0.01).values())
        for family in draws
    ]  # fmt: skip
    assert 0.02 < np.mean(alarms) < 0.075


# ------------------------------------------------------------------------------- the rules of 03


def made(run, last: float | None, val: float = 30.0) -> Outcome:
    curves = {"test_accuracy": [90.0, 91.0, 92.0, 93.0, last], "clipped": [30.0, 20.0, 10.0, 0, 0],
              "val_accuracy": [20.0] * 4 + [val], "changed": [None, 9, 8, 7, 6]}  # fmt: skip
    return outcome(run, last, curves=curves, val_chosen=91.0)


def factorial(last: Callable, val: Callable = lambda loss, place: 30.0) -> list[Outcome]:
    """The factorial with the accuracies of ``last(loss, place)`` and a little spread by seed."""
    return [
        made(mnist_symmetric.placed(loss, at, seed, "cnn4"), last(loss, at) + 0.02 * (seed - 6),
             val=val(loss, at))
        for seed in UNSEEN for at in CORNERS for loss in SHAPES
    ]  # fmt: skip


def judged(outcomes: list[Outcome]) -> dict[str, str]:
    found = mnist_symmetric.judge_size_and_shape(outcomes)
    return {name: v if isinstance(v, str) else v.word for name, v in found.items()}


@pytest.mark.parametrize(
    ("last", "size", "shape", "sentences"),
    [
        (lambda loss, at: 97.0 - 24 * at[0], "above", "equivalent", ("supported", "supported")),
        (lambda loss, at: 97.0 if loss in SHAPES[1:3] else 49.0, "equivalent", "above",
         ("refuted", "refuted")),
    ],
    ids=["only the step matters", "only the kernel matters"],
)  # fmt: skip
def test_size_and_shape_are_told_apart(last, size, shape, sentences):
    nothing, most = sentences
    assert judged(factorial(last)) == {
        "size within CE": size, "size within CLL": size,
        "shape at CE's place": shape, "shape at CLL's place": shape,
        "kernel, sigma 1": shape, "kernel, sigma 0.5": shape,
        "correntropy adds nothing": nothing, "most of the gain is size": most,
    }  # fmt: skip


def test_the_factorial_is_tabled_place_by_place():
    whole = factorial(lambda loss, at: 97.0 - 24 * at[0])  # 97 at the low step, 49 at the high one
    places = step_decay_shape.places_table(whole)
    assert set(places.index) == {
        ("low", "low"), ("low", "high"), ("middle", "middle"), ("high", "low"), ("high", "high")
    }  # fmt: skip
    assert places.loc[("high", "low"), "CE"] == "49.00 ± 0.02 (3)"
    assert places.loc[("low", "high"), "CLL(target, sigma 10)"] == "97.00 ± 0.02 (3)"
    table = step_decay_shape.contrasts_table(whole, [o for o in whole if o.run.seed != 7])
    size = table.loc[("CNN", "size within CE")]
    assert size["difference (points)"] == "48.00 ± 0.00"
    assert size["verdict"] == "above"
    assert size["p, different"] == "below 0.001"
    assert table.loc[("MLP", "size within CE"), "verdict"] == step_decay_shape.NOT_JUDGED
    said = step_decay_shape.sentences(whole)
    assert said.loc["most of the gain is size"].tolist() == ["100 % of 48.0 points", "supported"]
    clipped = step_decay_shape.clipped_table(whole, [])
    assert clipped.loc[("CNN", "CE")].tolist() == ["12.00", "12.00"]
    assert step_decay_shape.places_table([]).empty


def test_the_factorial_is_drawn_over_the_step():
    axes = draw.over_step(factorial(lambda loss, at: 97.0 - 24 * at[0])).axes
    assert [ax.get_title() for ax in axes] == ["CNN, low decay", "CNN, middle decay",
                                               "CNN, high decay"]  # fmt: skip
    line = next(each for each in axes[0].lines if each.get_label() == "CE")
    assert line.get_ydata() == pytest.approx([97, 49])
    assert line.get_xdata() == pytest.approx([0.00054, 0.009], rel=0.01)


def test_where_one_stops_is_tabled_beside_the_last_epoch():
    table = step_decay_shape.stopping_table(factorial(lambda loss, at: 97.0 - 24 * at[0]))
    row = table.loc["CE"]
    assert row["last epoch"] == "49.00 ± 0.02 (3)"
    assert row["noisy validation"] == "91.00 ± 0.00 (3)"
    assert row["Label Wave's epochs"] == "5, 5, 5", "it changes less and less: the last one"
    judged = step_decay_shape.stopping_contrasts(factorial(lambda loss, at: 97.0 - 24 * at[0]))
    assert judged.loc["CE: noisy validation minus last", "verdict"] == "above"


def test_nothing_is_judged_before_its_family_is_whole():
    whole = factorial(lambda loss, at: 97.0 - 24 * at[0])
    for judge in (mnist_symmetric.judge_size_and_shape, mnist_symmetric.judge_stopping):
        assert judge(whole) != {}
        assert judge([o for o in whole if o.run.seed != 7]) == {}
        assert judge([]) == {}
    mlp = [replace(o, run=replace(o.run, model="mlp")) for o in whole]
    assert mnist_symmetric.judge_size_and_shape(mlp) == {}, "two of its five seeds are missing"


def test_where_nothing_is_gained_there_is_nothing_to_share():
    outcomes = factorial(lambda loss, at: 95.0 if loss == SHAPES[1] else 97.0)
    found = mnist_symmetric.judge_size_and_shape(outcomes)
    assert found["most of the gain is size"] == "no gain to share"


def test_a_seed_twice_is_no_setting():
    first = factorial(lambda loss, at: 97.0)[0]
    with pytest.raises(ValueError, match="one is there twice"):
        rule.accuracies([first, first])


def test_noisy_validation_chooses_the_place_and_ties_go_to_the_smaller_step():
    ce = SHAPES[0]
    best = factorial(lambda loss, at: 50.0, lambda loss, at: 38.0 if at == (2, 2) else 30.0)
    assert mnist_symmetric.choose_place(best, ce) == (2, 2)
    level = factorial(lambda loss, at: 50.0, lambda loss, at: 38.0 if at[1] == 2 else 30.0)
    assert mnist_symmetric.choose_place(level, ce) == (0, 2)
    runs = mnist_symmetric.chosen_runs(level)
    assert len(runs) == 12
    assert {(r.seed, r.val_fraction) for r in runs} == {(8, 0.0), (9, 0.0), (10, 0.0)}
    with pytest.raises(ValueError, match="has not all of its seeds"):
        mnist_symmetric.choose_place(level[:-4], SHAPES[3])


def test_published_protocols_are_two_of_the_places():
    from labelnoise.config.protocols import MNIST_PROTOCOL

    ce, cll = SHAPES[:2]
    assert mnist_symmetric.protocol_at(ce, OF_CE) == MNIST_PROTOCOL
    assert mnist_symmetric.protocol_at(cll, OF_CLL) == MNIST_PROTOCOL


def test_label_wave_stops_at_the_first_minimum_of_the_smoothed_changes():
    """By hand: the means of three are 8, 6, 5, 5.67, ...: the minimum is that of epoch 6."""
    changed = [None, 9, 8, 7, 3, 5, 9, 1, 1]
    assert mnist_symmetric.label_wave(changed) == 6
    assert mnist_symmetric.label_wave([None, 9, 8, 7, 6, 5]) == 6, "never: the last epoch"


def test_the_fair_question_compares_each_cll_with_ce():
    runs = mnist_symmetric.chosen_runs(factorial(lambda loss, at: 50.0))
    level = {"CE": 96.0, "CLL": 98.0}
    outcomes = [made(r, level[r.loss.name] + 0.01 * r.seed) for r in runs]
    found = mnist_symmetric.judge_fair_question(outcomes)
    assert found.pop("tuned, CLL is better than CE") == "reproduced"
    assert [v.word for v in found.values()] == ["above"] * 3
    assert mnist_symmetric.judge_fair_question(outcomes[:-1]) == {}
    level = [made(r, 96.0 + 0.01 * r.seed) for r in runs]
    found = mnist_symmetric.judge_fair_question(level)
    assert found["tuned, CLL is better than CE"] == "not reproduced"


def test_stopping_compares_both_rules_with_the_last_epoch():
    outcomes = factorial(lambda loss, at: 60.0)
    found = {name: v.word for name, v in mnist_symmetric.judge_stopping(outcomes).items()}
    assert found["CE: noisy validation minus last"] == "above"
    assert found["CE: Label Wave minus last"] == "equivalent", "it never stops here"
    assert len(found) == 6
    lost = made(outcomes[0].run, None)
    assert mnist_symmetric.stopped_by_label_wave(lost) == 10.0, "a guess, wherever it stopped"


# ------------------------------------------------------------------------------- the rules of 05


def benchmarked(value: Callable) -> list[Outcome]:
    return [made(run, value(run) + 0.01 * run.seed) for run in benchmark.judged_runs()]


def test_a_world_in_which_cll_is_best_everywhere():
    points = {"CE": 50.0, "CLL": 95.0}
    outcomes = benchmarked(lambda run: points.get(run.loss.name, 80.0))
    found = benchmark.judge_most_cases(outcomes)
    share = found["shares"]["CLL above the others"]
    assert share == benchmark.Share(100.0, 100.0, 100.0, 0.0, 0.0, "reproduced")
    assert found["shares"]["robust losses above CE"].word == "reproduced"
    cells = found["against CE"]
    assert len(cells) == 14
    assert all(v.word == "above" for each in cells.values() for v in each.values())
    assert any(benchmark.STOPPED in each for each in cells.values())


def test_one_data_set_decides_nothing_and_a_diverged_run_is_a_guess():
    outcomes = [o for o in benchmarked(lambda run: 90.0) if o.run.dataset == "mr"]
    share = benchmark.judge_most_cases(outcomes)["shares"]["CLL above the others"]
    assert (share.won, share.open, share.word) == (0.0, 100.0, "undecided")
    first = outcomes[0].run
    outcomes[0] = made(first, None)
    assert benchmark.by_cell(outcomes)[benchmark.cell_of(first)]["CE"][first.seed] == 50.0


def test_the_interval_is_over_draws_of_data_sets_with_replacement():
    """Of two sets, with 1 of 2 and 2 of 2 hits, the four draws have 50, 75, 75 and 100 %."""
    low, high = benchmark.resampled([np.array([True, False]), np.array([True, True])])
    assert (low, high) == pytest.approx((50 + 25 * 0.075, 100 - 25 * 0.075))


def test_cells_that_lack_a_run_are_left_out_and_open_cases_do_not_say_no():
    points = {"CE": 50.0, "CLL": 95.0}
    outcomes = benchmarked(lambda run: points.get(run.loss.name, 80.0))
    few = [o for o in outcomes if o.run.seed == 3]
    assert benchmark.judge_most_cases(few)["shares"]["CLL above the others"] is None
    level = benchmark.judge_most_cases(benchmarked(lambda run: 90.0))
    assert level["shares"]["CLL above the others"].word == "undecided", "all cases are open"
    points = {"CLL": 50.0}
    worst = benchmarked(lambda run: points.get(run.loss.name, 80.0))
    found = benchmark.judge_most_cases(worst)["shares"]["CLL above the others"]
    assert (found.lost, found.word) == (100.0, "not reproduced")


def test_a_rule_must_name_its_margin():
    with pytest.raises(ValueError, match=r"do not name its margin, 0\.3 points"):
        replace(RULES["most cases"], margin=0.3)


def test_rules_and_their_grids_have_one_stem():
    stems = [{path.stem for path in Path(of.__file__).parent.glob("*.py")}
             for of in (mnist_symmetric, experiments)]  # fmt: skip
    shared = {"rule", "claims", "tuning"}  # these have the grids of other stems
    assert stems[0] - shared <= stems[1]
