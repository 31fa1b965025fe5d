"""One file for an archive such as Zenodo: the commit that is checked out, with ``MANIFEST.sha256``
over all its files.

    make archive

The same commit gives the same bytes. Unpacked, ``sha256sum -c MANIFEST.sha256`` verifies it.
"""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

from labelnoise.files import ROOT, write_atomically

MANIFEST = "MANIFEST.sha256"


def archive(root: Path = ROOT) -> Path:
    """Writes ``dist/labelnoise-<version>.tar.gz`` and returns its path.

    Raises ``ValueError`` where git is not there, and for changes that are not committed: they would
    not be in it.
    """
    if changes := git(root, "status", "--porcelain").decode():
        raise ValueError(f"the archive is of the commit, and there are changes:\n{changes}"
                         "commit them, or stash them")  # fmt: skip
    name = f"labelnoise-{version('labelnoise')}"
    made = int(git(root, "log", "-1", "--format=%ct"))
    packed = io.BytesIO(git(root, "archive", "--format=tar", f"--prefix={name}/", "HEAD"))
    out, sums = io.BytesIO(), []
    with tarfile.open(fileobj=packed) as commit, tarfile.open(fileobj=out, mode="w") as files:
        for member in commit:
            content = commit.extractfile(member).read() if member.isfile() else b""
            if member.isfile():
                place = member.name.removeprefix(f"{name}/")
                sums.append(f"{hashlib.sha256(content).hexdigest()}  {place}\n")
            files.addfile(member, io.BytesIO(content))
        listing = "".join(sums).encode()
        entry = tarfile.TarInfo(f"{name}/{MANIFEST}")
        entry.size, entry.mtime, entry.mode = len(listing), made, 0o644
        files.addfile(entry, io.BytesIO(listing))
    path = root / "dist" / f"{name}.tar.gz"
    write_atomically(path, gzip.compress(out.getvalue(), mtime=made))
    return path


def git(root: Path, *arguments: str) -> bytes:
    """What git says; ``ValueError`` with its complaint."""
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, check=True)
    except FileNotFoundError:
        raise ValueError("git is not installed: an archive is made of a commit") from None
    except subprocess.CalledProcessError as error:
        raise ValueError(f"git says: {error.stderr.decode().strip()}") from error
    return done.stdout


if __name__ == "__main__":
    try:
        path = archive()
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(f"{path} ({path.stat().st_size / 1e6:.0f} MB)")
