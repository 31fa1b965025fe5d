"""Do the committed records stand? Draws some at random, trains them again and compares.

    python -m labelnoise.audit --n 5 --seed 3

Each run is trained from its ``config`` alone, on this machine, into ``reproduced/audit``; nothing
is written to ``results/``. A record stands if it is sound (checksum and key; its ``result`` follows
from its ``curves``), if the retraining is given the same labels (SHA-256), and if it is one of:

- *bit-identical*: ``config``, ``result`` and ``curves``, as one machine and build promise.
- *inside*: the last-epoch accuracies of the record and of the retraining both lie in the 95 %
  prediction interval of the other committed seeds, two at least, of the same setting (the same
  config but for the seed). The record is left out of it: it must not vouch for itself.
- *outside, confirmed*: not inside, but the two differ by at most the half-width of that interval. A
  seed that is an outlier among its seeds on every machine is no wrong record.
- *no interval*: fewer than two other seeds, and the two differ by no more than the largest spread
  (highest minus lowest seed) of the committed settings of the same data, noise, network and
  protocol, whatever their loss. A weak test that finds gross errors only; where no such setting has
  two seeds, nothing bounds the difference, and it is reported unjudged.
- *both diverged*: neither has an accuracy. If only one diverged, the record does not stand.

On another machine a right record may lie outside, about once in twenty.
"""

import argparse
import hashlib
import json
import secrets
import sys
from collections.abc import Sequence

import torch

from labelnoise import data
from labelnoise.configuration import Run
from labelnoise.ledger import COMMITTED, REPRODUCED, Ledger, RecordError, digest, read
from labelnoise.progress import describe
from labelnoise.stats import prediction_interval
from labelnoise.sweep import SweepError, train_missing
from labelnoise.train import summarise

MINUTES = 20.0  # what a CPU may take for a run: the headline's take 12 to 17
COMPARABLE = ("dataset", "noise", "model", "protocol", "subset")


def audit(n: int, seed: int, minutes: float | None, committed: Ledger, here: Ledger) -> list:
    """Retrains ``n`` records of ``committed`` into ``here``; returns (name, whether it stands, why)
    of each, and of every damaged record. Raises ``ValueError`` if there is nothing to draw."""
    records, findings = [], []
    for path in sorted(committed.directory.glob("*/*.json")):
        try:
            records.append(read(path))
        except RecordError as error:
            findings.append((path.stem, False, str(error)))
    eligible = affordable(records, minutes)
    limit = "any time" if minutes is None else f"at most {minutes:g} CPU minutes a run"
    if n < 1 or not eligible:
        raise ValueError(f"nothing to audit: {n} of {len(eligible)} affordable records ({limit}; "
                         f"{len(records)} sound, {len(findings)} damaged)")  # fmt: skip
    drawn = draw(eligible, n, seed)
    print(f"audit with seed {seed}, which repeats or resumes it: {len(drawn)} of {len(eligible)} "
          f"eligible records ({limit}; {len(records)} in all)", flush=True)  # fmt: skip
    runs = [Run(**record["config"]) for record in drawn]
    try:
        trained = train_missing(runs, here)
        print(f"{trained} retrained now, the others earlier, in {here.directory}")
    except SweepError as error:
        print(f"error: {error}", file=sys.stderr)
    for run, record in zip(runs, drawn, strict=True):
        again = here.find(run)
        verdict = judge(record, again, records) if again else (False, "could not be retrained")
        findings.append((f"{run.key} {describe(run)}", *verdict))
    return findings


def affordable(records: Sequence[dict], minutes: float | None) -> list[dict]:
    """The records that took a CPU at most ``minutes``, all of them for None. What a CPU needs for
    a record that a GPU made is not known."""

    def fits(made: dict) -> bool:
        return "NVIDIA" not in made["device"] and made["seconds"] <= 60 * minutes

    return [r for r in records if minutes is None or fits(r["provenance"])]


def draw(records: Sequence[dict], n: int, seed: int) -> list[dict]:
    """``n`` of ``records``, or all if there are fewer; of the same records the same ones on every
    machine."""
    lot = lambda r: hashlib.sha256(f"{seed} {digest(r)}".encode()).hexdigest()  # noqa: E731
    return sorted(records, key=lot)[:n]


def judge(record: dict, again: dict, records: Sequence[dict]) -> tuple[bool, str]:
    """Whether ``record`` stands beside its retraining, by the rule at the top of this file."""
    result, made, new = record["result"], record["provenance"], again["provenance"]
    summary = summarise(record["curves"], result["noise_rate"], result["diverged_at"])
    if {**result, **summary} != result:
        return False, "RESULT DOES NOT FOLLOW from its curves"
    if made.get("flips_sha256") != new["flips_sha256"]:
        return False, "FLIPS DIFFER: the retraining was given other labels"
    if digest(record) == digest(again):
        return True, "bit-identical"
    was, now = result["last"], again["result"]["last"]
    if was is None or now is None:
        return was is now, "both diverged" if was is now else f"ONE DIVERGED: {was}, here {now}"
    found = f"recorded {was:.2f}, here {now:.2f}"
    if all(made.get(name) == new[name] for name in ("device", "precision", "threads", "torch")):
        found += " on the same device and build"
    setting = lambda r: json.dumps({**r["config"], "seed": None}, sort_keys=True)  # noqa: E731
    settings: dict[str, list[float]] = {}  # the seeds of each comparable setting, without record
    for r in records:
        comparable = all(r["config"][name] == record["config"][name] for name in COMPARABLE)
        if comparable and r["config"] != record["config"] and r["result"]["last"] is not None:
            settings.setdefault(setting(r), []).append(r["result"]["last"])
    seeds = settings.get(setting(record), [])
    found += f", {len(seeds)} other seeds"
    if len(seeds) > 1:
        low, high = prediction_interval(seeds)
        found += f" predict [{low:.2f}, {high:.2f}]"
        if low <= min(was, now) and max(was, now) <= high:
            return True, f"inside: {found}"
        near = abs(was - now) <= (high - low) / 2
        return near, f"{'outside, confirmed' if near else 'OUTSIDE'}: {found}"
    spreads = [max(values) - min(values) for values in settings.values() if len(values) > 1]
    if not spreads:
        return True, f"no interval: {found}, nothing comparable to judge by"
    near = abs(was - now) <= max(spreads)
    word = "no interval" if near else "no interval, TOO FAR"
    return near, f"{word}: {found}, comparable seeds differ by up to {max(spreads):.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="labelnoise.audit", description="retrain and compare")
    parser.add_argument("--n", type=int, default=5, help="how many records (default: 5)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the draw")
    limit = None if torch.cuda.is_available() else MINUTES
    parser.add_argument("--affordable", type=float, default=limit, metavar="MINUTES",
                        help="of a CPU for one run (default: 12, no limit with CUDA)")  # fmt: skip
    chosen = parser.parse_args(arguments)
    here = Ledger(REPRODUCED / "audit" / str(chosen.seed))
    try:
        findings = audit(chosen.n, chosen.seed, chosen.affordable, Ledger(COMMITTED), here)
    except (ValueError, data.DataError, RecordError, SweepError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, stands, verdict in findings:
        print(f"{'stands        ' if stands else 'DOES NOT STAND'}  {name}: {verdict}")
    fallen = sum(not stands for _, stands, _ in findings)
    print(f"{len(findings) - fallen} of {len(findings)} records stand")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
