"""What the measurements share: the runs that are timed, and rounds in which sides take turns.

A file of measurements has a function `measure`, whose arguments the tests shrink, and says its
result in JSON when it is run. It imports at its top no more than `runs.sweep` does itself:
every worker of a sweep imports the file that started the sweep once more, and would be charged.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from labelnoise import experiments
from labelnoise.config import Run

CNN = experiments.headline(seeds=[0])[0]  # CE, with the probe and the curves of every such run
MLP = replace(CNN, model="mlp")


def epochs(run: Run, number: int, **changes: object) -> Run:
    """``run``, of another length."""
    return replace(run, protocol={**run.protocol, "epochs": number}, **changes)


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def in_rounds(
    sides: Mapping[str, Callable[[], dict[str, float]]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Lets every side measure itself once a round, every other round in reverse, so that nobody
    always comes second. Returns each number that they measured, a value a round.

    A ratio of two numbers is taken within a round, where both saw the same load. The ``warm_up``
    rounds before the first are forgotten.
    """
    numbers: dict[str, list[float]] = {}
    for i in range(-warm_up, rounds):
        for name in list(sides)[:: -1 if i % 2 else 1]:
            say(f"round {i + 1} of {rounds}: {name}")
            for number, value in sides[name]().items():
                if i >= 0:
                    numbers.setdefault(number, []).append(round(value, 6))
    return numbers


def say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def main(measure: Callable[[], object]) -> None:
    """Prints what is measured as JSON, alone on standard output."""
    with contextlib.redirect_stdout(sys.stderr):  # sweeps name the runs that they trained
        measured = measure()
    print(json.dumps(measured))
