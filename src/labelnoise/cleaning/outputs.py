"""The list of suspects, the probabilities that it was made of, and a page of pictures.

Every file is written whole or not at all.
"""

import io
import os
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from labelnoise.cleaning.inputs import Samples
from labelnoise.cleaning.pictures import picture
from labelnoise.files import write_atomically

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # how one begins
MOST = 2**32  # bytes of probabilities and names
SHOWN = 60
THUMBNAIL = 160  # pixels that the page needs of a side
A_ROW = 120  # bytes of a row of the list, beside its texts


def check(path: Path, option: str, inputs: Sequence[Path | None]) -> None:
    """``ValueError`` for a file that could not be written, or would replace one that is read."""
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "lies in a folder that does not exist"
        raise ValueError(f"{option} {path} {what}: name a file in a folder that does")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{option} {path} lies in a folder that you may not write to")
    for other in inputs:
        if other is not None and other.exists() and path.exists() and path.samefile(other):
            raise ValueError(f"{option} {path} would replace {other}, which is read: name another "
                             "file")  # fmt: skip


def check_room(folder: Path, samples: Samples) -> None:
    """``ValueError`` for a disk that is too full for what will be written, before any training."""
    N, K = len(samples.labels), len(np.unique(samples.labels))
    names = np.asarray(samples.files if samples.files is not None else [""])
    needed = 4 * N * K + 2 * names.nbytes + N * (A_ROW + 2 * samples.labels.itemsize)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(f"{folder} has room for {free:,} bytes, and the results need about "
                         f"{needed:,}: make room, or name another place by --out")  # fmt: skip


def written(path: Path, content: bytes | str) -> None:
    """Writes a file; ``OSError`` says which could not be written, and that it is as it was."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise OSError(f"{path} could not be written ({error.strerror}); what it held before is "
                      "still there") from error  # fmt: skip


# ----------------------------------------------------------------------------- the list


def save_list(path: Path, table: pd.DataFrame) -> None:
    """The list as a CSV in which no text can be taken for a formula."""
    safe = table.copy()
    for column in ("file", "label", "suggestion"):
        if column in safe:
            safe[column] = [harmless(text) for text in safe[column]]
    written(path, safe.to_csv(index=False, float_format="%.6g"))


def harmless(text: str) -> str:
    """The text, with an apostrophe before it if a spreadsheet would take it for a formula; a
    number, such as ``-1``, stays what it is."""
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return "'" + text
    return text


# ------------------------------------------------------------------------ probabilities


def save_probabilities(path: Path, p: np.ndarray, classes: np.ndarray, files: list | None) -> None:
    """``p`` ``[N, K]`` in float32, its ``classes`` ``[K]`` and ``files`` ``[N]``, as ``.npz``."""
    buffer = io.BytesIO()
    names = {} if files is None else {"files": np.asarray(files, dtype=str)}
    np.savez(buffer, p=p.astype(np.float32), classes=np.asarray(classes, dtype=str), **names)
    written(path, buffer.getvalue())


def probabilities(path: Path, samples: Samples) -> np.ndarray:
    """``[N, K]`` of ``samples``, the classes sorted, from a file as ``save_probabilities`` writes
    it. Its rows are found by their files, or without files by their order.

    ``ValueError`` for a file that is damaged or of another kind, for a sample that it does not
    hold, and for classes that are not those of the labels.
    """
    if not path.is_file():
        raise ValueError(f"--probabilities {path} is no file")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            if sum(member.file_size for member in found.zip.infolist()) > MOST:
                raise ValueError(f"it claims more than {MOST:,} bytes")
            parts = {name: found[name] for name in ("p", "classes", "files") if name in found}
        p, classes = parts["p"].astype(np.float64), parts["classes"].astype(str)
    except Exception as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{path} is damaged, or no file of probabilities, which numpy.savez writes of p "
            f"[N, K], classes [K] and files [N]: {why}"
        ) from error
    files = parts.get("files")
    if p.ndim != 2 or classes.shape != p.shape[1:] or not len(p):
        raise ValueError(f"{path} holds p of shape {p.shape} and classes of shape {classes.shape}: "
                         "they must be [N, K] and [K]")  # fmt: skip
    given = np.unique(samples.labels[samples.labelled])
    if not np.array_equal(np.sort(classes), given):
        odd = sorted(set(classes) ^ set(given))
        raise ValueError(f"{path} has {len(classes)} classes and the labels {len(given)}, and not "
                         f"in both are: {', '.join(odd[:5]) or 'one named twice'}; train again"
                         )  # fmt: skip
    return p[rows_of(samples, files, len(p), path)][:, np.argsort(classes)]


def rows_of(samples: Samples, files: np.ndarray | None, N: int, path: Path) -> np.ndarray:
    """Where the probabilities of each sample stand, int ``[N]``."""
    if files is not None and files.shape != (N,):
        raise ValueError(f"{path} holds {N} rows of p and files of shape {files.shape}: there must "
                         "be one for each row")  # fmt: skip
    if files is None or samples.files is None:
        if len(samples.labels) != N:
            raise ValueError(f"{path} holds {N} rows of p, for {len(samples.labels)} labels; "
                             "without names of files there must be one for each, in the same order"
                             )  # fmt: skip
        return np.arange(N)
    at = {name: i for i, name in enumerate(files.astype(str))}
    missing = [name for name in samples.files if name not in at]
    if missing:
        raise ValueError(f"{path} does not hold {len(missing)} files, for example {missing[0]}; "
                         "train again, without --probabilities")  # fmt: skip
    return np.array([at[name] for name in samples.files])


# ------------------------------------------------------------------------------ the page


def check_gallery(path: Path, samples: Samples, folder: Path, inputs: Sequence[Path | None]):
    """``ValueError`` for a page that could not be drawn of these samples, or not be written."""
    check(path, "--gallery", inputs)
    if path.suffix.lower() not in (".png", ".pdf"):
        raise ValueError(f"--gallery {path} must end in .png or .pdf")
    if samples.files is not None and samples.paths is None:
        places(samples.files[:1], folder)
    elif samples.paths is None and (samples.X is None or samples.X.ndim == 2):
        raise ValueError("--gallery shows pictures, and there are none: give the table a column of "
                         "their files, and --pictures where these lie")  # fmt: skip


def places(files: Sequence[str], folder: Path) -> list[Path]:
    """Where these files lie, below ``folder``; ``ValueError`` for one that does not."""
    found = [folder / name for name in files]
    for name, path in zip(files, found, strict=True):
        if not path.is_file():
            raise ValueError(f"--gallery: {name} is not in {folder}; name the folder of the "
                             "pictures by --pictures")  # fmt: skip
    return found


def gallery(path: Path, table: pd.DataFrame, samples: Samples, folder: Path) -> int:
    """Draws the first sixty of the list that have a label; returns how many there are."""
    import matplotlib.pyplot as plt

    from labelnoise.figures import style
    from labelnoise.figures.confident_learning import tiles

    first = table[table["label"] != ""].head(SHOWN)
    if samples.paths is not None:
        shown = [thumbnail(picture(samples.paths[i])) for i in first["index"]]
    elif samples.files is not None:
        shown = [thumbnail(picture(place)) for place in places(first["file"], folder)]
    else:
        shown = [thumbnail(x.reshape(-1, *x.shape[-2:])) for x in samples.X[first["index"]]]
    titles = [
        f"{short(row.label)}\n→ {short(row.suggestion)}\n{100 * row.suggestion_probability:.0f} %"
        for row in first.itertuples()
    ]
    buffer = io.BytesIO()
    with warnings.catch_warnings(), plt.rc_context():
        warnings.simplefilter("ignore", UserWarning)  # of letters that the font lacks
        plt.switch_backend("agg")
        style()
        figure = tiles(shown, titles, cmap="gray")
        figure.savefig(buffer, format=path.suffix[1:].lower())
        plt.close(figure)
    written(path, buffer.getvalue())
    return len(first)


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Every nth pixel of ``[C, H, W]``, as ``[H, W]`` or ``[H, W, 3]``."""
    step = max(1, max(pixels.shape[1:]) // THUMBNAIL)
    small = pixels[:, ::step, ::step].copy()
    return small[0] if len(small) == 1 else small.transpose(1, 2, 0)


def short(text: str, most: int = 14) -> str:
    """The text, cut to fit below a small picture."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
