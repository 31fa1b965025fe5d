"""The measurements run in miniature and the report follows from them; no test looks at a time."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from labelnoise import data
from labelnoise.experiments.human_noise import human_objects
from labelnoise.training.loop import State, train_epoch
from labelnoise.training.machine import this_machine
from labelnoise.training.task import Task

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
FILES = (
    *("side_by_side", "epoch", "sweeps", "memory", "ledger", "features", "gpu"),
    *("readme", "engine", "threads"),
)
COUNTED = Path("/proc/self/smaps_rollup")


@pytest.fixture(scope="module")
def bench():
    """The files of the engine's benchmark by name, imported as its scripts import each other."""
    before = {name: sys.modules.pop(name, None) for name in FILES}
    sys.path.insert(0, str(FOLDER))
    yield {name: importlib.import_module(name) for name in FILES}
    sys.path.remove(str(FOLDER))
    for name in FILES:
        sys.modules.pop(name)
        if before[name]:
            sys.modules[name] = before[name]


@pytest.fixture(scope="module")
def small(bench):
    """The measured runs, CNN and MLP, in miniature."""
    settings = {"dataset": "digits", "subset": 300}
    return [
        replace(bench["side_by_side"].CNN, model=model, **settings) for model in ("cnn4", "mlp")
    ]


def positive(values: list[float], rounds: int) -> bool:
    return len(values) == rounds and min(values) > 0


# ------------------------------------------------------------------------------- the sides


def test_sides_take_turns_in_both_orders_and_a_warm_up_is_forgotten(bench):
    calls = []

    def side(name: str):
        def measure() -> dict[str, float]:
            calls.append(name)
            return {name: len(calls)}

        return measure

    numbers = bench["side_by_side"].in_rounds({"a": side("a"), "b": side("b")}, rounds=2)
    assert "".join(calls) == "baabba"
    assert numbers == {"a": [3, 6], "b": [4, 5]}


def test_the_parts_of_an_epoch_are_measured(bench, small):
    found = bench["epoch"].measure(small, rounds=2)
    assert list(found) == ["cnn4", "mlp"]
    for network in found.values():
        assert network.pop("steps") == 3
        assert set(network) == {*bench["readme"].PARTS, "fixed_batch", "training"}
        assert all(positive(values, 2) for values in network.values())


def test_a_stopwatch_changes_nothing_and_goes_again(bench, small):
    of, cpu = small[1], bench["epoch"].CPU
    curves = []
    for watched in (False, True):
        task = Task.of(of, cpu)
        state = State.of(of, task, this_machine(cpu))
        if watched:
            with bench["epoch"].stopwatches(task, state) as spent:
                train_epoch(task, state)
            assert min(spent.values()) > 0
            told = dict(spent)
        train_epoch(task, state)
        curves.append(state.curves)
    assert spent == told, "nothing runs on after the context"
    assert len(curves[0]["train_loss"]) == 1
    assert {name: values[:1] for name, values in curves[1].items()} == curves[0]


def test_a_step_on_the_fixed_batch_is_a_step_of_training(bench, small, monkeypatch):
    """An epoch of one batch ends with the same weights, but for the order of the samples."""
    monkeypatch.setenv("LABELNOISE_PRECISION", "float32")
    of, cpu = replace(small[1], subset=100), bench["epoch"].CPU
    task = Task.of(of, cpu)
    start, ours, theirs = (State.of(of, task, this_machine(cpu)) for _ in range(3))
    train_epoch(task, ours)
    theirs.model.train()
    bench["epoch"].step(of, theirs, task.batch(task.images), task.given)
    weights = (state.model.parameters() for state in (start, ours, theirs))
    for before, a, b in zip(*weights, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
        assert (a - before).abs().max() > 1e-5


def test_sweeps_and_reference_are_measured(bench, small, workers_start_quickly):
    found = bench["sweeps"].measure([(small[1], (1, 2), 1, 0)])["mlp"]
    assert found.pop("epochs") == [1, 2]
    assert found.pop("workers") == 2
    sides = ("reference", "references_at_once")
    assert set(found) == {
        "short", "long", *(f"{side}_{part}" for side in sides for part in ("epoch", "start"))
    }  # fmt: skip
    assert all(positive(values, 1) for values in found.values())


def test_the_reference_sees_the_same_data_and_learns(bench, tmp_path):
    """On digits, whose 1442 images are 12 batches."""
    bench["sweeps"].write_for_torchvision("digits", tmp_path)
    images, labels = data.load("digits", "train")
    raw = tmp_path / "MNIST" / "raw"
    assert (raw / "train-images-idx3-ubyte").read_bytes()[16:] == images.tobytes()
    assert (raw / "train-labels-idx1-ubyte").read_bytes()[8:] == labels.astype("u1").tobytes()
    script = [sys.executable, FOLDER / "reference.py", tmp_path, "--model", "cnn4", "--epochs", "4"]
    done = subprocess.run(script, stdout=subprocess.PIPE, check=True, timeout=300)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["epoch"] for line in told] == [1, 2, 3, 4]
    assert told[-1]["train_loss"] < told[0]["train_loss"]
    assert told[-1]["test_accuracy"] > 30, "60 % of its labels are wrong; 10 % is chance"


@pytest.mark.skipif(not COUNTED.exists(), reason="only Linux says what processes share")
def test_the_memory_of_a_sweep_is_measured(bench, small, workers_start_quickly):
    long_enough_to_be_seen = replace(small[0], subset=None)  # a look in 50 ms, and more under load
    found = bench["memory"].measure(long_enough_to_be_seen, rounds=1)
    assert list(found) == ["1", "2"]
    for (look,) in found.values():
        assert 0.05 < look["anonymous"] < look["pss"] < 8
        assert 0.05 < look["rss"] < 4
    assert found["1"][0]["pss"] < found["2"][0]["pss"]


def test_a_ledger_becomes_a_table(bench):
    found = bench["ledger"].measure(losses=3, seeds=2, rounds=2)
    assert found.pop("records") == 6
    assert positive(found.pop("table"), 2)
    assert not found


def test_heads_on_features_are_measured(bench, small, workers_start_quickly):
    """In miniature, on digits."""
    heads = [
        bench["side_by_side"].epochs(replace(small[1], model=model), 2)
        for model in ("linear", "mlp")
    ]
    found = bench["features"].measure(heads, rounds=1)
    assert (found["runs"], found["workers"]) == (2, 2)
    assert set(found["core_seconds"]) == {"linear", "mlp"}
    for values in (*found["core_seconds"].values(), found["sweep"], found["reading"]):
        assert positive(values, 1)
    assert set(found["memory"] or "12") == {"1", "2"}
    runs = bench["features"].RUNS
    assert [run.model for run in runs] == ["linear"] * 4 + ["mlp"] * 4
    assert {run.key for run in runs} < {run.key for run in human_objects()}


def test_the_gpu_benchmark_runs_on_a_cpu(bench, small):
    found = bench["gpu"].measure("cpu", [small[0]], rounds=2)
    assert set(found) == {"device", "precision", "digits"}
    assert found["digits"]["start_and_first_epoch"] > 0
    assert positive(found["digits"]["epoch"], 2)


def test_without_data_or_device_the_gpu_benchmark_says_so(bench, small, monkeypatch):
    gpu = bench["gpu"]

    def refuse(*_):
        raise data.DataError("nowhere")

    monkeypatch.setattr(gpu.data, "load", refuse)
    assert gpu.measure("cpu", [small[0]], rounds=1)["digits"] is None
    assert bench["features"].measure([small[1]], rounds=1) is None
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    assert gpu.measure() is None


# ------------------------------------------------------------------------------- the report

MADE_UP = {
    "machine": {
        "cpu": "Abacus", "cores": 2, "memory_gb": 16.3, "system": "Linux", "python": "3.12.1",
        "torch": "2.13.0", "torchvision": "0.28.0", "precision": "bfloat16",
        "commit": "0123456789abcdef", "date": "2026-01-02", "load_before": 0.1, "load_after": 2.0,
        "minutes": 20,
    },
    "epoch": {
        model: {
            "steps": 469, "fixed_batch": [10.0, 10.0, 10.0], "training": [10.2, 10.6, 10.4],
            "evaluation": [0.9, 0.9, 0.9], "checkpoint": [0.1, 0.1, 0.1],
            **{part: [1.0, 1.0, 1.0] for part in (
                "forward", "loss", "backward", "clip", "optimiser", "zero_grad", "standardise",
                "rest")},
        }
        for model in ("cnn4", "mlp")
    },
    "sweeps": {
        model: {
            "workers": 2, "epochs": [1, 3], "short": [12.0], "long": [32.0],  # 2 + 10 an epoch
            "reference_epoch": [30.0], "reference_start": [6.0],
            "references_at_once_epoch": [50.0], "references_at_once_start": [8.0],
        }
        for model in ("cnn4", "mlp")
    },
    "memory": {
        "1": [{"pss": 0.8, "anonymous": 0.7, "rss": 0.6}],
        "2": [{"pss": 1.15, "anonymous": 1.0, "rss": 0.6}],
    },
    "ledger": {"records": 1000, "table": [0.5, 2.5, 2.0]},
    "features": {
        "core_seconds": {"linear": [4.0, 6.0, 5.0], "mlp": [15.0, 14.0, 16.0]}, "runs": 8,
        "workers": 2, "sweep": [40.0, 60.0, 48.0], "reading": [0.4, 0.3, 0.4],
        "memory": {"1": [{"pss": 0.8}], "2": [{"pss": 1.15}]},
    },
    "gpu": None,
}  # fmt: skip


def verdicts(bench, results: dict) -> dict[str, tuple[str, str]]:
    table = bench["readme"].targets(results)
    return {r[0].split(" (")[0]: (r[2], r[3]) for r in table.itertuples(index=False, name=None)}


def test_every_target_is_judged_by_the_median(bench):
    found = verdicts(bench, MADE_UP)
    assert found == {
        "training part of an epoch": ("1.04 (1.02–1.06)", "reached"),
        "whole epoch / its training part": ("1.10 (1.09–1.10)", "**missed**"),
        "runs per hour on 2 cores, CNN / reference loop": ("6.00 (6.00–6.00)", "reached"),
        "runs per hour on 2 cores, MLP / reference loop": ("6.00 (6.00–6.00)", "**missed**"),
        "peak memory of a sweep with one worker": ("0.80 GB (0.80–0.80)", "reached"),
        "each further worker": ("0.35 GB (0.35–0.35)", "reached"),
        "from a complete ledger of 1000 records to a table": ("2.00 s (0.50–2.50)", "**missed**"),
        "a linear head on CIFAR-10's features: core-seconds of a run": (
            "5.00 s (4.00–6.00)", "reached"),
        "an MLP on CIFAR-10's features: core-seconds of a run": (
            "15.00 s (14.00–16.00)", "**missed**"),
        "both heads: runs per minute on 2 cores": ("10.00 (8.00–12.00)", "reached"),
        "each further worker on features": ("0.35 GB (0.35–0.35)", "**missed**"),
        "30 SIGKILLs at random moments of a sweep": (
            "a test: `tests/test_faults.py`", "held by `make test`"),
        "GPU: runs per hour, MNIST, CNN / the plain eager path": (
            "the fast path is not built", "–"),
        "GPU: full MNIST grid": ("not yet measured", "–"),
        "GPU: CIFAR-10, 8-layer CNN, 120 epochs, one H200": ("not yet measured", "–"),
    }  # fmt: skip


def test_a_gpu_is_named_with_what_was_extrapolated_from_it(bench):
    gpu = {
        "device": "Tensor Mill", "precision": "bfloat16",
        "mnist": {"start_and_first_epoch": 3.0, "epoch": [1.0, 1.0]}, "cifar10": None,
    }  # fmt: skip
    grid, cifar = list(verdicts(bench, {**MADE_UP, "gpu": gpu}).values())[-2:]
    minutes = 459 * (2 + 50) / 60
    told = f"{minutes:.2f} min ({minutes:.2f}–{minutes:.2f}), extrapolated; Tensor Mill, bfloat16"
    assert grid == (told, "**missed**")
    assert cifar == ("not yet measured", "–")


def test_a_measurement_of_its_own_process_says_its_result_in_json(bench, monkeypatch, tmp_path):
    """With the memory settings of a worker where it stands for one, and without a CUDA device."""
    (tmp_path / "epoch.py").write_text(
        "import os, sys\nsys.path.insert(0, os.environ['BENCHMARKS'])\nimport side_by_side\n"
        "def measure():\n    print('trained something')\n"
        "    return [os.environ.get(k) for k in ('MALLOC_TRIM_THRESHOLD_', 'CUDA_VISIBLE_DEVICES')]"
        "\nside_by_side.main(measure)\n"
    )
    monkeypatch.setenv("BENCHMARKS", str(FOLDER))
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setattr(bench["engine"], "HERE", tmp_path)
    trim, devices = bench["engine"].measured("epoch")
    assert int(trim) > 0
    assert devices == ""


def test_the_engine_writes_its_measurements_and_its_report(bench, monkeypatch, tmp_path, capsys):
    engine = bench["engine"]
    monkeypatch.setattr(engine, "HERE", tmp_path)
    monkeypatch.setattr(engine, "use_two_cores", lambda: None)
    monkeypatch.setattr(engine, "measured", MADE_UP.get)
    engine.main([])
    assert not list(tmp_path.iterdir()), "only with --write"
    engine.main(["--write"])
    results = json.loads((tmp_path / "engine.json").read_text(encoding="utf-8"))
    assert set(results["machine"]) == set(MADE_UP["machine"])
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text == bench["readme"].compose(results)
    assert text in capsys.readouterr().out
    another = {**MADE_UP, "ledger": {"records": 1000, "table": [1.0]}}
    monkeypatch.setattr(engine, "measured", another.get)
    engine.main(["--only", "ledger", "--write"])
    again = json.loads((tmp_path / "engine.json").read_text(encoding="utf-8"))
    assert set(again.pop("alone")["ledger"]) == set(MADE_UP["machine"])
    assert again == {**results, "ledger": another["ledger"]}
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "`ledger.py` was measured by itself: " in text


def test_the_committed_report_follows_from_the_committed_measurements(bench):
    source = FOLDER / "engine.json"
    if not source.exists():
        pytest.skip("benchmarks/engine.json is not there: `make bench` measures it")
    results = json.loads(source.read_text(encoding="utf-8"))
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert text == bench["readme"].compose(results), "compose it again: benchmarks/readme.py"


def test_threads_are_timed_side_by_side(bench, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name, split, kept=data.load: kept("digits", split))
    found = bench["threads"].measure({"mlp": 1}, rounds=2, samples=60)
    assert {key: len(found["mlp"][key]) for key in ("one", "all")} == {"one": 2, "all": 2}
    assert found["mlp"]["ratio"] > 0
