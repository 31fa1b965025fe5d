"""How bytes arrive: over http, or through the client of a package registry.

Whoever watches sees a progress bar; a log file gets plain lines. Everything here gives up in
seconds when there is no network, and takes nothing that ended early. What a server sends is bounded
by what is expected: in bytes, and in the seconds for all of them.
"""

import errno
import http.client
import io
import os
import shutil
import socket
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

SLOWEST = 10_000
"""Bytes a second, below which a download is given up after `PATIENCE` seconds more."""

PATIENCE = 120.0

SPARE = 1 << 20
"""Bytes that may arrive beyond twice what is expected: for a file that its publisher changed, whose
checksum then says so."""

SPARE_OF_CLIENTS = 1 << 28
"""The same for package clients, which fetch lists of packages, too."""

LARGEST = 1 << 28
"""Bytes that a file may take which is taken out of an archive: all of ours take less."""


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


class InTime(io.RawIOBase):
    """What a server sends, `received` bytes so far; OSError for a read after the `deadline`. The
    timeout of a socket bounds each read, and not their number, of one byte each at the least."""

    def __init__(self, url: str, raw: io.RawIOBase, deadline: float):
        self.url, self.raw, self.deadline, self.received = url, raw, deadline, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        if time.monotonic() > self.deadline:
            raise urllib.error.URLError(f"{self.url} is too slow: {self.received} bytes so far")
        count = self.raw.readinto(buffer)
        self.received += count
        return count

    def close(self) -> None:
        self.raw.close()
        super().close()


class InTimeHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """urllib's way to open an address, where an answer has to arrive in time: its head included,
    and with all that lead on to other addresses, `seconds` after this is made."""

    def __init__(self, seconds: float):
        super().__init__()
        self.deadline = time.monotonic() + seconds

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self.connecting(http.client.HTTPConnection, request), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self.connecting(http.client.HTTPSConnection, request), request)

    def connecting(self, kind: type, request: urllib.request.Request) -> Callable:
        def answer(arriving: socket.socket, **options) -> http.client.HTTPResponse:
            made = http.client.HTTPResponse(arriving, **options)
            in_time = InTime(request.full_url, made.fp.detach(), self.deadline)
            made.fp = io.BufferedReader(in_time)
            return made

        def connect(host: str, **options) -> http.client.HTTPConnection:
            connection = kind(host, **options)
            connection.response_class = answer
            return connection

        return connect


def download(url: str, path: Path, *, size: int) -> None:
    """Download `url`, of about `size` bytes, to `path`.

    Raises OSError when the server fails, stalls or stops early, and when it sends far more than
    `size` bytes or takes far longer than they need.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "labelnoise"})
    most = 2 * size + SPARE
    opener = urllib.request.build_opener(InTimeHandler(PATIENCE + size / SLOWEST))
    with opener.open(request, timeout=TIMEOUT) as response, path.open("wb") as file:
        expected = int(response.headers["Content-Length"] or 0)
        with progress(path.name, expected or None) as advance:
            # read1: read would wait for all 64 KB, however slowly they come.
            while chunk := response.read1(1 << 16):
                if max(expected, file.tell() + len(chunk)) > most:
                    raise urllib.error.URLError(f"{url} sends more than {most} bytes, not {size}")
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
            claimed = opened.getinfo(member).file_size if zipped else opened.getmember(member).size
            if claimed > LARGEST:
                raise DataError(f"{member} in {archive.name} takes {claimed} bytes")
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            with content, (folder / place).open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)


def run_client(command: Sequence[str], folder: Path, *, size: int) -> None:
    """Run a package client in `folder`, where it is to leave about `size` bytes.

    Raises DataError with the client's own words when it is not installed, fails, or nothing
    arrives for `STALL` seconds, or far too much, or far too slowly; OSError when it found the disk
    full.
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
    began = last_growth = time.monotonic()
    while process.poll() is None:
        time.sleep(0.1)
        now = _size(folder)
        if now > stored:  # npm stores a package twice, so cut at its size
            advance(min(now - before, size) - min(stored - before, size))
            stored, last_growth = now, time.monotonic()
        elif time.monotonic() - last_growth > STALL:
            raise DataError(f"nothing arrived for {STALL:.0f} seconds")
        if now - before > 2 * size + SPARE_OF_CLIENTS:
            raise DataError(f"{now - before} bytes arrived, where {size} were expected")
        if time.monotonic() - began > PATIENCE + size / SLOWEST:
            raise DataError(f"too slow: {now - before} bytes arrived so far")
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
