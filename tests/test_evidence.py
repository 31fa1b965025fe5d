"""The queue trains what is missing, in its order, and says what is left."""

import math

import pytest

from labelnoise import data, experiments
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy, queue
from labelnoise.reproduce import evidence
from labelnoise.runs import manifest
from labelnoise.training.methods import train

pytestmark = pytest.mark.usefixtures("workers_start_quickly")


def run(seed: int = 0, **changes: object) -> Run:
    setting = {"noise": noisy("symmetric", 0.6), "loss": {"name": "CE"}, "model": "mlp"}
    protocol = {**MNIST_PROTOCOL, "epochs": 2}
    return Run("digits", **{**setting, **changes}, protocol=protocol, seed=seed, subset=300)


@pytest.fixture
def small(monkeypatch, here):
    """A queue of two entries, in a ledger that has the first run."""
    entries = [("first", [run(0), run(1)]), ("second", [run(2)])]
    monkeypatch.setattr(evidence, "queue", lambda: entries)
    monkeypatch.setattr(evidence, "follow_ups", list)
    monkeypatch.setattr(evidence, "COMMITTED", here.directory)
    monkeypatch.setattr(evidence, "commit", lambda: "a" * 40)
    here.write(train(run(0), device="cpu"))
    return here


def test_every_grid_is_queued_and_every_run_once():
    entries = queue.queue()
    keys = [r.key for _, runs in entries for r in runs]
    assert len(keys) == len(set(keys))
    asked = {r.key for name in set(experiments.GRIDS) - set(queue.LEFT_OUT)
             for r in experiments.GRIDS[name]()}  # fmt: skip
    assert set(keys) >= asked


def test_seeds_come_whole():
    """Of a grid's runs with the CNN none of the next seed comes before the last of this one."""
    for title, runs in queue.queue():
        if title.startswith(("step_decay_shape", "cnn_losses")):
            seeds = [r.seed for r in runs]
            assert seeds == sorted(seeds), title


def test_a_grid_that_nobody_queued_is_named(monkeypatch):
    monkeypatch.setitem(queue.GRIDS, "forgotten", list)
    with pytest.raises(ValueError, match="nobody queued the grids forgotten"):
        queue.queue()


def test_the_plan_counts_what_is_left_by_the_pace_of_the_records(small):
    made = small.find(run(0))["provenance"]["seconds"]
    left = evidence.plan(evidence.queue(), small)
    assert left["left"].to_dict() == {"first": 1, "second": 1}
    assert left["core-hours"].to_list() == pytest.approx([made / 3600] * 2)
    other = [("third", [run(0, model="cnn4")])]
    assert left["runs"].to_list() == [2, 1]
    assert evidence.plan(other, small)["core-hours"].isna().all()


def test_the_hours_of_a_profile_say_which_runs_nobody_has_timed(small, monkeypatch, capsys):
    made = small.find(run(0))["provenance"]["seconds"]
    elsewhere = Run("mnist", noisy("clean"), {"name": "CE"}, "mlp", run(0).protocol)
    profile = [run(1), run(2), elsewhere, run(0, model="cnn4")]
    monkeypatch.setattr(evidence, "PROFILES", {"ours": None})
    monkeypatch.setattr(evidence, "profile_runs", lambda name: profile)
    (found,) = evidence.hours(small).to_dict("records")
    assert found.pop("core-hours") == pytest.approx(3 * made / 3600)
    assert found == {"runs": 4, "guessed": 1, "unknown": 1}
    assert evidence.main(["--hours"]) == 0
    assert "ours" in capsys.readouterr().out


def test_a_pace_is_the_median_of_the_records_that_a_cpu_made_of_the_like():
    cpu, gpu = ({"device": device, "threads": 1} for device in ("AMD EPYC", "NVIDIA H200"))
    records = [{"config": run(seed).config, "provenance": {**cpu, "seconds": seconds}}
               for seed, seconds in enumerate((2.0, 20.0, 9000.0))]  # fmt: skip
    records.append({"config": run(3).config, "provenance": {**gpu, "seconds": 0.1}})
    assert evidence.paces(iter(records))(run(7)) == 10.0
    assert math.isnan(evidence.paces(records)(run(model="cnn4")))


def test_what_is_missing_is_trained_into_the_ledger_at_a_low_priority(small, monkeypatch, capsys):
    lowered = []
    monkeypatch.setattr(evidence.os, "nice", lowered.append)
    assert evidence.main(["--workers", "1"]) == 0
    assert lowered == [19]
    assert "2 runs trained" in capsys.readouterr().out
    assert {r["config"]["seed"] for r in small.records()} == {0, 1, 2}
    assert manifest.check(small.directory) == {}
    assert len(manifest.read(small.directory)) == 3
    assert evidence.main([]) == 0
    assert "nothing is left" in capsys.readouterr().out


def test_a_record_that_is_listed_and_gone_is_not_trained_again(small, capsys):
    manifest.add(small.directory, [small.path(run(0))])
    small.path(run(0)).unlink()
    assert evidence.main(["--workers", "1"]) == 1
    assert "restore them with git" in capsys.readouterr().err
    assert list(small.records()) == []


def test_a_plan_trains_nothing(small):
    assert evidence.main(["--plan"]) == 0
    assert len(list(small.records())) == 1


@pytest.mark.parametrize("at", [None, "a" * 40 + "+changes"])
def test_records_are_made_only_by_committed_code(at, small, monkeypatch, capsys):
    monkeypatch.setattr(evidence, "commit", lambda: at)
    assert evidence.main([]) == 1
    assert "commit it, then run again" in capsys.readouterr().err
    assert len(list(small.records())) == 1


def test_runs_without_their_data_are_named_and_left(monkeypatch, capsys):
    """Its own data set, and people's labels where they are another."""

    def load(name, split="train"):
        if name in ("mnist", "cifar10n"):
            raise data.DataError(f"no {name} here")

    monkeypatch.setattr(evidence.data, "load", load)
    mnist, people, clean = (
        Run(dataset, noise, {"name": "CE"}, "mlp", MNIST_PROTOCOL)
        for dataset, noise in (
            ("mnist", noisy("clean")),
            ("cifar10_features", noisy("twin", of="worse_label")),
            ("cifar10_features", noisy("clean")),
        )
    )
    assert evidence.with_data([run(0), mnist, people, clean]) == [run(0), clean]
    said = capsys.readouterr().out
    assert "the runs that need mnist: no mnist here" in said
    assert "the runs that need cifar10n: no cifar10n here" in said
