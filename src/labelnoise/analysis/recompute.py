"""Cells computed again from their traces: expressions of ``origin`` to numbers, texts and tables.

Reading a trace and its records needs nothing but Python; computing needs the environment.
"""

import csv
import difflib
import importlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from labelnoise.files import ROOT
from labelnoise.tracing.origin import OPERATIONS, Expression, parts
from labelnoise.tracing.sidecar import WHOLE, printed

WRITES = {"": "make publish", "reproduced": "make reproduce"}  # folder -> what fills it


class TraceError(ValueError):
    """A table, row, record or trace that is not there or does not fit, with the remedy."""


class Records:
    """The records that traces name, each read once and checked."""

    def __init__(self, root: Path = ROOT):
        self.root, self.read, self.said = root, {}, {}

    def path(self, ledger: str, name: str) -> Path:
        return self.root / ledger / f"{name}.json"

    def record(self, ledger: str, name: str) -> dict:
        path = self.path(ledger, name)
        if path not in self.read:
            if not path.exists():
                raise TraceError(f"record {shown(path)} is not there, and only its key is known: "
                                 "restore it with git")  # fmt: skip
            self.read[path] = checked(path) if ready() else unchecked(path)
        return self.read[path]

    def field(self, ledger: str, name: str, field: str) -> object:
        """What the record has at ``field``: ``result.last``, ``curves.val_accuracy[-1]``."""
        found = self.record(ledger, name)
        for step in field.replace("[", ".[").split("."):
            try:
                found = found[int(step[1:-1]) if step.startswith("[") else step]
            except (KeyError, IndexError, TypeError, ValueError) as error:
                path = shown(self.path(ledger, name))
                raise TraceError(
                    f"record {path} has no {field}: the trace is of another version of it; write "
                    "the table anew, with make publish"
                ) from error
        return found

    def outcome(self, ledger: str, name: str):
        """The run and its record, as a sweep gives them."""
        from labelnoise.config import Run
        from labelnoise.runs.sweep import Outcome

        record = self.record(ledger, name)
        source = "here" if ledger.startswith("reproduced") else "committed"
        return Outcome(Run(**record["config"]), record, source, ledger)

    def evidence(self, ledger: str, name: str):
        """What the arrays beside the record say, with the labels of its data set. ``DataError`` if
        that is not on this machine: nothing is fetched to explain a number."""
        from labelnoise import data
        from labelnoise.analysis.tables.confident_learning import evidence

        if name not in self.said:
            outcome = self.outcome(ledger, name)
            dataset = outcome.run.dataset
            try:
                images, true = data.read(dataset)
            except data.NotThere:
                raise data.DataError(f"it needs {dataset} (make data DATA={dataset})") from None
            found = evidence([outcome], images, true)
            if not found:
                path = shown(self.path(ledger, name).with_suffix(".npz"))
                raise TraceError(f"the arrays {path} are not there; restore them with git")
            (self.said[name],) = found.values()
        return self.said[name]


def evaluate(what: Expression, records: Records) -> object:
    """The number, text, table or object that an expression of ``origin`` tells."""
    if isinstance(what, list):
        return [evaluate(each, records) for each in what]
    if not isinstance(what, dict):
        return what
    if "by" in what:
        of, options = (evaluate(what.get(part, {}), records) for part in ("of", "with"))
        try:
            return function(what["by"])(*of, **options)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise TraceError(f"{what['by']} refuses what the trace gives it ({error}): write the "
                             "table anew, with make publish") from error  # fmt: skip
    if "record" in what or "records" in what:
        ledger, field = what["ledger"], what.get("field")
        get = records.outcome if field is None else lambda *of: records.field(*of, field)
        return get(ledger, what["record"]) if "record" in what else [
            get(ledger, name) for name in what["records"]
        ]  # fmt: skip
    if "evidence" in what:
        return records.evidence(what["ledger"], what["evidence"])
    if "quoted" in what:
        return what["text"]
    if "loss" in what:
        from labelnoise.losses import build

        return build(what["loss"], **evaluate(what["parameters"], records))
    if "run" in what:
        from labelnoise.config import Run

        return Run(**what["run"])
    if "array" in what:
        import numpy as np

        if isinstance(what["array"], str):
            raise TraceError(f"the array {what['array']} is named and not kept")
        return np.array(what["array"])
    return {name: evaluate(each, records) for name, each in what.items()}


def function(name: str):
    """An operation, or a function of this package by its name."""
    if name in OPERATIONS:
        return OPERATIONS[name]
    module, _, called = name.rpartition(".")
    try:
        return getattr(importlib.import_module(f"labelnoise.{module}"), called)
    except (ImportError, AttributeError) as error:
        raise TraceError(f"there is no labelnoise.{name} any more ({error}): write the table "
                         "anew, with make publish") from error  # fmt: skip


class Trace:
    """The origin of a table or figure: ``<folder>/<kind>/<name>.json``.

    ``TraceError`` if there is none, with the names that there are.
    """

    def __init__(self, name: str, folder: Path = ROOT, records: Records | None = None):
        kinds = [kind for kind in ("tables", "figures") if name.startswith(f"{kind}/")]
        self.name = name.partition("/")[2] if kinds else name
        there = [kind for kind in kinds or ("tables", "figures")
                 if (folder / kind / f"{self.name}.json").exists()]  # fmt: skip
        if not there:
            raise TraceError(unknown(self.name, folder))
        self.kind, self.folder = there[0], folder
        self.path = folder / self.kind / f"{self.name}.json"
        self.records = records or Records()
        try:
            self.content = json.loads(self.path.read_text())
            for problem in misshapen(self.content, self.kind):
                raise ValueError(problem)
            self.columns: dict = self.content.get("columns", {})
            self.rows: list[str] = self.content.get("rows", [])
            self.made, self.functions = self.content["made"], self.content["functions"]
        except (ValueError, OSError, RecursionError) as error:
            raise TraceError(
                f"trace {shown(self.path)} is damaged ({error}); {self.remedy}"
            ) from error

    @property
    def remedy(self) -> str:
        writes = WRITES.get(self.folder.name, WRITES[""])
        return f"restore both with git, or write both anew with `{writes}`"

    def row(self, asked: str) -> str:
        """The one row called ``asked``, or the one that begins so."""
        if asked in self.rows:
            return asked
        like = [r for r in self.rows if r.lower() == asked.lower()]
        like = like or [r for r in self.rows if r.lower().startswith(asked.lower())]
        if len(like) == 1:
            return like[0]
        what = "is ambiguous" if like else "is not there"
        raise TraceError(f"row {asked!r} of {self.name} {what}; rows: "
                         f"{'; '.join(like or self.rows) or 'none, it is a figure'}")  # fmt: skip

    def cell(self, row: str, column: str) -> dict:
        return self.columns[column][row]

    def cells(self) -> Iterator[tuple[str, str, dict]]:
        """(row, column, cell) of every cell."""
        for row in self.rows:
            for column, cells in self.columns.items():
                yield row, column, cells[row]

    def mismatches(self) -> list[str]:
        """Where the table is not the one that was traced."""
        path = self.path.with_suffix(".csv")
        if not path.exists():
            return [f"{shown(path)} is not there"]
        try:
            rows, columns, cells = printed(path.read_text(encoding="utf-8"), self.content["levels"])
        except (ValueError, OSError, csv.Error) as error:
            return [f"{shown(path)} is damaged ({error})"]
        if any(len(line) != len(columns) for line in cells):
            return [f"{shown(path)} is damaged (its lines are not equally long)"]
        if rows != self.rows or columns != list(self.columns):
            odd = {*rows, *columns} ^ {*self.rows, *self.columns}
            return [f"{shown(path)} and its trace have other rows or columns: "
                    f"{'; '.join(sorted(odd)) or 'in another order'}"]  # fmt: skip
        return [
            f"row {row!r}, column {column!r}: the table has {text!r}, its trace {kept!r}"
            for row, line in zip(rows, cells, strict=True)
            for column, text in zip(columns, line, strict=True)
            if text != (kept := self.cell(row, column)["text"])
        ]

    def recompute(self, row: str, column: str) -> str:
        """The text of a cell, made anew from where it is from."""
        origin = self.cell(row, column)["from"]
        if origin != WHOLE:
            return str(evaluate(origin, self.records))
        rows, columns, cells = self.whole
        if row not in rows or column not in columns:
            raise TraceError(f"the table computed anew has no such cell; {self.remedy}")
        return cells[rows.index(row)][columns.index(column)]

    @cached_property
    def whole(self) -> tuple:
        """The labels and cells of the table that ``made`` computes."""
        table = evaluate(self.made, self.records)
        return printed(table.infer_objects().to_csv(), self.content["levels"])

    def tells(self, row: str, columns: Sequence[str]) -> list[Expression]:
        """What the cells are from."""
        kept = [self.cell(row, column).get("from") for column in columns]
        return [self.made if each == WHOLE else each for each in kept]


def misshapen(content: object, kind: str) -> Iterator[str]:
    """What is not as ``sidecar`` writes it. Each check relies on those before: the first that
    fails tells."""
    if not isinstance(content, dict):
        yield "it is no object"
    if not isinstance(content.get("notebook", 0), str | None):
        yield "it names no notebook"
    functions, made = content.get("functions"), content.get("made", 0)
    if not isinstance(functions, dict) or not texts(functions.values()):
        yield "it does not say what its functions do"
    if not isinstance(made, dict | None if kind == "tables" else dict):
        yield "it does not tell what made it"
    kept = [made]
    if kind == "tables":
        levels, rows, columns = (content.get(name) for name in ("levels", "rows", "columns"))
        if not isinstance(levels, list) or [type(n) for n in levels] != [int, int]:
            yield "it has no two levels"
        if not isinstance(rows, list) or not texts(rows) or not isinstance(columns, dict):
            yield "it has no rows, or no columns"
        for column, cells in columns.items():
            if not isinstance(cells, dict) or list(cells) != rows:
                yield f"its columns and rows do not agree: {column!r}"
            for row, cell in cells.items():
                if not isinstance(cell, dict) or not isinstance(cell.get("text"), str):
                    yield f"row {row!r}, column {column!r} has no text"
                origin = cell.get("from")
                if not isinstance(origin, dict | None) and (origin != WHOLE or made is None):
                    yield f"row {row!r}, column {column!r} is from {origin!r}, which is no origin"
                kept.append(origin)
    for part in parts(kept):
        if "by" in part:
            by, of = part["by"], part.get("of")
            if not isinstance(by, str) or not isinstance(of, list):
                yield f"{by!r} is no call with its inputs"
            if by in OPERATIONS and len(of) != 2:
                yield f"{by!r} has not two inputs"
        names = [part[kind] for kind in ("record", "evidence") if kind in part]
        if not isinstance(listed := part.get("records", names), list):
            yield f"{listed!r} is no list of records"
        if listed and not texts([part.get("ledger"), part.get("field", ""), *listed]):
            yield f"{listed} are no records of a ledger"


def texts(things: Iterable[object]) -> bool:
    return all(isinstance(thing, str) for thing in things)


def shown(path: Path) -> str:
    """A path as seen from the repository's root, where it lies below that."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def unknown(name: str, folder: Path) -> str:
    """Why there is no trace of that name, with the names that are like it, or all."""
    known = {kind: sorted(p.stem for p in (folder / kind).glob("*.json"))
             for kind in ("tables", "figures")}  # fmt: skip
    every = sorted({*known["tables"], *known["figures"]})
    writes = WRITES.get(folder.name, WRITES[""])
    if not every:
        return f"{folder} has no traces: fill it with `{writes}`"
    if any((folder / kind / f"{name}.{e}").exists() for kind in known for e in ("csv", "png")):
        return f"{name} has no trace beside it: write both anew with `{writes}`"
    if not name:
        return (
            "name a table or figure, as in make trace NAME=03_headline ROW=CE; there are: "
            + ", ".join(every)
        )
    near = difflib.get_close_matches(name, every, n=3) or [n for n in every if n[:2] == name[:2]]
    listed = f"like it: {', '.join(near)}" if near else f"there are: {', '.join(every)}"
    return f"no table or figure is called {name!r}; {listed}"


def ready() -> bool:
    """Whether this Python has what computing takes."""
    return all(importlib.util.find_spec(name) for name in ("numpy", "scipy", "pandas", "torch"))


def checked(path: Path) -> dict:
    """The record, verified by the ledger."""
    from labelnoise.runs.ledger import RecordError, read

    try:
        return read(path)
    except RecordError as error:
        raise TraceError(str(error)) from error


def unchecked(path: Path) -> dict:
    """The record as it is written, where there is nothing to verify it with."""
    try:
        return json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise TraceError(
            f"record {shown(path)} is damaged ({error}): restore it with git"
        ) from error
