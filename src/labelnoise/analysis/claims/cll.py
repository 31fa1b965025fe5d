"""CLL (Deng et al. 2025): each checkable sentence of the abstract, which is all that is public.

Its single number is for MNIST with 60 % symmetric noise.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from labelnoise import experiments, losses, theory
from labelnoise.analysis import stats, tables
from labelnoise.analysis.claims.claim import (
    Claim,
    Finding,
    NotRecorded,
    Source,
    gain,
    not_testable,
    over_seeds,
    rule_of,
    side_by_side,
    with_loss,
)
from labelnoise.analysis.rules import benchmark as of_05
from labelnoise.analysis.rules import claims as rule
from labelnoise.analysis.rules.claims import NOT_RUN, PARTLY
from labelnoise.config import LossSetting
from labelnoise.experiments.mnist_symmetric import SCALED_CE
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import of_numbers, traced
from labelnoise.tracing.origin import quoted

# Abstract: CLL 96.81 % on MNIST with 60 % symmetric noise, "43.43 % higher" than cross-entropy,
# which is 53.38 if percentage points are meant and 67.50 if the gain is relative.
PAPER_CLL = 96.81
PAPER_CE_POINTS = 53.38
PAPER_CE_RELATIVE = 67.50

PAPER_CE = {"CE if points": PAPER_CE_POINTS, "CE if relative": PAPER_CE_RELATIVE}
ABSTRACT = "the abstract of Deng et al., Neurocomputing 646 (2025) 130500"
# label of a loss -> what the paper's column of a table says of it
PAPER_COLUMN = {
    "CE": quoted(
        f"{PAPER_CE_POINTS:.2f} or {PAPER_CE_RELATIVE:.2f} (implied)",
        f"{ABSTRACT}: 96.81 - 43.43 or 96.81 / 1.4343",
    ),
    experiments.CLL.label: quoted(f"{PAPER_CLL:.2f}", ABSTRACT),
}
# line in a figure -> (value, short name of the loss whose colour it takes)
PAPER_LINES = {
    "paper: CLL": (PAPER_CLL, "CLL"),
    **{f"paper: {label}": (value, "CE") for label, value in PAPER_CE.items()},
}

CE = experiments.published("mnist", "CE")
CLL = experiments.CLL
# The robust losses that train with the CNN, each at its published setting.
ROBUST = tuple(
    {
        run.label: run.loss
        for run in (*experiments.robust_losses([0]), *experiments.cnn_losses([0]))
    }.values()
)
BULLETS = [rule_of(words, late=False) for words in f"\n{rule.WORDS}".split("\n- ")[1:]]
A_NUMBER, AN_ORDERING, MOST_CASES, LEFT_OUT = BULLETS[1:5]


def reaches(outcomes: Sequence[Outcome]) -> Finding:
    values = [o.last for o in with_loss(outcomes, CLL)]
    word = rule.number_of_the_paper(values, PAPER_CLL, at_least=True)
    within = rule.number_of_the_paper(values, PAPER_CLL)
    return Finding(over_seeds(values), word, beside(values, PAPER_CLL, only_above=within != word))


def lead_over_ce(paper: float):
    """Judges the accuracy of CE that the lead of 43.43 implies."""

    def find(outcomes: Sequence[Outcome]) -> Finding:
        values = [o.last for o in with_loss(outcomes, CE)]
        word = rule.number_of_the_paper(values, paper)
        return Finding(higher(values, gain(outcomes, CLL, CE)), word, beside(values, paper))

    return find


@of_numbers
def beside(values: Sequence[float], paper: float, only_above: bool = False) -> str:
    """The mean beside the paper's number, where one more seed would fall with 95 %, and whether it
    is reproduced only because ours is above it."""
    mean, band = stats.summarise(values).mean, stats.prediction_interval(values)
    text = f"ours {mean:.2f}, paper {paper:.2f}, difference {mean - paper:+.2f} points"
    if band:
        text += f"; 95 % prediction interval [{band[0]:.2f}, {band[1]:.2f}]"
    if only_above:
        text += (", which does not hold the paper's number: only the clause that a mean above it "
                 "will do reproduces the claim")  # fmt: skip
    return text


@of_numbers
def higher(ce: Sequence[float], differences: Sequence[float]) -> str:
    """CE's mean ± sd, and the mean difference of CLL at the same seeds, in points and relative."""
    lead, base = stats.summarise(differences).mean, stats.summarise(ce).mean
    relative = 100 * lead / base
    return f"CE {over_seeds(ce)}; CLL is {lead:.2f} points or {relative:.2f} % higher"


def gradient_shares(outcomes: Sequence[Outcome], loss: LossSetting) -> dict[int, float]:
    """Per seed, the share of the gradient norm from mislabelled samples in the last epoch, %."""
    return {o.run.seed: o.record["curves"]["gradient_share"][-1] for o in with_loss(outcomes, loss)}


def memorised(outcomes: Sequence[Outcome], loss: LossSetting) -> dict[int, float]:
    """Per seed, the wrong labels that the network predicts as given, %."""
    return {o.run.seed: o.record["result"]["fit_wrong"] for o in with_loss(outcomes, loss)}


def gradients(outcomes: Sequence[Outcome]) -> Finding:
    ce, cll = gradient_shares(outcomes, CE), gradient_shares(outcomes, CLL)
    differences = stats.differences(ce, cll)
    if not differences:
        raise NotRecorded("CE and CLL share no seed")
    against = who_speaks_against(outcomes)
    reason = orders_shares(differences, against)
    word = rule.capped(rule.ordering(differences), bool(against))
    return Finding(shares([*ce.values()], [*cll.values()]), word, reason)


def who_speaks_against(outcomes: Sequence[Outcome]) -> list[float]:
    """Share of 0.06 CE and of CLL and what they memorise, at the first seed at which 0.06 CE has a
    larger share and memorises less; empty if there is none."""
    try:
        columns = [of(outcomes, loss) for of in (gradient_shares, memorised)
                   for loss in (SCALED_CE, CLL)]  # fmt: skip
    except NotRecorded:
        return []
    shared = sorted(set(columns[0]) & set(columns[1]))
    rows = [[column[seed] for column in columns] for seed in shared]
    return next((r for r in rows if r[0] > r[1] and r[2] < r[3]), [])


@of_numbers
def shares(ce: Sequence[float], cll: Sequence[float]) -> str:
    """Mean ± sd of both, in percent."""
    return (f"CE {tables.spread(ce, 1)} % ({len(ce)} seeds), CLL {tables.spread(cll, 1)} % "
            f"({len(cll)} seeds)")  # fmt: skip


@of_numbers
def orders_shares(differences: Sequence[float], against: Sequence[float]) -> str:
    """The mean difference of the shares at the same seeds, with its 95 % interval, and what speaks
    against reading robustness off them: the share of 0.06 CE and of CLL, and what each memorises.
    """
    found = stats.summarise(differences)
    between = "one seed" if found.low is None else f"[{found.low:+.2f}, {found.high:+.2f}]"
    text = f"CE's share minus CLL's, percentage points: {found.mean:+.2f} {between}"
    if not against:
        return text
    share, of_cll, fit, own = against
    return (
        f"{text}; but 0.06 CE takes {share:.1f} % of its gradient from wrong labels at a "
        f"seed at which CLL takes {of_cll:.1f} %, and memorises fewer of them, {fit:.2f} % "
        f"against {own:.2f} %: the share orders CE and CLL and does not explain who memorises"
    )


def most_cases(outcomes: Sequence[Outcome]) -> Finding:
    accuracies, gains = {"CLL": [o.last for o in with_loss(outcomes, CLL)]}, {}
    for loss in ROBUST:
        try:
            gains[loss.name] = gain(outcomes, CLL, loss)
            accuracies[loss.name] = [o.last for o in with_loss(outcomes, loss)]
        except NotRecorded:
            continue
    if not gains:
        raise NotRecorded("no robust loss has a seed of CLL's")
    word = rule.most_cases(gains)
    so = {PARTLY: "; one data set at one rate, so partly at best",
          NOT_RUN: ": more seeds have to decide"}  # fmt: skip
    return Finding(side_by_side(accuracies), word, one_by_one(gains, so.get(word, "")))


@of_numbers
def one_by_one(gains: Mapping[str, Sequence[float]], so: str) -> str:
    """The mean difference of CLL to each loss at the same seeds, in points, and for how many its
    95 % interval lies above 0."""
    listed = ", ".join(f"{name} {stats.summarise(d).mean:+.2f}" for name, d in gains.items())
    won, open_ = rule.won_and_open(gains)
    text = (f"CLL minus each, paired by seed: {listed} points; the interval lies above 0 for "
            f"{len(won)} of {len(gains)}")  # fmt: skip
    if open_:
        text += f"; one seed, so no interval, for {', '.join(open_)}"
    return text + so


def over_data_sets(outcomes: Sequence[Outcome]) -> Finding:
    judged = of_05.judge_most_cases(outcomes)
    share = judged["shares"]["CLL above the others"]
    if share is None:
        raise NotRecorded("no cell of the benchmark has all of its runs")
    reason = "our data sets, not the paper's; cells that lack a run are left out"
    return Finding(cases(outcomes), share.word, reason)


@traced
def cases(outcomes: Sequence[Outcome]) -> str:
    """The shares of cases that CLL wins, with their interval, loses and leaves open, and of how
    many cells and data sets."""
    judged = of_05.judge_most_cases(outcomes)
    share, cells = judged["shares"]["CLL above the others"], judged["CLL against"]
    sets = len({cell.dataset for cell in cells})
    return (f"CLL wins {share.won:.0f} % of its cases [{share.low:.0f}, {share.high:.0f}], loses "
            f"{share.lost:.0f} %, {share.open:.0f} % are open ({len(cells)} cells of {sets} data "
            "sets)")  # fmt: skip


def peak_error(sigma: float) -> float:
    """The error 1 - p_y at which |dL/dp_y| of CLL ``target`` is largest, read off a fine grid."""
    errors = np.linspace(0, 1, 10001)
    slope = theory.dL_dp(losses.CLL(sigma), theory.simplex(1 - errors, 10))[:, 0]
    return float(errors[np.abs(slope).argmax()])


def threshold(outcomes: Sequence[Outcome]) -> Finding:
    sigmas = [s for s in experiments.CLL_SIGMAS if s <= 1]
    holds = [abs(peak_error(s) - s) <= 1e-3 for s in sigmas]
    return Finding(peaks(sigmas), rule.everywhere(holds), within(sigmas))


@traced
def peaks(sigmas: Sequence[float]) -> str:
    """Where |dL/dp_y| of CLL is largest, for each bandwidth."""
    errors = ", ".join(f"{peak_error(s):.2f}" for s in sigmas)
    return f"errors of {errors} for sigma {', '.join(f'{s:g}' for s in sigmas)}"


@traced
def within(sigmas: Sequence[float]) -> str:
    """How far the peak of |dL/dp_y| lies from sigma at most."""
    worst = max(abs(peak_error(s) - s) for s in sigmas)
    return (f"sigma {sigmas[0]:g} to {sigmas[-1]:g}: the peak lies within {max(worst, 1e-4):.4f} "
            "of sigma. At sigma 1, which our rule chose, that is the largest error there is: the "
            "kernel damps nothing, only the softmax does, and the runs of the rows above say "
            "nothing about the kernel")  # fmt: skip


CNN = "MNIST, 60 % symmetric noise, 4-layer CNN"
CLAIMS = (
    Claim(
        "CLL reaches 96.81 %",
        "abstract",
        f"last-epoch test accuracy of CLL; {CNN}",
        A_NUMBER,
        reaches,
    ),
    Claim(
        "that is 43.43 % higher than CE, read as percentage points: CE 53.38 %",
        "abstract",
        f"last-epoch test accuracy of CE; {CNN}",
        A_NUMBER,
        lead_over_ce(PAPER_CE_POINTS),
    ),
    Claim(
        "that is 43.43 % higher than CE, read as relative: CE 67.50 %",
        "abstract",
        f"last-epoch test accuracy of CE; {CNN}",
        A_NUMBER,
        lead_over_ce(PAPER_CE_RELATIVE),
    ),
    Claim(
        "the gradients show why CLL is robust",
        "abstract",
        "share of the gradient norm that comes from mislabelled samples, last epoch: CE above CLL; "
        f"{CNN}",
        f"{AN_ORDERING} {rule_of(rule.GRADIENTS)}",
        gradients,
    ),
    Claim(
        "the kernel bandwidth sets the error beyond which a sample's influence is damped",
        "abstract",
        "formula of the form `target`, the one that was chosen: does |dL/dp_y| peak at the error "
        "1 - p_y = sigma, to 0.001?",
        rule_of(rule.FORMULA, late=False),
        threshold,
        computed=True,
    ),
    Claim(
        "CLL is better than other robust losses in most cases",
        "abstract",
        f"last-epoch accuracy against each robust loss that trained, paired by seed; {CNN}",
        f"{MOST_CASES} {rule_of(rule.AFTER.removeprefix('- '), late=False)}",
        most_cases,
    ),
    Claim(
        "that holds on five public data sets",
        "abstract",
        "last-epoch accuracy of CLL against each other robust loss in the cells of the benchmark, "
        "paired by seed; our data sets, networks and noises: the public text names MNIST only",
        rule_of(rule.OF_05, late=False),
        over_data_sets,
        runs=rule.cells_of_05,
    ),
    Claim(
        "a theorem shows that CLL is robust",
        "abstract",
        "its bound against measured risks",
        LEFT_OUT,
        not_testable("the theorem, its conditions and its constants are not public"),
    ),
)  # fmt: skip
SOURCE = Source("CLL", "CLL", ABSTRACT, rule.cll_runs, CLAIMS)
