"""Records to tables: one row a loss, every number with how often and where it was measured."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from labelnoise.analysis import stats
from labelnoise.analysis.rules.mnist_symmetric import choose_cll
from labelnoise.experiments import CLL_FORMS, Run
from labelnoise.files import output, write_atomically
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import of_numbers, sidecar, traced
from labelnoise.tracing.origin import Number, bare

MISSING = "–"

# ------------------------------------------------------------- cells: pure functions of the numbers


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
    return record.run.label


@of_numbers
def with_error(accuracy: float, n: int) -> str:
    """An accuracy of n samples with its binomial standard error, in percent."""
    return f"{accuracy:.2f} (standard error {stats.binomial_error(accuracy, n):.2f})"


# ---------------------------------------------------------------------------------------- tables


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
            "loss": label,
            "last epoch": spread(last),
            "95 % interval": interval(last),
            "best epoch": spread([o.record["result"]["best"] for o in sound]),
            "seeds": count(group) if len(sound) == len(group) else counted(group),
            "source": sources(group),
        }
        if paper is not None:
            row = {"loss": label, "paper": paper.get(label, MISSING), **row}
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


def network_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Last-epoch accuracy, ``[network x loss]``, for runs with one seed a cell."""
    cells = [
        {"network": o.run.model, "loss": o.run.label, "last": number(o.last)} for o in outcomes
    ]
    return pd.DataFrame(cells, columns=["network", "loss", "last"], dtype=object).pivot_table(
        index="network", columns="loss", values="last", aggfunc="first"
    )


def bandwidth_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """CLL's last-epoch accuracy, ``[sigma x form]``, in percent."""
    cells = [{**o.run.loss["parameters"], "last": number(o.last)} for o in outcomes]
    table = pd.DataFrame(cells, columns=["sigma", "form", "last"], dtype=object).pivot_table(
        index="sigma", columns="form", values="last", aggfunc="first"
    )
    return table.reindex(columns=[f for f in CLL_FORMS if f in table.columns]).fillna(MISSING)


def split_map(
    outcomes: Sequence[Outcome],
) -> tuple[list[Outcome], list[Outcome], dict[str, float | None]]:
    """The map's outcomes in three: CLL with the MLP, CLL with the CNN, and the last-epoch accuracy
    of the other losses with the MLP."""
    cll = [o for o in outcomes if o.run.loss["name"] == "CLL"]
    mlp = [o for o in cll if o.run.model == "mlp"]
    others = {o.run.label: o.last for o in outcomes if o.run.loss["name"] != "CLL"}
    return mlp, [o for o in cll if o.run.model == "cnn4"], others


def fit_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """What the network says of its own training set in the last epoch, in percent: correctly
    labelled samples fitted, mislabelled ones memorised, mislabelled ones corrected."""
    columns = {"fit_clean": "correct labels fitted", "fit_wrong": "wrong labels memorised",
               "fit_true": "wrong labels corrected"}  # fmt: skip
    rows = {
        label: {
            title: spread([o.record["result"][field] for o in group], 1)
            for field, title in columns.items()
        }
        for label, group in by_label(outcomes).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).rename_axis("loss")


def choice_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """The noisy-validation runs that choose CLL's form and sigma, the choice marked. The test
    accuracy stands beside it to be read, and has no part in the choice."""
    chosen = choose_cll(outcomes) if outcomes else None
    rows = []
    for o in outcomes:
        accuracy = o.record["curves"]["val_accuracy"][-1]
        rows.append(
            {
                "candidate": o.run.label,
                "noisy validation": with_error(accuracy, stats.held_out(o.run)),
                "chosen": "yes" if o is chosen else "",
                "test, last epoch": number(o.last),
            }
        )
    columns = ["candidate", "noisy validation", "chosen", "test, last epoch"]
    return pd.DataFrame(rows, columns=columns, dtype=object).set_index("candidate")


def parity_table(outcomes: Sequence[Outcome], again: Sequence[Outcome]) -> pd.DataFrame:
    """The same runs in two precisions, a row a network and loss: last epoch (mean ± sd, percent) of
    ``outcomes`` and of ``again``, and the difference, paired by seed, with its 95 % interval."""
    seconds = {o.run.key: o for o in again}
    rows = []
    for model in dict.fromkeys(o.run.model for o in outcomes):
        ours = [o for o in outcomes if o.run.model == model and o.run.key in seconds]
        for label, group in by_label(ours).items():
            pairs = [(o, seconds[o.run.key]) for o in group]
            names = [o.record["provenance"]["precision"] for o in pairs[0]]
            row = {"network": model, "loss": label}
            for name, values in zip(names, zip(*pairs, strict=True), strict=True):
                row[name] = spread([o.last for o in values])
            differences = [b.last - a.last for a, b in pairs]
            row |= {"difference": spread(differences), "95 % interval": interval(differences)}
            rows.append({**row, "seeds": count(group)})
    return as_numbers(pd.DataFrame(rows, dtype=object).set_index(["network", "loss"]))


def protocol_rows(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float | None]]:
    """Setting -> what each reporting rule says of it: ``last epoch``, ``noisy validation`` (from
    the run that holds out 10 %), ``best epoch``."""
    rows: dict[str, dict[str, float | None]] = {}
    for o in outcomes:
        kept = ", true label kept" if o.run.noise.get("keep_true") else ""
        name = f"{o.run.loss['name']}, {o.run.model}{kept}"
        row = rows.setdefault(name, dict.fromkeys(("last epoch", "noisy validation", "best epoch")))
        result = o.record["result"]
        if o.run.val_fraction:
            row["noisy validation"] = result["val_chosen"]
        else:
            row["last epoch"], row["best epoch"] = result["last"], result["best"]
    return rows


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
