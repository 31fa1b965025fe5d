"""Peak memory of a sweep with one worker and with two, as the kernel counts it.

Two counts. The proportional set size (PSS) divides a page by the processes that share it, so the
sum over a sweep (itself, the server that forks its workers, the workers) is what the sweep takes of
the machine; a thread looks every 50 ms. The resident set (RSS) of a worker is all that it touches,
shared or not; the kernel keeps its peak.
"""

import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from labelnoise.config import Run
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import train_missing
from side_by_side import CNN, epochs, main, say

LOOK_AGAIN = 0.05  # seconds; a look takes some milliseconds of the kernel's time
EPOCHS = 2  # the second finds the heap as the first has left it


def measure(run: Run = CNN, rounds: int = 3) -> dict | None:
    """Number of workers -> gigabytes, a value a round; None where the kernel does not say (PSS is
    Linux's)."""
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    measured = {"1": [], "2": []}
    for i in range(rounds):
        for workers in measured:
            say(f"round {i + 1} of {rounds}: workers {workers}")
            measured[workers].append(peak(run, int(workers)))
    return measured


def peak(run: Run, workers: int) -> dict[str, float]:
    """Gigabytes at the worst moment of a sweep of one run a worker: ``pss`` of all processes
    together, the part of it that no file backs (``anonymous``), ``rss`` of a worker."""
    over, most = threading.Event(), {"pss": 0, "anonymous": 0, "rss": 0}

    def watch() -> None:
        while not over.is_set():
            for worker in [of for server in children("self") for of in children(server)]:
                most["rss"] = max(most["rss"], kibibytes(worker, "status").get("VmHWM", 0))
            look = [kibibytes(pid, "smaps_rollup") for pid in ("self", *family("self"))]
            pss, anonymous = (
                sum(found.get(count, 0) for found in look) for count in ("Pss", "Pss_Anon")
            )
            if pss > most["pss"]:
                most.update(pss=pss, anonymous=anonymous)
            time.sleep(LOOK_AGAIN)

    with tempfile.TemporaryDirectory() as ledger:
        runs = [epochs(run, EPOCHS, seed=seed) for seed in range(workers)]
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            train_missing(runs, Ledger(ledger), workers=workers)
        finally:
            over.set()
            watcher.join()
    return {name: round(size * 1024 / 1e9, 4) for name, size in most.items()}


def family(pid: str) -> Iterator[str]:
    """The processes that descend from ``pid``."""
    for child in children(pid):
        yield child
        yield from family(child)


def children(pid: str) -> list[str]:
    found = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it is gone
            found += listing.read_text().split()
    return found


def kibibytes(pid: str, listing: str) -> dict[str, int]:
    """Name -> number of what ``/proc/<pid>/<listing>`` counts (its kB are 1024
    bytes); nothing of who is gone."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/{listing}").read_text()
        return {k: int(v) for k, v in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
    return {}


if __name__ == "__main__":
    main(measure)
