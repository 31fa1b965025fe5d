"""Functions whose results remember the call: what prints cells, computes tables, draws figures."""

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from labelnoise.tracing.origin import Expression, Number, bare, expression, readers, remembered


def traced(function: Callable) -> Callable:
    """``function``, whose result remembers the call: a number or a text directly, a table in its
    ``attrs``, a figure in its attribute ``origin`` (of these two the expression is made when they
    are saved)."""

    @functools.wraps(function)
    def remembering(*args, **options):
        with reading() as fields:
            result = function(*args, **options)
        if hasattr(result, "attrs") or hasattr(result, "savefig"):
            late = Late(function, args, options, fields)
            if hasattr(result, "attrs"):
                result.attrs["origin"] = late
            else:
                result.origin = late
            return result
        made = _called(function, args, options)
        reads = outermost(fields)
        return remembered(result, {**made, "reads": reads} if reads else made)

    return remembering


def of_numbers(function: Callable) -> Callable:
    """``traced`` for a function that prints or sums up the numbers of its first argument, and of
    lists and dicts after it: the result has an origin if each of them has one. (A bare number would
    be its own origin, and tell nothing.)"""
    remembering = traced(function)

    @functools.wraps(function)
    def printing(first, *args, **options):
        made = remembering(first, *args, **options)
        lists = [each for each in args if isinstance(each, list | tuple | dict)]
        if not all(map(known, [first, *lists])):
            made = bare(made) if isinstance(made, Number) else str(made)
        return made

    return printing


def known(thing: object) -> bool:
    """Whether every number in it has an origin."""
    if isinstance(thing, list | tuple | dict) and getattr(thing, "origin", None) is None:
        return all(map(known, thing.values() if isinstance(thing, dict) else thing))
    return not isinstance(thing, int | float) or isinstance(thing, Number)


def call(function: Callable, *args: object, **options: object) -> object:
    """The result of a function that is not ``traced`` everywhere, remembered here."""
    return traced(function)(*args, **options)


class Late:
    """The expression of a call, made when it is asked for. pandas copies what lies in ``attrs``:
    this stays one."""

    def __init__(self, function: Callable, args: tuple, options: dict, fields: set[str]):
        self.function, self.args, self.options, self.fields = function, args, options, fields

    def __deepcopy__(self, memo):
        return self

    def __call__(self) -> Expression:
        made = _called(self.function, self.args, self.options)
        reads = outermost(self.fields)
        return {**made, "reads": reads} if reads else made


@contextmanager
def reading() -> Iterator[set[str]]:
    """Collects the fields that are read from records meanwhile."""
    fields: set[str] = set()
    readers.append(fields)
    try:
        yield fields
    finally:
        readers.pop()


def outermost(fields: set[str]) -> list[str]:
    """The fields without those that were only passed through, not ``result`` beside
    ``result.last``; of the entries of a matrix, the matrix."""
    inner = (f for f in fields if not any(g.startswith((f"{f}.", f"{f}[")) for g in fields))
    return sorted({re.sub(r"(\[\d+\]){2,}$", "", field) for field in inner})


def _called(function: Callable, args: tuple, options: dict) -> Expression:
    module = function.__module__.removeprefix("labelnoise.")
    made = {"by": f"{module}.{function.__qualname__}", "of": [expression(a) for a in args]}
    if options:
        made["with"] = {name: expression(option) for name, option in options.items()}
    return made
