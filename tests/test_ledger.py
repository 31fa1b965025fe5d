"""A record is written whole or not at all, and believed only when it is whole."""

import io
import json
import os
import subprocess
import sys
import textwrap
import zipfile
from random import Random

import numpy as np
import pytest

from labelnoise.config import config_key
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.runs import ledger
from labelnoise.runs.ledger import Ledger, RecordError


def run(**changes: object) -> Run:
    return Run("digits", noisy("symmetric", 0.6), {"name": "CE"}, "mlp", MNIST_PROTOCOL, **changes)


def record(of: Run | None = None, last: float | None = 51.25) -> dict:
    of = of or run()
    return {
        "config": of.config,
        "result": {"last": last, "best": 90.0},
        "curves": {"test_accuracy": [90.0, last]},
        "provenance": {"device": "here", "seconds": 1.5},
    }


def files(directory) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


@pytest.fixture
def book(tmp_path) -> Ledger:
    return Ledger(tmp_path / "results")


# ---------------------------------------------------------------------------- writing and finding


def test_what_is_written_is_found_under_the_key_of_its_config(book):
    value = 0.1 + 0.2  # floats survive to the last bit
    path = book.write(record(last=value))
    found = book.find(run())
    assert {part: found[part] for part in ("config", "result", "curves")} == {
        part: record(last=value)[part] for part in ("config", "result", "curves")
    }
    assert record()["provenance"].items() <= found["provenance"].items()
    assert book.find(run(seed=1)) is None
    assert path == book.path(run())
    assert files(book.directory) == [f"digits/{config_key(run().config)}.json"]
    assert json.loads(path.read_text())["config"] == run().config, "plain JSON"
    assert path.stat().st_mode & 0o777 == 0o644, "that others may read"


def test_records_come_in_the_order_of_their_paths(book):
    assert list(book.records()) == []
    assert not book.directory.exists(), "looking makes nothing"
    for seed in (3, 1, 2):
        book.write(record(run(seed=seed), last=None))  # diverged
    keys = [config_key(r["config"]) for r in book.records()]
    assert keys == sorted(run(seed=seed).key for seed in (1, 2, 3))


def test_nan_is_never_written(book):
    with pytest.raises(ValueError, match="not JSON compliant"):
        book.write(record(last=float("nan")))
    assert not book.directory.exists() or files(book.directory) == []


# ----------------------------------------------------------------------------- nothing overwritten


@pytest.mark.parametrize("part", ["result", "curves"])
def test_a_finished_record_is_never_overwritten_by_another_result(part, book):
    path = book.write(record())
    before, other = path.read_bytes(), record()
    other[part]["x"] = [80.0]
    with pytest.raises(RecordError, match=r"already holds another result .* move it away"):
        book.write(other)
    assert path.read_bytes() == before


def test_the_same_result_again_changes_nothing(book):
    path = book.write(record())
    before, again = path.read_bytes(), record()
    again["provenance"]["device"] = "elsewhere"
    assert book.write(again) == path
    assert path.read_bytes() == before


def test_a_damaged_record_is_not_overwritten_either(book):
    path = book.write(record())
    path.write_text("{")
    with pytest.raises(RecordError, match="is damaged"):
        book.write(record())
    assert path.read_text() == "{"


# ------------------------------------------------------------------------ damaged, edited, renamed


def edited(change):
    def damage(text: str) -> str:
        content = json.loads(text)
        change(content)
        return json.dumps(content, indent=1)

    return damage


def set_to(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(content: dict) -> None:
        for key in keys:
            content = content[key]
        content[last] = value

    return edited(change)


DAMAGES = {
    "empty": lambda text: "",
    "truncated": lambda text: text[: len(text) // 2],
    "last brace lost": lambda text: text.rstrip()[:-1],
    "not json": lambda text: "<<<<<<< HEAD\n" + text,
    "no text": lambda text: "\udcff",
    "a list": lambda text: "[1, 2]",
    "a number": lambda text: "7",
    "null": lambda text: "null",
    "provenance no dict": set_to("provenance", 3),
    "result edited": set_to("result", "last", 96.81),
    "result by the last digit": set_to("result", "last", 51.250000000000007),
    "curve edited": set_to("curves", "test_accuracy", 0, 89.0),
    "config edited": set_to("config", "seed", 1),
    "field added": set_to("result", "better", 1.0),
    "part added": set_to("note", "x"),
    "part lost": edited(lambda content: content.pop("curves")),
    "checksum lost": edited(lambda content: content["provenance"].pop("sha256")),
    "checksum edited": set_to("provenance", "sha256", "0" * 64),
    "provenance edited": set_to("provenance", "device", "elsewhere"),
    "seal edited": set_to("provenance", "seal", "0" * 64),
    "a key twice": lambda text: text.replace('"last": 51.25', '"last": 96.81, "last": 51.25'),
    "nested too deep": lambda text: "[" * 200_000 + "]" * 200_000,
    "nan": set_to("result", "last", float("nan")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_edited_record_is_refused_with_the_remedy(damage, book):
    path = book.write(record())
    path.write_bytes(DAMAGES[damage](path.read_text()).encode(errors="surrogateescape"))
    for read in (lambda: book.find(run()), lambda: list(book.records())):
        with pytest.raises(RecordError, match=rf"{path.name} is damaged .* delete it .* git"):
            read()


def npz(**arrays: object) -> bytes:
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    return packed.getvalue()


def npy(array: np.ndarray) -> bytes:
    packed = io.BytesIO()
    np.save(packed, array)
    return packed.getvalue()


def marked(raw: bytes, place: int, value: int) -> bytes:
    """A zip of one member, with a byte of its directory set."""
    content, directory = raw.split(b"PK\1\2")
    return content + b"PK\1\2" + directory[:place] + bytes([value]) + directory[place + 1 :]


def of_enormous_shape() -> bytes:
    """An array of 200 bytes whose header says that it is larger than any memory."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        header = npy(np.zeros(25)).replace(b"(25,), }" + b" " * 15, b"(25" + b"0" * 15 + b",), }")
        opened.writestr("p.npy", header)
    return packed.getvalue()


ARRAYS = {
    "empty": lambda raw: b"",
    "an array alone": lambda raw: npy(np.zeros(5)),
    "of an enormous shape": lambda raw: of_enormous_shape(),
    "of objects": lambda raw: npz(p=np.array([None, 1])),
    "of other names": lambda raw: npz(q=np.zeros(5)),
    "one more": lambda raw: npz(p=np.zeros(5), q=np.zeros(5)),
    "encrypted": lambda raw: marked(raw, 4, 1),
    "packed in an unknown way": lambda raw: marked(raw, 6, 99),
    "of a later zip": lambda raw: marked(raw, 2, 150),
}


@pytest.fixture
def with_arrays(book) -> Ledger:
    book.write({**record(), "arrays": {"p": np.linspace(0, 1, 200)}})
    return book


@pytest.mark.parametrize("damage", ARRAYS)
def test_arrays_that_are_not_the_records_are_refused_by_name(damage, with_arrays):
    path = with_arrays.path(run()).with_suffix(".npz")
    path.write_bytes(ARRAYS[damage](path.read_bytes()))
    with pytest.raises(RecordError, match=rf"arrays {path} are damaged"):
        with_arrays.arrays(run())


def test_damaged_arrays_are_refused_by_name_whatever_was_damaged(with_arrays):
    """A byte changed, cut off or inserted, 150 times."""
    path, random = with_arrays.path(run()).with_suffix(".npz"), Random(2)
    whole, same = path.read_bytes(), with_arrays.arrays(run())["p"]
    refused = 0
    for _ in range(150):
        place, byte = random.randrange(len(whole)), bytes([random.randrange(256)])
        cut = random.choice((0, 1, len(whole)))
        path.write_bytes(whole[:place] + byte + whole[place + cut :])
        try:
            assert np.array_equal(with_arrays.arrays(run())["p"], same)
        except RecordError as error:
            refused += str(path) in str(error)
    assert refused > 120


def test_arrays_that_claim_too_much_are_refused_before_they_are_unpacked(with_arrays, monkeypatch):
    path = with_arrays.path(run()).with_suffix(".npz")
    path.write_bytes(npz(p=np.zeros(ledger.LARGEST // 8, dtype=np.int64)))
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *arguments: pytest.fail("unpacked"))
    with pytest.raises(RecordError, match=rf"one claims {ledger.LARGEST + 128} bytes"):
        with_arrays.arrays(run())


def test_no_flipped_bit_changes_what_a_record_says(book):
    """Each byte in turn: the record is refused by name, or still says the same (a space that became
    another one). Only without the name of its seal it is read as one from before there were seals,
    for which the manifest vouches."""
    path = book.write(record())
    whole, same = path.read_bytes(), book.find(run())
    name = whole.index(b'"seal"')
    refused = 0
    for place in {*range(len(whole))} - {*range(name, name + 6)}:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            assert book.find(run()) == same
        except RecordError as error:
            refused += str(path) in str(error) and "or restore it with git" in str(error)
    assert refused > 0.8 * len(whole)


def test_a_record_from_before_the_seal_is_read_and_its_numbers_are_held(book):
    path = book.write(record())
    old = json.loads(path.read_text())
    del old["provenance"]["seal"]
    path.write_text(json.dumps(old))
    assert book.find(run()) == old
    old["result"]["best"] = 99.0
    path.write_text(json.dumps(old))
    with pytest.raises(RecordError, match="its checksum does not match"):
        book.find(run())


@pytest.mark.parametrize("lookups", [True, False])
def test_a_directory_in_the_place_of_a_record_is_refused_by_name(lookups, book, monkeypatch):
    if lookups:
        monkeypatch.setenv(ledger.LOOKUPS, str(book.directory / "lookups"))
    book.path(run()).mkdir(parents=True)
    with pytest.raises(RecordError, match=rf"{run().key}.json cannot be read .*restore it"):
        book.find(run())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_an_unreadable_record_is_refused_by_name(book):
    book.write(record()).chmod(0)
    with pytest.raises(RecordError, match=rf"{run().key}.json cannot be read .*restore it"):
        book.find(run())


def test_a_record_needs_the_name_of_its_config(book):
    """Renamed, or turned into another run's with a fresh checksum."""
    path = book.write(record())
    content = json.loads(path.read_text())
    content["config"]["seed"] = 1
    path.write_text(json.dumps(ledger.seal(content)))
    with pytest.raises(RecordError, match="not the key of its config"):
        book.find(run())
    path.rename(book.path(run(seed=2)))
    with pytest.raises(RecordError, match="not the key of its config"):
        book.find(run(seed=2))


def test_reformatting_is_no_damage(book):
    path = book.write(record())
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert book.find(run())["result"] == record()["result"]


def test_the_seal_covers_the_provenance_too_and_the_digest_does_not():
    sealed, other = ledger.seal(record()), record()
    other["provenance"]["device"] = "elsewhere"
    assert ledger.seal(sealed) == sealed, "whatever checksums a record had"
    assert ledger.digest(dict(reversed(record().items()))) == ledger.digest(record())
    assert ledger.digest(other) == sealed["provenance"]["sha256"]
    assert ledger.seal(other)["provenance"]["seal"] != sealed["provenance"]["seal"]


# --------------------------------------------------------------------------- crashes and bad disks


def no_space(*arguments: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace", "fdopen", "chmod"])
def test_a_full_disk_leaves_no_record_and_says_what_to_do(call, book, monkeypatch):
    book.write(record(run(seed=1)))
    before = files(book.directory)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, no_space)
        with pytest.raises(RecordError, match=r"No space left .* free some space .* are kept"):
            book.write(record())
    assert files(book.directory) == before, "nothing half-written, nothing lost"
    book.write(record())
    assert book.find(run()) is not None


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupt_before_the_rename_leaves_nothing(call, book, monkeypatch):
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, call, interrupt)
        with pytest.raises(KeyboardInterrupt):
            book.write(record())
    assert files(book.directory) == []


KILLED = """
    import json, os, signal, sys
    from pathlib import Path
    from labelnoise.runs import ledger
    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(os, sys.argv[1], die)
    ledger.Ledger(Path(sys.argv[2])).write(json.loads(sys.argv[3]))
"""


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_kill_before_the_rename_leaves_no_record_and_does_not_disturb_the_next(call, book):
    arguments = [call, str(book.directory), json.dumps(record())]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), *arguments])
    assert done.returncode == -9
    assert book.find(run()) is None
    assert list(book.records()) == [], "what the kill left behind is not taken for a record"
    book.write(record())
    assert len(list(book.records())) == 1


def test_the_content_is_on_disk_before_it_has_its_name(book, monkeypatch):
    """fsync of the whole content, then the rename, and never the other way round."""
    calls, sync, replace = [], os.fsync, os.replace

    def synced(handle: int) -> None:
        calls.append(("fsync", os.fstat(handle).st_size))
        sync(handle)

    def renamed(old: str, new: str) -> None:
        calls.append(("replace", os.path.getsize(old)))
        assert os.path.dirname(old) == os.path.dirname(new), "one file system"
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    path = book.write(record())
    assert calls == [("fsync", path.stat().st_size), ("replace", path.stat().st_size)]


def test_a_ledger_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("no directory")
    book = Ledger(tmp_path / "file" / "results")
    with pytest.raises(RecordError, match=rf"cannot write the record {book.path(run())}.*writable"):
        book.write(record())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_ledger_is_an_error_that_names_it(book):
    (book.directory / "digits").mkdir(parents=True)
    (book.directory / "digits").chmod(0o500)
    with pytest.raises(RecordError, match=r"Permission denied.*writable"):
        book.write(record())


def test_write_atomically_replaces_text_and_bytes_whole(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "table.csv"
    ledger.write_atomically(path, "σ = 1\n")
    assert path.read_text(encoding="utf-8") == "σ = 1\n"
    ledger.write_atomically(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        ledger.write_atomically(path, "new")
    assert path.read_bytes() == b"\x00\xff", "the old content stays"
    assert files(tmp_path) == ["deep/table.csv"]
