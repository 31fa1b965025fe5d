"""The scikit-learn classifier: it trains as a run does, and refuses mistakes before it trains."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch.nn.functional import cross_entropy

from labelnoise import data, losses, noise
from labelnoise.cleaning import any_loss, arrays, classifier
from labelnoise.cleaning.classifier import NetworkClassifier
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.losses import CLL
from labelnoise.seeds import generator
from labelnoise.training.methods import train

PROTOCOL = {**MNIST_PROTOCOL, "epochs": 8, "lr": 0.05}
QUICK = NetworkClassifier("CE", protocol=PROTOCOL, device="cpu")
FOUR = np.zeros((4, 8, 8), np.uint8)


@pytest.fixture
def no_training(monkeypatch):
    """A training that begins is an error."""

    def begun(*_):
        pytest.fail("the training began")

    monkeypatch.setattr(classifier, "train_epoch", begun)


# --------------------------------------------------------------------------------- it learns


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


def test_the_defaults_learn(digits):
    """CLL's gradient is too small for the default learning rate on so few samples: GCE is it."""
    images, true, given = digits
    assert (NetworkClassifier().fit(images, given).predict(images) == true).mean() > 0.95


def test_it_trains_as_a_run_does(digits):
    """The same curves as a run with the same labels, but for the standardisation of pixels."""
    images, _, given = digits
    of = Run("digits", noisy("symmetric", 0.2), {"name": "CE"}, "mlp", PROTOCOL)
    epochs = []
    made = NetworkClassifier("CE", protocol=PROTOCOL, device="cpu")
    made.fit(images, given, on_epoch=epochs.append)
    curves = train(of, device="cpu")["curves"]
    assert made.curves_["train_loss"] == pytest.approx(curves["train_loss"], rel=0.02)
    assert epochs == list(range(1, 9))


def test_the_network_is_the_one_asked_for_and_sees_every_channel_standardised():
    pixels = np.random.default_rng(0).integers([[[20]], [[90]], [[250]]], size=(40, 3, 16, 16))
    made = NetworkClassifier("CE", "cnn2", {**PROTOCOL, "epochs": 1}, device="cpu")
    made.fit(pixels.astype(np.uint8), np.arange(40) % 2)
    assert any(isinstance(layer, torch.nn.Conv2d) for layer in made.network_.modules())
    x = made.task_.batch(torch.from_numpy(pixels.astype(np.uint8)))
    assert x.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0.0] * 3, abs=1e-3)
    assert x.std(dim=(0, 2, 3)).tolist() == pytest.approx([1.0] * 3, abs=1e-3)


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


def test_dmi_leaves_out_a_last_batch_that_is_too_small_for_it(digits):
    images, _, given = digits
    protocol = {**PROTOCOL, "batch": 98, "epochs": 1}  # 200 = 2 * 98 + 4
    start = NetworkClassifier("CE", protocol=protocol, device="cpu")
    made = NetworkClassifier(losses.DMI(), protocol=protocol, device="cpu", start=start)
    assert made.fit(images[:200], given[:200]).curves_["train_loss"][0] > 0


def test_it_goes_on_from_the_weights_of_its_start(digits):
    images, _, given = digits
    counted = []
    still = {**PROTOCOL, "epochs": 2, "lr": 1e-12}
    start = NetworkClassifier("CE", protocol={**PROTOCOL, "epochs": 3}, device="cpu")
    made = NetworkClassifier("GCE", protocol=still, device="cpu", start=start)
    made.fit(images, given, counted.append)
    assert counted == [1, 2, 3, 4, 5]
    counted.clear()
    NetworkClassifier(protocol=still, device="cpu", start=made).fit(images, given, counted.append)
    assert counted == [1, 2, 3, 4, 5, 6, 7]
    assert len(made.curves_["train_loss"]) == 2
    assert not hasattr(start, "network_")  # it is cloned, as scikit-learn has it
    alone = start.fit(images, given).predict_proba(images)
    np.testing.assert_allclose(made.predict_proba(images), alone, atol=1e-6)
    assert not np.allclose(NetworkClassifier("GCE", protocol=still).fit(images, given)
                           .predict_proba(images), alone, atol=0.1)  # fmt: skip


def test_dmi_from_a_start_sees_through_a_class_that_is_mostly_mislabelled(digits):
    """70 % of the sevens are called ones; the pattern of notebook 07, with its protocol."""
    images, true, _ = digits
    T = np.eye(10)
    T[7] = [0, 0.7, 0, 0, 0, 0, 0, 0.3, 0, 0]
    given, _ = noise.corrupt(true, T, seed=0)
    setting = {"protocol": {**PROTOCOL, "epochs": 30, "lr": 0.1}, "device": "cpu"}
    ce = NetworkClassifier("CE", **setting)
    dmi = NetworkClassifier(losses.DMI(), **setting, start=ce)
    tests, labels = data.load("digits", "test")
    sevens = labels == 7
    found = [(model.fit(images, given).predict(tests[sevens]) == 7).mean() for model in (ce, dmi)]
    assert found[0] < 0.3
    assert found[1] > 0.6
    assert dmi.score(tests, labels) > ce.score(tests, labels) + 0.02


def test_threads_are_those_that_are_asked_for(digits, monkeypatch):
    seen = []

    def counted(kept):
        def call(*arguments):
            seen.append(torch.get_num_threads())
            return kept(*arguments)

        return call

    for name in ("train_epoch", "logits"):  # fit with its check, and predict_proba
        monkeypatch.setattr(classifier, name, counted(getattr(classifier, name)))
    before = torch.get_num_threads()
    for threads in (1, 2):
        made = NetworkClassifier(protocol={**PROTOCOL, "epochs": 1}, threads=threads, device="cpu")
        made.fit(digits[0][:50], digits[2][:50]).predict_proba(digits[0][:50])
    assert seen == [1, 1, 1, 2, 2, 2]
    assert torch.get_num_threads() == before


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


def test_without_a_gpu_nothing_is_on_one(digits):
    made = NetworkClassifier("CE", protocol={**PROTOCOL, "epochs": 1}, device="cpu")
    made.fit(digits[0][:100], digits[2][:100])
    assert next(made.network_.parameters()).device == torch.device("cpu")


def test_mean_and_std_are_those_of_floats_without_a_float_copy():
    """Of three channels, one of them constant, and of more images than are counted at a time."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 3, 64, 64), dtype=np.uint8)
    images[:, 1] //= 3
    images[:, 2] = 255
    tracemalloc.start()
    mean, std = arrays.mean_and_std(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    scaled = images / 255
    assert mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), abs=1e-9)
    assert std == pytest.approx(scaled.std(axis=(0, 2, 3)) + 1e-6, abs=1e-9)
    assert peak < 2 * images.nbytes


@pytest.mark.parametrize("model", ["mlp", "cnn2"])
def test_early_stopping_returns_the_network_that_agreed_with_most_held_out_labels(digits, model):
    """The first of equals, on the samples that a run of the same seed would hold out."""
    images, _, given = digits
    images = images.repeat(4, axis=2).repeat(4, axis=3)[:300]
    protocol = {**PROTOCOL, "epochs": 4}
    made = NetworkClassifier("CE", model, protocol, device="cpu", early_stopping=0.2, seed=3)
    made.fit(images, given[:300])
    val = made.curves_["val_accuracy"]
    assert len(val) == protocol["epochs"]
    assert made.best_epoch_ == 1 + val.index(max(val))
    held_out = torch.randperm(300, generator=generator(3, "split"))[:60].numpy()
    right = made.predict(images[held_out]) == given[held_out]
    assert 100 * right.mean() == pytest.approx(max(val))


def test_early_stopping_saves_a_network_that_learns_wrong_labels_by_heart(digits):
    images, true, _ = digits
    given, _ = noise.corrupt(true, noise.symmetric(10, 0.4), seed=0)
    long = {**MNIST_PROTOCOL, "epochs": 40, "lr": 0.1}
    tests, labels = data.load("digits", "test")
    last, stopped = (
        NetworkClassifier("CE", protocol=long, device="cpu", early_stopping=share).fit(
            images, given
        )
        for share in (None, 0.1)
    )
    assert last.best_epoch_ == 40
    assert stopped.best_epoch_ < 40
    assert stopped.score(tests, labels) > last.score(tests, labels) + 0.02


@pytest.mark.parametrize("early_stopping", [None, 0.1])
def test_a_pickle_holds_no_image_and_predicts_the_same_to_the_bit(early_stopping):
    images = np.random.default_rng(0).integers(0, 256, (3000, 1, 28, 28), dtype=np.uint8)
    protocol = {**PROTOCOL, "epochs": 1}
    made = NetworkClassifier(protocol=protocol, device="cpu", early_stopping=early_stopping)
    saved = pickle.dumps(made.fit(images, np.arange(3000) % 3))
    weights = sum(4 * w.numel() for w in made.network_.parameters())
    assert len(saved) < weights + 20_000
    again = pickle.loads(saved)
    assert np.array_equal(again.predict_proba(images[:50]), made.predict_proba(images[:50]))


@pytest.mark.parametrize("model", ["mlp", "cnn4"])
def test_the_default_number_of_threads_is_that_of_fastest_threads(model, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)  # of which the tests allow one
    with NetworkClassifier(model=model, device="cpu").session() as on:
        assert on.threads == classifier.fastest_threads(model) == (1 if model == "mlp" else 7)


def test_early_stopping_has_to_leave_every_class_a_sample(no_training):
    held_out = torch.randperm(20, generator=generator(0, "split"))[0]
    labels = np.where(np.arange(20) == int(held_out), "rare", "usual")
    made = NetworkClassifier(device="cpu", early_stopping=0.05)
    with pytest.raises(ValueError, match=r"every sample of class .*'rare'.* \(it has 1\): lower"):
        made.fit(np.zeros((20, 8, 8), np.uint8), labels)


# --------------------------------------------------------------------------------- it refuses


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((4, 8, 8)), [0, 1, 0, 1], "X must be images, uint8 in 0..255"),
        (np.zeros((4, 64), np.uint8), [0, 1, 0, 1], r"\[N, C, H, W\] or \[N, H, W\]"),
        (np.zeros((0, 8, 8), np.uint8), [], "X is empty"),
        (np.zeros((4, 0, 8), np.uint8), [0, 1, 0, 1], "X is empty"),
        (np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 0, 1], r"seems to be \[N, H, W, C\].* permute"),
        (np.zeros((4, 8, 8, 1), np.uint8), [0, 1, 0, 1], r"X.transpose\(0, 3, 1, 2\)"),
        (FOUR, [0, 1, 0], "one label for each of 4 images"),
        (FOUR, np.eye(4), "one label for each of 4 images"),
        (FOUR, [1, 1, 1, 1], "y holds 1 classes"),
        (FOUR, [0.0, 1.0, np.nan, 1.0], "1 missing labels .* at index 2; leave"),
        (FOUR, ["a", None, "b", np.nan], "2 missing labels .* at index 1"),
        (FOUR, ["a", "b", float("nan"), "a"], "1 missing labels .* at index 2"),
        (FOUR, pd.Series(["a", pd.NA, "b", "a"]), "1 missing labels .* at index 1"),
        (FOUR, ["a", 1, "b", 2], r"y mixes labels that do not sort together \(int, str\); make"),
        (FOUR, np.array(["a", 1, "b", 2], dtype=object), "y mixes labels"),
    ],
)
def test_images_and_labels_that_are_none_are_refused(X, y, message, no_training):
    with pytest.raises(ValueError, match=message):
        NetworkClassifier(device="cpu").fit(X, y)


def plain(reduction):
    return lambda z, y: cross_entropy(z, y, reduction=reduction)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "vgg"}, "model='vgg' is unknown; known: cnn4"),
        ({"model": "word_cnn"}, "model='word_cnn' is unknown"),
        ({"seed": -1}, "seed=-1 must be an integer of at least 0"),
        ({"seed": None}, "seed=None must be an integer"),
        ({"threads": 0}, "threads=0 must be an integer of at least 1"),
        ({"protocol": {}}, "protocol must have exactly the keys"),
        ({"protocol": "fast"}, "protocol='fast' must be a dict"),
        ({"protocol": {**PROTOCOL, "epochs": 0}}, "epochs=0 must be an integer of at least 1"),
        ({"protocol": {**PROTOCOL, "optimizer": "adamw"}}, "optimizer 'adamw' is unknown"),
        ({"loss": "XE"}, "loss 'XE' is unknown"),
        ({"loss": "Mixture"}, r"loss='Mixture' .* give an instance, such as losses.Mixture\(0.3\)"),
        ({"loss": None}, "loss=None must be a name of losses.LOSSES"),
        ({"loss": losses.GCE}, r"loss=GCE is a class; give an instance: GCE\(...\)"),
        ({"loss": losses.CE(reduction="none")}, r"the mean over the batch.*got \(4,\); set"),
        ({"loss": losses.CE(reduction="sum")}, "loss adds up the batch.*reduction='mean'"),
        ({"loss": plain("none")}, r"the mean over the batch.*got \(4,\)"),
        ({"loss": plain("sum")}, "loss adds up the batch"),
        ({"loss": lambda z, y: 1.0}, "the mean over the batch.*got float"),
        ({"loss": lambda z, y: z.sum() * torch.nan}, "loss is not finite"),
        ({"loss": lambda z, y: (z.argmax(1) != y).float().mean()}, "loss has no gradient"),
        ({"loss": losses.Forward(noise.symmetric(3, 0.1))}, "T is for 3 classes, but"),
        (
            {"loss": losses.DMI(), "protocol": {**PROTOCOL, "batch": 2}, "start": QUICK},
            "a batch of 2 samples is too small for DMI with 3 classes",
        ),
        ({"loss": losses.DMI()}, r"which output is which.*start=NetworkClassifier\('CE', 'mlp'\)"),
        ({"loss": "DMI"}, "which output is which class"),
        ({"start": NetworkClassifier("DMI")}, "which output is which class"),
        ({"start": "CE"}, "start='CE' must be a NetworkClassifier with the model 'mlp'"),
        (
            {"start": NetworkClassifier("CE", "cnn4")},
            "must be .* with the model 'mlp': its weights",
        ),
        ({"start": NetworkClassifier(seed=-1)}, "seed=-1 must be an integer of at least 0"),
        ({"early_stopping": 1.0}, "early_stopping=1.0 must be a share .* such as 0.1, or None"),
        ({"early_stopping": True}, "early_stopping=True must be a share"),
        ({"early_stopping": 0.1}, "early_stopping=0.1 holds out 0 of 4 samples; take another"),
        ({"early_stopping": 0.9}, "early_stopping=0.9 holds out 4 of 4 samples"),
        ({"early_stopping": 0.5, "start": QUICK}, "early_stopping=0.5 does not go with a start"),
        ({"device": "gpu"}, "device='gpu' must be 'cpu' or 'cuda', or None"),
        ({"device": "meta"}, "device='meta' must be 'cpu' or 'cuda'"),
        ({"device": "cuda:99"}, "device='cuda:99' is not there: .* take device='cpu'"),
    ],
)
def test_what_the_training_could_not_use_is_refused_before_it(changes, message, no_training):
    labels = [0, 1, 2, 1] if isinstance(changes.get("loss"), losses.DMI) else [0, 1, 0, 1]
    with pytest.raises(ValueError, match=message):
        NetworkClassifier(device="cpu").set_params(**changes).fit(FOUR, labels)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_passes_the_check_of_its_mean(name):
    targets = torch.tensor([0, 1, 2, 1, 0])
    any_loss.check_mean(any_loss.loss_module(name), targets, 3)


def test_what_a_classifier_predicts_has_the_shape_that_it_was_fitted_to(digits):
    made = NetworkClassifier(protocol={**PROTOCOL, "epochs": 1}, device="cpu")
    for predict in (made.predict, made.predict_proba):
        with pytest.raises(NotFittedError):
            predict(digits[0])
    made.fit(digits[0][:50], digits[1][:50])
    for shape in ((2, 1, 9, 8), (2, 3, 8, 8), (2, 4, 16)):
        with pytest.raises(ValueError, match=r"the network was fitted to \(1, 8, 8\); resize"):
            made.predict(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="X is empty"):
        made.predict(digits[0][:0])


def test_a_network_that_its_very_last_step_breaks_is_refused(digits):
    """The loss of that step was still finite: nothing but the weights tells."""
    images, _, given = digits
    wild = {**PROTOCOL, "epochs": 1, "batch": len(images), "lr": 1e38}
    del wild["clip_norm"]
    with pytest.raises(RuntimeError, match="the training diverged at epoch 1"):
        NetworkClassifier("CE", protocol=wild, device="cpu").fit(images, given)
