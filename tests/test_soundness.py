"""What an audit finds without training, and that it finds nothing in the committed records."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import audit_cases
from audit_cases import changed, consistent, list_all, put, run
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.files import COMMITTED
from labelnoise.reproduce import soundness
from labelnoise.runs.ledger import Ledger
from labelnoise.training.methods import train

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture(scope="module")
def trained() -> list[dict]:
    return [train(run(seed), device="cpu") for seed in range(2)]


@pytest.fixture
def results(tmp_path, trained) -> Path:
    """Two records, one of them from before there were seals, and their manifest."""
    for old, record in enumerate(trained):
        put(tmp_path, record, old=bool(old))
    list_all(tmp_path)
    return tmp_path


def test_the_committed_records_are_sound():
    checked = soundness.check(COMMITTED)
    assert checked.fallen == {}
    assert len(checked.sound) >= 700


def test_sound_records_old_and_new_are_found_sound(results):
    checked = soundness.check(results)
    assert checked.fallen == {}
    assert list(checked.sound) == sorted(f"digits/{run(seed).key}.json" for seed in (0, 1))


# ---------------------------------------------------------------------------------- the manifest


@pytest.mark.parametrize("old", [False, True])
def test_a_record_that_the_manifest_lacks_does_not_stand(old, results):
    record = train(run(2), device="cpu")
    name = put(results, record, old=old)
    assert "no line" in soundness.check(results).fallen[name]


def test_a_new_record_does_not_pass_for_an_old_one(results, trained):
    name = put(results, trained[0], old=True)
    assert "differs from its line" in soundness.check(results).fallen[name]


def test_what_is_missing_and_arrays_that_are_not_the_records_are_named(results, trained):
    path = results / put(results, trained[1], old=True)
    path.unlink()
    stray = Ledger(results).path(run(0)).with_suffix(".npz")
    np.savez(stray, probabilities=np.zeros(3))
    fallen = soundness.check(results).fallen
    assert "missing" in fallen[f"digits/{path.name}"]
    assert ".npz has no line" in fallen[f"digits/{stray.stem}.json"]


# ---------------------------------------------------------------------------------- one record

FORGED = {
    "last": lambda r: changed(r, result={"last": 96.81}),
    "best epoch": lambda r: changed(r, result={"best_epoch": 7}),
    "fit of the wrong": lambda r: changed(r, result={"fit_wrong": 0.01}),
    "an accuracy of 120 %": lambda r: audit_cases.moved(r, 120.0),
    "fits that exceed all": lambda r: consistent(changed(r, curves={"fit_wrong": [99.0, 99.0]})),
    "an epoch more": lambda r: consistent(
        changed(r, curves={name: [*c, c[-1]] for name, c in r["curves"].items()})
    ),
    "an epoch of one curve": lambda r: changed(r, curves={"train_loss": [1.0]}),
    "a loss that was infinite": lambda r: changed(r, curves={"train_loss": [1.0, None]}),
    "words for numbers": lambda r: changed(r, curves={"fit_true": ["x", "y"]}),
    "no curves": lambda r: {**r, "curves": {}},
    "first without its curves": lambda r: changed(r, result={"first": r["result"]}),
    "a matrix that is none": lambda r: changed(r, result={"T": [[0.5, 0.6], [0.0, 1.0]]}),
    "other flips": lambda r: changed(r, provenance={"flips_sha256": "0" * 64}),
    "another rate": lambda r: changed(r, result={"noise_rate": 59.0}),
    "a field of provenance less": lambda r: {
        **r, "provenance": {k: v for k, v in r["provenance"].items() if k != "torch"}
    },
    "no thread": lambda r: changed(r, provenance={"threads": 0}),
    "no processor": lambda r: changed(r, provenance={"processor": None}),
    "a processor that is a word": lambda r: changed(r, provenance={"processor": "AMD EPYC"}),
    "a processor of fewer words": lambda r: changed(r, provenance={"processor": {"model": "17"}}),
    "a processor of numbers": lambda r: changed(
        r, provenance={"processor": {**r["provenance"]["processor"], "family": 25}}
    ),
    "a date without zone": lambda r: changed(r, provenance={"date": "2026-11-24T10:00:00"}),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_a_record_that_cannot_be_right_falls_though_its_checksums_are_fresh(what, results, trained):
    name = put(results, FORGED[what](trained[0]))
    list_all(results)
    checked = soundness.check(results)
    assert list(checked.fallen) == [name]
    assert len(checked.sound) == 1


def test_a_config_that_this_code_would_not_write_falls(results, trained):
    path = results / put(results, trained[0])
    (results / "mnist").mkdir()
    path.rename(results / "mnist" / path.name)
    list_all(results)
    assert list(soundness.check(results).fallen) == [f"mnist/{path.name}"]


def test_damaged_records_and_directories_in_their_place_are_named(results):
    (results / "digits/dir.json").mkdir()
    (results / "digits/deep.json").write_text("[" * 200_000)
    list_all(results)
    assert list(soundness.check(results).fallen) == ["digits/deep.json", "digits/dir.json"]


def test_flips_are_not_checked_where_the_data_are_not_here_and_that_is_said(
    results, trained, monkeypatch, tmp_path
):
    """No network: for a check nothing is fetched."""
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path / "nothing"))
    config = {**run().config, "dataset": "mnist"}
    put(results, changed(trained[0], config=config, provenance={"flips_sha256": "0" * 64}))
    list_all(results)
    checked = soundness.check(results)
    assert checked.fallen == {}
    assert any("flips of 1 records" in note and "mnist" in note for note in checked.notes)


@pytest.mark.parametrize(("dataset", "needed"), [
    ("cifar10", ["cifar10", "cifar10n"]), ("fashion_mnist_h", ["fashion_mnist_h"])
])  # fmt: skip
def test_other_labels_of_people_are_not_those_of_cifar10n(dataset, needed, monkeypatch):
    asked, labels = [], soundness.Labels()
    monkeypatch.setattr(labels, "load", asked.append)
    kind = noisy("human", set="majority" if dataset == "fashion_mnist_h" else "worse_label")
    people = Run(dataset, kind, {"name": "CE"}, "mlp", MNIST_PROTOCOL)
    assert list(labels.differ(people, {})) == []
    assert asked == needed


# ---------------------------------------------------------------------------------- git


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def committed(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "records")
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def repository(tmp_path, trained) -> Path:
    """The same two records in a repository, made by its first commit."""
    folder = tmp_path / "repository"
    (folder / "results").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "code.py").touch()
    made = {"commit": committed(folder), "date": datetime.now(UTC).isoformat()}
    for record in trained:
        put(folder / "results", changed(record, provenance=made))
    list_all(folder / "results")
    committed(folder)
    return folder / "results"


@needs_git
def test_committed_records_of_a_commit_that_is_there_are_sound(repository):
    checked = soundness.check(repository)
    assert checked.fallen == {}
    assert checked.notes == []


@needs_git
def test_a_record_that_a_commit_changed_does_not_stand_whatever_the_manifest_says(repository):
    path = Ledger(repository).path(run(0))
    path.write_text(path.read_text() + "\n")
    list_all(repository)
    name = path.relative_to(repository).as_posix()
    assert "differs from what was committed" in soundness.check(repository).fallen[name]
    git(repository, "update-index", "--assume-unchanged", str(path))
    assert name in soundness.check(repository).fallen
    git(repository, "update-index", "--no-assume-unchanged", str(path))
    committed(repository)
    assert "changed by a later commit" in soundness.check(repository).fallen[name]


@needs_git
def test_a_record_that_was_removed_and_added_with_other_numbers_does_not_stand(repository):
    path = Ledger(repository).path(run(0))
    content = path.read_text()
    path.unlink()
    committed(repository)
    path.write_text(content)
    committed(repository)
    assert soundness.check(repository).fallen == {}, "the same content again is no edit"
    path.unlink()
    committed(repository)
    path.write_text(content + "\n")
    list_all(repository)
    committed(repository)
    assert list(soundness.check(repository).fallen) == [path.relative_to(repository).as_posix()]


@needs_git
def test_a_record_that_was_deleted_with_its_line_of_the_manifest_is_named(repository):
    path = Ledger(repository).path(run(0))
    path.unlink()
    list_all(repository)
    gone = soundness.check(repository).fallen
    assert list(gone) == [path.relative_to(repository).as_posix()]
    committed(repository)
    assert soundness.check(repository).fallen == gone


@needs_git
def test_records_that_are_not_committed_yet_are_counted(repository):
    committed = soundness.check(repository).sound[f"digits/{run(0).key}.json"]["provenance"]
    made = {name: committed[name] for name in ("commit", "date")}
    put(repository, changed(train(run(2), device="cpu"), provenance=made))
    list_all(repository)
    checked = soundness.check(repository)
    assert checked.fallen == {}
    assert checked.notes == ["1 records are not committed yet: git knows nothing of them"]


@needs_git
def test_a_commit_that_is_not_there_or_younger_than_its_record_is_named(repository, trained):
    head = git(repository, "rev-parse", "HEAD").strip()
    provenances = {
        2: {"commit": "0" * 40},
        3: {"commit": head, "date": "2020-01-01T00:00+00:00"},
        4: {"commit": None},
        5: {"commit": f"{head}+changes"},
    }
    for seed, made in provenances.items():
        made = {"date": datetime.now(UTC).isoformat(), **made}
        put(repository, changed(train(run(seed), device="cpu"), provenance=made))
    list_all(repository)
    checked = soundness.check(repository)
    gone, younger = (f"digits/{run(seed).key}.json" for seed in (2, 3))
    assert sorted(checked.fallen) == sorted([gone, younger])
    assert "git fetch --unshallow" in checked.fallen[gone]
    assert "younger than the record" in checked.fallen[younger]
    assert len(checked.notes) == 3, "outside git, with changes, not committed: said, no failure"


@needs_git
def test_without_history_less_is_checked_and_that_is_said(repository, tmp_path):
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository.parent}", "shallow")
    checked = soundness.check(tmp_path / "shallow/results")
    assert checked.fallen == {}
    assert "shallow" in checked.notes[0]
    shutil.rmtree(tmp_path / "shallow/.git")
    checked = soundness.check(tmp_path / "shallow/results")
    assert checked.fallen == {}
    assert "not checked" in checked.notes[0]
