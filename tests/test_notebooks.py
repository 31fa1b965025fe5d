"""The committed notebooks: readable, parameterised, and held to their records by nbval."""

import ast
import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError

from labelnoise import experiments
from labelnoise.config import Run
from labelnoise.experiments import profile_runs
from labelnoise.files import ROOT
from labelnoise.reproduce import report
from labelnoise.reproduce.job import execute
from labelnoise.reproduce.steps import environment
from labelnoise.runs.sweep import sweep

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = ["00_start_here", "01_label_noise", "02_gradients", "03_mnist_symmetric",
         "04_robustness_theory", "05_benchmark", "06_model_the_noise", "07_dmi",
         "08_confident_learning", "09_human_noise", "10_claims"]  # fmt: skip


def test_the_notebooks_of_the_tutorial_are_there():
    assert [path.stem for path in NOTEBOOKS] == NAMES


def pictures(cell) -> int:
    return sum("image/png" in output.get("data", ()) for output in cell.outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebook_is_executed_readable_and_clean(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    text = [cell for cell in book.cells if cell.cell_type == "markdown"]
    assert [c for c in code if "parameters" in c.metadata.get("tags", [])] == [code[0]]
    assert not any("injected-parameters" in c.metadata.get("tags", []) for c in code)
    assert book.metadata.kernelspec.name == "python3"
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [cell.source for cell in code if pictures(cell) > 1], "a figure is shown twice"
    outputs = [out for cell in code for out in cell.outputs]
    assert outputs, "no outputs: nobody can read it as a tutorial"
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert max(len(cell.source.splitlines()) for cell in code) <= 15
    assert len(text) >= 0.6 * len(code)
    assert "@@" not in path.read_text()
    assert str(ROOT) not in path.read_text()


def asked(path) -> list[Run]:
    """What a notebook asks of ``experiments``, with its parameters as they are committed."""
    code = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    parameters = {"experiments": experiments}
    exec(code[0], parameters)
    calls = [node for source in code for node in ast.walk(ast.parse(source))
             if isinstance(node, ast.Call) and ast.unparse(node).startswith("experiments.")
             and not any(word in ast.unparse(node) for word in ("GRIDS", "chosen"))]  # fmt: skip
    results = [eval(ast.unparse(call), parameters) for call in calls]
    return [run for result in results if isinstance(result, list) for run in result]


def test_profile_paper_trains_every_run_that_a_notebook_asks_for():
    paper = {run.key for run in profile_runs("paper")}
    by_notebook = {path.stem: asked(path) for path in NOTEBOOKS}
    for runs in by_notebook.values():
        assert {run.key for run in runs} <= paper
    assert {run.dataset for run in by_notebook["08_confident_learning"]} == {
        "mnist", "fashion_mnist", "letter", "fashion_mnist_h"
    }  # fmt: skip


def test_readme_shows_the_headline_table_of_the_records():
    committed = sweep(experiments.first_page(), "replay")
    assert report.headline_markdown(committed) in (ROOT / "README.md").read_text()


# notebook -> another choice of one of its parameters than the committed one
OTHERWISE = {
    "00_start_here": {"beside": "AUL"},
    "01_label_noise": {"rate": 0.8},
    "02_gradients": {"first": {"name": "MAE"}, "rate": 0.4},
    "03_mnist_symmetric": {"network": "mlp"},
    "04_robustness_theory": {"follow": "AGCE"},
    "05_benchmark": {"loss": "AUL", "cell": "objects, linear"},
    "06_model_the_noise": {"answer": "GCE"},
    "07_dmi": {"loss": "GCE"},
    "08_confident_learning": {"detector": "CLL"},
    "09_human_noise": {"labels": "worse_label"},
    "10_claims": {"source": "CLL", "beside": "CE"},
}


def names(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The names that a statement reads, and those that it gives a value, or a part of one."""
    inner = {id(name) for part in ast.walk(statement) if isinstance(part, ast.comprehension)
             for name in ast.walk(part.target)}  # fmt: skip
    read, given = set(), set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and id(node) not in inner:
            (read if isinstance(node.ctx, ast.Load) else given).add(node.id)
        elif isinstance(node, ast.alias):
            given.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            given.add(node.name)
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            given |= {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
    return read, given


def reached(cells: list[str], choice: set[str]) -> set[int]:
    """The numbers of the code cells that read what follows from a choice, and of those that give a
    name that one of these reads. The others do again what nbval has them do."""
    wanted, giver, needs = {0}, {}, []
    for number, source in enumerate(cells):
        needs.append(set())
        for statement in ast.parse(source).body if number else ():
            read, given = names(statement)
            needs[number] |= {giver[name] for name in read if name in giver}
            if read & choice:
                wanted.add(number)
            choice = choice | given if read & choice else choice - given
            giver |= dict.fromkeys(given, number)
    for number in reversed(range(len(cells))):
        wanted |= needs[number] if number in wanted else set()
    return wanted


def only_reached(path, choice: set[str]) -> nbformat.NotebookNode:
    """A notebook with no more code cells than those that a choice of its parameters reaches."""
    book = nbformat.read(path, as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    kept = reached([cell.source for cell in code], choice)
    book.cells = [cell for number, cell in enumerate(code) if number in kept]
    return book


def test_the_cells_that_a_choice_reaches_are_found():
    cells = ["a, b = 1, 2", "import x\nn = 3", "c = a + n", "d = {}", "d[0] = c", "e = x.f(n)",
             "print(d)", "c = e", "print(c)"]  # fmt: skip
    assert reached(cells, {"a"}) == {0, 1, 2, 3, 4, 6}
    assert reached(cells, {"b"}) == {0}


def printed(path) -> list[str]:
    """What the code cells of an executed notebook print, without the cell of the parameters."""
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    outputs = [out for cell in code[1:] for out in cell.outputs if out.get("name") != "stderr"]
    return [str(out.get("text") or out.get("data", {}).get("text/plain")) for out in outputs]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_with_another_choice(name, tmp_path):
    """The cells that the choice reaches: nbval runs all of them with the committed one."""
    source, made = tmp_path / f"{name}.ipynb", tmp_path / "made.ipynb"
    nbformat.write(only_reached(ROOT / "notebooks" / source.name, {*OTHERWISE[name]}), source)
    # What its cells show is drawn; the files of figures are left to nbval, which runs them all.
    with environment(LABELNOISE_OUT=str(tmp_path), LABELNOISE_PICTURES=""):
        execute(source, made, OTHERWISE[name])
    assert printed(made) != printed(source), "the other choice changed nothing"


def test_a_choice_that_nobody_recorded_is_refused_with_the_command_that_trains_it(tmp_path):
    source = ROOT / "notebooks" / "00_start_here.ipynb"
    with pytest.raises(PapermillExecutionError, match=r"recorded are 'none', 'GCE'.* cnn_losses"):
        execute(source, tmp_path / "made.ipynb", {"beside": "CEE"})


def nbval(path, out) -> subprocess.CompletedProcess:
    options = ["--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", path.parent, path]
    environment = {**os.environ, "LABELNOISE_OUT": str(out)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_nbval_catches_one_altered_number(tmp_path):
    """And nothing else: the cells with the other numbers pass."""
    source = json.loads((ROOT / "notebooks" / "10_claims.ipynb").read_text())
    altered = tmp_path / "altered.ipynb"
    changed = []
    for number, cell in enumerate(c for c in source["cells"] if c["cell_type"] == "code"):
        for output in cell["outputs"]:
            for form, lines in output.get("data", {}).items():
                joined = "".join(lines)
                if "96.81" in joined:
                    output["data"][form] = joined.replace("96.81", "96.82")
                    changed.append(number)
    assert changed, "the notebook prints no number to alter"
    altered.write_text(json.dumps(source))
    caught = nbval(altered, tmp_path / "out")
    assert caught.returncode == 1
    assert "96.82" in caught.stdout
    failed = re.findall(r"^FAILED .*::Cell (\d+)", caught.stdout, re.MULTILINE)
    assert sorted(map(int, failed)) == sorted(set(changed))
