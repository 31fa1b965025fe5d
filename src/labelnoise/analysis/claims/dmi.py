"""L_DMI (Xu et al. 2019): two properties of the determinant, and what it reached in training."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from labelnoise import noise
from labelnoise.analysis import stats, tables
from labelnoise.analysis.claims.claim import (
    Claim,
    Finding,
    NotRecorded,
    Source,
    not_testable,
    rule_of,
)
from labelnoise.analysis.rules import claims as rule
from labelnoise.analysis.rules import dmi as of_07
from labelnoise.analysis.rules import human_noise as of_09
from labelnoise.experiments.dmi import dmi_cifar10, dmi_cold, dmi_dogs, dmi_fashion, dmi_mr
from labelnoise.experiments.human_noise import human_dmi
from labelnoise.runs.sweep import Outcome
from labelnoise.theory import dmi as theory
from labelnoise.tracing import traced

RIVALS = ("CE", "GCE", "CLL")
GRIDS = {
    "fashion_bag": dmi_fashion, "mr": dmi_mr, "cifar10": dmi_cifar10, "dogs_vs_cats": dmi_dogs,
}  # fmt: skip


def warm(outcomes: Sequence[Outcome], dataset: str) -> list[Outcome]:
    """The outcomes of the comparison on a data set, all of which start warm.

    ``NotRecorded`` unless each of its runs is there.
    """
    runs = {run.key for run in GRIDS[dataset]()}
    found = [o for o in outcomes if o.run.key in runs]
    if len(found) < len(runs):
        copy = ", and your own copy of the photos" if dataset == "dogs_vs_cats" else ""
        raise NotRecorded(f"its runs are not all recorded: they take a GPU{copy}")
    return found


# ------------------------------------------------------------------------------------- by theory


processed = functools.cache(theory.processed)


def monotone(outcomes: Sequence[Outcome]) -> Finding:
    dmi, _ = processed(3, 200)
    reason = (
        "|det U M| = |det U| |det M|, and |det M| is at most one; cross-entropy has no such rule"
    )
    return Finding(falls(3, 200), rule.everywhere([bool((dmi >= -1e-9).all())]), reason)


@traced
def falls(num_classes: int, repeats: int) -> str:
    """How often each loss falls when answers are passed through a random matrix."""
    shares = [100 * (change < -1e-9).mean() for change in processed(num_classes, repeats)]
    return (f"L_DMI falls in {shares[0]:.0f} % of {repeats} cases, cross-entropy in "
            f"{shares[1]:.0f} %")  # fmt: skip


def noises() -> dict[str, np.ndarray]:
    return {
        "symmetric 40 %": noise.symmetric(3, 0.4),
        "pairflip 60 %": noise.pairflip(3, 0.6),
        "90 % of class 0 become 1": np.array([[0.1, 0.9, 0], [0, 1, 0], [0, 0, 1]]),
    }


def orders(noises: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float, float]]:
    """For each noise: how much what it adds to L_DMI differs between twenty imagined classifiers,
    and the rank correlation of L_DMI and of CE with themselves without noise."""
    logits, true = theory.crowd(3, 20, 500)
    found = {}
    for name, T in noises.items():
        costs = theory.costs(logits, true, T)
        added = costs.dmi_noisy - costs.dmi
        kept = [stats.rank_correlation(*pair)[0] for pair in (costs[:2], costs[2:])]
        found[name] = (float(np.ptp(added)), *kept)
    return found


def invariant(outcomes: Sequence[Outcome]) -> Finding:
    holds = [spread < 0.01 and kept > 0.999 for spread, kept, _ in orders(noises()).values()]
    reason = ("det(T' U) = det T det U. It takes a T that is not singular: where two classes "
              "are merged, nothing is left to order")  # fmt: skip
    return Finding(order_kept(noises()), rule.everywhere(holds), reason)


@traced
def order_kept(noises: Mapping[str, np.ndarray]) -> str:
    """The rank correlations of L_DMI and of CE with themselves, noise by noise."""
    cells = [f"{name}: L_DMI {kept:.2f}, CE {ce:.2f}"
             for name, (_, kept, ce) in orders(noises).items()]  # fmt: skip
    return f"order kept (rank correlation) under {'; '.join(cells)}"


# ------------------------------------------------------------------------------------ in training


def nothing_else(outcomes: Sequence[Outcome]) -> Finding:
    pairs = cold_and_warm(outcomes)
    if len(pairs) < len(dmi_cold()):
        raise NotRecorded("no record of L_DMI from random weights beside its warm start")
    close = all(abs(cold.last - started.last) <= rule.MARGIN for cold, started in pairs)
    word = rule.capped(rule.REPRODUCED, not close)
    reason = (
        "it asks for no T and no clean label; but |det U| does not know which output is which "
        "class, so that it needs a network that was trained with CE before"
    )
    return Finding(from_random_weights([o for pair in pairs for o in pair]), word, reason)


def cold_and_warm(outcomes: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    """L_DMI from random weights, and from a warm start at the same noise and seed."""
    mine = [o for o in outcomes if o.run.dataset == "fashion_bag" and o.run.loss.name == "DMI"]
    started = {(o.run.noise.pattern, o.run.noise.rate, o.run.seed): o for o in mine
               if o.run.method is not None}  # fmt: skip
    keyed = [((o.run.noise.pattern, o.run.noise.rate, o.run.seed), o) for o in mine
             if o.run.method is None]  # fmt: skip
    return [(cold, started[key]) for key, cold in keyed if key in started]


@traced
def from_random_weights(runs: Sequence[Outcome]) -> str:
    """L_DMI from random weights beside its warm start, a pattern each, in percent."""
    cells = [f"{cold.run.noise.pattern} {cold.last:.2f} and {started.last:.2f}"
             for cold, started in cold_and_warm(runs)]  # fmt: skip
    seeds = sorted({o.run.seed for o in runs})
    which = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    return f"from random weights and from a warm start: {', '.join(cells)} % ({which})"


def robust(dataset: str):
    """Judges by the rule of notebook 07."""

    def find(outcomes: Sequence[Outcome]) -> Finding:
        found = warm(outcomes, dataset)
        said = of_07.verdict(GRIDS[dataset](), found)
        reason = f"by the rule of the notebook on L_DMI: {said}"
        rivals = [o for o in found if o.run.loss.name in ("DMI", *RIVALS)]
        return Finding(compared(rivals), rule.of_notebook_07(said), reason)

    return find


def words(outcomes: Sequence[Outcome]) -> dict[tuple, str]:
    """(pattern, rate, rival) -> *wins*, *loses* or *level* of L_DMI."""
    runs = [o.run for o in outcomes]
    return {
        (setting.pattern, setting.rate, rival): of_07.judged(of_07.gains(outcomes, setting, rival))
        for setting in of_07.noises(runs)
        for rival in RIVALS
    }


@traced
def compared(runs: Sequence[Outcome]) -> str:
    """How often L_DMI wins, is level and loses, by pattern."""
    found = words(runs)
    cells = []
    for pattern in dict.fromkeys(p for p, _, _ in found):
        mine = [word for (p, _, _), word in found.items() if p == pattern]
        counts = [f"{mine.count(word)} {word}" for word in ("wins", "level", "loses")]
        cells.append(f"{pattern} {', '.join(counts)}")
    seeds = len({o.run.seed for o in runs})
    return f"L_DMI against CE, GCE and CLL: {'; '.join(cells)} ({seeds} seeds)"


def beats(dataset: str):
    """Judges "beats all others" on a data set."""

    def find(outcomes: Sequence[Outcome]) -> Finding:
        found = [o for o in warm(outcomes, dataset) if o.run.loss.name in ("DMI", *RIVALS)]
        top = [o for o in found if o.run.noise.rate == max(f.run.noise.rate for f in found)]
        return Finding(lasts(top), rule.wins([*words(found).values()]), counted(found))

    return find


@traced
def counted(runs: Sequence[Outcome]) -> str:
    """Of how many comparisons L_DMI wins, is level in and loses which share."""
    found = [*words(runs).values()]
    return (f"of {len(found)} comparisons with CE, GCE and CLL it wins {found.count('wins')}, "
            f"{found.count('level')} are level, and it loses {found.count('loses')}")  # fmt: skip


@traced
def lasts(runs: Sequence[Outcome]) -> str:
    """L_DMI and the best of its rivals, last epoch, pattern by pattern at one rate."""
    cells = []
    for setting in of_07.noises([o.run for o in runs]):
        mine = {name: [o.last for o in of_07.finished(runs, setting, name)]
                for name in ("DMI", *RIVALS)}  # fmt: skip
        rival = max(RIVALS, key=lambda name, mine=mine: np.mean(mine[name]))
        cells.append(f"{setting.pattern} {tables.spread(mine['DMI'])}, {rival} "
                     f"{tables.spread(mine[rival])}")  # fmt: skip
    seeds, rate = len({o.run.seed for o in runs}), runs[0].run.noise.rate
    which = f"L_DMI and the best of the others at a rate of {rate:g}"
    return f"{which}: {'; '.join(cells)} ({seeds} seeds)"


def with_people(outcomes: Sequence[Outcome]) -> Finding:
    judged = of_09.judge_dmi(outcomes)
    if judged["word"] is None:
        raise NotRecorded("its runs are not all recorded")
    reason = (
        "beside it the twins of these labels, whose flips do not depend on the image; the paper's "
        "claim is about noise of that kind"
    )
    return Finding(on_labels(outcomes), rule.of_notebook_09(judged["word"]), reason)


@traced
def on_labels(outcomes: Sequence[Outcome]) -> str:
    """L_DMI minus CE with people's labels and with their twins, a set each, in points."""
    parts = {"people": [], "twin": []}
    for (cell, half), v in of_09.judge_dmi(outcomes)["verdicts"].items():
        parts[half].append(f"{cell.labels} {v.mean:+.2f} ({v.word})")
    seeds = len({o.run.seed for o in outcomes})
    told = "; ".join(f"{half}: {', '.join(each)}" for half, each in parts.items())
    return f"L_DMI minus CE, points, {told} ({seeds} seeds)"


ABSTRACT = "abstract"
FORMULA = rule_of(rule.FORMULA, late=False)
BAG = "bag or not (Fashion-MNIST), small CNN, three patterns and three rates, last epoch"
MR = "movie reviews (MR), word CNN, one pattern and three rates, last epoch"
CLAIMS = (
    Claim(
        "L_DMI is information-monotone: nothing that is done to the answers afterwards lowers it",
        ABSTRACT,
        "the answers of an imagined classifier (K = 3) passed through random matrices: does the "
        "loss ever fall?",
        FORMULA,
        monotone,
        computed=True,
    ),
    Claim(
        "L_DMI is relatively invariant: noise adds a constant, so that the order of classifiers "
        "stays",
        ABSTRACT,
        "twenty imagined classifiers (K = 3) with and without three noises: what is added differs "
        "by less than 0.01, and the rank correlation is above 0.999",
        FORMULA,
        invariant,
        computed=True,
    ),
    Claim(
        "it needs no auxiliary information",
        ABSTRACT,
        f"L_DMI from random weights beside its warm start, r = 0.4; {BAG}",
        rule_of(rule.NOTHING_ELSE),
        nothing_else,
    ),
    Claim(
        "it is robust to any instance-independent noise, on images",
        ABSTRACT,
        f"against CE, GCE and CLL, paired by seed; {BAG}",
        rule_of(rule.WORD_OF_07),
        robust("fashion_bag"),
    ),
    Claim(
        "it is robust to any instance-independent noise, on text",
        ABSTRACT,
        f"the same; {MR}",
        rule_of(rule.WORD_OF_07),
        robust("mr"),
    ),
    *(
        Claim(
            f"it beats all other methods on {title}",
            ABSTRACT,
            test,
            rule_of(rule.WINS),
            beats(dataset),
        )
        for dataset, title, test in (
            ("fashion_bag", "Fashion-MNIST", f"against CE, GCE and CLL, paired by seed; {BAG}"),
            ("mr", "MR", f"the same; {MR}"),
            ("cifar10", "CIFAR-10", "the same with ResNet-34"),
            ("dogs_vs_cats", "Dogs vs. Cats", "the same with ResNet-34"),
        )
    ),
    Claim(
        "it beats all other methods on Clothing1M",
        ABSTRACT,
        "the same with ResNet-50",
        "A claim whose data nobody may pass on is not testable here.",
        not_testable("the photos are given out on request only, and would take a cluster"),
    ),
    Claim(
        "it is robust to the noise of real labels",
        ABSTRACT,
        "both of its stages against CE in the same two, on the three sets of labels that people "
        "gave to Fashion-MNIST-H, MLP, paired by seed; not the paper's Clothing1M",
        rule_of(rule.OF_09, late=False),
        with_people,
        runs=human_dmi,
    ),
)  # fmt: skip
SOURCE = Source(
    "DMI",
    "L_DMI",
    "Xu, Cao, Kong and Wang, L_DMI: A Novel Information-theoretic Loss Function for Training Deep "
    "Nets Robust to Label Noise, NeurIPS 2019, arXiv 1909.03388",
    rule.dmi_runs,
    CLAIMS,
)
