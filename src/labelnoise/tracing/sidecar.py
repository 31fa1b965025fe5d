"""``<name>.json`` beside every table and figure: where its numbers are from.

- ``notebook``: the file in ``notebooks/`` that made it, the one with the same two digits.
- ``made``: the call that drew the figure, or computed the table as a whole.
- ``functions``: what the functions that are named do, in a sentence.
- ``columns``, of a table: column -> row -> its cell, with the ``text`` that the CSV has; and of
  every cell with a digit what it is ``from``: an expression of ``origin``, or "table" where
  ``made`` computes it. Labels of several levels are joined by " / "; no two rows have the same.

The same table gives the same bytes on every machine.
"""

import csv
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labelnoise.files import ROOT
from labelnoise.tracing.origin import Expression, OriginError, expression, parts, words

if TYPE_CHECKING:  # a trace can be read without them
    import pandas as pd
    from matplotlib.figure import Figure


WHOLE = "table"  # the `from` of a cell that the table's own call computes


def has_number(text: str) -> bool:
    """Whether a cell is numeric: whether it holds a digit."""
    return any(character.isdigit() for character in text)


def printed(text: str, levels: tuple[int, int]) -> tuple[list[str], list[str], list[Sequence[str]]]:
    """The labels of the rows and of the columns of a CSV and its cells ``[row][column]``, given how
    many ``levels`` the labels of rows and of columns have."""
    of_rows, of_columns = levels
    lines = list(csv.reader(text.splitlines()))
    heads = lines[:of_columns]
    named = of_columns > 1 and len(lines) > of_columns and not any(lines[of_columns][of_rows:])
    rest = lines[of_columns + named :]
    columns = [" / ".join(column) for column in zip(*(head[of_rows:] for head in heads))]  # noqa: B905
    return [" / ".join(line[:of_rows]) for line in rest], columns, [line[of_rows:] for line in rest]


def of_table(table: "pd.DataFrame", text: str, name: str) -> str:
    """The trace of ``table``, whose CSV is ``text``.

    ``OriginError`` for a number without an origin, and for labels that are not unique.
    """
    levels = (table.index.nlevels, table.columns.nlevels)
    rows, columns, cells = printed(text, levels)
    for kind, labels in (("rows", rows), ("columns", columns)):
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise OriginError(f"table {name} has several {kind} called {twice}: tell them apart, "
                              "for example by a second level of the index")  # fmt: skip
    whole = table.attrs.get("origin")
    traced: dict = {column: {} for column in columns}
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            cell = {"text": cells[i][j]}
            origin = of_cell(table, i, j)
            if origin is not None:
                cell["from"] = origin
            elif has_number(cell["text"]):
                if whole is None:
                    raise OriginError(
                        f"table {name}, row {row!r}, column {column!r}: nothing tells where "
                        f"{cell['text']!r} is from. Print it with tables.number, spread, interval "
                        "or another function marked @traced, of numbers that come from an Outcome "
                        "(and keep the column's dtype object); mark the table's function @traced "
                        "if it is computed as a whole; or use origin.quoted(text, source)"
                    )
                cell["from"] = WHOLE
            traced[column][row] = cell
    used = any(cell.get("from") == WHOLE for c in traced.values() for cell in c.values())
    made = whole() if used else None
    return as_text({"levels": levels, "rows": rows, "columns": traced}, made, name)


def of_cell(table: "pd.DataFrame", i: int, j: int) -> Expression:
    """The origin of one cell; None if it has none of its own."""
    cell = table.iloc[i, j]
    if (origin := getattr(cell, "origin", None)) is not None:
        return origin
    number = table.attrs.get("numbers", {}).get(table.columns[j], {}).get(table.index[i])
    # See tables.as_numbers. pandas hands ``attrs`` on to what it computes: another number since?
    return number.origin if number is not None and number == cell else None


def of_figure(figure: "Figure", name: str) -> str:
    """The trace of ``figure``; ``OriginError`` if the function that drew it is not ``traced``."""
    if getattr(figure, "origin", None) is None:
        raise OriginError(f"figure {name}: nothing tells what drew it; mark the function that "
                          "returns it @traced")  # fmt: skip
    return as_text({}, rounded(expression(figure)), name)


def rounded(tree: Expression) -> Expression:
    """Floats to twelve digits: a figure is not computed again from its trace, and the last digits
    of an array that it shows depend on the processor."""
    if isinstance(tree, dict):
        return {name: rounded(each) for name, each in tree.items()}
    if isinstance(tree, list):
        return [rounded(each) for each in tree]
    return float(f"{tree:.12g}") if isinstance(tree, float) else tree


def as_text(content: dict, made: Expression, name: str) -> str:
    """The JSON, a cell a line."""
    used = {part["by"] for part in parts([content, made]) if "by" in part}
    said = {function: text for function in sorted(used) if (text := words(function))}
    head = {"notebook": notebook(name), "made": made, "functions": said, **content}
    dump = lambda thing: json.dumps(thing, ensure_ascii=False, allow_nan=False)  # noqa: E731
    lines = [f" {dump(key)}: {dump(value)}" for key, value in head.items() if key != "columns"]
    if "columns" in content:
        columns = []
        for column, cells in content["columns"].items():
            listed = ",\n".join(f"   {dump(row)}: {dump(cell)}" for row, cell in cells.items())
            columns.append(f"  {dump(column)}: {{\n{listed}\n  }}")
        lines.append(' "columns": {\n' + ",\n".join(columns) + "\n }")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def notebook(name: str) -> str | None:
    """The notebook that ``name`` belongs to by its two digits, if there is one."""
    found = sorted((ROOT / "notebooks").glob(f"{name[:2]}_*.ipynb"))
    return found[0].name if found and name[:2].isdigit() else None
