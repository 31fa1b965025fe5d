"""The two stages of L_DMI: what the second one starts from, and resumption to the bit."""

import json
from dataclasses import replace

import pytest
import torch

from labelnoise import losses
from labelnoise.config import LossSetting, Run, method, noisy
from labelnoise.experiments import MNIST_PROTOCOL
from labelnoise.experiments.dmi import MR_PROTOCOL
from labelnoise.runs.sweep import train_missing
from labelnoise.training import loop, methods, stages
from labelnoise.training.machine import this_machine
from labelnoise.training.task import Task

CE, DMI = {"name": "CE"}, {"name": "DMI"}
CPU = torch.device("cpu")
FIRST = {
    "optimizer": "adam", "epochs": 6, "batch": 64, "lr": 0.01, "weight_decay": 0.0,
    "schedule": "constant",
}  # fmt: skip
SECOND = {**FIRST, "epochs": 3, "lr": 3e-3}
WARM = method("warm_start", protocol=FIRST)


def run(loss: dict = DMI, **changes: object) -> Run:
    setting = {"protocol": SECOND, "val_fraction": 0.25, "method": WARM, "subset": 600, **changes}
    return Run("digits", noisy("symmetric", 0.4), loss, "mlp", **setting)


PLAIN = run(CE, protocol=FIRST, method=None)  # the first stage as a run of its own


def exact(record: dict) -> str:
    return json.dumps({part: record[part] for part in ("config", "result", "curves")})


@pytest.fixture(scope="module")
def record() -> dict:
    return methods.train(run(), device="cpu")


# ------------------------------------------------------------------------------ what is asked


def test_the_first_stages_protocol_is_part_of_the_run():
    of = run()
    assert of.config["method"] == {"name": "warm_start", "protocol": FIRST}
    assert Run(**of.config) == of
    other = run(method=method("warm_start", protocol={**FIRST, "epochs": 5}))
    assert other.key != of.key != PLAIN.key
    assert (of.trainings, of.epochs, other.epochs) == (2, 9, 8)
    assert of.label == "DMI, warm start"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_fraction": 0.0}, "warm_start chooses its weights on a noisy validation set: give"),
        ({"method": {"name": "warm_start"}}, "warm_start needs the protocol of its first stage"),
        ({"method": {"name": "warm_start", "protocol": None}}, "protocol=None must be a dict"),
        ({"method": {"name": "warm_start", "protocol": {**FIRST, "lr": 0}}}, "lr=0 must be"),
        ({"method": {**WARM.as_config(), "folds": 3}}, "warm_start has no option .'folds'."),
        ({"probe": ("gradient",)}, "probe='gradient' .* DMI belongs to the whole batch: leave"),
        ({"method": None, "probe": ("gradient",)}, "probe='gradient' .* DMI belongs"),
        ({"protocol": {**SECOND, "batch": 9}}, "batch=9 is too small for DMI with 10 classes"),
        ({"subset": 9}, "subset=9 is too small for DMI with 10 classes"),
        ({"loss": {"name": "Forward", "parameters": {"T": {"estimated": "anchors"}}}},
         "two methods in one run"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_before_any_training(changes, message):
    with pytest.raises(ValueError, match=message):
        run(**{"loss": DMI, **changes})


def test_augmentation_of_a_first_stage_is_for_images():
    asked = {"model": "word_cnn", "val_fraction": 0.2, "protocol": MR_PROTOCOL}
    first = method("warm_start", protocol={**MR_PROTOCOL, "augment": ("flip",)})
    with pytest.raises(ValueError, match="augment=flip is for images, but mr is text"):
        Run("mr", noisy("clean"), CE, method=first, **asked)
    Run("mr", noisy("clean"), CE, method=method("warm_start", protocol=MR_PROTOCOL), **asked)


def test_other_losses_keep_their_probe():
    assert "gradient_share" in methods.train(run(CE, probe=("gradient",)), device="cpu")["curves"]


# --------------------------------------------------------------------------- what is trained


def test_the_first_stage_is_a_training_of_its_own(record):
    alone = loop.train_once(PLAIN, device="cpu")
    assert record["curves"]["first"] == alone["curves"]
    assert record["result"]["first"] == alone["result"]


def test_the_second_stage_starts_from_the_best_epoch_with_a_fresh_optimiser(record):
    """By hand: the first stage once more, no longer than to that epoch, then the second."""
    val = record["curves"]["first"]["val_accuracy"]
    best = val.index(max(val)) + 1
    assert best < len(val), "in this test, the best epoch must not be the last"
    task = Task.of(PLAIN, CPU)
    with loop.session("cpu", 1):
        short = replace(PLAIN, protocol={**FIRST, "epochs": best})
        first = loop.State.of(short, task, this_machine(CPU))
        loop.fit(task, first, "")
        second = loop.State.of(run(), task, this_machine(CPU))
        second.model.load_state_dict(first.model.state_dict())
        loop.fit(task, second, "")
    assert second.curves == {k: v for k, v in record["curves"].items() if k != "first"}


def test_the_first_of_equals_is_kept():
    task = Task.of(PLAIN, CPU)
    with loop.session("cpu", 1):
        state = loop.State.of(PLAIN, task, this_machine(CPU))
        loop.evaluate(task, state)
        before = {name: w.clone() for name, w in state.model.state_dict().items()}
        with torch.no_grad():
            for w in state.model[-1].parameters():
                w *= 2  # other weights, the same answers
        loop.evaluate(task, state)
        assert len(set(state.curves["val_accuracy"])) == 1
        assert all(torch.equal(before[name], w) for name, w in state.best.items())


def test_the_best_epoch_is_the_one_of_the_validation_set_whatever_the_test_set_says():
    task = Task.of(PLAIN, CPU)
    with loop.session("cpu", 1), torch.no_grad():
        state = loop.State.of(PLAIN, task, this_machine(CPU))
        task.val_given, said = (
            loop.logits(task, state.model, images, state.on).argmax(dim=1)
            for images in (task.val_images, task.test_images)
        )
        task.test_labels = (said + 1) % 10
        before = {name: w.clone() for name, w in state.model.state_dict().items()}
        loop.evaluate(task, state)
        for w in state.model[-1].parameters():
            w.copy_(w.roll(1, dims=0))  # every answer becomes the next class
        loop.evaluate(task, state)
    assert state.curves["val_accuracy"] == [100.0, 0.0]
    assert state.curves["test_accuracy"] == [0.0, 100.0]
    assert all(torch.equal(before[name], w) for name, w in state.best.items())


def test_the_validation_loss_is_one_determinant_of_all_held_out_samples(record, monkeypatch):
    ends = []
    fit = stages.fit
    monkeypatch.setattr(
        stages, "fit", lambda t, state, *a: (fit(t, state, *a), ends.append(state))[0]
    )
    again = methods.train(run(), device="cpu")
    assert exact(again) == exact(record)
    task = Task.of(run(), CPU)
    assert len(task.val_given) == 150
    said = loop.logits(task, ends[1].model, task.val_images, ends[1].on).float()
    whole = losses.DMI()(said, task.val_given)
    assert record["curves"]["val_loss"][-1] == pytest.approx(whole.item(), rel=1e-3)
    agree = (said.argmax(dim=1) == task.val_given).sum()
    assert record["curves"]["val_accuracy"][-1] == 100 * agree.item() / 150
    assert "val_loss" not in record["curves"]["first"]


def test_the_epoch_with_the_lowest_validation_loss_is_reported_beside(monkeypatch):
    val_loss = iter([3.0, float("inf"), 1.0, 1.0, 2.0])

    class Told(losses.CE):
        def forward(self, logits, targets):
            loss = super().forward(logits, targets)
            return loss if torch.is_grad_enabled() else torch.tensor(next(val_loss))

    monkeypatch.setattr(LossSetting, "build", lambda self, dataset: Told())
    made = methods.train(run(CE, protocol={**SECOND, "epochs": 5}), device="cpu")
    assert made["curves"]["val_loss"] == [3.0, None, 1.0, 1.0, 2.0]
    assert made["result"]["val_loss_chosen"] == made["curves"]["test_accuracy"][2]


def test_the_recalls_are_those_of_the_last_epoch_and_add_up_to_its_accuracy(record):
    task = Task.of(run(), CPU)
    sizes = task.test_labels.bincount(minlength=task.num_classes)
    recalls = torch.tensor(record["result"]["recalls"])
    whole = (recalls * sizes).sum() / sizes.sum()
    assert whole.item() == pytest.approx(record["result"]["last"])
    assert len({*record["result"]["recalls"]}) > 1


def test_a_network_that_always_says_the_same_has_one_recall():
    task = Task.of(PLAIN, CPU)
    with loop.session("cpu", 1):
        state = loop.State.of(PLAIN, task, this_machine(CPU))
        with torch.no_grad():
            state.model[-1].weight.zero_()
            state.model[-1].bias.copy_(torch.arange(task.num_classes) == 3)
    assert methods.recalls(task, state) == [100.0 * (k == 3) for k in range(task.num_classes)]


@pytest.mark.parametrize(("loss", "sizes"), [(CE, {50, 5}), (DMI, {50})])
def test_batches_with_fewer_samples_than_classes_are_left_out_for_dmi_alone(
    loss, sizes, monkeypatch
):
    seen = set()
    built = LossSetting.build

    def watched(setting, dataset):
        made = built(setting, dataset)
        made.register_forward_hook(lambda module, inputs, out: seen.add(len(inputs[0])))
        return made

    monkeypatch.setattr(LossSetting, "build", watched)
    alone = {"method": None, "val_fraction": 0.0, "subset": 105}
    made = loop.train_once(run(loss, protocol={**SECOND, "batch": 50}, **alone), device="cpu")
    assert seen == sizes
    assert made["result"]["diverged_at"] is None


def test_dmi_trains_without_a_warm_start_too():
    made = methods.train(run(method=None), device="cpu")
    assert made["result"]["last"] is not None
    assert "val_loss" not in made["curves"]


# ------------------------------------------------------------------------------- interruptions


@pytest.mark.parametrize("every", [1, 2, 3])
def test_killed_again_and_again_it_gets_there_to_the_bit(every, record, tmp_path):
    """Between any two epochs, in both stages and between them; ``every`` epochs a time."""
    checkpoint, counted = tmp_path / "run.pt", []

    def interrupt(epoch):
        counted.append(epoch)
        if len(counted) % every == 0:
            raise KeyboardInterrupt

    for _ in range(20):
        try:
            made = methods.train(run(), device="cpu", checkpoint=checkpoint, on_epoch=interrupt)
            break
        except KeyboardInterrupt:
            continue
    assert counted == list(range(1, 10))
    assert exact(made) == exact(record)


def test_a_sweep_stores_the_same_record_and_leaves_no_checkpoint(
    record, here, workers_start_quickly
):
    assert train_missing([run()], here) == 1
    assert exact(here.find(run())) == exact(record)
    assert list((here.directory / ".checkpoints").glob("*.pt")) == []


# --------------------------------------------------------------------- the shared first stage


def epochs_of(of: Run, checkpoint) -> tuple[list[int], dict]:
    counted = []
    made = methods.train(of, device="cpu", checkpoint=checkpoint, on_epoch=counted.append)
    return counted, made


def test_another_loss_begins_with_the_first_stage_that_is_there(record, tmp_path):
    alone = methods.train(run(CE), device="cpu")
    assert epochs_of(run(CE), tmp_path / "one.pt")[0] == list(range(1, 10))
    counted, made = epochs_of(run(), tmp_path / "other.pt")
    assert counted == [7, 8, 9]  # of the second stage
    assert exact(made) == exact(record) != exact(alone)


@pytest.mark.parametrize(
    "other",
    [
        run(seed=1),
        run(subset=500),
        run(val_fraction=0.2),
        replace(run(), noise=noisy("symmetric", 0.3)),
        run(method=method("warm_start", protocol={**FIRST, "lr": 0.02})),
    ],
    ids=["seed", "subset", "held out", "noise", "protocol"],
)
def test_another_first_stage_is_not_taken(other, tmp_path):
    epochs_of(run(), tmp_path / "one.pt")
    counted, made = epochs_of(other, tmp_path / "other.pt")
    assert counted == list(range(1, 10))
    assert exact(made) == exact(methods.train(other, device="cpu"))


def test_a_damaged_first_stage_is_trained_anew(record, tmp_path):
    epochs_of(run(CE), tmp_path / "one.pt")
    (shared,) = tmp_path.glob(f"*{stages.SHARED}.*")
    content = bytearray(shared.read_bytes())
    content[len(content) // 2] ^= 1
    shared.write_bytes(content)
    counted, made = epochs_of(run(), tmp_path / "other.pt")
    assert counted == list(range(1, 10))
    assert exact(made) == exact(record)


def test_a_sweep_shares_first_stages_and_removes_them(record, here, workers_start_quickly):
    checkpoints = here.directory / ".checkpoints"
    runs = [run(CE), run(), run(seed=1)]
    assert train_missing(runs, here, workers=1) == 3
    assert exact(here.find(run())) == exact(record)
    assert list(checkpoints.iterdir()) == []

    key = methods.first_training(run()).key
    for left in ("pt", "pt.99.partial"):  # by a sweep that was killed at its end
        (checkpoints / f"{key}{stages.SHARED}.{left}").touch()
    assert train_missing(runs, here) == 0
    assert list(checkpoints.iterdir()) == []


def test_a_shared_first_stage_stays_until_every_run_that_needs_it_is_recorded(
    here, workers_start_quickly
):
    """An interrupted sweep releases its locks; another grid's sweep may come before its own."""
    checkpoints = here.directory / ".checkpoints"
    later = run(method=method("warm_start", protocol={**FIRST, "lr": 0.02}))
    assert train_missing([run(CE)], here) == 1
    shared = checkpoints / f"{methods.first_training(later).key}{stages.SHARED}.pt"
    partial = shared.with_name(f"{shared.name}.99.partial")
    for path in (shared, partial):
        path.touch()
    assert train_missing([run(CE)], here) == 0
    assert shared.exists()

    lock = checkpoints / "another.lock"
    lock.touch()  # somebody trains, and may be writing
    assert train_missing([later], here) == 1
    assert set(checkpoints.iterdir()) == {partial, lock}


def test_a_run_of_its_own_leaves_what_others_share(here, workers_start_quickly):
    shared = here.directory / ".checkpoints" / f"{PLAIN.key}{stages.SHARED}.pt"
    shared.parent.mkdir(parents=True)
    shared.touch()
    assert train_missing([PLAIN], here) == 1
    assert list(shared.parent.iterdir()) == [shared]


def test_a_first_stage_that_diverges_stops_the_run():
    broken = {**FIRST, "optimizer": "sgd", "momentum": 0.99, "lr": 1e6}
    with pytest.raises(RuntimeError, match=r"training 1 of 2 diverged .* lower the learning rate"):
        methods.train(run(method=method("warm_start", protocol=broken)), device="cpu")


def test_mnist_protocol_goes_with_the_second_stage():
    """SGD after Adam: the stages share weights, and no optimiser."""
    made = methods.train(run(protocol={**MNIST_PROTOCOL, "epochs": 1}), device="cpu")
    assert len(made["curves"]["test_accuracy"]) == 1
