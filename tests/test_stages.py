"""Runs that train more than once: what each training sees, and resumption to the bit."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from labelnoise import noise
from labelnoise.config import Run, loss_setting, method, noisy, published
from labelnoise.experiments import MNIST_PROTOCOL
from labelnoise.noise import detection, estimation
from labelnoise.noise.detection import FILTERS
from labelnoise.runs.ledger import Ledger, RecordError
from labelnoise.runs.sweep import train_missing
from labelnoise.training import loop, methods, stages
from labelnoise.training.machine import this_machine
from labelnoise.training.task import Task

pytestmark = pytest.mark.usefixtures("workers_start_quickly")

CPU = torch.device("cpu")
CE = {"name": "CE"}
NOISE = noisy("symmetric", 0.3)
FORWARD = {"name": "Forward", "parameters": {"T": NOISE}}
ANCHORS = {"name": "Forward", "parameters": {"T": {"estimated": "anchors"}}}
JOINT = {"name": "Forward", "parameters": {"T": {"estimated": "confident_joint", "folds": 3}}}


def joint_of(judge: object) -> dict:
    return {"name": "Forward", "parameters": {"T": {**JOINT["parameters"]["T"], "judge": judge}}}


def run(loss: dict = CE, **changes) -> Run:
    setting = {"protocol": {**MNIST_PROTOCOL, "epochs": 4, "lr": 0.05}, **changes}
    return Run("digits", NOISE, loss, "mlp", **setting)


VARIANTS = {
    "anchors": run(ANCHORS),
    "confident joint": run(JOINT),
    "cross-validation": run(method={"name": "cross_validation", "folds": 3}),
    "pruned": run(method={"name": "pruned", "folds": 3}),
}
TRAININGS = {"anchors": 2, "confident joint": 4, "cross-validation": 3, "pruned": 4}


@pytest.fixture(scope="module")
def records() -> dict[str, dict]:
    return {name: methods.train(of, device="cpu") for name, of in VARIANTS.items()}


# ------------------------------------------------------------------------------ what is asked


def test_a_run_without_a_method_keeps_the_config_that_it_had():
    assert "method" not in run().config
    assert run(method=method("pruned")).config["method"] == {
        "name": "pruned", "folds": 5, "filter": "prune_by_noise_rate"
    }  # fmt: skip


def test_a_config_makes_the_same_run_again():
    for of in VARIANTS.values():
        again = Run(**of.config)
        assert (again, again.key) == (of, of.key)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_epoch_of_every_training_is_counted(name):
    assert VARIANTS[name].trainings == TRAININGS[name]
    counted = []
    methods.train(VARIANTS[name], device="cpu", on_epoch=counted.append)
    assert counted == list(range(1, 4 * TRAININGS[name] + 1))
    assert VARIANTS[name].epochs == len(counted)


@pytest.mark.parametrize(
    ("made", "label"),
    [
        (run(FORWARD), "Forward(true T)"),
        (run({"name": "Forward", "parameters": {"T": noisy("symmetric", 0.2)}}),
         "Forward(T symmetric 0.2)"),
        (VARIANTS["anchors"], "Forward(T from anchors)"),
        (run(joint_of({"name": "GCE"})), "Forward(T from confident joint of GCE)"),
        (VARIANTS["pruned"], "CE, pruned (filter prune_by_noise_rate)"),
        (VARIANTS["cross-validation"], "CE, cross validation (folds 3)"),
    ],
)  # fmt: skip
def test_labels_tell_what_was_done(made, label):
    assert made.label == label


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": {"name": "vote"}}, "method 'vote' is unknown; known: cross_validation, prun"),
        ({"method": {"name": "pruned", "filter": "best"}}, "filter 'best' is unknown"),
        ({"method": {"name": "cross_validation", "folds": 1}}, "folds=1 must be an integer of at"),
        ({"method": {"name": "cross_validation", "filter": "both"}}, "no option .'filter'."),
        ({"method": {"name": "pruned"}, "val_fraction": 0.1}, "val_fraction=0.1 goes with a sin"),
        ({"method": {"name": "pruned"}, "loss": ANCHORS}, "two methods in one run"),
        ({"loss": {"name": "Forward"}}, "Forward takes one parameter, T"),
        ({"loss": {"name": "Forward", "parameters": {"T": [[1.0]]}}}, "takes one parameter, T"),
        ({"loss": {"name": "Forward", "parameters": {"T": {"estimated": "guess"}}}},
         "estimate of T 'guess' is unknown; known: anchors, confident_joint"),
        ({"loss": {"name": "Forward", "parameters": {"T": {"estimated": "anchors", "folds": 3}}}},
         "T estimated from anchors has no option .'folds'."),
        ({"loss": {"name": "Forward", "parameters": {"T": {"judge": {"name": "GCE"}}}}},
         "names neither the kind of a noise nor how T is estimated"),
        ({"loss": joint_of("GCE")}, "judge='GCE' must be {'name'"),
        ({"loss": joint_of({"name": "GCE", "parameters": None})}, "judge={.* must be {'name'"),
        ({"loss": joint_of({"name": "DMI"})}, "judge=DMI needs a matrix or a warm start"),
        ({"loss": joint_of(ANCHORS)}, "judge=Forward needs a matrix or a warm start"),
        ({"loss": {"name": "Forward", "parameters": {"T": noisy("instance", 0.3)}}}, "no matrix"),
        ({"loss": {"name": "Forward", "parameters": {"T": noisy("dmi", 0.3)}}}, "2 classes"),
        ({"loss": {"name": "Backward", "parameters": {"T": noisy("symmetric", 0.9)}}}, "singular"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_before_any_training(changes, message):
    with pytest.raises(ValueError, match=message):
        run(**changes)


# --------------------------------------------------------------------------- what is trained


def test_a_fold_is_predicted_by_a_network_that_never_saw_it(monkeypatch, records):
    seen, predicted = [], []
    original = stages.Stages.probabilities

    def watch(self, state, images):
        predicted.append(images)
        return original(self, state, images)

    monkeypatch.setattr(stages.Stages, "probabilities", watch)
    fit = stages.fit
    monkeypatch.setattr(stages, "fit", lambda task, *a: seen.append(task.images) or fit(task, *a))
    made = methods.train(VARIANTS["cross-validation"], device="cpu")
    everything = Task.of(run(), torch.device("cpu")).images
    for trained, held_out in zip(seen, predicted, strict=True):
        both = torch.cat([trained, held_out]).flatten(1).tolist()
        assert sorted(both) == sorted(everything.flatten(1).tolist())  # each sample on one side
    assert made["result"] == records["cross-validation"]["result"]


def folds_of(seed: int, monkeypatch) -> list[list[int]]:
    """The samples of each fold; nothing is trained."""
    of, task, held_out = run(seed=seed), Task.of(run(), CPU), []
    task.images = torch.arange(len(task.given))

    def watch(self, state, numbers):
        held_out.append(numbers.tolist())
        return torch.zeros(len(numbers), 10)

    monkeypatch.setattr(stages.Stages, "probabilities", watch)
    monkeypatch.setattr(stages.Stages, "sound", lambda *_: SimpleNamespace(curves={}))
    stages.Stages(of, task, this_machine(CPU), None, lambda epoch: None).out_of_sample(of, 3)
    return held_out


def test_folds_are_of_one_size_shuffled_and_drawn_anew_for_each_seed(monkeypatch):
    first, other = folds_of(0, monkeypatch), folds_of(1, monkeypatch)
    assert sorted(map(len, first)) == [480, 481, 481]
    assert len(set(np.diff(first[0]))) > 3, "in the order of the data, every third sample"
    assert all(a != b for a, b in zip(first, other, strict=True))
    assert folds_of(0, monkeypatch) == first


def test_curves_are_the_means_over_the_folds(monkeypatch):
    states, sound = [], stages.Stages.sound

    def watch(*asked):
        states.append(sound(*asked))
        return states[-1]

    monkeypatch.setattr(stages.Stages, "sound", watch)
    made = methods.train(VARIANTS["cross-validation"], device="cpu")
    for name, curve in made["curves"].items():
        assert curve == pytest.approx(np.mean([s.curves[name] for s in states], axis=0))
    assert stages.mean([[1.0, None], [3.0, 2.0]]) == [2.0, None]


def test_out_of_sample_probabilities_stand_where_their_samples_stand(records):
    """A cross-validated network is right about most samples, whatever label it was given."""
    task = Task.of(run(), torch.device("cpu"))
    p = records["cross-validation"]["arrays"]["probabilities"]
    assert p.shape == (len(task.true), 10)
    assert p.dtype == np.float32
    assert (p.argmax(axis=1) == task.true.numpy()).mean() > 0.8


def test_the_second_training_is_the_one_with_the_estimated_matrix(records):
    result = records["anchors"]["result"]
    T = np.array(result["T"])
    of = replace(VARIANTS["anchors"], loss=published("mnist", "CE"))
    first = loop.train_once(of, device="cpu")
    assert first["curves"] == records["anchors"]["curves"]["first"]
    assert first["result"] == result["first"]
    assert T.sum(axis=1) == pytest.approx(np.ones(10))
    assert estimation.error(T, NOISE.matrix("digits")) < 0.3
    assert result["last"] != result["first"]["last"]


def test_matrices_are_estimated_from_the_given_labels_as_the_network_predicts_them(records):
    """By hand: anchors in sample, the confident joint out of sample."""
    task = Task.of(run(), CPU)
    with loop.session("cpu", 1):
        state = loop.State.of(run(), task, this_machine(CPU))
        loop.fit(task, state, "")
        p = loop.logits(task, state.model, task.images, state.on)
        p = p.float().softmax(dim=1).numpy()
    assert records["anchors"]["result"]["T"] == estimation.from_anchors(p).tolist()
    p = records["cross-validation"]["arrays"]["probabilities"]
    T = estimation.from_confident_joint(task.given.numpy(), p)
    assert records["confident joint"]["result"]["T"] == T.tolist()


def test_an_oracle_counts_the_true_labels_and_trains_once():
    loss = {"name": "Forward", "parameters": {"T": {"estimated": "oracle"}}}
    asked = run(loss=loss)
    made, task = methods.train(asked, device="cpu"), Task.of(asked, torch.device("cpu"))
    T = noise.realised(task.true.numpy(), task.given.numpy(), 10)
    assert (np.array(made["result"]["T"]) == T).all()
    assert "first" not in made["result"]
    assert asked.trainings == 1
    assert asked.label == "Forward(T from oracle)"


def test_naming_the_judge_that_is_the_default_does_not_make_another_run():
    assert run(joint_of(CE)).key == run(JOINT).key
    assert run(joint_of({"name": "GCE"})).key != run(JOINT).key


def test_the_matrix_is_counted_by_networks_of_the_judge():
    judge = loss_setting("GCE", q=0.5)
    p = methods.train(run(judge, method=method("cross_validation", folds=3)), device="cpu")
    result = methods.train(run(joint_of(judge)), device="cpu")["result"]
    given = Task.of(run(), CPU).given.numpy()
    T = estimation.from_confident_joint(given, p["arrays"]["probabilities"])
    assert result["T"] == T.tolist()
    assert result["first"]["last"] == p["result"]["last"]


@pytest.mark.parametrize("filter_by", ["prune_by_noise_rate", "confident_learning"])
def test_pruning_is_a_cross_validation_then_a_training_on_the_noisy_rest(filter_by, records):
    """By hand, with the probabilities of the cross-validation."""
    first = records["cross-validation"]
    task = Task.of(run(), CPU)
    given, wrong = task.given.numpy(), (task.given != task.true).numpy()
    suspect = detection.suspects(given, first["arrays"]["probabilities"], filter_by)
    with loop.session("cpu", 1):
        state = loop.State.of(run(), task, this_machine(CPU))
        loop.fit(task.only(torch.from_numpy(~suspect).nonzero().flatten()), state, "")
    made = methods.train(run(method=method("pruned", folds=3, filter=filter_by)), device="cpu")
    assert made["curves"] == {**state.curves, "first": first["curves"]}
    assert made["result"]["last"] == state.curves["test_accuracy"][-1]
    assert made["result"]["first"]["last"] == first["result"]["last"]
    counts = {"removed": suspect.sum(), "wrong": (suspect & wrong).sum()}
    assert made["result"]["pruned"] == counts


def test_pruning_removes_what_the_filter_suspects_and_trains_on_the_rest(records, monkeypatch):
    sizes = []
    fit = stages.fit
    monkeypatch.setattr(
        stages, "fit", lambda task, *a: sizes.append(len(task.given)) or fit(task, *a)
    )
    methods.train(VARIANTS["pruned"], device="cpu")
    removed = records["pruned"]["result"]["pruned"]
    assert sizes[-1] == 1442 - removed["removed"]
    assert removed["wrong"] > 0.7 * removed["removed"] > 0


def test_noise_rate_and_flips_are_those_of_all_labels(records):
    whole = loop.train_once(run(), device="cpu")
    for made in records.values():
        assert made["provenance"]["flips_sha256"] == whole["provenance"]["flips_sha256"]
        assert made["result"]["noise_rate"] == whole["result"]["noise_rate"]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_run_killed_in_any_training_resumes_to_the_bit(name, records, tmp_path):
    checkpoint = tmp_path / "run.pt"
    for stop in range(3, 4 * TRAININGS[name], 5):

        def interrupt(epoch, stop=stop):
            if epoch == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            methods.train(VARIANTS[name], device="cpu", checkpoint=checkpoint, on_epoch=interrupt)
    epochs = []
    made = methods.train(
        VARIANTS[name], device="cpu", checkpoint=checkpoint, on_epoch=epochs.append
    )
    assert len(epochs) < 8
    for part in ("config", "result", "curves"):
        assert made[part] == records[name][part]


def test_a_first_training_that_diverges_stops_the_run():
    of = run(ANCHORS, protocol={**MNIST_PROTOCOL, "lr": 1e6, "epochs": 3, "momentum": 0.99})
    of = replace(of, protocol={k: v for k, v in of.protocol.items() if k != "clip_norm"})
    with pytest.raises(
        RuntimeError, match=r"training 1 of 2 diverged at epoch .*lower the learning"
    ):
        methods.train(of, device="cpu")


def test_a_last_fold_that_diverges_is_not_averaged(monkeypatch):
    """Its probabilities are a fifth of the result, though no other training comes after it."""
    fit, count = stages.fit, iter(range(1, 10))

    def broken(task, state, *rest):
        seconds = fit(task, state, *rest)
        if next(count) == TRAININGS["cross-validation"]:
            state.diverged_at = state.recipe.protocol["epochs"]
        return seconds

    monkeypatch.setattr(stages, "fit", broken)
    with pytest.raises(RuntimeError, match=r"diverged at epoch .*the result rests on it"):
        methods.train(VARIANTS["cross-validation"], device="cpu")


# ----------------------------------------------------------------------------------- records


def test_arrays_lie_beside_the_record_and_are_checked(here):
    of = VARIANTS["cross-validation"]
    assert train_missing([of], here) == 1
    stored = here.arrays(of)["probabilities"]
    assert stored.dtype == np.float32
    assert here.find(of)["result"]["detection"]["average_precision"] > 80
    assert list((here.directory / ".checkpoints").glob("*.pt")) == []
    path = here.path(of).with_suffix(".npz")
    np.savez_compressed(path, probabilities=stored + np.float32(0.1))
    with pytest.raises(RecordError, match=r"arrays .* are damaged or belong to another run"):
        here.arrays(of)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RecordError, match="are damaged"):
        here.arrays(of)
    path.unlink()
    assert here.arrays(of) is None


def test_arrays_of_a_run_that_has_none(here):
    assert here.arrays(run()) is None


def test_the_ledger_and_the_workers_agree_to_the_bit(here, records):
    train_missing([VARIANTS["pruned"]], here)
    made = Ledger(here.directory).find(VARIANTS["pruned"])
    assert made["result"] == records["pruned"]["result"]


# ---------------------------------------------------------------------------------- detection


def test_detection_counts_what_it_says():
    labels = np.array([0, 1, 0, 1, 0, 1] * 20)
    wrong = np.zeros(120, dtype=bool)
    wrong[:30] = True
    p = np.where(wrong, 0.1, 0.9) + np.linspace(0, 0.05, 120)
    p[0] = 0.99  # one wrong label that looks right: the last of the ranking
    probabilities = np.stack([np.where(labels == 0, p, 1 - p), np.where(labels == 1, p, 1 - p)], 1)
    found = detection.detection(labels, probabilities, wrong)
    assert found["average_precision"] == pytest.approx(100 * (29 + 30 / 120) / 30)
    assert found["found"] == 30
    assert detection.ranked(labels, probabilities)[:29].tolist() == list(range(1, 30))
    filters = found["filters"]["confident_learning"]
    assert filters == {"flagged": 29, "precision": 100.0, "recall": pytest.approx(2900 / 30)}


def test_equals_are_ranked_by_position_and_the_first_thousand_are_counted():
    labels = np.arange(1200) % 2
    believed = np.array([0.7, 0.3, 0.5])[np.arange(1200) % 3]
    p = np.where(labels[:, None] == [0, 1], believed[:, None], 1 - believed[:, None])
    ranks = [*range(1, 1200, 3), *range(2, 1200, 3), *range(0, 1200, 3)]
    assert detection.ranked(labels, p).tolist() == ranks
    p = np.full((1200, 2), 0.5)
    assert detection.detection(labels, p, labels == 1)["found"] == 500
    assert detection.detection(labels, p, np.arange(1200) >= 100)["found"] == 900


def test_every_filter_is_cleanlabs_own_of_that_name(records):
    from cleanlab.filter import find_label_issues

    given = Task.of(run(), CPU).given.numpy()
    p = records["cross-validation"]["arrays"]["probabilities"]
    judged = records["cross-validation"]["result"]["detection"]["filters"]
    flags = {by: find_label_issues(given, p, filter_by=by, n_jobs=1) for by in FILTERS}
    assert len({flagged.tobytes() for flagged in flags.values()}) == len(FILTERS)
    for by, flagged in flags.items():
        assert np.array_equal(detection.suspects(given, p, by), flagged), by
        assert judged[by]["flagged"] == flagged.sum(), by


def test_detection_needs_probabilities_and_matching_labels():
    labels = np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="probs must lie"):
        detection.ranked(labels, np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match="one for each of the 3 rows"):
        detection.ranked(labels, np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="class 2 has no label"):
        detection.ranked(labels, np.full((4, 3), 1 / 3))
    with pytest.raises(ValueError, match="filter_by='all' is unknown"):
        detection.suspects(labels, np.full((4, 2), 0.5), "all")


def test_a_loss_for_a_noise_without_parameters_is_spelled_out():
    setting = loss_setting("Forward", T={"kind": "symmetric", "rate": 0.3})
    assert setting.parameters == {"T": NOISE}
