"""The folder ``.checkpoints`` of a ledger: all that there is of runs without a record.

- ``<key>.lock``: held by the sweep that trains the run, and by its worker;
- ``<key>.pt``: the checkpoint of the run, ``<key>.<n>.pt`` that of its n-th training of several;
- ``<key>.shared.pt``: a first training that several runs begin with, under its own key;
- ``<name>.<process>.partial``: any of these, half-written.

Once a run is recorded none of it is left, whoever was killed meanwhile.
"""

import contextlib
import errno
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from labelnoise.config import Run
from labelnoise.files import Lock, take
from labelnoise.runs.ledger import Ledger
from labelnoise.training.methods import first_training
from labelnoise.training.stages import SHARED


class Checkpoints:
    """Those of the runs of one ledger."""

    def __init__(self, ledger: Ledger):
        self.ledger = ledger
        self.folder = ledger.directory / ".checkpoints"

    def path(self, run: Run) -> Path:
        return self.folder / f"{run.key}.pt"

    def lock(self, run: Run) -> Lock | None:
        """The lock of ``run``, None while another sweep has it. ``OSError`` if it has no place."""
        return take(self.folder / f"{run.key}.lock")

    def make_folders(self, todo: Sequence[Run]) -> None:
        """The folders for checkpoints and records of ``todo``. ``OSError`` if they are closed."""
        for folder in {self.folder, *(self.ledger.path(run).parent for run in todo)}:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def was_left(self, run: Run) -> bool:
        """Whether a lock of ``run`` lies there. Who lets go of one removes it: it is held, or its
        holder was killed, and may have left something half-written."""
        return (self.folder / f"{run.key}.lock").exists()

    def clean(self, run: Run, half_written: bool = True) -> None:
        """Removes the checkpoints of ``run``, whose lock must be held, once it is recorded, and
        what is ``half_written`` for it. To look for that takes the longer the more files there are:
        it is left out where nobody was killed."""
        record, stale = self.ledger.path(run), []
        if half_written:
            stale += self.folder.glob(f"{run.key}.*.partial")
            stale += record.parent.glob(f".{run.key}.*")
        if record.exists():
            numbers = range(1, run.trainings + 1)
            stale += [self.path(run), *(self.folder / f"{run.key}.{n}.pt" for n in numbers)]
        for path in stale:
            path.unlink(missing_ok=True)

    def clean_recorded(self, recorded: Sequence[Run]) -> None:
        """Removes what sweeps that were killed left beside the records of finished runs."""
        left = self.left("*")
        for run in recorded if left else ():
            with contextlib.suppress(OSError):  # it is in nobody's way
                if run.key in left and (lock := self.lock(run)):
                    suffixes = {path.suffix for path in left[run.key]}
                    self.clean(run, half_written=not suffixes.isdisjoint((".lock", ".partial")))
                    lock.release()

    def clean_shared(self, recorded: Sequence[Run]) -> None:
        """Removes the first trainings of runs that are all recorded. A half-written one stays while
        some run is under way, which may be writing it."""
        left = self.left(f"*{SHARED}.*")
        busy = bool(left) and any(self.folder.glob("*.lock"))
        for run in recorded if left else ():
            for path in left.pop(first_training(run).key, ()) if run.warm_start else ():
                if path.suffix == ".pt" or not busy:
                    path.unlink(missing_ok=True)

    def left(self, pattern: str) -> dict[str, list[Path]]:
        """The files that are there, by key."""
        found = defaultdict(list)
        for path in self.folder.glob(pattern) if self.folder.is_dir() else ():
            found[path.name.partition(".")[0]].append(path)
        return found
