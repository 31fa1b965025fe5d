"""An audit finds the records that do not stand, and leaves alone those that do."""

import copy
from collections.abc import Callable

import pytest

from labelnoise import audit
from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.ledger import Ledger, read
from labelnoise.train import train

pytestmark = pytest.mark.usefixtures("workers_start_quickly")


def run(seed: int = 0, loss: str = "CE", epochs: int = 2) -> Run:
    setting = {"noise": noisy("symmetric", 0.6), "loss": {"name": loss}, "model": "mlp"}
    return Run("digits", **setting, protocol={**MNIST_PROTOCOL, "epochs": epochs}, seed=seed,
               subset=300)  # fmt: skip


def moved(record: dict, by: float) -> dict:
    """The record with another last accuracy, forged with care: curves and result agree."""
    record = copy.deepcopy(record)
    curve = record["curves"]["test_accuracy"]
    curve[-1] += by
    record["result"] |= {"last": curve[-1], "best": max(curve),
                         "best_epoch": curve.index(max(curve)) + 1}  # fmt: skip
    return record


def diverged(record: dict) -> dict:
    record = copy.deepcopy(record)
    record["result"] |= {"last": None, "diverged_at": 2}
    return record


def seeds(record: dict, *values: float, loss: dict | None = None) -> list[dict]:
    """Records of other seeds of the same setting (or of another loss) that end at ``values``."""
    made = []
    for seed, value in enumerate(values, 1):
        other = moved(record, value - record["result"]["last"])
        other["config"] = {**record["config"], "seed": seed} | ({"loss": loss} if loss else {})
        made.append(other)
    return made


@pytest.fixture(scope="module")
def trained() -> list[dict]:
    return [train(run(seed), device="cpu") for seed in range(2)]


@pytest.fixture
def committed(tmp_path, trained) -> Ledger:
    book = Ledger(tmp_path / "results")
    for record in trained:
        book.write(record)
    return book


@pytest.fixture
def call(tmp_path, committed, monkeypatch) -> Callable[..., int]:
    monkeypatch.setattr(audit, "COMMITTED", committed.directory)
    monkeypatch.setattr(audit, "REPRODUCED", tmp_path / "reproduced")
    return lambda *arguments: audit.main(list(arguments))


def contents(book: Ledger) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in book.directory.rglob("*") if path.is_file()}


def replace(book: Ledger, record: dict) -> None:
    """Puts a resealed record in the place of the one with its config."""
    book.path(Run(**record["config"])).unlink()
    book.write(record)


# ------------------------------------------------------------------------------ the whole command


def test_records_that_stand_are_bit_identical_and_results_stay_untouched(
    call, committed, capsys, monkeypatch, tmp_path
):
    before = contents(committed)
    assert call("--n", "7", "--seed", "3") == 0, "more than there are: all of them"
    said = capsys.readouterr().out
    assert "audit with seed 3" in said
    assert "2 of 2 eligible records (at most 20 CPU minutes a run; 2 in all)" in said
    assert said.count(": bit-identical") == 2
    assert "2 of 2 records stand" in said
    assert contents(committed) == before
    assert len(list(Ledger(tmp_path / "reproduced/audit/3").records())) == 2

    monkeypatch.setattr("labelnoise.sweep.run_side_by_side", None)  # nothing is left to train
    assert call("--n", "7", "--seed", "3") == 0
    assert "0 retrained now" in capsys.readouterr().out


def test_a_forged_record_a_damaged_one_and_other_flips_are_found_out(
    call, committed, trained, capsys
):
    replace(committed, {**trained[0], "result": {**trained[0]["result"], "last": 96.81}})
    flips = {**trained[1]["provenance"], "flips_sha256": "0" * 64}
    replace(committed, {**trained[1], "provenance": flips})
    third = committed.write(seeds(trained[0], 50.0, 51.0, 52.0)[2])
    third.write_text(third.read_text()[:-40])
    assert call("--n", "5") == 1
    said = capsys.readouterr().out
    assert f"{run(0).key} digits, mlp, CE, seed 0: RESULT DOES NOT FOLLOW from its curves" in said
    assert f"{run(1).key} digits, mlp, CE, seed 1: FLIPS DIFFER" in said
    assert f"{third.stem}: record {third} is damaged or was edited" in said
    assert "delete it and run again, or restore it with git" in said
    assert "0 of 3 records stand" in said


def test_a_damaged_record_is_found_even_where_it_is_not_drawn(committed):
    path = committed.path(run(1))
    path.write_text("{")
    findings = audit.audit(1, 0, 12, committed, Ledger(committed.directory.parent / "here"))
    assert [(name.split()[0], stands) for name, stands, _ in findings] == [
        (run(1).key, False), (run(0).key, True)
    ]  # fmt: skip


def test_a_run_that_cannot_be_trained_again_does_not_stand(call, committed, capsys, tmp_path):
    (tmp_path / "reproduced").write_text("no directory")
    assert call("--n", "1") == 1
    said = capsys.readouterr()
    assert "could not be retrained" in said.out
    assert "cannot write to" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--affordable", "0"], "nothing to audit: 5 of 0 affordable records (at most 0 CPU"),
        (["--n", "0"], "nothing to audit: 0 of 2 affordable records"),
    ],
)
def test_nothing_to_audit_is_an_error(arguments, message, call, capsys):
    assert call(*arguments) == 1
    assert message in capsys.readouterr().err


# ---------------------------------------------------------------------------------------- the draw


def test_a_cpu_affords_what_took_a_cpu_no_longer_than_the_limit(trained):
    for device, seconds, affordable in (
        ("AMD EPYC", 720.0, True), ("AMD EPYC", 721.0, False), ("NVIDIA H200", 5.0, False)
    ):  # fmt: skip
        made = {**trained[0], "provenance": {"device": device, "seconds": seconds}}
        assert bool(audit.affordable([made], 12)) == affordable
        assert audit.affordable([made], None) == [made], "a GPU affords all"


def test_a_seed_repeats_its_draw_in_any_order_and_others_draw_others(trained):
    records = seeds(trained[0], *range(20))
    first = audit.draw(records, 5, seed=1)
    assert first == audit.draw(records[::-1], 5, seed=1)
    assert len(first) == 5
    assert first != audit.draw(records, 5, seed=2)
    drawn = {r["config"]["seed"] for s in range(40) for r in audit.draw(records, 5, seed=s)}
    assert drawn == set(range(1, 21)), "every record can be drawn"
    assert audit.draw(records, 99, seed=1) == audit.draw(records, 20, seed=1)


# --------------------------------------------------------------------- what differs in the last bit

OTHERS = (49.0, 50.0, 51.0)  # predict 50 +- 4.30 * sqrt(4/3) = [45.03, 54.97]


@pytest.fixture(scope="module")
def at(trained) -> Callable[[float], dict]:
    """The record of seed 0, ending at a value."""
    return lambda value: moved(trained[0], value - trained[0]["result"]["last"])


@pytest.mark.parametrize(
    ("was", "now", "stands", "word"),
    [
        (50.0, 50.5, True, "inside: recorded 50.00, here 50.50"),
        (45.1, 54.9, True, "inside"),
        (96.81, 50.0, False, "OUTSIDE: recorded 96.81, here 50.00"),
        (50.0, 56.0, False, "OUTSIDE: recorded 50.00, here 56.00"),
        (55.5, 50.0, False, "OUTSIDE"),
        (70.0, 69.0, True, "outside, confirmed: recorded 70.00, here 69.00"),
        (70.0, 64.9, False, "OUTSIDE"),
    ],
)
def test_the_other_seeds_judge_what_is_not_bit_identical(was, now, stands, word, at):
    others = seeds(at(50.0), *OTHERS)
    found, verdict = audit.judge(at(was), at(now), [at(was), *others])
    assert found == stands
    assert verdict.startswith(word)
    assert "3 other seeds predict [45.03, 54.97]" in verdict
    assert "on the same device and build" in verdict


def test_a_record_does_not_vouch_for_itself(at):
    """With itself among the seeds, a forged 96.81 would widen the interval until it lies inside."""
    others = seeds(at(50.0), 50.0, 51.0)
    assert not audit.judge(at(96.81), at(50.2), [at(96.81), *others])[0]


def test_with_one_other_seed_comparable_settings_bound_the_difference(at):
    mae = {"name": "MAE", "parameters": {}}
    records = [at(50.0), *seeds(at(50.0), 51.0), *seeds(at(50.0), 80.0, 86.0, loss=mae)]
    stands, verdict = audit.judge(at(50.0), at(55.9), records)
    assert stands
    assert verdict.startswith("no interval: recorded 50.00, here 55.90")
    assert verdict.endswith("1 other seeds, comparable seeds differ by up to 6.00")
    stands, verdict = audit.judge(at(50.0), at(56.1), records)
    assert not stands
    assert verdict.startswith("no interval, TOO FAR")


def test_other_noise_or_another_network_is_not_comparable(at):
    mae = {"name": "MAE", "parameters": {}}
    records = [at(50.0), *seeds(at(50.0), 80.0, 86.0, loss=mae)]
    for changed in ({"noise": noisy("clean")}, {"model": "cnn4"}, {"subset": None}):
        others = [{**r, "config": {**r["config"], **changed}} for r in records[1:]]
        stands, verdict = audit.judge(at(50.0), at(90.0), [records[0], *others])
        assert stands
        assert verdict.endswith("0 other seeds, nothing comparable to judge by")


def test_divergence_is_compared_and_never_averaged(at):
    others = [*seeds(at(50.0), *OTHERS), diverged(seeds(at(50.0), 1, 2, 3, 4)[3])]
    assert audit.judge(diverged(at(10.0)), diverged(at(11.0)), others) == (True, "both diverged")
    for was, now in ((at(50.0), diverged(at(50.0))), (diverged(at(50.0)), at(50.0))):
        stands, verdict = audit.judge(was, now, others)
        assert not stands
        assert verdict.startswith("ONE DIVERGED")
    assert "3 other seeds" in audit.judge(at(50.0), at(50.5), others)[1]


def test_the_committed_records_are_sound_and_some_are_affordable():
    records = [read(path) for path in sorted(audit.COMMITTED.glob("*/*.json"))]
    assert all(audit.judge(r, r, records) == (True, "bit-identical") for r in records)
    assert audit.affordable(records, audit.MINUTES)
