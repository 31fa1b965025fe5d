"""``results/MANIFEST.sha256``: the hash of every committed file, in the format of ``sha256sum``.

    cd results && sha256sum -c MANIFEST.sha256

A line is ``<SHA-256>  <path below results/>``; the lines are sorted by path. A record can be edited
and given fresh checksums by anybody who has this code. Its line here stands in another file, and a
line that is there is never changed by this module: a run gives one result, so that another content
under the same key is a finding. Maintainers add what is new, which prints what it added:

    python -m labelnoise.runs.manifest
"""

import hashlib
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from labelnoise.files import COMMITTED, Lock, take, write_atomically

NAME = "MANIFEST.sha256"
LINE = re.compile(r"([0-9a-f]{64})  ([^\\/][^\\]*)")
WAIT = 60.0  # seconds for another process that is adding lines, which takes it a moment


class ManifestError(RuntimeError):
    """A manifest that is missing or damaged, or a listed file that changed."""


def read(directory: Path) -> dict[str, str]:
    """Path below ``directory`` -> SHA-256, as the manifest there has them.

    Raises ``ManifestError`` if there is none, and for a line that is not one or a path twice.
    """
    path = directory / NAME
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read ({error}); restore it with git") from error
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = LINE.fullmatch(line)
        if match is None or ".." in PurePosixPath(match[2]).parts or match[2] in listed:
            raise ManifestError(
                f"{path}, line {number}: {line[:100]!r} is not a hash and a path of its own; "
                "restore the file with git"
            )
        listed[match[2]] = match[1]
    return listed


def add(directory: Path, paths: Iterable[Path]) -> list[str]:
    """Gives each of ``paths``, files below ``directory``, its line; returns the new ones, sorted.
    A first call makes the manifest. Several processes may add at once.

    Raises ``ManifestError`` for a file whose line has another hash (nothing is then added), for a
    damaged manifest, and if another process holds the manifest for a minute.
    """
    found = {path.relative_to(directory).as_posix(): sha256(path) for path in paths}
    lock = wait_for(directory / f".{NAME}.lock")
    try:
        listed = read(directory) if (directory / NAME).exists() else {}
        for name, now in found.items():
            if listed.get(name, now) != now:
                raise ManifestError(
                    f"{directory / name} is not the file that {NAME} lists: restore it with git. "
                    "Another result of the same config is a finding, to be looked into"
                )
        new = sorted(found.keys() - listed.keys())
        if new:
            lines = [f"{sha}  {name}\n" for name, sha in sorted({**listed, **found}.items())]
            write_atomically(directory / NAME, "".join(lines))
    finally:
        lock.release()
    return new


def check(directory: Path) -> dict[str, str]:
    """What is wrong between the manifest and the files, by path: another content than its line
    says, no file, no line. Empty if all is well.

    Raises ``ManifestError`` for a manifest that is missing or damaged.
    """
    listed, there = read(directory), files(directory)
    wrong = {}
    for name in sorted({*listed, *there}):
        if name not in there:
            wrong[name] = f"is listed in {NAME} and missing: restore it with git"
        elif name not in listed:
            wrong[name] = (
                f"has no line in {NAME}: move it away, or, if you have just made it, "
                "run python -m labelnoise.runs.manifest"
            )
        elif change := changed(there[name], listed[name]):
            wrong[name] = f"{change}: restore it with git"
    return wrong


def files(directory: Path) -> dict[str, Path]:
    """The files that have to be listed, by path: all but the manifest and what is hidden (locks,
    checkpoints, files that are being written)."""
    found = {}
    for path in sorted(directory.rglob("*")):
        below = path.relative_to(directory)
        hidden = any(part.startswith(".") for part in below.parts)
        if path.is_file() and not hidden and below.as_posix() != NAME:
            found[below.as_posix()] = path
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def changed(path: Path, listed: str) -> str | None:
    """How a file is not the one that is listed; None if it is."""
    try:
        now = sha256(path)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if now == listed else f"differs from its line in {NAME}"


def wait_for(path: Path) -> Lock:
    """The lock of ``path``, as soon as it is free."""
    until = time.monotonic() + WAIT
    while (lock := take(path)) is None:
        if time.monotonic() > until:
            raise ManifestError(f"another process holds {path} for {WAIT:g} s; end it, run again")
        time.sleep(0.05)
    return lock


def main() -> int:
    """Adds what is new in ``results/`` and says what; 1 if a listed file changed or is missing."""
    try:
        for name in add(COMMITTED, files(COMMITTED).values()):
            print(f"added {name}")
        wrong = check(COMMITTED)
    except (ManifestError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, why in wrong.items():
        print(f"error: {name} {why}", file=sys.stderr)
    print(f"{len(read(COMMITTED))} files listed in {COMMITTED / NAME}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
