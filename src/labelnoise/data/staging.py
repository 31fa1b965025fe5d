"""How what is fetched comes to lie where it is read: by one process at a time, in a folder that no
reader looks into, from which it is renamed into place once it is whole and verified."""

import errno
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from labelnoise.data.download import DataError
from labelnoise.files import take

DAY = 86400

DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOTDIR: "a part of the path is a file, not a directory",
    errno.EEXIST: "a file of that name is in the way",
    errno.EISDIR: "a directory of that name is in the way",
    errno.EIO: "the disk reports an error",
}


@contextmanager
def tidied_after_sigterm() -> Iterator[None]:
    """SIGTERM inside ends the process as it would, but by an exception: half a download and its
    lock are removed on the way. Where a program handles the signal itself, it is left to do so."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """One process at a time gets in; yields whether it had to wait for another."""
    waited = False
    while (lock := take(path)) is None:
        waited = True
        time.sleep(0.2)
    try:
        yield waited
    finally:
        lock.release()


@contextmanager
def writing_to(target: Path) -> Iterator[None]:
    """Create `target`; turn what the disk refuses into an error that names the directory."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if not is_disk_error(error):
            raise
        raise DataError(
            f"cannot write to the data directory {target}: {DISK_ERRORS[error.errno]} ({error})\n"
            "  remedy: free or unlock it, or put a writable directory first in LABELNOISE_DATA"
        ) from None


def is_disk_error(error: Exception) -> bool:
    # A refused connection is an OSError too, but urllib wraps those.
    return (
        isinstance(error, OSError)
        and not isinstance(error, urllib.error.URLError)
        and error.errno in DISK_ERRORS
    )


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A temporary folder in `target`: on the same file system, so that a rename is atomic.

    The folder around it is locked while this process lives. What a killed process left is known by
    its lock that nobody holds, and removed; where there are no locks, after a day.
    """
    with ExitStack() as stack:
        with alone(target / ".fetch.lock"):  # nobody looks at a folder that is not yet locked
            around = tempfile.TemporaryDirectory(
                prefix=".fetch-", dir=target, ignore_cleanup_errors=True
            )
            folder = Path(stack.enter_context(around))
            stack.callback(take(folder / "lock").release)
            second = take(folder / "lock")
            if second:  # there are no locks here
                os.close(second.handle)
            for other in set(target.glob(".fetch-*/")) - {folder}:
                _remove_if_left(other, locks=second is None)
        (folder / "files").mkdir()
        yield folder / "files"


def _remove_if_left(folder: Path, *, locks: bool) -> None:
    """Remove a folder whose process is gone."""
    with suppress(OSError):  # its process is removing it
        if locks and (folder / "lock").exists():
            if lock := take(folder / "lock"):
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()
        elif time.time() - folder.stat().st_mtime > DAY:
            shutil.rmtree(folder, ignore_errors=True)


def land(folder: Path, target: Path) -> None:
    """Move every file of `folder` to the same place under `target`, each whole or not at all.

    Where there are no locks, processes that fetch at the same time land the same content twice.
    """
    for source in sorted(path for path in folder.rglob("*") if path.is_file()):
        destination = target / source.relative_to(folder)
        destination.parent.mkdir(parents=True, exist_ok=True)
        _sync(source)
        os.replace(source, destination)
        _sync(destination.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
