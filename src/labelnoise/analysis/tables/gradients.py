"""Tables of notebook 02: what losses pull, where, and what that explains."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from labelnoise import theory
from labelnoise.analysis.tables import by_label, shown, spread
from labelnoise.analysis.tables.mnist_symmetric import protocol_label
from labelnoise.config import LossSetting, Run
from labelnoise.config.protocols import MNIST_PROTOCOL
from labelnoise.data import INFO
from labelnoise.losses import CLL, Loss
from labelnoise.runs.sweep import Outcome

GRID = np.linspace(0, 1, 1002)[1:-1]  # p_y strictly between 0 and 1, where every loss is finite
FAR = 1e8  # a logit so large that p_y = 0 or 1 for every purpose


def label(loss: Loss) -> str:
    """The loss as tables print it."""
    return shown(LossSetting(loss.name, loss.settings()).label)


def distinct(losses: Sequence[Loss]) -> list[Loss]:
    """Each loss once, by its label."""
    return list({label(loss): loss for loss in losses}.values())


class Curves(NamedTuple):
    """A loss along p_y: its value, and the signed derivatives that training follows.

    ``slope`` is the derivative in p_y with the other p_k shrinking in proportion, which by the
    Jacobian of softmax is dL/dz_y / (p_y (1 - p_y)); for a loss of p_y alone it is dL/dp_y.
    (A loss that holds a factor constant, as FL with ``detach``, has the slope it trains with.)
    """

    p_y: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    pull: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """|dL/dz_y| / (1 - p_y): the pull as a multiple of cross-entropy's."""
        return abs(self.pull) / (1 - self.p_y)


def curves(loss: Loss, p_y: ArrayLike, num_classes: int = 10) -> Curves:
    """``loss`` along ``p_y``, which lies strictly between 0 and 1."""
    p_y = np.atleast_1d(np.asarray(p_y, dtype=float))
    z = torch.from_numpy(np.log(theory.simplex(p_y, num_classes)))
    z = z - z.mean(dim=1, keepdim=True)
    y = torch.zeros(len(z), dtype=torch.int64)
    pull = theory.by_autograd(loss, z, y)[:, 0]
    return Curves(p_y, loss.per_sample(z, y).numpy(), pull / (p_y * (1 - p_y)), pull)


def pair_table(first: Loss, second: Loss, num_classes: int = 10) -> pd.DataFrame:
    """What follows from the choice of two losses, in numbers; rest spread evenly."""
    columns = [facts(loss, num_classes) for loss in (first, second)]
    table = pd.DataFrame([list(column.values()) for column in columns], columns=list(columns[0])).T
    return table.set_axis([label(first), label(second)], axis=1)


def facts(loss: Loss, num_classes: int) -> dict[str, str]:
    """Where a loss pulls hardest, and how hard it pulls elsewhere, rounded."""
    found = curves(loss, np.linspace(0, 1, 10001)[1:-1], num_classes)
    pull = abs(found.pull)
    peak, worst = pull.max(), largest(loss, found.value.max(), num_classes)
    start, doubted, trusted = abs(curves(loss, (1 / num_classes, 0.001, 0.99), num_classes).pull)
    away = found.p_y[found.pull > 1e-9 * peak]

    def share(part: float) -> str:
        return f"{100 * part / peak:.1f}" if peak > 0 else "–"

    return {
        "largest L": "unbounded" if np.isinf(worst) else f"{worst:.3g}",
        "largest pull |dL/dz_y|": f"{peak:.3g}",
        "… at p_y": f"{found.p_y[pull.argmax()]:.2f}" if peak > 0 else "–",
        f"pull, untrained (p_y = 1/{num_classes})": f"{start:.3g}",
        "… % of the largest": share(start),
        "pull at p_y = 0.001, % of the largest": share(doubted),
        "pull at p_y = 0.99, % of the largest": share(trusted),
        "pushes away from the label": f"from p_y = {away[0]:.2f}" if len(away) else "nowhere",
    }


def largest(loss: Loss, inside: float, num_classes: int) -> float:
    """The largest L over all p_y, given the largest one ``inside``; infinite if L goes on growing
    in proportion to the logits."""
    z = torch.zeros(4, num_classes, dtype=torch.float64)
    z[:, 0] = torch.tensor((-2 * FAR, -FAR, 2 * FAR, FAR))
    z = z - z.mean(dim=1, keepdim=True)
    ends = loss.per_sample(z, torch.zeros(4, dtype=torch.int64)).numpy()
    return np.inf if max(ends[0] - ends[1], ends[2] - ends[3]) > 1 else max(inside, *ends)


def training_table(
    outcomes: Sequence[Outcome], epochs: Sequence[int] = (1, 10, 25, 50)
) -> pd.DataFrame:
    """Whose gradients count in some epochs, mean ± standard deviation over seeds: the share of the
    gradient norm that comes from mislabelled samples, the mean norm ||dL/dz|| of a sample with a
    right and with a wrong label, and their ratio."""
    columns = ["loss", "epoch", "share (%)", "norm, right label", "norm, wrong label",
               "wrong : right", "seeds"]  # fmt: skip
    rows = []
    for name, group in by_label(outcomes).items():
        for epoch in epochs:
            seen = [found for o in group if (found := norms(o, epoch)) is not None]
            share, right, wrong = zip(*seen, strict=True) if seen else ((), (), ())
            ratio = [w / r for w, r in zip(wrong, right, strict=True)]
            cells = spread(share, 1), spread(right, 3), spread(wrong, 3), spread(ratio, 2)
            rows.append((shown(name), epoch, *cells, len(seen)))
    return pd.DataFrame(rows, columns=columns).set_index(["loss", "epoch"])


def norms(outcome: Outcome, epoch: int) -> tuple[float, float, float] | None:
    """(share in percent, mean norm of a right label, mean norm of a wrong one) of one run; None if
    the run has no such epoch, or diverged in it. The share splits the mean over all samples."""
    curves, rate = outcome.record["curves"], outcome.record["result"]["noise_rate"]
    measured = len(curves["gradient_share"])
    if not 1 <= epoch <= measured or curves["gradient_share"][epoch - 1] is None:
        return None
    share, norm = curves["gradient_share"][epoch - 1], curves["gradient_norm"][epoch - 1]
    return share, norm * (100 - share) / (100 - rate), norm * share / rate


def gradient_table(losses: Sequence[Loss], num_classes: int, samples: int = 200) -> pd.DataFrame:
    """Each closed form against sympy, the code of the loss, autograd and finite differences; only
    the orders of magnitude, which no machine changes."""
    rows = {}
    for loss in distinct(losses):
        found = theory.check(loss, num_classes, samples)
        rows[label(loss)] = {
            "sympy": "0" if set(theory.symbolic_rest(loss)) == {0} else "NOT 0",
            "L, code": order(found.value, 1e-13),
            "dL/dz, autograd": order(found.autograd, 1e-13),
            "dL/dz, finite differences": order(found.finite, 1e-8),
        }
    return pd.DataFrame(rows).T


def order(error: float, tolerance: float) -> str:
    return f"{'below' if error < tolerance else 'NOT below'} {tolerance:.0e}"


def peak_table(sigmas: Sequence[float]) -> pd.DataFrame:
    """The p_y at which CLL ``target`` is steepest: closed form, and found on a fine grid."""
    fine = np.linspace(0, 1, 100001)
    p = theory.simplex(fine, 2)
    rows = {}
    for sigma in sigmas:
        slope, pull = (abs(f(CLL(sigma), p)[:, 0]) for f in (theory.dL_dp, theory.dL_dz))
        rows[f"sigma {sigma:g}"] = {
            "|dL/dp_y|": f"{theory.steepest_in_p(sigma):.3f}",
            "on a grid": f"{fine[slope.argmax()]:.3f}",
            "|dL/dz_y|": f"{theory.steepest_in_z(sigma):.3f}",
            "on the grid": f"{fine[pull.argmax()]:.3f}",
        }
    return pd.DataFrame(rows).T


def start_table(sigmas: Sequence[float], num_classes: int) -> pd.DataFrame:
    """The pull on an untrained network, |dL/dz_y| at p = 1/K, for the forms of CLL, and its share
    of the largest pull of the same loss."""
    rows = {}
    for sigma in sigmas:
        found = {
            form: theory.pull_at_start(CLL(sigma, form=form), num_classes)
            for form in theory.CLL_FORMULAS
        }
        rows[f"sigma {sigma:g}"] = {
            form: f"{pull:.4f} ({100 * share:.1f} %)" for form, (pull, share) in found.items()
        }
    return pd.DataFrame(rows).T


def limit_table(sigmas: Sequence[float], num_classes: int) -> pd.DataFrame:
    """How far 2 sigma^2 CLL is from the squared error of its form, at the worst p that is drawn."""
    p = np.concatenate([theory.simplex(GRID, num_classes, rest) for rest in ("uniform", "one")])
    e = (np.arange(num_classes) == 0) - p
    squared = {"target": e[:, 0] ** 2, "vector": (e**2).sum(1), "elementwise": (e**2).sum(1)}
    rows = {}
    for sigma in sigmas:
        scaled = {f: 2 * sigma**2 * theory.value(CLL(sigma, form=f), p) for f in squared}
        rows[f"sigma {sigma:g}"] = {
            form: f"{np.abs(scaled[form] - goal).max():.4f}" for form, goal in squared.items()
        }
    return pd.DataFrame(rows).T


def rest_table(losses: Sequence[Loss], num_classes: int, rate: float) -> pd.DataFrame:
    """What each loss makes of look-alikes with symmetric noise (see ``theory.at_rest``)."""
    rows = {}
    for loss in distinct(losses):
        rest = theory.at_rest(loss, num_classes, rate)
        rows[label(loss)] = {
            "belief in the true class": f"{rest.belief:.2f}",
            "norm, right label": f"{rest.right:.3f}",
            "norm, wrong label": f"{rest.wrong:.3f}",
            "mean norm": f"{rest.mean:.3f}",
            "from wrong labels (%)": "–" if rest.share is None else f"{rest.share:.1f}",
        }
    return pd.DataFrame(rows).T


def settings(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Runs by loss, what of their optimiser is not the published one, and what part of the data
    they train on, the least memorised first."""
    groups: dict[str, list[Outcome]] = {}
    for o in {o.run.key: o for o in outcomes}.values():
        kept = f", {100 - 100 * o.run.val_fraction:g} % of the data" if o.run.val_fraction else ""
        groups.setdefault(protocol_label(o.run) + kept, []).append(o)
    return dict(sorted(groups.items(), key=lambda item: memorised(item[1])))


def memorised(group: Sequence[Outcome]) -> float:
    """The share of wrong labels that the network predicts as given, in percent, mean over runs."""
    return float(np.mean([o.record["result"]["fit_wrong"] for o in group]))


def rest_against_runs(outcomes: Sequence[Outcome], epoch: int = 10) -> pd.DataFrame:
    """``theory.at_rest`` beside what happened under symmetric noise, a row a setting: the pull on
    an untrained network, the mean norm and its share from wrong labels, predicted and measured in
    ``epoch``, and what was memorised in the end."""
    rows = {}
    for name, group in settings(outcomes).items():
        rest, pull = before(group[0].run)
        curves = [o.record["curves"] for o in group if norms(o, epoch) is not None]
        rows[name] = {
            "pull, untrained": f"{pull:.3f}",
            "mean norm, predicted": f"{rest.mean:.3f}",
            "measured": spread([c["gradient_norm"][epoch - 1] for c in curves], 3),
            "share (%), predicted": "–" if rest.share is None else f"{rest.share:.1f}",
            "share, measured": spread([c["gradient_share"][epoch - 1] for c in curves], 1),
            "memorised (%)": spread([o.record["result"]["fit_wrong"] for o in group], 1),
            "seeds": len(group),
        }
    return pd.DataFrame(rows).T


def before(run: Run) -> tuple[theory.Rest, float]:
    """What is known of a run before it trains: where its loss comes to rest under its noise, and
    the pull |dL/dz_y| on an untrained network."""
    loss, K = run.loss.build(), INFO[run.dataset].num_classes
    return theory.at_rest(loss, K, run.noise.rate), theory.pull_at_start(loss, K)[0]


def foretold(outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float, float]]:
    """Setting -> what is known of it before training (the mean norm at rest, 0 below 0.0005, and
    the pull on an untrained network), and what it memorised; runs with another optimiser than the
    published one are left out, and what is there with all of the data stands for the rest."""
    published = [o for o in outcomes if o.run.protocol == MNIST_PROTOCOL]
    whole = {o.run.label for o in published if not o.run.val_fraction}
    kept = [o for o in published if not o.run.val_fraction or o.run.label not in whole]
    found = {}
    for group in settings(kept).values():
        rest, pull = before(group[0].run)
        at_rest = rest.mean if rest.mean >= 5e-4 else 0.0
        found[shown(group[0].run.label)] = at_rest, pull, memorised(group)
    return found
