"""Where things lie, files that are written whole or not at all, and locks.

A run is trained by one sweep at a time, also where several sweeps share a ledger. Its lock is an
empty file beside its checkpoint, locked by ``flock``: the kernel lets go of it when the last
process that holds it is gone, however it went, so that no crash leaves a run locked. A sweep shares
the lock with the worker that trains: a worker that outlives its killed sweep by an epoch still
holds it. Data sets, too, are fetched by one process at a time.
"""

import contextlib
import errno
import hashlib
import lzma
import os
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from multiprocessing import reduction
from multiprocessing.util import Finalize
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "results"
REPRODUCED = ROOT / "reproduced"
DAMAGED_ARRAYS = (
    *(ValueError, KeyError, TypeError, OSError, EOFError, MemoryError, OverflowError),
    *(NotImplementedError, zlib.error, zipfile.BadZipFile, struct.error, lzma.LZMAError),
    *(tokenize.TokenError, RecursionError),
)
"""What numpy may raise for a damaged `.npy` or `.npz`."""
TEMPORARY = "labelnoise-"  # begins the names of folders for temporary files
LONGEST_TMPDIR = 70  # characters: with 32 of a socket more, systems take 103 and more
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what file systems without them answer


def output() -> Path:
    """Where notebooks put figures and tables: ``$LABELNOISE_OUT``, by default ``reproduced/``."""
    return Path(os.environ.get("LABELNOISE_OUT") or REPRODUCED)


def own_temporaries() -> None:
    """Gives the temporary files of this process, those of its libraries included (sockets of
    workers, connection files of notebooks), a folder of their own. It is removed at the end of the
    process or, where that was killed, by the next one that calls this: nobody locks it any more."""
    base = Path(tempfile.gettempdir())
    if fcntl is None or len(os.fsencode(base)) + len(TEMPORARY) + 9 > LONGEST_TMPDIR:
        return
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=base))
    lock = take(folder / "lock")
    if lock is None or take(folder / "lock"):  # no locks here: nobody could tell who is gone
        shutil.rmtree(folder)
        return
    for left in base.glob(f"{TEMPORARY}*/lock"):
        with contextlib.suppress(OSError):  # another process removes it, too
            if left.parent.lstat().st_uid == os.getuid() and (free := take(left)):
                shutil.rmtree(left.parent)
                os.close(free.handle)
    tempfile.tempdir = str(folder)
    # After multiprocessing has removed what it has there.
    Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-200)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes ``content`` whole or not at all: temporary file beside it, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content.encode() if isinstance(content, str) else content
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def sha256(path: Path) -> str | None:
    """The SHA-256 of what the file holds; None if there is no file that can be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


class Lock:
    """A lock that is held until ``release``, or until every process that has it is gone. It can be
    passed to a process that is being started."""

    def __init__(self, path: Path, handle: int):
        self.path, self.handle = path, handle

    def release(self) -> None:
        """Removes the file first, while nobody else can have taken it."""
        with contextlib.suppress(OSError):  # a file that stays locks nobody out
            self.path.unlink()
        os.close(self.handle)

    def __reduce__(self) -> tuple:
        return received, (self.path, reduction.DupFd(self.handle))


def received(path: Path, duplicate) -> Lock:
    """The same lock, in another process."""
    return Lock(path, duplicate.detach())


def take(path: Path) -> Lock | None:
    """The lock of ``path``, or None while somebody else holds it. Raises ``OSError`` if the file
    cannot be made.

    Where the system has no such locks it is always given: two sweeps may then train a run twice,
    with the same result.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    return Lock(path, handle)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return Lock(path, handle)
            os.close(handle)
            if isinstance(error, BlockingIOError):
                return None
            raise
        os.close(handle)  # its holder has just removed the file: another one counts now
