"""Does a record agree with its retraining? The rule of ``audit.py``, as pure functions of records.

- *On the same machine* (processor, torch, threads and precision): ``config``, ``result`` and
  ``curves`` are equal to the bit, or the record does not stand. A record from before processors
  were recorded has its device, a word that may stand for several generations: ``PINNED`` says which
  one it stood for; any other word counts as it is.
- *Elsewhere*, where the last bits differ and grow, each number of ``result`` and each curve is
  judged by its spread over seeds. It agrees if

      |recorded - here| <= t_{df, 0.995} * s * sqrt(2),

  99 % of the differences between two seeds. Here and there it is the same seed, with the same
  flips, initial weights and order, so that a right record passes more often than that, but where a
  lively loss is judged by the pool of calm ones. ``s``, in the unit of the number, and ``df`` come
  from the other committed seeds of the same setting (the same config but for the seed) if there are
  three of them: s^2 is their variance, df = n - 1. With fewer, they are pooled over the settings
  with two seeds or more of the same data, noise, network, protocol and method, whatever the loss:
  s^2 = sum (n_i - 1) s_i^2 / sum (n_i - 1), df = sum (n_i - 1). A single pair of seeds, df = 1,
  would allow 90 s and judges nothing. The record itself is always left out: it must not vouch for
  itself.
  - Numbers have a grain, and s is at least grain / sqrt(12), the rounding to it: 1 for counts and
    epochs, 0.01 for all others.
  - Of a list (``T``, ``recalls``) the entry that differs most is judged by the largest s of all.
  - Of a curve the mean over epochs of |recorded - here| is judged by the mean of s.
  - ``noise_rate`` and the flips must be equal, and so must what has no value (a diverged training).
    Curves of two trainings that both diverged may end at different epochs, and are passed over.
  - ``arrays`` are not judged: their detection is.
  The headline's twelve records in float32 (``results/float32``) all agree with their bfloat16 twins
  by this rule. It is a wide one where the pool holds losses that differ much from seed to seed:
  half of the committed records may be off by 14 points of ``last`` or more. The bits are the test.
- A number that nothing can judge leaves its record *unjudged*, which is not standing.

What remains: who edits the words for the machine *and* the numbers, and rewrites the manifest, is
judged by the spread only where no git history tells that the record was another.
"""

import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from labelnoise.runs.ledger import digest

STANDS, FALLS, UNJUDGED = "stands", "DOES NOT STAND", "unjudged"
BUILD = ("torch", "threads", "precision")
COMPARABLE = ("dataset", "noise", "model", "protocol", "subset", "val_fraction", "method")
PINNED = {
    "AMD EPYC": {
        "vendor": "AuthenticAMD",
        "family": "25",
        "model": "17",
        "instructions": "AVX512, native bfloat16",
    }
}
"""The processors of the records that have a word only. EPYCs of all generations go by that word,
and a newer one computes other last bits; those records were all made on this one, where they are
trained again to the bit."""
LEVEL = 0.99
FEWEST = 3  # seeds of one setting that judge by themselves
NAMED = 3  # numbers that a message names


class Verdict(NamedTuple):
    """``word`` is one of STANDS, FALLS, UNJUDGED."""

    word: str
    why: str


def judge(record: dict, again: dict, records: Sequence[dict]) -> Verdict:
    """Whether ``record`` stands beside ``again``, its retraining, by the rule at the top;
    ``records`` are all that are committed, for the spread over seeds."""
    made, new = record["provenance"], again["provenance"]
    if made["flips_sha256"] != new["flips_sha256"]:
        return Verdict(FALLS, "FLIPS DIFFER: the retraining was given other labels")
    if digest(record) == digest(again):
        return Verdict(STANDS, "bit-identical")
    was, now = numbers(record), numbers(again)
    unlike = [
        name for name in {**was, **now} if without_value(was, name) != without_value(now, name)
    ]
    unlike += [name for name in was if name.endswith("noise_rate") and was[name] != now[name]]
    if same_machine(made, new):
        unlike = [name for name in {**was, **now} if was.get(name) != now.get(name)]
        which = listed(unlike, was, now) or "the arrays, or how a number is written"
        why = f"NOT EQUAL TO THE BIT on the same machine: {which}"
        if "processor" not in made:
            why += f"; the record names its processor by a word only, {made['device']}"
        return Verdict(FALLS, why)
    if record["result"]["diverged_at"] and again["result"]["diverged_at"]:
        was, now = ({n: v for n, v in each.items() if "curves." not in n} for each in (was, now))
        unlike = [name for name in unlike if name in was]
    if unlike:
        return Verdict(FALLS, f"DIFFERS: {listed(unlike, was, now)}")
    return agreement(was, now, *seeds(record, records))


def same_machine(made: dict, new: dict) -> bool:
    """Whether two provenances promise the same bits."""
    if any(made[name] != new.get(name) for name in BUILD):
        return False
    if "processor" not in made and made["device"] not in PINNED:
        return made["device"] == new.get("device")
    return made.get("processor", PINNED.get(made["device"])) == new.get("processor")


def agreement(was: dict, now: dict, own: list[dict], pool: list[list[dict]]) -> Verdict:
    """The verdict elsewhere, number by number: all are those of a record, ``own`` its other seeds,
    ``pool`` the seeds of each comparable setting."""
    outside, unjudged = [], []
    for name in was:
        valued = [i for i, value in enumerate(was[name]) if value is not None]
        if not valued:
            continue
        a, b = (np.array(each[name], dtype=float)[valued] for each in (was, now))
        if (spread := spread_of(name, valued, own, pool)) is None:
            unjudged.append(name)
            continue
        counts = all(isinstance(each[name][i], int) for each in (was, now) for i in valued)
        s, df = np.maximum(spread[0], (1 if counts else 0.01) / math.sqrt(12)), spread[1]
        over = np.mean if name.startswith("curves.") else np.max
        limit = stats.t.ppf((1 + LEVEL) / 2, df) * over(s) * math.sqrt(2)
        if (far := over(abs(a - b))) > limit:
            outside.append(f"{shown(name, was, now)}, {far:.4g} apart, {limit:.4g} allowed")
    if outside:
        return Verdict(FALLS, f"OUTSIDE: {'; '.join(outside[:NAMED])}{and_more(outside)}")
    if unjudged:
        few = f"no spread over seeds to judge {', '.join(unjudged[:NAMED])}{and_more(unjudged)}"
        return Verdict(UNJUDGED, f"{few}; {shown('last', was, now)}")
    return Verdict(STANDS, f"inside: all {len(was)} numbers and curves; {shown('last', was, now)}")


def seeds(record: dict, records: Sequence[dict]) -> tuple[list[dict], list[list[dict]]]:
    """The numbers of the other seeds of the same setting; and of every comparable setting, that one
    included, those of its seeds. The record itself is in neither."""
    mine = setting(record)
    settings: dict[str, list[dict]] = {mine: []}
    for other in records:
        comparable = all(other["config"].get(n) == record["config"].get(n) for n in COMPARABLE)
        if comparable and other["config"] != record["config"]:
            settings.setdefault(setting(other), []).append(numbers(other))
    return settings[mine], list(settings.values())


def setting(record: dict) -> str:
    return json.dumps({**record["config"], "seed": None}, sort_keys=True)


def spread_of(
    name: str, valued: list[int], own: list[dict], pool: list[list[dict]]
) -> tuple[np.ndarray, int] | None:
    """``s`` of each entry that has a value, and ``df``; None if there are too few seeds."""

    def table(seeds: list[dict]) -> np.ndarray:
        """``[n, entries]``: of the seeds that have a value wherever the record has."""
        entries = [[seed[name][i] for i in valued] for seed in seeds
                   if len(seed.get(name, ())) > valued[-1]]  # fmt: skip
        return np.array([row for row in entries if None not in row], dtype=float)

    tables = [t for t in map(table, pool) if len(t) > 1]
    if len(mine := table(own)) >= FEWEST:
        tables = [mine]
    df = sum(len(t) - 1 for t in tables)
    if df < 2:
        return None
    return np.sqrt(sum((len(t) - 1) * t.var(axis=0, ddof=1) for t in tables) / df), df


def numbers(record: dict) -> dict[str, list]:
    """Every number of a record by name, ``last``, ``first.best``, ``T``, ``curves.train_loss``, as
    a list: one value, or the entries of a list, or those of a curve."""
    result = {name: value for name, value in record["result"].items() if name != "arrays"}
    return dict([*flat(result, ""), *flat(record["curves"], "curves.")])


def flat(values: dict, prefix: str) -> Iterator[tuple[str, list]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            rows = [row if isinstance(row, list) else [row] for row in value]
            yield prefix + name, [entry for row in rows for entry in row]
        else:
            yield prefix + name, [value]


def without_value(record: dict[str, list], name: str) -> list[bool] | None:
    """Which entries have no value; None where the number itself is not there."""
    return [value is None for value in record[name]] if name in record else None


def listed(names: list[str], was: dict, now: dict) -> str:
    return "; ".join(shown(name, was, now) for name in names[:NAMED]) + and_more(names)


def shown(name: str, was: dict, now: dict) -> str:
    """A number as a message shows it, of several the entry that differs first."""
    there, here = was.get(name, []), now.get(name, [])
    if len(there) != len(here):
        return f"{name} has {len(there)} values, here {len(here)}"
    pairs = enumerate(zip(there, here, strict=True))
    place, (a, b) = next((p for p in pairs if p[1][0] != p[1][1]), (0, (there[0], here[0])))
    at = f"[{place}]" if len(there) > 1 else ""
    return f"{name}{at} recorded {a}, here {b}"


def and_more(names: list[str]) -> str:
    return f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
