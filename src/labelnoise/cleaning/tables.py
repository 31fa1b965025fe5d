"""Labels in a CSV: its rows, or a ``ValueError`` that names the line."""

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Row:
    """``line`` in the table, ``file`` ("" where the table has no such column) and ``label`` ("" for
    none), without the spaces around them."""

    line: int
    file: str
    label: str


def rows(
    table: str | Path, file_column: str = "file", label_column: str = "label", *,
    files: bool = True,
) -> list[Row]:  # fmt: skip
    """The rows of a table with a header, all as text: a class may be called ``NA`` or ``None``.

    The separator is that of comma, semicolon and tab which splits the header most. Without
    ``files`` there need be no column of files.

    Raises ``ValueError`` for a table that is not there or not UTF-8, without these columns or
    without rows, for a row with more cells than the header, and for one with a label and without a
    file; for a quote that is not closed.
    """
    table = Path(table)
    if not table.is_file():
        raise ValueError(f"{table} is not there: give the CSV that holds the labels, with the "
                         f"columns {file_column} and {label_column}")  # fmt: skip
    try:
        text = table.read_text(encoding="utf-8-sig")  # Excel begins with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{table} is no UTF-8 text ({error}): save it as CSV UTF-8") from error
    (_, header), *found = [*records(table, text)] or [(1, [])]
    check_columns(table, header, [file_column] * files + [label_column])
    if not found:
        raise ValueError(f"{table} must have at least one row below its header")
    at = {name: i for i, name in reversed([*enumerate(header)])}
    every = []
    for line, cells in found:
        if any(cells[len(header) :]):
            raise ValueError(f"{table}, line {line} has {len(cells)} cells and the header "
                             f"{len(header)}: put a cell that holds a separator in quotes"
                             )  # fmt: skip
        cells += [""] * (len(header) - len(cells))
        file = cells[at[file_column]] if file_column in at else ""
        if files and not file:
            raise ValueError(f"{table}, line {line}: the file is empty; fill it in, or leave the "
                             "line out")  # fmt: skip
        every.append(Row(line, file, unicodedata.normalize("NFC", cells[at[label_column]])))
    return every


def records(table: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The line at which it begins and the cells of every record that is not blank."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(SEPARATORS, key=first.count)  # the comma, of equals
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True, skipinitialspace=True)
    line = 1
    try:
        for record in reader:
            cells = [cell.strip() for cell in record]
            if any("\n" in cell for cell in cells):
                raise csv.Error("a cell goes on in the next line")
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f'{table}, line {line}: {error}; look for a quote (") that is not closed'
        ) from error


def check_columns(table: Path, header: Sequence[str], wanted: Sequence[str]) -> None:
    """``ValueError`` that says what the columns are, and how to name the right ones."""
    missing = [name for name in wanted if name not in header]
    if not missing:
        return
    has = f"its columns are {', '.join(header)}" if header else "it is empty"
    hint = "name them by --file-column and --label-column (file_column and label_column in Python)"
    if len(header) == len(wanted) == 2:
        hint = f"if these are they, add --file-column '{header[0]}' --label-column '{header[1]}'"
    raise ValueError(f"{table} must have the columns {' and '.join(wanted)}, and {has}; {hint}")


def alike(labels: Sequence[str]) -> str | None:
    """What to say of classes that differ only in case or spaces; None if there are none."""
    same: dict[str, list[str]] = {}
    counts = Counter(label for label in labels if label)
    for label in sorted(counts):
        same.setdefault("".join(label.casefold().split()), []).append(label)
    groups = [" and ".join(f"{name!r} ({counts[name]})" for name in names)
              for names in same.values() if len(names) > 1]  # fmt: skip
    if not groups:
        return None
    return (f"classes that differ only in case or spaces are taken for different ones: "
            f"{', '.join(groups)}; if they are one class, write them alike")  # fmt: skip
