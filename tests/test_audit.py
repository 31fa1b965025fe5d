"""An audit finds the records that do not stand, and leaves alone those that do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audit_cases import changed, consistent, list_all, plus, put, run
from labelnoise.files import COMMITTED
from labelnoise.reproduce import audit, evidence, judgement, soundness
from labelnoise.reproduce.judgement import FALLS, STANDS, UNJUDGED, Verdict
from labelnoise.runs import manifest
from labelnoise.runs.ledger import Ledger
from labelnoise.training.methods import train

pytestmark = pytest.mark.usefixtures("workers_start_quickly")


@pytest.fixture(scope="module")
def trained() -> list[dict]:
    return [train(run(seed), device="cpu") for seed in range(20)]


@pytest.fixture
def committed(tmp_path, trained) -> Path:
    folder = tmp_path / "results"
    for record in trained[:2]:
        put(folder, record)
    list_all(folder)
    return folder


@pytest.fixture
def call(tmp_path, committed, monkeypatch) -> Callable[..., int]:
    monkeypatch.setattr(audit, "COMMITTED", committed)
    monkeypatch.setattr(audit, "REPRODUCED", tmp_path / "reproduced")
    return lambda *arguments: audit.main(list(arguments))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------ the whole command


def test_records_that_stand_are_bit_identical_and_results_stay_untouched(
    call, committed, capsys, monkeypatch, tmp_path
):
    before = contents(committed)
    assert call("--n", "7", "--seed", "3") == 0, "more than there are: all of them"
    said = capsys.readouterr().out
    assert "2 records checked without training: 0 have fallen" in said
    assert said.index("2 to train, about ") < said.index("trained digits"), "said before it begins"
    assert said.count(": bit-identical") == 2
    assert said.endswith("2 of 2 records stand\n")
    assert contents(committed) == before
    assert len(list(Ledger(tmp_path / "reproduced/audit/3").records())) == 2

    monkeypatch.setattr("labelnoise.runs.sweep.run_side_by_side", None)  # nothing is left to train
    assert call("--n", "7", "--seed", "3") == 0
    assert "0 to train, about 0.0 minutes" in capsys.readouterr().out


def test_a_record_that_is_not_sound_falls_even_where_another_is_drawn(call, committed, capsys):
    path = Ledger(committed).path(run(1))
    path.write_text("{")
    assert call("--n", "1") == 1
    said = capsys.readouterr().out
    assert f"DOES NOT STAND  digits/{path.name}: " in said
    assert said.endswith("1 of 2 records stand, 1 does not\n")


def test_a_forgery_that_only_a_retraining_can_find_is_found_by_it(call, committed, trained, capsys):
    curve = [trained[0]["curves"]["train_loss"][0] - 1e-6, *trained[0]["curves"]["train_loss"][1:]]
    put(committed, changed(trained[0], curves={"train_loss": curve}))
    list_all(committed)
    assert call("--n", "2") == 1
    said = capsys.readouterr().out
    assert "NOT EQUAL TO THE BIT" in said
    assert "curves.train_loss" in said


def test_nothing_but_unjudged_is_no_success(call, committed, trained, capsys):
    """Made elsewhere, with numbers that are not those of this machine, and no seeds to judge by."""
    for record in trained[:2]:
        curve = [value + 0.01 for value in record["curves"]["train_loss"]]
        elsewhere = {"processor": {**record["provenance"]["processor"], "model": "another"}}
        put(committed, changed(record, curves={"train_loss": curve}, provenance=elsewhere))
    list_all(committed)
    assert call("--n", "2") == 1
    assert capsys.readouterr().out.endswith("0 of 2 records stand, 2 unjudged\n")


def test_a_run_that_cannot_be_trained_again_does_not_stand(call, capsys, tmp_path):
    (tmp_path / "reproduced").write_text("no directory")
    assert call("--n", "1") == 1
    said = capsys.readouterr()
    assert "could not be retrained" in said.out
    assert "cannot write to" in said.err


def test_nothing_to_audit_and_no_manifest_are_errors(call, committed, capsys):
    assert call("--affordable", "-1") == 1  # tiny runs may take 0.0 seconds
    assert "nothing to audit: 5 of 0 affordable records" in capsys.readouterr().err
    assert call("--n", "0") == 1
    assert "nothing to audit: 0 of 2 affordable records" in capsys.readouterr().err
    (committed / manifest.NAME).unlink()
    assert call() == 1
    assert "MANIFEST.sha256 cannot be read" in capsys.readouterr().err


def test_the_last_line_counts_and_the_exit_code_follows():
    def end(*words: str) -> tuple[str, int]:
        return audit.summary([Verdict(word, "") for word in words])

    assert end(STANDS, STANDS) == ("2 of 2 records stand", 0)
    assert end(STANDS, UNJUDGED) == ("1 of 2 records stand, 1 unjudged", 0)
    assert end(UNJUDGED) == ("0 of 1 records stand, 1 unjudged", 1)
    line = "3 of 5 records stand, 1 does not, 1 unjudged"
    assert end(STANDS, STANDS, STANDS, FALLS, UNJUDGED) == (line, 1)


# ---------------------------------------------------------------------------------------- the draw


def test_a_cpu_affords_what_is_known_to_take_no_longer_than_the_limit(trained):
    for pace, affordable in ((360.0, True), (361.0, False), (float("nan"), False)):
        made = trained[:1]
        assert bool(audit.affordable(made, 12, lambda run, pace=pace: pace)) == affordable
        assert audit.affordable(made, None, lambda run, pace=pace: pace) == made, (
            "a GPU affords all"
        )
    records = list(Ledger(COMMITTED).records())
    assert audit.affordable(records, audit.MINUTES, evidence.paces(records))


def test_a_record_is_drawn_whatever_time_or_device_it_claims(call, committed, trained, capsys):
    """As are all that are like it, by their pace."""
    claims = {"seconds": 1e6, "device": "NVIDIA H200"}
    put(committed, changed(trained[1], provenance=claims))
    put(committed, trained[2])
    list_all(committed)
    assert call("--n", "3", "--affordable", "20") == 0
    said = capsys.readouterr().out
    assert "3 of 3 eligible records" in said
    assert "0 sound ones are not eligible" in said


def test_a_seed_repeats_its_draw_in_any_order_and_others_draw_others(trained):
    first = audit.draw(trained, 5, seed=1)
    assert first == audit.draw(trained[::-1], 5, seed=1)
    assert len(first) == 5
    assert first != audit.draw(trained, 5, seed=2)
    drawn = {r["config"]["seed"] for s in range(40) for r in audit.draw(trained, 5, seed=s)}
    assert drawn == set(range(20)), "every record can be drawn"
    assert audit.draw(trained, 99, seed=1) == audit.draw(trained, 20, seed=1)


def test_what_a_record_claims_does_not_decide_whether_it_is_drawn(trained):
    forged = [changed(record, result={"last": 99.0}) for record in trained]
    keys = [[r["config"]["seed"] for r in audit.draw(of, 5, seed=1)] for of in (trained, forged)]
    assert keys[0] == keys[1]


def test_the_expected_minutes_are_shared_by_the_workers(monkeypatch):
    monkeypatch.setattr(audit, "default_limit", lambda: 2)
    assert audit.expected_minutes([60.0, 60.0, 60.0, 60.0]) == 2.0
    assert audit.expected_minutes([600.0, 60.0]) == 10.0, "no less than the longest"
    assert audit.expected_minutes([]) == 0.0


# ----------------------------------------------------------------------------------- 100 forgeries


def one_point(record: dict) -> dict:
    first, *others = record["curves"]["test_accuracy"]
    return consistent(changed(record, curves={"test_accuracy": [first - 1.0, *others]}))


def other_words(record: dict) -> dict:
    made = {"device": "Another CPU"}
    if "processor" in record["provenance"]:
        made["processor"] = {**record["provenance"]["processor"], "model": "another"}
    return changed(record, provenance=made)


FORGERIES = {
    "last": lambda r: changed(r, result={"last": r["result"]["last"] + 0.5}),
    "best": lambda r: changed(r, result={"best": r["result"]["best"] + 0.5}),
    "one point of a curve": one_point,
    "the words for the machine": other_words,
    "every number": lambda r: {**r, **plus({n: r[n] for n in ("result", "curves")}, 0.3)},
}
"""What a careful forger does to a record; ``put`` gives it fresh checksums of its own format."""


@pytest.mark.parametrize("manifest_too", [False, True], ids=["", "and the manifest"])
@pytest.mark.parametrize("what", FORGERIES)
def test_no_forged_record_stands(what, manifest_too, trained, tmp_path):
    """Twenty records, ten of each format, for each of five kinds. Their retraining on this machine
    is the honest record itself. Who rewrites the manifest, too, may change the words for the
    machine, and not a number."""
    trained = [changed(r, provenance={"device": "Some CPU"}) for r in trained]  # pinned to none
    honest = dict(zip([put(tmp_path, r, old=n % 2) for n, r in enumerate(trained)], trained,
                      strict=True))  # fmt: skip
    list_all(tmp_path)
    assert soundness.check(tmp_path).fallen == {}
    for n, record in enumerate(trained):
        old = bool(n % 2)
        dropped = {"processor"} if old else set()
        made = {k: v for k, v in record["provenance"].items() if k not in dropped}
        put(tmp_path, FORGERIES[what]({**record, "provenance": made}), old=old)
    if manifest_too:
        list_all(tmp_path)

    checked = soundness.check(tmp_path)
    committed = list(checked.sound.values())
    stand = [name for name, record in checked.sound.items()
             if judgement.judge(record, honest[name], committed).word == STANDS]  # fmt: skip
    if not manifest_too:
        assert len(checked.fallen) == 20
        assert stand == []
    elif what == "the words for the machine":
        assert len(stand) == 20
    else:
        assert stand == []
