"""What a rule is, and how it reads outcomes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labelnoise.config import Run
from labelnoise.data import INFO
from labelnoise.runs.sweep import Outcome


@dataclass(frozen=True)
class Rule:
    """One question and how it is judged.

    - ``words``: the whole rule, for a reader; they do not change once a run of it is recorded.
    - ``margin``: in percentage points, which the words name; None where a rule has none.
    - ``runs``: what it judges.
    - ``judge``: what applies it, to outcomes or to what a table has made of them.
    - ``after``: what is to be said where the commit that trained a run does not hold the words;
      empty where all do.
    """

    name: str
    words: str
    margin: float | None
    runs: Callable[[], list[Run]]
    judge: Callable
    after: str = ""

    def __post_init__(self):
        if self.margin is None:
            return
        names = [f"{self.margin:g} points", *(["half a point"] if self.margin == 0.5 else [])]
        if not any(name in self.words for name in names):
            raise ValueError(f"the words of rule {self.name!r} do not name its margin, "
                             f"{self.margin:g} points")  # fmt: skip


def accuracies(outcomes: Sequence[Outcome], field: str = "last") -> dict[int, float]:
    """``result[field]`` by seed, in percent; a diverged run counts as a guess, 100/K.

    Raises ``ValueError`` for a seed that is there twice: the outcomes are not of one setting.
    """
    seeds = [o.run.seed for o in outcomes]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds {sorted(seeds)}: one is there twice, so that these outcomes are "
                         "not of one setting; give those of one setting alone")  # fmt: skip
    return {o.run.seed: guess(o.run) if lost(o) else o.record["result"][field] for o in outcomes}


def lost(outcome: Outcome) -> bool:
    """Whether the run diverged."""
    return outcome.record["result"]["diverged_at"] is not None


def guess(run: Run) -> float:
    """The accuracy of guessing, 100/K, in percent."""
    return 100 / INFO[run.dataset].num_classes
