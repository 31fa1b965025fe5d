"""What you have, as arrays: pictures with a table, a folder for each class, or features.

``load(folder, table)`` gives the three arrays that the rest of this room takes. ``pictures`` and
``arrays`` give ``Samples``, with what has no label yet, and notes on what looks odd.
"""

import os
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from labelnoise.cleaning.pictures import SUFFIXES, picture
from labelnoise.cleaning.tables import Row, alike, rows

OURS = (".csv", ".npz")  # tables, and what an earlier run wrote
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}


@dataclass(frozen=True)
class Samples:
    """What is to be judged, in the order of the table.

    - ``X``: pictures uint8 ``[N, C, H, W]`` (C = 1 if all are grey, else 3) or ``[N, H, W]``, or
      features ``[N, D]``; None if there are only probabilities.
    - ``labels``: text ``[N]``, "" where there is none.
    - ``files``: their names as the table has them, None if it has none.
    - ``paths``: where the pictures lie, None if they are unknown.
    - ``notes``: what is odd about them, and stops nothing.
    """

    X: np.ndarray | None
    labels: np.ndarray
    files: list[str] | None = None
    paths: list[Path] | None = None
    notes: tuple[str, ...] = ()

    @property
    def labelled(self) -> np.ndarray:
        """Which have a label, bool ``[N]``."""
        return self.labels != ""


def load(
    folder: str | Path, table: str | Path | None = None, **options: object
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """``X``, ``labels`` and ``files`` of ``pictures(folder, table, **options)``, without the rows
    that have no label; its notes are warnings (``UserWarning``), its errors are the same."""
    found = pictures(folder, table, **options)
    for note in found.notes:
        warnings.warn(note, stacklevel=2)
    kept = np.flatnonzero(found.labelled)
    return found.X[kept], found.labels[kept], [found.files[i] for i in kept]


def pictures(
    folder: str | Path,
    table: str | Path | None = None,
    *,
    file_column: str = "file",
    label_column: str = "label",
    size: int | tuple[int, int] | None = None,
) -> Samples:
    """The pictures that a table names; without a table those of a folder for each class, sorted.

    ``size`` as in ``pictures.picture``. A file may be named from the folder, from where the folder
    or the table lies, or from where you are; it has to lie in the folder. Hidden files and others
    without a row are left out.

    Raises ``ValueError`` for what is no folder, for a table that ``tables.rows`` or pictures that
    ``pictures.picture`` refuses, for files that are named and not there or named twice, for classes
    that are none, and for pictures of different sizes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: name the one that holds the pictures")
    there = inside(folder)
    if table is None:
        files, labels, notes = by_class(folder, there)
        paths = [there[name] for name in files]
    else:
        listed = rows(table, file_column, label_column)
        paths = found(listed, there, folder, Path(table))
        files, labels = [row.file for row in listed], [row.label for row in listed]
        extra = {name for name, path in there.items() if path.suffix.lower() not in OURS
                 and not path.samefile(table)} - {there_name(p, folder) for p in paths}  # fmt: skip
        notes = [f"{some(extra)} in {folder} without a row in {table}: left out"] * bool(extra)
    return Samples(
        stacked(paths, files, size), np.array(labels), files, paths, told(table, labels, notes)
    )


def arrays(
    path: str | Path,
    table: str | Path,
    *,
    file_column: str = "file",
    label_column: str = "label",
) -> Samples:
    """The rows of an array in a ``.npy`` file, numbers ``[N, D]`` or pictures uint8 ``[N, H, W]``
    or ``[N, C, H, W]``, and their labels in a table with as many rows, in the same order; a column
    of files is not needed. ``ValueError`` for others, and for numbers that are not finite."""
    labelled = labels_alone(table, file_column=file_column, label_column=label_column)
    if not Path(path).is_file():
        raise ValueError(f"{path} is not there: give the .npy file of the features")
    try:
        X = np.array(np.lib.format.open_memmap(path, mode="r"))  # whatever size the file claims
    except Exception as error:
        raise ValueError(f"{path} is damaged, or no array that numpy.save wrote: {error}"
                         ) from error  # fmt: skip
    kinds = "biuf" if X.ndim == 2 else "u"
    if X.ndim not in (2, 3, 4) or X.dtype.kind not in kinds or not X.size:
        raise ValueError(f"{path} must hold numbers [N, D], or pictures, uint8 [N, C, H, W] or "
                         f"[N, H, W]; it holds {X.dtype} {X.shape}")  # fmt: skip
    if len(X) != len(labelled.labels):
        raise ValueError(f"{path} has {len(X)} rows and {table} {len(labelled.labels)}: there must "
                         "be one for each, in the same order")  # fmt: skip
    if X.ndim == 2:
        X = X.astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
        if bad.size:
            raise ValueError(f"{path} holds {bad.size} rows that are not finite (NaN or infinite), "
                             f"the first at index {bad[0]}")  # fmt: skip
    return Samples(X, labelled.labels, labelled.files, None, labelled.notes)


def labels_alone(
    table: str | Path, *, file_column: str = "file", label_column: str = "label"
) -> Samples:
    """The labels of a table, and its files where it has a column of them."""
    listed = rows(table, file_column, label_column, files=False)
    labels, files = [row.label for row in listed], [row.file for row in listed]
    if any(files):
        check_unlike(table, listed, files)
    return Samples(None, np.array(labels), files if any(files) else None, None,
                   told(table, labels, []))  # fmt: skip


def told(table: str | Path | None, labels: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    """The notes, with those on the labels; ``ValueError`` if there is no label at all."""
    empty = sum(not label for label in labels)
    if empty == len(labels):
        raise ValueError(f"{table} has no label in any of its {empty} rows: nothing can be learnt")
    aside = [f"{empty} rows of {table} have no label: set aside"] * bool(empty)
    return tuple(notes + aside + [note for note in [alike(labels)] if note])


# ------------------------------------------------------------------------- files in a folder


def inside(folder: Path) -> dict[str, Path]:
    """The files below the folder that are not hidden, by ``there_name``."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    named = {there_name(path, folder): path for path in files}
    return {name: path for name, path in named.items()
            if not any(part.startswith(".") for part in name.split("/"))}  # fmt: skip


def there_name(path: Path, folder: Path) -> str:
    """A path from the folder, its letters composed as in no two ways; ``ValueError`` if no text."""
    name = unicodedata.normalize("NFC", path.relative_to(folder).as_posix())
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the name of the file {name!a} in {folder} is no UTF-8: rename it"
                         ) from None  # fmt: skip
    return name


def found(
    listed: Sequence[Row], there: dict[str, Path], folder: Path, table: Path
) -> list[Path]:  # fmt: skip
    """Where the file of each row lies; ``ValueError`` for one that does not, or is named twice."""
    names = [where(row.file, there, folder, table) for row in listed]
    missing = [row for row, name in zip(listed, names, strict=True) if name is None]
    if missing:
        raise ValueError(f"{len(missing)} files are in {table} but not in {folder}, for example "
                         f"{missing[0].file} in line {missing[0].line}")  # fmt: skip
    check_unlike(table, listed, names)
    return [there[name] for name in names]


def where(file: str, there: dict[str, Path], folder: Path, table: Path) -> str | None:
    """The name in the folder of a file as a table may write it; None if it is not there."""
    for name in (file, file.replace("\\", "/")):
        for base in (folder, folder.parent, table.parent, Path.cwd()):
            path = os.path.relpath(os.path.abspath(base / name), os.path.abspath(folder))
            path = unicodedata.normalize("NFC", path.replace(os.sep, "/"))
            if path in there:
                return path
    return None


def check_unlike(table: str | Path, listed: Sequence[Row], names: Sequence[str]) -> None:
    """``ValueError`` for a file that two rows name."""
    first: dict[str, int] = {}
    for row, name in zip(listed, names, strict=True):
        if name in first:
            raise ValueError(f"{table} names {name} twice, in lines {first[name]} and {row.line}; "
                             "leave one of them out")  # fmt: skip
        first[name] = row.line


def by_class(folder: Path, there: dict[str, Path]) -> tuple[list[str], list[str], list[str]]:
    """Files, the names of the folders they are in, which are their classes, and notes."""
    folders = [path.name for path in sorted(folder.iterdir())
               if path.is_dir() and not path.name.startswith(".")]  # fmt: skip
    if not folders or {name.lower() for name in folders} <= SPLITS:
        why = f"holds only {' and '.join(folders)}" if folders else "holds no folders"
        raise ValueError(f"{folder} {why}, and no table was given: name a table with the columns "
                         "file and label, or a folder that holds one folder a class")  # fmt: skip
    files = [name for name in there if "/" in name and name.lower().endswith(SUFFIXES)]
    if not files:
        raise ValueError(f"{folder} holds no pictures in the folders {', '.join(folders)}; "
                         f"pictures end in {', '.join(SUFFIXES)}")  # fmt: skip
    labels = [name.split("/")[0].strip() for name in files]
    extra = {name for name in there if not name.lower().endswith(OURS)} - set(files)
    empty = {unicodedata.normalize("NFC", name).strip() for name in folders} - set(labels)
    notes = [f"{some(extra)} in {folder}: no picture in a folder of a class, left out"] * bool(
        extra
    ) + [f"no picture in the folder {', '.join(sorted(empty))}: no class"] * bool(empty)
    return files, labels, notes


def some(names: set[str]) -> str:
    """How many, and the first three."""
    first = ", ".join(sorted(names)[:3])
    return f"{len(names)} files ({first}{', ...' if len(names) > 3 else ''})"


def stacked(
    paths: Sequence[Path], files: Sequence[str], size: int | tuple[int, int] | None
) -> np.ndarray:
    """uint8 ``[N, C, H, W]``; ``ValueError`` for pictures of different sizes."""
    first = picture(paths[0], size)
    stack = np.empty((len(paths), *first.shape), dtype=np.uint8)
    for i, path in enumerate(tqdm(paths, desc="reading", unit="picture", disable=None)):
        pixels = picture(path, size)
        if pixels.shape[1:] != stack.shape[2:]:
            sizes = [" x ".join(map(str, shape[-2:])) for shape in (pixels.shape, stack.shape)]
            raise ValueError(
                f"{files[i]} has {sizes[0]} pixels, {files[0]} {sizes[1]}: make them alike by "
                "--size 32 (size=32 in Python), which cuts each to a square and scales it"
            )
        if len(pixels) > stack.shape[1]:
            stack = np.repeat(stack, 3, axis=1)
        stack[i] = pixels  # a grey one fills all channels
    return stack
