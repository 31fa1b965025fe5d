"""Do the committed records stand? Checks them all, trains some of them again, and compares.

    python -m labelnoise.reproduce.audit --n 5 --seed 3

1. *Without training*, every record of ``results/`` is checked (``soundness.py``): its checksums,
   the manifest and git, whether its numbers follow from its curves and its labels from its config.
   One that fails has fallen, and what could not be checked on this machine is said.
2. *Some are drawn* at random from the sound ones that this machine affords, by the pace of all
   records like them, and trained again from their ``config`` alone into ``reproduced/audit``;
   nothing is written to ``results/``.
3. *Each is judged* by its retraining (``judgement.py``): on the same machine it stands if it is
   equal to the bit, elsewhere if every number agrees within its spread over seeds. Where nothing
   tells a spread it is *unjudged*, which is not standing.

The last line counts them. The exit code is 0 if nothing fell and at least one record stands.
"""

import argparse
import hashlib
import math
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from labelnoise import data
from labelnoise.config import Run
from labelnoise.files import COMMITTED, REPRODUCED, own_temporaries
from labelnoise.reproduce.evidence import paces
from labelnoise.reproduce.judgement import FALLS, STANDS, UNJUDGED, Verdict, judge
from labelnoise.reproduce.soundness import check
from labelnoise.runs.ledger import Ledger, RecordError
from labelnoise.runs.manifest import ManifestError
from labelnoise.runs.progress import describe, interrupted
from labelnoise.runs.sweep import SweepError, missing, train_missing
from labelnoise.runs.workers import default_limit

REFUSALS = (ValueError, data.DataError, ManifestError, RecordError, SweepError)
MINUTES = 20.0  # what a CPU may take for a run: the headline's take 12 to 17


def audit(
    n: int, seed: int, minutes: float | None, committed: Path, here: Ledger
) -> list[tuple[str, Verdict]]:
    """The verdicts, by name, on every record below ``committed`` that is not sound and on ``n``
    others, which are trained again into ``here``.

    Raises ``ValueError`` if there is nothing to draw, ``ManifestError`` without a manifest.
    """
    checked = check(committed)
    total = len(checked.sound) + len(checked.fallen)
    print(f"{total} records checked without training: {len(checked.fallen)} have fallen")
    for note in checked.notes:
        print(f"- {note}")
    fallen = [(name, Verdict(FALLS, why)) for name, why in checked.fallen.items()]

    # The records of the main ledger; those one folder deeper (float32/) repeat its configs.
    records = [record for name, record in checked.sound.items() if name.count("/") == 1]
    pace = paces(records)
    eligible = affordable(records, minutes, pace)
    limit = "any time" if minutes is None else f"at most {minutes:g} CPU minutes a run"
    if n < 1 or not eligible:
        for name, (word, why) in fallen:
            print(f"{word}  {name}: {why}")
        raise ValueError(f"nothing to audit: {n} of {len(eligible)} affordable records ({limit})")
    drawn = draw(eligible, n, seed)
    print(f"audit with seed {seed}, which repeats or resumes it: {len(drawn)} of {len(eligible)} "
          f"eligible records ({limit}); {len(checked.sound) - len(eligible)} sound ones are not "
          "eligible", flush=True)  # fmt: skip
    verdicts = retrained(drawn, records, here, pace)
    return [*fallen, *zip(map(title, drawn), verdicts, strict=True)]


def affordable(
    records: Sequence[dict], minutes: float | None, pace: Callable[[Run], float]
) -> list[dict]:
    """The records whose runs take a CPU at most ``minutes`` at their ``pace`` (seconds an epoch,
    NaN where it is not known), all of them for None. What a record itself says that it took does
    not count."""

    def fits(run: Run) -> bool:
        return run.epochs * pace(run) <= 60 * minutes

    return [r for r in records if minutes is None or fits(Run(**r["config"]))]


def draw(records: Sequence[dict], n: int, seed: int) -> list[dict]:
    """``n`` of ``records``, or all if there are fewer. The draw hangs on their configs alone: the
    same on every machine, whatever numbers a record claims."""

    def lot(record: dict) -> str:
        return hashlib.sha256(f"{seed} {Run(**record['config']).key}".encode()).hexdigest()

    return sorted(records, key=lot)[:n]


def retrained(
    drawn: Sequence[dict], records: Sequence[dict], here: Ledger, pace: Callable[[Run], float]
) -> list[Verdict]:
    """The verdict on each of ``drawn``, trained again into ``here`` unless it was earlier."""
    runs = [Run(**record["config"]) for record in drawn]
    todo = {run.key for run in missing(runs, here)}
    minutes = expected_minutes([run.epochs * pace(run) for run in runs if run.key in todo])
    long = "of unknown pace" if math.isnan(minutes) else f"about {minutes:.1f} minutes of a CPU"
    print(f"{len(todo)} to train, {long}; {len(runs) - len(todo)} were trained earlier, in "
          f"{here.directory}: delete that folder to train them anew", flush=True)  # fmt: skip
    try:
        train_missing(runs, here)
    except SweepError as error:
        print(f"error: {error}", file=sys.stderr)
    verdicts = []
    for run, record in zip(runs, drawn, strict=True):
        again = here.find(run)
        failed = Verdict(FALLS, "could not be retrained")
        verdicts.append(judge(record, again, records) if again else failed)
    return verdicts


def expected_minutes(seconds: Sequence[float]) -> float:
    """sum(seconds) / workers / 60, and no less than the longest."""
    return max(sum(seconds) / default_limit(), *seconds, 0.0) / 60


def title(record: dict) -> str:
    run = Run(**record["config"])
    return f"{run.key} {describe(run)}"


def summary(verdicts: Sequence[Verdict]) -> tuple[str, int]:
    """The last line, ``3 of 5 records stand, 1 does not, 1 unjudged``, and the exit code."""
    words = [verdict.word for verdict in verdicts]
    stand, fallen, unjudged = (words.count(word) for word in (STANDS, FALLS, UNJUDGED))
    line = f"{stand} of {len(words)} records stand"
    line += f", {fallen} {'does' if fallen == 1 else 'do'} not" if fallen else ""
    line += f", {unjudged} unjudged" if unjudged else ""
    return line, 0 if stand and not fallen else 1


def main(arguments: Sequence[str] | None = None) -> int:
    limit = None if torch.cuda.is_available() else MINUTES
    parser = argparse.ArgumentParser(
        prog="labelnoise.reproduce.audit",
        description="check every record, retrain some, and compare",
    )
    parser.add_argument("--n", type=int, default=5, help="how many to retrain (default: 5)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the draw")
    parser.add_argument(
        "--affordable",
        type=float,
        default=limit,
        metavar="MINUTES",
        help=f"of a CPU for one run (default: {MINUTES:g}, or no limit where there is CUDA)",
    )
    chosen = parser.parse_args(arguments)
    here = Ledger(REPRODUCED / "audit" / str(chosen.seed))
    try:
        findings = audit(chosen.n, chosen.seed, chosen.affordable, COMMITTED, here)
    except KeyboardInterrupt as error:
        return interrupted(
            error, f"`make audit N={chosen.n} SEED={chosen.seed}` goes on from there"
        )
    except (*REFUSALS, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, (word, why) in findings:
        print(f"{word:<14}  {name}: {why}")
    line, code = summary([verdict for _, verdict in findings])
    print(line)
    return code


if __name__ == "__main__":
    own_temporaries()
    sys.exit(main())
