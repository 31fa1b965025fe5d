"""Dogs vs. Cats and Clothing1M: a tiny copy of the official form is read, a broken one refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from labelnoise import data
from labelnoise.config import Run, noisy
from labelnoise.data import photos
from labelnoise.experiments import dmi
from labelnoise.training.methods import train

Image = pytest.importorskip("PIL.Image")

COLOURS = {"cat": (200, 10, 10), "dog": (10, 10, 200)}


def photo(path: Path, colour: tuple[int, int, int] = (0, 0, 0), size=(40, 20), mode="RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, quality=95)


@pytest.fixture
def dogs(tmp_path) -> Path:
    for name, colour in COLOURS.items():
        for i in range(12):  # 10 comes before 2 in the order of the names
            photo(tmp_path / "train" / f"{name}.{i}.jpg", colour)
    return tmp_path


@pytest.fixture
def clothes(tmp_path) -> Path:
    names = [f"images/{i % 3}/0{i}/a{i}.jpg" for i in range(6)]
    for name in names:
        photo(tmp_path / name)
    noisy = "".join(f"{name} {13 - i}\n" for i, name in enumerate(names[:4]))
    (tmp_path / "noisy_label_kv.txt").write_text(noisy)
    (tmp_path / "clean_label_kv.txt").write_text(f"{names[4]} 0\n{names[5]} 7\n{names[0]} 1\n")
    for part, keys in (("noisy_train", names[:4][::-1]), ("clean_train", names[:1]),
                       ("clean_val", names[4:5]), ("clean_test", names[5:])):  # fmt: skip
        (tmp_path / f"{part}_key_list.txt").write_text("\n".join(keys))
    return tmp_path


def test_cats_and_dogs_alternate_in_the_order_of_their_numbers(dogs):
    files, labels = photos.dogs_vs_cats(dogs)
    assert [path.name for path in files[:6]] == [
        "cat.0.jpg", "dog.0.jpg", "cat.1.jpg", "dog.1.jpg", "cat.2.jpg", "dog.2.jpg"
    ]  # fmt: skip
    assert files[-1].name == "dog.11.jpg"
    assert labels.dtype == np.int64
    images = photos.pixels(files, 15)
    assert images.shape == (24, 3, 15, 15)
    assert images.dtype == np.uint8
    for image, label in zip(images, labels, strict=True):
        wanted = np.array(COLOURS[photos.CATS_AND_DOGS[label]])
        assert abs(image.mean(axis=(1, 2)) - wanted).max() < 4


@pytest.mark.parametrize("packed", [False, True])
def test_your_own_copy_is_decoded_once_and_trained_on(packed, dogs, tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "COUNT", 24)
    home = tmp_path / "data"
    (home / "dogs_vs_cats").mkdir(parents=True)
    if packed:  # as Kaggle has it
        shutil.make_archive(home / "dogs_vs_cats/train", "zip", dogs, "train")
    else:
        (dogs / "train").rename(home / "dogs_vs_cats/train")
    monkeypatch.setenv("LABELNOISE_DATA", f"{tmp_path / 'cache'}:{home}")
    images, labels = data.load("dogs_vs_cats")
    assert images.shape == (20, *data.INFO["dogs_vs_cats"].shape)
    assert labels[:4].tolist() == [0, 1, 0, 1]
    tests, test_labels = data.load("dogs_vs_cats", "test")
    assert test_labels.tolist() == [0, 1, 0, 1]
    for image, label in zip([*images, *tests], [*labels, *test_labels], strict=True):
        wanted = np.array(COLOURS[data.INFO["dogs_vs_cats"].class_names[label]])
        assert abs(image.mean(axis=(1, 2)) - wanted).max() < 4
    made = data.made_of("dogs_vs_cats")
    assert made["of"]["photos"] == 24

    shutil.rmtree(home)  # what was decoded is enough
    assert np.array_equal(data.load("dogs_vs_cats")[0], images)
    protocol = {**dmi.DOGS_PROTOCOL, "epochs": 1, "batch": 8}
    dogs_become_cats = noisy("dmi", 0.5, pattern="dependent-b")
    asked = Run("dogs_vs_cats", dogs_become_cats, {"name": "CE"}, "cnn8", protocol)
    record = train(asked, device="cpu")
    assert record["provenance"]["data"] == made
    assert record["curves"]["test_accuracy"][0] is not None


def test_a_missing_copy_is_an_error_that_says_where_to_get_it_and_where_to_put_it(
    dogs, tmp_path, monkeypatch
):
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path / "data"))
    with pytest.raises(data.DataError, match=r"kaggle\.com.*dogs_vs_cats/train\.zip"):
        data.load("dogs_vs_cats")
    (tmp_path / "data/dogs_vs_cats").mkdir()
    (dogs / "train").rename(tmp_path / "data/dogs_vs_cats/train")
    with pytest.raises(data.DataError, match=r"dogs_vs_cats/train holds 24 photos"):
        data.load("dogs_vs_cats")


@pytest.mark.parametrize(
    ("part", "labels"),
    [("noisy_train", [10, 11, 12, 13]), ("clean_train", [1]), ("clean_val", [0]),
     ("clean_test", [7])],
)  # fmt: skip
def test_each_part_of_clothing1m_has_its_files_in_order_and_its_own_labels(clothes, part, labels):
    files, found = photos.clothing1m(clothes, part)
    assert found.tolist() == labels
    assert found.dtype == np.int64
    listed = (clothes / f"{part}_key_list.txt").read_text().split()
    assert [str(path.relative_to(clothes)) for path in files] == listed
    assert photos.pixels(files, 8).shape == (len(labels), 3, 8, 8)
    assert len(photos.CLOTHES) == 14


def test_grey_photos_become_rgb_and_the_whole_photo_is_kept(tmp_path):
    photo(tmp_path / "a.jpg", (90, 90, 90), mode="L")
    wide = Image.new("RGB", (100, 20))
    wide.paste((255, 255, 255), (50, 0, 100, 20))  # black left, white right
    wide.save(tmp_path / "b.png")
    images = photos.pixels([tmp_path / "a.jpg", tmp_path / "b.png"], 10)
    assert abs(images[0].astype(int) - 90).max() < 3
    assert images[1, :, :, :4].max() < 5
    assert images[1, :, :, 6:].min() > 250


def test_a_photo_is_averaged_where_it_shrinks(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (40, 20))  # a pixel wide
    Image.fromarray(stripes).save(tmp_path / "a.png")
    image = photos.pixels([tmp_path / "a.png"], 10)[0].astype(int)
    assert abs(image[:, :, 2:-2] - 127.5).max() < 10


def test_no_file_is_an_empty_batch():
    assert photos.pixels([], 5).shape == (0, 3, 5, 5)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: [p.unlink() for p in f.glob("train/dog*")], r"dog\.0\.jpg is missing, and 11"),
        (lambda f: (f / "train/cat.3.jpg").unlink(), r"cat\.3\.jpg is missing, and 0 more"),
        (lambda f: photo(f / "train/bird.0.jpg"), r"bird\.0\.jpg is not named like cat\.0\.jpg"),
        (
            lambda f: [p.unlink() for p in f.glob("train/*")],
            r"train is empty: unpack .*train\.zip",
        ),
        (lambda f: (f / "train").rename(f / "test"), r"train is not a folder: unpack .*train\.zip"),
    ],
)
def test_an_incomplete_copy_of_dogs_vs_cats_is_refused(dogs, harm, message):
    harm(dogs)
    with pytest.raises(ValueError, match=message):
        photos.dogs_vs_cats(dogs)


KV, KEYS = "noisy_label_kv.txt", "noisy_train_key_list.txt"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (KV, lambda text: None, rf"{KV} is missing: it comes with the official files"),
        (KEYS, lambda text: None, rf"{KEYS} is missing"),
        (KEYS, lambda text: " \n", rf"{KEYS} is empty"),
        (KV, lambda text: text.replace(" 12", " 14"), r"line 2: .* is not a file and a label in 0"),
        (KV, lambda text: text.replace(" 12", ""), r"line 2: 'images/1/01/a1.jpg' is not a file"),
        (
            KV,
            lambda text: text.split("\n", 1)[1],
            r"1 files of .* no label in .*, for example .*a0",
        ),
        (
            KV,
            lambda text: text + "images/1/01/a1.jpg 3\n",
            r"line 5: images/1/01/a1.jpg has the label 3, but 12 further up",
        ),
    ],
)
def test_label_files_that_do_not_match_are_refused(clothes, file, change, message):
    path = clothes / file
    text = change(path.read_text())
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ValueError, match=message):
        photos.clothing1m(clothes, "noisy_train")


def test_a_label_that_is_told_twice_is_one_label(clothes):
    path = clothes / KV
    path.write_text(path.read_text() + "images/1/01/a1.jpg 12\n")
    assert photos.clothing1m(clothes, "noisy_train")[1].tolist() == [10, 11, 12, 13]


def test_an_unknown_part_is_refused_with_the_known_ones(clothes):
    with pytest.raises(ValueError, match="part='train' is unknown; known: noisy_train, clean_tr"):
        photos.clothing1m(clothes, "train")


def test_photos_that_are_missing_or_damaged_are_named(dogs):
    files, _ = photos.dogs_vs_cats(dogs)
    whole = files[3].read_bytes()
    for content, message in ((whole[:100], r"dog\.1\.jpg is damaged or no image"),
                             (b"<html>", r"dog\.1\.jpg is damaged or no image")):  # fmt: skip
        files[3].write_bytes(content)
        with pytest.raises(ValueError, match=message):
            photos.pixels(files, 10)
    files[3].unlink()
    with pytest.raises(ValueError, match=r"dog\.1\.jpg is missing: complete your copy"):
        photos.pixels(files, 10)
