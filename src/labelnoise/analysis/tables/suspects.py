"""Tables of notebook 08's last part: a user's list of suspects, and which alarms rang."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from labelnoise.analysis.rules.suspects import (
    JUDGES,
    NETWORK,
    by_kind,
    judge_as_good,
    judge_false,
    judge_rare,
    names_rare,
    precisions,
    signs_of,
)
from labelnoise.analysis.tables import MISSING, number, spread
from labelnoise.config import Noise
from labelnoise.experiments.suspects import CLEAN, RARE, SEEDS, suspect_lists
from labelnoise.noise.detection import FILTERS
from labelnoise.noise.signs import NAMES
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import traced

OF = {"mnist": "digits", "letter": "letters", "fashion_mnist_h": "clothes"}
NOT_JUDGED = "not judged yet"


def noise_name(noise: Noise) -> str:
    return {"human": "people", "clean": "none"}.get(noise.kind, noise.kind)


def kinds(size: int) -> list[tuple[str, Noise, int, bool]]:
    """What the grid asks for at one size, the balanced first."""
    runs = [run for run in suspect_lists() if run.method.size == size]
    found = dict.fromkeys(
        (run.dataset, run.noise, size, run.method.rare is not None) for run in runs
    )
    return sorted(found, key=lambda kind: (kind[3], kind[1] == CLEAN, list(OF).index(kind[0])))


def row_of(kind: tuple[str, Noise, int, bool]) -> tuple[str, str, str]:
    dataset, noise, _, rare = kind
    return OF[dataset], noise_name(noise), "one rare" if rare else "balanced"


@traced
def finding_table(outcomes: Sequence[Outcome], size: int = 2000) -> pd.DataFrame:
    """How well each judge finds the wrong labels among ``size`` samples, in percent, mean over
    seeds: average precision of its ranking by p_y (the network's ± sd), and precision and recall of
    the labels that cleanlab's default filter flags."""
    groups, rows = by_kind(outcomes), {}
    for kind in kinds(size):
        if kind[1] == CLEAN:
            continue
        group = groups.get(kind, [])
        cells = rows[row_of(kind)] = {}
        for judge in JUDGES:
            values = precisions(group, judge)
            mean = float(np.mean(values)) if values else None
            cells[f"AP, {judge}"] = spread(values, 1) if judge == NETWORK else number(mean, 1)
        for field in ("precision", "recall"):
            for judge in JUDGES:
                cells[f"{field}, {judge}"] = number(average(group, judge, field), 1)
        cells["seeds"] = str(len(group))
    names = ["data set", "noise", "classes"]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(names)


def average(group: Sequence[Outcome], judge: str, field: str) -> float | None:
    """The mean precision or recall of the flagged labels, of seeds that have one."""
    lists = [o.record["result"]["lists"][judge]["detection"] for o in group]
    values = [v for each in lists if (v := each["filters"][FILTERS[0]][field]) is not None]
    return float(np.mean(values)) if values else None


@traced
def alarm_table(outcomes: Sequence[Outcome], size: int = 2000) -> pd.DataFrame:
    """Which alarms rang, by judge: each with the number of seeds in which it did; in brackets in
    how many of these it names the rare class, and at most a third of all."""
    groups, rows = by_kind(outcomes), {}
    for kind in kinds(size):
        group = groups.get(kind, [])
        rows[row_of(kind)] = {
            **{judge: rang(group, judge) if group else MISSING for judge in JUDGES},
            "seeds": str(len(group)),
        }
    names = ["data set", "noise", "classes"]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(names)


def rang(group: Sequence[Outcome], judge: str) -> str:
    seen, named = Counter(), Counter()
    for o in group:
        for sign in signs_of(o, judge):
            seen[sign.name] += 1
            named[sign.name] += names_rare(sign, o.run)
    rare = group[0].run.method.rare is not None
    texts = [f"{name} {seen[name]}" + (f" ({named[name]})" if rare else "")
             for name in NAMES if seen[name]]  # fmt: skip
    return ", ".join(texts) or "none"


@traced
def seconds_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """The seconds that a judge took for its five folds on one thread, median over the lists of one
    data set and size; other programs ran beside them."""
    rows = {}
    sizes = sorted({run.method.size for run in suspect_lists()})
    for dataset in RARE:
        for size in sizes:
            group = [o for o in outcomes if (o.run.dataset, o.run.method.size) == (dataset, size)]
            rows[OF[dataset], str(size)] = {
                judge: number(
                    float(np.median([o.record["provenance"]["seconds_of"][judge] for o in group]))
                    if group else None, 1,
                )
                for judge in JUDGES
            }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["data set", "samples"])


@traced
def verdict_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """What the three rules say, and how close it was."""
    good, rare, false = judge_as_good(outcomes), judge_rare(outcomes), judge_false(outcomes)
    rang_in_all = sum(n == len(SEEDS) for n in rare["rang"].values())
    rows = {
        "a list as good as a forest's": (
            f"{good['good']} of {len(good['differences'])} cells", good["word"],
        ),
        "a rare class raises an alarm": (
            f"{rang_in_all} of {len(rare['rang'])} cells and sizes", rare["word"],
        ),
        "no alarm is false": (
            f"false in {len(false['false'])} of {false['of']} lists", false["word"],
        ),
    }  # fmt: skip
    table = {name: {"holds in": seen, "verdict": word or NOT_JUDGED}
             for name, (seen, word) in rows.items()}  # fmt: skip
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("rule")
