"""How fast each loss is, forward and backward, beside cross-entropy and beside public code's way.

Every loss of ``ONE_HOT``, at its published MNIST setting, is timed in one run against
``torch.nn.functional.cross_entropy`` and against ``ONE_HOT[name]``, the same loss as public code
writes it: a softmax, a product with a one-hot matrix, a sum, and a clamp where public code has one.

A repetition is a round through all candidates, a loss next to its one-hot version; every other
round runs backwards, so that nobody always comes second. A ratio is taken within a round, where
both sides see the same load; reported are medians over the rounds, and quartiles. One thread,
float32, mean reduction; the last gradient is dropped before the clock starts.

    python benchmarks/losses.py [--repetitions 300] [--write]
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from labelnoise import experiments
from labelnoise.losses import LOSSES, Loss, TargetLoss
from labelnoise.training.machine import device_name

SHAPES = ((1024, 10), (128, 1000))  # [B, K]
WARM_UP = 10  # rounds that do not count
TOLERANCE = 1.03  # "never slower" up to 3 %: the noise of the timer
LIMIT, LIMIT_SHAPE = 2.5, "[128, 1000]"  # for a loss of p_y, in times of cross_entropy

# ------------------------------------------------- the losses [B], as public code writes them
# z: logits [B, K]; y: labels [B]; p: softmax. The parts of a sum ignore each other's settings (_).
# fmt: off

def one_hot(y: Tensor, like: Tensor) -> Tensor:
    return F.one_hot(y, like.shape[1]).to(like.dtype)

def of_label(each: Tensor, y: Tensor) -> Tensor:
    return (one_hot(y, each) * each).sum(dim=1)

def normalised(each: Tensor, y: Tensor) -> Tensor:
    return of_label(each, y) / each.sum(dim=1)

def clamped(z: Tensor, low: float = 1e-7) -> Tensor:
    return z.softmax(dim=1).clamp(min=low, max=1)

def ce(z, y, **_):
    return -of_label(z.log_softmax(dim=1), y)

def rce(z, y, A, **_):
    return -(clamped(z) * one_hot(y, z).clamp(min=math.exp(A), max=1).log()).sum(dim=1)

def focal(z, gamma):  # public code holds the factor (1 - p)^gamma constant in the gradient
    log_p = z.log_softmax(dim=1)
    return -((1 - log_p.detach().exp()) ** gamma) * log_p

def ldr_kl(z, y, lam):
    above = (z - of_label(z, y)[:, None]) / lam
    most = above.amax(dim=1, keepdim=True).detach()
    return lam * ((above - most).exp().mean(dim=1).log() + most[:, 0])

def gjs(z, y, pi):  # pi KL(label | mean) + (1 - pi) KL(p | mean), scaled
    label, p = one_hot(y, z), z.softmax(dim=1)
    log_m = (pi * label + (1 - pi) * p).clamp(min=1e-7, max=1).log()
    kl = [(d * (d.clamp(min=1e-7).log() - log_m)).sum(dim=1) for d in (label, p)]
    return (pi * kl[0] + (1 - pi) * kl[1]) / (-(1 - pi) * math.log(1 - pi))

def ce_eps(z, y, m, **_):  # not clamped at 1e-8 as in public code: that is another loss at m = 1e5
    p = z.softmax(dim=1)
    return -of_label(((p + m * one_hot(p.argmax(dim=1), p)) / (1 + m)).log(), y)

def plus(first: Callable, second: Callable) -> Callable:
    return lambda z, y, alpha, beta, **s: alpha * first(z, y, **s) + beta * second(z, y, **s)

OF_P = {  # p is the label's probability here
    "MAE": lambda p, **_: 2 * (1 - p),
    "AGCE": lambda p, a, q: ((a + 1) ** q - (a + p) ** q) / q,
    "AUL": lambda p, a, q: ((a - p) ** q - (a - 1) ** q) / q,
    "AEL": lambda p, a: torch.exp(-p / a),
    "TaylorCE": lambda p, order: sum((1 - p) ** i / i for i in range(1, order + 1)),
    "PHuberCE": lambda p, tau: torch.where(p > 1 / tau, -p.log(), -tau * p + math.log(tau) + 1),
    "CLL": lambda p, sigma, **_: 1 - torch.exp(-((1 - p) ** 2) / (2 * sigma**2)),
    "GeneralisedCLL": lambda p, alpha, beta: 1 - torch.exp(-(((1 - p) / beta) ** alpha)),
    "MixtureCLL": lambda p, sigmas, weights: 1 - sum(
        w * torch.exp(-((1 - p) ** 2) / (2 * s**2)) for s, w in zip(sigmas, weights, strict=True)),
}

ONE_HOT: dict[str, Callable[..., Tensor]] = {
    **{k: lambda z, y, of_p=f, **s: of_p(of_label(z.softmax(1), y), **s) for k, f in OF_P.items()},
    "CE": ce, "RCE": rce, "LDR-KL": ldr_kl, "GJS": gjs,
    "FL": lambda z, y, gamma, **_: of_label(focal(z, gamma), y),
    "GCE": lambda z, y, q: (1 - of_label(clamped(z), y) ** q) / q,
    "ClippedCE": lambda z, y, bound: ce(z, y).clamp(max=bound),
    "CE+LogitClip": lambda z, y, tau, **_: ce(
        torch.where((n := z.norm(dim=1, keepdim=True)) > tau, z / n * tau, z), y),
    "LabelSmoothing": lambda z, y, epsilon: -(
        ((1 - epsilon) * one_hot(y, z) + epsilon / z.shape[1]) * z.log_softmax(dim=1)).sum(dim=1),
    "SCE": plus(lambda z, y, **_: F.cross_entropy(z, y, reduction="none"), rce),
    "NCE": lambda z, y, **_: normalised(z.log_softmax(dim=1), y),
    "NGCE": lambda z, y, q: (1 - of_label(p := clamped(z), y) ** q) / (z.shape[1] - (p**q).sum(1)),
    "NFL": lambda z, y, gamma, **_: normalised(focal(z, gamma), y),
    "NNCE": lambda z, y, p_min, **_: 1 - normalised(clamped(z, p_min).log() - math.log(p_min), y),
    "MSE": lambda z, y: ((z.softmax(dim=1) - one_hot(y, z)) ** 2).sum(dim=1),
}
# fmt: on
for name in ("NCE+MAE", "NCE+RCE", "NCE+AGCE", "NCE+AUL", "NCE+AEL", "NFL+RCE"):
    ONE_HOT[name] = plus(*map(ONE_HOT.get, name.split("+")))
ONE_HOT["ANL-CE"] = plus(ONE_HOT["NCE"], ONE_HOT["NNCE"])
ONE_HOT["CE_eps+MAE"] = plus(ce_eps, ONE_HOT["MAE"])

# ------------------------------------------------------------------------------- the measurement


def published(name: str) -> Loss:
    """The loss at its published MNIST setting; CLL, which has none, at the one we chose."""
    loss = experiments.CLL if name == "CLL" else experiments.published("mnist", name)
    return loss.build()


def measure(repetitions: int) -> pd.DataFrame:
    """A row for every shape and loss: median microseconds, medians and quartiles of the ratios."""
    losses = [F.cross_entropy]
    names = [name for name in LOSSES if name in ONE_HOT]
    for name in names:
        ours, one = published(name), ONE_HOT[name]
        settings = ours.settings()
        losses += [ours, lambda z, y, one=one, s=settings: one(z, y, **s).mean()]
    rows = []
    for B, K in SHAPES:
        source = torch.Generator().manual_seed(0)
        z = torch.randn(B, K, generator=source).requires_grad_()
        y = torch.randint(K, (B,), generator=source)
        us = np.empty((repetitions, len(losses)))
        for i in range(-WARM_UP, repetitions):  # what comes before 0 is overwritten
            for j in range(len(losses))[:: 1 if i % 2 else -1]:
                z.grad = None
                start = time.perf_counter_ns()
                losses[j](z, y).backward()
                us[max(i, 0), j] = (time.perf_counter_ns() - start) / 1000
        for j, name in zip(range(1, len(losses), 2), names, strict=True):
            ours, row = losses[j], {"loss": name, "shape": f"[{B}, {K}]", "us": np.median(us[:, j])}
            row["of_p_y"] = isinstance(ours, TargetLoss) or getattr(ours, "form", "") == "target"
            for base, column in (("cross_entropy", 0), ("one_hot", j + 1)):
                low, row[base], high = np.quantile(us[:, j] / us[:, column], (0.25, 0.5, 0.75))
                row[f"{base}_quartiles"] = f"{low:.2f}–{high:.2f}"
            rows.append(row)
    return pd.DataFrame(rows)


def judge(table: pd.DataFrame) -> dict[str, list[str]]:
    """What is promised, and which losses miss it."""
    slower = table.query("one_hot > @TOLERANCE")
    far = table.query("of_p_y and shape == @LIMIT_SHAPE and cross_entropy > @LIMIT")
    return {
        f"Never slower than its one-hot version (median ratio at most {TOLERANCE:g})":
            [f"{row.loss} at {row.shape} ({row.one_hot:.2f})" for row in slower.itertuples()],
        f"A loss of p_y (*) within {LIMIT:g} times cross_entropy at {LIMIT_SHAPE}":
            [f"{row.loss} ({row.cross_entropy:.2f})" for row in far.itertuples()],
    }  # fmt: skip


def report(table: pd.DataFrame, repetitions: int) -> str:
    """Markdown: where and when, a table for each shape, the judgements."""
    text = f"""# Speed of the losses, forward and backward\n
{device_name(torch.device("cpu"))}, {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}), \
torch {torch.__version__}, {torch.get_num_threads()} thread, {datetime.now(UTC):%Y-%m-%d}, \
{repetitions} repetitions. Medians (quartiles); `losses.py` beside this file says how.\n\n"""
    for shape, part in table.groupby("shape", sort=False):
        shown = {"loss": part["loss"] + part["of_p_y"].map({True: " *", False: ""})}
        shown["µs"] = part["us"].map("{:.0f}".format)
        for base in ("cross_entropy", "one_hot"):
            shown[f"/ {base}"] = part[base].map("{:.2f} (".format) + part[f"{base}_quartiles"] + ")"
        text += f"## {shape}\n\n{pd.DataFrame(shown).to_markdown(index=False)}\n\n"
    for promise, misses in judge(table).items():
        text += f"- {promise}: {'**missed** by ' + ', '.join(misses) if misses else 'held'}.\n"
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=300, help="rounds that count")
    parser.add_argument("--write", action="store_true", help="also write losses.md beside this")
    asked = parser.parse_args(arguments)
    if asked.repetitions < 1:
        parser.error(f"--repetitions={asked.repetitions} must be at least 1")
    torch.set_num_threads(1)
    text = report(measure(asked.repetitions), asked.repetitions)
    print(text)
    if asked.write:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
