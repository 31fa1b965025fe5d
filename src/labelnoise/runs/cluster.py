"""Runs on the nodes of a Ray cluster: one task a run, wherever there is a free CPU.

The sweep itself stays here: it holds the lock of every run that is out, and stores each record as
it comes back. A node gets the code and the settings of this process, and nothing else: it fetches
and verifies the data that it lacks, in the folders that ``$LABELNOISE_DATA`` names. A run has one
thread there, as here, so that on the same kind of CPU its record is the same to the bit.

When a worker or a node dies, Ray trains the run again elsewhere. It then starts afresh: nodes share
no disk, so there is no checkpoint. An error in the run itself would only happen again: it is
reported, and the other runs finish.

Ray is an extra that is imported when it is asked for, and not before.
"""

import contextlib
import logging
import os
import platform
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from unittest import mock

import labelnoise
from labelnoise.config import Run
from labelnoise.data.sources import directories
from labelnoise.files import Lock
from labelnoise.runs.workers import KEEP_MEMORY, available_cores, explain
from labelnoise.training.machine import commit
from labelnoise.training.methods import train

GPU_SHARE = 0.25
"""Of a GPU, for one run. The kernels of a small network leave most of it idle, waiting for the next
launch; and four runs, each with CUDA's own half gigabyte, find room on any card."""

RETRIES = 3
"""How often a run that was lost with its worker or node is trained again: enough for a cluster that
loses nodes now and then, and an end for a run that takes its worker down itself. What Ray's memory
monitor kills, Ray counts apart (``RAY_task_oom_retries``)."""

AHEAD = 2
"""Runs out at a time, in units of what the cluster trains at once: those that wait there tell an
autoscaler that there is more to do, the rest stay free for other sweeps of the same ledger."""

PATIENCE = 20.0
"""Seconds for the head of a cluster to answer."""

OBJECTS = 80 * 2**20
"""Bytes of a local Ray's object store, near the least that it takes: records are kilobytes."""


class ClusterError(RuntimeError):
    """No cluster to train on. The message says what to do."""


class Cluster:
    """An executor like ``workers.Workers`` whose runs train on the Ray cluster at ``$RAY_ADDRESS``
    or, where that is not set, on a Ray of this machine alone that ends with the sweep.

    - ``todo``: the runs to come, whose data are left to the nodes.
    - ``limit``: runs out at a time; default ``AHEAD`` times what the cluster trains at once.

    Raises ``ClusterError`` if Ray is not installed or not to be reached.
    """

    def __init__(self, todo: Sequence[Run], limit: int | None = None):
        self.ray = connect()
        self.limit = limit
        self.commit = commit()  # of the code that runs there: it is sent without its history
        self.out: dict[object, Run] = {}
        cpus, gpus = self.capacity()
        self.share = GPU_SHARE if gpus else 0
        self.task = self.ray.remote(train_there)
        nodes = sum(node["Alive"] for node in self.ray.nodes())
        print(f"Ray cluster at {self.ray.get_runtime_context().gcs_address}: "
              f"nodes {nodes}, CPUs {cpus:g}, GPUs {gpus:g}; a run takes one CPU"
              + (f" and {self.share:g} of a GPU" if gpus else ""), flush=True)  # fmt: skip

    def capacity(self) -> tuple[float, float]:
        """The CPUs and GPUs of the nodes that are alive now."""
        have = self.ray.cluster_resources()
        return have.get("CPU", 0), have.get("GPU", 0)

    def room(self) -> int:
        """How many runs may be out at a time; it follows the nodes that come and go."""
        cpus, gpus = self.capacity()
        at_once = min(cpus, gpus / self.share) if self.share else cpus
        return self.limit or max(1, int(AHEAD * at_once))

    def start(self, run: Run, lock: Lock, checkpoint: Path) -> None:
        """Sends ``run`` to the cluster. ``lock`` and ``checkpoint`` stay here."""
        options = {"num_cpus": 1, "num_gpus": self.share, "max_retries": RETRIES, "name": run.key}
        task = self.task.options(**options).remote(run, None if self.share else "cpu")
        self.out[task] = run

    def poll(self, timeout: float) -> Iterator[tuple[Run, str, object]]:
        """What comes within ``timeout`` seconds: run and ``record``, the record, or ``failed``, the
        reason."""
        if not self.out:
            time.sleep(timeout)
            return
        for task in self.ray.wait(list(self.out), timeout=timeout)[0]:
            run = self.out.pop(task)
            try:
                kind, content = self.ray.get(task)
            except self.ray.exceptions.RayError as error:  # the last of the retries failed, too
                kind, content = "failed", f"{type(error).__name__}: {error}"
            if kind == "record":
                content["provenance"]["commit"] = self.commit
            yield run, kind, content

    def stop(self) -> None:
        """Cancels what is still out, and leaves the cluster."""
        for task in self.out:
            self.ray.cancel(task, force=True)
        self.ray.shutdown()


def train_there(run: Run, device: str | None) -> tuple[str, object]:
    """One run on its node: ``record`` and the record, or ``failed`` and the reason. Where the
    cluster has GPUs, Ray shows each run its own, and ``device`` is left to ``train``."""
    try:
        return "record", train(run, device=device)
    except Exception as error:
        return "failed", f"on {platform.node()}: {explain(error)}"


def connect() -> ModuleType:
    """Ray, connected. It is given this package and these settings for the nodes, and kept quiet."""
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            f"the executor ray needs Ray, which cannot be imported ({error}); install it with "
            "`python -m pip install -r requirements-ray.lock`, or train with the executor local"
        ) from None
    if ray.is_initialized():
        raise ClusterError(
            "this process is connected to Ray already, without this code for its nodes; "
            "call ray.shutdown() first"
        )
    address = os.environ.get("RAY_ADDRESS") or "local"
    alone = contextlib.nullcontext()
    local = {"num_cpus": available_cores(), "object_store_memory": OBJECTS,
             "include_dashboard": False}  # fmt: skip
    if address == "local":
        # Ray puts the machine's address in the place of 127.0.0.1, and listens on all interfaces,
        # unless it is told that there are no clusters, as it is by default on macOS.
        alone = mock.patch.object(ray._private.ray_constants, "ENABLE_RAY_CLUSTER", False)
        local["_node_ip_address"] = "127.0.0.1"
    try:
        if ":" in address and "://" not in address:  # Ray would try for many minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
        with alone:
            ray.init(
                address,
                **(local if address == "local" else {}),
                runtime_env={
                    "py_modules": [str(Path(labelnoise.__file__).parent)],
                    "excludes": ["__pycache__"],
                    "env_vars": environment(),
                },
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except Exception as error:  # Ray raises many kinds
        ray.shutdown()
        raise ClusterError(
            f"cannot use the Ray cluster at {address}: {error}; start one, correct RAY_ADDRESS, or "
            "unset it to use this machine alone"
        ) from error
    return ray


def environment() -> dict[str, str]:
    """What the processes on the nodes are to find in their environment. The places of the data are
    spelled out: relative ones would start from where the code lies, which is elsewhere there."""
    ours = {name: value for name, value in os.environ.items()
            if name.startswith("LABELNOISE_") or name in KEEP_MEMORY}  # fmt: skip
    return {**KEEP_MEMORY, **ours, "LABELNOISE_DATA": ":".join(map(str, directories()))}
