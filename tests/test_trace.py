"""Every number says where it is from and is computed again from there; mistakes are caught."""

import copy
import json
import os
import shutil
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import factory
from labelnoise import data, experiments
from labelnoise.analysis import stats, tables, trace
from labelnoise.analysis.claims import cll
from labelnoise.analysis.recompute import Records, Trace, TraceError, evaluate
from labelnoise.data import DataError
from labelnoise.figures import save as save_figure
from labelnoise.files import ROOT
from labelnoise.runs.ledger import Ledger, seal
from labelnoise.runs.sweep import Outcome, SweepError, sweep
from labelnoise.tracing import origin, traced
from labelnoise.tracing.origin import OriginError, Value, quoted, remembered
from labelnoise.tracing.sidecar import has_number
from labelnoise.training import methods

pytestmark = pytest.mark.usefixtures("no_figure_is_left_open")

TABLES = sorted(path.stem for path in (ROOT / "tables").glob("*.csv"))
FIGURES = sorted(path.stem for path in (ROOT / "figures").glob("*.png"))


@pytest.fixture(scope="module")
def records() -> Records:
    """One reader for all traces, which reads each record once."""
    return Records()


# -------------------------------------------------------------------------- the committed traces


@pytest.mark.parametrize("name", TABLES)
def test_every_numeric_cell_is_computed_again_from_its_trace(name, records):
    traced_table = Trace(f"tables/{name}", records=records)
    evidence = [part["evidence"] for part in origin.parts(traced_table.content)
                if "evidence" in part]  # fmt: skip
    for dataset in {key.partition("/")[0] for key in evidence}:
        data.load(dataset)  # a trace fetches nothing
    assert traced_table.mismatches() == []
    for row, column, cell in traced_table.cells():
        if has_number(cell["text"]):
            assert traced_table.recompute(row, column) == cell["text"], (row, column)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_names_its_records_and_what_drew_it(name, records):
    drawn = Trace(f"figures/{name}", records=records)
    assert drawn.made["by"] in drawn.functions
    for ledger, record in trace.leaves(drawn.made):
        assert records.path(ledger, record).exists()


def vouched(told: object) -> bool:
    """Whether an expression has a leaf that is more than numbers and texts."""
    leaves = {"record", "records", "evidence", "loss", "run", "array"}
    return any(leaves & set(part) for part in origin.parts(told))


QUOTED = {("00_headline", "paper"), ("03_headline", "paper"), ("10_claims", "claim"),
          ("10_claims", "made in"), ("10_claims", "test"), ("10_claims", "rule")}  # fmt: skip
ALGEBRA = {
    "analysis.tables.model_the_noise.convention_table",
    "analysis.tables.model_the_noise.learnt_table",
    "analysis.tables.dmi.permutation_table", "analysis.tables.dmi.processed_table",
    "analysis.tables.dmi.rare_class_table", "analysis.tables.dmi.slope_table",
    "analysis.claims.cll.peaks", "analysis.claims.cll.within",
    "analysis.claims.dmi.falls", "analysis.claims.thirty_percent.algebra",
}  # fmt: skip
"""What computes numbers of no record, loss or array, from the formulas of the theory alone."""
OF_LABELS = {
    f"analysis.tables.human_mistakes.{name}_table"
    for name in ("sets", "confusions", "agreement", "spread")
}
"""What counts the labels that people gave, which are a data set with a checksum."""


@pytest.mark.parametrize("name", TABLES)
def test_no_cell_vouches_for_itself(name):
    told = Trace(f"tables/{name}")
    for row, column, cell in told.cells():
        if not has_number(cell["text"]):
            continue
        (made,) = told.tells(row, [column])
        if "quoted" in made:
            assert (name, column) in QUOTED, (row, column)
        else:
            assert vouched(made) or made["by"] in ALGEBRA | OF_LABELS, (row, column)
    assert not vouched({"by": "analysis.tables.number", "of": [49.5]})


def test_traces_belong_to_a_notebook_are_a_tenth_of_the_records_and_name_no_machine():
    paths = [*(ROOT / "tables").glob("*.json"), *(ROOT / "figures").glob("*.json")]
    assert {path.stem for path in paths} == {*TABLES, *FIGURES}
    text = "".join(path.read_text() for path in paths)
    records = sum(path.stat().st_size for path in (ROOT / "results").glob("*/*.json"))
    assert len(text) < records / 10
    assert str(ROOT) not in text
    for path in paths:
        assert (ROOT / "notebooks" / json.loads(path.read_text())["notebook"]).exists()


# ------------------------------------------------------------------------------- planted mistakes


@pytest.fixture
def copied(tmp_path):
    """A copy of one committed table with its trace, to spoil."""
    (tmp_path / "tables").mkdir()
    for ending in ("csv", "json"):
        shutil.copy(ROOT / "tables" / f"03_headline.{ending}", tmp_path / "tables")
    return tmp_path / "tables" / "03_headline.json"


@pytest.fixture
def printed() -> str:
    """What the committed table says of CE's last epoch."""
    return Trace("03_headline").cell("CE", "last epoch")["text"]


def altered(text: str) -> str:
    """The same mean a hundredth higher."""
    mean, _, rest = text.partition(" ")
    return f"{float(mean) + 0.01:.2f} {rest}"


def spoil(path, old: str, new: str):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def answer(capsys, *arguments) -> tuple[int, str, str]:
    code = trace.main([str(each) for each in arguments])
    return code, *capsys.readouterr()


def ask(capsys, copied, *more) -> tuple[int, str, str]:
    """What is said of the copy."""
    return answer(capsys, "--out", copied.parents[1], "--name", "03_headline", *more)


def test_an_altered_table_is_caught(copied, printed, capsys):
    spoil(copied.with_suffix(".csv"), printed, altered(printed))
    code, _, error = ask(capsys, copied)
    assert code == 1
    assert "row 'CE', column 'last epoch'" in error
    assert altered(printed) in error
    assert "make publish" in error


def test_a_number_altered_in_table_and_trace_alike_is_caught(copied, printed, capsys):
    now = altered(printed)
    spoil(copied.with_suffix(".csv"), printed, now)
    spoil(copied, f'"{printed}"', f'"{now}"')
    code, out, error = ask(capsys, copied, "--row", "CE")
    assert code == 1
    assert f"last epoch: {now}    [recomputed: {printed!r}, NOT EQUAL]" in out
    assert f"column 'last epoch': recomputed: {printed!r}, NOT EQUAL" in error


def test_a_trace_of_another_record_is_caught(copied, printed):
    keys = json.loads(copied.read_text())["columns"]["last epoch"]
    first, other = (keys[row]["from"]["of"][0]["records"][0] for row in ("CE", "MAE"))
    spoil(copied, first, other)  # in the first column that has it: last epoch
    assert Trace("03_headline", copied.parents[1]).recompute("CE", "last epoch") != printed


def test_a_record_that_is_gone_or_edited_is_named(copied, printed, tmp_path):
    spoilt = Trace("03_headline", copied.parents[1], Records(tmp_path))
    with pytest.raises(TraceError, match=r"is not there.*restore it with git"):
        spoilt.recompute("CE", "last epoch")
    keys = spoilt.cell("CE", "last epoch")["from"]["of"][0]["records"]
    shutil.copytree(ROOT / "results/mnist", tmp_path / "results/mnist")
    assert spoilt.recompute("CE", "last epoch") == printed
    path = tmp_path / "results" / f"{keys[0]}.json"
    last = json.loads(path.read_text())["result"]["last"]
    spoil(path, f'"last": {last}', f'"last": {last + 1}')
    again = Trace("03_headline", copied.parents[1], Records(tmp_path))
    with pytest.raises(TraceError, match="damaged or was edited"):
        again.recompute("CE", "last epoch")


def test_a_function_that_is_gone_is_named(copied):
    spoil(copied, '"by": "analysis.tables.spread"', '"by": "analysis.tables.scatter"')
    with pytest.raises(TraceError, match=r"analysis.tables.scatter .*make publish"):
        Trace("03_headline", copied.parents[1]).recompute("CE", "last epoch")


def test_a_missing_trace_is_named(copied):
    copied.rename(copied.with_name("00_headline.json"))
    with pytest.raises(TraceError, match=r"03_headline has no trace .*make publish"):
        Trace("03_headline", copied.parents[1])


def remade(path, **parts):
    """The trace with other content."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))


def with_cell(path, cell: object):
    """The trace with another cell of CE's last epoch."""
    columns = json.loads(path.read_text())["columns"]
    columns["last epoch"]["CE"] = cell
    remade(path, columns=columns)


WHOLE = ["[]", "null", "{}", '{"notebook": null, "functions": {}, "made": null}', "[" * 100_000,
         '{"notebook": "03_mnist_']  # fmt: skip
PARTS = [
    {"levels": None}, {"levels": [1]}, {"levels": ["1", "1"]}, {"rows": None}, {"columns": []},
    {"rows": ["CE"]}, {"functions": None}, {"notebook": 3}, {"made": "a call"},
]  # fmt: skip
CELLS = [
    {}, "49.95", {"text": 3}, {"text": "3", "from": "a book"}, {"text": "3", "from": 3},
    {"text": "3", "from": "table"}, {"text": "3", "from": {"by": "analysis.tables.number"}},
    {"text": "3", "from": {"by": "+", "of": [3]}}, {"text": "3", "from": {"record": "mnist/a"}},
    {"text": "3", "from": {"records": "mnist/a", "ledger": "results"}},
    {"text": "3", "from": {"record": "mnist/a", "ledger": "results", "field": 3}},
]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "content"),
    [
        *((lambda path, text: path.write_text(text), each) for each in WHOLE),
        *((lambda path, parts: remade(path, **parts), each) for each in PARTS),
        *((with_cell, each) for each in CELLS),
    ],
)
def test_a_damaged_trace_is_named(damage, content, copied, capsys):
    damage(copied, content)
    code, _, error = ask(capsys, copied)
    assert code == 1
    assert "03_headline.json is damaged" in error
    assert "make publish" in error


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"", b"loss,paper\nCE\n", b'"', b"loss,paper\nCE,1,2,3\n"]
)
def test_a_damaged_table_is_named(content, copied, capsys):
    copied.with_suffix(".csv").write_bytes(content)
    code, _, error = ask(capsys, copied, "--row", "CE")
    assert code == 1
    assert "03_headline.csv" in error
    assert "make publish" in error


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ({}, "nothing tells where"),
        ({"from": {"run": {"dataset": "none"}}}, "not recomputed: "),
    ],
)
def test_an_origin_that_is_missing_or_cannot_be_computed_is_an_error(
    cell, why, printed, copied, capsys
):
    with_cell(copied, {"text": printed, **cell})
    code, _, error = ask(capsys, copied, "--row", "CE")
    assert code == 1
    assert f"row 'CE', column 'last epoch': {why}" in error


# -------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", ""], "NAME=03_headline"),
        (["--name", "03_hedline"], "like it: 03_headline"),
        (["--name", "03_headline", "--row", "XY"], "row 'XY' of 03_headline is not there; rows"),
        (["--name", "06_answers", "--row", "forward"], "ambiguous; rows: Forward(true T); "),
        (["--name", "03_headline", "--column", "last"], "columns: paper; last epoch"),
        (["--name", "03_memorisation", "--row", "CE"], "without rows"),
        (["--name", "00_headline", "--out", "nowhere"], "nowhere has no traces"),
        (["--again", "results/mnist/0.json"], "is no record"),
        (["--again", "results/MANIFEST.sha256"], "is no record"),
        (["--again", "results/../tables/03_headline.json"], "is no record"),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_what_is_known(arguments, words, capsys):
    code, _, error = answer(capsys, *arguments)
    assert code == 1
    assert words in error


# ---------------------------------------------------------------------------------- make trace


def test_a_row_is_told_with_its_records_and_the_command_that_trains_them(printed, capsys):
    code, out, error = answer(capsys, "--name", "03_headline", "--row", "ce")
    assert (code, error) == (0, "")
    assert f"last epoch: {printed}    [recomputed: equal]" in out
    assert "tables.spread(result.last)" in out
    outcome = next(o for o in sweep(experiments.headline(), "replay") if o.run.label == "CE")
    line = next(line for line in out.splitlines() if outcome.run.key in line)
    made = outcome.record["provenance"]
    for known in (f"{outcome.last}", made["commit"][:7], made["device"], str(outcome.run.seed)):
        assert known in line
    assert f"labelnoise.analysis.trace --again results/mnist/{outcome.run.key}.json" in out


def test_a_row_of_that_name_in_other_case_is_preferred_to_those_that_begin_so(copied):
    content = json.loads(copied.read_text())
    for cells in content["columns"].values():
        cells["CE, longer"] = cells["CE"]
    remade(copied, rows=[*content["rows"], "CE, longer"], columns=content["columns"])
    assert Trace("03_headline", copied.parents[1]).row("ce") == "CE"


@pytest.mark.parametrize(
    ("commit", "shown"),
    [(None, "no commit"), ("a" * 40 + "+changes", "aaaaaaa+changes")],
)
def test_a_record_is_told_with_the_commit_that_there_was(commit, shown):
    assert trace.commit({"commit": commit}) == shown


def test_nothing_is_fetched_to_explain_a_number(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("LABELNOISE_DATA", str(tmp_path))
    monkeypatch.setattr("labelnoise.data.sources.obtain", None)
    code, out, error = answer(capsys, "--name", "08_failures", "--row", "CE")
    assert (code, error) == (0, "")
    assert "[not recomputed: it needs mnist (make data DATA=mnist)]" in out


def test_of_a_curve_the_list_is_told_and_not_every_epoch(capsys):
    out = answer(capsys, "--name", "03_learning_curves")[1]
    header = next(line for line in out.splitlines() if line.split()[:1] == ["record"])
    assert header.split() == ["record", "run", "seed", "curves.test_accuracy", "commit", "device"]
    assert "50 values" in out
    assert trace.whole(["result.T[0]", "result.last"]) == ["result.T[0]", "result.last"]


def test_it_answers_without_the_environment(printed):
    """A fresh clone has no numpy, pandas or torch yet."""
    command = [sys.executable, "-S", "-m", "labelnoise.analysis.trace", "--name", "03_headline"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert f"{printed}    [not recomputed here: run `make env` first]" in done.stdout
    assert "results/mnist/" in done.stdout


def test_a_record_is_trained_again_and_compared(tmp_path, monkeypatch, capsys):
    made = methods.train(factory.quick(), device="cpu")
    path = Ledger(tmp_path / "results").write(made)
    monkeypatch.setattr(trace, "ROOT", tmp_path)
    code, out, _ = answer(capsys, "--again", "results/" + str(path.relative_to(path.parents[1])))
    assert code == 0
    assert out.endswith("seed 0: bit-identical\n")
    made["result"]["last"] += 1
    path.write_text(json.dumps(seal(made)))
    code, out, _ = answer(capsys, "--again", path)
    assert code == 1
    assert "not bit-identical: last epoch" in out


# --------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("failure", [SweepError("no space"), DataError("no data"), OSError("no")])
def test_what_keeps_a_record_from_being_trained_again_is_said(failure, monkeypatch, capsys):
    def fail(*_):
        raise failure

    monkeypatch.setattr("labelnoise.runs.sweep.train_missing", fail)
    path = sorted((ROOT / "results/mnist").glob("*.json"))[0]
    code, _, error = answer(capsys, "--again", ROOT / "tables/.." / path.relative_to(ROOT))
    assert code == 1
    assert f"cannot be trained again: {failure}" in error
    monkeypatch.undo()
    monkeypatch.setenv("LABELNOISE_PRECISION", "float8")
    code, _, error = answer(capsys, "--again", path)
    assert code == 1
    assert "LABELNOISE_PRECISION=float8 is none of" in error


@pytest.fixture
def outcome() -> Outcome:
    given = {"n": 4, "none": None, "sure": True}
    return factory.outcome(experiments.headline([0])[0], 49.5, curves={"a": [1.0, 2.5]}, **given)


def test_a_number_of_a_record_is_a_plain_number_that_knows_its_place(outcome):
    last, n = outcome.last, outcome.record["result"]["n"]
    assert (last, n) == (49.5, 4)
    assert last.origin == {"record": f"mnist/{outcome.run.key}", "ledger": "results",
                           "field": "result.last"}  # fmt: skip
    assert outcome.record["curves"]["a"][-1].origin["field"] == "curves.a[-1]"
    assert [a.origin["field"] for a in outcome.record["curves"]["a"]] == [
        "curves.a[0]", "curves.a[1]"
    ]  # fmt: skip
    assert outcome.record["result"]["none"] is None
    assert outcome.record["result"]["sure"] is True
    assert json.loads(json.dumps(outcome.record)) == outcome.record
    assert type(np.array(outcome.record["curves"]["a"])[0]) is np.float64
    assert copy.deepcopy(outcome).last.origin == last.origin


def test_arithmetic_is_remembered_and_repeats_to_the_last_bit(outcome, tmp_path):
    path = tmp_path / "results" / "mnist" / f"{outcome.run.key}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(seal({
        **outcome.record, "config": outcome.run.config, "provenance": {}
    })))  # fmt: skip
    a, n = outcome.last, outcome.record["result"]["n"]
    made = (100 - a) / n * 0.1 + a - 3
    assert isinstance(made, Value)
    assert made == (100 - 49.5) / 4 * 0.1 + 49.5 - 3
    again = evaluate(made.origin, Records(tmp_path))
    assert again == made
    assert type(again) is float


def test_a_record_that_is_handed_on_is_from_its_new_place(outcome):
    assert outcome.last.origin["ledger"] == "results"
    assert Outcome(outcome.run, outcome.record, "here").last.origin["ledger"] == (
        "reproduced/results"
    )


def test_changes_to_a_record_stay(outcome):
    outcome.record["result"]["last"] = 3.0
    outcome.record["curves"]["a"][0] = 7.0
    assert outcome.last == 3.0
    assert list(outcome.record["curves"]["a"]) == [7.0, 2.5]


def test_whole_records_tell_which_fields_were_read(outcome):
    @traced
    def table(outcomes) -> pd.DataFrame:
        return pd.DataFrame({"last": [o.record["result"]["last"] for o in outcomes]})

    told = origin.expression(table([outcome]))
    assert told["reads"] == ["result.last"]
    assert list(trace.leaves(told).values()) == [["result.last"]]


# ----------------------------------------------------------------------------------------- saving


def test_a_number_without_an_origin_is_refused(tmp_path, monkeypatch, outcome):
    monkeypatch.setenv("LABELNOISE_OUT", str(tmp_path))
    table = pd.DataFrame({"x": [tables.number(outcome.last), f"{outcome.last:.1f}"]},
                         index=["a", "b"], dtype=object)  # fmt: skip
    with pytest.raises(OriginError, match=r"table t, row 'b', column 'x': .*'49.5'"):
        tables.save(table, "t")
    assert not list(tmp_path.rglob("*.*"))
    with pytest.raises(OriginError, match="several rows called"):
        tables.save(table.set_axis(["a", "a"]), "t")
    with pytest.raises(OriginError, match="figure f: nothing tells what drew it"):
        save_figure(plt.figure(), "f")


def test_what_is_computed_with_a_table_has_not_the_origin_of_its_numbers(
    tmp_path, monkeypatch, outcome
):
    monkeypatch.setenv("LABELNOISE_OUT", str(tmp_path))
    table = tables.as_numbers(pd.DataFrame({"x": [outcome.last]}, index=["a"], dtype=object))
    tables.save(table, "t")
    with pytest.raises(OriginError, match=r"row 'a', column 'x': .*'49.8'"):
        tables.save(table + 0.3, "t")


def test_a_bare_number_does_not_vouch_for_itself(outcome):
    assert tables.number(outcome.last).origin is not None
    for cell in (tables.number(49.5), tables.spread([outcome.last, 49.5]), tables.signed(1.0)):
        assert getattr(cell, "origin", None) is None
    gain = {"GCE": [outcome.last - 3], "MAE": [49.5]}
    assert getattr(cll.one_by_one(gain, ""), "origin", None) is None
    assert cll.shares([outcome.last], [outcome.last]).origin is not None
    assert getattr(cll.shares([outcome.last], [49.5]), "origin", None) is None
    assert stats.mean([49.5, outcome.last]) == 49.5
    assert not hasattr(stats.mean([49.5, outcome.last]), "origin")


def test_what_has_no_form_is_refused():
    with pytest.raises(OriginError, match="a object has no form as JSON"):
        origin.expression([object()])
    with pytest.raises(OriginError, match="the keys"):
        origin.expression({3: 1})


def test_the_same_table_gives_the_same_trace(tmp_path, monkeypatch, outcome):
    written = []
    for folder in ("a", "b"):
        monkeypatch.setenv("LABELNOISE_OUT", str(tmp_path / folder))
        cells = {"n": tables.count([outcome]), "said": quoted("1 of 2", "a book"),
                 "signed": tables.signed(outcome.last - 3), "none": tables.MISSING}  # fmt: skip
        table = pd.DataFrame([cells], index=["x, y"], dtype=object)
        tables.save(table, "03_test")
        written.append((tmp_path / folder / "tables" / "03_test.json").read_text())
    assert written[0] == written[1]
    content = json.loads(written[0])
    assert content["notebook"] == "03_mnist_symmetric.ipynb"
    assert content["columns"]["none"]["x, y"] == {"text": "–"}
    assert content["columns"]["n"]["x, y"]["text"] == "1"
    assert content["columns"]["said"]["x, y"]["from"]["quoted"] == "a book"


def test_a_diverged_run_is_counted_again(tmp_path):
    values = [remembered(50.0, {"record": "mnist/a", "ledger": "results", "field": "x"}), None]
    cell = tables.spread(values)
    assert cell == "50.00 (1 diverged)"
    assert cell.origin["of"] == [[values[0].origin, None]]
