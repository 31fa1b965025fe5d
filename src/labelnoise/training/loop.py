"""One ``Run`` to one record: the whole training, top to bottom.

    run.config -> data -> noisy labels -> network -> epochs of steps -> record

The data live on the device as tensors, so that an epoch is a loop over index batches. Nothing in
an epoch asks the device for a number; what is measured stays there until the epoch ends. The same
code runs on a CPU and on CUDA.
"""

import hashlib
import io
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from labelnoise import models
from labelnoise.config import Recipe, Run
from labelnoise.data.augment import Augmentation
from labelnoise.losses import DMI
from labelnoise.seeds import generator, stream
from labelnoise.training.machine import (
    Machine,
    code,
    device_name,
    processor,
    provenance,
    session,
)
from labelnoise.training.task import Task

EVAL_BATCH = 500  # larger ones leave the cache: slower


def train_once(
    run: Run,
    *,
    device: str | None = None,
    threads: int = 1,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> dict:
    """Trains ``run`` and returns its record: ``config``, ``result``, ``curves``, ``provenance``.

    - ``device``: ``cpu`` or ``cuda``; default CUDA where there is one.
    - ``threads``: CPU threads. They decide the order of float sums, so they are fixed and recorded.
    - ``checkpoint``: a file that is written after every epoch and resumed from, to the bit.
    - ``on_epoch(epoch)``: called after every epoch, 1 to ``epochs``.

    Accuracies are in percent. The ``fit_*`` curves and the gradient probe describe the mini-batches
    as the network met them during the epoch (before each step, batch norm in training mode), so
    they cost no second pass over the data.
    """
    with session(device, threads) as on:
        began = time.perf_counter()
        task = Task.of(run, on.device)
        state = State.of(run, task, on)
        loading = time.perf_counter() - began
        seconds = loading + fit(task, state, identity(run, on), checkpoint, on_epoch)
    return {
        "config": run.config,
        "result": summarise(state.curves, task.noise_rate, state.diverged_at),
        "curves": state.curves,
        "provenance": provenance(on, task.flips_sha256, seconds, task.made_of),
    }


def fit(
    task: Task,
    state: "State",
    identity: str,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> float:
    """Trains ``state`` on ``task`` until its last epoch, from its checkpoint if there is one, and
    returns the seconds that it took, those before the checkpoint included."""
    began = time.perf_counter()
    seconds = before = state.resume(checkpoint, identity) if checkpoint else 0.0
    epochs = state.recipe.protocol["epochs"]
    while state.epoch < epochs and state.diverged_at is None:
        train_epoch(task, state)
        evaluate(task, state)
        seconds = before + time.perf_counter() - began
        if checkpoint:
            state.save(checkpoint, identity, seconds)
        on_epoch(state.epoch)
    return seconds


def identity(run: Run, on: Machine) -> str:
    """What a checkpoint must share with the training that resumes it, to the bit."""
    where = f"{torch.__version__} {device_name(on.device)} {processor(on.device)}"
    return f"{run.key} {code()} {where} {on.precision} {on.threads} threads"


class State:
    """A training: what it asks for, and below that all that changes meanwhile. Exactly the latter
    is in a checkpoint."""

    def __init__(self, recipe: Recipe, task: Task, on: Machine, loss: nn.Module):
        self.recipe, self.on, self.loss = recipe, on, loss.to(on.device)
        p = recipe.protocol
        model = models.build(recipe.model, task.shape, task.num_classes, recipe.seed)
        self.model = model.to(on.device, memory_format=torch.channels_last)
        settings = {"lr": p["lr"], "weight_decay": p["weight_decay"], "fused": True}
        if p["optimizer"] == "adam":
            self.optimizer = torch.optim.Adam(self.model.parameters(), **settings)
        else:
            self.optimizer = torch.optim.SGD(
                self.model.parameters(), momentum=p["momentum"], **settings
            )
        self.epoch = 0
        self.diverged_at: int | None = None
        self.best: dict[str, Tensor] | None = None  # weights at the best noisy-validation accuracy
        self.predicted: Tensor | None = None  # of the epoch before, where changes are counted
        names = ["test_accuracy", "train_loss", "fit_clean", "fit_wrong", "fit_true"]
        for name in recipe.measures:
            names += ["gradient_share", "gradient_norm"] if name == "gradient" else [name]
        self.curves: dict[str, list[float | None]] = {name: [] for name in names}

    @classmethod
    def of(cls, run: Run, task: Task, on: Machine) -> "State":
        """The training that ``run`` asks for, with its own loss."""
        return cls(run.recipe, task, on, run.loss.build(run.dataset))

    def save(self, path: Path, identity: str, seconds: float) -> None:
        """Writes the state behind its own SHA-256: torch would read a flipped bit as a weight."""
        buffer = io.BytesIO()
        torch.save(
            {
                "identity": identity,
                "seconds": seconds,
                "model": self.model.state_dict(),
                "best": self.best,
                "predicted": self.predicted,
                "optimizer": self.optimizer.state_dict(),
                "epoch": self.epoch,
                "diverged_at": self.diverged_at,
                "curves": self.curves,
            },
            buffer,
        )
        content = buffer.getvalue()
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            partial.write_bytes(hashlib.sha256(content).digest() + content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)  # what is left of it on a full disk

    def resume(self, path: Path, identity: str) -> float:
        """Takes up a checkpoint of the same run, code, machine and build; returns its seconds.

        Any other checkpoint (damaged, or of other code, torch, device, precision or thread count,
        whose result would differ in the last bits) is passed over: the run starts afresh.
        """
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return 0.0
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return 0.0
        saved = torch.load(io.BytesIO(content[32:]), map_location="cpu", weights_only=True)
        if saved["identity"] != identity:
            return 0.0
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.epoch, self.diverged_at = saved["epoch"], saved["diverged_at"]
        self.curves, self.best, self.predicted = (
            saved[name] for name in ("curves", "best", "predicted")
        )
        return saved["seconds"]


def train_epoch(task: Task, state: State) -> None:
    """One pass over the training set, and the curves that come with it."""
    recipe, n, device = state.recipe, len(task.given), task.given.device
    p = recipe.protocol
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(p, state.epoch)
    torch.manual_seed(stream(recipe.seed, "dropout", state.epoch))
    draws = generator(recipe.seed, "augmentation", state.epoch)
    augmented = Augmentation(p.get("augment", ()), n, draws, device)
    order = torch.randperm(n, generator=generator(recipe.seed, "order", state.epoch))
    predicted = torch.full((n,), -1, device=device)
    gradient = torch.zeros(n, device=device)
    total_loss, clipped, steps = (torch.zeros((), device=device) for _ in range(3))
    probing = "gradient" in recipe.measures
    # Batch norm has no variance of one sample, DMI no determinant of fewer samples than classes: a
    # smaller last batch is left out.
    fewest = task.num_classes if isinstance(state.loss, DMI) else 2

    state.model.train()
    for index in order.to(device).split(p["batch"]):
        if len(index) < fewest:
            continue
        targets = task.given[index]
        with state.on.autocast():
            logits = state.model(task.batch(augmented(task.images[index], index)))
        logits = logits.float()
        if probing:
            logits.retain_grad()
        loss = state.loss(logits, targets)
        state.optimizer.zero_grad()
        (loss + l1_penalty(state.model, p["l1"]) if "l1" in p else loss).backward()
        if "clip_norm" in p:
            norm = nn.utils.clip_grad_norm_(state.model.parameters(), p["clip_norm"])
            clipped += norm > p["clip_norm"]
        steps += 1
        state.optimizer.step()

        total_loss += loss.detach() * len(index)
        predicted[index] = logits.detach().argmax(dim=1)
        if probing:  # the mean over the batch is undone: one number for each sample's own gradient
            gradient[index] = logits.grad.norm(dim=1) * len(index)

    state.epoch += 1
    seen, wrong = predicted >= 0, task.given != task.true
    curves = state.curves
    curves["train_loss"].append(number(total_loss / seen.sum()))
    curves["fit_clean"].append(percent(predicted == task.given, seen & ~wrong))
    curves["fit_wrong"].append(percent(predicted == task.given, seen & wrong))
    curves["fit_true"].append(percent(predicted == task.true, seen & wrong))
    if probing:
        curves["gradient_share"].append(number(100 * gradient[wrong].sum() / gradient.sum()))
        curves["gradient_norm"].append(number(gradient.mean()))
    if "clipped" in curves:
        curves["clipped"].append(number(100 * clipped / steps))
    if "changed" in curves:
        curves["changed"].append(changes(state.predicted, predicted))
        state.predicted = predicted
    if curves["train_loss"][-1] is None:
        state.diverged_at = state.epoch


def changes(before: Tensor | None, now: Tensor) -> int | None:
    """How many samples are predicted otherwise than an epoch before, each as the network met it in
    its mini-batch; None in the first epoch. -1 marks a sample that was left out of an epoch."""
    if before is None:
        return None
    before = before.to(now.device)
    return int(((before != now) & (before >= 0) & (now >= 0)).sum())


def learning_rate(protocol: dict, epoch: int) -> float:
    """Of the epoch that follows ``epoch`` finished ones: ``constant``, or a cosine down to 0."""
    if protocol["schedule"] == "constant":
        return protocol["lr"]
    return protocol["lr"] * 0.5 * (1 + math.cos(math.pi * epoch / protocol["epochs"]))


def l1_penalty(model: nn.Module, l1: float) -> Tensor:
    """``l1 * sum |w|`` over all parameters of the network."""
    return l1 * torch.stack([w.abs().sum() for w in model.parameters()]).sum()


@torch.no_grad()
def evaluate(task: Task, state: State) -> None:
    """Accuracy on the clean test set, and on the noisy labels of the held-out split, in percent;
    where a method asks for it, the loss of that split too, all of it at once."""

    def outputs(images: Tensor) -> Tensor:
        found = logits(task, state.model, images, state.on)
        if not found.isfinite().all():  # broken by the epoch's last step, after its last loss
            state.diverged_at = state.epoch
        return found

    def accuracy(found: Tensor, labels: Tensor) -> float | None:
        correct = found.argmax(dim=1) == labels
        return percent(correct, torch.ones_like(correct))

    curves = state.curves
    curves["test_accuracy"].append(accuracy(outputs(task.test_images), task.test_labels))
    if "val_accuracy" not in curves:
        return
    found, val = outputs(task.val_images), curves["val_accuracy"]
    val.append(accuracy(found, task.val_given))
    if "val_loss" in curves:
        curves["val_loss"].append(number(state.loss(found.float(), task.val_given)))
    if val[-1] > max(val[:-1], default=-1):
        state.best = {name: w.clone() for name, w in state.model.state_dict().items()}


@torch.no_grad()
def logits(task: Task, model: nn.Module, images: Tensor, on: Machine) -> Tensor:
    """What a trained network says of ``images``: float ``[N, K]``, dropout and batch norm fixed."""
    model.eval()
    with on.autocast():
        return torch.cat([model(task.batch(x)) for x in images.split(EVAL_BATCH)])


def summarise(curves: dict, noise_rate: float, diverged_at: int | None) -> dict:
    """The numbers of a run. ``last`` is the headline, and None if the loss diverged; ``best`` is
    what a choice on test data would have reported; ``val_chosen`` is the test accuracy of the
    epoch with the best noisy-validation accuracy (the first of equals), None without a split."""
    test = curves["test_accuracy"]
    best = max(range(len(test)), key=test.__getitem__)
    val = curves.get("val_accuracy")
    chosen = None if val is None else test[max(range(len(val)), key=val.__getitem__)]
    finished = diverged_at is None
    return {
        "last": test[-1] if finished else None,
        "best": test[best],
        "best_epoch": best + 1,
        "val_chosen": chosen,
        "noise_rate": noise_rate,
        "fit_clean": curves["fit_clean"][-1],
        "fit_wrong": curves["fit_wrong"][-1],
        "fit_true": curves["fit_true"][-1],
        "diverged_at": diverged_at,
    }


def number(value: Tensor) -> float | None:
    """A finite float, or None: JSON has no NaN."""
    value = float(value)
    return value if math.isfinite(value) else None


def percent(hits: Tensor, among: Tensor) -> float | None:
    """Share of ``hits`` among the samples of ``among``, in percent; None if there are none.
    Counted in integers, so that the number is exact."""
    total = int(among.sum())
    return 100 * int((hits & among).sum()) / total if total else None
