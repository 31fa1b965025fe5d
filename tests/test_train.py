"""One run, one record: exact, resumable, independent of what surrounds it, and the loop that the
papers describe. Independent recomputations here are plain numpy or plain torch."""

import copy
import hashlib
import json
import math
import subprocess
import sys
import textwrap
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from labelnoise import data, losses, models, noise
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import train_missing
from labelnoise.seeds import generator
from labelnoise.training import loop, machine, task
from labelnoise.training.loop import State, summarise
from labelnoise.training.machine import this_machine
from labelnoise.training.task import Task

CPU = torch.device("cpu")
CE, CLL = {"name": "CE"}, {"name": "CLL", "parameters": {"sigma": 1.0}}


def run(*, epochs: int = 3, **changes: object) -> Run:
    protocol = {**MNIST_PROTOCOL, "epochs": epochs, **changes.pop("protocol", {})}
    setting = {"noise": noisy("symmetric", 0.6), "loss": CE, "model": "mlp", "subset": 300}
    return Run("digits", **{**setting, "probe": ("gradient",), **changes}, protocol=protocol)


VARIANTS = {
    "mlp": run(),
    "cnn with batch norm": run(model="cnn4", loss=CLL, subset=200),
    "validation split": run(val_fraction=0.2, seed=1),
    "changes counted": run(probe=("changed", "clipped"), seed=2),
    "augmented": run(protocol={"augment": ("crop", "flip", "rotation")}, val_fraction=0.1),
}
variants = pytest.mark.parametrize("variant", VARIANTS)


def record(of: Run, **options: object) -> dict:
    return loop.train_once(of, device="cpu", **options)


def exact(of: dict) -> str:
    """What must be bit-identical, as text (JSON prints floats to the last bit)."""
    return json.dumps({part: of[part] for part in ("config", "result", "curves")})


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, str]:
    return {name: exact(record(of)) for name, of in VARIANTS.items()}


@pytest.fixture
def float32(monkeypatch):
    """float32 whatever the CPU can do, so that an independent recomputation can be close."""
    monkeypatch.setenv("LABELNOISE_PRECISION", "float32")


# ------------------------------------------------------------------------- what a run depends on


@variants
def test_two_runs_of_one_config_are_bit_identical(variant, undisturbed):
    assert exact(record(VARIANTS[variant])) == undisturbed[variant]


@variants
def test_a_run_does_not_depend_on_what_ran_before(variant, undisturbed):
    for other in VARIANTS.values():
        record(other)
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002 (the global generator is the point)
    torch.rand(1000)
    assert exact(record(VARIANTS[variant])) == undisturbed[variant]


@variants
def test_a_run_does_not_depend_on_the_callers_threads_and_leaves_them_alone(variant, undisturbed):
    torch.set_num_threads(2)
    try:
        assert exact(record(VARIANTS[variant])) == undisturbed[variant]
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyboardInterrupt):
            record(VARIANTS[variant], on_epoch=interrupt_at(1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


BESIDE = """
    import json, sys
    from labelnoise.experiments import Run
    from labelnoise.training.methods import train
    of = Run(**json.loads(sys.argv[1]))
    for _ in iter(sys.stdin.readline, ""):  # again and again, until nobody listens
        made = train(of, device="cpu")
        exact = {part: made[part] for part in ("config", "result", "curves")}
        print(json.dumps(exact), flush=True)
"""


def test_a_run_does_not_depend_on_what_runs_beside_it_nor_on_its_process(undisturbed):
    of = VARIANTS["cnn with batch norm"]
    command = [sys.executable, "-c", textwrap.dedent(BESIDE), json.dumps(of.config)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as beside:
        beside.stdin.write("run\n" * 3)
        beside.stdin.flush()
        theirs = [beside.stdout.readline().strip()]  # it has begun, and goes on
        ours = [exact(record(of)) for _ in range(2)]
        beside.stdin.close()
        theirs += [line.strip() for line in beside.stdout]
    assert set(ours) == {undisturbed["cnn with batch norm"]}
    assert set(theirs) == {undisturbed["cnn with batch norm"]}
    assert len(theirs) == 3


def test_what_a_system_does_not_tell_of_its_processor_is_null(monkeypatch):
    monkeypatch.setattr(machine, "cpuinfo", dict)
    told = machine.processor(CPU)
    assert told.pop("instructions")
    assert set(told.values()) == {None}
    assert machine.device_name(CPU), "a word there is all the same"


def test_the_record_says_what_it_was_asked_and_where_it_was_made():
    of = run()
    made = record(of)
    assert set(made) == {"config", "result", "curves", "provenance"}
    assert made["config"] == of.config
    assert set(made["provenance"]) == {
        *("version", "commit", "flips_sha256", "torch", "python", "device"),
        *("processor", "threads", "precision", "seconds", "date"),
    }
    processor = made["provenance"]["processor"]
    assert set(processor) == {"vendor", "family", "model", "instructions"}
    assert ("no native" in processor["instructions"]) == (not machine.native_bfloat16())
    assert made["provenance"]["threads"] == 1
    assert made["provenance"]["torch"] == torch.__version__
    true = data.load("digits", "train")[1][:300]
    given = noise.corrupt(true, noise.symmetric(10, 0.6), of.seed)[0]
    flips = hashlib.sha256(given.astype("<i8").tobytes()).hexdigest()
    assert made["provenance"]["flips_sha256"] == flips
    json.dumps(made, allow_nan=False)


def test_a_machine_without_git_trains_and_names_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert machine.commit() is None


def test_losses_of_one_seed_share_the_flips_and_seeds_do_not():
    def flips(**changes: object) -> str:
        return record(run(epochs=1, **changes))["provenance"]["flips_sha256"]

    assert flips(loss=CE) == flips(loss=CLL) == flips(val_fraction=0.1) == flips(model="cnn4")
    assert flips(seed=1) != flips(seed=0)


# ------------------------------------------------------------------------------------- resuming


def interrupt_at(last: int):
    def on_epoch(epoch: int) -> None:
        if epoch == last:
            raise KeyboardInterrupt

    return on_epoch


def resumed(of: Run, checkpoint) -> tuple[str, list[int]]:
    """The record and the epochs that were trained for it."""
    epochs: list[int] = []
    made = record(of, checkpoint=checkpoint, on_epoch=epochs.append)
    return exact(made), epochs


@variants
def test_resume_after_any_epoch_is_bit_identical(variant, undisturbed, tmp_path):
    of = VARIANTS[variant]
    for last in range(1, of.protocol["epochs"] + 1):
        checkpoint = tmp_path / f"{last}.pt"
        with pytest.raises(KeyboardInterrupt):
            record(of, checkpoint=checkpoint, on_epoch=interrupt_at(last))
        torch.rand(77)  # resuming needs no saved generator
        made, epochs = resumed(of, checkpoint)
        assert epochs == list(range(last + 1, of.protocol["epochs"] + 1)), "it began afresh"
        assert made == undisturbed[variant]


def test_interrupted_after_every_epoch_it_still_gets_there(undisturbed, tmp_path):
    of, checkpoint = VARIANTS["cnn with batch norm"], tmp_path / "run.pt"
    for last in range(1, of.protocol["epochs"] + 1):
        with pytest.raises(KeyboardInterrupt):
            record(of, checkpoint=checkpoint, on_epoch=interrupt_at(last))
    made, epochs = resumed(of, checkpoint)
    assert epochs == []
    assert made == undisturbed["cnn with batch norm"]


@pytest.mark.parametrize("within", ["train_epoch", "evaluate"])
def test_an_epoch_that_was_interrupted_is_repeated_whole(
    within, undisturbed, tmp_path, monkeypatch
):
    calls, original = [], getattr(loop, within)

    def dies_in_the_second(*arguments: object) -> None:
        calls.append(1)
        original(*arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop, within, dies_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            record(VARIANTS["mlp"], checkpoint=tmp_path / "run.pt")
    made, epochs = resumed(VARIANTS["mlp"], tmp_path / "run.pt")
    assert epochs == [2, 3]
    assert made == undisturbed["mlp"]


def flipped_bit(content: bytes, where: float) -> bytes:
    at = int(where * (len(content) - 1))
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


DAMAGES = {
    "empty": lambda content: b"",
    "a few bytes": lambda content: content[:20],
    "checksum only": lambda content: content[:32],
    "truncated": lambda content: content[: len(content) // 2],
    "last byte lost": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "bit in the checksum": lambda content: flipped_bit(content, 0),
    "bit in the weights": lambda content: flipped_bit(content, 0.5),
    "bit at the end": lambda content: flipped_bit(content, 1),
    "zeros": lambda content: bytes(len(content)),
    "no checkpoint": lambda content: b"PK\x03\x04" + content[4:],
}


@pytest.fixture(scope="module")
def after_two_epochs(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        record(VARIANTS["mlp"], checkpoint=path, on_epoch=interrupt_at(2))
    return path.read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(damage, undisturbed, after_two_epochs, tmp_path):
    checkpoint = tmp_path / "run.pt"
    checkpoint.write_bytes(DAMAGES[damage](after_two_epochs))
    made, epochs = resumed(VARIANTS["mlp"], checkpoint)
    assert epochs == [1, 2, 3]
    assert made == undisturbed["mlp"]


FOREIGN = {
    "seed": {"of": run(seed=5)},
    "protocol": {"of": run(epochs=4)},
    "threads": {"threads": 2},
    "torch": {"torch": "0.0.1"},
    "precision": {"precision": None},
    "code": {"patches": [(loop, "code", lambda: "another")]},
    "processor": {"patches": [(loop, "processor", lambda device: {"model": "another"})]},
    # what a GPU has written: torch would put it back on a GPU, which may not be there
    "device": {
        "patches": [
            (loop, "device_name", lambda device: "NVIDIA"),
            (torch.serialization, "location_tag", lambda storage: "cuda:0"),
        ]
    },
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_checkpoint_of_another_run_or_build_is_passed_over(
    case, undisturbed, tmp_path, monkeypatch
):
    other, checkpoint = dict(FOREIGN[case]), tmp_path / "run.pt"
    with monkeypatch.context() as patched:
        if "torch" in other:
            patched.setattr(torch, "__version__", other.pop("torch"))
        if "precision" in other:
            native = machine.precision(CPU)
            foreign = next(name for name in machine.PRECISIONS if name != native)
            patched.setenv("LABELNOISE_PRECISION", other.pop("precision") or foreign)
        for where, name, value in other.pop("patches", []):
            patched.setattr(where, name, value)
        of = other.pop("of", VARIANTS["mlp"])
        with pytest.raises(KeyboardInterrupt):
            record(of, checkpoint=checkpoint, on_epoch=interrupt_at(2), **other)
    made, epochs = resumed(VARIANTS["mlp"], checkpoint)
    assert epochs == [1, 2, 3]
    assert made == undisturbed["mlp"]


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_checkpoint_never_runs_code(tmp_path):
    torch.save({"identity": Bomb(tmp_path / "ran")}, tmp_path / "bomb")
    content = (tmp_path / "bomb").read_bytes()
    checkpoint = tmp_path / "run.pt"
    checkpoint.write_bytes(hashlib.sha256(content).digest() + content)
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        record(run(epochs=1), checkpoint=checkpoint)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_is_written_whole_or_not_at_all(
    tmp_path, after_two_epochs, monkeypatch, undisturbed
):
    """A crash between the write and the rename leaves the checkpoint of the epoch before."""
    checkpoint = tmp_path / "run.pt"
    checkpoint.write_bytes(after_two_epochs)
    with monkeypatch.context() as patched:
        patched.setattr(type(checkpoint), "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            record(VARIANTS["mlp"], checkpoint=checkpoint)
    assert checkpoint.read_bytes() == after_two_epochs
    made, epochs = resumed(VARIANTS["mlp"], checkpoint)
    assert (made, epochs) == (undisturbed["mlp"], [3])


def crash(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_the_seconds_of_a_resumed_run_include_what_was_trained_before(tmp_path):
    checkpoint, of = tmp_path / "run.pt", run(epochs=2)
    task = Task.of(of, CPU)
    state = State.of(of, task, this_machine(CPU))
    loop.train_epoch(task, state)
    loop.evaluate(task, state)
    identity = loop.identity(of, this_machine(CPU))
    state.save(checkpoint, identity, 1000.0)
    assert 1000 <= record(of, checkpoint=checkpoint)["provenance"]["seconds"] < 1100


# ------------------------------------------------------------------------------------- divergence


class NotANumber(losses.Loss):
    """Turns NaN in the given call."""

    calls, bad_call = 0, 0

    def per_sample(self, logits, targets):
        type(self).calls += 1
        value = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        return value * (math.nan if self.calls >= self.bad_call else 1.0)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_loss_that_turns_nan_is_recorded_as_diverged(epoch, monkeypatch, tmp_path):
    monkeypatch.setitem(losses.LOSSES, "NaN", NotANumber)
    monkeypatch.setattr(NotANumber, "calls", 0)
    monkeypatch.setattr(NotANumber, "bad_call", 3 * (epoch - 1) + 2)  # three batches an epoch
    made = record(run(epochs=3, loss={"name": "NaN"}), checkpoint=tmp_path / "run.pt")
    result, curves = made["result"], made["curves"]
    assert result["diverged_at"] == epoch
    assert result["last"] is None
    assert {len(curve) for curve in curves.values()} == {epoch}
    assert curves["train_loss"][-1] is None
    assert None not in curves["train_loss"][:-1]
    json.dumps(made, allow_nan=False)


def test_a_learning_rate_far_too_high_is_recorded_as_diverged_and_resumed_so(tmp_path):
    of = run(epochs=12, protocol={"lr": 1e6})
    made, epochs = resumed(of, tmp_path / "run.pt")
    result = json.loads(made)["result"]
    assert result["diverged_at"] == epochs[-1] < 12
    assert result["last"] is None
    again, more = resumed(of, tmp_path / "run.pt")
    assert (again, more) == (made, [])


def test_weights_that_the_very_last_step_broke_are_divergence_though_every_loss_was_finite():
    """Such a network calls every image 0, which must not look like a result."""
    made = record(run(epochs=1, subset=20, protocol={"lr": 1e38, "batch": 64, "clip_norm": 1e38}))
    assert made["curves"]["train_loss"][-1] is not None
    assert made["result"]["diverged_at"] == 1
    assert made["result"]["last"] is None


def test_a_run_that_is_fine_has_not_diverged(undisturbed):
    for made in map(json.loads, undisturbed.values()):
        assert made["result"]["diverged_at"] is None
        assert made["result"]["last"] == made["curves"]["test_accuracy"][-1]


# --------------------------------------------------------------------------- curves and summaries


def test_curves_have_an_entry_for_each_epoch_and_probe():
    plain = record(run(probe=()))["curves"]
    assert set(plain) == {"test_accuracy", "train_loss", "fit_clean", "fit_wrong", "fit_true"}
    probed = record(run(val_fraction=0.1))["curves"]
    assert set(probed) == {*plain, "gradient_share", "gradient_norm", "val_accuracy"}
    for curves in (plain, probed):
        assert {len(curve) for curve in curves.values()} == {3}


def test_a_probe_changes_nothing_but_its_own_curves():
    plain, probed = record(run(probe=())), record(run())
    assert {name: probed["curves"][name] for name in plain["curves"]} == plain["curves"]
    assert plain["result"] == probed["result"]


def curves(test: list[float], **more: list) -> dict:
    flat = {name: [1.0, 2.0, 3.0] for name in ("fit_clean", "fit_wrong", "fit_true")}
    return {"test_accuracy": test, **flat, **more}


def test_last_and_best_are_told_apart():
    result = summarise(curves([50.0, 90.0, 70.0]), 60.0, None)
    assert (result["last"], result["best"], result["best_epoch"]) == (70.0, 90.0, 2)
    assert result["noise_rate"] == 60.0
    assert [result[name] for name in ("fit_clean", "fit_wrong", "fit_true")] == [3.0, 3.0, 3.0]
    assert result["val_chosen"] is None
    assert result["diverged_at"] is None


def test_the_first_of_equals_is_best():
    assert summarise(curves([90.0, 90.0, 80.0]), 60.0, None)["best_epoch"] == 1


def test_val_chosen_is_the_test_accuracy_where_noisy_validation_is_best():
    test, val = [50.0, 90.0, 70.0], [30.0, 20.0, 40.0]
    assert summarise(curves(test, val_accuracy=val), 60.0, None)["val_chosen"] == 70.0
    tie = summarise(curves(test, val_accuracy=[30.0, 40.0, 40.0]), 60.0, None)
    assert tie["val_chosen"] == 90.0


def test_a_diverged_run_has_no_last():
    result = summarise(curves([50.0, 10.0, 10.0]), 60.0, 3)
    assert result["last"] is None
    assert (result["best"], result["diverged_at"]) == (50.0, 3)


def test_the_realised_noise_rate_is_recorded():
    true = data.load("digits", "train")[1][:300]
    for keep_true in (False, True):
        setting = noisy("symmetric", 0.6, keep_true=keep_true)
        T = noise.symmetric(10, 0.6, keep_true=keep_true)
        flipped = noise.corrupt(true, T, 0)[1]
        assert record(run(epochs=1, noise=setting))["result"]["noise_rate"] == (
            100 * flipped.sum() / 300
        )
    assert record(run(epochs=1, noise=noisy("clean")))["result"]["noise_rate"] == 0


def test_without_wrong_labels_there_is_nothing_to_fit_wrong():
    result = record(run(epochs=1, noise=noisy("clean")))
    assert result["result"]["fit_wrong"] is None
    assert result["result"]["fit_true"] is None
    assert result["curves"]["gradient_share"] == [0.0]


# -------------------------------------------------------------------- against slow recomputations


def standardised(images: np.ndarray) -> np.ndarray:
    info = data.INFO["digits"]
    return (images.reshape(len(images), -1) / 255 - info.mean[0]) / info.std[0]


@pytest.mark.parametrize("loss", [CE, CLL, {"name": "CLL", "parameters": {"sigma": 0.3}}])
def test_a_step_by_hand_gives_the_same_curves(loss, float32):
    """One epoch of one batch, in numpy float64: forward, backward, clipping, momentum's first
    step, weight decay, test accuracy, fits and the probe, all from their definitions."""
    protocol = {"batch": 300, "lr": 0.5, "clip_norm": 0.02, "weight_decay": 0.01}
    of = run(epochs=1, loss=loss, protocol=protocol)
    made = record(of)["curves"]

    images, true = data.load("digits", "train")
    x, true = standardised(images[:300]), true[:300]
    y = noise.corrupt(true, noise.symmetric(10, 0.6), 0)[0]
    model = models.build("mlp", (1, 8, 8), 10, 0)
    W1, b1, W2, b2 = (p.detach().double().numpy() for p in model.parameters())

    before = x @ W1.T + b1
    h = np.maximum(before, 0)
    z = h @ W2.T + b2
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(300)
    p_y, one_hot = p[rows, y], np.eye(10)[y]
    if loss is CE:
        value, by_p = -np.log(p_y), -1 / p_y
    else:
        sigma = loss["parameters"]["sigma"]
        damping = np.exp(-((1 - p_y) ** 2) / (2 * sigma**2))
        value, by_p = 1 - damping, -(1 - p_y) / sigma**2 * damping
    dz = by_p[:, None] * p_y[:, None] * (one_hot - p)  # each sample's own gradient

    wrong, predicted = y != true, z.argmax(axis=1)
    norms = np.linalg.norm(dz, axis=1)
    assert made["train_loss"] == pytest.approx([value.mean()], rel=1e-5)
    assert made["fit_clean"] == [100 * (predicted == y)[~wrong].mean()]
    assert made["fit_wrong"] == [pytest.approx(100 * (predicted == y)[wrong].mean(), rel=1e-12)]
    assert made["fit_true"] == [pytest.approx(100 * (predicted == true)[wrong].mean(), rel=1e-12)]
    assert made["gradient_share"] == pytest.approx([100 * norms[wrong].sum() / norms.sum()], 1e-4)
    assert made["gradient_norm"] == pytest.approx([norms.mean()], rel=1e-4)

    dz /= 300
    dh = (dz @ W2) * (before > 0)
    grads = [dh.T @ x, dh.sum(axis=0), dz.T @ h, dz.sum(axis=0)]
    total = math.sqrt(sum((g**2).sum() for g in grads))
    assert total > 0.02, "the clipping must act for this test to see it"
    stepped = []
    for weight, g in zip((W1, b1, W2, b2), grads, strict=True):
        stepped.append(weight - 0.5 * (g * 0.02 / total + 0.01 * weight))
    W1, b1, W2, b2 = stepped
    test_images, test_labels = data.load("digits", "test")
    z = np.maximum(standardised(test_images) @ W1.T + b1, 0) @ W2.T + b2
    accuracy = 100 * (z.argmax(axis=1) == test_labels).mean()
    assert made["test_accuracy"] == [pytest.approx(accuracy, abs=0.3)]  # one sample of 355


@pytest.mark.parametrize("model", ["mlp", "cnn4"])
def test_the_loop_is_the_published_protocol(model, float32):
    """Three epochs against torch's own cosine schedule, SGD, clipping and cross-entropy, written
    as public code writes them; 257 samples leave a batch of one, which is left out."""
    of = run(model=model, subset=257, protocol={"lr": 0.05, "clip_norm": 0.5})
    made = record(of)["curves"]

    images, true = data.load("digits", "train")
    x = torch.from_numpy(standardised(images[:257])).float().view(-1, 1, 8, 8)
    y = torch.from_numpy(noise.corrupt(true[:257], noise.symmetric(10, 0.6), 0)[0])
    net = models.build(model, (1, 8, 8), 10, 0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3, eta_min=0.0)
    criterion = nn.CrossEntropyLoss()
    test_images, test_labels = data.load("digits", "test")
    test_x = torch.from_numpy(standardised(test_images)).float().view(-1, 1, 8, 8)
    clipped = 0
    for epoch in range(3):
        net.train()
        order = torch.randperm(257, generator=generator(0, "order", epoch))
        losses_seen = []
        for start in range(0, 257, 128):
            index = order[start : start + 128]
            if len(index) == 1:
                continue
            optimizer.zero_grad()
            loss = criterion(net(x[index]), y[index])
            loss.backward()
            clipped += nn.utils.clip_grad_norm_(net.parameters(), 0.5).item() > 0.5
            optimizer.step()
            losses_seen.append(loss.item())
        schedule.step()
        net.eval()
        with torch.no_grad():
            correct = (net(test_x).argmax(dim=1).numpy() == test_labels).mean()
        assert made["train_loss"][epoch] == pytest.approx(np.mean(losses_seen), rel=2e-4)
        assert made["test_accuracy"][epoch] == pytest.approx(100 * correct, abs=0.6)
    assert clipped >= 2
    assert schedule.get_last_lr()[0] == pytest.approx(0, abs=1e-9)


def test_the_l1_penalty_is_the_sum_of_all_absolute_weights():
    model = models.build("mlp", (1, 8, 8), 10, 0)
    weights = [p.detach().double().numpy() for p in model.parameters()]
    expected = 0.003 * sum(np.abs(w).sum() for w in weights)
    penalty = loop.l1_penalty(model, 0.003)
    assert penalty.item() == pytest.approx(expected, rel=1e-5)
    penalty.backward()
    for p in model.parameters():
        assert torch.equal(p.grad, torch.full_like(p, 0.003) * p.detach().sign())


def test_a_run_with_l1_pulls_every_weight_towards_zero_by_it(float32):
    """After one step without clipping the weights differ by lr * l1 * sign(w) from those of the
    run without it; the training loss in the record is that of the labels alone."""
    protocol = {"batch": 300, "lr": 0.5, "clip_norm": 1e9}
    made = []
    for extra in ({}, {"l1": 0.01}):
        of = run(epochs=1, protocol={**protocol, **extra})
        task = Task.of(of, CPU)
        state = State.of(of, task, this_machine(CPU))
        before = [p.detach().clone() for p in state.model.parameters()]
        loop.train_epoch(task, state)
        made.append((before, [p.detach() for p in state.model.parameters()], state.curves))
    (before, plain, curves), (same, penalised, its_curves) = made
    for b, s, p, q in zip(before, same, plain, penalised, strict=True):
        assert torch.equal(b, s)
        torch.testing.assert_close(q, p - 0.5 * 0.01 * b.sign(), rtol=1e-5, atol=1e-6)
    assert its_curves["train_loss"] == curves["train_loss"]


def test_the_l1_penalty_shrinks_the_weights_of_a_whole_run_and_clipping_sees_it():
    def weights(**changes):
        of = run(protocol=changes)
        task = Task.of(of, CPU)
        state = State.of(of, task, this_machine(CPU))
        for _ in range(3):
            loop.train_epoch(task, state)
        return torch.cat([p.detach().flatten() for p in state.model.parameters()])

    free = weights(lr=0.05)
    assert weights(lr=0.05, l1=0.01).norm(p=1) < 0.98 * free.norm(p=1)
    # 9 steps of at most lr * 5, each of which momentum makes at most 10 times as long
    assert weights(lr=0.05, l1=100.0).norm() < free.norm() + 2 * 9 * 0.05 * 5 * 10
    assert record(run(epochs=1, protocol={"l1": 0.01}))["config"]["protocol"]["l1"] == 0.01


# ------------------------------------------------------------------------ data, labels, the split


@pytest.fixture
def numbered(monkeypatch):
    """200 images that carry their own index, in place of the digits."""
    images = np.zeros((200, 1, 8, 8), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(200)
    labels = np.arange(200) % 10

    def load(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
        return images.copy(), labels.copy()

    monkeypatch.setattr(task.data, "load", load)
    return labels


@pytest.mark.parametrize(("fraction", "held_out"), [(0.0, 0), (0.1, 20), (0.25, 50), (0.9, 180)])
def test_the_split_is_disjoint_complete_and_carries_the_noisy_labels(numbered, fraction, held_out):
    of = run(val_fraction=fraction, subset=None)
    task = Task.of(of, CPU)
    kept, val = task.images[:, 0, 0, 0].tolist(), task.val_images[:, 0, 0, 0].tolist()
    assert len(val) == held_out
    assert sorted(kept + val) == list(range(200))
    given = noise.corrupt(numbered, noise.symmetric(10, 0.6), 0)[0]
    assert task.given.tolist() == given[kept].tolist()
    assert task.true.tolist() == numbered[kept].tolist()
    assert task.val_given.tolist() == given[val].tolist()
    assert task.noise_rate == pytest.approx(100 * (given != numbered).mean())
    if 10 < held_out < 100:
        assert val != list(range(held_out)), "not simply the first"
        assert any(task.val_given[i] != numbered[v] for i, v in enumerate(val))


def test_the_split_differs_between_seeds_and_not_between_losses(numbered):
    def val(**changes: object) -> list[int]:
        of = run(val_fraction=0.2, subset=None, **changes)
        return Task.of(of, CPU).val_images[:, 0, 0, 0].tolist()

    assert val(seed=0) == val(seed=0, loss=CLL) != val(seed=1)


def test_a_run_with_a_split_never_trains_on_the_held_out(numbered, monkeypatch):
    """The order covers the kept samples alone: with one epoch each is seen exactly once."""
    seen = []
    original = Task.batch

    def watched(self: Task, images: torch.Tensor) -> torch.Tensor:
        seen.extend(images[:, 0, 0, 0].tolist() if torch.is_grad_enabled() else [])
        return original(self, images)

    monkeypatch.setattr(Task, "batch", watched)
    of = run(epochs=1, val_fraction=0.2, subset=None, protocol={"batch": 32})
    record(of)
    kept = Task.of(of, CPU).images[:, 0, 0, 0].tolist()
    assert sorted(seen) == sorted(kept)
    assert seen != kept, "shuffled"


def test_every_epoch_has_another_order(numbered, monkeypatch):
    orders = [[]]
    original = Task.batch

    def watched(self: Task, images: torch.Tensor) -> torch.Tensor:
        orders[-1].extend(images[:, 0, 0, 0].tolist() if torch.is_grad_enabled() else [])
        return original(self, images)

    monkeypatch.setattr(Task, "batch", watched)
    record(run(subset=None), on_epoch=lambda epoch: orders.append([]))
    assert [sorted(order) for order in orders[:3]] == [list(range(200))] * 3
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_subset_takes_the_first_samples(numbered):
    assert Task.of(run(subset=50), CPU).images[:, 0, 0, 0].tolist() == list(range(50))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (noisy("symmetric", 0.4), lambda y: noise.corrupt(y, noise.symmetric(10, 0.4), 3)),
        (
            noisy("symmetric", 0.4, exact=True),
            lambda y: noise.corrupt(y, noise.symmetric(10, 0.4), 3, exact=True),
        ),
        (
            noisy("pairflip", 0.4, exact=True),
            lambda y: noise.corrupt(y, noise.pairflip(10, 0.4), 3, exact=True),
        ),
        (noisy("clean"), lambda y: (y, None)),
    ],
    ids=["symmetric", "exact", "pairflip", "clean"],
)
def test_given_labels_are_the_true_ones_after_the_runs_noise(setting, expected):
    images, true = data.load("digits", "train")
    of = run(noise=setting, seed=3, subset=None)
    given = task.given_labels(of, images, true)
    assert given.tolist() == expected(true)[0].tolist()


def test_instance_noise_reaches_the_training():
    images, true = data.load("digits", "train")
    of = run(epochs=1, noise=noisy("instance", 0.3), subset=None)
    rows = noise.instance_rows(images, true, 10, 0.3, 0)
    expected = 100 * noise.corrupt_rows(true, rows, 0)[1].mean()
    assert record(of)["result"]["noise_rate"] == pytest.approx(expected)


def test_probes_count_changed_predictions_and_clipped_steps(monkeypatch):
    """Changes against the predictions themselves, which a spy keeps; clipping against norms."""
    kept, norms = [], []
    clip = nn.utils.clip_grad_norm_

    def spy(before, now):
        kept.append(now.clone())
        return changes(before, now)

    def measure(parameters, bound):
        norms.append(float(clip(parameters, bound)))
        return torch.tensor(norms[-1])

    changes = loop.changes
    monkeypatch.setattr(loop, "changes", spy)
    monkeypatch.setattr(loop.nn.utils, "clip_grad_norm_", measure)
    bound = 1.9
    curves = record(run(probe=("changed", "clipped"), protocol={"clip_norm": bound}))["curves"]
    assert curves["changed"][0] is None
    assert curves["changed"][1:] == [int((a != b).sum()) for a, b in pairwise(kept)]
    steps = len(norms) // 3
    shares = [np.mean([n > bound for n in norms[e * steps : (e + 1) * steps]]) for e in range(3)]
    assert curves["clipped"] == pytest.approx([100 * share for share in shares])
    assert 0 < sum(shares) < 3, "some steps are clipped and some are not"


def test_a_twin_has_the_counts_of_the_labels_that_it_imitates(monkeypatch):
    true = np.arange(1000) % 10
    given, _ = noise.corrupt(true, noise.pairflip(10, 0.4), seed=1)
    sets = {"cifar10n": {"worse_label": given, "clean_label": true}}
    monkeypatch.setattr(task.data, "load", lambda name: sets[name])
    images = np.zeros((1000, 3, 32, 32), np.uint8)
    twins = [
        task.given_labels(
            Run("cifar10", noisy("twin", of="worse_label"), CE, "mlp", MNIST_PROTOCOL, seed),
            images, true,
        )
        for seed in range(2)
    ]  # fmt: skip
    for twin in twins:
        assert (noise.realised(true, twin, 10) == noise.realised(true, given, 10)).all()
    assert (twins[0] != twins[1]).any(), "redrawn by seed"
    assert (twins[0] != given).any()


def test_human_labels_are_taken_as_they_are(monkeypatch):
    right = np.zeros(5, dtype=np.int64)
    sets = {"worse_label": np.array([3, 1, 4, 1, 5]), "aggre_label": right, "clean_label": right}
    monkeypatch.setattr(task.data, "load", lambda name: {"cifar10n": sets}[name])
    of = Run("cifar10", noisy("human"), CE, "mlp", MNIST_PROTOCOL)
    images, true = np.zeros((4, 3, 32, 32), np.uint8), np.zeros(4, dtype=np.int64)
    assert task.given_labels(of, images, true).tolist() == [3, 1, 4, 1]


@pytest.mark.parametrize("labels", [[0, 10], [-1, 3]])
def test_labels_out_of_range_are_refused_before_training(labels):
    with pytest.raises(ValueError, match=rf"0\.\.9, got {min(labels)}\.\.{max(labels)}"):
        task.check_labels(torch.tensor(labels), 10)


def test_a_split_that_leaves_nothing_to_train_on_is_refused(numbered):
    with pytest.raises(ValueError, match=r"val_fraction=0\.995 leaves 1 samples .*lower it"):
        record(run(val_fraction=0.995, subset=None))


def test_a_split_that_holds_nothing_out_is_refused(numbered):
    with pytest.raises(ValueError, match=r"val_fraction=0\.001"):
        record(run(val_fraction=0.001, subset=None))


@pytest.mark.parametrize("model", ["cnn4", "mlp"])
def test_the_mnist_path_works(model):
    of = Run(
        "mnist",
        noisy("symmetric", 0.6),
        CLL,
        model,
        {**MNIST_PROTOCOL, "epochs": 1},
        probe=("gradient",),
        subset=512,
    )
    made = record(of)
    assert 50 < made["result"]["noise_rate"] < 70
    assert 0 <= made["result"]["last"] <= 100
    assert {len(curve) for curve in made["curves"].values()} == {1}
    assert 0 < made["curves"]["gradient_share"][0] < 100


def test_training_learns():
    """A sanity check that can fail: clean digits are learnt, and CE memorises wrong labels."""
    clean = record(run(epochs=15, noise=noisy("clean"), subset=None, protocol={"lr": 0.1}))
    assert clean["result"]["last"] > 90
    wrong = record(run(epochs=60, protocol={"lr": 0.2, "weight_decay": 0.0}))["result"]
    assert wrong["fit_wrong"] > 60
    assert wrong["fit_wrong"] > wrong["fit_true"]


# ------------------------------------------------------------------------------- device, precision


@pytest.mark.parametrize(
    ("avx", "amx", "expected"),
    [
        (False, False, "float32"),
        (True, False, "bfloat16"),
        (False, True, "bfloat16"),
        (True, True, "bfloat16"),
    ],
)
def test_bfloat16_is_used_where_the_cpu_computes_it_natively(monkeypatch, avx, amx, expected):
    monkeypatch.delenv("LABELNOISE_PRECISION", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert machine.precision(CPU) == expected
    with machine.this_machine(CPU).autocast():
        product = torch.ones(4, 4) @ torch.ones(4, 4)
    assert product.dtype == getattr(torch, expected)


def test_the_precision_can_be_asked_for_and_a_misspelt_one_is_refused(monkeypatch, tmp_path):
    for asked in ("float32", "bfloat16"):
        monkeypatch.setenv("LABELNOISE_PRECISION", asked)
        assert machine.precision(CPU) == asked
    monkeypatch.setenv("LABELNOISE_PRECISION", "bf16")
    with pytest.raises(ValueError, match="LABELNOISE_PRECISION=bf16 is none of bfloat16, float32"):
        train_missing([run()], Ledger(tmp_path))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["cnn4", "mlp"])
def test_the_two_precisions_agree(model, monkeypatch):
    made = {}
    for name in ("float32", "bfloat16"):
        monkeypatch.setenv("LABELNOISE_PRECISION", name)
        made[name] = record(run(model=model, subset=640))
        assert made[name]["provenance"]["precision"] == name
    full, half = (made[name]["curves"] for name in ("float32", "bfloat16"))
    assert full != half
    assert half["train_loss"] == pytest.approx(full["train_loss"], rel=0.01)
    assert half["gradient_share"] == pytest.approx(full["gradient_share"], abs=1)
    assert half["test_accuracy"] == pytest.approx(full["test_accuracy"], abs=5)


def test_weights_and_losses_stay_in_float32():
    of = VARIANTS["cnn with batch norm"]
    task = Task.of(of, CPU)
    state = State.of(of, task, this_machine(CPU))
    loop.train_epoch(task, state)
    kinds = {t.dtype for t in state.model.state_dict().values() if t.is_floating_point()}
    assert kinds == {torch.float32}


def test_numbers_are_finite_or_none():
    assert loop.number(torch.tensor(1.5)) == 1.5
    assert loop.number(torch.tensor(math.nan)) is None
    assert loop.number(torch.tensor(math.inf)) is None


def test_percentages_are_counted_in_integers():
    hits = torch.tensor([True, True, False, True])
    among = torch.tensor([True, True, True, False])
    assert loop.percent(hits, among) == 100 * 2 / 3
    assert loop.percent(hits, torch.zeros(4, dtype=torch.bool)) is None


@pytest.mark.cuda
@pytest.mark.parametrize("model", ["mlp", "cnn4"])
def test_cuda_agrees_with_the_cpu_for_a_few_steps(model, float32, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    of = run(epochs=2, model=model, subset=384)
    cpu, cuda = (loop.train_once(of, device=device) for device in ("cpu", "cuda"))
    assert cuda["config"] == cpu["config"]
    assert cuda["provenance"]["flips_sha256"] == cpu["provenance"]["flips_sha256"]
    for name in ("train_loss", "gradient_share", "gradient_norm"):
        assert cuda["curves"][name] == pytest.approx(cpu["curves"][name], rel=1e-3), name
    for name in ("test_accuracy", "fit_clean", "fit_wrong", "fit_true"):
        assert cuda["curves"][name] == pytest.approx(cpu["curves"][name], abs=1.0), name


@pytest.mark.cuda
@pytest.mark.parametrize("model", ["mlp", "cnn4"])
def test_two_runs_on_cuda_are_bit_identical_also_after_a_resume(model, tmp_path):
    of = run(model=model, val_fraction=0.1)
    first = exact(loop.train_once(of, device="cuda"))
    assert exact(loop.train_once(of, device="cuda")) == first
    with pytest.raises(KeyboardInterrupt):
        loop.train_once(of, device="cuda", checkpoint=tmp_path / "run.pt", on_epoch=interrupt_at(2))
    resumed = loop.train_once(copy.deepcopy(of), device="cuda", checkpoint=tmp_path / "run.pt")
    assert exact(resumed) == first
