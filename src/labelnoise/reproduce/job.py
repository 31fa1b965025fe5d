"""The main job: train the profile's runs, execute every notebook, write the report.

    python -m labelnoise.reproduce --profile headline

Each step can be killed at any moment: runs are recorded whole or not at all, and a notebook with
its figures and tables counts once all of it is there. The next call keeps what is finished and
makes the rest; of what is finished it makes again what rests on something that changed
(``steps.py``).
"""

import argparse
import functools
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import nbformat
import papermill
import torch
from papermill.exceptions import PapermillExecutionError

from labelnoise import data, experiments
from labelnoise.experiments import Run, profile_runs
from labelnoise.files import COMMITTED, REPRODUCED, ROOT, sha256, write_atomically
from labelnoise.reproduce import report
from labelnoise.reproduce.steps import Step, environment, one_at_a_time
from labelnoise.runs.ledger import Ledger, RecordError
from labelnoise.runs.progress import interrupted
from labelnoise.runs.sweep import EXECUTORS, SweepError, missing, train_missing
from labelnoise.runs.workers import at_least_one, default_limit
from labelnoise.training.machine import PACKAGE, precision

NOTEBOOKS = ROOT / "notebooks"
LOCK = ROOT / "requirements.lock"


def reproduce(
    profile: str, executor: str = "local", workers: int | None = None, force: bool = False
) -> Path:
    """Runs everything for ``profile``, its training on ``executor``, ``workers`` runs at a time,
    and returns the path of the report. With ``force``, notebooks and report are made again even if
    nothing changed; runs that are recorded never are."""
    if profile == "auto":
        profile = "gpu" if torch.cuda.is_available() else "headline"
    runs = profile_runs(profile)
    here = Ledger(REPRODUCED / "results")
    announce(profile, runs, here, executor, workers)
    trained = train_missing(runs, here, executor=executor, workers=workers)
    print(f"training: {trained} runs trained now, {len(runs) - trained} were already recorded")
    with one_at_a_time(REPRODUCED):
        for source in notebooks():
            make_notebook(source, REPRODUCED, {"profile": profile}, force)
        return make_report(profile, REPRODUCED, force)


def make_notebook(source: Path, directory: Path, parameters: dict, force: bool = False) -> None:
    """``notebooks/<name>`` below ``directory``, and its figures and tables, if that is due."""
    cells = [[cell.cell_type, cell.source] for cell in nbformat.read(source, as_version=4).cells]
    inputs = {"the notebook": cells, "its parameters": parameters, **surroundings()}
    step = Step(source.stem, directory, inputs)
    if step.is_due(force):
        with step.making() as folder:
            execute(source, folder / "notebooks" / source.name, parameters)


def make_report(profile: str, directory: Path, force: bool = False) -> Path:
    """The report below ``directory``, if that is due; returns its path."""
    pictures = {name: sha256(path) for name, path in report.pictures(directory).items()}
    step = Step("report", directory, {"profile": profile, "figures": pictures, **surroundings()})
    if step.is_due(force):
        with step.making() as folder:
            report.write(profile, folder, directory)
    return directory / report.NAME


@functools.cache
def surroundings() -> dict[str, object]:
    """What every step depends on, as it is when this process first asks."""
    package = {str(p.relative_to(PACKAGE)): sha256(p) for p in sorted(PACKAGE.rglob("*.py"))}
    return {
        "the package": package,
        LOCK.name: sha256(LOCK),
        "Python or torch": [platform.python_version(), torch.__version__],
        "precision": precision(device()),
    }


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def announce(
    profile: str,
    runs: Sequence[Run],
    here: Ledger,
    executor: str = "local",
    workers: int | None = None,
) -> None:
    """Says what is about to happen, before it does. What a cluster is made of, its executor says
    once it is connected, which is before it trains."""
    todo = missing(runs, here)
    if executor == "local":
        side_by_side = min(workers or default_limit(), len(todo)) or 1
        where = f"{device().type}, {precision(device())}, {side_by_side} side by side"
        where = f"this machine ({where})"
        time = expected_time(todo, device(), side_by_side)
    else:
        where = f"a cluster (executor {executor})"
        time = expected_time(todo, torch.device("cpu"), 1)
        time = f"{time}, one core alone; the nodes share it" if todo else time
    free = shutil.disk_usage(ROOT).free / 1e9
    print(
        f"profile {profile}: {len(runs)} runs to train on {where}, {len(runs) - len(todo)} of them "
        "already recorded here; everything else is replayed from results/"
    )
    print(
        f"expected time: {time}, then some minutes for the notebooks, if anything changed; disk: "
        f"under 100 MB for the results, {free:.0f} GB free",
        flush=True,
    )


def expected_time(todo: Sequence[Run], device: torch.device, side_by_side: int) -> str:
    """From the committed records' own wall times: the median of each data set and network, per
    epoch. What no record can tell is counted."""
    if not todo:
        return "nothing to train"
    per_epoch: dict[tuple[str, str], list[float]] = {}
    for record in Ledger(COMMITTED).records():
        config, made = record["config"], record["provenance"]
        whole = record["result"]["diverged_at"] is None
        if whole and made["threads"] == 1 and made["precision"] == precision(device):
            rate = made["seconds"] / Run(**config).epochs
            per_epoch.setdefault((config["dataset"], config["model"]), []).append(rate)
    known = [r for r in todo if (r.dataset, r.model) in per_epoch]
    if not known:
        return "unknown (no committed record of such runs)"
    seconds = sum(r.epochs * median(per_epoch[r.dataset, r.model]) for r in known)
    if device.type == "cpu":
        minutes = max(1, round(seconds / side_by_side / 60))
        text = f"about {minutes} minutes on a CPU like that of the committed records"
    else:
        text = (f"not known on a {device.type} device; a core of the CPU of the committed records "
                f"would need {seconds / 3600:.1f} hours")  # fmt: skip
    unknown = len(todo) - len(known)
    return text + (f", and {unknown} runs of networks that no record has" if unknown else "")


def notebooks() -> list[Path]:
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def execute(source: Path, target: Path, parameters: dict) -> None:
    """Executes a notebook into ``target``, cell by cell.

    papermill would only warn about an unknown parameter and run the default, so it is refused.
    Raises ``ValueError`` for that, ``PapermillExecutionError`` if a cell fails.
    """
    known = papermill.inspect_notebook(str(source))
    if unknown := set(parameters) - set(known):
        raise ValueError(
            f"notebook {source.name} has no parameter {sorted(unknown)}; it has {sorted(known)}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    papermill.execute_notebook(
        str(source),
        str(target),
        parameters=parameters,
        cwd=str(NOTEBOOKS),
        kernel_name="python3",
        progress_bar=sys.stderr.isatty(),
        log_output=False,
        extra_arguments=["--log-level=CRITICAL"],  # else every kernel warns about its transport
    )


def publish() -> None:
    """For maintainers: executes the notebooks on ``results/`` alone and commits nothing: it
    refreshes ``notebooks/``, ``figures/``, ``tables/`` and the README's table in the working
    tree."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        with environment(LABELNOISE_OUT=folder):
            for source in notebooks():
                print(source.stem, flush=True)
                execute(source, fresh / "notebooks" / source.name, {})
        for executed in sorted((fresh / "notebooks").glob("*.ipynb")):
            write_atomically(NOTEBOOKS / executed.name, stripped(executed))
        for kind in ("figures", "tables"):
            shutil.rmtree(ROOT / kind, ignore_errors=True)
            shutil.copytree(fresh / kind, ROOT / kind)
    report.update_readme(ROOT / "README.md")


def stripped(path: Path) -> str:
    """The notebook without what depends on the machine or the moment: durations, paths, ids."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i:02d}"
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        for out in cell.get("outputs", []):
            out.pop("metadata", None)
            if out.output_type in ("display_data", "execute_result"):
                out.metadata = {}
    return nbformat.writes(notebook) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="labelnoise.reproduce.job", description=__doc__)
    parser.add_argument("--profile", default="auto",
                        help=f"auto or one of {', '.join(experiments.PROFILES)}")  # fmt: skip
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="where runs train")
    parser.add_argument(
        "--workers", type=at_least_one, help="runs at a time (default: one a core, one on a GPU)"
    )
    parser.add_argument(
        "--force", action="store_true", help="make again what did not change (but for runs), too"
    )
    parser.add_argument("--publish", action="store_true", help="refresh the committed notebooks")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.publish:
            publish()
        else:
            made = reproduce(chosen.profile, chosen.executor, chosen.workers, chosen.force)
            print(f"report: {made}")
    except (ValueError, data.DataError, RecordError, SweepError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except PapermillExecutionError as error:
        print(f"error: a notebook failed; nothing of it was kept.\n{error}", file=sys.stderr)
        return 1
    except BaseException as error:  # Ctrl-C, or what papermill made of it
        return interrupted(error, "`make reproduce` again goes on from there")
    return 0
