""""""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from labelnoise import theory
from labelnoise.analysis import stats
from labelnoise.analysis.rules.mnist_symmetric import choose_cll, judge_parity
from labelnoise.analysis.tables import (
    MISSING,
    as_numbers,
    by_label,
    count,
    interval,
    named,
    number,
    shown,
    spread,
    with_error,
)
from labelnoise.config import Run
from labelnoise.config.protocols import MNIST_PROTOCOL
from labelnoise.data import INFO
from labelnoise.experiments import CLL_FORMS
from labelnoise.losses import Loss
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import of_numbers, traced


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
    cells = [{**o.run.loss.parameters, "last": number(o.last)} for o in outcomes]
    table = pd.DataFrame(cells, columns=["sigma", "form", "last"], dtype=object).pivot_table(
        index="sigma", columns="form", values="last", aggfunc="first"
    )
    return table.reindex(columns=[f for f in CLL_FORMS if f in table.columns]).fillna(MISSING)


def split_map(
    outcomes: Sequence[Outcome],
) -> tuple[list[Outcome], list[Outcome], dict[str, float | None]]:
    """The map's outcomes in three: CLL with the MLP, CLL with the CNN, and the last-epoch accuracy
    of the other losses with the MLP."""
    cll = [o for o in outcomes if o.run.loss.name == "CLL"]
    mlp = [o for o in cll if o.run.model == "mlp"]
    others = {o.run.label: o.last for o in outcomes if o.run.loss.name != "CLL"}
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
    rows, found = [], {}
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
            found[model, label] = differences
    verdicts = judge_parity(found)
    for row in rows:
        row["within 0.5 points"] = verdicts[row["network"], row["loss"]].word
    return as_numbers(pd.DataFrame(rows, dtype=object).set_index(["network", "loss"]))


def protocol_rows(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Setting -> what each reporting rule says of its run: ``last epoch``, ``noisy validation``
    (only where 10 % of the labels are held out), ``best epoch``."""
    rows = {}
    for o in outcomes:
        kept = ", true label kept" if o.run.noise.as_config().get("keep_true") else ""
        held = ", 10 % held out" if o.run.val_fraction else ""
        result = o.record["result"]
        row = {"last epoch": result["last"]}
        if held:
            row["noisy validation"] = result["val_chosen"]
        row["best epoch"] = result["best"]
        rows[f"{o.run.loss.name}, {o.run.model}{kept}{held}"] = row
    return rows


def ranking_table(mlp: Sequence[Outcome], cnn: Sequence[Outcome] = ()) -> pd.DataFrame:
    """The same in numbers, ranked: last epoch (mean ± sd, and each seed), best epoch, wrong labels
    memorised, and the CNN's last epoch where it exists (with its seeds)."""
    beside, asked = by_label(cnn), by_label(mlp)
    rows = []
    for rank, (name, group) in enumerate(ranked_groups(mlp).items(), start=1):
        last, others = [o.last for o in group], [o.last for o in beside.get(name, ())]
        rows.append(
            {
                "rank": rank,
                "loss": named(group[0]),
                "last epoch": spread(last),
                "each seed": each_seed(last, len(asked[name])),
                "best epoch": spread([o.record["result"]["best"] for o in group]),
                "memorised (%)": spread([o.record["result"]["fit_wrong"] for o in group], 1),
                "CNN, last epoch": with_count(others),
            }
        )
    return pd.DataFrame(rows, dtype=object).set_index("rank").rename_axis("rank")


@of_numbers
def each_seed(values: Sequence[float], asked: int) -> str:
    """Each value; and how many of the runs that were asked for diverged."""
    lost = asked - len(values)
    text = ", ".join(number(value, 1) for value in values)
    return f"{text} ({lost} diverged)" if lost else text


@of_numbers
def with_count(values: Sequence[float]) -> str:
    """Mean ± sd, and in brackets of how many."""
    return spread(values) + (f" ({len(values)})" if values else "")


def size_table(outcomes: Sequence[Outcome], names: Sequence[str]) -> pd.DataFrame:
    """For losses of p_y by ``protocol_label``: the pull |dL/dz_y| on an untrained network, and per
    network the last-epoch accuracy and the wrong labels memorised, in percent."""
    groups: dict[str, list[Outcome]] = {}
    for o in {o.run.key: o for o in outcomes}.values():
        groups.setdefault(protocol_label(o.run), []).append(o)
    rows = {}
    for name in [name for name in names if name in groups]:
        run = groups[name][0].run
        K = INFO[run.dataset].num_classes
        pull = pull_at_start(loss_of(groups[name][0]), K)
        row = {"pull, untrained": number(pull, 3)}
        for title, model in (("MLP", "mlp"), ("CNN", "cnn4")):
            part = [o for o in groups[name] if o.run.model == model and o.last is not None]
            row[f"{title}, last epoch"] = spread([o.last for o in part])
            row[f"{title}, memorised"] = spread([o.record["result"]["fit_wrong"] for o in part], 1)
            row[f"{title}, seeds"] = count(part)
        rows[name] = row
    return as_numbers(pd.DataFrame(list(rows.values()), index=list(rows), dtype=object))


@traced
def pull_at_start(loss: Loss, num_classes: int) -> float:
    """The pull |dL/dz_y| on an untrained network, where p = 1/K."""
    return float(theory.pull_at_start(loss, num_classes)[0])


def protocol_label(run: Run) -> str:
    """The loss of a run as it is shown, and what of its protocol is not the published one: ``CE, lr
    0.0006``."""
    differs = [f"{name.replace('_', ' ')} {value:g}" for name, value in run.protocol.items()
               if value != MNIST_PROTOCOL.get(name)]  # fmt: skip
    return ", ".join([shown(run.label), *differs])


def ranked_groups(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes by label, the highest mean last-epoch accuracy first; diverged runs left out."""
    groups = by_label([o for o in outcomes if o.last is not None])
    return dict(sorted(groups.items(), key=lambda item: -np.mean([o.last for o in item[1]])))


def loss_of(outcome: Outcome) -> Loss:
    return outcome.run.loss.build()
