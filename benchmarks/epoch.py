"""Where an epoch's time goes, in one process with one thread, as in a worker of a sweep.

Three sides: the training part of an epoch as `training.loop` runs it, then test and checkpoint;
as many optimiser steps on one batch that lies in memory, standardised; and the epoch once more with
a stopwatch on each of its parts. Whatever feeds the network, measures it and loops is the first
over the second. The headline's run (CE), with all of its curves.
"""

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import torch
from torch import nn

from labelnoise.config import Run
from labelnoise.training.loop import State, evaluate, train_epoch
from labelnoise.training.machine import exact_arithmetic, this_machine
from labelnoise.training.task import Task
from side_by_side import CNN, MLP, in_rounds, main, say, seconds

CPU = torch.device("cpu")


def measure(runs: Sequence[Run] = (CNN, MLP), rounds: int = 5) -> dict:
    """Network -> seconds a round."""
    measured = {}
    for run in runs:
        say(run.model)
        with exact_arithmetic(threads=1):
            measured[run.model] = measure_network(run, rounds)
    return measured


def measure_network(run: Run, rounds: int) -> dict:
    task = Task.of(run, CPU)
    steps = math.ceil(len(task.given) / run.protocol["batch"])
    batch = slice(run.protocol["batch"])
    x, y = task.batch(task.images[batch]), task.given[batch]

    def fixed_batch() -> dict[str, float]:
        state = State.of(run, task, this_machine(CPU))
        state.model.train()
        return {"fixed_batch": seconds(lambda: [step(run, state, x, y) for _ in range(steps)])}

    def whole_epoch() -> dict[str, float]:
        state = State.of(run, task, this_machine(CPU))
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Path(folder) / "checkpoint.pt"
            return {
                "training": seconds(lambda: train_epoch(task, state)),
                "evaluation": seconds(lambda: evaluate(task, state)),
                "checkpoint": seconds(lambda: state.save(checkpoint, "", 0.0)),
            }

    def parts() -> dict[str, float]:
        state = State.of(run, task, this_machine(CPU))
        with stopwatches(task, state) as spent:
            total = seconds(lambda: train_epoch(task, state))
        return {**spent, "rest": total - sum(spent.values())}

    sides = {"fixed batch": fixed_batch, "whole epoch": whole_epoch, "parts": parts}
    return {"steps": steps, **in_rounds(sides, rounds)}


def step(run: Run, state: State, x: torch.Tensor, y: torch.Tensor) -> None:
    """Forward, backward and optimiser, as in ``train_epoch``, and nothing else."""
    with this_machine(CPU).autocast():
        logits = state.model(x)
    loss = state.loss(logits.float(), y)
    state.optimizer.zero_grad()
    loss.backward()
    if "clip_norm" in run.protocol:
        nn.utils.clip_grad_norm_(state.model.parameters(), run.protocol["clip_norm"])
    state.optimizer.step()


@contextlib.contextmanager
def stopwatches(task: Task, state: State) -> Iterator[dict[str, float]]:
    """Part of a step -> seconds spent in it while the context lasts."""
    parts = {
        "standardise": (task, "batch"),
        "forward": (state.model, "forward"),
        "loss": (state.loss, "forward"),
        "zero_grad": (state.optimizer, "zero_grad"),
        "backward": (torch.Tensor, "backward"),
        "clip": (nn.utils, "clip_grad_norm_"),
        "optimiser": (state.optimizer, "step"),
    }
    spent = dict.fromkeys(parts, 0.0)

    def timed(part: str, call: Callable) -> Callable:
        def with_stopwatch(*arguments, **options):
            began = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                spent[part] += time.perf_counter() - began

        return with_stopwatch

    with contextlib.ExitStack() as stack:
        for part, (owner, name) in parts.items():
            watched = timed(part, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, watched))
        yield spent


if __name__ == "__main__":
    main(measure)
