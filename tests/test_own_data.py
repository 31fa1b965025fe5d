"""A user's own images: suspects found, mistakes refused before any training."""

import contextlib
import errno
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin

from labelnoise import noise
from labelnoise.cleaning import inputs, outputs, own_data
from labelnoise.cleaning.classifier import NetworkClassifier
from labelnoise.experiments import MNIST_PROTOCOL, suspects
from labelnoise.files import ROOT
from labelnoise.noise import detection
from test_inputs import written

PROTOCOL = {**MNIST_PROTOCOL, "epochs": 8, "lr": 0.05}
QUICK = NetworkClassifier("CE", protocol=PROTOCOL, device="cpu")
TEN = np.zeros((10, 8, 8), np.uint8)


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


def test_the_commands_to_copy_run(digits, tmp_path, monkeypatch):
    """In the order of the page, on 120 digits; each finds what was labelled wrongly."""
    text = (ROOT / "docs" / "own_labels.md").read_text()
    commands = re.findall(r"^\S+ -m labelnoise\.cleaning\.own_data (.+)$", text, flags=re.M)
    assert len(commands) == 5
    monkeypatch.chdir(tmp_path)
    known = digits[1][:300] < 4
    images, true = digits[0][:300][known], digits[1][:300][known]
    given = noise.corrupt(true, noise.symmetric(4, 0.2), seed=0)[0]
    _, labels = written(tmp_path, images, given)
    Path("table.csv").write_text(labels.read_text().replace("file,label", "image,class"))
    np.save("embeddings.npy", images.reshape(len(images), -1))
    for i, label in enumerate(given):
        Path(f"classes/{label}").mkdir(parents=True, exist_ok=True)
        shutil.copy(f"photos/{i:02}.png", f"classes/{label}/{i:02}.png")
    for command in commands:
        options = shlex.split(command)
        out = Path(options[options.index("--out") + 1] if "--out" in options else "suspects.csv")
        for old in (out, Path("suspects.png")):
            old.unlink(missing_ok=True)
        assert own_data.main([*options, "--epochs", "30", "--lr", "0.1", "--folds", "3"]) == 0
        first = pd.read_csv(out)["file"].head(15).str.extract(r"(\d+)\.png")[0].astype(int)
        assert (given != true)[first].mean() > 0.6, command
        assert Path("suspects.png").exists() == ("--gallery" in options)


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


# ------------------------------------------------------------------------------ the command


@pytest.fixture
def folder(tmp_path, digits):
    """60 images in a folder, and their labels in a table."""
    return written(tmp_path, digits[0][:60], [f"digit {label % 2}" for label in digits[2][:60]])


def run(folder, *options: str) -> int:
    return own_data.main([str(folder[0]), str(folder[1]), *options])


QUICKLY = ["--folds", "3", "--epochs", "2", "--lr", "0.1", "--seed", "1"]


def test_the_command_writes_the_list(folder, tmp_path, capsys):
    out = tmp_path / "suspects.csv"
    assert run(folder, *QUICKLY, "--out", str(out)) == 0
    table = pd.read_csv(out)
    assert sorted(table["file"]) == [f"{i:02}.png" for i in range(60)]
    printed = capsys.readouterr().out
    counts = np.unique(inputs.load(*folder)[1], return_counts=True)[1]
    assert f"digit 0 {counts[0]}, digit 1 {counts[1]}" in printed
    assert "3 times mlp with GCE, 2 epochs, about" in printed
    assert f"{table['suspect'].sum()} of 60 labels are suspect" in printed


def test_the_command_trains_as_it_is_told(folder, monkeypatch):
    told = []

    def watched(X, y, classifier, **options):
        told.append((classifier.get_params(), options["folds"]))
        raise ValueError("enough")

    monkeypatch.setattr(own_data, "out_of_sample", watched)
    monkeypatch.setattr(own_data, "an_epoch", lambda *_: 1)
    assert run(folder) == 1
    assert run(folder, "--loss", "CLL", "--model", "cnn4", "--lr", "0.2", "--epochs", "7",
               "--seed", "3", "--threads", "2", "--folds", "4") == 1  # fmt: skip
    usual = NetworkClassifier().get_params()
    assert told[0] == ({**usual, "protocol": suspects.PROTOCOL}, 5)
    changed = {"loss": "CLL", "model": "cnn4", "seed": 3, "threads": 2}
    protocol = {**suspects.PROTOCOL, "lr": 0.2, "epochs": 7}
    assert told[1] == ({**usual, **changed, "protocol": protocol}, 4)


def test_other_judges_see_the_pixels_in_a_row(folder, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(own_data, "out_of_sample",
                        lambda X, *_, **__: seen.append(X.shape) or sys.exit("seen"))  # fmt: skip
    with pytest.raises(SystemExit, match="seen"):
        run(folder, "--judge", "random_forest")
    assert seen == [(60, 64)]
    np.save(folder[0] / "x.npy", np.zeros((60, 3)))
    assert own_data.main([str(folder[0] / "x.npy"), str(folder[1]), "--judge", "network"]) == 1
    assert "take logistic_regression" in capsys.readouterr().err


def test_rows_without_a_label_get_a_suggestion_below_the_list(folder, tmp_path, digits):
    """The mean of all judges, the surest first; what has a label is ranked as without them."""
    text = folder[1].read_text()
    own_data.main([*map(str, folder), *QUICKLY, "--judge", "random_forest",
                   "--out", str(tmp_path / "all.csv")])  # fmt: skip
    without = "\n".join(line.split(",")[0] + ("," if i % 20 == 1 else "," + line.split(",")[1])
                        for i, line in enumerate(text.splitlines()))  # fmt: skip
    folder[1].write_text(without)
    assert run(folder, *QUICKLY, "--judge", "random_forest", "--out", str(tmp_path / "s.csv")) == 0
    table = pd.read_csv(tmp_path / "s.csv", keep_default_na=False)
    below = table.tail(3)
    assert set(below["index"]) == {0, 20, 40}
    assert set(below["file"]) == {"00.png", "20.png", "40.png"}
    assert below[["label", "probability"]].eq("").all(axis=None)
    assert not below["suspect"].any()
    assert below["suggestion_probability"].is_monotonic_decreasing
    kept = np.load(tmp_path / "s.npz")
    assert kept["p"].sum(axis=1) == pytest.approx(np.ones(60))
    assert kept["files"].tolist() == [f"{i:02}.png" for i in range(60)]
    at = below["index"].to_numpy()
    assert below["suggestion"].tolist() == kept["classes"][kept["p"][at].argmax(axis=1)].tolist()
    above = table.head(57)
    assert above["probability"].astype(float).is_monotonic_increasing
    assert (above["file"] == [f"{i:02}.png" for i in above["index"]]).all()


def test_what_is_judged_without_a_label_is_the_mean_of_the_folds():
    class Known(FirstPixel):
        """Each fold adds its own certainty."""

        made = 0

        def fit(self, X, y):
            Known.made += 1
            self.sure_ = Known.made / 10
            return super().fit(X, y)

        def predict_proba(self, X):
            return self.sure_ * np.eye(3)[X[:, 0, 0]] + (1 - self.sure_) / 3

    images = np.arange(9 * 4, dtype=np.uint8).reshape(9, 2, 2)
    images[:, 0, 0] = np.repeat([0, 1, 2], 3)
    also = np.full((2, 2, 2), [[[1]], [[2]]], np.uint8)
    p, more = own_data.out_of_sample(images, images[:, 0, 0], Known(), folds=3, also=also)
    assert p.shape == (9, 3)
    assert more == pytest.approx(0.2 * np.eye(3)[[1, 2]] + 0.8 / 3)


SPOILT = [
    (lambda p, t: (p / "07.png").unlink(), "in .*labels.csv but not in .*07.png"),
    (lambda p, t: (p / "07.png").write_text("no image"), "07.png is damaged"),
    (lambda p, t: (p / "07.png").write_bytes((p / "07.png").read_bytes()[:60]),
     "07.png is damaged"),
    (lambda p, t: Image.new("L", (9, 8)).save(p / "07.png"), "make them alike by --size 32"),
    (lambda p, t: Image.new("I;16", (8, 8)).save(p / "07.png"), "07.png has more than 8 bits"),
    (lambda p, t: p.rename(p.with_name("pictures")), "photos is not a folder"),
    (lambda p, t: t.unlink(), "labels.csv is not there: give the CSV"),
    (lambda p, t: t.write_text("name,label\n00.png,1\n"), "columns file and label"),
    (lambda p, t: t.write_text(""), "columns file and label"),
    (lambda p, t: t.write_text("file,label\n"), "at least one row"),
    (lambda p, t: t.write_text("file,label\n00.png,a\n./00.png,b\n"),
     "names 00.png twice, in lines 2 and 3"),
    (lambda p, t: t.write_text("file,label\n\n00.png,\n"), "no label in any of its 1 rows"),
    (lambda p, t: t.write_text("file,label\n00.png,a\n ,b\n"), "line 3: the file is empty"),
    (lambda p, t: t.write_bytes(b"file,label\n00.png,\xe9\n"), "CSV UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "named"), SPOILT)
def test_files_and_labels_that_do_not_match_are_refused(folder, spoil, named, capsys):
    spoil(*folder)
    with pytest.raises(ValueError, match=named):
        inputs.load(*folder)
    assert run(folder) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("nowhere/suspects.csv", "does not exist"),
        ("photos", "is a folder"),
        ("labels.csv", "would replace .*labels.csv"),
    ],
)
def test_a_list_that_could_not_be_written_is_refused_first(folder, out, why, capsys, no_training):
    assert run(folder, "--out", str(folder[1].parent / out)) == 1
    assert re.search(why, capsys.readouterr().err)


@pytest.mark.parametrize("error", [RuntimeError("diverged"), ModuleNotFoundError("cleanlab")])
def test_what_stops_the_training_is_told_without_a_traceback(folder, error, monkeypatch, capsys):
    def stopped(*_, **__):
        raise error

    monkeypatch.setattr(own_data, "out_of_sample", stopped)
    assert run(folder) == 1
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_class_of_one_sample_is_not_said_to_need_fewer_folds(folder, capsys, no_training):
    folder[1].write_text("file,label\n00.png,a\n01.png,b\n02.png,b\n")
    assert run(folder, "--folds", "2") == 1
    assert "1 sample of class a: give a class two at least" in capsys.readouterr().err


# ------------------------------------------------------------------- what it leaves behind


def test_the_probabilities_that_were_kept_give_the_same_list_without_training(
    folder, tmp_path, no_training, monkeypatch, capsys
):
    """Also of the table alone, in another order; fewer rows; and after a label was corrected."""
    monkeypatch.chdir(tmp_path)
    assert run(folder, "--folds", "3", "--judge", "random_forest", "--gallery", "page.png") == 0
    first = Path("suspects.csv").read_bytes()
    assert own_data.main(["labels.csv", "--probabilities", "suspects.npz", "--out", "b.csv",
                          "--gallery", "again.png", "--pictures", "photos"]) == 0  # fmt: skip
    assert Path("b.csv").read_bytes() == first
    assert Path("again.png").read_bytes() == Path("page.png").read_bytes()
    head, *lines = folder[1].read_text().splitlines()
    lines[3] = "03.png,digit 0"
    folder[1].write_text("\n".join([head, *lines[:1:-1]]))
    assert run(folder, "--probabilities", "suspects.npz", "--out", "c.csv") == 0
    p = dict(zip(*(np.load("suspects.npz")[name] for name in ("files", "p")), strict=True))
    table = pd.read_csv("c.csv").set_index("file")
    assert len(table) == 58
    assert table.loc["03.png", "probability"] == pytest.approx(p["03.png"][0], rel=1e-5)
    folder[1].write_text("file,label\n99.png,digit 0\n01.png,digit 1\n")
    arguments = ["labels.csv", "--probabilities", "suspects.npz", "--out", "d.csv"]
    assert own_data.main(arguments) == 1
    assert "does not hold 1 files, for example 99.png" in capsys.readouterr().err


P = np.array([[0.5, 0.5], [0.1, 0.9]])


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"p": P}, "it has no .classes"),
        ({"p": P[0], "classes": [*"ab"]}, r"p of shape \(2,\)"),
        ({"p": P, "classes": [*"abc"]}, r"classes of shape \(3,\)"),
        ({"p": P, "classes": [*"ac"]}, "not in both are: b, c"),
        ({"p": P, "classes": [*"ab"], "files": ["x"]}, r"files of shape \(1,\)"),
        ({"p": P[:1], "classes": [*"ab"]}, "holds 1 rows of p, for 2 labels"),
        ({"p": np.array([[print]]), "classes": [*"ab"]}, "Object arrays cannot be loaded"),
        (b"no archive", "is damaged, or no file of probabilities"),
        (b"PK\x03\x04", "is damaged, or no file of probabilities"),
        (P, "is damaged, or no file of probabilities"),
    ],
)
def test_probabilities_that_do_not_fit_are_refused(tmp_path, parts, named):
    path = tmp_path / "p.npz"
    if isinstance(parts, bytes):
        path.write_bytes(parts)
    elif isinstance(parts, dict):
        np.savez(path, **parts)
    else:
        with path.open("wb") as file:
            np.save(file, parts)
    samples = inputs.Samples(None, np.array([*"ab"]), ["1.png", "2.png"])
    with pytest.raises(ValueError, match=f"p.npz .*{named}"):
        outputs.probabilities(path, samples)


def test_columns_are_found_by_their_class_and_rows_by_their_file(tmp_path):
    np.savez(tmp_path / "p.npz", p=P, classes=[10, 9], files=["y", "x"])
    samples = inputs.Samples(None, np.array(["9", "10"]), ["x", "y"])
    assert outputs.probabilities(tmp_path / "p.npz", samples).tolist() == [[0.1, 0.9], [0.5, 0.5]]


def test_damaged_probabilities_are_refused(tmp_path):
    whole, rng = tmp_path / "p.npz", np.random.default_rng(0)
    outputs.save_probabilities(whole, P, np.array([*"ab"]), ["1.png", "2.png"])
    samples = inputs.Samples(None, np.array([*"ab"]), ["1.png", "2.png"])
    content = whole.read_bytes()
    for _ in range(200):
        spoilt = bytearray(content[: rng.integers(1, len(content) + 1)])
        spoilt[rng.integers(len(spoilt))] ^= 1 << int(rng.integers(8))
        whole.write_bytes(spoilt)
        with contextlib.suppress(ValueError):
            assert outputs.probabilities(whole, samples).shape == (2, 2)


def test_a_full_disk_leaves_the_old_list_and_the_probabilities(folder, tmp_path, monkeypatch,
                                                              capsys):  # fmt: skip
    out, sync = tmp_path / "suspects.csv", os.fsync
    out.write_text("old")

    def full(handle):
        if os.fstat(handle).st_size and b"index" in os.pread(handle, 99, 0):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    forest = ["--judge", "random_forest", "--folds", "3", "--out", str(out)]
    assert run(folder, *forest) == 1
    told = capsys.readouterr().err
    assert "suspects.csv could not be written (No space left on device)" in told
    assert f"add --probabilities {out.with_suffix('.npz')}" in told
    assert out.read_text() == "old"
    assert not [*tmp_path.glob(".suspects*")]
    monkeypatch.undo()
    assert run(folder, *forest, "--probabilities", str(out.with_suffix(".npz"))) == 0
    assert out.read_text().startswith("index,file")


def test_too_little_room_is_told_of_before_the_training(folder, tmp_path, monkeypatch, capsys,
                                                        no_training):  # fmt: skip
    usage = shutil.disk_usage(tmp_path)._replace(free=3000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert run(folder, "--out", str(tmp_path / "s.csv")) == 1
    assert "has room for 3,000 bytes" in capsys.readouterr().err


def test_no_cell_of_the_list_is_a_formula(tmp_path):
    texts = ["=1+1", "+1", "-1", "-1.5e3", "-1+2", "@SUM(1)", "\tx", "cat", "\r=1", "a=1", "-"]
    table = pd.DataFrame({"index": range(11), "file": texts, "label": texts, "suggestion": texts})
    outputs.save_list(tmp_path / "s.csv", table)
    safe = ["'=1+1", "+1", "-1", "-1.5e3", "'-1+2", "'@SUM(1)", "'\tx", "cat", "'\r=1", "a=1", "'-"]
    found = pd.read_csv(tmp_path / "s.csv", dtype=str, lineterminator="\n")
    for column in ("file", "label", "suggestion"):
        assert found[column].tolist() == safe


@pytest.mark.parametrize(
    ("page", "why"),
    [("page.txt", "must end in .png or .pdf"), ("nowhere/page.png", "does not exist"),
     ("photos/00.png", None), ("labels.csv", "would replace")],
)  # fmt: skip
def test_a_page_that_could_not_be_drawn_is_refused_first(folder, page, why, capsys, no_training):
    if why:
        assert run(folder, "--gallery", str(folder[1].parent / page)) == 1
        assert why in capsys.readouterr().err
    else:  # of features there is nothing to show
        np.save(folder[0] / "x.npy", np.zeros((2, 3)))
        folder[1].write_text("label\na\nb\n")
        features = [str(folder[0] / "x.npy"), str(folder[1]), "--gallery", "page.png"]
        assert own_data.main(features) == 1
        assert "--gallery shows pictures, and there are none" in capsys.readouterr().err


def test_the_page_shows_the_first_sixty_with_label_and_suggestion(folder, tmp_path, monkeypatch):
    """Whole pictures, also of unequal size and colour, and labels that are no mathematics."""
    shown = []

    def tiles(pictures, titles, **options):
        shown.extend(zip(pictures, titles, strict=True))
        return drawn(pictures, titles, **options)

    from labelnoise.figures import confident_learning

    drawn = confident_learning.tiles
    monkeypatch.setattr(confident_learning, "tiles", tiles)
    Image.fromarray(np.full((30, 900, 3), 7, np.uint8)).save(folder[0] / "03.png")
    table = pd.DataFrame({"index": [3, 5, 0], "file": ["03.png", "05.png", "00.png"],
                          "label": ["$a_", "b" * 30, ""], "suggestion": ["c", "d", "e"],
                          "suggestion_probability": [0.9, 0.5, 1.0]})  # fmt: skip
    paths = [folder[0] / f"{i:02}.png" for i in range(60)]
    samples = inputs.Samples(None, np.array(["x"] * 60), None, paths)
    assert outputs.gallery(tmp_path / "page.png", table, samples, tmp_path) == 2
    assert [title for _, title in shown] == ["$a_\n→ c\n90 %", f"{'b' * 13}…\n→ d\n50 %"]
    assert [picture.shape for picture, _ in shown] == [(6, 180, 3), (8, 8)]
    assert outputs.picture(tmp_path / "page.png").shape[2] > 500
