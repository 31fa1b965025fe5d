"""Records for the tests of the audit: small, really trained, and forged with care."""

import copy
import json
from pathlib import Path

from factory import quick
from labelnoise.config import Run
from labelnoise.runs import ledger, manifest
from labelnoise.runs.ledger import Ledger
from labelnoise.training.loop import summarise


def run(seed: int = 0, loss: str = "CE", epochs: int = 2) -> Run:
    return quick(seed, loss=loss, epochs=epochs)


def sealed(record: dict, *, old: bool = False) -> dict:
    """The record with fresh checksums; an ``old`` one, from before there were seals, has no
    processor either, but a word."""
    record = ledger.seal(record)
    if old:
        for name in ("seal", "processor"):
            record["provenance"].pop(name, None)
    return record


def put(directory: Path, record: dict, *, old: bool = False) -> str:
    """Writes a record over whatever is there; returns its path below ``directory``."""
    path = Ledger(directory).path(Run(**record["config"]))
    ledger.write_atomically(path, json.dumps(sealed(record, old=old), indent=1))
    return path.relative_to(directory).as_posix()


def list_all(directory: Path) -> None:
    """A manifest of what is there now, as a forger would write it."""
    (directory / manifest.NAME).unlink(missing_ok=True)
    manifest.add(directory, manifest.files(directory).values())


def changed(record: dict, **parts: dict) -> dict:
    """A copy with other fields in ``config``, ``result``, ``curves`` or ``provenance``."""
    return copy.deepcopy({name: {**part, **parts.get(name, {})} for name, part in record.items()})


def consistent(record: dict) -> dict:
    """The record with a result that follows from its curves."""
    result = record["result"]
    summary = summarise(record["curves"], result["noise_rate"], result["diverged_at"])
    return changed(record, result=summary)


def moved(record: dict, by: float) -> dict:
    """The record with every test accuracy, and what follows from them, moved."""
    curve = [value + by for value in record["curves"]["test_accuracy"]]
    return consistent(changed(record, curves={"test_accuracy": curve}))


def plus(values: object, by: float) -> object:
    """Every number in ``values`` and that much."""
    if isinstance(values, dict):
        return {name: plus(value, by) for name, value in values.items()}
    if isinstance(values, list):
        return [plus(value, by) for value in values]
    return values + by if isinstance(values, int | float) else values
