"""The machine that computes a run: its device, its precision, and what a record says of it."""

import contextlib
import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

import labelnoise

PRECISIONS = ("bfloat16", "float32")
MOST_THREADS = 1024
PACKAGE = Path(labelnoise.__file__).parent
TRAINS = ("seeds.py", "checks.py", "models.py", "noise", "data", "losses", "config", "training")


@dataclass(frozen=True)
class Machine:
    """What a training runs on, decided once: ``device``, CPU ``threads``, and ``precision``,
    ``bfloat16`` or ``float32``."""

    device: torch.device
    threads: int
    precision: str

    def autocast(self) -> torch.autocast:
        """The context of a network's forward pass."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        )


def this_machine(device: str | torch.device | None = None, threads: int = 1) -> Machine:
    """``device``: ``cpu`` or ``cuda``; default CUDA where there is one. ``ValueError`` for a
    precision that is none, and for more ``threads`` than a system starts."""
    if not 1 <= threads <= MOST_THREADS:
        raise ValueError(f"threads={threads} must lie in 1..{MOST_THREADS}")
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return Machine(device, threads, precision(device))


@contextlib.contextmanager
def session(device: str | None, threads: int) -> Iterator[Machine]:
    """The machine of a training, with exact arithmetic on it and the caller's generators restored
    afterwards."""
    on = this_machine(device, threads)
    generators = [on.device] if on.device.type == "cuda" else []  # dropout has no stream of its own
    with exact_arithmetic(threads), torch.random.fork_rng(generators):
        yield on


@functools.cache
def code() -> str:
    """The hash of the code that trains, as it was when first asked for: what decides a result, and
    with it whether a checkpoint may be resumed. Tables, pictures and prose do not."""
    paths = [PACKAGE / name for name in TRAINS]
    files = sorted(f for p in paths for f in ([p] if p.suffix else p.rglob("*.py")))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


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
        native = native_bfloat16()
    return "bfloat16" if native else "float32"


def native_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


@contextlib.contextmanager
def exact_arithmetic(threads: int) -> Iterator[None]:
    """Fixed thread count, deterministic kernels and no TF32 in place of float32 inside, the
    caller's settings after."""
    cudnn = torch.backends.cudnn
    before = torch.get_num_threads(), cudnn.deterministic, cudnn.allow_tf32
    torch.set_num_threads(threads)
    cudnn.deterministic, cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cudnn.deterministic, cudnn.allow_tf32 = before[1:]


def provenance(on: Machine, flips_sha256: str, seconds: float, made_of: dict | None = None) -> dict:
    """Where a record comes from: everything that the config leaves out. ``data`` is there where a
    machine made the inputs (``data.made_of``)."""
    return {
        "version": labelnoise.__version__,
        "commit": commit(),
        "flips_sha256": flips_sha256,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device_name(on.device),
        "processor": processor(on.device),
        "threads": on.threads,
        "precision": on.precision,
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **({"data": made_of} if made_of else {}),
    }


def commit() -> str | None:
    """The commit of the package, with ``+changes`` if its source differs; None outside git."""

    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", PACKAGE, *arguments], capture_output=True, text=True
            )
        except FileNotFoundError:  # git is not installed
            return ""
        return done.stdout.strip()

    head = git("rev-parse", "HEAD")
    return (head + ("+changes" if git("status", "--porcelain", PACKAGE) else "")) if head else None


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpuinfo().get("model name") or platform.processor() or platform.machine()


def processor(device: torch.device) -> dict:
    """What decides the last bits of a result beside torch: ``vendor``, ``family``, ``model`` and
    ``instructions``, the set that torch computes with. The name of a device may stand for several
    generations. None for what the system does not tell; of a GPU, its name and capability."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return {
            "vendor": None,
            "family": None,
            "model": torch.cuda.get_device_name(device),
            "instructions": f"compute capability {major}.{minor}",
        }
    fields = cpuinfo()
    words = [torch.backends.cpu.get_cpu_capability()]
    words += ["native bfloat16"] if native_bfloat16() else ["no native bfloat16"]
    words += ["AMX"] if torch.cpu._is_amx_tile_supported() else []
    return {
        "vendor": fields.get("vendor_id") or fields.get("CPU implementer"),
        "family": fields.get("cpu family") or fields.get("CPU architecture"),
        "model": fields.get("model") or fields.get("CPU part"),
        "instructions": ", ".join(words),
    }


def cpuinfo() -> dict[str, str]:
    """What Linux says of the first core, by its names for it; empty elsewhere."""
    fields: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    return fields
