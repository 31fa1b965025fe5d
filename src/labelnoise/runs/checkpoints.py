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
from collections.abc import Sequence
from pathlib import Path

from labelnoise.config import Run
from labelnoise.files import Lock, take
from labelnoise.runs.ledger import Ledger
from labelnoise.training.methods import SHARED, first_training


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

    def clean(self, run: Run) -> None:
        """Removes what was half-written for ``run``, whose lock must be held, and its checkpoints
        once it is recorded."""
        record = self.ledger.path(run)
        stale = [*self.folder.glob(f"{run.key}.*.partial"), *record.parent.glob(f".{run.key}.*")]
        if record.exists():
            stale += [self.path(run), *self.folder.glob(f"{run.key}.[0-9]*.pt")]
        for path in stale:
            path.unlink(missing_ok=True)

    def clean_recorded(self, recorded: Sequence[Run]) -> None:
        """Removes what sweeps that were killed left beside the records of finished runs."""
        left = self.keys("*")
        for run in recorded:
            with contextlib.suppress(OSError):  # it is in nobody's way
                if run.key in left and (lock := self.lock(run)):
                    self.clean(run)
                    lock.release()

    def clean_shared(self, recorded: Sequence[Run]) -> None:
        """Removes the first trainings of runs that are all recorded. A half-written one stays while
        some run is under way, which may be writing it."""
        left = self.keys(f"*{SHARED}.*")
        endings = ("pt",) if any(self.folder.glob("*.lock")) else ("pt", "*.partial")
        for run in recorded if left else ():
            if run.warm_start and (key := first_training(run).key) in left:
                for ending in endings:
                    for path in self.folder.glob(f"{key}{SHARED}.{ending}"):
                        path.unlink(missing_ok=True)

    def keys(self, pattern: str) -> set[str]:
        """The keys of the files that are there."""
        return {path.name.partition(".")[0] for path in self.folder.glob(pattern)}
