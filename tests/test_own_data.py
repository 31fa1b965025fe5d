"""The scikit-learn classifier, and a user's own images: suspects found, mistakes refused."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from labelnoise import data, noise, own_data
from labelnoise.classifier import NetworkClassifier
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.losses import CLL
from labelnoise.train import train

PROTOCOL = {**MNIST_PROTOCOL, "epochs": 8, "lr": 0.05}
QUICK = NetworkClassifier("CE", protocol=PROTOCOL, device="cpu")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, their true labels, and labels of which 20 % are wrong."""
    images, true = data.load("digits", "train")
    return images, true, noise.corrupt(true, noise.symmetric(10, 0.2), seed=0)[0]


# --------------------------------------------------------------------------------- classifier


def test_the_classifier_learns_and_names_its_classes(digits):
    images, _, given = digits
    names = np.array([*"abcdefghij"])
    made = NetworkClassifier("CLL", protocol={**PROTOCOL, "epochs": 25, "lr": 0.2}, device="cpu")
    made.fit(images, names[given])
    test_images, test_labels = data.load("digits", "test")
    assert (made.predict(test_images) == names[test_labels]).mean() > 0.9
    p = made.predict_proba(test_images)
    assert p.shape == (355, 10)
    assert p.sum(axis=1) == pytest.approx(np.ones(355))
    assert made.classes_.tolist() == names.tolist()


def test_it_trains_as_a_run_does(digits, monkeypatch):
    """The same curves as a run with the same labels, but for the standardisation of pixels."""
    images, _, given = digits
    of = Run("digits", noisy("symmetric", 0.2), {"name": "CE"}, "mlp", PROTOCOL)
    made = NetworkClassifier("CE", protocol=PROTOCOL, device="cpu").fit(images, given)
    curves = train(of, device="cpu")["curves"]
    assert made.curves_["train_loss"] == pytest.approx(curves["train_loss"], rel=0.02)


def test_any_callable_is_a_loss_and_the_seed_matters(digits):
    images, _, given = digits
    images, given = images[:200], given[:200]

    def fitted(loss, seed):
        of = NetworkClassifier(loss, protocol=PROTOCOL, seed=seed, device="cpu")
        return of.fit(images, given).predict_proba(images)

    by_name = fitted("CLL", 0)
    assert np.array_equal(by_name, fitted(CLL(sigma=1.0), 0))
    assert np.array_equal(by_name, fitted(lambda z, y: CLL(sigma=1.0)(z, y), 0))
    assert not np.array_equal(by_name, fitted("CLL", 1))


@pytest.mark.parametrize(
    ("X", "y", "changes", "message"),
    [
        (np.zeros((4, 8, 8)), [0, 1, 0, 1], {}, "X must be images, uint8 in 0..255"),
        (np.zeros((4, 64), np.uint8), [0, 1, 0, 1], {}, r"\[N, C, H, W\] or \[N, H, W\]"),
        (np.zeros((4, 8, 8), np.uint8), [0, 1, 0], {}, "one label for each of 4 images"),
        (np.zeros((4, 8, 8), np.uint8), [1, 1, 1, 1], {}, "y holds one class only"),
        (np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1], {"model": "vgg"}, "model='vgg' is unknown"),
        (np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1], {"loss": "XE"}, "loss 'XE' is unknown"),
    ],
)
def test_what_does_not_fit_is_refused(X, y, changes, message):
    with pytest.raises(ValueError, match=message):
        NetworkClassifier(device="cpu").set_params(**changes).fit(X, y)


def test_a_training_that_diverges_says_so(digits):
    images, _, given = digits
    wild = {**PROTOCOL, "lr": 1e9}
    del wild["clip_norm"]
    with pytest.raises(RuntimeError, match="the training diverged at epoch"):
        NetworkClassifier("CE", protocol=wild, device="cpu").fit(images, given)


def test_clean_learning_takes_it(digits):
    """cleanlab end to end: find, prune, train again."""
    from cleanlab.classification import CleanLearning

    images, true, given = digits
    model = CleanLearning(QUICK, seed=0, cv_n_folds=3)
    model.fit(images, given)
    issues = model.get_label_issues()["is_label_issue"].to_numpy()
    assert (true != given)[issues].mean() > 0.8
    assert (model.predict(images) == true).mean() > 0.85


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


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1] * 4, "labels must hold one label for each of 10 images"),
        ([0] * 10, "1 classes"),
        ([0] * 8 + [1] * 2, "2 samples of class 1: .*with 3 samples each"),
    ],
)
def test_labels_that_cannot_be_folded_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        own_data.suspects(np.zeros((10, 8, 8), np.uint8), labels, QUICK, folds=3)


# --------------------------------------------------------------------------------- image folder


@pytest.fixture
def folder(tmp_path, digits):
    """60 images in a folder, and their labels in a table."""
    images, _, given = digits
    (tmp_path / "photos").mkdir()
    files = [f"{i:02}.png" for i in range(60)]
    for name, image in zip(files, images, strict=False):
        Image.fromarray(image[0]).save(tmp_path / "photos" / name)
    table = pd.DataFrame({"file": files, "label": [f"digit {g % 2}" for g in given[:60]]})
    table.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path / "photos", tmp_path / "labels.csv"


def test_a_folder_and_a_table_are_read_in_the_tables_order(folder, digits):
    images, labels, files = own_data.load(*folder)
    assert np.array_equal(images, digits[0][:60])
    assert labels[0] == f"digit {digits[2][0] % 2}"
    assert files[:2] == ["00.png", "01.png"]


def test_one_coloured_image_makes_all_of_them_three_channels(folder):
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(folder[0] / "03.png")
    images, _, _ = own_data.load(*folder)
    assert images.shape == (60, 3, 8, 8)
    assert np.array_equal(images[5, 0], images[5, 2])
    assert (images[3] == 7).all()


def test_the_command_writes_the_list(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(own_data, "NetworkClassifier", lambda *_: QUICK)
    out = tmp_path / "suspects.csv"
    assert own_data.main([str(folder[0]), str(folder[1]), "--folds", "3", "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert sorted(table["file"]) == [f"{i:02}.png" for i in range(60)]
    assert f"{table['suspect'].sum()} of 60 labels are suspect" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p, t: (p / "07.png").unlink(), "1 files are in .*labels.csv but not in .*07.png"),
        (lambda p, t: (p / "x.png").write_bytes(b""), "in .*photos but not in .*labels.csv.*x.png"),
        (lambda p, t: (p / "07.png").write_text("no image"), "07.png is no image"),
        (lambda p, t: Image.new("L", (9, 8)).save(p / "07.png"), "resize them to one size"),
        (
            lambda p, t: t.write_text("name,label\n00.png,1\n"),
            "must have the columns file and label",
        ),
        (lambda p, t: t.write_text("file,label\n"), "at least one row"),
        (lambda p, t: t.write_text("file,label\n00.png,a\n00.png,b\n"), "names 00.png twice"),
        (lambda p, t: t.write_text("file,label\n00.png,\n"), "00.png has no label"),
    ],
)
def test_files_and_labels_that_do_not_match_are_refused(folder, spoil, message, capsys):
    spoil(*folder)
    with pytest.raises(ValueError, match=message):
        own_data.load(*folder)
    assert own_data.main([str(folder[0]), str(folder[1])]) == 1
    assert "error: " in capsys.readouterr().err


def test_without_a_gpu_nothing_is_on_one(digits):
    made = NetworkClassifier("CE", protocol={**PROTOCOL, "epochs": 1}, device="cpu")
    made.fit(digits[0][:100], digits[2][:100])
    assert next(made.network_.parameters()).device == torch.device("cpu")
