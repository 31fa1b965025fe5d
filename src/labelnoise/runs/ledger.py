"""Records on disk: ``<ledger>/<dataset>/<key>.json``, one a run; large arrays beside it, ``.npz``.

There are two ledgers. ``results/`` is committed evidence: it is read, and no command but the
maintainers' writes it. ``reproduced/results/`` is this machine's. A record is written whole or
not at all, and is checked whenever it is read, by two checksums in its provenance: ``sha256`` is
the digest of what must be bit-identical on one machine, ``seal`` covers the provenance, too.
Records from before there was a seal have none; ``results/MANIFEST.sha256`` vouches for them.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from labelnoise import files
from labelnoise.config import Run, config_key
from labelnoise.files import DAMAGED_ARRAYS, write_atomically

EXACT = ("config", "result", "curves")  # bit-identical on one machine
PARTS = (*EXACT, "provenance")
LARGEST = 1 << 26
"""Bytes of an array, at most: the probabilities of 60 000 samples and 100 classes take 24 MB."""

LOOKUPS = "LABELNOISE_LOOKUPS"
"""Names, in the environment, a file for a line of JSON a look-up: ``[path, SHA-256 of what is there
or null]``. So the main job learns on which records a notebook rests, and which it found missing."""


class RecordError(RuntimeError):
    """A record that cannot be trusted or stored."""


class Ledger:
    """The records below one directory."""

    def __init__(self, directory: Path):
        self.directory = Path(directory)

    def path(self, run: Run) -> Path:
        return self.directory / run.dataset / f"{run.key}.json"

    def find(self, run: Run) -> dict | None:
        """The record of ``run``, or None if there is none.

        Raises ``RecordError`` for a record that is damaged, edited, or of another config.
        """
        path = self.path(run)
        note(path)
        return read(path) if path.exists() else None

    def arrays(self, run: Run) -> dict[str, np.ndarray] | None:
        """The large arrays of ``run`` by name, None if they are not there: of the committed records
        only those that a notebook shows are kept.

        Raises ``RecordError`` for arrays that are not the record's.
        """
        path = self.path(run).with_suffix(".npz")
        record = self.find(run)
        note(path)
        if record is None or not path.exists():
            return None
        try:
            arrays = unpacked(path, record["result"]["arrays"])
            if fingerprints(arrays) != record["result"]["arrays"]:
                raise ValueError("their checksums are not those of the record")
        except DAMAGED_ARRAYS as error:
            raise RecordError(
                f"arrays {path} are damaged or belong to another run "
                f"({error or type(error).__name__}); delete them and the record, and run again, or "
                "restore them with git"
            ) from error
        return arrays

    def records(self) -> Iterator[dict]:
        """Every record, in the order of their paths."""
        for path in sorted(self.directory.glob("*/*.json")):
            yield read(path)

    def write(self, record: dict) -> Path:
        """Stores ``record`` and returns its path. A finished record is never overwritten by
        another result: the same config gives the same numbers, and a difference is a finding.

        ``record["arrays"]``, name -> array, is stored beside it as ``<key>.npz``, and the SHA-256
        of each array in the record's ``result["arrays"]``.

        Raises ``RecordError`` if the ledger cannot be written, or holds another result.
        """
        arrays = record.get("arrays")
        if arrays:
            record = {**record, "result": {**record["result"], "arrays": fingerprints(arrays)}}
        record = seal(record)
        config = record["config"]
        path = self.directory / config["dataset"] / f"{config_key(config)}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                if digest(read(path)) != digest(record):
                    raise RecordError(
                        f"{path} already holds another result of the same config; "
                        "move it away to keep the new one"
                    )
                return path
            if arrays:
                buffer = io.BytesIO()
                np.savez_compressed(buffer, **arrays)
                write_atomically(path.with_suffix(".npz"), buffer.getvalue())
            write_atomically(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
        except OSError as error:
            raise RecordError(
                f"cannot write the record {path}: {error}; free some space or make "
                "the directory writable, then run again: finished runs are kept"
            ) from error
        return path


def unpacked(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The arrays of a `.npz`. ``ValueError``, before anything is unpacked, if it has other names or
    claims more than ``LARGEST`` bytes for one of them."""
    with zipfile.ZipFile(path) as packed:
        members = packed.infolist()
        if sorted(member.filename for member in members) != sorted(f"{n}.npy" for n in names):
            raise ValueError("their names are not those of the record")
        if (most := max(member.file_size for member in members)) > LARGEST:
            raise ValueError(f"one claims {most} bytes")
        for member in members:
            if member.flag_bits & 1:
                raise ValueError("they are encrypted")
        return {m.filename[:-4]: np.load(io.BytesIO(packed.read(m))) for m in members}


def note(path: Path) -> None:
    """Adds a line to the file that ``$LABELNOISE_LOOKUPS`` names, if it names one."""
    if log := os.environ.get(LOOKUPS):
        with open(log, "a") as file:
            file.write(json.dumps([str(path.absolute()), files.sha256(path)]) + "\n")


def seal(record: dict) -> dict:
    """The record with both checksums in its provenance: ``sha256``, its digest, and ``seal``."""
    record = {part: record[part] for part in PARTS}
    record["provenance"] = {**record["provenance"], "sha256": digest(record)}
    record["provenance"]["seal"] = seal_of(record)
    return record


def digest(record: dict) -> str:
    """SHA-256 of the canonical JSON of what must be bit-identical on one machine: ``config``,
    ``result`` and ``curves``."""
    return sha256({part: record[part] for part in EXACT})


def seal_of(record: dict) -> str:
    """SHA-256 of the canonical JSON of all four parts but the seal itself."""
    whole = {part: record[part] for part in PARTS}
    whole["provenance"] = {k: v for k, v in record["provenance"].items() if k != "seal"}
    return sha256(whole)


def sha256(content: object) -> str:
    """SHA-256 of the canonical JSON: keys sorted, no spaces, floats by their shortest digits."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def fingerprints(arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """The SHA-256 of each array: of its type, its shape and its bytes in C order."""
    return {
        name: hashlib.sha256(f"{a.dtype.str} {a.shape} ".encode() + a.tobytes()).hexdigest()
        for name, a in arrays.items()
    }


def read(path: Path) -> dict:
    """The record at ``path``, verified: complete, with every key once, its config, result and
    curves unedited, its provenance, too, where there is a seal, and under the key of its config.

    Raises ``RecordError`` for any other, and for what cannot be read.
    """
    try:
        content = path.read_bytes()
        known = path.stem, hashlib.sha256(content).digest()
        if known in VERIFIED:
            return json.loads(content)
        record = json.loads(content.decode(), object_pairs_hook=each_key_once)
        if set(record) != set(PARTS) or record["provenance"]["sha256"] != digest(record):
            raise ValueError("its checksum does not match its content")
        if record["provenance"].get("seal") not in (None, seal_of(record)):
            raise ValueError("its seal does not match its content")
        if config_key(record["config"]) != path.stem:
            raise ValueError("its name is not the key of its config")
    except OSError as error:
        raise RecordError(
            f"record {path} cannot be read ({error.strerror}); make it a readable file, or restore "
            "it with git"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise RecordError(
            f"record {path} is damaged or was edited ({why}); delete it and run "
            "again, or restore it with git"
        ) from error
    VERIFIED.add(known)
    return record


VERIFIED: set[tuple[str, bytes]] = set()
"""Name and SHA-256 of every file that was found sound: the same bytes are not verified again, which
is four fifths of reading a record."""


def each_key_once(pairs: list[tuple[str, object]]) -> dict:
    """A JSON object; ``ValueError`` for a key that it has twice, of which readers differ in which
    one they believe."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has the key {max(names, key=names.count)!r} twice")
    return made
