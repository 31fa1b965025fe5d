"""How fast training, sweeps and tables are: all measurements, one after another, and the report.

Every file of `MEASUREMENTS` measures in a process of its own, with nothing left over from the one
before, and says what it means. Times are of two cores, also where there are more; take them on a
machine that has nothing else to do.

    python benchmarks/engine.py [--write]    # engine.json and README.md beside this
    python benchmarks/engine.py --only features [--write]    # one, beside the others of engine.json
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import torch

import readme
from labelnoise.data.torchvision_shim import import_torchvision
from labelnoise.runs.workers import KEEP_MEMORY
from labelnoise.training.machine import commit, device_name, precision

HERE = Path(__file__).parent
MEASUREMENTS = ("epoch", "sweeps", "memory", "ledger", "features", "gpu")
CORES = 2
CPU = torch.device("cpu")


def machine() -> dict:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": device_name(CPU),
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 1e9, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": import_torchvision().__version__,
        "precision": precision(CPU),
        "commit": commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def use_two_cores() -> None:
    """This process and all that it starts, so that a ratio means the same on a larger machine."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def measured(name: str) -> object:
    """What ``<name>.py`` measures."""
    with mock.patch.dict(os.environ):
        if name in ("epoch", "features"):  # they stand for a worker of a sweep
            os.environ.update(KEEP_MEMORY)
        if name != "gpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        script = [sys.executable, HERE / f"{name}.py"]
        return json.loads(subprocess.run(script, stdout=subprocess.PIPE, check=True).stdout)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write engine.json and README.md")
    parser.add_argument("--only", choices=MEASUREMENTS, help="measure this one alone")
    asked = parser.parse_args(arguments)
    use_two_cores()
    began = time.perf_counter()
    here, results = {**machine(), "load_before": round(os.getloadavg()[0], 2)}, {"machine": {}}
    if asked.only:
        results = json.loads((HERE / "engine.json").read_text(encoding="utf-8"))
    for name in [asked.only] if asked.only else MEASUREMENTS:
        print(f"{name} ({(time.perf_counter() - began) / 60:.0f} minutes so far)", flush=True)
        results[name] = measured(name)
    here["load_after"] = round(os.getloadavg()[0], 2)
    here["minutes"] = round((time.perf_counter() - began) / 60)
    if asked.only:
        results.setdefault("alone", {})[asked.only] = here
    else:
        results["machine"] = here
    print(readme.compose(results))
    if asked.write:
        text = json.dumps(results, indent=1, allow_nan=False) + "\n"
        (HERE / "engine.json").write_text(text, encoding="utf-8")
        readme.write(HERE)


if __name__ == "__main__":
    main()
