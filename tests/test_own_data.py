"""A user's own images: suspects found, mistakes refused before any training."""

import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin

from labelnoise import noise
from labelnoise.cleaning import own_data
from labelnoise.cleaning.classifier import NetworkClassifier
from labelnoise.experiments import MNIST_PROTOCOL
from labelnoise.files import ROOT
from labelnoise.noise import detection

PROTOCOL = {**MNIST_PROTOCOL, "epochs": 8, "lr": 0.05}
QUICK = NetworkClassifier("CE", protocol=PROTOCOL, device="cpu")
TEN = np.zeros((10, 8, 8), np.uint8)


def written(folder: Path, images: np.ndarray, labels) -> tuple[Path, Path]:
    """``photos/`` and ``labels.csv`` below ``folder``."""
    (folder / "photos").mkdir()
    files = [f"{i:02}.png" for i in range(len(images))]
    for name, image in zip(files, images, strict=True):
        Image.fromarray(image.squeeze()).save(folder / "photos" / name)
    pd.DataFrame({"file": files, "label": labels}).to_csv(folder / "labels.csv", index=False)
    return folder / "photos", folder / "labels.csv"


@pytest.fixture
def no_training(monkeypatch):
    """A training that begins is an error."""

    def begun(*_, **__):
        pytest.fail("the training began")

    monkeypatch.setattr(NetworkClassifier, "fit", begun)


# ----------------------------------------------------------------------------------- suspects


def test_suspects_come_first(digits):
    images, true, given = digits
    table = own_data.suspects(images, given, QUICK, folds=3)
    wrong = (true != given)[table["index"]]
    assert sorted(table["index"]) == list(range(len(given)))
    assert wrong[:100].mean() > 0.9
    assert wrong[-700:].mean() < 0.05
    assert table["probability"].is_monotonic_increasing
    assert wrong[table["suspect"]].mean() > 0.8
    right = table["suggestion"].to_numpy()[:100] == true[table["index"][:100]]
    assert right.mean() > 0.8
    again = own_data.suspects(images, given, QUICK, folds=3)
    pd.testing.assert_frame_equal(table, again)


class FirstPixel(ClassifierMixin, BaseEstimator):
    """Sure to 80 % that the first pixel is the class, and refuses to judge what it trained on."""

    def fit(self, X, y):
        self.classes_, self.seen_ = np.unique(y), {x.tobytes() for x in X}
        return self

    def predict_proba(self, X):
        assert not self.seen_ & {x.tobytes() for x in X}, "in sample"
        return 0.7 * np.eye(3)[X[:, 0, 0]] + 0.1

    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)


def test_the_list_has_the_users_words_and_every_fold_has_every_class():
    """In a table that is sorted by class, with as many samples of each as there are folds."""
    images = np.arange(9 * 4, dtype=np.uint8).reshape(9, 2, 2)
    images[:, 0, 0] = [0, 0, 2, 1, 1, 1, 2, 2, 2]
    labels = np.repeat(["cat", "dog", "emu"], 3)
    files = [f"{i}.png" for i in "hgfedcbai"]
    table = own_data.suspects(images, labels, FirstPixel(), folds=3, files=files)
    first = ["index", "file", "label", "suggestion", "suspect"]
    assert table[first].iloc[0].tolist() == [2, "f.png", "cat", "emu", True]
    assert table["probability"].tolist() == pytest.approx([0.1] + [0.8] * 8)
    assert table["suggestion_probability"].tolist() == pytest.approx([0.8] * 9)
    assert table["file"].tolist() == [files[i] for i in table["index"]]
    assert table["label"].tolist() == labels[table["index"]].tolist()
    assert table["suspect"].sum() == 1


def test_the_flags_are_those_of_the_filter_that_is_named():
    labels = np.arange(400) % 4
    p = np.random.default_rng(0).dirichlet(np.ones(4), 400)
    p += 0.2 * np.eye(4)[labels] * np.arange(1, 5)
    p /= p.sum(axis=1, keepdims=True)
    table = own_data.ranking(labels, p)
    flags = {name: detection.suspects(labels, p, name) for name in detection.FILTERS}
    named = flags.pop("prune_by_noise_rate")
    assert np.array_equal(table["suspect"], named[table["index"]])
    assert not any(np.array_equal(named, other) for other in flags.values())


@pytest.mark.parametrize(
    ("labels", "options", "named"),
    [
        ([0, 1] * 4, {}, "labels .* 10 images"),
        ([0] * 10, {}, "labels holds 1 classes"),
        ([0] * 8 + [1] * 2, {}, "2 samples of class 1: .* 3 samples of each"),
        ([0, 1] * 4 + [None, 1], {}, "labels holds 1 missing .* at index 8"),
        ([0, 1] * 4 + ["0", 1], {}, "labels mixes"),
        ([0, 1] * 5, {"folds": 1}, "folds=1 .* 2"),
        ([0, 1] * 5, {"folds": 2.5}, "folds=2.5 "),
        ([0, 1] * 5, {"files": ["a"] * 9}, "files .* 10 images, got 9"),
        ([0, 1] * 5, {"classifier": NetworkClassifier(protocol={})}, "protocol must have"),
    ],
)
def test_labels_that_cannot_be_folded_are_refused(labels, options, named, no_training):
    with pytest.raises(ValueError, match=named):
        own_data.suspects(TEN, labels, **{"classifier": QUICK, "folds": 3, **options})


def test_without_cleanlab_nothing_is_trained(no_training, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab.count", None)
    with pytest.raises(ModuleNotFoundError, match="pip install cleanlab"):
        own_data.suspects(TEN, [0, 1] * 5, QUICK, folds=3)


def snippets_of_the_docs() -> str:
    text = (ROOT / "docs" / "own_labels.md").read_text()
    return "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.S))


def notebook_snippet() -> str:
    cells = nbformat.read(ROOT / "notebooks" / "06_model_the_noise.ipynb", as_version=4).cells
    (snippet,) = re.findall(r"```python\n(.*?)```", cells[-1].source, flags=re.S)
    return snippet


@pytest.mark.parametrize("lines_of", [snippets_of_the_docs, notebook_snippet])
def test_the_lines_to_copy_run(lines_of, digits, tmp_path, monkeypatch):
    """From a folder and a table to the suspects and to a classifier, as they are printed."""
    monkeypatch.setitem(MNIST_PROTOCOL, "epochs", 30)
    monkeypatch.setitem(MNIST_PROTOCOL, "lr", 0.1)
    monkeypatch.chdir(tmp_path)
    images, true = digits[0][:400], digits[1][:400]
    T = noise.pairflip(10, 0.3)
    given, _ = noise.corrupt(true, T, seed=0)
    written(tmp_path, images, given)
    names: dict = {}
    exec(lines_of(), names)
    assert np.abs(names["T"] - T).mean() < 0.05
    assert (names["model"].predict(images) == true.astype(str)).mean() > 0.8
    first = names["suspects"].head(40)
    assert (given != true)[first["index"]].mean() > 0.8
    assert first["file"].tolist() == [f"{i:02}.png" for i in first["index"]]


def test_networks_that_learnt_nothing_are_told_of():
    """What is no better than a constant answer has nothing to say; one that knows a bit has."""
    labels = np.repeat([0, 1], [80, 20])
    flat = np.full((100, 2), 0.5)
    with pytest.warns(UserWarning, match=r"80 % .* 80 %: .* too little"):
        own_data.ranking(labels, flat)
    draw = np.random.default_rng(0).uniform(size=(100, 4))
    with pytest.warns(UserWarning, match="try a larger learning rate"):
        own_data.ranking(np.arange(100) % 4, draw / draw.sum(axis=1, keepdims=True))
    knows = np.where(np.eye(2)[labels] == 1, 0.9, 0.1)
    assert len(own_data.ranking(labels, knows)) == 100  # a warning would be an error


# --------------------------------------------------------------------------------- image folder


@pytest.fixture
def folder(tmp_path, digits):
    """60 images in a folder, and their labels in a table."""
    return written(tmp_path, digits[0][:60], [f"digit {label % 2}" for label in digits[2][:60]])


def test_images_of_any_shape_keep_their_labels_in_the_order_of_the_table(folder, digits, tmp_path):
    images, labels, files = own_data.load(*map(str, folder))
    assert np.array_equal(images, digits[0][:60])
    assert labels[0] == f"digit {digits[2][0] % 2}"
    (tmp_path / "colour").mkdir()
    made = np.random.default_rng(0).integers(256, size=(3, 4, 6, 3), dtype=np.uint8)
    photos, table = written(tmp_path / "colour", made, "xyz")
    table.write_text("label,file\nz,02.png\nx,00.png\ny,01.png\n")
    images, labels, files = own_data.load(photos, table)
    assert np.array_equal(images, made[[2, 0, 1]].transpose(0, 3, 1, 2))
    assert (labels.tolist(), files) == (["z", "x", "y"], ["02.png", "00.png", "01.png"])


def test_one_coloured_image_makes_all_of_them_three_channels(folder):
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(folder[0] / "03.png")
    images, _, _ = own_data.load(*folder)
    assert images.shape == (60, 3, 8, 8)
    assert np.array_equal(images[5, 0], images[5, 2])
    assert (images[3] == 7).all()


def test_a_photo_taken_sideways_is_turned_upright(folder):
    upright = np.zeros((8, 8), np.uint8)
    upright[0] = 200
    sideways, tag = Image.fromarray(np.rot90(upright)), Image.Exif()
    tag[0x0112] = 6  # to be turned a quarter to the right
    sideways.save(folder[0] / "03.png", exif=tag)
    assert np.array_equal(own_data.load(*folder)[0][3, 0], upright)


def test_what_is_transparent_shows_white(folder):
    """Black ink whose shape is in the alpha channel alone; and half of it, grey with alpha."""
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[2:5, 2:5, 3] = 255
    Image.fromarray(ink).save(folder[0] / "03.png")
    half = np.stack([np.full((8, 8), 100), np.full((8, 8), 255)], axis=2).astype(np.uint8)
    half[0, 0, 1] = 0
    Image.fromarray(half).save(folder[0] / "04.png")
    images, _, _ = own_data.load(*folder)
    assert (images[3, :, 2:5, 2:5] == 0).all()
    assert images[3].sum() == 3 * (64 - 9) * 255
    assert (images[4, :, 0, 0] == 255).all()
    assert (images[4, :, 1:] == 100).all()


def test_grey_with_alpha_stays_one_channel(tmp_path):
    Image.new("LA", (3, 2), (100, 255)).save(tmp_path / "a.png")
    assert np.array_equal(own_data.picture(tmp_path / "a.png"), np.full((1, 2, 3), 100))


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_images_of_more_than_8_bits_are_refused(tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "deep.tif")
    with pytest.raises(ValueError, match=r"deep.tif has more than 8 bits .* convert to 8 bit"):
        own_data.picture(tmp_path / "deep.tif")


def test_classes_may_be_called_na(folder):
    folder[1].write_text("file,label\n" + "".join(
        f"{i:02}.png,{['NA', 'None', 'null'][i % 3]}\n" for i in range(60)
    ))  # fmt: skip
    assert own_data.load(*folder)[1][:3].tolist() == ["NA", "None", "null"]


def test_what_else_lies_in_the_folder_does_not_block(folder):
    """Hidden files, the table itself, and the list of an earlier run; ./ before a name."""
    photos, table = folder
    (photos / ".DS_Store").write_bytes(b"x")
    (photos / ".thumbnails").mkdir()
    (photos / ".thumbnails" / "a.png").write_bytes(b"x")
    (photos / "suspects.csv").write_text("file,label\n")
    inside = photos / "labels.txt"
    inside.write_text(table.read_text().replace("00.png", "./00.png"))
    images, _, files = own_data.load(photos, inside)
    assert len(images) == 60
    assert files[0] == "./00.png"


def run(folder, *options: str) -> int:
    return own_data.main([str(folder[0]), str(folder[1]), *options])


def test_the_command_writes_the_list(folder, tmp_path, capsys):
    out = tmp_path / "suspects.csv"
    quick = ["--folds", "3", "--epochs", "2", "--lr", "0.1", "--seed", "1", "--out", str(out)]
    assert run(folder, *quick) == 0
    table = pd.read_csv(out)
    assert sorted(table["file"]) == [f"{i:02}.png" for i in range(60)]
    printed = capsys.readouterr().out
    assert "3 trainings of 2 epochs each, on 60 images" in printed
    assert f"{table['suspect'].sum()} of 60 labels are suspect" in printed


def test_the_command_trains_as_it_is_told(folder, monkeypatch):
    told = []

    def watched(images, labels, classifier, **options):
        told.append((classifier.get_params(), options["folds"]))
        raise ValueError("enough")

    monkeypatch.setattr(own_data, "suspects", watched)
    assert run(folder) == 1
    assert run(folder, "--loss", "CLL", "--model", "cnn4", "--lr", "0.2", "--epochs", "7",
               "--seed", "3", "--threads", "2", "--folds", "4") == 1  # fmt: skip
    usual = NetworkClassifier().get_params()
    assert told[0] == ({**usual, "protocol": MNIST_PROTOCOL}, 5)  # the tests have one thread
    changed = {"loss": "CLL", "model": "cnn4", "seed": 3, "threads": 2}
    protocol = {**MNIST_PROTOCOL, "lr": 0.2, "epochs": 7}
    assert told[1] == ({**usual, **changed, "protocol": protocol}, 4)


SPOILT = [
    (lambda p, t: (p / "07.png").unlink(), "in .*labels.csv but not in .*07.png"),
    (lambda p, t: (p / "x.png").write_bytes(b""), "in .*photos but not in .*x.png"),
    (lambda p, t: (p / "07.png").write_text("no image"), "07.png is damaged"),
    (lambda p, t: (p / "07.png").write_bytes((p / "07.png").read_bytes()[:60]),
     "07.png is damaged"),
    (lambda p, t: Image.new("L", (9, 8)).save(p / "07.png"), "resize them"),
    (lambda p, t: Image.new("I;16", (8, 8)).save(p / "07.png"), "07.png has more than 8 bits"),
    (lambda p, t: p.rename(p.with_name("pictures")), "photos is not a folder"),
    (lambda p, t: t.write_text("name,label\n00.png,1\n"), "columns file and label"),
    (lambda p, t: t.write_text(""), "columns file and label"),
    (lambda p, t: t.write_text("file,label\n"), "at least one row"),
    (lambda p, t: t.write_text("file,label\n00.png,a\n./00.png,b\n"),
     "names 00.png twice, in lines 2 and 3"),
    (lambda p, t: t.write_text("file,label\n\n00.png,\n"), "line 3: the label is empty"),
    (lambda p, t: t.write_text("file,label\n00.png\n"), "line 2: the label is empty"),
    (lambda p, t: t.write_text("file,label\n00.png,a\n ,b\n"), "line 3: the file is empty"),
    (lambda p, t: t.write_bytes(b"file,label\n00.png,\xe9\n"), "CSV UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "named"), SPOILT)
def test_files_and_labels_that_do_not_match_are_refused(folder, spoil, named, capsys):
    spoil(*folder)
    with pytest.raises(ValueError, match=named):
        own_data.load(*folder)
    assert run(folder) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("nowhere/suspects.csv", "does not exist"),
        ("photos", "is a folder"),
        ("labels.csv", "would replace your labels"),
    ],
)
def test_a_list_that_could_not_be_written_is_refused_first(folder, out, why, capsys, no_training):
    assert run(folder, "--out", str(folder[1].parent / out)) == 1
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError("diverged"), ModuleNotFoundError("cleanlab")])
def test_what_stops_the_training_is_told_without_a_traceback(folder, error, monkeypatch, capsys):
    def stopped(*_, **__):
        raise error

    monkeypatch.setattr(own_data, "suspects", stopped)
    assert run(folder) == 1
    assert capsys.readouterr().err == f"error: {error}\n"
