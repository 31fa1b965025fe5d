"""What a claim is, and how its outcomes are picked and its numbers printed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from labelnoise.analysis import stats, tables
from labelnoise.analysis.rules.claims import LATE, NOT_RUN, NOT_TESTABLE
from labelnoise.config import LossSetting, Run
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import of_numbers


class NotRecorded(LookupError):
    """A claim needs a run that has no record."""


class Finding(NamedTuple):
    """What we found, in one cell, with its seeds; the verdict; and why that is the verdict."""

    ours: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Claim:
    """One row.

    - ``claim``: in our words, and ``made_in``, where in the source it is made.
    - ``test``: how it is tested here.
    - ``rule``: when it counts as reproduced.
    - ``find``: outcomes of the source's runs -> what is found.
    - ``computed``: whether it is computed from formulas, here and now, without any record.
    - ``runs``: the runs that it takes, where these are others than its source's.
    """

    claim: str
    made_in: str
    test: str
    rule: str
    find: Callable[[Sequence[Outcome]], Finding]
    computed: bool = False
    runs: Callable[[], list[Run]] | None = None

    def judged(self, outcomes: Sequence[Outcome]) -> Finding:
        """What is found; "not run here" where a run that it takes has no record."""
        try:
            return self.find(outcomes)
        except NotRecorded as error:
            return Finding(NOT_RUN, NOT_RUN, str(error))


@dataclass(frozen=True)
class Source:
    """Somebody whose claims are judged: a short ``name`` for rows, a ``title``, where it is
    published, the runs that its claims take unless they name their own, and the claims."""

    name: str
    title: str
    published: str
    runs: Callable[[], list[Run]]
    claims: tuple[Claim, ...]

    def every_run(self) -> list[Run]:
        """The runs of all its claims."""
        own = [run for claim in self.claims if claim.runs for run in claim.runs()]
        return self.runs() + own

    def judged(self, claim: Claim, outcomes: Sequence[Outcome]) -> Finding:
        """What a claim finds in those of the outcomes that are of its runs."""
        keys = {run.key for run in (claim.runs or self.runs)()}
        return claim.judged([o for o in outcomes if o.run.key in keys])


def rule_of(words: str, late: bool = True) -> str:
    """The words of a rule as a cell of a table."""
    return " ".join(words.split()) + (f" ({LATE})" if late else "")


def not_testable(reason: str) -> Callable[[Sequence[Outcome]], Finding]:
    return lambda outcomes: Finding("–", NOT_TESTABLE, reason)


def not_run(reason: str) -> Callable[[Sequence[Outcome]], Finding]:
    return lambda outcomes: Finding(NOT_RUN, NOT_RUN, reason)


def with_loss(outcomes: Sequence[Outcome], loss: LossSetting, model: str = "cnn4") -> list[Outcome]:
    """The outcomes of one loss, at its usual protocol, with a network.

    ``NotRecorded`` if there are none.
    """
    label = loss.label
    found = [o for o in outcomes if o.run.label == label and o.run.model == model]
    if not found:
        raise NotRecorded(f"no record of {loss.name} with this network")
    return found


def gain(outcomes: Sequence[Outcome], loss: LossSetting, other: LossSetting, model: str = "cnn4"):
    """The last-epoch accuracy of one loss minus that of another, by seed, in percentage points."""
    ours, theirs = (stats.by_seed(with_loss(outcomes, each, model)) for each in (loss, other))
    if not set(ours) & set(theirs):
        raise NotRecorded(f"{loss.name} and {other.name} share no seed")
    return stats.differences(ours, theirs)


@of_numbers
def over_seeds(values: Sequence[float]) -> str:
    """Mean ± sd, and of how many seeds."""
    return f"{tables.spread(values)} ({len(values)} seed{'s' if len(values) != 1 else ''})"


@of_numbers
def side_by_side(accuracies: Mapping[str, Sequence[float]]) -> str:
    """Mean ± sd of each loss, and the number of seeds."""
    seeds = sorted({len(values) for values in accuracies.values()})
    cells = ", ".join(f"{name} {tables.spread(values)}" for name, values in accuracies.items())
    return f"{cells} ({' to '.join(map(str, seeds))} seed{'s' if seeds != [1] else ''})"


@of_numbers
def with_interval(gains: Mapping[str, Sequence[float]], what: str) -> str:
    """The mean of differences at the same seeds, each with its 95 % interval, in points."""
    cells = []
    for name, each in gains.items():
        s = stats.summarise(each)
        cells.append(f"{name} {s.mean:+.2f}" + (
            f" [{s.low:+.2f}, {s.high:+.2f}]" if s.low is not None else " (one seed)"
        ))  # fmt: skip
    return f"{what}: {', '.join(cells)} points"
