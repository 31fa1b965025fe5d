"""Methods that train more than once: one ``Run``, several trainings, one record.

- *Forward or backward correction with an estimated T*: networks trained with CE, or with the
  loss that T names as its judge, on the noisy labels tell T (``noise.estimation``), and one more is
  trained with it. ``result`` has ``T`` as it was estimated, and ``first``, the result of the first
  training; so have the curves. Of an oracle's T, counted from the true labels, there is no first.
- *cross_validation*: every sample is predicted by a network that never saw it. ``curves`` and
  ``result`` are means over the folds; ``result`` has ``detection``, how well the probabilities
  find the wrong labels (``noise.detection``), and ``arrays`` has the probabilities themselves, in
  float32: a loss that makes its network sure has many p_y that would be 0 in float16, and a ranking
  of zeros is no ranking.
- *pruned*: a cross-validation, then a training without the samples that cleanlab's filter suspects.
  ``result`` has ``first`` and ``pruned``: how many samples went, and how many of them were wrong.
- *warm_start*: a network trained with CE on the noisy labels, at its best epoch on a noisy
  validation set, is trained on with the run's loss. ``result`` has ``first``, whose ``val_chosen``
  is where the second training starts, ``val_loss_chosen``, the test accuracy of the epoch with the
  lowest loss on the validation set (the first of equals), and ``recalls``, the test accuracy within
  each class at the last epoch, in percent; the curves have ``val_loss``.
- *suspect_list*: a cross-validation of a few samples, and what scikit-learn's classifiers say of
  them. ``noise_rate`` and the flips are those of the whole training set. ``result`` has ``drawn``,
  how many ``samples`` there are and how many of them are ``wrong``, and ``lists``: of every judge
  its ``detection``, and what ``noise.signs`` ``measured``. Test accuracies are of at most 1000 test
  samples. In provenance, ``seconds_of`` has the seconds of each judge.

Every training of a run has its own checkpoint and draws the same initial weights and orders as a
single training of that run would, but for the weights of a warm start. Runs whose warm start is
the same share its checkpoint: the first to finish it leaves it to the others. Their ``seconds``
count it nonetheless, as if each had trained alone.
"""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from labelnoise import noise
from labelnoise.config import (
    CrossValidation,
    Estimated,
    Pruned,
    Run,
    SuspectList,
    WarmStart,
    loss_setting,
)
from labelnoise.noise import detection, estimation, signs
from labelnoise.seeds import generator, stream
from labelnoise.training.loop import State, fit, identity, logits, percent, summarise, train_once
from labelnoise.training.machine import Machine, provenance, session
from labelnoise.training.task import Task

SHARED = ".shared"
"""Marks what several runs begin with; the sweep removes it."""


def train(
    run: Run,
    *,
    device: str | None = None,
    threads: int = 1,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> dict:
    """Trains ``run``, however many trainings that takes, and returns its record. The arguments are
    those of ``loop.train_once``; ``on_epoch`` counts through all trainings, 1 to ``run.epochs``.

    Raises ``RuntimeError`` if a training on which another rests has diverged.
    """
    if not run.method and not run.loss.estimated:
        return train_once(
            run, device=device, threads=threads, checkpoint=checkpoint, on_epoch=on_epoch
        )
    with session(device, threads) as on:
        task = Task.of(run, on.device)
        stages = Stages(run, task, on, checkpoint, on_epoch)
        made = TRAINED_BY[type(run.method or run.loss.estimated)](stages)
        return {
            "config": run.config,
            **made,
            "provenance": {
                **provenance(on, task.flips_sha256, stages.seconds, task.made_of),
                **({"seconds_of": stages.seconds_of} if stages.seconds_of else {}),
            },
        }


class Stages:
    """The trainings of one run, one after the other."""

    def __init__(
        self,
        run: Run,
        task: Task,
        on: Machine,
        checkpoint: Path | None,
        on_epoch: Callable[[int], None],
    ):
        self.run, self.task, self.on = run, task, on
        self.checkpoint, self.on_epoch = checkpoint, on_epoch
        self.number, self.epochs, self.seconds = 0, 0, 0.0
        self.seconds_of: dict[str, float] = {}

    def train(
        self,
        run: Run,
        task: Task,
        loss: nn.Module | None = None,
        weights: dict[str, Tensor] | None = None,
    ) -> State:
        """One training, as ``run`` (the whole run or one of its stages) asks for it, from the
        initial weights of its seed or from ``weights``, and with a fresh optimiser."""
        self.number += 1
        before = self.epochs
        loss = loss or run.loss.build(run.dataset)
        state = State(run.recipe, task, self.on, loss)
        if weights is not None:
            state.model.load_state_dict(weights)
        self.seconds += fit(
            task,
            state,
            f"training {self.number} of {identity(self.run, self.on)}",
            self.checkpoint and self.checkpoint.with_suffix(f".{self.number}.pt"),
            lambda epoch: self.on_epoch(before + epoch),
        )
        self.epochs += run.protocol["epochs"]
        return state

    def sound(self, run: Run, task: Task) -> State:
        """A training on which the result rests: ``RuntimeError`` if it diverges."""
        state = self.train(run, task)
        if state.diverged_at is not None:
            raise RuntimeError(
                f"training {self.number} of {self.run.trainings} diverged at epoch "
                f"{state.diverged_at}, and the result rests on it; lower the learning rate"
            )
        return state

    def shared(self, run: Run, task: Task) -> State:
        """A sound training that other runs need, too. Finished, it lies beside the checkpoints,
        under the key of ``run``, and is taken from there."""
        path = self.checkpoint and self.checkpoint.with_name(f"{run.key}{SHARED}.pt")
        known, before = identity(run, self.on), self.seconds
        state = State.of(run, task, self.on)
        if path and (seconds := state.resume(path, known)):
            self.number += 1
            self.epochs += run.protocol["epochs"]
            self.seconds += seconds
            return state
        state = self.sound(run, task)
        if path:
            state.save(path, known, self.seconds - before)
        return state

    def probabilities(self, state: State, images: Tensor) -> Tensor:
        """What a trained network says of ``images``: float32 ``[N, K]`` on the CPU."""
        return logits(self.task, state.model, images, self.on).float().softmax(dim=1).cpu()

    def out_of_sample(
        self, run: Run, folds: int, fold: Tensor | None = None
    ) -> tuple[np.ndarray, dict]:
        """``[N, K]``: each sample's probabilities by a network that trained on all folds but its
        own; and the means of the networks' curves. ``fold`` ``[N]`` tells the fold of each sample;
        by default they are drawn anew for each seed."""
        n = len(self.task.given)
        if fold is None:
            fold = torch.randperm(n, generator=generator(run.seed, "folds")) % folds
        probabilities = torch.empty(n, self.task.num_classes)
        curves = []
        for k in range(folds):
            mine = (fold == k).nonzero().flatten()
            others = (fold != k).nonzero().flatten()
            state = self.sound(run, self.task.only(others.to(self.on.device)))
            held_out = self.task.images[mine.to(self.on.device)]
            probabilities[mine] = self.probabilities(state, held_out)
            curves.append(state.curves)
        return probabilities.numpy(), {name: mean([c[name] for c in curves]) for name in curves[0]}


def corrected(stages: Stages) -> dict:
    """Forward or backward correction with an estimated T."""
    run, task, asked = stages.run, stages.task, stages.run.loss.estimated
    if asked.by == "oracle":
        T = noise.realised(task.true.cpu().numpy(), task.given.cpu().numpy(), task.num_classes)
        state = stages.train(run, task, run.loss.build(T=T))
        result = summarise(state.curves, task.noise_rate, state.diverged_at)
        return {"result": {**result, "T": T.tolist()}, "curves": state.curves}
    plain = replace(run, loss=asked.judge)
    if asked.by == "anchors":
        state = stages.sound(plain, task)
        T = estimation.from_anchors(stages.probabilities(state, task.images).numpy())
        first = state.curves
    else:
        probabilities, first = stages.out_of_sample(plain, asked.folds)
        T = estimation.from_confident_joint(task.given.cpu().numpy(), probabilities)
    state = stages.train(run, task, run.loss.build(T=T))
    return {
        "result": {
            **summarise(state.curves, task.noise_rate, state.diverged_at),
            "first": summarise(first, task.noise_rate, None),
            "T": T.tolist(),
        },
        "curves": {**state.curves, "first": first},
    }


def cross_validated(stages: Stages) -> dict:
    """Out-of-sample probabilities of every sample, and how well they find the wrong labels."""
    task, run = stages.task, stages.run
    probabilities, curves = stages.out_of_sample(replace(run, method=None), run.method.folds)
    given, wrong = task.given.cpu().numpy(), (task.given != task.true).cpu().numpy()
    return {
        "result": {
            **summarise(curves, task.noise_rate, None),
            "detection": detection.detection(given, probabilities, wrong),
        },
        "curves": curves,
        "arrays": {"probabilities": probabilities},
    }


def pruned(stages: Stages) -> dict:
    """A second training without the samples whose labels a cross-validation suspects."""
    task, run = stages.task, stages.run
    single = replace(run, method=None)
    probabilities, first = stages.out_of_sample(single, run.method.folds)
    given = task.given.cpu().numpy()
    suspect = torch.from_numpy(detection.suspects(given, probabilities, run.method.filter))
    wrong = (task.given != task.true).cpu()
    state = stages.train(single, task.only((~suspect).nonzero().flatten().to(stages.on.device)))
    return {
        "result": {
            **summarise(state.curves, task.noise_rate, state.diverged_at),
            "first": summarise(first, task.noise_rate, None),
            "pruned": {"removed": int(suspect.sum()), "wrong": int((suspect & wrong).sum())},
        },
        "curves": {**state.curves, "first": first},
    }


def listed(stages: Stages) -> dict:
    """The lists of suspects of the networks and of scikit-learn's judges, from the same samples."""
    whole, run, asked = stages.task, stages.run, stages.run.method
    noise_rate = whole.noise_rate
    stages.task = task = whole.only(drawn(whole.true, asked, run.seed).to(stages.on.device))
    test = torch.randperm(len(task.test_labels), generator=generator(run.seed, "tests"))[:1000]
    test = test.to(stages.on.device)
    task.test_images, task.test_labels = task.test_images[test], task.test_labels[test]
    given, wrong = task.given.cpu().numpy(), (task.given != task.true).cpu().numpy()
    fold = stratified(given, asked.folds, run.seed)
    p = {}
    p["network"], curves = stages.out_of_sample(
        replace(run, method=None), asked.folds, torch.from_numpy(fold)
    )
    stages.seconds_of["network"] = round(stages.seconds, 2)
    rows = task.images.flatten(1).cpu().numpy()
    rows = rows / np.float32(255) if rows.dtype == np.uint8 else rows
    for name, judge in judges(run.seed).items():
        began = time.perf_counter()
        p[name] = judged(judge, rows, given, fold, task.num_classes)
        stages.seconds_of[name] = round(time.perf_counter() - began, 2)
    return {
        "result": {
            **summarise(curves, noise_rate, None),
            "drawn": {"samples": len(given), "wrong": int(wrong.sum())},
            "lists": {
                name: {
                    "detection": detection.detection(given, each, wrong),
                    "measured": signs.measured(given, each),
                }
                for name, each in p.items()
            },
        },
        "curves": curves,
    }


def drawn(true: Tensor, asked: SuspectList, seed: int) -> Tensor:
    """The samples that a suspect list is made of, ``[n]``, rising: as many of each class, the
    remainder from the first classes. ``ValueError`` where a class has too few."""
    true, K = true.cpu(), int(true.max()) + 1
    sizes = [asked.size // K + (k < asked.size % K) for k in range(K)]
    if asked.rare is not None:
        sizes[asked.rare] = max(asked.folds, asked.size // 100)
    order = torch.randperm(len(true), generator=generator(seed, "suspect list"))
    found = [order[true[order] == k][:n] for k, n in enumerate(sizes)]
    if short := [k for k, n in enumerate(sizes) if len(found[k]) < n]:
        raise ValueError(f"size={asked.size} asks for more samples of the classes {short} than "
                         "there are; lower size")  # fmt: skip
    return torch.cat(found).sort().values


def stratified(given: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each sample, int64 ``[N]``: of every class as many in each, by one."""
    order = torch.randperm(len(given), generator=generator(seed, "folds")).numpy()
    order = order[np.argsort(given[order], kind="stable")]
    fold = np.empty(len(given), dtype=np.int64)
    fold[order] = np.arange(len(given)) % folds
    return fold


def judges(seed: int) -> dict:
    """scikit-learn's judges by name; imported only where they are asked for."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    draws = stream(seed, "random forest") % 2**32
    return {
        "random forest": RandomForestClassifier(random_state=draws),
        "logistic regression": LogisticRegression(max_iter=200),
    }


def judged(judge: object, rows: np.ndarray, given: np.ndarray, fold: np.ndarray, K: int
           ) -> np.ndarray:  # fmt: skip
    """What a classifier of scikit-learn says of each sample, fitted to the other folds: ``[N, K]``,
    on one thread."""
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    p = np.zeros((len(rows), K))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for k in np.unique(fold):
            seen, unseen = fold != k, np.flatnonzero(fold == k)
            made = clone(judge).fit(rows[seen], given[seen])
            p[np.ix_(unseen, made.classes_)] = made.predict_proba(rows[unseen])
    return p


def warm_started(stages: Stages) -> dict:
    """A second training from the weights of a first one with CE, chosen on noisy labels."""
    task, run = stages.task, stages.run
    first = stages.shared(first_training(run), task)
    state = stages.train(run, task, weights=first.best)
    losses_seen = [math.inf if v is None else v for v in state.curves["val_loss"]]
    lowest = min(range(len(losses_seen)), key=losses_seen.__getitem__)
    return {
        "result": {
            **summarise(state.curves, task.noise_rate, state.diverged_at),
            "val_loss_chosen": state.curves["test_accuracy"][lowest],
            "recalls": None if state.diverged_at else recalls(task, state),
            "first": summarise(first.curves, task.noise_rate, None),
        },
        "curves": {**state.curves, "first": first.curves},
    }


def first_training(run: Run) -> Run:
    """What a run with a warm start begins with, as a run of its own."""
    return replace(run, loss=loss_setting("CE"), protocol=run.warm_start, method=None)


def recalls(task: Task, state: State) -> list[float | None]:
    """The accuracy within each class of the clean test set, in percent. Their mean is the balanced
    accuracy, which a loss may serve while it costs accuracy where one class is rare."""
    outputs = logits(task, state.model, task.test_images, state.on)
    right = outputs.argmax(dim=1) == task.test_labels
    return [percent(right, task.test_labels == k) for k in range(task.num_classes)]


def mean(curves: list[list[float | None]]) -> list[float | None]:
    """Epoch by epoch the mean of several trainings; None where one of them has no value."""
    return [
        None if None in values else float(np.mean(values)) for values in zip(*curves, strict=True)
    ]


TRAINED_BY = {
    Estimated: corrected,
    CrossValidation: cross_validated,
    Pruned: pruned,
    SuspectList: listed,
    WarmStart: warm_started,
}
