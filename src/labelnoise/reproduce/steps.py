"""Steps of the main job: a step is done again only if something changed.

A step makes files below one directory. ``.made/<step>.json`` there says what it made from what:

- ``inputs``: what it was told, word -> SHA-256 of the canonical JSON;
- ``records``: what it looked up in the ledgers, path -> SHA-256 of the file, null for no file;
- ``outputs``: what it made, path below the directory -> SHA-256 of the file.

A step is done if all of these are still so. This file is removed before the step begins and written
after everything else, so that a step that failed or was killed is never taken as done.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from labelnoise import files
from labelnoise.files import take, write_atomically
from labelnoise.runs import ledger

PARTS = ("inputs", "records", "outputs")
MADE, MAKING = ".made", ".making"  # folders for what is finished and for what is under way


class Step:
    """``name`` is its name in ``.made``; ``inputs`` is all that it depends on, but for records."""

    def __init__(self, name: str, directory: Path, inputs: dict[str, object]):
        self.name, self.directory = name, directory
        self.inputs = {word: ledger.sha256(content) for word, content in inputs.items()}
        self.path = directory / MADE / f"{name}.json"
        self.before = read(self.path)

    def changed(self) -> str | None:
        """Why the step is to be done; None if it is done already."""
        if self.before is None:
            return "not made yet"
        inputs, records, outputs = (self.before[part] for part in PARTS)
        if changed := [word for word in self.inputs if self.inputs[word] != inputs.get(word)]:
            return f"changed: {', '.join(changed)}"
        for path, was in records.items():
            if (now := files.sha256(Path(path))) != was:
                how = "is gone" if now is None else "is new" if was is None else "changed"
                return f"the record {path} {how}"
        for name, was in outputs.items():
            if (now := files.sha256(self.directory / name)) != was:
                return f"{name} {'was deleted' if now is None else 'was changed by hand'}"
        return None

    def is_due(self, force: bool = False) -> bool:
        """Says, and returns, whether the step is to be done; with ``force`` it always is."""
        why = "asked for" if force else self.changed()
        print(f"{self.name}: {f'{why}; making it' if why else 'unchanged'}", flush=True)
        return why is not None

    @contextlib.contextmanager
    def making(self) -> Iterator[Path]:
        """A folder for the step's files, which is ``$LABELNOISE_OUT`` meanwhile. They are moved
        below the directory if all goes well; what an earlier run made there is removed first."""
        self.path.unlink(missing_ok=True)
        for name in self.before["outputs"] if self.before else ():
            (self.directory / name).unlink(missing_ok=True)
        (self.directory / MAKING).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.directory / MAKING) as folder:
            fresh, lookups = Path(folder) / self.name, Path(folder) / "lookups"
            with environment(LABELNOISE_OUT=str(fresh), **{ledger.LOOKUPS: str(lookups)}):
                yield fresh
            outputs = {}
            for path in sorted(path for path in fresh.rglob("*") if path.is_file()):
                name = path.relative_to(fresh).as_posix()
                outputs[name] = files.sha256(path)
                (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
                path.replace(self.directory / name)
            made = {"inputs": self.inputs, "records": looked_up(lookups), "outputs": outputs}
            write_atomically(self.path, json.dumps(made, indent=1) + "\n")


def read(path: Path) -> dict | None:
    """What a step made from what; None if nothing sound is there."""
    try:
        made = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    sound = isinstance(made, dict) and all(isinstance(made.get(part), dict) for part in PARTS)
    return made if sound else None


def looked_up(log: Path) -> dict[str, str | None]:
    """The files that were looked up and what was there, of each the first look: of one that changed
    meanwhile it is not known which the step rests on, and it will be seen to have changed."""
    found: dict[str, str | None] = {}
    for line in log.read_text().splitlines() if log.exists() else ():
        path, digest = json.loads(line)
        found.setdefault(path, digest)
    return found


@contextlib.contextmanager
def environment(**changes: str) -> Iterator[None]:
    """These variables inside, the caller's after."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Waits until no other job makes something below ``directory``, and removes what those left
    half-made that were killed."""
    directory.mkdir(parents=True, exist_ok=True)
    if (lock := take(directory / ".lock")) is None:
        print(f"waiting for another `make reproduce` that is writing to {directory}", flush=True)
    while lock is None:
        time.sleep(0.5)
        lock = take(directory / ".lock")
    try:
        shutil.rmtree(directory / MAKING, ignore_errors=True)
        yield
        shutil.rmtree(directory / MAKING, ignore_errors=True)
    finally:
        lock.release()
