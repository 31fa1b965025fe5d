"""The rules of notebook 03: is it the size of CLL's steps, or their shape; when should one stop?"""

from collections.abc import Mapping, Sequence

import numpy as np

from labelnoise.analysis import stats
from labelnoise.analysis.contrasts import Verdict, judge, standard_error
from labelnoise.analysis.rules.rule import Rule, accuracies, guess, lost
from labelnoise.analysis.stats import differences
from labelnoise.config import LossSetting, Run
from labelnoise.experiments.mnist_symmetric import (
    CLL_FORMS,
    CORNERS,
    OF_CE,
    OF_CLL,
    PLACES,
    SHAPES,
    UNSEEN,
    UNSEEN_MLP,
    cll_choice,
    mnist,
    parity,
    placed,
    protocol_at,
    step_decay_shape,
    step_decay_shape_mlp,
)
from labelnoise.runs.sweep import Outcome, sweep

MARGIN = 0.5  # percentage points
CE, CLL, NARROW, WIDE = SHAPES
FRESH = (8, 9, 10)  # seeds of the runs at the chosen settings
WINDOW = 3  # epochs over which Label Wave smooths

Place = tuple[int, int]

# --------------------------------------------------------------------- the choice of CLL's kernel

CHOICE_OF_CLL = """\
every candidate trains the headline protocol, seed 0, on 90 % of the noisy training set; the last
epoch's accuracy on the noisy labels of the other 10 % decides; what lies within one standard error
of the best counts as a tie; a tie goes to `target` before the other forms, then to the larger
sigma. No candidate is above 1, the largest error there is, since a wider kernel damps nothing.
Clean labels and test data play no part.
"""


def last_val_accuracy(outcome: Outcome) -> tuple[float, float]:
    """Accuracy after the last epoch on the held-out noisy labels, and its binomial standard
    error, both in percent."""
    accuracy = outcome.record["curves"]["val_accuracy"][-1]
    return accuracy, stats.binomial_error(accuracy, stats.held_out(outcome.run))


def choose_cll(outcomes: Sequence[Outcome]) -> Outcome:
    """The candidate that noisy validation chooses: the highest accuracy on held-out noisy labels
    after the last epoch; those within one standard error of it tie; a tie goes to the earlier of
    target, vector, elementwise, then to the larger sigma."""
    if not outcomes:
        raise ValueError("there are no noisy-validation runs to choose from")
    best, error = max(last_val_accuracy(o) for o in outcomes)
    tied = [o for o in outcomes if last_val_accuracy(o)[0] >= best - error]

    def preference(outcome: Outcome) -> tuple[int, float]:
        settings = outcome.run.loss.parameters
        return CLL_FORMS.index(settings["form"]), -settings["sigma"]

    return min(tied, key=preference)


# ------------------------------------------------------------------------------- size and shape

SIZE_AND_SHAPE = """\
Clean test accuracy after the last epoch, in percent, trained on 90 % of the labels, paired by seed
(the CNN: 5, 6, 7; the MLP: 5 to 9, a family of its own). A diverged run counts as 10 %. Places are
(step, decay) in effective units; CE's place is (high, low), CLL's is (low, high).
The contrasts of a family:
- size within CE: CE at CLL's place minus CE at CE's place;
- size within CLL: CLL with sigma 1 at CLL's place minus the same at CE's place;
- shape at CE's place: CLL with sigma 1 minus CE, both there;
- shape at CLL's place: CLL with sigma 1 minus CE, both there;
- kernel, sigma 1: CLL with sigma 1 minus CLL with sigma 10, at CLL's place;
- kernel, sigma 0.5: CLL with sigma 0.5 minus CLL with sigma 10, at CLL's place.
A contrast is above or below if its paired t-test, two-sided and adjusted by Holm over the family,
has p < 0.05 and its mean lies beyond 0.5 points; equivalent if both one-sided tests against plus
and minus 0.5 points, adjusted likewise, have p < 0.05; undecided otherwise. Differences without any
spread decide by their mean alone. Nothing is judged before every run of a family is recorded. With
three seeds an equivalence needs differences that hardly vary, so that undecided, and not
equivalent, is the word to expect of shapes that are alike.
"Most of CLL's gain is the size of its steps": the whole gain is CLL at CLL's place minus CE at CE's
place, by seed. There is no gain to share unless its 95 % t interval lies above 0. If it does, the
sentence is supported if the size within CE minus half of the whole gain has a 95 % t interval above
0, refuted if it lies below 0, undecided otherwise. "Correntropy adds nothing here" is supported if
both kernel contrasts are equivalent, refuted if one is above or below, undecided otherwise.
What seed 0 had shown before (CE scaled down, CLL with a weaker decay) is exploratory.
"""


def by_place(outcomes: Sequence[Outcome]) -> dict[tuple[str, Place], dict[int, float]]:
    """(label of the loss, place) -> last-epoch accuracy by seed, for runs of the factorial."""
    known = {}
    for loss in SHAPES:
        for place in PLACES:
            group = [o for o in outcomes if o.run.loss == loss
                     and o.run.protocol == protocol_at(loss, place)]  # fmt: skip
            if group:
                known[loss.label, place] = accuracies(group)
    return known


def contrasts_of(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """The six contrasts of the factorial of one network, each its differences by seed, in
    percentage points; of the seeds that both sides have."""
    found = by_place(outcomes)

    def at(loss: LossSetting, place: Place) -> dict[int, float]:
        return found.get((loss.label, place), {})

    return {
        "size within CE": differences(at(CE, OF_CLL), at(CE, OF_CE)),
        "size within CLL": differences(at(CLL, OF_CLL), at(CLL, OF_CE)),
        "shape at CE's place": differences(at(CLL, OF_CE), at(CE, OF_CE)),
        "shape at CLL's place": differences(at(CLL, OF_CLL), at(CE, OF_CLL)),
        "kernel, sigma 1": differences(at(CLL, OF_CLL), at(WIDE, OF_CLL)),
        "kernel, sigma 0.5": differences(at(NARROW, OF_CLL), at(WIDE, OF_CLL)),
    }


def gain_of(outcomes: Sequence[Outcome]) -> list[float]:
    """The whole gain, CLL at CLL's place minus CE at CE's place, by seed, in percentage points."""
    found = by_place(outcomes)
    return differences(found.get((CLL.label, OF_CLL), {}), found.get((CE.label, OF_CE), {}))


def judge_size_and_shape(outcomes: Sequence[Outcome]) -> dict[str, Verdict | str]:
    """The verdict of each contrast, and a word for each of the two sentences, of the outcomes of
    one network; nothing unless all seeds of every contrast are there."""
    pairs = contrasts_of(outcomes)
    asked = UNSEEN_MLP if {o.run.model for o in outcomes} == {"mlp"} else UNSEEN
    if any(len(each) < len(asked) for each in pairs.values()):
        return {}
    verdicts: dict[str, Verdict | str] = dict(judge(pairs, MARGIN))
    verdicts["most of the gain is size"] = share_of_size(pairs["size within CE"], gain_of(outcomes))
    words = {verdicts[name].word for name in ("kernel, sigma 1", "kernel, sigma 0.5")}
    verdicts["correntropy adds nothing"] = (
        "refuted" if words & {"above", "below"}
        else "supported" if words == {"equivalent"} else "undecided"
    )  # fmt: skip
    return verdicts


def share_of_size(size: Sequence[float], gain: Sequence[float]) -> str:
    """Whether the size is more than half of the gain, both by the same seeds."""
    if sign(gain) != "supported":
        return "no gain to share"
    return sign([part - whole / 2 for part, whole in zip(size, gain, strict=True)])


def sign(values: Sequence[float]) -> str:
    """``supported`` or ``refuted`` if the 95 % t interval of the mean lies above or below 0."""
    verdict = judge({"it": values}, margin=1e-9)["it"]  # one contrast: no adjustment
    return {"above": "supported", "below": "refuted"}.get(verdict.word, "undecided")


# ---------------------------------------------------------------------------- the fair question

FAIR_QUESTION = """\
Each shape (CE, CLL with sigma 1, 0.5 and 10) at the setting that noisy validation chooses: of the
five places of the CNN the one with the highest mean, over seeds 5, 6, 7, of the accuracy on the
held-out noisy labels after the last epoch. Places within one standard error (of the best one's
mean) tie; a tie goes to the smaller step, then to the smaller decay. There it is trained on all
labels with seeds 8, 9, 10. The contrasts of the family: each of the three CLL minus CE, clean test
accuracy after the last epoch, paired by seed, judged as above, below, equivalent or undecided by
two-sided and by two one-sided t-tests, both adjusted by Holm, with the margin of 0.5 points. A
diverged run counts as 10 %, and its held-out accuracy is the last that it had, 0 if it had none.
"Tuned on noisy labels, CLL is better than CE" is reproduced if the contrast of the published shape,
sigma 1, is above, not reproduced if it is below or equivalent, undecided otherwise.
"""


def choose_place(outcomes: Sequence[Outcome], loss: LossSetting) -> Place:
    """The place that the rule chooses for ``loss``, from the runs of the factorial.

    Raises ``ValueError`` unless every place has all of its seeds.
    """
    curves = {}
    for place in CORNERS:
        group = [o for o in outcomes if o.run.loss == loss
                 and o.run.protocol == protocol_at(loss, place)]  # fmt: skip
        if {o.run.seed for o in group} != set(UNSEEN):
            raise ValueError(f"{loss.label} has not all of its seeds at {place}: train the "
                             "grid step_decay_shape first")  # fmt: skip
        curves[place] = [o.record["curves"]["val_accuracy"][-1] or 0.0 for o in group]
    best = max(curves.values(), key=np.mean)
    tied = [p for p, each in curves.items()
            if np.mean(each) >= np.mean(best) - standard_error(best)]  # fmt: skip
    return min(tied)


def chosen_runs(outcomes: Sequence[Outcome], seeds: Sequence[int] = FRESH) -> list[Run]:
    """The runs of the fair question, which follow from the recorded factorial."""
    return [
        mnist(loss, seed=seed, protocol=protocol_at(loss, choose_place(outcomes, loss)))
        for seed in seeds
        for loss in SHAPES
    ]


def fair_runs() -> list[Run]:
    """The runs of the fair question; none before the committed factorial is whole."""
    try:
        return chosen_runs(sweep(step_decay_shape(), "replay"))
    except ValueError:
        return []


def judge_fair_question(outcomes: Sequence[Outcome]) -> dict[str, Verdict | str]:
    """The three contrasts and the word for the sentence, of the outcomes of ``fair_runs``; nothing
    unless all of its seeds are there."""
    tuned = {s.label: accuracies([o for o in outcomes if o.run.loss == s]) for s in SHAPES}
    ce = tuned.pop("CE")
    pairs = {f"{label} minus CE": differences(each, ce) for label, each in tuned.items()}
    if any(len(each) < len(FRESH) for each in pairs.values()):
        return {}
    verdicts: dict[str, Verdict | str] = dict(judge(pairs, MARGIN))
    word = verdicts[f"{CLL.label} minus CE"].word
    verdicts["tuned, CLL is better than CE"] = {
        "above": "reproduced", "below": "not reproduced", "equivalent": "not reproduced",
    }.get(word, "undecided")  # fmt: skip
    return verdicts


# ------------------------------------------------------------------------------------- stopping

STOPPING = """\
When to stop without clean labels: the CNN, CE and CLL with sigma 1, each at its published place, on
90 % of the labels, seeds 5, 6, 7. Noisy validation keeps the epoch with the best accuracy on the
held-out noisy labels, the first of equals. Label Wave keeps the first epoch e at which the number
of training predictions that changed, each as the network met the sample in its mini-batch, averaged
over the epochs e-2 to e, is lower than the same average one epoch later; the last epoch if there is
none. Clean test accuracy, in percent, paired by seed; a diverged run counts as 10 %, wherever it
would have been stopped. Nothing is judged before every run is recorded. The contrasts of the
family, for each of the two losses: noisy validation minus last epoch, Label Wave minus last epoch,
Label Wave minus noisy validation; judged as above, below, equivalent or undecided by two-sided and
by two one-sided t-tests, both adjusted by Holm, with the margin of 0.5 points.
"""


def label_wave(changed: Sequence[int | None]) -> int:
    """The epoch, from 1 on, that Label Wave keeps (Yuan, Feng and Liu, ICLR 2024, arXiv
    2502.07551), with a window fixed here. ``changed[e - 1]`` is the number of predictions that
    differ from those of the epoch before, None for the first."""
    smooth = {e: sum(changed[e - WINDOW : e]) / WINDOW for e in range(WINDOW + 1, len(changed) + 1)}
    for e in range(WINDOW + 1, len(changed)):
        if smooth[e] < smooth[e + 1]:
            return e
    return len(changed)


def stopped_by_label_wave(outcome: Outcome) -> float:
    """The clean test accuracy of the epoch that Label Wave keeps, in percent."""
    if lost(outcome):
        return guess(outcome.run)
    curves = outcome.record["curves"]
    return curves["test_accuracy"][label_wave(curves["changed"]) - 1]


def contrasts_of_stopping(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """The six contrasts, each its differences by seed in percentage points, from the runs of the
    factorial that stand at the published places."""
    pairs: dict[str, list[float]] = {}
    for loss, place in ((CE, OF_CE), (CLL, OF_CLL)):
        group = [o for o in outcomes if o.run.loss == loss
                 and o.run.protocol == protocol_at(loss, place)]  # fmt: skip
        last, valid = accuracies(group), accuracies(group, "val_chosen")
        wave = {o.run.seed: stopped_by_label_wave(o) for o in group}
        label = loss.label
        pairs |= {
            f"{label}: noisy validation minus last": differences(valid, last),
            f"{label}: Label Wave minus last": differences(wave, last),
            f"{label}: Label Wave minus noisy validation": differences(wave, valid),
        }
    return pairs


def judge_stopping(outcomes: Sequence[Outcome]) -> dict[str, Verdict]:
    """The verdict of each of the six; nothing unless all of their seeds are there."""
    pairs = contrasts_of_stopping(outcomes)
    if any(len(each) < len(UNSEEN) for each in pairs.values()):
        return {}
    return judge(pairs, MARGIN)


# ---------------------------------------------------------------------------------------- parity

PARITY = """\
Two precisions end alike if both one-sided paired t-tests of their last-epoch accuracies
against plus and minus 0.5 points, adjusted by Holm over the pairs of network and loss, have
p < 0.05; they differ if the two-sided test, adjusted likewise, has p < 0.05 and the mean difference
lies beyond 0.5 points; undecided otherwise.
"""
PARITY_AFTER = """\
written after its runs: the first rule for the two precisions called the same whatever has a wide
interval.
"""


def judge_parity(differences: Mapping) -> dict:
    """The verdict of each pair, of its differences by seed in percentage points."""
    return judge(differences, MARGIN)


def at_published_places() -> list[Run]:
    return [placed(loss, at, seed, "cnn4") for seed in UNSEEN
            for loss, at in ((CE, OF_CE), (CLL, OF_CLL))]  # fmt: skip


RULES = (
    Rule("the choice of CLL", CHOICE_OF_CLL, None, cll_choice, choose_cll),
    Rule("size and shape, CNN", SIZE_AND_SHAPE, MARGIN, step_decay_shape, judge_size_and_shape),
    Rule("size and shape, MLP", SIZE_AND_SHAPE, MARGIN, step_decay_shape_mlp, judge_size_and_shape),
    Rule("the choice of places", FAIR_QUESTION, MARGIN, step_decay_shape, choose_place),
    Rule("the fair question", FAIR_QUESTION, MARGIN, fair_runs, judge_fair_question),
    Rule("stopping", STOPPING, MARGIN, at_published_places, judge_stopping),
    Rule("parity", PARITY, MARGIN, parity, judge_parity, PARITY_AFTER),
)
