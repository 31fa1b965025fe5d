"""What git knows of the committed records: which contents each file ever had, and which commits are
there. Where git, or the clone's history, is missing, less is known and nothing is wrong."""

import hashlib
import subprocess
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class History:
    """Of one directory, up to ``HEAD``.

    - ``commits``: commit -> when it was made, in seconds since 1970.
    - ``contents``: path below the directory -> the git hashes of all that was ever committed there.
    - ``shallow``: whether the clone lacks commits that ``git fetch --unshallow`` would bring.
    """

    directory: Path
    commits: dict[str, int]
    contents: dict[str, set[str]]
    shallow: bool

    def edited(self, name: str) -> str | None:
        """How the file is not the one that was committed first; None if it is, or never was."""
        committed = self.contents.get(name, set())
        if len(committed) > 1:
            return "was changed by a later commit than the one that added it"
        try:
            content = (self.directory / name).read_bytes()
        except OSError:
            return None  # the manifest misses it
        if committed and not {blob(content, len(hexes)) for hexes in committed} & committed:
            return "differs from what was committed: restore it with git"
        return None

    def gone(self, there: Container[str]) -> list[str]:
        """The records that were committed once and are not ``there``, by path."""
        return sorted(n for n in self.contents if n.endswith(".json") and n not in there)


def read(directory: Path) -> History | None:
    """The history of ``directory``; None without git, outside a repository, or if git has none of
    its files."""
    log = git(directory, "log", "--format=%H %ct")
    # Every change of every file, also by the merges themselves, a rename as what it is on disk.
    changes = ("--raw", "--no-abbrev", "--no-renames", "--full-history", "-m", "--relative")
    raw = git(directory, "log", "--format=", *changes, "--", ".")
    if not log or not raw:
        return None
    commits = dict(line.split() for line in log.splitlines())
    contents: dict[str, set[str]] = {}
    for line in raw.splitlines():  # :100644 100644 <before> <after> M<tab>path
        fields, _, name = line.partition("\t")
        after = fields.split()[3]
        if after.strip("0"):  # all zeros: deleted
            contents.setdefault(name, set()).add(after)
    return History(
        directory,
        {commit: int(made) for commit, made in commits.items()},
        contents,
        git(directory, "rev-parse", "--is-shallow-repository").strip() != "false",
    )


def git(directory: Path, *arguments: str) -> str:
    """What git answers, nothing if it cannot."""
    command = ["git", "--no-replace-objects", "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    except OSError:  # git is not installed
        return ""
    return done.stdout if done.returncode == 0 else ""


def blob(content: bytes, digits: int) -> str:
    """Git's name for a content: SHA-1, or SHA-256 in repositories with names of 64 digits. Looked
    up here, since git itself can be told to take a file for unchanged."""
    algorithm = hashlib.sha256 if digits == 64 else hashlib.sha1
    return algorithm(b"blob %d\0" % len(content) + content).hexdigest()
