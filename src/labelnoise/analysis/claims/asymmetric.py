"""Asymmetric losses (Zhou et al. 2021): AGCE, AUL and AEL, by theory and in training.

All of its abstract's sentences are tested. Its tables, its hyper-parameters' selection and its
proofs' constants are not in what is public here, so that no number of the paper is judged.
"""

import contextlib
from collections.abc import Sequence

import numpy as np

from labelnoise import noise, theory
from labelnoise.analysis.claims.claim import (
    Claim,
    Finding,
    NotRecorded,
    Source,
    gain,
    not_run,
    rule_of,
    side_by_side,
    with_interval,
    with_loss,
)
from labelnoise.analysis.claims.cll import CE, CLL, ROBUST
from labelnoise.analysis.contrasts import ABOVE, BELOW, Verdict
from labelnoise.analysis.rules import benchmark as of_05
from labelnoise.analysis.rules import claims as rule
from labelnoise.analysis.rules import robustness_theory
from labelnoise.analysis.tables import robustness_runs as of_runs
from labelnoise.analysis.tables import robustness_theory as table
from labelnoise.analysis.tables.mnist_symmetric import loss_of
from labelnoise.config import published
from labelnoise.losses import AEL, AGCE, AUL, Loss
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced

ASYMMETRIC = tuple(published("mnist", name) for name in ("AGCE", "AUL", "AEL"))
OTHERS = (CE, CLL, *(loss for loss in ROBUST if loss not in ASYMMETRIC))
RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
SETTINGS = {
    "AGCE": tuple(AGCE(a, q) for a, q in ((4, 0.2), (0.6, 0.6), (1, 0.5), (1, 1), (6, 1.5))),
    "AUL": tuple(AUL(a, q) for a, q in ((3, 0.1), (2, 1), (1.2, 2), (5.5, 3), (6.3, 1.5))),
    "AEL": tuple(AEL(a) for a in (0.5, 1, 2.5, 3.5, 5)),
}


def built() -> list[Loss]:
    return [loss.build("mnist") for loss in ASYMMETRIC]


# ------------------------------------------------------------------------------------- by theory


def certain(loss: Loss, steps: int = 24) -> tuple[int, int]:
    """Of the label distributions of a lattice (K = 3) whose wrong classes are less than r times as
    likely as the leading one, r the asymmetry ratio: how many there are, and for how many the
    one-hot answer of the leading class is the best of all answers of the lattice."""
    q = theory.lattice(3, steps)
    ordered = np.sort(q, axis=1)
    q = q[ordered[:, 1] < ordered[:, 2] * (theory.asymmetry_ratio(loss) - 1e-9)]
    answers = theory.lattice(3, steps)
    risk = q @ theory.of_every_label(loss, answers).T
    best = answers[risk.argmin(axis=1)]
    return len(q), int((best[np.arange(len(q)), q.argmax(axis=1)] == 1).sum())


def minimum(outcomes: Sequence[Outcome]) -> Finding:
    found = [certain(loss) for loss in built()]
    word = rule.everywhere([0 < among == right for among, right in found])
    return Finding(
        certainty(built()), word, "a check by search, with three classes, and not a proof"
    )


@traced
def certainty(losses: Sequence[Loss]) -> str:
    """For how many label distributions within its ratio the one-hot answer is the best, a loss."""
    cells = []
    for loss in losses:
        among, right = certain(loss)
        cells.append(f"{loss.name} {right} of {among} (r {theory.asymmetry_ratio(loss):.3f})")
    return ", ".join(cells)


def noises() -> dict[str, np.ndarray]:
    return {f"symmetric {100 * r:.0f} %": noise.symmetric(3, r) for r in (0.0, 0.4, 0.6)}


def calibrated(outcomes: Sequence[Outcome]) -> Finding:
    found = [theory.calibration(loss, T).right for loss in built() for T in noises().values()]
    reason = (
        "by search, with three classes; cross-entropy passes the same test, so that calibration "
        "does not tell robust losses from others"
    )
    return Finding(calibration(built()), rule.everywhere([r == 100 for r in found]), reason)


@traced
def calibration(losses: Sequence[Loss]) -> str:
    """The least share of posteriors whose most probable class is found, over the noises, a loss."""
    least = {loss.name: min(theory.calibration(loss, T).right for T in noises().values())
             for loss in losses}  # fmt: skip
    return ", ".join(f"{name} {share:.0f} %" for name, share in least.items())


def bound_holds(loss: Loss) -> list[bool]:
    """Whether the worst excess risk found lies within the bound, rate by rate."""
    worst = table.worst_excess(loss, RATES)
    return [w <= theory.excess_risk_bound(loss, 3, r) + 1e-9
            for w, r in zip(worst, RATES, strict=True)]  # fmt: skip


def excess_risk(outcomes: Sequence[Outcome]) -> Finding:
    holds = [held for loss in built() for held in bound_holds(loss)]
    reason = (
        "ours is the bound of the theory notebook, after Ghosh et al.: what symmetric noise costs "
        "at most in clean risk; the constant of the paper's own theorem is not tested"
    )
    return Finding(excess(built()), rule.everywhere(holds), reason)


@traced
def excess(losses: Sequence[Loss]) -> str:
    """The worst excess risk found beside its bound at the highest rate, and rates violated."""
    cells = []
    for loss in losses:
        worst, bound = table.worst_excess(loss, RATES)[-1], theory.excess_risk_bound(loss, 3, 0.6)
        violated = bound_holds(loss).count(False)
        cells.append(f"{loss.name} {worst:.3g} within {bound:.3g} ({violated} of {len(RATES)} "
                     "rates violated)")  # fmt: skip
    return f"at 60 %: {', '.join(cells)}"


def condition(loss: Loss) -> float:
    """The largest noise ratio that the paper's condition allows, in closed form."""
    if isinstance(loss, AEL):
        return float(np.exp(-1 / loss.a))
    if isinstance(loss, AGCE):
        return float(min(1.0, (loss.a / (loss.a + 1)) ** (1 - loss.q)))
    return float(min(1.0, ((loss.a - 1) / loss.a) ** (loss.q - 1)))


def tolerates(loss: Loss, ratio: float) -> bool:
    """Whether handing probability d from a wrong class, ``ratio`` times as likely, to the true one
    never raises the risk: l(p) - l(p + d) >= ratio (l(0) - l(d)), on a grid over p and d."""
    d = np.geomspace(1e-4, 1, 300)
    p = np.linspace(0, 1, 101)[:, None] * (1 - d)

    def cost(p_y: np.ndarray) -> np.ndarray:
        return theory.value(loss, theory.simplex(np.clip(p_y, 0, 1), 2))

    left, right = cost(p) - cost(p + d), ratio * (cost(np.zeros(1)) - cost(d))
    return bool((left - right >= -1e-12).all())


def both_ways(loss: Loss) -> list[bool]:
    """Whether the condition is enough (the loss tolerates 99 % of its ratio) and, where it asks for
    anything, needed (101 % is not tolerated)."""
    ratio = condition(loss)
    enough = tolerates(loss, 0.99 * ratio)
    return [enough] if ratio == 1 else [enough, not tolerates(loss, 1.01 * ratio)]


def conditions(name: str):
    """Judges the condition of one loss at several settings."""

    def find(outcomes: Sequence[Outcome]) -> Finding:
        settings = SETTINGS[name]
        holds = [held for loss in settings for held in both_ways(loss)]
        reason = "a check on a grid, and not a proof"
        return Finding(checked(settings), rule.everywhere(holds), reason)

    return find


@traced
def checked(losses: Sequence[Loss]) -> str:
    """The ratio that the condition allows at each setting, and how many checks of it hold."""
    ratios = ", ".join(f"{condition(loss):.3f}" for loss in losses)
    holds = [held for loss in losses for held in both_ways(loss)]
    return f"{sum(holds)} of {len(holds)} checks hold; ratios allowed: {ratios}"


# ------------------------------------------------------------------------------------ in training


def above_ce(model: str):
    """Judges what the three losses gain on CE with a network."""

    def find(outcomes: Sequence[Outcome]) -> Finding:
        gains = {loss.name: gain(outcomes, loss, CE, model) for loss in ASYMMETRIC}
        lasts = {loss.name: [o.last for o in with_loss(outcomes, loss, model)]
                 for loss in (*ASYMMETRIC, CE)}  # fmt: skip
        reason = with_interval(gains, "minus CE, paired by seed")
        return Finding(side_by_side(lasts), rule.each_above(gains), reason)

    return find


def verdicts(outcomes: Sequence[Outcome]) -> dict[str, list[Verdict]]:
    """AGCE's and AUL's verdicts against CE by the rule of notebook 05, a cell each."""
    cells = of_05.judge_most_cases(outcomes)["against CE"].values()
    found = {loss.name: [cell[loss.name] for cell in cells if loss.name in cell]
             for loss in ASYMMETRIC}  # fmt: skip
    return {name: each for name, each in found.items() if each}


def in_cells(outcomes: Sequence[Outcome]) -> Finding:
    found = verdicts(outcomes)
    if not found:
        raise NotRecorded("no cell of the benchmark has all of its runs")
    word = rule.everywhere([v.word == ABOVE for each in found.values() for v in each])
    reason = (
        "at the learning rate and weight decay that suit cross-entropy; the benchmark also tunes "
        "them"
    )
    return Finding(above_and_below(outcomes), word, reason)


@traced
def above_and_below(outcomes: Sequence[Outcome]) -> str:
    """In how many cells each loss is above CE, and below it."""
    cells = []
    for name, each in verdicts(outcomes).items():
        above, below = (sum(v.word == word for v in each) for word in (ABOVE, BELOW))
        cells.append(f"{name} above CE in {above} of {len(each)} cells, below in {below}")
    return ", ".join(cells)


def higher_ratio(outcomes: Sequence[Outcome]) -> Finding:
    runs = [o for o in outcomes if o.run.model == "mlp" and o.run.seed == 0
            and of_runs.has_criteria(loss_of(o))]  # fmt: skip
    if not any(o.run.label.startswith("AEL(a 0.25") for o in runs):
        raise NotRecorded("no record of the losses that move the ratio")
    said = ratio_verdict(runs)
    reason = "the same learning rate for all, so that part of it may be the size of the loss"
    return Finding(said, rule.two_words(said), reason)


@traced
def ratio_verdict(runs: Sequence[Outcome]) -> str:
    """The rule of notebook 04, applied to runs of one seed."""
    return robustness_theory.verdict(of_runs.predicted(runs, 10, 0.6)).partition(". ")[2]


def on_others(outcomes: Sequence[Outcome]) -> dict[str, dict[str, list[float]]]:
    """What each asymmetric loss gains on each other loss that trained with the CNN, by seed."""
    gains: dict[str, dict[str, list[float]]] = {loss.name: {} for loss in ASYMMETRIC}
    for loss in ASYMMETRIC:
        for other in OTHERS:
            with contextlib.suppress(NotRecorded):
                gains[loss.name][other.name] = gain(outcomes, loss, other)
    return gains


def outperforms(outcomes: Sequence[Outcome]) -> Finding:
    cnn = [o for o in outcomes if o.run.model == "cnn4"]
    gains = on_others(cnn)
    if not all(gains.values()):
        raise NotRecorded("no record of another loss with cnn4")
    lasts = {loss.name: [o.last for o in with_loss(cnn, loss)] for loss in ASYMMETRIC}
    return Finding(side_by_side(lasts), rule.best(gains), nearest(cnn))


@traced
def nearest(runs: Sequence[Outcome]) -> str:
    """Above how many other losses each asymmetric loss is, and its least lead, in points."""
    cells = []
    for name, each in on_others(runs).items():
        above = sum(rule.ordering(g) == rule.REPRODUCED for g in each.values())
        other, least = min(each.items(), key=lambda item: np.mean(item[1]))
        cells.append(f"{name} above {above} of {len(each)} others, by {np.mean(least):.2f} points "
                     f"at least ({other})")  # fmt: skip
    return f"{', '.join(cells)}; one data set at one rate, so partly at best"


ABSTRACT = "abstract"
CNN = "MNIST, 60 % symmetric noise, 4-layer CNN, last epoch"
MLP = "MNIST, 60 % symmetric noise, MLP, last epoch"
FORMULA = rule_of(rule.FORMULA, late=False)
CLAIMS = (
    Claim(
        "asymmetric losses are robust: where the true class leads by enough, noise does not move "
        "the minimum of the risk from the answer that is sure of it",
        ABSTRACT,
        "all label distributions of a lattice of steps of 1/24 whose wrong classes are less than r "
        "times as likely as the leading one: is the one-hot answer the best of the lattice?",
        FORMULA,
        minimum,
        computed=True,
    ),
    Claim(
        "asymmetric losses are robust in training, with a CNN",
        ABSTRACT,
        f"AGCE, AUL and AEL at their published settings against CE, paired by seed; {CNN}",
        rule_of(rule.ABOVE_CE),
        above_ce("cnn4"),
    ),
    Claim(
        "asymmetric losses are robust in training, with an MLP",
        ABSTRACT,
        f"the same; {MLP}",
        rule_of(rule.ABOVE_CE),
        above_ce("mlp"),
    ),
    Claim(
        "asymmetric losses are classification-calibrated",
        ABSTRACT,
        "all posteriors of a lattice (K = 3) under 0, 40 and 60 % symmetric noise: is the most "
        "probable clean class on top of the answer of least noisy risk?",
        FORMULA,
        calibrated,
        computed=True,
    ),
    Claim(
        "their excess risk is bounded",
        ABSTRACT,
        "the worst excess risk over all posteriors of a lattice (K = 3) against a bound, at rates "
        "of 10 to 60 %",
        FORMULA,
        excess_risk,
        computed=True,
    ),
    Claim(
        "a higher asymmetry ratio means a better tolerance",
        ABSTRACT,
        "rank correlation of the ratio with last-epoch accuracy and with the fall from the best "
        f"epoch, over every loss and setting, seed 0; {MLP}",
        rule_of(rule.TWO_WORDS),
        higher_ratio,
    ),
    *(
        Claim(
            f"{name} is asymmetric if and only if {when}",
            "abstract; restated in arXiv 2305.02139",
            f"five settings of {name}: 99 % of the allowed noise ratio is tolerated everywhere on "
            "a grid, and 101 % is not",
            FORMULA,
            conditions(name),
            computed=True,
        )
        for name, when in (
            ("AGCE", "q >= 1 or ((a+1)/a)^(1-q) <= 1/r"),
            ("AUL", "q <= 1 or (a/(a-1))^(q-1) <= 1/r"),
            ("AEL", "exp(1/a) <= 1/r"),
        )
    ),
    Claim(
        "asymmetric losses can outperform the state of the art",
        ABSTRACT,
        f"AGCE, AUL and AEL against every other loss that trained, paired by seed; {CNN}",
        rule_of(rule.BEST),
        outperforms,
    ),
    Claim(
        "the same on CIFAR-10, CIFAR-100 and WebVision",
        "experiments",
        "the same comparison on each",
        "A claim whose runs are not recorded is not judged.",
        not_run("their networks take a GPU; a third party's numbers are no runs of ours"),
    ),
    Claim(
        "asymmetric losses are robust in training, on other data sets",
        ABSTRACT,
        "AGCE and AUL at their published settings against CE, paired by seed, in every cell of the "
        "benchmark that has them and all of its runs; our data sets",
        rule_of(rule.IN_CELLS),
        in_cells,
        runs=rule.cells_of_05,
    ),
)  # fmt: skip
SOURCE = Source(
    "ALF",
    "Asymmetric losses",
    "Zhou, Liu, Jiang, Gao and Ji, Asymmetric Loss Functions for Learning with Noisy Labels, ICML "
    "2021, arXiv 2106.03110",
    rule.asymmetric_runs,
    CLAIMS,
)
