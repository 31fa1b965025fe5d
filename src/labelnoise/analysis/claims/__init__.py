"""Claim by claim: what each source says, how it is tested, what we found, and the verdict.

A file a source. The rules stand in ``analysis/rules/claims.py``, and those that they call beside
it; here is what they are applied to, and how that is said.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from labelnoise.analysis import stats, tables
from labelnoise.analysis.claims import asymmetric, cll, dmi, thirty_percent
from labelnoise.analysis.claims.claim import Claim, Finding, NotRecorded, Source
from labelnoise.analysis.claims.cll import (
    CE,
    CLL,
    PAPER_CE,
    PAPER_CLL,
    PAPER_COLUMN,
    PAPER_LINES,
    ROBUST,
)
from labelnoise.analysis.rules.claims import NOT_RUN, SIGNS
from labelnoise.config import Run
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import of_numbers
from labelnoise.tracing.origin import quoted
from labelnoise.tracing.sidecar import has_number

__all__ = [
    "CE", "CLL", "PAPER_CE", "PAPER_CLL", "PAPER_COLUMN", "PAPER_LINES", "ROBUST", "SOURCES",
    "Claim", "Finding", "NotRecorded", "Source", "agreement", "chosen", "judged_runs", "shown",
    "summary", "verdicts",
]  # fmt: skip

SOURCES: dict[str, Source] = {
    each.SOURCE.name: each.SOURCE for each in (cll, asymmetric, dmi, thirty_percent)
}
"""Short name of a source -> its claims."""


def chosen(source: str) -> list[Source]:
    """The source of a name, or all of them; ``ValueError`` lists the names."""
    if source != "all" and source not in SOURCES:
        raise ValueError(f"source={source!r} is none of them; give all, {', '.join(SOURCES)}. "
                         "Another one is a file in src/labelnoise/analysis/claims/")  # fmt: skip
    return [s for s in SOURCES.values() if source in ("all", s.name)]


def judged_runs(sources: Sequence[Source] = tuple(SOURCES.values())) -> list[Run]:
    """Every run that a claim rests on, once."""
    return list({run.key: run for source in sources for run in source.every_run()}.values())


def verdicts(
    source: Source, committed: Sequence[Outcome], here: Sequence[Outcome] = ()
) -> pd.DataFrame:
    """A row a claim. The verdict rests on the committed records, which have more seeds; what was
    trained here stands beside."""
    rows = {}
    for n, claim in enumerate(source.claims, 1):
        found = source.judged(claim, committed)
        mine = "computed here" if claim.computed else trained_here(source, claim, here)
        words = {"claim": claim.claim, "made in": claim.made_in, "test": claim.test,
                 "rule": claim.rule}  # fmt: skip
        cited = source.published if claim.made_in == "abstract" else claim.made_in
        rows[f"{source.name}, {n}"] = {
            **{what: quoted(text, cited if what in ("claim", "made in") else "analysis.claims")
               if has_number(text) else text for what, text in words.items()},
            "ours": found.ours,
            "this machine": mine,
            "verdict": found.verdict,
            "reason": found.reason,
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).rename_axis("row")


def trained_here(source: Source, claim: Claim, here: Sequence[Outcome]) -> str:
    """What the runs that this machine trained say to a claim."""
    ours = source.judged(claim, here).ours
    return "not trained here" if ours == NOT_RUN else ours


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the sign of each verdict before its word."""
    signed = table["verdict"].map(lambda word: f"{SIGNS[word]}\u00a0{word}")
    return table.assign(verdict=signed)


def summary(tables_of: Sequence[pd.DataFrame], sources: Sequence[Source]) -> pd.DataFrame:
    """How many claims of each source have which verdict."""
    rows = {
        source.title: {f"{sign} {word}": int((table["verdict"] == word).sum())
                       for word, sign in SIGNS.items()}
        for source, table in zip(sources, tables_of, strict=True)
    }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("source")


def agreement(committed: Sequence[Outcome], here: Sequence[Outcome]) -> pd.DataFrame:
    """Each run trained here against the committed seeds of the same setting: bit-identical to its
    committed record, or inside or outside the 95 % prediction interval of the other seeds."""
    rows = []
    for o in here:
        same = [c for c in committed if replace(c.run, seed=o.run.seed).key == o.run.key]
        twin = next((c for c in same if c.run.key == o.run.key), None)
        lasts = [c.last for c in same if c.last is not None]
        band = stats.prediction_interval(lasts) if len(lasts) > 1 else None
        if twin and all(twin.record[part] == o.record[part] for part in ("result", "curves")):
            verdict = "bit-identical to the committed record"
        elif o.last is None:
            verdict = "diverged"
        elif band is None:
            verdict = "no interval yet: fewer than two committed seeds"
        else:
            verdict = "inside" if band[0] <= o.last <= band[1] else "OUTSIDE"
        rows.append(
            {
                "run": f"{tables.shown(o.run.label)}, seed {o.run.seed}",
                "this machine": tables.number(o.last),
                "committed, same seed": tables.number(twin.last if twin else None),
                "95 % prediction interval": interval(lasts),
                "verdict": verdict,
            }
        )
    columns = ["run", "this machine", "committed, same seed", "95 % prediction interval", "verdict"]
    return pd.DataFrame(rows, columns=columns).set_index("run")


@of_numbers
def interval(values: Sequence[float]) -> str:
    """Where one more seed would fall with 95 %; a dash for fewer than two."""
    band = stats.prediction_interval(values) if len(values) > 1 else None
    return f"[{band[0]:.2f}, {band[1]:.2f}]" if band else tables.MISSING
