"""A sweep on a Ray cluster gives the records of this machine, also when workers and nodes die.

The cluster is a real one of two nodes, each with a scheduler and workers of its own; that both are
on this machine is all that it is short of.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from labelnoise import files
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.runs import cluster, sweep
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import SweepError, train_missing
from labelnoise.runs.workers import available_cores
from labelnoise.training.machine import commit
from labelnoise.training.methods import train

psutil = pytest.importorskip("psutil", reason="needs psutil, of the extra `notebooks`")
try:
    import ray
    from ray.cluster_utils import Cluster
except ImportError:
    ray = None

needs_ray = pytest.mark.skipif(
    ray is None or os.name != "posix",
    reason="needs Ray (`python -m pip install -r requirements-ray.lock`), on Linux or macOS",
)
SMALL = {"num_cpus": 1, "object_store_memory": cluster.OBJECTS}


def run(*, epochs: int = 2, **changes: object) -> Run:
    setting = {"noise": noisy("symmetric", 0.6), "loss": {"name": "CE"}, "model": "mlp"}
    setting = {**setting, "subset": 300, "probe": ("gradient",), **changes}
    return Run("digits", **setting, protocol={**MNIST_PROTOCOL, "epochs": epochs})


SHORT = [run(), run(loss={"name": "MAE"}), run(seed=1)]
LONG = [run(epochs=150, seed=seed) for seed in (7, 8)]  # seconds: time to be killed
ENDLESS = run(epochs=1_000_000, seed=9)


def exact(record: dict) -> str:
    return json.dumps({part: record[part] for part in ("config", "result", "curves")})


undisturbed: dict[str, str] = {}


def is_undisturbed(of: Run, book: Ledger) -> bool:
    """Whether the record in ``book`` is that of a training in this process, to the bit."""
    if of.key not in undisturbed:
        undisturbed[of.key] = exact(train(of, device="cpu"))
    return exact(book.find(of)) == undisturbed[of.key]


def wait_until(true: Callable[[], object], what: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def raylet(node) -> psutil.Process:
    """The process that starts the workers of a node, and that they cannot outlive."""
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def trains(of: Run, node) -> psutil.Process | None:
    """The worker of ``node`` that trains a run: Ray gives it the name of its task."""
    for worker in raylet(node).children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if worker.cmdline()[:1] == [f"ray::{of.key}"]:
                return worker
    return None


@pytest.fixture(scope="module")
def nodes() -> Iterator["Cluster"]:
    """A head with one CPU, beside which tests start other nodes. No process of them survives."""
    before = set(psutil.Process().children(recursive=True))
    whole = Cluster(initialize_head=True, head_node_args={**SMALL, "include_dashboard": False})
    session = whole.head_node.get_session_dir_path()
    yield whole
    started = set(psutil.Process().children(recursive=True)) - before
    whole.shutdown()
    _, alive = psutil.wait_procs(started, timeout=30)
    shutil.rmtree(session, ignore_errors=True)
    assert alive == []


@pytest.fixture
def second(nodes, monkeypatch) -> Iterator[object]:
    """The second node, a new one if a test has removed it. The sweeps of the test find both."""
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    yield next(iter(nodes.worker_nodes), None) or nodes.add_node(**SMALL)
    assert not ray.is_initialized(), "every sweep leaves the cluster"


# --------------------------------------------------------------------------- a sweep that goes well


@needs_ray
def test_two_nodes_give_the_records_of_this_machine_to_the_bit(here, second, capfd):
    assert train_missing(SHORT, here, executor="ray") == 3
    said = capfd.readouterr()
    assert said.err == ""
    first, *others = said.out.splitlines()
    assert first.endswith("nodes 2, CPUs 2, GPUs 0; a run takes one CPU")
    assert sorted(others) == [
        "trained digits, mlp, CE, seed 0",
        "trained digits, mlp, CE, seed 1",
        "trained digits, mlp, MAE, seed 0",
    ]
    for of in SHORT:
        assert is_undisturbed(of, here)
        made = here.find(of)["provenance"]
        assert made["threads"] == 1
        assert made["commit"] == commit(), "of the code that was sent"
    assert list((here.directory / ".checkpoints").iterdir()) == []
    assert train_missing(SHORT, here, executor="ray") == 0
    assert capfd.readouterr() == ("", ""), "with nothing to train, no cluster is asked"


@needs_ray
def test_a_run_that_another_sweep_trains_is_left_to_it(here, second, capsys):
    record = train(SHORT[0], device="cpu")
    (here.directory / ".checkpoints").mkdir(parents=True)
    lock = files.take(here.directory / ".checkpoints" / f"{SHORT[0].key}.lock")

    def finish() -> None:
        wait_until(lambda: here.find(SHORT[1]), "the free run")
        here.write(record)
        lock.release()

    other = threading.Thread(target=finish)
    other.start()
    assert train_missing(SHORT[:2], here, executor="ray") == 1
    other.join()
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "another sweep trained digits, mlp, CE, seed 0"


# -------------------------------------------------------------------------- a sweep that goes wrong


@needs_ray
def test_a_node_removed_in_mid_sweep_costs_nothing_but_time(here, nodes, second):
    """Both runs train, one a node; the run of the node that is lost is trained on the other."""
    lost = []

    def remove() -> None:
        def placed() -> bool:
            both = [[of.key for of in LONG if trains(of, node)]
                    for node in (nodes.head_node, second)]  # fmt: skip
            lost[:] = both[1]
            return all(both)

        wait_until(placed, "a run on each node")
        orphans = raylet(second).children()
        nodes.remove_node(second, allow_graceful=False)
        assert psutil.wait_procs(orphans, timeout=60)[1] == []

    remover = threading.Thread(target=remove)
    remover.start()
    assert train_missing(LONG, here, executor="ray") == 2
    remover.join()
    assert len(lost) == 1
    assert second not in nodes.worker_nodes
    for of in LONG:
        assert is_undisturbed(of, here)


@needs_ray
def test_a_worker_killed_in_mid_run_costs_nothing_but_time(here, nodes, second):
    def worker() -> psutil.Process | None:
        return trains(LONG[0], nodes.head_node) or trains(LONG[0], second)

    pids = []

    def kill() -> None:
        wait_until(worker, "the run")
        pids.append(worker().pid)
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: (again := worker()) and again.pid != pids[0], "the run again")
        pids.append(worker().pid)

    killer = threading.Thread(target=kill)
    killer.start()
    assert train_missing(LONG[:1], here, executor="ray") == 1
    killer.join()
    assert len(pids) == 2
    assert is_undisturbed(LONG[0], here)


@needs_ray
def test_a_run_that_fails_is_named_with_its_reason_and_the_others_finish(
    here, second, tmp_path, monkeypatch
):
    """The nodes look for data where this process would; here that is no place for any."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path / "file" / "data"))
    failing = Run("mnist", noisy("symmetric", 0.6), {"name": "CE"}, "mlp", MNIST_PROTOCOL)
    with pytest.raises(SweepError) as error:
        train_missing([failing, SHORT[0]], here, executor="ray")
    message = str(error.value)
    assert "1 of 2 runs failed; the others are recorded" in message
    assert f"CE, seed 0 ({failing.key}): on {os.uname().nodename}: DataError: cannot" in message
    assert f"data directory {tmp_path}/file/data" in message
    assert "Traceback" not in message
    assert is_undisturbed(SHORT[0], here)
    assert list((here.directory / ".checkpoints").iterdir()) == []


@needs_ray
def test_a_run_that_takes_down_every_worker_is_given_up(here, second, odd_tasks, monkeypatch):
    monkeypatch.setattr(cluster, "RETRIES", 1)
    monkeypatch.setattr(cluster, "train_there", die)
    with pytest.raises(SweepError, match=rf"1 of 1 .*\n.*{SHORT[0].key}\): WorkerCrashedError"):
        train_missing(SHORT[:1], here, executor="ray")
    assert list(here.records()) == []


def die(of: Run, device: str | None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@needs_ray
def test_an_interrupt_ends_what_is_out_and_frees_its_lock(here, nodes, second):
    def interrupt() -> None:
        wait_until(lambda: trains(ENDLESS, nodes.head_node) or trains(ENDLESS, second), "the run")
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            train_missing([ENDLESS], here, executor="ray")
    finally:
        interrupter.join()
        signal.signal(signal.SIGINT, before)
    wait_until(lambda: not (trains(ENDLESS, nodes.head_node) or trains(ENDLESS, second)), "its end")
    lock = files.take(here.directory / ".checkpoints" / f"{ENDLESS.key}.lock")
    assert lock is not None
    lock.release()


# ---------------------------------------------------------------------------------- what it runs on


@pytest.fixture
def odd_tasks() -> Iterator[None]:
    """Functions of this file can be tasks, although the nodes do not have it."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@needs_ray
def test_runs_share_a_gpu(here, nodes, second, odd_tasks, tmp_path, monkeypatch, capsys):
    """A node that says it has a GPU: two runs wait there for each other."""

    def meet(of: Run, device: str | None) -> tuple[str, object]:
        (tmp_path / str(of.seed)).touch()
        end = time.monotonic() + 60
        while not all((tmp_path / seed).exists() for seed in "01") and time.monotonic() < end:
            time.sleep(0.05)
        return "failed", f"{len(list(tmp_path.glob('[01]')))} on {ray.get_gpu_ids()}, {device}"

    monkeypatch.setattr(cluster, "train_there", meet)
    third = nodes.add_node(num_gpus=1, **{**SMALL, "num_cpus": 2})
    try:
        with pytest.raises(SweepError) as error:
            train_missing([SHORT[0], SHORT[2]], here, executor="ray")
    finally:
        nodes.remove_node(third)
    assert str(error.value).count("2 on [0], None") == 2
    assert "GPUs 1; a run takes one CPU and 0.25 of a GPU" in capsys.readouterr().out


@needs_ray
@pytest.mark.parametrize("named", [True, False])
def test_ray_address_names_the_cluster_and_without_it_ray_is_this_machine(here, named, monkeypatch):
    asked = []

    def init(address: str, **options: object) -> None:
        reachable = ray._private.ray_constants.ENABLE_RAY_CLUSTER
        asked.append((address, options.get("num_cpus"), options.get("_node_ip_address"), reachable))
        raise RuntimeError("not today")

    monkeypatch.setattr(ray, "init", init)
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = "{}:{}".format(*head.getsockname())
        monkeypatch.setenv("RAY_ADDRESS", address if named else "")
        with pytest.raises(SweepError, match="not today; start one, correct RAY_ADDRESS, or unset"):
            train_missing(SHORT, here, executor="ray")
    default = ray._private.ray_constants.ENABLE_RAY_CLUSTER
    cluster, alone = (
        (address, None, None, default),
        ("local", available_cores(), "127.0.0.1", False),
    )
    assert asked == [cluster if named else alone]


@needs_ray
def test_an_address_where_nobody_answers_is_an_error_before_training(here, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "{}:{}".format(*free.getsockname())
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(SweepError, match=rf"cannot use the Ray cluster at {address}: .*refused"):
        train_missing(SHORT, here, executor="ray")
    assert list(here.records()) == []


@needs_ray
def test_a_connection_that_was_there_is_not_used(here, second):
    """It has not sent this code to the nodes."""
    ray.init(log_to_driver=False, logging_level="ERROR")
    try:
        with pytest.raises(SweepError, match=r"call ray.shutdown\(\) first"):
            train_missing(SHORT, here, executor="ray")
        assert ray.is_initialized()
    finally:
        ray.shutdown()


# -------------------------------------------------------------------------------------- without Ray


def test_ray_is_imported_only_when_it_is_asked_for():
    code = ("import sys, labelnoise.reproduce.audit, labelnoise.reproduce.job; "
            "sys.exit('ray' in sys.modules)")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_ray_the_error_names_the_remedy_before_any_training(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(sweep, "run_side_by_side", None)
    with pytest.raises(SweepError, match=r"needs Ray.*pip install -r requirements-ray\.lock"):
        train_missing(SHORT, here, executor="ray")
    assert list(here.records()) == []
