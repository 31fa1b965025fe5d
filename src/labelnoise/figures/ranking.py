"""Pictures of many losses at once: who ranks where, and which theory predicts it."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from labelnoise import theory
from labelnoise.analysis import stats
from labelnoise.analysis.rules.robustness_theory import p_value
from labelnoise.analysis.tables import (
    MISSING,
    as_numbers,
    by_label,
    count,
    counted,
    interval,
    named,
    number,
    spread,
)
from labelnoise.config import Run
from labelnoise.config.protocols import MNIST_PROTOCOL
from labelnoise.data import INFO
from labelnoise.figures import DASHES, FAMILIES, colour, family
from labelnoise.figures.robustness_theory import percent_or_none
from labelnoise.losses import Loss, build
from labelnoise.runs.sweep import Outcome
from labelnoise.tracing import of_numbers, traced

# ------------------------------------------------------------------------------ the ranked plot


@traced
def ranked(
    mlp: Sequence[Outcome], cnn: Sequence[Outcome] = (), paper: Mapping[str, float] | None = None
) -> Figure:
    """Every loss by its last-epoch accuracy with the MLP, best on top: mean and 95 % t interval
    over seeds (dot), each seed (bar), best epoch (ring), the last epoch of the CNN where there is
    one (diamond). Intervals are cut off at the frame: three seeds can leave a wide one.
    ``paper``: name -> value, drawn as vertical lines."""
    groups = _ranked_groups(mlp)
    beside = by_label(cnn)
    figure, ax = plt.subplots(figsize=(9, 0.29 * len(groups) + 1.9))
    for row, (name, group) in enumerate(groups.items()):
        tone = _family_colour(group[0])
        s = stats.summarise([o.last for o in group])
        ax.plot(np.mean([o.record["result"]["best"] for o in group]), row, "o", ms=8, mfc="none",
                mec=tone, mew=1.2)  # fmt: skip
        ax.errorbar(s.mean, row, xerr=s.half_width, fmt="o", ms=6, color=tone, capsize=3)
        ax.plot([o.last for o in group], [row] * len(group), "|", ms=9, mew=1.2, color=tone)
        for o in beside.get(name, ()):
            ax.plot(o.last, row, "D", ms=4.5, mfc="white", mec="black", mew=1)
    for (name, value), dash in zip((paper or {}).items(), DASHES[1:], strict=False):
        ax.axvline(value, color="black", lw=1, ls=dash)
        ax.annotate(f"{name} {value:.2f}", (value, -0.9), fontsize="small", ha="center",
                    va="bottom", annotation_clip=False)  # fmt: skip
    ax.set_yticks(range(len(groups)), groups, fontsize="small")
    ax.set(ylim=(len(groups) - 0.3, -0.7), xlim=(28, 100.5), xlabel="clean test accuracy (%)")
    ax.grid(axis="y", alpha=0.35)
    families = [Line2D([], [], marker="o", ls="", color=tone, label=name)
                for name, (tone, _) in FAMILIES.items()]  # fmt: skip
    marks = [
        Line2D([], [], marker="o", ls="-", color="0.3", label="MLP, last epoch, 95 % interval"),
        Line2D([], [], marker="|", ls="", ms=9, color="0.3", label="MLP, last epoch, each seed"),
        Line2D([], [], marker="o", ls="", mfc="none", color="0.3", label="MLP, best epoch"),
        Line2D([], [], marker="D", ls="", mfc="white", color="black", label="CNN, last epoch"),
    ]
    figure.legend(handles=families + marks, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def ranking_table(mlp: Sequence[Outcome], cnn: Sequence[Outcome] = ()) -> pd.DataFrame:
    """The same in numbers, ranked: last epoch (mean ± sd, 95 % interval), best epoch, wrong labels
    memorised, seeds, and the CNN's last epoch where it exists (with its seeds)."""
    beside, asked = by_label(cnn), by_label(mlp)
    rows = []
    for rank, (name, group) in enumerate(_ranked_groups(mlp).items(), start=1):
        last, others = [o.last for o in group], [o.last for o in beside.get(name, ())]
        rows.append(
            {
                "rank": rank,
                "loss": named(group[0]),
                "last epoch": spread(last),
                "95 % interval": interval(last),
                "best epoch": spread([o.record["result"]["best"] for o in group]),
                "memorised (%)": spread([o.record["result"]["fit_wrong"] for o in group], 1),
                "seeds": counted(asked[name]),
                "CNN, last epoch": with_count(others),
            }
        )
    return pd.DataFrame(rows, dtype=object).set_index("rank").rename_axis("rank")


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
    """The label of a run's loss, and what of its protocol is not ALFs': ``CE, lr 0.0006``."""
    differs = [f"{name.replace('_', ' ')} {value:g}" for name, value in run.protocol.items()
               if value != MNIST_PROTOCOL.get(name)]  # fmt: skip
    return ", ".join([run.label, *differs])


def fate(outcome: Outcome) -> str:
    """What became of a run: ``lost classes`` if it ends below 88 % and was never more than 2 points
    better (a digit that is never answered costs about ten), else ``memorised`` if it predicts 10 %
    or more of the wrong labels as given, else ``held``. The borders are ours, for MNIST."""
    result = outcome.record["result"]
    if result["last"] < 88 and result["best"] - result["last"] <= 2:
        return "lost classes"
    return "memorised" if result["fit_wrong"] >= 10 else "held"


def summary_table(outcomes: Sequence[Outcome], num_classes: int, rate: float) -> pd.DataFrame:
    """Every loss, ranked: is its class sum a constant, its asymmetry ratio, the guarantee at
    symmetric noise of ``rate`` (both for losses of p_y), and what happened in the runs."""
    rows = {}
    for name, group in _ranked_groups(outcomes).items():
        loss = loss_of(group[0])
        of_target = theory.sees_only_target(loss)
        rows[name] = {
            "symmetric": "yes" if is_symmetric(loss, num_classes) else "no",
            "asymmetry ratio": ratio(loss) if of_target else MISSING,
            "wrong answers at most (%)": guarantee(loss, num_classes, rate) if of_target
            else MISSING,
            "last epoch": spread([o.last for o in group]),
            "what happened": fates(group),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object)


@traced
def ratio(loss: Loss) -> str:
    """The asymmetry ratio."""
    return f"{theory.asymmetry_ratio(loss):.3f}"


@traced
def guarantee(loss: Loss, num_classes: int, rate: float) -> str:
    """The bound on the share of wrong answers at symmetric noise of a rate, in percent."""
    return percent_or_none(theory.error_bound(loss, num_classes, rate))


@traced
def fates(runs: Sequence[Outcome]) -> str:
    """What became of the runs (``fate``), counted."""
    found = [fate(o) for o in runs]
    return ", ".join(f"{found.count(f)} {f}" for f in dict.fromkeys(found))


def is_symmetric(loss: Loss, num_classes: int) -> bool:
    """Whether the class sum is the same for 200 random answers, to 1e-9 of itself."""
    p = np.random.default_rng(0).dirichlet(np.full(num_classes, 0.5), 200).clip(1e-9)
    sums = theory.class_sum(loss, p / p.sum(axis=1, keepdims=True))
    return bool(np.ptp(sums) < 1e-9 * abs(sums).max())


# ---------------------------------------------------------------- does a theory predict the ranks?


def criteria(rate: float, num_classes: int) -> dict[str, Callable[[Loss], float | None]]:
    """What a theory says of a loss of p_y before any training, as one number."""

    def guaranteed(loss: Loss) -> float:
        return 100 * theory.error_bound(loss, num_classes, rate)

    def start(loss: Loss) -> float:
        return theory.pull_at_start(loss, num_classes)[0]

    def start_share(loss: Loss) -> float:
        return 100 * theory.pull_at_start(loss, num_classes)[1]

    def belief(loss: Loss) -> float:
        return theory.at_rest(loss, num_classes, rate).belief

    return {
        "asymmetry ratio": theory.asymmetry_ratio,
        "asymmetry ratio, errors above 0.1": lambda loss: theory.asymmetry_ratio(loss, 0.1),
        "wrong answers at most (%)": guaranteed,
        "belief at rest": belief,
        "pull on an untrained network": start,
        "the same in % of the largest pull": start_share,
    }


def predictions(outcomes: Sequence[Outcome], num_classes: int, rate: float) -> pd.DataFrame:
    """One row a loss of p_y and setting: its criteria, its last-epoch accuracy, and its fall from
    the best epoch to the last; seed 0."""
    return predicted([o for o in outcomes if o.run.seed == 0 and has_criteria(loss_of(o))],
                     num_classes, rate)  # fmt: skip


def loss_of(outcome: Outcome) -> Loss:
    return build(outcome.run.loss["name"], **outcome.run.loss["parameters"])


def has_criteria(loss: Loss) -> bool:
    """Whether the criteria are for this loss: one of p_y alone, and no sum."""
    return theory.sees_only_target(loss) and "+" not in loss.name


@traced
def predicted(outcomes: Sequence[Outcome], num_classes: int, rate: float) -> pd.DataFrame:
    """A row an outcome: what the criteria say of its loss, its last-epoch accuracy, and its fall
    from the best epoch to the last."""
    rows = {}
    for o in outcomes:
        loss, result = loss_of(o), o.record["result"]
        found = {name: f(loss) for name, f in criteria(rate, num_classes).items()}
        rows[o.run.label] = {
            "name": loss.name, **found, "last epoch": result["last"],
            "fall": result["best"] - result["last"], "fate": fate(o),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


POINTED_OUT = ("GeneralisedCLL", "MixtureCLL", "SCE", "TaylorCE", "AUL(a 5.5, q 3)")


@traced
def claim(table: pd.DataFrame) -> Figure:
    """Accuracy (top) and fall (bottom) of each loss against three criteria of ``predictions``."""
    shown = ("asymmetry ratio", "wrong answers at most (%)", "pull on an untrained network")
    figure, axes = plt.subplots(2, 3, figsize=(12, 7), sharey="row", sharex="col")
    for column, criterion in zip(axes.T, shown, strict=True):
        for ax, measured in zip(column, ("last epoch", "fall"), strict=True):
            for kind in dict.fromkeys(map(family, table["name"])):
                rows = table[[family(n) == kind for n in table["name"]]]
                ax.plot(rows[criterion], rows[measured], "o", ms=7, alpha=0.8, label=kind,
                        color=FAMILIES[kind][0])  # fmt: skip
            rho, p = stats.rank_correlation(table[criterion], table[measured])
            ax.set_title(f"Spearman {rho:+.2f}, {p_value(p)}", fontsize="small")
        column[1].set_xlabel(criterion)
    axes[0, 2].set_xscale("log")
    axes[0, 2].set_xlim(3e-3, 3)
    axes[0, 0].set_ylabel("last-epoch accuracy (%)")
    axes[1, 0].set_ylabel("fall from best to last epoch (points)")
    axes[1, 0].set_yscale("symlog", linthresh=1)
    axes[1, 0].set_ylim(-0.2, 40)
    for name in table.index.intersection(POINTED_OUT):
        for ax, measured in zip(axes[:, 0], ("last epoch", "fall"), strict=True):
            x, y = table.loc[name, [shown[0], measured]]
            side = {"xytext": (7, -3)} if x < 0.5 else {"xytext": (-7, -3), "ha": "right"}
            ax.annotate(name, (x, y), textcoords="offset points", fontsize="x-small", **side)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, fontsize="small")
    return figure


@traced
def claim_table(table: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of every criterion with accuracy and with the fall, over all
    settings and over those that lost no class (see ``fate``), with permutation p-values."""
    learnt = table[table["fate"] != "lost classes"]
    rows = {}
    for criterion in criteria(0.6, 10):
        cells = {}
        for which, part in (("all", table), ("no class lost", learnt)):
            for measured in ("last epoch", "fall"):
                column = f"{measured}, {which} ({len(part)})"
                if len(part) < 3:
                    cells[column] = MISSING
                    continue
                rho, p = stats.rank_correlation(part[criterion], part[measured])
                cells[column] = f"{rho:+.2f} ({p_value(p)})"
        rows[criterion] = cells
    return pd.DataFrame(rows).T


# ------------------------------------------------------------------------- where CLL wakes up


@traced
def waking(outcomes: Sequence[Outcome], num_classes: int) -> Figure:
    """CLL ``target`` over sigma: the pull on an untrained network, and what became of it, with and
    without weight decay."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), sharex=True)
    points = sorted(_walk(outcomes), key=lambda point: point[:2])
    sigmas = np.geomspace(min(s for s, *_ in points), max(s for s, *_ in points), 80)
    pulls = [theory.pull_at_start(build("CLL", sigma=float(s)), num_classes) for s in sigmas]
    left.plot(sigmas, [p for p, _ in pulls], color=colour("CLL"), lw=2, label="|dL/dz_y|")
    left.plot(sigmas, [share for _, share in pulls], color="black", ls="--", lw=1.6,
              label="as a share of the largest pull")  # fmt: skip
    left.set(yscale="log", ylim=(1e-6, 2), ylabel="pull on an untrained network",
             title=f"At p = 1/{num_classes}")  # fmt: skip
    left.legend(fontsize="small", loc="lower right")
    for decay, mark, shift in ((True, "o", 1.0), (False, "x", 1.02)):
        xy = [(s * shift, last) for s, last, _, decayed in points if decayed == decay]
        if xy:
            words = "weight decay 0.001" if decay else "no weight decay"
            right.plot(*zip(*xy, strict=True), mark, ms=8, mew=2, label=words,
                       color=colour("CLL") if decay else "#D55E00")  # fmt: skip
    right.axhline(100 / num_classes, color="0.4", ls=":", lw=1, label="chance")
    right.set(ylabel="last-epoch accuracy (%)", ylim=(0, 102), title="After 50 epochs, MLP")
    right.legend(fontsize="small", loc="center right")
    for ax in (left, right):
        ax.set(xscale="log", xlabel="sigma (probability)")
        ticks = [0.1, 0.2, 0.3, 0.5, 1.0, 2.0]
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.set_xticks([], minor=True)
    return figure


def waking_table(outcomes: Sequence[Outcome], num_classes: int) -> pd.DataFrame:
    """The same in numbers: the pull at the start, the last accuracy, the mean gradient of the
    first and of the last epoch."""
    rows = []
    for sigma, last, record, decay in sorted(_walk(outcomes), key=lambda w: (w[0], not w[3])):
        norms = record["curves"]["gradient_norm"]
        pull, share = theory.pull_at_start(build("CLL", sigma=sigma), num_classes)
        rows.append(
            {
                "sigma": f"{sigma:g}",
                "weight decay": "0.001" if decay else "0",
                "pull at p = 1/K": f"{pull:.2g}",
                "of the largest (%)": f"{100 * share:.1f}",
                "gradient, epoch 1": f"{norms[0]:.2g}",
                "gradient, last epoch": f"{norms[-1]:.2g}",
                "last epoch (%)": number(last),
            }
        )
    return pd.DataFrame(rows).set_index("sigma")


# -------------------------------------------------------------------------------------- parts


def _walk(outcomes: Sequence[Outcome]) -> list[tuple[float, float, dict, bool]]:
    """(sigma, last accuracy, record, with weight decay) of the runs with CLL ``target``."""
    return [
        (o.run.loss["parameters"]["sigma"], o.last, o.record, o.run.protocol["weight_decay"] > 0)
        for o in outcomes
        if o.run.loss["name"] == "CLL" and o.run.loss["parameters"]["form"] == "target"
        and not o.run.loss["parameters"]["normalise"]
    ]  # fmt: skip


def _ranked_groups(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes by label, the highest mean last-epoch accuracy first; diverged runs left out."""
    groups = by_label([o for o in outcomes if o.last is not None])
    return dict(sorted(groups.items(), key=lambda item: -np.mean([o.last for o in item[1]])))


def _family_colour(outcome: Outcome) -> str:
    kind = family(outcome.run.loss["name"])
    return FAMILIES[kind][0] if kind else "#666666"
