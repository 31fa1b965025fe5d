"""The trainings of one run, one after the other, for methods that train more than once.

Every training of a run has its own checkpoint and draws the same initial weights and orders as a
single training of that run would, but for the weights of a warm start. Runs whose warm start is
the same share its checkpoint: the first to finish it leaves it to the others. Their ``seconds``
count it nonetheless, as if each had trained alone.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from labelnoise.config import Run
from labelnoise.seeds import generator
from labelnoise.training.loop import State, fit, identity, logits
from labelnoise.training.machine import Machine
from labelnoise.training.task import Task

SHARED = ".shared"
"""Marks what several runs begin with; the sweep removes it."""


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


def mean(curves: list[list[float | None]]) -> list[float | None]:
    """Epoch by epoch the mean of several trainings; None where one of them has no value."""
    return [
        None if None in values else float(np.mean(values)) for values in zip(*curves, strict=True)
    ]
