"""What a sweep says while it trains: a bar with an ETA where somebody watches, lines elsewhere."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from labelnoise.config import Run


class Progress:
    """A bar over epochs with an ETA where somebody watches, a line per run where nobody does."""

    def __init__(self, runs: Sequence[Run]):
        self.done: dict[str, int] = {}
        self.watched = sys.stderr.isatty()
        self.waits = False
        total = sum(run.epochs for run in runs)
        self.bar = tqdm(total=total, unit="epoch", disable=not self.watched, smoothing=0.05)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def update(self, run: Run, epoch: int) -> None:
        self.bar.update(epoch - self.done.get(run.key, 0))
        self.done[run.key] = epoch

    def finish(self, run: Run, record: dict) -> None:
        """The record is stored."""
        self.complete(run)
        if (epoch := record["result"]["diverged_at"]) is not None:
            self.say(f"diverged at epoch {epoch}: {describe(run)}")
        elif not self.watched:
            self.say(f"trained {describe(run)}")

    def elsewhere(self, run: Run) -> None:
        """Another sweep stored the record."""
        self.complete(run)
        if not self.watched:
            self.say(f"another sweep trained {describe(run)}")

    def complete(self, run: Run) -> None:
        """No epoch of the run is to come: it is done, diverged, or was trained elsewhere."""
        self.bar.update(run.epochs - self.done.get(run.key, 0))
        self.done[run.key] = run.epochs

    def wait_for(self, runs: Sequence[Run], checkpoints: Path) -> None:
        if not self.waits:
            self.say(f"waiting for {len(runs)} runs that another sweep is training: it holds their "
                     f"locks in {checkpoints}")  # fmt: skip
        self.waits = True

    def say(self, line: str) -> None:
        tqdm.write(line)
        sys.stdout.flush()


def interrupted(error: BaseException, again: str) -> int:
    """Two lines for whoever pressed Ctrl-C, and the exit code. Any other error is raised again; one
    that an interrupt became on its way, in a notebook's client, say, counts as an interrupt."""
    cause = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__context__
    if cause is None:
        raise error
    print("\ninterrupted: what was finished is recorded, a training loses an epoch at most",
          again, sep="\n", file=sys.stderr)  # fmt: skip
    return 130


def describe(run: Run) -> str:
    return f"{run.dataset}, {run.model}, {run.label}, seed {run.seed}"
