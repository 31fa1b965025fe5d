"""Cross Validated 218656: "around 30 % of my labels are wrong", and what was said to it.

The asker asks whether cross-entropy is optimal and thinks of clipping it; the first answer puts
0.3/N + 0.7 y into the loss; the asker then posts its derivative, asking to be told if it is wrong,
and points to label smoothing; the second answer is by the author of cleanlab.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from labelnoise import losses, noise
from labelnoise.analysis import stats, tables
from labelnoise.analysis.claims.claim import Claim, Finding, NotRecorded, Source, rule_of
from labelnoise.analysis.rules import claims as rule
from labelnoise.analysis.rules.model_the_noise import verdict
from labelnoise.analysis.tables.model_the_noise import NOISES, by_noise, gains
from labelnoise.experiments.model_the_noise import detectors
from labelnoise.losses import Loss
from labelnoise.runs.sweep import Outcome
from labelnoise.theory import model_the_noise as theory
from labelnoise.tracing import of_numbers, traced

UNIFORM = [*NOISES][:2]  # the two noises that strike all classes alike
THRESHOLDS = ("ClippedCE", "ClippedCE(bound 3.5)", "ClippedCE(bound 3)", "ClippedCE(bound 2.5)")
SMOOTHED = ("LabelSmoothing", "LabelSmoothing(epsilon 0.3)")
PRUNED = "CE, pruned (filter prune_by_noise_rate)"
TOLD = ("Mixture", "Backward", "Forward(true T)", "LabelSmoothing(")  # who is told T or the rate


def answers(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The runs of the answers; without those of the detectors, which classify nothing."""
    found = [o for o in outcomes if o.run.method is None or o.run.method.name == "pruned"]
    return [o for o in found if o.run.noise in NOISES.values()]


def against_ce(outcomes: Sequence[Outcome], label: str) -> dict[str, list[float]]:
    """Noise -> what an answer gains on CE, by seed, in percentage points.

    ``NotRecorded`` unless it has a seed of CE's under every noise.
    """
    groups = by_noise(answers(outcomes))
    found = {name: gains(group).get(label) for name, group in groups.items()}
    if None in found.values():
        raise NotRecorded("no record of this answer beside CE under every noise")
    return found


def words(outcomes: Sequence[Outcome], label: str) -> dict[str, str]:
    """Noise -> the word of the rule of notebook 06 for an answer."""
    found = against_ce(outcomes, label)
    return {name: verdict(stats.summarise(each)) for name, each in found.items()}


@of_numbers
def worth(against: Mapping[str, Sequence[float]]) -> str:
    """The mean gain on CE at the same seeds, noise by noise, with the word of the rule."""
    found = {name: stats.summarise(each) for name, each in against.items()}
    seeds = sorted({s.n for s in found.values()})
    cells = [f"{name}: {s.mean:+.2f} ({verdict(s)})" for name, s in found.items()]
    return f"{'; '.join(cells)}; points over CE, {' to '.join(map(str, seeds))} seeds"


# ------------------------------------------------------------------------------- the question


def favourite(q: np.ndarray, T: np.ndarray) -> bool:
    """Whether the class that leads without noise leads with it."""
    return bool((q @ T).argmax() == q.argmax())


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """An image that is 60 % a 7 and 40 % a 1, under the two kinds of noise."""
    q = np.zeros(10)
    q[[7, 1]] = 0.6, 0.4
    return {
        "drawn anew, 30 %": (q, noise.symmetric(10, 0.3, keep_true=True)),
        "asymmetric, 30 %": (q, noise.asymmetric("mnist", 0.3)),
    }


def without_end(outcomes: Sequence[Outcome]) -> Finding:
    holds = [favourite(*case) for case in cases().values()]
    reason = ("CE learns the distribution of the labels that are given; where wrong ones go to all "
              "classes alike, its favourite stays, where pairs of classes are taken for each "
              "other, it need not")  # fmt: skip
    return Finding(learnt([*cases().values()]), rule.everywhere(holds), reason)


@traced
def learnt(cases: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    """What CE learns of an image of 7 and 1, noise by noise: labels drawn anew, then asymmetric."""
    cells = [f"{100 * (q @ T)[7]:.0f} % a 7 and {100 * (q @ T)[1]:.0f} % a 1" for q, T in cases]
    return f"drawn anew: {cells[0]}; asymmetric: {cells[1]}"


def every_answer(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """Label of an answer -> its words against CE, one a noise."""
    labels = dict.fromkeys(o.run.label for o in answers(outcomes) if o.run.label != "CE")
    found = {}
    for label in labels:
        with contextlib.suppress(NotRecorded):
            found[label] = [*words(outcomes, label).values()]
    return found


def optimal(outcomes: Sequence[Outcome]) -> Finding:
    found = every_answer(outcomes)
    if not found:
        raise NotRecorded("no answer has a record beside CE")
    word = rule.NOT if any(set(each) == {"helps"} for each in found.values()) else rule.UNDECIDED
    ce = {name: [o.last for o in group if o.run.label == "CE"]
          for name, group in by_noise(answers(outcomes)).items()}  # fmt: skip
    return Finding(ends(ce), word, helping(answers(outcomes)))


@of_numbers
def ends(accuracies: Mapping[str, Sequence[float]]) -> str:
    """The last epoch of CE, noise by noise."""
    cells = [f"{name}: {tables.spread(values)}" for name, values in accuracies.items()]
    return f"CE ends at {'; '.join(cells)} ({max(map(len, accuracies.values()))} seeds)"


@traced
def helping(runs: Sequence[Outcome]) -> str:
    """Which answers help under every noise."""
    found = every_answer(runs)
    better = [tables.shown(label) for label, each in found.items() if set(each) == {"helps"}]
    noises = len(by_noise(runs))
    return f"{len(better)} of {len(found)} answers help under all {noises}: {', '.join(better)}"


def clipped(outcomes: Sequence[Outcome]) -> Finding:
    found = {label: words(outcomes, label) for label in THRESHOLDS}
    word = rule.helps([w for each in found.values() for w in each.values()])
    runs = [o for o in answers(outcomes) if o.run.label in ("CE", *THRESHOLDS)]
    reason = ("a bound loses whole classes at some seeds and none at others, so that the intervals "
              "are wide")  # fmt: skip
    return Finding(thresholds(runs), word, reason)


@traced
def thresholds(runs: Sequence[Outcome]) -> str:
    """How often each threshold helps, hurts or leaves undecided, over the three noises."""
    cells = []
    for label in THRESHOLDS:
        found = [*words(runs, label).values()]
        counts = [f"{found.count(w)} {w}" for w in dict.fromkeys(found)]
        loss = next(o.run.loss for o in runs if o.run.label == label).build("mnist")
        cells.append(f"bound {loss.bound:.1f}: {', '.join(counts)}")
    noises, seeds = len(by_noise(runs)), len({o.run.seed for o in runs})
    return f"{'; '.join(cells)} ({noises} noises, {seeds} seeds)"


# --------------------------------------------------------------------------------- the answers


def right(outcomes: Sequence[Outcome]) -> Finding:
    lines = theory.relations(3)[:2]
    q = np.array([0.6, 0.4, 0.0])
    recovered = np.allclose(theory.learnt(q)["Mixture"], q)
    reason = (
        "it is forward correction with uniform noise, by algebra. Fewer of the labels that are "
        "drawn anew are wrong, since a new one may be right"
    )
    word = rule.everywhere([bool(recovered), *(line.holds for line in lines)])
    return Finding(algebra([0.6, 0.4, 0.0]), word, reason)


@traced
def algebra(q: Sequence[float]) -> str:
    """What mixture and CE learn of a clean posterior, in percent of its favourite."""
    found = theory.learnt(np.array(q))
    mixture, ce = (100 * found[name].max() for name in ("Mixture", "CE"))
    return (f"of a class that is {100 * max(q):.0f} % probable the mixture learns {mixture:.0f} %, "
            f"CE {ce:.0f} %")  # fmt: skip


def modelled(outcomes: Sequence[Outcome]) -> Finding:
    label = "Mixture(rate 0.3)"
    found = words(outcomes, label)
    reason = (
        "judged under the noise that the answer assumes, wrong labels that go everywhere; under "
        f"asymmetric noise, where its model is wrong: {[*found.values()][2]}"
    )
    word = rule.helps([found[name] for name in UNIFORM])
    return Finding(worth(against_ce(outcomes, label)), word, reason)


def finite(outcomes: Sequence[Outcome]) -> Finding:
    mixture = losses.Mixture(0.3)
    held = abs(largest(mixture) - math.log(10 / 0.3)) < 1e-6
    return Finding(bounded(mixture), rule.everywhere([held]), "cross-entropy has no bound")


def largest(loss: Loss, num_classes: int = 10) -> float:
    """The loss of a label that the network has ruled out."""
    import torch

    logits = torch.zeros(1, num_classes, dtype=torch.float64)
    logits[0, 0] = -200
    return float(loss.per_sample(logits, torch.tensor([0])))


@traced
def bounded(loss: Loss) -> str:
    """The largest loss of a label, beside log(N/0.3)."""
    return f"at most {largest(loss):.4f} for ten classes; log(N/0.3) = {math.log(10 / 0.3):.4f}"


def posted(outcomes: Sequence[Outcome]) -> Finding:
    lines = theory.derivation(3)
    reason = "the posted result is right" if lines[-1].holds else "the posted result is wrong"
    if not all(line.holds for line in lines):
        reason += "; a line between has lost the minus sign of the one before"
    return Finding(derived(losses.Mixture(0.3)), rule.derived([line.holds for line in lines]),
                   reason)  # fmt: skip


@traced
def derived(loss: Loss) -> str:
    """How many lines of the posted derivation hold, and how far its end is from autograd."""
    lines, check = theory.derivation(3), theory.check(rate=loss.rate)
    digits = math.floor(-math.log10(check.dl_dz))
    return (f"{sum(line.holds for line in lines)} of {len(lines)} lines hold (sympy, N = 3); the "
            f"posted end is autograd's to {min(digits, 12)} digits (N = 10)")  # fmt: skip


def smoothing(outcomes: Sequence[Outcome]) -> Finding:
    small, large = (words(outcomes, label) for label in SMOOTHED)
    reason = (
        f"this is the larger amount; the smaller one: {', '.join(small.values())}. It is not the "
        "mixture: it adds the noise to the labels, where the mixture adds it to the prediction"
    )
    word = rule.helps([*small.values(), *large.values()])
    return Finding(worth(against_ce(outcomes, SMOOTHED[1])), word, reason)


def finds_errors(outcomes: Sequence[Outcome]) -> Finding:
    keys = {run.key for run in detectors()}
    mine = [o for o in outcomes if o.run.key in keys and o.run.loss.name == "CE"]
    if not mine:
        raise NotRecorded("no record of a cross-validation")
    precision = [o.record["result"]["detection"]["average_precision"] for o in mine]
    rates = [o.record["result"]["noise_rate"] for o in mine]
    gained = stats.differences(dict(enumerate(precision)), dict(enumerate(rates)))
    reason = "a random order has the noise rate; cross-validated, cross-entropy, MLP"
    return Finding(found_errors(precision, rates), rule.ordering(gained), reason)


@of_numbers
def found_errors(precision: Sequence[float], rates: Sequence[float]) -> str:
    """The average precision of the ranking, beside a random order."""
    return (f"average precision {tables.spread(precision)} %, at random {np.mean(rates):.1f} % "
            f"({len(precision)} seeds)")  # fmt: skip


def on_answers(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """What the pruned network gains on each answer that is not told the noise, by seed."""
    found = {}
    for name, group in by_noise(answers(outcomes)).items():
        groups = tables.by_label([o for o in group if o.last is not None])
        pruned = stats.by_seed(groups.get(PRUNED, []))
        for label, other in groups.items():
            theirs = stats.by_seed(other)
            asked = label not in ("CE", PRUNED, *THRESHOLDS[1:]) and not label.startswith(TOLD)
            if asked and len(set(pruned) & set(theirs)) > 1:
                found[f"{name}: {label}"] = stats.differences(pruned, theirs)
    return found


def favourably(outcomes: Sequence[Outcome]) -> Finding:
    against, found = against_ce(outcomes, PRUNED), on_answers(outcomes)
    if not found:
        raise NotRecorded("no answer shares two seeds with the pruned network")
    word = rule.favourably([*words(outcomes, PRUNED).values()], found)
    return Finding(worth(against), word, beside_others(answers(outcomes)))


@traced
def beside_others(runs: Sequence[Outcome]) -> str:
    """How often the pruned network is above or below another answer that is not told the noise."""
    found = on_answers(runs)
    above = sum(rule.ordering(each) == rule.REPRODUCED for each in found.values())
    below = sum(stats.summarise(each).high < 0 for each in found.values())
    return (f"of {len(found)} comparisons with answers that are not told the noise it is above in "
            f"{above} and below in {below}; six trainings in place of one")  # fmt: skip


QUESTION, FIRST, SECOND = (
    "the question",
    "the first answer",
    "the second answer (cleanlab's author)",
)
MLP = "MNIST, MLP, last epoch"
FORMULA = rule_of(rule.FORMULA, late=False)
CLAIMS = (
    Claim(
        "cross-entropy is optimal, if there are labels without end",
        f"{QUESTION}, which asks it",
        "an image that is 60 % a 7 and 40 % a 1: does its favourite class stay, under labels drawn "
        "anew and under asymmetric noise?",
        FORMULA,
        without_end,
        computed=True,
    ),
    Claim(
        "cross-entropy is optimal, with 60 000 labels",
        f"{QUESTION}, which asks it",
        f"every answer of notebook 06 against CE, paired by seed, under three noises; {MLP}",
        rule_of(rule.OPTIMAL),
        optimal,
    ),
    Claim(
        "clipping the loss helps",
        f"{QUESTION}, as the asker's own idea",
        f"four bounds against CE, paired by seed, under three noises; {MLP}",
        rule_of(rule.HELPS),
        clipped,
    ),
    Claim(
        "0.3/N + 0.7 y is the right model of labels of which 30 % are drawn anew",
        FIRST,
        "algebra: is it forward correction with that noise, and does it learn the clean posterior?",
        FORMULA,
        right,
        computed=True,
    ),
    Claim(
        "its loss is finite, also for a label that the network has ruled out",
        FIRST,
        "the loss of a label of probability 0",
        FORMULA,
        finite,
        computed=True,
    ),
    Claim(
        "training with it helps",
        FIRST,
        f"Mixture(0.3) against CE, paired by seed, under labels drawn anew and flipped; {MLP}",
        rule_of(rule.HELPS),
        modelled,
    ),
    Claim(
        "the derivative of that loss, as posted",
        "the asker's addition to the question, which asks to be told if it is wrong",
        "each line by sympy; the result against automatic differentiation",
        rule_of(rule.DERIVATION),
        posted,
        computed=True,
    ),
    Claim(
        "label smoothing is an answer",
        "the asker's second addition, after Szegedy et al.",
        f"smoothing by 0.1 and by 0.3 against CE, paired by seed, under three noises; {MLP}",
        rule_of(rule.HELPS),
        smoothing,
    ),
    Claim(
        "cleanlab finds label errors",
        SECOND,
        "average precision of the labels ranked by cross-validated probabilities, minus the noise "
        "rate; MNIST, 30 % symmetric noise, MLP",
        rule_of("An ordering is reproduced if the 95 % t interval of the "
                "differences, paired by seed, lies above 0; partly if only their mean does."),
        finds_errors,
    ),
    Claim(
        "confident learning compares favourably with other methods",
        SECOND + ", and the abstract of arXiv 1911.00068",
        f"CE on what cleanlab leaves, against CE and the other answers, under three noises; {MLP}",
        rule_of(rule.FAVOURABLY),
        favourably,
    ),
)  # fmt: skip
SOURCE = Source(
    "30 %",
    "The 30 % question",
    "Cross Validated, question 218656, stats.stackexchange.com/questions/218656: a question with "
    "two additions and two answers",
    rule.thirty_runs,
    CLAIMS,
)
