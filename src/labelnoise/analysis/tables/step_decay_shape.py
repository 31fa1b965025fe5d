"""The factorial of step, decay and shape in numbers (notebook 03, "Size or shape?")."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from labelnoise.analysis.contrasts import judge
from labelnoise.analysis.rules import mnist_symmetric as rule
from labelnoise.analysis.tables import MISSING, number, signed, spread
from labelnoise.analysis.tables.mnist_symmetric import with_count
from labelnoise.experiments.mnist_symmetric import MORE_SHAPES, PLACES, SHAPES, protocol_at
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import of_numbers, traced

LEVELS = ("low", "middle", "high")
NOT_JUDGED = "not yet judged"


def places_table(outcomes: Sequence[Outcome], field: str = "last") -> pd.DataFrame:
    """``result[field]`` of the runs of one network, ``[step and decay x loss]``: mean ± sd in
    percent, and in brackets of how many seeds."""
    rows, known = [], SHAPES + MORE_SHAPES
    for step, decay in PLACES:
        cells = {}
        for loss in known:
            group = [o for o in outcomes if o.run.loss == loss
                     and o.run.protocol == protocol_at(loss, (step, decay))]  # fmt: skip
            values = [o.record["result"][field] for o in group]
            if values:
                cells[loss.label] = with_count(values)
        if cells:
            rows.append({"step": LEVELS[step], "decay": LEVELS[decay], **cells})
    columns = ["step", "decay", *(s.label for s in known if any(s.label in row for row in rows))]
    made = pd.DataFrame(rows, columns=columns, dtype=object).set_index(["step", "decay"])
    return made.fillna(MISSING)


@traced
def contrasts_table(cnn: Sequence[Outcome], mlp: Sequence[Outcome]) -> pd.DataFrame:
    """The six contrasts of each network by the rule: the mean difference ± sd (percentage points),
    each seed's, the two p-values that Holm adjusted, and the word."""
    made = {name: _judged(rule.contrasts_of(found), rule.judge_size_and_shape(found))
            for name, found in (("CNN", cnn), ("MLP", mlp))}  # fmt: skip
    return pd.concat(made, names=["network"])


@traced
def stopping_contrasts(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """The six contrasts of stopping by the rule, in the same columns."""
    return _judged(rule.contrasts_of_stopping(outcomes), rule.judge_stopping(outcomes))


def stopping_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Where one stops, CE and CLL at their published places: clean test accuracy (percent, mean ±
    sd, and of how many seeds) of the last epoch, of the epochs that noisy validation and Label Wave
    keep, and of the best one, which only clean labels find; and which epochs Label Wave kept."""
    rows = {}
    for loss, place in ((rule.CE, rule.OF_CE), (rule.CLL, rule.OF_CLL)):
        group = [o for o in outcomes if o.run.loss == loss
                 and o.run.protocol == protocol_at(loss, place)]  # fmt: skip
        if group:
            results = [o.record["result"] for o in group]
            rows[loss.label] = {
                "last epoch": with_count([r["last"] for r in results]),
                "noisy validation": with_count([r["val_chosen"] for r in results]),
                "Label Wave": with_count([rule.stopped_by_label_wave(o) for o in group]),
                "best epoch": with_count([r["best"] for r in results]),
                "Label Wave's epochs": kept([o.record["curves"]["changed"] for o in group]),
            }
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).rename_axis("loss")


@of_numbers
def kept(changed: Sequence[Sequence[int | None]]) -> str:
    """The epochs that Label Wave keeps, by seed."""
    return ", ".join(str(rule.label_wave(each)) for each in changed)


def _judged(contrasts: Mapping[str, Sequence[float]], judged: Mapping) -> pd.DataFrame:
    """A row a contrast that has a seed: mean ± sd, each seed, p-values, the word."""
    pairs = {name: each for name, each in contrasts.items() if each}
    rows = {}
    for name, each in pairs.items():
        rows[name] = {
            "difference (points)": spread(each),
            "each seed": listed(each),
            "p, different": p_value(pairs, name, "p_difference") if judged else MISSING,
            "p, equivalent": p_value(pairs, name, "p_equivalence") if judged else MISSING,
            "verdict": judged[name].word if judged else NOT_JUDGED,
        }
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).rename_axis("contrast")


def sentences(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """What the rule says of its two sentences, for one network, and the share of the gain that is
    the size of CE's steps."""
    judged = rule.judge_size_and_shape(outcomes)
    size, gain = rule.contrasts_of(outcomes)["size within CE"], rule.gain_of(outcomes)
    rows = {
        "most of the gain is size": share(size, gain) if size and gain else MISSING,
        "correntropy adds nothing": MISSING,
    }
    made = [{"number": text, "word": judged.get(name, NOT_JUDGED)} for name, text in rows.items()]
    return pd.DataFrame(made, index=pd.Index(list(rows), name="sentence"), dtype=object)


@of_numbers
def share(size: Sequence[float], gain: Sequence[float]) -> str:
    """How much of the mean gain is size, in percent."""
    n = min(len(size), len(gain))
    return f"{100 * sum(size[:n]) / sum(gain[:n]):.0f} % of {sum(gain[:n]) / n:.1f} points"


@of_numbers
def listed(values: Sequence[float]) -> str:
    """Each number with its sign."""
    return ", ".join(signed(value) for value in values)


def p_value(pairs: Mapping[str, Sequence[float]], name: str, kind: str) -> str:
    """A p-value of the contrast ``name``, adjusted over the family ``pairs``."""
    p = getattr(judge(pairs, rule.MARGIN)[name], kind)
    return "below 0.001" if p < 0.001 else number(p, 3)


@traced
def clipped_table(cnn: Sequence[Outcome], mlp: Sequence[Outcome]) -> pd.DataFrame:
    """How many steps had their gradient clipped, ``[network and loss x place]``: the mean over all
    epochs and seeds, in percent, at the places of CE and of CLL."""
    made = {"CNN": _clipped(cnn), "MLP": _clipped(mlp)}
    return pd.concat(made, names=["network"]).fillna(MISSING)


def _clipped(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    rows = {}
    for loss in SHAPES + MORE_SHAPES:
        row = {}
        for title, place in (("at CE's place", rule.OF_CE), ("at CLL's place", rule.OF_CLL)):
            group = [o for o in outcomes if o.run.loss == loss
                     and o.run.protocol == protocol_at(loss, place)]  # fmt: skip
            if group:
                row[title] = f"{np.mean([o.record['curves']['clipped'] for o in group]):.2f}"
        if row:
            rows[loss.label] = row
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).rename_axis("loss")
