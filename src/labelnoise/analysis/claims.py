"""Each checkable sentence of the CLL abstract: the claim, its test, our numbers, the verdict.

The abstract of Deng et al. (Neurocomputing 646, 2025, 130500) is all that is public. Its single
number is for MNIST with 60 % symmetric noise. The rule that judges stands in
``analysis/rules/claims.py``; here is what it is applied to, and how that is said.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from labelnoise import experiments, losses, theory
from labelnoise.analysis import stats, tables
from labelnoise.analysis.rules import claims as rule
from labelnoise.analysis.rules.claims import NOT, NOT_RUN, NOT_TESTABLE, PARTLY, REPRODUCED
from labelnoise.config import LossSetting
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

RULES = rule.WORDS + rule.AFTER

Judgement = tuple[str, str]  # verdict, reason


@dataclass(frozen=True)
class Claim:
    """One row of the report. ``measure(outcomes)`` says what we found, in one cell;
    ``judge(outcomes)`` gives the verdict with its reason."""

    claim: str
    test: str
    paper: str
    measure: Callable[[Sequence[Outcome]], str]
    judge: Callable[[Sequence[Outcome]], Judgement]


def verdicts(committed: Sequence[Outcome], here: Sequence[Outcome]) -> pd.DataFrame:
    """Claim by claim: paper / committed / this machine / verdict, with the reason. The verdict
    rests on the committed records, which have more seeds; what was trained here stands beside."""
    rows = []
    for claim in CLAIMS:
        verdict, reason = claim.judge(committed)
        found = claim.measure(here)
        rows.append(
            {
                "claim": quoted(claim.claim, ABSTRACT),
                "test": quoted(claim.test, "claims.CLAIMS"),
                "paper": quoted(claim.paper, ABSTRACT),
                "committed": claim.measure(committed),
                "this machine": "not trained here" if found == NOT_RUN else found,
                "verdict": verdict,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows, index=pd.Index(range(1, len(rows) + 1), name="no."), dtype=object)


def agreement(committed: Sequence[Outcome], here: Sequence[Outcome]) -> pd.DataFrame:
    """Each run trained here against the committed seeds of the same setting: bit-identical to its
    committed record, or inside or outside the 95 % prediction interval of the other seeds."""
    rows = []
    for o in here:
        same = [c for c in committed if c.run.label == o.run.label]
        twin = next((c for c in same if c.run.key == o.run.key), None)
        band = stats.prediction_interval([c.last for c in same]) if len(same) > 1 else None
        if twin and all(twin.record[part] == o.record[part] for part in ("result", "curves")):
            verdict = "bit-identical to the committed record"
        elif band is None:
            verdict = "no interval yet: fewer than two committed seeds"
        else:
            verdict = "inside" if band[0] <= o.last <= band[1] else "OUTSIDE"
        rows.append(
            {
                "run": f"{o.run.label}, seed {o.run.seed}",
                "this machine": tables.number(o.last),
                "committed, same seed": tables.number(twin.last if twin else None),
                "95 % prediction interval": f"[{band[0]:.2f}, {band[1]:.2f}]" if band else "–",
                "verdict": verdict,
            }
        )
    columns = ["run", "this machine", "committed, same seed", "95 % prediction interval", "verdict"]
    return pd.DataFrame(rows, columns=columns).set_index("run")


# ------------------------------------------------------------------------ measuring and judging


def with_loss(outcomes: Sequence[Outcome], loss: LossSetting) -> list[Outcome]:
    """The outcomes of one loss."""
    label = loss.label
    return [o for o in outcomes if o.run.label == label]


CE = experiments.published("mnist", "CE")
CLL = experiments.CLL


def accuracy_cell(loss: LossSetting) -> Callable[[Sequence[Outcome]], str]:
    """Last-epoch accuracy as ``mean ± sd (n seeds)``."""

    def measure(outcomes: Sequence[Outcome]) -> str:
        values = [o.last for o in with_loss(outcomes, loss)]
        return over_seeds(values) if values else NOT_RUN

    return measure


@of_numbers
def over_seeds(values: Sequence[float]) -> str:
    """Mean ± sd, and of how many seeds."""
    return f"{tables.spread(values)} ({len(values)} seed{'s' if len(values) != 1 else ''})"


def judge_number(
    loss: LossSetting, paper: float, *, at_least: bool = False
) -> Callable[..., Judgement]:
    """Judges a number of the paper."""

    def judge(outcomes: Sequence[Outcome]) -> Judgement:
        values = [o.last for o in with_loss(outcomes, loss)]
        if not values:
            return NOT_RUN, "no record"
        word = rule.number_of_the_paper(values, paper, at_least=at_least)
        return word, beside(values, paper)

    return judge


@of_numbers
def beside(values: Sequence[float], paper: float) -> str:
    """The mean beside the paper's number, and where one more seed would fall with 95 %."""
    mean, band = stats.summarise(values).mean, stats.prediction_interval(values)
    text = f"ours {mean:.2f}, paper {paper:.2f}, difference {mean - paper:+.2f} points"
    if band:
        text += f"; 95 % prediction interval [{band[0]:.2f}, {band[1]:.2f}]"
    return text


def gap_cell(outcomes: Sequence[Outcome]) -> str:
    """CE's accuracy, and what CLL gains over it in points and relative to it."""
    ce, cll = (stats.by_seed(with_loss(outcomes, loss)) for loss in (CE, CLL))
    if not set(ce) & set(cll):
        return NOT_RUN
    return higher(list(ce.values()), stats.differences(cll, ce))


@of_numbers
def higher(ce: Sequence[float], differences: Sequence[float]) -> str:
    """CE's mean ± sd, and the mean difference of CLL at the same seeds, in points and relative."""
    gain, base = stats.summarise(differences).mean, stats.summarise(ce).mean
    relative = 100 * gain / base
    return f"{over_seeds(ce)}; CLL is {gain:.2f} points or {relative:.2f} % higher"


def gradient_shares(outcomes: Sequence[Outcome], loss: LossSetting) -> dict[int, float]:
    """Per seed, the share of the gradient norm from mislabelled samples in the last epoch, %."""
    return {o.run.seed: o.record["curves"]["gradient_share"][-1] for o in with_loss(outcomes, loss)}


def gradient_cell(outcomes: Sequence[Outcome]) -> str:
    ce, cll = gradient_shares(outcomes, CE), gradient_shares(outcomes, CLL)
    if not ce or not cll:
        return NOT_RUN
    return shares([*ce.values()], [*cll.values()])


@of_numbers
def shares(ce: Sequence[float], cll: Sequence[float]) -> str:
    """Mean ± sd of both, in percent."""
    return f"CE {tables.spread(ce, 1)} %, CLL {tables.spread(cll, 1)} %"


def judge_gradients(outcomes: Sequence[Outcome]) -> Judgement:
    ce, cll = gradient_shares(outcomes, CE), gradient_shares(outcomes, CLL)
    if not set(ce) & set(cll):
        return NOT_RUN, "no record"
    return _ordering(stats.differences(ce, cll), "CE's share minus CLL's, percentage points")


def robust_cell(outcomes: Sequence[Outcome]) -> str:
    found = {loss.name: [o.last for o in with_loss(outcomes, loss)] for loss in (CLL, *ROBUST)}
    found = {name: values for name, values in found.items() if values}
    return side_by_side(found) if len(found) > 1 else NOT_RUN


@of_numbers
def side_by_side(accuracies: Mapping[str, Sequence[float]]) -> str:
    """Mean ± sd of each loss."""
    return ", ".join(f"{name} {tables.spread(values)}" for name, values in accuracies.items())


def judge_robust(outcomes: Sequence[Outcome]) -> Judgement:
    cll = stats.by_seed(with_loss(outcomes, CLL))
    gains = {}
    for loss in ROBUST:
        other = stats.by_seed(with_loss(outcomes, loss))
        if set(cll) & set(other):
            gains[loss.name] = stats.differences(cll, other)
    if not gains:
        return NOT_RUN, "no record"
    word = rule.most_cases(gains)
    so = {PARTLY: "; one data set at one rate, so partly at best",
          NOT_RUN: ": more seeds have to decide"}  # fmt: skip
    return word, one_by_one(gains, so.get(word, ""))


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


# The robust losses that train with the CNN, each at its published setting.
ROBUST = tuple(
    {
        run.label: run.loss
        for run in (*experiments.robust_losses([0]), *experiments.cnn_losses([0]))
    }.values()
)


def peak_error(sigma: float) -> float:
    """The error 1 - p_y at which |dL/dp_y| of CLL ``target`` is largest, read off a fine grid."""
    errors = np.linspace(0, 1, 10001)
    slope = theory.dL_dp(losses.CLL(sigma), theory.simplex(1 - errors, 10))[:, 0]
    return float(errors[np.abs(slope).argmax()])


def threshold_cell(outcomes: Sequence[Outcome]) -> str:
    return peaks((0.3, 0.5, 1.0))


@traced
def peaks(sigmas: Sequence[float]) -> str:
    """Where |dL/dp_y| of CLL is largest, for each bandwidth."""
    errors = ", ".join(f"{peak_error(s):.2f}" for s in sigmas)
    return f"errors of {errors} for sigma {', '.join(f'{s:g}' for s in sigmas)}"


def judge_threshold(outcomes: Sequence[Outcome]) -> Judgement:
    sigmas = [s for s in experiments.CLL_SIGMAS if s <= 1]
    return (REPRODUCED if worst_peak(sigmas) <= 1e-3 else NOT), within(sigmas)


def worst_peak(sigmas: Sequence[float]) -> float:
    """How far the peak lies from sigma at most."""
    return max(abs(peak_error(s) - s) for s in sigmas)


@traced
def within(sigmas: Sequence[float]) -> str:
    """How far the peak of |dL/dp_y| lies from sigma at most."""
    return (f"form `target`, sigma {sigmas[0]:g} to {sigmas[-1]:g}: the peak lies within "
            f"{max(worst_peak(sigmas), 1e-4):.4f} of sigma; at sigma 1 that is the largest error "
            "there is, so only the softmax damps")  # fmt: skip


def _ordering(differences: Sequence[float], what: str) -> Judgement:
    return rule.ordering(differences), ordered(differences, what)


@of_numbers
def ordered(differences: Sequence[float], what: str) -> str:
    """The mean of differences at the same seeds, with its 95 % interval."""
    gain = stats.summarise(differences)
    if gain.low is None:
        return f"{what}: {gain.mean:+.2f}, one seed"
    return f"{what}: {gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"


def _nothing(outcomes: Sequence[Outcome]) -> str:
    return "–"


CLAIMS = (
    Claim(
        "CLL reaches 96.81 % on MNIST with 60 % symmetric noise",
        "last-epoch test accuracy of CLL, 4-layer CNN",
        f"{PAPER_CLL:.2f}",
        accuracy_cell(CLL),
        judge_number(CLL, PAPER_CLL, at_least=True),
    ),
    Claim(
        "that is 43.43 % higher than CE, read as percentage points",
        "last-epoch test accuracy of CE",
        f"{PAPER_CE_POINTS:.2f}",
        gap_cell,
        judge_number(CE, PAPER_CE_POINTS),
    ),
    Claim(
        "that is 43.43 % higher than CE, read as relative",
        "last-epoch test accuracy of CE",
        f"{PAPER_CE_RELATIVE:.2f}",
        gap_cell,
        judge_number(CE, PAPER_CE_RELATIVE),
    ),
    Claim(
        "the gradients show why CLL is robust",
        "share of the gradient norm that comes from mislabelled samples, last epoch, CE above CLL",
        "analysis, no number",
        gradient_cell,
        judge_gradients,
    ),
    Claim(
        "the kernel bandwidth sets the error beyond which a sample's influence is damped",
        "where |dL/dp_y| of CLL peaks, against sigma",
        "1 - p_y = sigma",
        threshold_cell,
        judge_threshold,
    ),
    Claim(
        "CLL is better than other robust losses in most cases",
        "last-epoch accuracy against each robust loss that trained with the CNN, paired by seed, "
        "MNIST 60 % symmetric",
        "most cases",
        robust_cell,
        judge_robust,
    ),
    Claim(
        "the results hold on five public data sets",
        "the same comparison on each",
        "five data sets",
        _nothing,
        lambda outcomes: (NOT_TESTABLE, "the public text names MNIST only: the other four data "
                          "sets, their noise and their numbers are not public"),
    ),
    Claim(
        "a theorem shows that CLL is robust",
        "its bound against measured risks",
        "theorem",
        _nothing,
        lambda outcomes: (NOT_TESTABLE, "the theorem, its conditions and its constants are not "
                          "public"),
    ),
)  # fmt: skip
