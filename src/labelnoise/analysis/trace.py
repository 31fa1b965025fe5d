"""Where a number is from: the records behind the cells of a table, and the cells computed again.

    make trace NAME=03_headline ROW=CE
    python -m labelnoise.analysis.trace --again results/mnist/b54465f382997a04.json

The first prints the cells of a row, the records behind them, and the command that trains those
again; the second trains them, into ``reproduced/again``, and says whether they are the same. What a
trace holds is said in ``tracing.sidecar``. Printing one needs nothing but Python: without the
environment of ``make env`` the cells are shown, and not computed again.
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from labelnoise.analysis.recompute import Records, Trace, TraceError, checked, ready, shown
from labelnoise.files import ROOT
from labelnoise.tracing.origin import OPERATIONS, Expression, parts
from labelnoise.tracing.sidecar import WHOLE, has_number

MANY = 12  # more records than this are not listed in a command
LEDGERS = ("results", "reproduced")  # below which records lie


def leaves(origins: Expression) -> dict[tuple[str, str], list[str]]:
    """(ledger, record) -> the fields that expressions take from it, in order of appearance."""
    found: dict[tuple[str, str], list[str]] = {}
    for part in parts(origins):
        names = part.get("records") or [part[k] for k in ("record", "evidence") if k in part]
        for name in names:
            fields = found.setdefault((part["ledger"], name), [])
            fields += [f for f in [part.get("field")] if f and f not in fields]
    for part in parts(origins):  # what a function read from whole records
        for inner in parts(part.get("of", []) if "reads" in part else []):
            for name in inner.get("records", [inner.get("record")]):
                if name is not None and "field" not in inner:
                    fields = found[inner["ledger"], name]
                    fields += [f for f in part["reads"] if f not in fields]
    return found


# ---------------------------------------------------------------------------------- printing


def formula(what: Expression) -> str:
    """An expression in short: ``tables.spread(result.last)``."""
    if isinstance(what, list):
        inner = [formula(each) for each in what]
        return inner[0] if len(set(inner)) == 1 else f"[{', '.join(inner)}]"
    if not isinstance(what, dict):
        return json.dumps(what, ensure_ascii=False)
    if "by" in what:
        of = [formula(each) for each in what["of"]]
        if what["by"] in OPERATIONS:
            return f"({of[0]} {what['by']} {of[1]})"
        of += [f"{k}={formula(v)}" for k, v in what.get("with", {}).items()]
        return f"{what['by'].removeprefix('figures.')}({', '.join(of)})"
    if "quoted" in what:
        return f"quoted from {what['quoted']}"
    if "record" in what or "records" in what:
        return what.get("field", "record" if "record" in what else "records")
    for kind in ("loss", "run", "array", "evidence"):
        if kind in what:
            return f"{what['loss']}" if kind == "loss" else kind
    return "{" + ", ".join(f"{k}: {formula(v)}" for k, v in what.items()) + "}"


def short(value: object) -> str:
    return f"{len(value)} values" if isinstance(value, list | dict) else str(value)


def record_lines(found: dict[tuple[str, str], list[str]], records: Records) -> list[str]:
    """The records as a table: path, run, seed, what was taken, commit, device."""
    found = {record: whole(taken) for record, taken in found.items()}
    fields = list(dict.fromkeys(f for taken in found.values() for f in taken))
    lines = [["record", "run", "seed", *fields, "commit", "device"]]
    for (ledger, name), taken in found.items():
        record = records.record(ledger, name)
        config, made = record["config"], record["provenance"]
        noise = f"{config['noise']['kind']} {config['noise'].get('rate', '')}".strip()
        run = f"{config['loss']['name']}, {config['model']}, {noise}"
        values = [short(records.field(ledger, name, f)) if f in taken else "" for f in fields]
        path = f"{ledger}/{name}.json"
        device = f"{made['device']}, {made['precision']}"
        lines.append([path, run, str(config["seed"]), *values, commit(made), device])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def whole(taken: Sequence[str]) -> list[str]:
    """The fields, with more than one entry of the same list origin_of as the list."""
    lists = [field.partition("[")[0] for field in taken]
    return list(dict.fromkeys(of if lists.count(of) > 1 else field
                              for field, of in zip(taken, lists, strict=True)))  # fmt: skip


def commit(made: dict) -> str:
    """The commit of a provenance in short, its ``+changes`` in full."""
    name, plus, changes = (made["commit"] or "").partition("+")
    return f"{name[:7]}{plus}{changes}" or "no commit"


def commands(found: dict[tuple[str, str], list[str]], records: Records) -> list[str]:
    """What trains the records again, a command for each precision."""
    of_precision: dict[str, list[str]] = {}
    for ledger, name in found:
        precision = records.record(ledger, name)["provenance"]["precision"]
        of_precision.setdefault(precision, []).append(f"{ledger}/{name}.json")
    made = []
    for precision, paths in of_precision.items():
        asked = "LABELNOISE_PRECISION=float32 " if precision == "float32" else ""
        listed, more = paths, ""
        if len(paths) > MANY:
            listed, more = paths[:1], "  # or any other of these paths"
        command = ".venv/bin/python -m labelnoise.analysis.trace --again"
        made.append(f"  {asked}{command} {' '.join(listed)}{more}")
    return made


def report(trace: Trace, row: str | None = None, column: str | None = None) -> Iterator[str]:
    """What there is to say of a table or figure, or of a row or column of it, line by line; lines
    that begin with ``error`` say what does not hold."""
    ending = {"tables": ".csv", "figures": ".png"}[trace.kind]
    by = f", made by notebooks/{trace.content['notebook']}" if trace.content["notebook"] else ""
    yield shown(trace.path.with_suffix(ending)) + by
    if trace.kind == "figures":
        if row or column:
            raise TraceError(f"{trace.name} is a figure, without rows: leave ROW and COLUMN")
        yield f"drawn by {formula(trace.made)}"
        yield from sources(trace.made, trace.records)
        return
    if column is not None and column not in trace.columns:
        raise TraceError(f"column {column!r} of {trace.name} is not there; columns: "
                         f"{'; '.join(trace.columns)}")  # fmt: skip
    for problem in trace.mismatches():
        yield f"error: {problem}; {trace.remedy}"
    columns, explained = [column] if column else list(trace.columns), set()
    for label in [trace.row(row)] if row else trace.rows:
        yield f"\n{label}"
        for name in columns:
            yield from cell_lines(trace, label, name, explained)
        yield from sources(trace.tells(label, columns), trace.records)


def cell_lines(trace: Trace, row: str, column: str, explained: set[str]) -> Iterator[str]:
    """A cell, whether it follows from its origin, how, and once what that function does."""
    cell = trace.cell(row, column)
    origin = cell.get("from")
    if origin is None:
        yield f"  {column}: {cell['text']}"
        if has_number(cell["text"]):
            yield (f"error: row {row!r}, column {column!r}: nothing tells where {cell['text']!r} "
                   f"is from; {trace.remedy}")  # fmt: skip
        return
    origin_of = trace.made if origin == WHOLE else origin
    verdict, wrong = judged(trace, row, column)
    yield f"  {column}: {cell['text']}    [{verdict}]"
    yield f"      {'a cell of ' if origin == WHOLE else ''}{formula(origin_of)}"
    by = origin_of.get("by")
    if by in trace.functions and by not in explained:
        explained.add(by)
        yield f"      {trace.functions[by]}"
    if wrong:
        yield f"error: row {row!r}, column {column!r}: {verdict}; {trace.remedy}"


def judged(trace: Trace, row: str, column: str) -> tuple[str, bool]:
    """Whether the cell is what its origin gives, in words, and whether that is an error."""
    origin = trace.cell(row, column)["from"]
    if isinstance(origin, dict) and "quoted" in origin:
        return "quoted", False
    if not ready():
        return "not recomputed here: run `make env` first", False
    try:
        again = trace.recompute(row, column)
    except importlib.import_module("labelnoise.data").DataError as error:
        return f"not recomputed: {error}", False
    except (ValueError, TypeError, LookupError) as error:  # such as a loss that is no more
        return f"not recomputed: {error}", True
    same = again == trace.cell(row, column)["text"]
    return "recomputed: equal" if same else f"recomputed: {again!r}, NOT EQUAL", not same


def sources(origins: Expression, records: Records) -> Iterator[str]:
    found = leaves(origins)
    if found:
        yield from record_lines(found, records)
        yield "  to train again, into reproduced/again, and compare:"
        yield from commands(found, records)
    else:
        yield "  of no record: computed by the functions named above, or quoted"


# ------------------------------------------------------------------------------ training again


def again(paths: Sequence[str]) -> int:
    """Trains records from their configs alone and compares; 1 if one is not bit-identical."""
    if not ready():
        raise TraceError("training takes the environment: run `make env` first, and use its Python")
    from labelnoise.config import Run
    from labelnoise.data import DataError
    from labelnoise.runs.ledger import Ledger, RecordError, digest
    from labelnoise.runs.sweep import SweepError, train_missing

    differ = 0
    for given in paths:
        path = record_path(given)
        record = checked(path)
        place = path.parents[1].relative_to(ROOT.resolve())
        here = Ledger(ROOT / "reproduced" / "again" / place)
        try:
            run = Run(**record["config"])
            train_missing([run], here)
            new = here.find(run)
        except (ValueError, TypeError, DataError, RecordError, SweepError, OSError) as error:
            raise TraceError(f"{given} cannot be trained again: {error}") from error
        made = record["provenance"]
        was, now = record["result"]["last"], new["result"]["last"]
        same = digest(record) == digest(new)
        differ += not same
        what = "bit-identical" if same else (
            f"not bit-identical: last epoch {was} recorded ({made['device']}, {made['precision']}, "
            f"torch {made['torch']}), {now} here ({new['provenance']['device']}, "
            f"{new['provenance']['precision']}, torch {new['provenance']['torch']}); `make audit` "
            "has the rule by which such a difference is judged"
        )  # fmt: skip
        print(f"{given}: {run.label}, seed {run.seed}: {what}", flush=True)
    return 1 if differ else 0


def record_path(given: str) -> Path:
    """Where a record lies that is called by its path from the repository's root, or in full."""
    root, path = ROOT.resolve(), (ROOT / given).resolve()
    below = any(path.is_relative_to(root / ledger) for ledger in LEDGERS)
    if not below or path.suffix != ".json" or not path.is_file():
        raise TraceError(f"{given!r} is no record below {' or '.join(LEDGERS)}: give a path as "
                         "`make trace` prints it, such as results/mnist/<key>.json")  # fmt: skip
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="labelnoise.analysis.trace", description="where a number is from"
    )
    parser.add_argument("--name", default="", help="of a table or figure, such as 03_headline")
    parser.add_argument("--row", default="", help="one row (or how its label begins)")
    parser.add_argument("--column", default="", help="one column")
    parser.add_argument("--out", type=Path, default=ROOT,
                        help="where they lie: `reproduced` for this machine's")  # fmt: skip
    parser.add_argument("--again", nargs="+", metavar="RECORD", help="train these records again")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.again:
            return again(chosen.again)
        wrong = False
        lines = report(Trace(chosen.name, chosen.out), chosen.row or None, chosen.column or None)
        for line in lines:
            wrong |= line.startswith("error")
            print(line, file=sys.stderr if line.startswith("error") else sys.stdout, flush=True)
        return 1 if wrong else 0
    except TraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
