"""Numbers that remember where they are from: micrograd's idea, for the cells of a table.

What is read through an ``Outcome`` knows its record and field; what is computed from it by ``+ - *
/`` or by a function of ``tracing`` knows the operation and its inputs. So a printed cell carries
the *expression* that makes it, as plain JSON:

- ``{"record": "mnist/<key>", "ledger": "results", "field": "result.last"}``: a field of a record;
  without ``field``, the run and its record as a whole. ``records`` with a list of names: the same
  field of each.
- ``{"by": "tables.spread", "of": [...], "with": {...}}``: a function of this package or one of the
  four operations, and its inputs, which are expressions again; ``reads`` names the fields that a
  function took from records that it was given as a whole.
- ``{"loss": ..., "parameters": ...}``, ``{"run": ...}``, ``{"array": ...}``, and the ``evidence``
  of the arrays beside a record: what they say.
- ``{"quoted": source, "text": ...}``: words that nothing computes, with their source.
- a number, a text, null, a list, a dict of expressions: itself.

``recompute.evaluate`` computes an expression again. Nothing is imported here that is not Python's
own.
"""

import hashlib
import inspect
import operator
from collections.abc import Callable, Iterator

Expression = object  # plain JSON, see above

OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
RESERVED = {"record", "records", "by", "loss", "run", "array", "evidence", "quoted"}
LONG = 1000  # an array of more numbers than this is named, not written out

readers: list[set[str]] = []  # those who want to know which fields are read, see tracing.reading


class OriginError(ValueError):
    """Something whose origin cannot be told."""


def _operation(sign: str, reflected: bool = False) -> Callable:
    def apply(self, other):
        if not isinstance(other, int | float):
            return NotImplemented
        pair = (other, self) if reflected else (self, other)
        result = OPERATIONS[sign](*map(bare, pair))
        return remembered(result, {"by": sign, "of": [expression(each) for each in pair]})

    return apply


class Number:
    """What ``Value`` and ``Count`` share: arithmetic that is remembered."""

    origin: Expression = None
    __add__, __radd__ = _operation("+"), _operation("+", reflected=True)
    __sub__, __rsub__ = _operation("-"), _operation("-", reflected=True)
    __mul__, __rmul__ = _operation("*"), _operation("*", reflected=True)
    __truediv__, __rtruediv__ = _operation("/"), _operation("/", reflected=True)


class Value(Number, float):
    """A float with its ``origin``; everything else treats it as the plain number."""


class Count(Number, int):
    """An int with its ``origin``."""


class Cell(str):
    """A printed text with its ``origin``."""

    origin: Expression = None


class Fields(dict):
    """A dict of a record: what is read from it by name knows its place."""

    origin: Expression = None

    def __getitem__(self, name):
        return _inside(self, name, super().__getitem__(name), f".{name}")

    def get(self, name, default=None):
        return self[name] if name in self else default  # noqa: SIM401


class Items(list):
    """A list of a record: what is read from it by position or in a loop knows its place. (numpy
    takes the plain numbers.)"""

    origin: Expression = None

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        return _inside(self, i, super().__getitem__(i), f"[{i}]")

    def __iter__(self):
        return (self[i] for i in range(len(self)))


KINDS = ((float, Value), (int, Count), (str, Cell), (dict, Fields), (list, Items))


def remembered(thing: object, origin: Expression) -> object:
    """``thing`` with its ``origin``, if it is of a kind that can carry one: number, text, dict,
    list. None, True and False cannot."""
    for plain, carrying in KINDS:
        if isinstance(thing, plain) and not isinstance(thing, bool):
            made = carrying(thing)
            made.origin = origin
            return made
    return thing


def _inside(container: Fields | Items, name: object, thing: object, step: str) -> object:
    """``thing`` with the place where ``container`` has it. Dicts and lists are put back as they are
    handed out, so that what a caller changes in them stays."""
    origin = container.origin
    if not isinstance(origin, dict) or "record" not in origin:
        return thing
    place = (origin.get("field", "") + step).lstrip(".")
    for fields in readers:
        fields.add(place)
    there = {**origin, "field": place}
    if isinstance(thing, Fields | Items) and thing.origin == there:
        return thing
    found = remembered(thing, there)
    if isinstance(found, Fields | Items):
        super(type(container), container).__setitem__(name, found)
    return found


def bare(number: int | float) -> int | float:
    """The plain number."""
    return int(number) if isinstance(number, int) else float(number)


# ------------------------------------------------------------------------------- expressions


def quoted(text: str, source: str) -> Cell:
    """A text that nothing computes: a paper's number, the words of a claim."""
    return remembered(text, {"quoted": source, "text": text})


def expression(thing: object) -> Expression:
    """``thing`` as plain JSON that ``recompute.evaluate`` turns into it again.

    ``OriginError`` for what has no such form.
    """
    attrs = getattr(thing, "attrs", {})
    origin = attrs.get("origin") if "origin" in attrs else getattr(thing, "origin", None)
    if origin is not None:
        return origin() if callable(origin) else origin
    if thing is None or isinstance(thing, bool):
        return thing
    if isinstance(thing, str):
        return str(thing)
    if isinstance(thing, int | float):
        return bare(thing)
    if isinstance(thing, dict):
        return _dict(thing)
    if isinstance(thing, list | tuple | range):
        return together([expression(each) for each in thing])
    if hasattr(thing, "dtype"):
        return _array(thing)
    if hasattr(thing, "settings"):  # a loss
        return {"loss": thing.name, "parameters": expression(thing.settings())}
    if hasattr(thing, "config"):
        return {"run": thing.config}
    if hasattr(thing, "as_config"):  # a noise or the setting of a loss
        return _dict(thing.as_config())
    raise OriginError(
        f"a {type(thing).__name__} has no form as JSON: give the traced function what made it, "
        "such as outcomes, numbers, lists, losses"
    )


def _dict(thing: dict) -> Expression:
    if unfit := [k for k in thing if not isinstance(k, str) or k in RESERVED]:
        raise OriginError(f"the keys {unfit} of a dict cannot be told in JSON: use other texts")
    return {str(k): expression(each) for k, each in thing.items()}


def _array(thing) -> Expression:
    thing = thing.detach().numpy() if hasattr(thing, "detach") else thing  # a tensor
    if not thing.shape:
        return thing.item()
    if thing.size <= LONG:
        return {"array": thing.tolist()}
    named = f"{thing.dtype} {'x'.join(map(str, thing.shape))}"
    if thing.dtype.kind != "f":  # the last digits of floats depend on the processor
        digest = hashlib.sha256(f"{thing.dtype.str} {thing.shape} ".encode() + thing.tobytes())
        named += f", SHA-256 {digest.hexdigest()[:16]}"
    return {"array": named}


def together(listed: list[Expression]) -> Expression:
    """A list of expressions; one field of several records is told once."""
    leaves = [each for each in listed if isinstance(each, dict) and "record" in each]
    rest = [{k: v for k, v in leaf.items() if k != "record"} for leaf in leaves]
    if not listed or len(leaves) < len(listed) or any(other != rest[0] for other in rest):
        return listed
    return {"records": [leaf["record"] for leaf in leaves], **rest[0]}


def parts(tree: Expression) -> Iterator[dict]:
    """Every dict of an expression, from the outside in."""
    if isinstance(tree, dict):
        yield tree
        for each in tree.values():
            yield from parts(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from parts(each)


def words(function_name: str) -> str | None:
    """What a named function does: the first sentence of its docstring."""
    import importlib

    module, _, name = function_name.rpartition(".")
    if not module:
        return None
    found = getattr(importlib.import_module(f"labelnoise.{module}"), name)
    text = " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())
    return text or None
