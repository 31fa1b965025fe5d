"""What L_DMI promises, on imagined classifiers: numbers for notebook 07, without any training.

A classifier is nothing but its logits ``[N, K]`` on N samples of known class. Under noise with the
matrix T, the joint distribution of noisy label and prediction is T^T U, where U is that of the true
label: det(T^T U) = det T det U. So |det| orders classifiers as it does without noise, whatever T
is, as long as det T is not 0.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from labelnoise import noise
from labelnoise.losses import CE, DMI
from labelnoise.losses.dmi import joint
from labelnoise.seeds import generator


class Costs(NamedTuple):
    """Two losses of M classifiers, without and with noise: float64 ``[M]`` each."""

    dmi: np.ndarray
    dmi_noisy: np.ndarray
    ce: np.ndarray
    ce_noisy: np.ndarray


class Batches(NamedTuple):
    """L_DMI of many batches of one size: minus that of all data; whether some class has no label in
    the batch; whether L_DMI, and CE, prefer the better of two classifiers. ``[R]`` each."""

    error: np.ndarray
    lacks_class: np.ndarray
    dmi_right: np.ndarray
    ce_right: np.ndarray


def imagined(true: Tensor, num_classes: int, skill: float, source: torch.Generator) -> Tensor:
    """Logits ``[N, K]``, float64: normal noise, and ``skill`` on the true class."""
    z = torch.randn(len(true), num_classes, generator=source, dtype=torch.float64)
    return z + skill * torch.nn.functional.one_hot(true, num_classes)


def crowd(num_classes: int, size: int = 60, samples: int = 3000) -> tuple[Tensor, Tensor]:
    """Logits ``[M, N, K]`` of M classifiers and the true classes ``[N]``. The classifiers differ in
    skill, in confidence and in a leaning towards some classes."""
    source = generator(0, "imagined classifiers")
    true = torch.randint(num_classes, (samples,), generator=source)
    draws = torch.rand(size, 2, generator=source, dtype=torch.float64)
    members = []
    for skill, confidence in draws.tolist():
        leaning = torch.randn(num_classes, generator=source, dtype=torch.float64)
        z = imagined(true, num_classes, 0.5 + 3 * skill, source) + leaning
        members.append((0.5 + 2 * confidence) * z)
    return torch.stack(members), true


def costs(logits: Tensor, true: Tensor, T: np.ndarray) -> Costs:
    """L_DMI and CE of classifiers ``[M, N, K]``, with true labels and in expectation over noise."""
    T = torch.from_numpy(np.asarray(T, dtype=float))
    found = []
    for z in logits:
        U, log_p = joint(z, true), torch.log_softmax(z, dim=1)
        ce = -log_p[torch.arange(len(true)), true].mean()
        found.append((of_joint(U), of_joint(T.T @ U), ce, -(T[true] * log_p).sum(dim=1).mean()))
    return Costs(*np.array(found, dtype=float).T)


def of_joint(U: Tensor) -> float:
    """L_DMI at its default floor, of a joint distribution ``[K, K]`` instead of a batch."""
    K = len(U)
    return K * math.log(K) - math.log(abs(float(torch.linalg.det(K * U))) + DMI().floor)


def processed(num_classes: int, repeats: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """What L_DMI and CE of one classifier, which is too sure of itself, gain or lose (``[R]`` each,
    below 0 is a gain) if answers are passed through random row-stochastic matrices M: p becomes
    p M, and U becomes U M. |det M| <= 1, so |det U M| = |det U| |det M| cannot be larger."""
    source = generator(0, "imagined classifiers")
    true = torch.randint(num_classes, (3000,), generator=source)
    p = torch.softmax(3 * imagined(true, num_classes, 1.5, source), dim=1)
    rows = torch.rand(repeats, num_classes, num_classes, generator=source, dtype=torch.float64)
    mixed = torch.rand(repeats, 1, 1, generator=source, dtype=torch.float64) ** 2
    M = (1 - mixed) * torch.eye(num_classes) + mixed * rows / rows.sum(dim=2, keepdim=True)
    U, at = joint(p.log(), true), torch.arange(len(true))
    dmi = [of_joint(U @ m) - of_joint(U) for m in M]
    ce = [float((p[at, true].log() - (p @ m)[at, true].log()).mean()) for m in M]
    return np.array(dmi), np.array(ce)


def rare_class(share: float, distance: float = 2.0) -> list[tuple[str, float, float, float, float]]:
    """Two classes on a line, normal with unit variance and means 0 and ``distance``; the second is
    a ``share`` of all. For the threshold that has the most accuracy, and for the one that has the
    largest |det U|: its rule, the P(second | x) from which it says so, the recall of the first and
    of the second class in percent, and |det U|. Found by search."""
    common, rare = NormalDist(0, 1), NormalDist(distance, 1)
    found = []
    for x in np.linspace(-3, distance + 3, 6001):
        recalls = common.cdf(x), 1 - rare.cdf(x)
        accuracy = (1 - share) * recalls[0] + share * recalls[1]
        det = share * (1 - share) * abs(sum(recalls) - 1)
        ahead = share * rare.pdf(x)
        posterior = ahead / (ahead + (1 - share) * common.pdf(x))
        found.append((accuracy, det, posterior, *recalls))
    return [
        (rule, posterior, 100 * first, 100 * second, det)
        for rule, (_, det, posterior, first, second) in (
            ("most accuracy", max(found)),
            ("largest |det U|", max(found, key=lambda f: f[1])),
        )
    ]


def batches(num_classes: int, rate: float, size: int, repeats: int = 400) -> Batches:
    """Batches of ``size`` samples with symmetric noise, and two classifiers: of the better one's
    answers about 90 % are right, of the other's 68 to 85 %."""
    source = generator(0, f"batches of {size}, {num_classes} classes")
    true = torch.randint(num_classes, (20_000,), generator=source)
    T = noise.symmetric(num_classes, rate)
    given = torch.from_numpy(noise.corrupt(true.numpy(), T, 0)[0])
    better, worse = (
        imagined(true, num_classes, skill * math.sqrt(math.log(num_classes) + 1), source)
        for skill in (1.6, 1.1)
    )
    chosen = torch.randint(len(true), (repeats, size), generator=source)
    labels = given[chosen]
    dmi = [torch.vmap(DMI())(z[chosen], labels) for z in (better, worse)]
    ce = [torch.vmap(CE())(z[chosen], labels) for z in (better, worse)]
    present = (labels[:, :, None] == torch.arange(num_classes)).any(dim=1).all(dim=1)
    return Batches(
        (dmi[0] - of_joint(joint(better, given))).numpy(),
        ~present.numpy(),
        (dmi[0] < dmi[1]).numpy(),
        (ce[0] < ce[1]).numpy(),
    )


def permuted(num_classes: int) -> list[tuple[str, float, float, float]]:
    """Of one classifier whose outputs are renamed in every way: the new order, its accuracy in
    percent, its CE and its L_DMI."""
    source = generator(0, "imagined classifiers")
    true = torch.randint(num_classes, (3000,), generator=source)
    z = imagined(true, num_classes, 3.0, source)
    return [
        (
            " ".join(map(str, order)),
            100 * float((z[:, order].argmax(dim=1) == true).double().mean()),
            float(CE()(z[:, order], true)),
            float(DMI()(z[:, order], true)),
        )
        for order in map(list, itertools.permutations(range(num_classes)))
    ]


def slopes(num_classes: int, skills: Sequence[float], samples: int = 2000) -> list[tuple]:
    """(skill, accuracy in percent, norm of dL/dz over the batch of L_DMI and of CE), of classifiers
    with a small random part; skill 0 stands for a constant answer, without that part."""
    source = generator(0, "imagined classifiers")
    true = torch.randint(num_classes, (samples,), generator=source)
    noisy_part = imagined(true, num_classes, 0.0, source)
    hot = torch.nn.functional.one_hot(true, num_classes)
    rows = []
    for skill in skills:
        z = (skill * hot + min(skill, 1.0) * noisy_part).requires_grad_()
        norms = [torch.autograd.grad(loss(z, true), z)[0].norm().item() for loss in (DMI(), CE())]
        rows.append((skill, 100 * float((z.argmax(dim=1) == true).double().mean()), *norms))
    return rows


def refusal(call: Callable[[], object]) -> str:
    """What a call says when it refuses its arguments. Raises ``AssertionError`` if it does not."""
    try:
        call()
    except ValueError as error:
        return str(error)
    raise AssertionError("nothing was refused")
