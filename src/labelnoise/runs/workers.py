"""Runs side by side on this machine: one process a run.

On a CPU every run has one process and one thread, so that as many run side by side as there are
cores and none can disturb another. A process that is killed costs at most one epoch: the run is
resumed from its checkpoint.
"""

import argparse
import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from labelnoise import data
from labelnoise.config import Run
from labelnoise.files import LONGEST_TMPDIR, Lock
from labelnoise.training.machine import commit
from labelnoise.training.methods import train

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""Environment of a process whose C library keeps freed memory. Handing megabytes back to the system
after every layer, and clearing them again for the next, takes a fifth of a step of the CNN."""


class Workers:
    """An executor: where a sweep trains. It ``start``s as many runs as there is ``room`` for,
    is ``poll``ed for how they go, and is ``stop``ped at the end, whatever is still out.

    - ``todo``: the runs to come. Their data are fetched and verified once, before any worker.
    - ``limit``: processes side by side; default one a core, or one where there is a GPU.
    """

    def __init__(self, todo: Sequence[Run], limit: int | None = None):
        check_sockets()
        for name in {name for run in todo for name in run.datasets}:
            data.load(name, "train")
        self.commit = commit()  # of the code that the workers load now, whatever is committed later
        self.limit = limit or default_limit()
        self.running: dict[Connection, tuple[Run, BaseProcess]] = {}
        for name, value in KEEP_MEMORY.items():
            os.environ.setdefault(name, value)
        self.context = multiprocessing.get_context("forkserver")
        # Imported once, not by every worker: an optimiser imports torch._dynamo, 70 MB of modules.
        self.context.set_forkserver_preload(["labelnoise.training.methods", "torch._dynamo"])

    def room(self) -> int:
        """How many runs may be out at a time."""
        return self.limit

    def start(self, run: Run, lock: Lock, checkpoint: Path) -> None:
        """Starts the worker of ``run``, which resumes from ``checkpoint`` and shares ``lock``."""
        if self.context.get_start_method() == "forkserver":
            with deaf_to_interrupts():
                forkserver.ensure_running()
        receiver, sender = self.context.Pipe(duplex=False)
        arguments = run, checkpoint, sender, lock
        worker = self.context.Process(target=work, args=arguments, daemon=True)
        worker.start()
        sender.close()
        self.running[receiver] = run, worker

    def poll(self, timeout: float) -> Iterator[tuple[Run, str, object]]:
        """What comes within ``timeout`` seconds: run and ``epoch``, its number; or, at its end,
        ``record``, the record, or ``failed``, the reason."""
        for receiver in wait(list(self.running), timeout=timeout):
            run, worker = self.running[receiver]
            kind, content = message(receiver, worker)
            if kind != "epoch":
                del self.running[receiver]
                worker.join()
            if kind == "record":
                content["provenance"]["commit"] = self.commit
            yield run, kind, content

    def stop(self) -> None:
        """Ends what is still running."""
        for _, worker in self.running.values():
            worker.terminate()
            worker.join()


def message(receiver: Connection, worker: BaseProcess) -> tuple[str, object]:
    """The next message of a worker, or ``failed`` with the way in which it died."""
    try:
        return receiver.recv()
    except (EOFError, OSError):  # without a word, or in the middle of one
        worker.join()
        why = f"its process died (exit code {worker.exitcode})"
        if worker.exitcode == -signal.SIGKILL:
            why += ": somebody killed it, or the system did because memory ran out"
        return "failed", why


def work(run: Run, checkpoint: Path, sender: Connection, lock: Lock) -> None:
    """One run in its own process; says ``epoch`` as it goes, then ``record`` or ``failed``. It
    shares ``lock``, so that nobody else trains the run while it is still there."""
    parent = os.getppid()

    def on_epoch(epoch: int) -> None:
        if os.getppid() != parent:  # the sweep was killed: leave the run to the next one
            sys.exit(1)
        sender.send(("epoch", epoch))

    try:
        sender.send(("record", train(run, checkpoint=checkpoint, on_epoch=on_epoch)))
    except BrokenPipeError:  # nobody listens any more: the sweep was killed
        sys.exit(1)
    except Exception as error:
        sender.send(("failed", explain(error)))


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """A process that is started inside ignores Ctrl-C, as do those that it starts: the sweep, which
    hears it, ends its workers, and nobody else has anything to say."""
    if threading.current_thread() is not threading.main_thread():  # who may not change that
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def check_sockets() -> None:
    """``ValueError`` if sockets between processes would have too long a name for the system."""
    folder = tempfile.gettempdir()
    if os.name == "posix" and len(os.fsencode(folder)) > LONGEST_TMPDIR:
        raise ValueError(
            f"TMPDIR={folder} is too long: the sockets of workers have their names below it, which "
            f"leaves it {LONGEST_TMPDIR} characters; set TMPDIR to a shorter one"
        )


def default_limit() -> int:
    """How many runs train side by side if nobody says: one a core, or one where there is a GPU."""
    return 1 if torch.cuda.is_available() else available_cores()


def at_least_one(text: str) -> int:
    """The number of workers that a command line names."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"workers={text!r} must be a whole number, at least 1")
    return int(text)


def available_cores() -> int:
    """The cores that this process may use (a container may have fewer than the machine)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def explain(error: Exception) -> str:
    """Why a run failed, and where in the code, unless the data are at fault."""
    where = "" if isinstance(error, data.DataError) else "".join(traceback.format_exception(error))
    return f"{type(error).__name__}: {error}\n{where}"
