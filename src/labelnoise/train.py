"""One ``Run`` to one record: the whole training, top to bottom.

    run.config -> data -> noisy labels -> network -> epochs of steps -> record

The data live on the device as tensors, so that an epoch is a loop over index batches. Nothing in
an epoch asks the device for a number; what is measured stays there until the epoch ends. The same
code runs on a CPU and on CUDA.
"""

import contextlib
import hashlib
import io
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import labelnoise
from labelnoise import data, losses, models, noise, text
from labelnoise.augment import Augmentation
from labelnoise.configuration import Run, transition_matrix
from labelnoise.seeds import generator, stream

EVAL_BATCH = 1000
PRECISIONS = ("bfloat16", "float32")


def train(
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
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    generators = [device] if device.type == "cuda" else []  # dropout has no stream of its own
    with exact_arithmetic(threads), torch.random.fork_rng(generators):
        began = time.perf_counter()
        task = Task(run, device)
        state = State(run, task, device)
        identity = f"{run.key} {torch.__version__} {device} {precision(device)} {threads} threads"
        seconds = before = state.resume(checkpoint, identity) if checkpoint else 0.0
        while state.epoch < run.protocol["epochs"] and state.diverged_at is None:
            train_epoch(run, task, state)
            evaluate(task, state)
            seconds = before + time.perf_counter() - began
            if checkpoint:
                state.save(checkpoint, identity, seconds)
            on_epoch(state.epoch)
    return {
        "config": run.config,
        "result": summarise(state.curves, task.noise_rate, state.diverged_at),
        "curves": state.curves,
        "provenance": provenance(device, threads, task.flips_sha256, seconds),
    }


class Task:
    """The data of a run on its device: images as uint8 or tokens, true and given labels, the
    split. ``shape`` is what the network needs to know of them."""

    def __init__(self, run: Run, device: torch.device):
        self.info = data.INFO[run.dataset]
        load = text.load if run.dataset in text.DATASETS else data.load
        images, true = load(run.dataset, "train")
        self.shape = self.info.shape or (int(images.max()) + 1,)
        images, true = images[: run.subset], true[: run.subset]
        given = given_labels(run, images, true)
        check_labels(given, self.info.num_classes)
        self.flips_sha256 = hashlib.sha256(given.astype("<i8").tobytes()).hexdigest()
        self.noise_rate = 100 * float(np.mean(given != true))

        order = torch.randperm(len(true), generator=generator(run.seed, "split"))
        held_out = round(run.val_fraction * len(true))
        if len(true) - held_out < 2:
            raise ValueError(
                f"val_fraction={run.val_fraction} leaves {len(true) - held_out} "
                "samples to train on; lower it or use more data"
            )
        if run.val_fraction and not held_out:
            raise ValueError(
                f"val_fraction={run.val_fraction} holds out none of {len(true)} samples; raise it"
            )
        val, kept = order[:held_out].sort().values, order[held_out:].sort().values
        images, true, given = (
            torch.from_numpy(images),
            torch.from_numpy(true),
            torch.from_numpy(given),
        )
        self.images, self.true, self.given = (t[kept].to(device) for t in (images, true, given))
        self.val_images, self.val_given = images[val].to(device), given[val].to(device)
        test_images, test_labels = load(run.dataset, "test")
        self.test_images = torch.from_numpy(test_images).to(device)
        self.test_labels = torch.from_numpy(test_labels).to(device)
        self.mean = torch.tensor(self.info.mean, device=device).view(1, -1, 1, 1)
        self.std = torch.tensor(self.info.std, device=device).view(1, -1, 1, 1)

    def batch(self, images: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` to standardised float32, channels last; tokens as they are."""
        if images.dim() == 2:
            return images
        x = (images.float() / 255 - self.mean) / self.std
        return x.contiguous(memory_format=torch.channels_last)


class State:
    """All that changes while a run trains; exactly this is in a checkpoint."""

    def __init__(self, run: Run, task: Task, device: torch.device):
        p = run.protocol
        model = models.build(run.model, task.shape, task.info.num_classes, run.seed)
        self.model = model.to(device, memory_format=torch.channels_last)
        self.loss = losses.build(run.loss["name"], **run.loss["parameters"]).to(device)
        settings = {"lr": p["lr"], "weight_decay": p["weight_decay"], "fused": True}
        if p["optimizer"] == "adam":
            self.optimizer = torch.optim.Adam(self.model.parameters(), **settings)
        else:
            self.optimizer = torch.optim.SGD(
                self.model.parameters(), momentum=p["momentum"], **settings
            )
        self.epoch = 0
        self.diverged_at: int | None = None
        names = ["test_accuracy", "train_loss", "fit_clean", "fit_wrong", "fit_true"]
        names += ["val_accuracy"] if run.val_fraction else []
        names += ["gradient_share", "gradient_norm"] if "gradient" in run.probe else []
        self.curves: dict[str, list[float | None]] = {name: [] for name in names}

    def save(self, path: Path, identity: str, seconds: float) -> None:
        """Writes the state behind its own SHA-256: torch would read a flipped bit as a weight."""
        buffer = io.BytesIO()
        torch.save(
            {
                "identity": identity,
                "seconds": seconds,
                "model": self.model.state_dict(),
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
        """Takes up a checkpoint of the same run, machine and build; returns its seconds so far.

        Any other checkpoint (damaged, or of another torch, device, precision or thread count,
        whose result would differ in the last bits) is passed over: the run starts afresh.
        """
        if not path.exists():
            return 0.0
        content = path.read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return 0.0
        saved = torch.load(io.BytesIO(content[32:]), weights_only=True)
        if saved["identity"] != identity:
            return 0.0
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.epoch, self.diverged_at = saved["epoch"], saved["diverged_at"]
        self.curves = saved["curves"]
        return saved["seconds"]


def train_epoch(run: Run, task: Task, state: State) -> None:
    """One pass over the training set, and the curves that come with it."""
    p, n, device = run.protocol, len(task.given), task.given.device
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(p, state.epoch)
    torch.manual_seed(stream(run.seed, "dropout", state.epoch))
    draws = generator(run.seed, "augmentation", state.epoch)
    augmented = Augmentation(p.get("augment", ()), n, draws, device)
    order = torch.randperm(n, generator=generator(run.seed, "order", state.epoch))
    predicted = torch.full((n,), -1, device=device)
    gradient = torch.zeros(n, device=device)
    total_loss = torch.zeros((), device=device)
    probing = "gradient" in run.probe

    state.model.train()
    for index in order.to(device).split(p["batch"]):
        if len(index) == 1:  # batch norm has no variance of one sample
            continue
        targets = task.given[index]
        with autocast(device):
            logits = state.model(task.batch(augmented(task.images[index], index)))
        logits = logits.float()
        if probing:
            logits.retain_grad()
        loss = state.loss(logits, targets)
        state.optimizer.zero_grad()
        (loss + l1_penalty(state.model, p["l1"]) if "l1" in p else loss).backward()
        if "clip_norm" in p:
            nn.utils.clip_grad_norm_(state.model.parameters(), p["clip_norm"])
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
    if curves["train_loss"][-1] is None:
        state.diverged_at = state.epoch


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
    """Accuracy on the clean test set and on the noisy labels of the held-out split, in percent."""
    state.model.eval()
    device = task.given.device

    def accuracy(images: Tensor, labels: Tensor) -> float | None:
        with autocast(device):
            logits = torch.cat([state.model(task.batch(x)) for x in images.split(EVAL_BATCH)])
        if not logits.isfinite().all():  # broken by the epoch's last step, after its last loss
            state.diverged_at = state.epoch
        correct = logits.argmax(dim=1) == labels
        return percent(correct, torch.ones_like(correct))

    state.curves["test_accuracy"].append(accuracy(task.test_images, task.test_labels))
    if "val_accuracy" in state.curves:
        state.curves["val_accuracy"].append(accuracy(task.val_images, task.val_given))


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


def given_labels(run: Run, images: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The labels that the network is given, int64 ``[N]``: the true ones after the run's noise."""
    setting = run.noise
    if setting["kind"] == "human":
        return data.load("cifar10n")[setting["set"]][: len(true)]
    if setting["kind"] == "instance":
        K = data.INFO[run.dataset].num_classes
        rows = noise.instance_rows(images, true, K, setting["rate"], run.seed)
        return noise.corrupt_rows(true, rows, run.seed)[0]
    T = transition_matrix(run.dataset, setting)
    return noise.corrupt(true, T, run.seed, exact=setting.get("exact", False))[0]


def check_labels(labels: np.ndarray, num_classes: int) -> None:
    """Once before training, so that no loss has to look at the values of its targets."""
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"labels must lie in 0..{num_classes - 1}, got {labels.min()}..{labels.max()}"
        )


# ------------------------------------------------------------------------- device and numbers


def precision(device: torch.device) -> str:
    """``$LABELNOISE_PRECISION`` if it is set; otherwise bfloat16 where the hardware computes it
    natively, and float32 elsewhere. ``ValueError`` for any other word."""
    if asked := os.environ.get("LABELNOISE_PRECISION"):
        if asked not in PRECISIONS:
            raise ValueError(f"LABELNOISE_PRECISION={asked} is none of {', '.join(PRECISIONS)}")
        return asked
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if native else "float32"


def autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=precision(device) == "bfloat16"
    )


@contextlib.contextmanager
def exact_arithmetic(threads: int) -> Iterator[None]:
    """Fixed thread count and deterministic kernels inside, the caller's settings after."""
    before = torch.get_num_threads(), torch.backends.cudnn.deterministic
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cudnn.deterministic = before[1]


def number(value: Tensor) -> float | None:
    """A finite float, or None: JSON has no NaN."""
    value = float(value)
    return value if math.isfinite(value) else None


def percent(hits: Tensor, among: Tensor) -> float | None:
    """Share of ``hits`` among the samples of ``among``, in percent; None if there are none.
    Counted in integers, so that the number is exact."""
    total = int(among.sum())
    return 100 * int((hits & among).sum()) / total if total else None


def provenance(device: torch.device, threads: int, flips_sha256: str, seconds: float) -> dict:
    """Where a record comes from: everything that the config leaves out."""
    return {
        "version": labelnoise.__version__,
        "commit": commit(),
        "flips_sha256": flips_sha256,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device_name(device),
        "threads": threads,
        "precision": precision(device),
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def commit() -> str | None:
    """The commit of the package, with ``+changes`` if its source differs; None outside git."""
    here = Path(labelnoise.__file__).parent

    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(["git", "-C", here, *arguments], capture_output=True, text=True)
        except FileNotFoundError:  # git is not installed
            return ""
        return done.stdout.strip()

    head = git("rev-parse", "HEAD")
    return (head + ("+changes" if git("status", "--porcelain", here) else "")) if head else None


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
