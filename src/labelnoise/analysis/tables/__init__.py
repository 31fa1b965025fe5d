"""Records to tables: one row a loss, every number with how often and where it was measured."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from labelnoise.analysis import stats
from labelnoise.config import Run
from labelnoise.files import output, write_atomically
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import of_numbers, sidecar, traced
from labelnoise.tracing.origin import Number, bare

MISSING = "–"


def shown(label: str) -> str:
    """The label of a loss as pictures and tables print it: SCE without its second term, which is
    cross-entropy times a number, by that name: ``0.06 CE``."""
    return re.sub(r"^SCE\(alpha ([0-9.]+), beta 0\)", r"\1 CE", label)


@of_numbers
def number(value: float | None, digits: int = 2) -> str:
    """The number, rounded; a dash for None."""
    return MISSING if value is None else f"{value:.{digits}f}"


@of_numbers
def spread(values: Sequence[float | None], digits: int = 2) -> str:
    """Mean ± sd; a dash for no value. None stands for a diverged run: it is counted behind, never
    averaged."""
    sound = [v for v in values if v is not None]
    text = MISSING
    if sound:
        s = stats.summarise(sound)
        text = number(s.mean, digits) + ("" if s.sd is None else f" ± {number(s.sd, digits)}")
    lost = len(values) - len(sound)
    return f"{text} ({lost} diverged)" if lost else text


@of_numbers
def interval(values: Sequence[float], digits: int = 2, top: float = math.inf) -> str:
    """The 95 % t interval of the mean, cut at ``top``, the most that is possible; a dash for fewer
    than two seeds."""
    s = stats.summarise(values) if values else None
    if s is None or s.half_width is None:
        return MISSING
    return f"[{number(s.low, digits)}, {number(min(s.high, top), digits)}]"


@traced
def count(records: Sequence[Outcome]) -> int:
    """How many records there are."""
    return len(records)


@of_numbers
def signed(value: float) -> str:
    """The number with its sign."""
    return f"{value:+.2f}"


@traced
def counted(records: Sequence[Outcome]) -> str:
    """How many records there are, and how many of them diverged."""
    lost = sum(o.last is None for o in records)
    return f"{len(records)} ({lost} diverged)" if lost else str(len(records))


@traced
def named(record: Outcome) -> str:
    """The loss and method of the run, as tables print them."""
    return shown(record.run.label)


@of_numbers
def with_error(accuracy: float, n: int) -> str:
    """An accuracy of n samples with its binomial standard error, in percent."""
    return f"{accuracy:.2f} (standard error {stats.binomial_error(accuracy, n):.2f})"


def as_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The table, whose columns of nothing but numbers have a dtype of numbers. That has no room for
    origins: the numbers go along in ``attrs``, column -> row -> number."""
    numeric = [c for c in table if len(table) and all(isinstance(v, Number) for v in table[c])]
    numbers = {c: dict(table[c].items()) for c in numeric}
    made = table.astype({c: type(bare(table[c].iloc[0])) for c in numeric})
    made.attrs["numbers"] = numbers
    return made


def by_label(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes grouped by the label of their loss, in order of appearance."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.run.label, []).append(outcome)
    return groups


def accuracy_table(
    runs: Sequence[Run], outcomes: Sequence[Outcome], paper: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """One row a loss: last epoch (mean ± sd, 95 % interval), best epoch, seeds, source.

    ``runs`` is what was asked for, so that what is not recorded shows as a row of dashes.
    Diverged runs are counted, never averaged. ``paper``: label -> what the paper prints.
    """
    found = by_label(outcomes)
    rows = []
    for label in dict.fromkeys(run.label for run in runs):
        group = found.get(label, [])
        sound = [o for o in group if o.record["result"]["diverged_at"] is None]
        last = [o.last for o in sound]
        row = {
            "loss": shown(label),
            "last epoch": spread(last),
            "95 % interval": interval(last),
            "best epoch": spread([o.record["result"]["best"] for o in sound]),
            "seeds": count(group) if len(sound) == len(group) else counted(group),
            "source": sources(group),
        }
        if paper is not None:
            row = {"loss": shown(label), "paper": paper.get(label, MISSING), **row}
        rows.append(row)
    return as_numbers(pd.DataFrame(rows, dtype=object).set_index("loss"))


def recorded(runs: Sequence[Run], outcomes: Sequence[Outcome], names: int = 12) -> str:
    """How much of what was asked is there, and what is not (the first ``names``), in a sentence."""
    found = {o.run.key for o in outcomes}
    lacking = Counter(f"{r.label}, {r.model}, seed {r.seed}" for r in runs if r.key not in found)
    listed = [f"{name} ({n} runs)" if n > 1 else name for name, n in lacking.items()]
    if len(listed) > names:
        listed[names:] = [f"and {sum([*lacking.values()][names:])} more"]
    text = f"{len(found)} of {len({r.key for r in runs})} runs are recorded ({sources(outcomes)})"
    return text + (f"; not yet run: {'; '.join(listed)}" if listed else "")


@traced
def sources(outcomes: Sequence[Outcome]) -> str:
    """Where the records were made: ``committed``, ``here``, ``2 committed, 1 here``."""
    counts = {s: sum(o.source == s for o in outcomes) for s in ("committed", "here")}
    named = {source: n for source, n in counts.items() if n}
    if not named:
        return "not yet run"
    if len(named) == 1:
        return next(iter(named))
    return ", ".join(f"{n} {source}" for source, n in named.items())


def save(table: pd.DataFrame, name: str) -> None:
    """Writes ``tables/<name>.csv``, ``.tex`` and ``.json``, the origin of its numbers, below
    ``output()``.

    ``origin.OriginError`` for a cell with a digit of which nothing tells where it is from.
    """
    folder = output() / "tables"
    plain = table.infer_objects()
    text = plain.to_csv()
    origins = sidecar.of_table(table, text, name)
    write_atomically(folder / f"{name}.csv", text)
    latex = plain.to_latex(escape=True).replace("±", r"$\pm$").replace(MISSING, "--")
    write_atomically(folder / f"{name}.tex", latex)
    write_atomically(folder / f"{name}.json", origins)
