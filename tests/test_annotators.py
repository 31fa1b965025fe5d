"""Labels that people gave: drawn by seed from many annotators, and what a run is given of them."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labelnoise import data, noise
from labelnoise.config import HUMAN_SETS, Run, noisy
from labelnoise.config.protocols import MNIST_PROTOCOL
from labelnoise.noise import annotators
from labelnoise.runs.workers import Workers
from labelnoise.training.methods import train
from labelnoise.training.task import Task, given_labels

CPU = torch.device("cpu")


def asked(dataset: str, setting: dict, model: str = "mlp", **changes: object) -> Run:
    protocol = {**MNIST_PROTOCOL, "epochs": 1, **changes.pop("protocol", {})}
    return Run(dataset, setting, {"name": "CE"}, model, protocol, **changes)


def task(of: Run) -> Task:
    """What the run learns, from what is on this machine; skips where that is absent."""
    try:
        data.read(of.dataset)
        if of.dataset == "cifar10_features" and of.noise.kind in ("human", "twin"):
            data.read("cifar10n")
    except data.NotThere as missing:
        pytest.skip(f"{of.dataset}: no {missing} on this machine")
    return Task.of(of, CPU)


# ------------------------------------------------------------------------------ the draws


@given(st.integers(0, 2**32), st.data())
def test_annotators_are_drawn_without_replacement(seed, drawing):
    K, N = drawing.draw(st.integers(2, 5)), drawing.draw(st.integers(1, 6))
    people = st.lists(st.integers(0, 3), min_size=K, max_size=K).filter(lambda row: sum(row) > 2)
    counts = np.array(drawing.draw(st.lists(people, min_size=N, max_size=N)))
    fewest = int(counts.sum(axis=1).min())
    labels = annotators.drawn(counts, fewest, seed)
    assert labels.shape == (fewest, N)
    for n in range(N):
        told = np.bincount(labels[:, n], minlength=K)
        assert (told <= counts[n]).all()
        if counts[n].sum() == fewest:
            assert (told == counts[n]).all()
    assert np.array_equal(annotators.drawn(counts, 1, seed)[0], labels[0])


def test_every_annotator_is_as_likely_to_be_drawn():
    counts = np.tile([3, 0, 5, 2], (20_000, 1))
    first, second = annotators.drawn(counts, 2, seed=0)
    for labels in (first, second):
        share = np.bincount(labels, minlength=4) / 20_000
        assert abs(share - [0.3, 0, 0.5, 0.2]).max() < 0.012  # 3.4 deviations
    share = np.bincount(second[first == 0], minlength=4) / (first == 0).sum()
    assert abs(share - [2 / 9, 0, 5 / 9, 2 / 9]).max() < 0.022


def test_the_worst_of_three_is_the_first_wrong_one_and_the_majority_the_lowest_of_equals():
    labels = np.array([[1, 1, 2, 1], [1, 3, 3, 1], [1, 2, 1, 0]])
    assert annotators.worst(labels, np.array([1, 1, 1, 1])).tolist() == [1, 3, 2, 0]
    assert annotators.majority(np.array([[2, 5, 5], [3, 0, 3], [0, 0, 1]])).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    "counts",
    [np.ones((3, 2)), np.array([1, 2]), np.array([[3, -1]]), np.array([[3, 0], [1, 1]])],
    ids=["floats", "one axis", "negative", "too few"],
)
def test_what_are_no_counts_is_refused_by_name(counts):
    with pytest.raises(ValueError, match="counts"):
        annotators.drawn(counts, 3, seed=0)


# ------------------------------------------------------------------------------ the label sets

RATES = {"annotator": 33.87, "majority": 17.98, "worst": 58.17}
FLIPS = "d12d5c01066cda1b"


@pytest.mark.parametrize("name", HUMAN_SETS["fashion_mnist_h"])
def test_the_label_sets_of_fashion_mnist_h(name):
    made = [task(asked("fashion_mnist_h", noisy("human", set=name), seed=s)) for s in (0, 1)]
    assert made[0].noise_rate == pytest.approx(RATES[name])
    assert torch.equal(made[0].given, made[1].given) == (name == "majority")
    assert len(made[0].test_labels) == 10_000
    part = task(asked("fashion_mnist_h", noisy("human", set=name), subset=100))
    assert torch.equal(part.given, made[0].given[:100]), "whatever the subset"
    twin = task(asked("fashion_mnist_h", noisy("twin", of=name), seed=1))
    matrices = [noise.realised(t.true.numpy(), t.given.numpy(), 10) for t in (made[1], twin)]
    assert np.allclose(*matrices, atol=1e-12)
    assert not torch.equal(twin.given, made[1].given)


def test_the_draws_of_seed_0_stay_for_ever():
    given = task(asked("fashion_mnist_h", noisy("human", set="annotator"))).given
    assert hashlib.sha256(given.numpy().astype("<i8").tobytes()).hexdigest().startswith(FLIPS)


def test_the_labels_of_noisyag_stand_beside_their_texts():
    made = task(asked("noisyag", noisy("human", set="annotator"), "word_cnn"))
    assert made.noise_rate == 19.75
    assert np.array_equal(made.given.numpy(), data.annotations("noisyag"))
    assert len(made.test_labels) == 7600
    assert noise.realised(made.true.numpy(), made.given.numpy(), 4).diagonal() == pytest.approx(
        [0.903, 0.942, 0.737, 0.625], abs=6e-4
    )


@pytest.mark.parametrize("kind", [{"kind": "human", "set": "worse_label"},
                                  {"kind": "twin", "of": "worse_label"}])  # fmt: skip
def test_cifar10n_on_images_in_another_order_is_refused_by_name(kind, monkeypatch):
    sets = {"clean_label": np.array([3, 1, 2, 1]), "worse_label": np.array([0, 1, 2, 1])}
    monkeypatch.setattr(data, "load", lambda name: sets)
    run = asked("cifar10_features", noisy(**kind))
    assert sorted(given_labels(run, None, np.array([3, 1, 2]))) == [0, 1, 2]
    with pytest.raises(
        ValueError, match=r"cifar10_features .* another \(sample 1 .*`make data DATA"
    ):
        given_labels(run, None, np.array([3, 2, 1]))


COUNTS = "fashion_mnist_h/fmh_counts.csv"
NEWS = "noisyag/samples10000valMed.csv"
LABELS = "cifar10n/CIFAR-10_human.pt"
OTHERS = {
    "counts that are no integers": (COUNTS, "\n".join(["6.5" + ",6" * 9] * 10_000).encode()),
    "counts of nine classes": (COUNTS, "\n".join(["7" + ",7" * 8] * 10_000).encode()),
    "counts of fewer images": (COUNTS, "\n".join(["7" + ",7" * 9] * 9_999).encode()),
    "text of another encoding": (NEWS, "label,gt,text,group\n1,1,Zürich,3\n".encode("utf-16")),
    "labels of another order": (LABELS, b"PK"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_people_did_not_say_is_refused_before_training_with_the_file_and_the_remedy(
    case, monkeypatch, tmp_path
):
    """Whatever it holds: nothing but what was published is read."""
    file, content = OTHERS[case]
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_bytes(content)
    here = ":".join(map(str, data.directories()))
    monkeypatch.setenv("LABELNOISE_DATA", f"{tmp_path}:{here}")
    dataset, kind, model = {
        COUNTS: ("fashion_mnist_h", noisy("human", set="majority"), "mlp"),
        NEWS: ("noisyag", noisy("human", set="annotator"), "word_cnn"),
        LABELS: ("cifar10_features", noisy("human", set="worse_label"), "linear"),
    }[file]
    run = asked(dataset, kind, model)
    try:
        data.read(run.dataset)
    except data.NotThere as missing:
        pytest.skip(f"{run.dataset}: no {missing} on this machine")
    except data.DataError:
        pass  # the file is one of the data set itself
    with pytest.raises(data.DataError, match=rf"{file} is not the published .*\n.*`make data`"):
        Workers([run])


@pytest.mark.parametrize("dataset", ["letter", "cifar10_features", "fashion_mnist_h"])
def test_asymmetric_noise_flips_the_share_that_it_is_asked_for(dataset):
    made = task(asked(dataset, noisy("asymmetric", 0.4, exact=True)))
    assert made.noise_rate == pytest.approx(40 if dataset == "letter" else 20, abs=0.05)


def test_letters_become_what_a_classifier_takes_them_for():
    """The map was counted in five folds; one fold must tell nearly the same."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    made = task(asked("letter", noisy("clean")))
    x, y = made.images.numpy(), made.true.numpy()
    held_out = np.arange(len(y)) % 4 == 0
    model = linear_model.LogisticRegression(max_iter=300, tol=1e-3).fit(x[~held_out], y[~held_out])
    counts = noise.realised(y[held_out], model.predict(x[held_out]), 26)
    np.fill_diagonal(counts, -1)
    T = noise.asymmetric("letter", 1.0)
    ranks = (counts > (counts * T).sum(axis=1, keepdims=True)).sum(axis=1)
    assert (T.sum(axis=1), T.diagonal().max()) == (pytest.approx(np.ones(26)), 0)
    assert (ranks == 0).sum() >= 16
    assert ranks.max() <= 6


# ------------------------------------------------------------------------------ trained

ADAM = {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0, "schedule": "constant", "epochs": 3,
        "batch": 128}  # fmt: skip
TRAINED = {
    ("letter", "mlp"): noisy("symmetric", 0.6),
    ("letter", "linear"): noisy("asymmetric", 0.4),
    ("cifar10_features", "mlp"): noisy("human", set="worse_label"),
    ("cifar10_features", "linear"): noisy("twin", of="aggre_label"),
    ("fashion_mnist_h", "mlp"): noisy("human", set="worst"),
    ("noisyag", "word_cnn"): noisy("twin", of="annotator"),
}


@pytest.mark.parametrize(("dataset", "model"), TRAINED)
def test_a_run_learns_something_in_a_few_epochs(dataset, model):
    text = dataset == "noisyag"
    of = asked(dataset, TRAINED[dataset, model], model, subset=4000)
    of = Run(**{**of.config, "protocol": ADAM if text else of.protocol})
    task(of)
    made = train(of, device="cpu")
    chance = 100 / data.INFO[dataset].num_classes
    assert made["curves"]["test_accuracy"][-1] > 1.5 * chance
    assert ("data" in made["provenance"]) == (dataset == "cifar10_features")
