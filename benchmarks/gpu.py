"""Seconds of an epoch on a CUDA device, by the path that the CPU takes too: plain, eager, one run.

There is no other path: grouped runs and CUDA graphs are not built. A whole grid and a whole run are
extrapolated from a few epochs (start + epochs x median), and the report says so.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from labelnoise import data
from labelnoise.config import Run, protocols
from labelnoise.training.loop import State, evaluate, train_epoch
from labelnoise.training.machine import device_name, exact_arithmetic, precision, this_machine
from labelnoise.training.task import Task
from side_by_side import CNN, main, say, seconds

CIFAR = replace(CNN, dataset="cifar10", model="cnn8", protocol=protocols.CIFAR10_PROTOCOL)


def measure(
    device: str = "cuda", runs: Sequence[Run] = (CNN, CIFAR), rounds: int = 5
) -> dict | None:
    """The device, and by data set the seconds of the start and of every epoch with its test; None
    without a CUDA device, and in the place of a data set that cannot be had."""
    if device == "cuda" and not torch.cuda.is_available():
        return None
    device = torch.device(device)
    measured = {"device": device_name(device), "precision": precision(device)}
    for run in runs:
        say(run.dataset)
        try:
            data.load(run.dataset, "train")
        except data.DataError:
            measured[run.dataset] = None
        else:
            with exact_arithmetic(threads=1):
                measured[run.dataset] = measure_run(run, device, rounds)
    return measured


def measure_run(run: Run, device: torch.device, rounds: int) -> dict:
    made = {}

    def start() -> None:
        made["task"] = Task.of(run, device)
        made["state"] = State.of(run, made["task"], this_machine(device))
        epoch()

    def epoch() -> None:  # its curves are numbers of the host, so the device has then finished
        train_epoch(made["task"], made["state"])
        evaluate(made["task"], made["state"])

    first = seconds(start)
    measured = [seconds(epoch) for _ in range(rounds)]
    return {"start_and_first_epoch": first, "epoch": measured}


if __name__ == "__main__":
    main(measure)
