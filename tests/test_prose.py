"""Numbers in sentences: those of the first pages are computed again from the committed records."""

import json
from collections import Counter
from functools import cache

import numpy as np
import pytest

from labelnoise import experiments
from labelnoise.analysis import stats
from labelnoise.analysis.rules import benchmark, human_noise
from labelnoise.analysis.rules import claims as rule
from labelnoise.analysis.rules import tuning as budget
from labelnoise.analysis.rules.mnist_symmetric import at_published_places, by_place, judge_stopping
from labelnoise.analysis.rules.tuning import tuned_runs
from labelnoise.analysis.tables import benchmark as cells
from labelnoise.analysis.tables import by_label, shown
from labelnoise.analysis.tables.mnist_symmetric import protocol_rows, ranked_groups
from labelnoise.analysis.tables.robustness_runs import behaviour
from labelnoise.experiments.mnist_symmetric import OF_CE, OF_CLL
from labelnoise.files import ROOT
from labelnoise.runs.sweep import sweep

NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
           "eleven")  # fmt: skip
REPEATED = ("NCE+AGCE", "NCE+AUL", "NCE+AEL")  # NCE has the weight 0: they are AGCE, AUL, AEL


@cache
def committed(grid: str):
    return {
        shown(name): group for name, group in by_label(sweep(experiments.GRIDS[grid]())).items()
    }


def mean(grid: str, loss: str, field: str = "last", model: str = "cnn4") -> float:
    group = [o for o in committed(grid)[loss] if o.run.model == model]
    assert group, f"no record of {loss} in {grid} with {model}"
    return float(np.mean([o.record["result"][field] for o in group]))


def first_run(grid: str, loss: str, **protocol: float) -> float:
    """The last epoch of the one run with the CNN at this protocol."""
    (found,) = [o for o in committed(grid)[loss] if o.run.model == "cnn4"
                and all(o.run.protocol[k] == v for k, v in protocol.items())]  # fmt: skip
    return found.last


def fate() -> Counter:
    """What happens to the 29 different losses with the MLP: hold, memorise, lose a class."""
    every = {n: g for n, g in by_label(sweep(experiments.every_loss())).items()
             if n not in REPEATED}  # fmt: skip
    ends = {n: {behaviour(o) for o in group} for n, group in every.items()}
    return Counter("lost classes" if "lost classes" in e else e.pop() for e in ends.values())


def placed(loss: str, place: tuple[int, int]) -> float:
    """The mean of the CNN's factorial at a place."""
    found = by_place(sweep(experiments.step_decay_shape()))
    return float(np.mean(list(found[loss, place].values())))


def most_by_stopping() -> float:
    """What CE gains with the CNN, in points, if it is stopped by noisy labels: the largest gain."""
    verdicts = judge_stopping(sweep(at_published_places(), "replay"))
    return max(v.mean for v in verdicts.values())


def place_of_cll() -> int:
    order = [n for n in ranked_groups(sweep(experiments.every_loss())) if n not in REPEATED]
    return 1 + order.index(experiments.CLL.label)


def won() -> tuple[int, int]:
    cll = stats.by_seed(committed("headline")[experiments.CLL.label])
    others = {**committed("robust_losses"), **committed("cnn_losses")}
    gains = {n: stats.differences(cll, stats.by_seed(g)) for n, g in others.items()}
    return len(rule.won_and_open(gains)[0]), len(gains)


def sentences() -> list[tuple[str, str]]:
    """(file, what it has to say), the numbers from the records."""
    readme, start = "README.md", "notebooks/00_start_here.ipynb"
    mnist = "notebooks/03_mnist_symmetric.ipynb"
    beaten, others = won()
    ends, fall = fate(), {n: mean("robust_losses", n, "best") - mean("robust_losses", n)
                          for n in ("GCE", "MAE")}  # fmt: skip
    held_out = protocol_rows(sweep(experiments.ce_protocols()))["CE, cnn4, 10 % held out"]
    cnn = {n: f"{mean('cnn_losses', n):.1f}" for n in ("AUL", "AGCE", "AEL")}
    gap = mean("headline", experiments.CLL.label, "best") - mean("headline", "CE", "best")
    cll = experiments.CLL.label
    at = {(n, p): f"{placed(n, p):.1f}" for n in ("CE", cll) for p in (OF_CE, OF_CLL)}
    return [
        (readme, f"gained up to {most_by_stopping():.0f} points"),
        (readme, f"it ends at {at['CE', OF_CLL]} %, CLL at {at[cll, OF_CLL]} %, and CLL enlarged "
                 f"to the size of CE at {at[cll, OF_CE]} %"),
        ("notebooks/02_gradients.ipynb",
         f"CE gains {placed('CE', OF_CLL) - placed('CE', OF_CE):.1f} points when it takes CLL's "
         f"step and decay, and CLL loses {placed(cll, OF_CLL) - placed(cll, OF_CE):.1f} points"),
        (start, f"it ends at {at['CE', OF_CLL]} %, where CLL ends at {at[cll, OF_CLL]} % and "
                f"cross-entropy as published at {at['CE', OF_CE]} %"),
        (mnist, f"| cross-entropy | {at['CE', OF_CE]} | {at['CE', OF_CLL]} |"),
        (mnist, f"| CLL, sigma 1 | {at[cll, OF_CE]} | {at[cll, OF_CLL]} |"),
        (readme, f"ahead of {NUMBERS[beaten]} of {NUMBERS[others]} others"),
        (readme, f"{place_ordinal()} of {sum(ends.values())}, and `GCE` leads"),
        (readme, f"{ends['held']} of {sum(ends.values())} different losses hold, "
                 f"{NUMBERS[ends['memorised']]} memorise, and {NUMBERS[ends['lost classes']]}"),
        (start, f"ahead of {NUMBERS[beaten]} of the {NUMBERS[others]} robust losses"),
        (start, f"All but {gap:.1f} points of the gap"),
        (mnist, f"still lose {fall['GCE']:.1f} and {fall['MAE']:.1f} points"),
        (mnist, f"from {held_out['last epoch']:.1f} to {held_out['noisy validation']:.1f}"),
        (mnist, f"AUL, which lost classes with the MLP, ends at {cnn['AUL']}, AGCE at "
                f"{cnn['AGCE']} and AEL at {cnn['AEL']}"),
        (mnist, f"climbs from {mean('headline', 'CE'):.0f} to "
                f"{first_run('size_or_shape', 'CE', lr=0.0006):.0f} % with shorter steps, to "
                f"{first_run('size_or_shape', 'CE', weight_decay=0.0167):.0f} % with a stronger "
                f"weight decay, and to {first_run('size_or_shape', '0.06 CE'):.1f} %"),
        (mnist, f"RCE pulls nearly as hard as CE (0.83) and ends at {mean('cnn_losses', 'RCE'):.1f}"
                f" with the CNN and {mean('every_loss', 'RCE', model='mlp'):.1f} with the MLP"),
    ]  # fmt: skip


def of_other_data() -> list[tuple[str, str]]:
    """The same of notebooks 05 and 09."""
    readme = "README.md"
    of_05, of_09 = "notebooks/05_benchmark.ipynb", "notebooks/09_human_noise.ipynb"
    judged = benchmark.judge_most_cases(sweep(cells.asked()))
    losses, cll = judged["shares"].values()
    letters = {kind: {n: np.mean(list(v.values())) for n, v in budget.by_method(
        sweep(runs), "letter").items()} for kind, runs in (
        ("published", experiments.GRIDS["tuning_published"]()), ("tuned", tuned_runs(("letter",))),
    )}  # fmt: skip
    before, after = letters["published"], letters["tuned"]
    frozen = budget.judge_frozen(sweep(tuned_runs(("objects, linear",))))["cells"]
    (leads,) = frozen.values()
    leads = sorted(v.mean for name, v in leads.items() if name != benchmark.STOPPED)
    objects = [words for (cell, _), words in
             human_noise.judge_survival(sweep(human_noise.judged_runs()))["cases"].items()
             if cell.dataset == "cifar10_features"]  # fmt: skip
    survive = sum(people == "above" for people, _ in objects)
    more = sum(left == "below" for _, left in objects)
    return [
        (readme, f"above cross-entropy in {losses.won:.0f} % of the cases and below it in "
                 f"{losses.lost:.0f} %"),
        (readme, f"above another robust loss in {cll.won:.0f} % of its cases and below it in "
                 f"{cll.lost:.0f} %"),
        (readme, f"CLL ends at {before['CLL']:.0f} % where cross-entropy ends at "
                 f"{before['CE']:.0f} %, and at {after['CLL']:.0f} and {after['CE']:.0f} % once "
                 "both are tuned"),
        (readme, f"{survive} of {len(objects)} gains"),
        (of_05, f"won {losses.won:.0f} %, lost {losses.lost:.0f} %"),
        (of_05, f"won {cll.won:.0f} %, lost {cll.lost:.0f} %, open {cll.open:.0f} %"),
        (of_05, f"CLL climbs from {before['CLL']:.1f} to {after['CLL']:.1f} %"),
        (of_05, f"After tuning GCE (+{after['GCE'] - after['CE']:.1f}) and SCE "
                f"(+{after['SCE'] - after['CE']:.1f}) are above tuned CE"),
        (of_09, f"by {leads[0]:.1f} points (CLL) to {leads[-1]:.1f}"),
        (of_09, f"{survive} of {len(objects)} cases survive"),
        (of_09, f"in {more} of {len(objects)} the twin promised"),
    ]  # fmt: skip


def place_ordinal() -> str:
    return {7: "seventh", 8: "eighth", 9: "ninth"}[place_of_cll()]


@cache
def words_of(file: str) -> str:
    text = (ROOT / file).read_text()
    if file.endswith(".ipynb"):
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return " ".join(text.split())


@pytest.mark.parametrize(("file", "said"), sentences() + of_other_data())
def test_a_number_in_a_sentence_is_that_of_the_records(file, said):
    assert said in words_of(file), f"{file} does not say: {said}"
