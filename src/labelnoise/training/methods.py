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
  them (``training.suspect_list``).

``stages`` has what all of them do: one training after the other, each with its own checkpoint.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

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
from labelnoise.noise import detection, estimation
from labelnoise.training import suspect_list
from labelnoise.training.loop import State, logits, percent, summarise, train_once
from labelnoise.training.machine import provenance, session
from labelnoise.training.stages import Stages
from labelnoise.training.task import Task


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


TRAINED_BY = {
    Estimated: corrected,
    CrossValidation: cross_validated,
    Pruned: pruned,
    SuspectList: suspect_list.listed,
    WarmStart: warm_started,
}
