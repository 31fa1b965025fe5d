"""What an argument must be: every check raises ``ValueError`` that names it and the remedy."""

import math
from collections.abc import Collection


def is_number(value: object) -> bool:
    """A finite int or float; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_integer(name: str, value: object, least: int) -> None:
    """``ValueError`` for what is no int of at least ``least``; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r} must be an integer of at least {least}")


def one_of(what: str, value: object, names: Collection) -> None:
    """``ValueError``, with the names that there are, for a ``value`` that is none of them."""
    if value not in names:
        raise ValueError(f"{what} {value!r} is unknown; known: {', '.join(map(str, names))}")


def positive(name: str, value: float, *, low: float = 0.0, high: float = math.inf) -> float:
    """``value`` as a float if it is finite and ``low < value <= high``, else ``ValueError``."""
    if not is_number(value) or not low < value <= high:
        upto = "" if high == math.inf else f" and at most {high:g}"
        raise ValueError(f"{name}={value!r} must be a number above {low:g}{upto}")
    return float(value)


def flag(name: str, value: bool) -> bool:
    """``value`` if it is True or False, else ``ValueError``."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be True or False")
    return value
