"""Data sets that a machine makes once, from files that it has, and keeps beside the others.

A folder holds one of them: `inputs.npy` and `labels.npy`, first the training samples and then those
for tests, and `made.json`: how many are for training, the SHA-256 of both arrays, and what they
were made of. The last bits of what is made depend on the machine and its libraries: no checksum can
be published, and so these go into every record that is trained on them.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelnoise.data.formats import Labels
from labelnoise.data.published import damaged, find, read_bytes, verify
from labelnoise.files import DAMAGED_ARRAYS


def store(folder: Path, inputs: np.ndarray, labels: Labels, train: int, of: dict) -> None:
    """Write the arrays, of which the first `train` rows are for training, and what they were made
    of into `folder`, which nobody reads before it is whole (see `sources.obtain`)."""
    folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"train": train, "of": of}
    for name, array in (("inputs", inputs), ("labels", labels)):
        np.save(folder / f"{name}.npy", array)
        facts[name] = hashlib.sha256(array).hexdigest()
    (folder / "made.json").write_text(json.dumps(facts, indent=1) + "\n")


def read(place: str, split: str, roots: Sequence[Path], of: dict) -> tuple[np.ndarray, Labels]:
    """The inputs and labels of a split, if they are what was stored and were made of `of`.

    The inputs stay in the file, and processes that read them share its memory; what a caller
    writes into them is the caller's own.
    """
    path = find(f"{place}/made.json", roots)
    facts = described(path)
    for name, expected in of.items():
        if facts["of"].get(name) != expected:
            raise damaged(
                path, f"says that {name} was {facts['of'].get(name)}, but {expected} is needed"
            )
    arrays = []
    for name in ("inputs", "labels"):
        stored = path.with_name(f"{name}.npy")
        try:
            with find(f"{place}/{name}.npy", [path.parents[1]]).open("rb") as file:
                if file.read(6) != b"\x93NUMPY":
                    raise ValueError("it is no array of numpy")
            array = np.load(stored, mmap_mode="c")
        except DAMAGED_ARRAYS as error:
            raise damaged(stored, f"cannot be read: {error or type(error).__name__}") from None
        verify(array, facts[name], stored)
        arrays.append(np.asarray(array))
    chosen = slice(facts["train"]) if split == "train" else slice(facts["train"], None)
    inputs, labels = (array[chosen] for array in arrays)
    return inputs, labels.copy()


def described(path: Path) -> dict:
    """What a `made.json` says."""
    try:
        facts = json.loads(read_bytes(path))
        if set(facts) != {"train", "of", "inputs", "labels"}:
            raise ValueError(f"it has the keys {sorted(facts)}")
        if type(facts["train"]) is not int or type(facts["of"]) is not dict:
            raise ValueError("its train is no number, or its of no list of names")
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(path, f"cannot be read: {error}") from None
    return facts
