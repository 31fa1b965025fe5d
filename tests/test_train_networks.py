"""Training with the networks and protocols for CIFAR and text, on made-up data of their shapes."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from labelnoise import data, models, noise
from labelnoise.config.protocols import CIFAR10_PROTOCOL, CIFAR100_PROTOCOL
from labelnoise.data import text
from labelnoise.data.augment import NAMES, Augmentation
from labelnoise.experiments import Run, noisy
from labelnoise.experiments.dmi import MR_PROTOCOL
from labelnoise.seeds import generator, stream
from labelnoise.training import loop
from labelnoise.training.loop import State
from labelnoise.training.machine import this_machine
from labelnoise.training.task import Task

CPU = torch.device("cpu")
CE = {"name": "CE"}
CLEAN, DMI = noisy("clean"), noisy("dmi", 0.3, pattern="dependent-b")

# dataset, network, protocol, samples, batch, noise
PUBLISHED = {
    "cifar10": ("cnn8", CIFAR10_PROTOCOL, 48, 16, noisy("symmetric", 0.4, exact=True)),
    "cifar100": ("resnet34", CIFAR100_PROTOCOL, 12, 6, noisy("asymmetric", 0.4)),
    "mr": ("word_cnn", MR_PROTOCOL, 160, 32, DMI),
}


def run(dataset: str, *, epochs: int = 2, loss: dict = CE, **changes: object) -> Run:
    model, protocol, n, batch, setting = PUBLISHED[dataset]
    protocol = {**protocol, "epochs": epochs, "batch": batch, **changes.pop("protocol", {})}
    of = {"noise": setting, "model": model, "subset": n, "probe": ("gradient",), **changes}
    return Run(dataset, loss=loss, protocol=protocol, **of)


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    """Noise as images; sentences of which one word tells the class."""
    bits = np.random.default_rng(0)

    def load(name: str, split: str) -> tuple:
        if name == "mr":
            labels = np.repeat([0, 1], 120)
            telling = ("bad", "dull", "good", "fine")
            fill = [f"w{i}" for i in range(30)]
            sentences = [
                " ".join(
                    [*bits.choice(fill, bits.integers(3, 9)), bits.choice(telling[2 * y :][:2])]
                )
                for y in labels
            ]
            return sentences, labels
        n, info = 50 if split == "train" else 20, data.INFO[name]
        images = bits.integers(0, 256, (n, *info.shape), dtype=np.uint8)
        return images, np.arange(n) % info.num_classes

    loaded = {("mr", "train"): load("mr", "train")}
    for name in ("cifar10", "cifar100"):
        loaded |= {(name, split): load(name, split) for split in ("train", "test")}
    monkeypatch.setattr(data, "load", lambda name, split="train": loaded[name, split])


@pytest.fixture
def float32(monkeypatch):
    monkeypatch.setenv("LABELNOISE_PRECISION", "float32")


def record(of: Run, **options: object) -> dict:
    return loop.train_once(of, device="cpu", **options)


def exact(of: dict) -> str:
    return json.dumps({part: of[part] for part in ("config", "result", "curves")})


def interrupt_at(last: int):
    def on_epoch(epoch: int) -> None:
        if epoch == last:
            raise KeyboardInterrupt

    return on_epoch


# ---------------------------------------------------------------------------- every network


@pytest.mark.parametrize("dataset", PUBLISHED)
def test_a_run_of_the_published_protocol_makes_a_record(dataset):
    of = run(dataset, epochs=1)
    made = record(of)
    assert made["config"] == of.config
    assert made["result"]["diverged_at"] is None
    assert 0 <= made["result"]["last"] <= 100
    assert 0 < made["result"]["noise_rate"] < 100
    assert {len(curve) for curve in made["curves"].values()} == {1}
    assert 0 < made["curves"]["gradient_share"][0] < 100
    json.dumps(made, allow_nan=False)


@pytest.mark.parametrize("dataset", ["cifar10", "mr"])
def test_resume_mid_run_is_bit_identical(dataset, tmp_path):
    """With augmentation, dropout and Adam's state: none of it depends on what ran before."""
    of = run(dataset)
    whole = exact(record(of))
    with pytest.raises(KeyboardInterrupt):
        record(of, checkpoint=tmp_path / "run.pt", on_epoch=interrupt_at(1))
    torch.rand(77)
    epochs = []
    made = record(of, checkpoint=tmp_path / "run.pt", on_epoch=epochs.append)
    assert epochs == [2], "it began afresh"
    assert exact(made) == whole


# --------------------------------------------------------------------------------- augmentation


def batches_seen(of: Run, monkeypatch) -> dict[bool, list[torch.Tensor]]:
    """What the network was given, in training (True) and in evaluation (False)."""
    seen = {True: [], False: []}
    original = Task.batch

    def watched(self: Task, images: torch.Tensor) -> torch.Tensor:
        seen[torch.is_grad_enabled()].append(images.clone())
        return original(self, images)

    with monkeypatch.context() as patched:
        patched.setattr(Task, "batch", watched)
        record(of)
    return seen


def test_every_epoch_trains_on_its_own_augmentation_and_tests_on_none(monkeypatch):
    of = run("cifar10", model="mlp", val_fraction=0.25, protocol={"augment": NAMES})
    seen, task = batches_seen(of, monkeypatch), Task.of(of, CPU)
    expected = []
    for epoch in range(2):
        order = torch.randperm(36, generator=generator(0, "order", epoch))
        augmented = Augmentation(NAMES, 36, generator(0, "augmentation", epoch), CPU)
        expected.append(augmented(task.images, torch.arange(36))[order])
    assert torch.equal(torch.cat(seen[True]), torch.cat(expected))
    assert torch.equal(torch.cat(seen[False]), torch.cat([task.test_images, task.val_images] * 2))


def test_without_augmentation_the_images_are_as_they_were(monkeypatch):
    protocol = {k: v for k, v in CIFAR10_PROTOCOL.items() if k != "augment"}
    of = Run("cifar10", CLEAN, CE, "mlp", {**protocol, "epochs": 1, "batch": 16}, subset=48)
    order = torch.randperm(48, generator=generator(0, "order"))
    seen = torch.cat(batches_seen(of, monkeypatch)[True])
    assert torch.equal(seen, Task.of(of, CPU).images[order])


def test_the_batch_size_does_not_change_what_a_sample_looks_like(monkeypatch):
    def seen(batch: int) -> torch.Tensor:
        return torch.cat(batches_seen(run("cifar10", model="mlp", protocol={"batch": batch}),
                                      monkeypatch)[True])  # fmt: skip

    assert torch.equal(seen(16), seen(24))


# --------------------------------------------------------- text, Adam, dropout, other schedules


def test_text_reaches_the_network_as_tokens():
    task = Task.of(run("mr"), CPU)
    tokens, labels = text.load("mr", "train")
    assert torch.equal(task.images, torch.from_numpy(tokens[:160]))
    assert task.images.dtype == torch.int64
    assert task.true.tolist() == labels[:160].tolist()
    T = noise.dmi("dependent-b", 0.3)
    assert task.given.tolist() == noise.corrupt(labels[:160], T, 0)[0].tolist()
    assert task.shape == (2 + 34,), "34 words, padding and unknown"
    assert torch.equal(task.batch(task.images), task.images)
    assert len(task.test_labels) == 24


def test_the_vocabulary_does_not_depend_on_the_subset():
    assert Task.of(run("mr", subset=2), CPU).shape == Task.of(run("mr"), CPU).shape


def test_the_loop_on_text_is_the_published_protocol(float32):
    """Two epochs against torch's own Adam at a constant rate, written as public code writes it."""
    of = run("mr", noise=CLEAN)
    made = record(of)["curves"]
    task = Task.of(of, CPU)
    net = models.build("word_cnn", task.shape, 2, 0)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for epoch in range(2):
        net.train()
        order = torch.randperm(160, generator=generator(0, "order", epoch))
        torch.manual_seed(stream(0, "dropout", epoch))
        losses = []
        for index in order.split(32):
            loss = nn.functional.cross_entropy(net(task.images[index]), task.given[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            correct = net.eval()(task.test_images).argmax(dim=1) == task.test_labels
        assert made["train_loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-4)
        assert made["test_accuracy"][epoch] == pytest.approx(100 * correct.double().mean().item())


def test_the_word_cnn_learns():
    made = record(run("mr", epochs=8, noise=CLEAN, protocol={"lr": 3e-3}))["result"]
    assert made["last"] > 90


def test_dropout_is_new_in_every_epoch_and_seed(monkeypatch):
    """With the same weights, one batch and one order, only the masks can change the loss."""
    for module in (loop, models):
        same = lambda seed, purpose, epoch=0: generator(0, purpose)  # noqa: E731
        monkeypatch.setattr(module, "generator", same)
    still = {"noise": CLEAN, "protocol": {"lr": 1e-30, "batch": 160}}
    first, second = record(run("mr", **still))["curves"]["train_loss"]
    (again,) = record(run("mr", epochs=1, **still))["curves"]["train_loss"]
    (other,) = record(run("mr", epochs=1, seed=1, **still))["curves"]["train_loss"]
    assert again == first
    assert abs(second - first) > 1e-3 * first
    assert abs(other - first) > 1e-3 * first


def test_a_run_leaves_the_global_generator_as_it_was():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    record(run("mr", epochs=1))
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(KeyboardInterrupt):
        record(run("mr", epochs=1), on_epoch=interrupt_at(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_learning_rate_follows_its_schedule():
    protocol = {"lr": 0.5, "epochs": 4}
    constant = [loop.learning_rate({**protocol, "schedule": "constant"}, e) for e in range(4)]
    cosine = [loop.learning_rate({**protocol, "schedule": "cosine"}, e) for e in range(5)]
    assert constant == [0.5] * 4
    assert cosine == pytest.approx([0.5, 0.25 * (1 + 0.5**0.5), 0.25, 0.25 * (1 - 0.5**0.5), 0])


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_gradients_are_clipped_only_where_the_protocol_says_so(clip, float32):
    protocol = {k: v for k, v in CIFAR10_PROTOCOL.items() if k not in ("augment", "clip_norm")}
    protocol |= {"epochs": 1, "batch": 48, "weight_decay": 0.0, "lr": 1.0}
    of = Run("cifar10", CLEAN, CE, "mlp", protocol | ({"clip_norm": clip} if clip else {}),
             subset=48)  # fmt: skip
    task = Task.of(of, CPU)
    state = State.of(of, task, this_machine(CPU))
    before = [p.detach().clone() for p in state.model.parameters()]
    loop.train_epoch(task, state)
    moves = [(p - b).norm() for p, b in zip(state.model.parameters(), before, strict=True)]
    length = torch.stack(moves).norm().item()
    assert length == pytest.approx(1e-3, rel=1e-2) if clip else length > 0.1


# ---------------------------------------------------------------------------------------- CUDA


@pytest.mark.cuda
@pytest.mark.parametrize("dataset", PUBLISHED)
def test_two_runs_on_cuda_are_bit_identical_also_after_a_resume(dataset, tmp_path):
    of = run(dataset)
    first = exact(loop.train_once(of, device="cuda"))
    assert exact(loop.train_once(of, device="cuda")) == first
    with pytest.raises(KeyboardInterrupt):
        loop.train_once(of, device="cuda", checkpoint=tmp_path / "run.pt", on_epoch=interrupt_at(1))
    assert exact(loop.train_once(of, device="cuda", checkpoint=tmp_path / "run.pt")) == first


@pytest.mark.cuda
@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_cuda_takes_the_same_augmented_step_as_the_cpu(dataset, float32, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    of = run(dataset, epochs=1, protocol={"batch": 24}, subset=24)
    cpu, cuda = (loop.train_once(of, device=device)["curves"] for device in ("cpu", "cuda"))
    for name in ("train_loss", "gradient_share", "gradient_norm"):
        assert cuda[name] == pytest.approx(cpu[name], rel=1e-3), name
