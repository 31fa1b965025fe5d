"""What a power cut, an impatient user or a full disk do to a sweep: nothing that the next sweep
would not make good, to the bit."""

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.runs.ledger import Ledger
from labelnoise.runs.sweep import SweepError, train_missing
from labelnoise.training.methods import train

pytestmark = [
    pytest.mark.usefixtures("workers_start_quickly"),
    pytest.mark.skipif(os.name != "posix", reason="kills process groups"),
]

EPOCHS = 400  # seconds: time for three kills


def run(*, epochs: int = 2, **changes: object) -> Run:
    setting = {"noise": noisy("symmetric", 0.6), "loss": {"name": "CE"}, "model": "mlp"}
    setting = {**setting, "subset": 300, "probe": ("gradient",), **changes}
    return Run("digits", **setting, protocol={**MNIST_PROTOCOL, "epochs": epochs})


LONG = run(epochs=EPOCHS, seed=7)

SWEEP = """
    import json, resource, signal, sys
    from pathlib import Path
    from labelnoise.experiments import Run
    from labelnoise.runs.ledger import Ledger
    from labelnoise.runs.sweep import train_missing
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs started with & ignore Ctrl-C
    if limit := int(sys.argv[3]):  # no file may grow beyond it: a full disk, as the kernel does it
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    runs = [Run(**config) for config in json.loads(sys.argv[2])]
    train_missing(runs, Ledger(Path(sys.argv[1])), workers=len(runs))
"""


def start_sweep(here: Ledger, *runs: Run, limit: int = 0) -> subprocess.Popen:
    """A sweep in a process group of its own."""
    arguments = [str(here.directory), json.dumps([of.config for of in runs]), str(limit)]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SWEEP), *arguments],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def exact(record: dict) -> str:
    return json.dumps({part: record[part] for part in ("config", "result", "curves")})


def wait_until(true: Callable[[], object], what: str, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.005)


def living(group: int) -> list[int]:
    """The processes of a group, without those that are dead and not yet collected."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True)
        rows = [line.split() for line in listed.stdout.decode().splitlines()]
        return [int(p) for p, g, state in rows if int(g) == group and state[0] != "Z"]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, pgid = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            if int(pgid) == group and state not in "ZX":
                found.append(int(entry.name))
    return found


def checkpoint(here: Ledger, of: Run) -> Path:
    return here.directory / ".checkpoints" / f"{of.key}.pt"


def epochs_done(here: Ledger, of: Run) -> int:
    path = checkpoint(here, of)
    if not path.exists():
        return 0
    return torch.load(io.BytesIO(path.read_bytes()[32:]), weights_only=True)["epoch"]


def test_a_sweep_killed_again_and_again_completes_to_the_bit(here):
    """SIGKILL of the sweep alone (its workers must notice), SIGKILL of everything at once, Ctrl-C:
    each keeps what was done, and the last sweep equals a training that nobody disturbed."""

    def kill_the_sweep(group: int) -> None:
        os.kill(group, signal.SIGKILL)

    def kill_everything(group: int) -> None:
        os.killpg(group, signal.SIGKILL)

    def interrupt(group: int) -> None:
        os.killpg(group, signal.SIGINT)

    done = 0
    for kill in (kill_the_sweep, kill_everything, interrupt):
        process = start_sweep(here, LONG)
        try:
            before = done
            wait_until(lambda b=before: epochs_done(here, LONG) > b, "an epoch more")
            kill(process.pid)
            assert process.wait(600) != 0
            at_death = epochs_done(here, LONG)
            wait_until(lambda p=process: not living(p.pid), "orphans to leave")
        finally:
            if living(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
            said = process.communicate()[1]
        assert "ForkServerProcess" not in said, "workers say nothing of an interrupt"
        assert not here.path(LONG).exists()
        assert list(here.records()) == []
        done = epochs_done(here, LONG)
        assert before < done < EPOCHS, "what was done is kept"
        assert done <= at_death + 2, "an orphan leaves after its epoch"
    assert train_missing([LONG], here) == 1
    assert exact(here.find(LONG)) == exact(train(LONG, device="cpu"))
    assert not checkpoint(here, LONG).exists()


NURSERY = """
    import json, multiprocessing, os, sys
    from pathlib import Path
    import sklearn.datasets, torch, torch._dynamo
    from labelnoise.experiments import Run
    from labelnoise.runs.ledger import Ledger
    from labelnoise.runs.sweep import train_missing
    context = multiprocessing.get_context
    multiprocessing.get_context = lambda method: context("fork")
    runs = [Run(**config) for config in json.loads(sys.argv[1])]
    for ledger in sys.stdin:
        if not (pid := os.fork()):
            os.setpgid(0, 0)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            train_missing(runs, Ledger(Path(ledger.strip())), workers=2)
            os._exit(0)
        try:
            os.setpgid(pid, pid)  # whoever comes first
        except OSError:
            pass
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""A process that has imported everything forks a sweep, in a group of its own, for each ledger that
it is told: seconds less than to start one, and the same sweep but for the start of its workers."""


def test_thirty_kills_at_random_moments_change_no_bit_and_leave_nothing_behind(tmp_path):
    """SIGKILL of the sweep and all its workers at once. A sweep that comes to its end between the
    kills is checked, and the next kills hit a fresh one."""
    runs = [run(epochs=15, seed=seed, loss={"name": loss}) for seed in range(4)
            for loss in ("CE", "MAE")]  # fmt: skip
    undisturbed = Ledger(tmp_path / "undisturbed")
    assert train_missing(runs, undisturbed, workers=2) == len(runs)
    moments, kills, number, hurt = random.Random(4), 0, 0, set()
    here = Ledger(tmp_path / "0")
    nursery = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(NURSERY), json.dumps([of.config for of in runs])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def written(ending: str) -> set[tuple[Path, int]]:
        """The files with that ending, as last written; a checkpoint may go while we look."""
        found = set()
        for path in here.directory.rglob(f"*{ending}"):
            with contextlib.suppress(FileNotFoundError):
                found.add((path, path.stat().st_mtime_ns))
        return found

    def sweep_it(after: str | None) -> int:
        """The exit status of a sweep that is killed at a random moment after it wrote a file with
        that ending ("": after it began), or is left alone."""
        before = written(after) if after else set()
        nursery.stdin.write(f"{here.directory}\n")
        nursery.stdin.flush()
        group = int(nursery.stdout.readline())
        if after is not None:
            wait_until(
                lambda: not after or written(after) - before or not living(group), "its work"
            )
            time.sleep(moments.uniform(0, 0.1 if after else 0.4))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        status = int(nursery.stdout.readline())
        wait_until(lambda: not living(group), "the killed to be gone")
        return status

    def check_it() -> None:
        for of in runs:
            assert exact(here.find(of)) == exact(undisturbed.find(of))
        left = {
            str(p.relative_to(here.directory)) for p in here.directory.rglob("*") if p.is_file()
        }
        assert left == {f"digits/{of.key}.json" for of in runs}, "none missing, twice or in part"

    with nursery:
        while kills < 30:
            status = sweep_it(("", ".pt", ".json")[kills % 3])
            assert status in (0, -signal.SIGKILL)
            if status == 0:
                check_it()
                number += 1
                here = Ledger(tmp_path / str(number))
            else:
                kills += 1
                hurt |= {p.suffix for p in here.directory.rglob("*") if p.is_file()}
        assert sweep_it(None) == 0
        check_it()
        nursery.stdin.close()
    assert {".pt", ".lock", ".json"} <= hurt, "the kills came in the midst of it"


def test_a_disk_that_fills_up_under_a_sweep_loses_nothing(here):
    """The checkpoint (0.1 MB and more) does not fit, the record (2 kB) would."""
    of = run()
    with start_sweep(here, of, limit=50_000) as process:
        said = process.communicate(timeout=600)[1]
    assert process.returncode == 1
    assert "SweepError: 1 of 1 runs failed" in said
    assert of.key in said
    assert "File too large" in said
    assert list(here.records()) == []
    assert list(checkpoint(here, of).parent.iterdir()) == [], "the disk is no fuller than before"
    assert train_missing([of], here) == 1
    assert exact(here.find(of)) == exact(train(of, device="cpu"))


@pytest.mark.parametrize("threads", [0, 100_000])
def test_threads_that_no_system_starts_are_refused(threads):
    with pytest.raises(ValueError, match=rf"threads={threads} must lie in 1\.\.1024"):
        train(run(), device="cpu", threads=threads)


def test_a_checkpoint_that_did_not_fit_leaves_nothing_on_the_full_disk(tmp_path, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        train(run(), device="cpu", checkpoint=tmp_path / "run.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_record_half_written_is_never_taken_as_done(here):
    """What a file system may leave after a power cut: a record cut at any length."""
    of = run()
    train_missing([of], here)
    whole = here.path(of).read_bytes()
    for length in (0, 1, len(whole) // 3, len(whole) - 3):
        here.path(of).write_bytes(whole[:length])
        assert train_missing([of], here) == 1
        assert exact(here.find(of)) == exact(json.loads(whole))


def test_two_sweeps_at_once_do_not_disturb_each_other(here):
    runs, failures = [run(epochs=20, seed=seed) for seed in range(2)], []

    def sweep_it() -> None:
        try:
            train_missing(runs, here, workers=2)
        except Exception as error:
            failures.append(error)

    both = [threading.Thread(target=sweep_it) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert failures == []
    for of in runs:
        assert exact(here.find(of)) == exact(train(of, device="cpu"))


def test_a_directory_in_the_way_is_an_error_that_names_the_run(here):
    checkpoint(here, run()).mkdir(parents=True)
    with pytest.raises(SweepError, match=rf"{run().key}\): IsADirectoryError"):
        train_missing([run()], here)
    assert list(here.records()) == []


HURT = """
    import json, os, resource, signal, struct, sys
    from pathlib import Path
    import torch
    from labelnoise import models
    from labelnoise.runs import sweep, workers
    from labelnoise.experiments import Run
    from labelnoise.runs.ledger import Ledger

    build, fates = models.build, json.loads(sys.argv[3])

    def hurt(name, shape, num_classes, seed):  # runs of some seeds meet a fate, the others do not
        what = fates.get(str(seed))
        if what == "allocator":
            torch.empty(2**40, dtype=torch.float64)  # more than any machine has
        if what == "limit":
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**20,) * 2)
            bytearray(2**28)
        if what == "killer":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "word":  # dies while it speaks
            os.write(pipe[0], struct.pack("!i", 1000) + b"half a message")
            os.kill(os.getpid(), signal.SIGKILL)
        return build(name, shape, num_classes, seed)

    models.build, pipe = hurt, []  # in each worker, too: it imports this file

    def work(run, checkpoint, sender, lock, sound=workers.work):
        pipe.append(sender.fileno())
        sound(run, checkpoint, sender, lock)

    workers.work = work
    if __name__ == "__main__":
        runs = [Run(**config) for config in json.loads(sys.argv[2])]
        print(sweep.train_missing(runs, Ledger(Path(sys.argv[1])), workers=2))
"""


FATES = {
    "allocator": r"RuntimeError: .*can't allocate memory",
    "limit": "MemoryError",
    "killer": r"its process died \(exit code -9\): .*memory ran out",
    "word": r"its process died \(exit code -9\): .*memory ran out",
}


def test_runs_that_run_out_of_memory_are_named_and_the_others_finish(here, tmp_path):
    """In one sweep, before, between and after the others, so that each has to go on alone."""
    fates = dict(zip((1, 2, 4, 5), FATES, strict=True))
    if not Path("/proc/self/statm").exists():
        del fates[2]
    runs = [run(seed=seed) for seed in range(7)]
    script = tmp_path / "hurt.py"
    script.write_text(textwrap.dedent(HURT))
    configs = json.dumps([of.config for of in runs])
    command = [sys.executable, str(script), str(here.directory), configs, json.dumps(fates)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert f"SweepError: {len(fates)} of 7 runs failed; the others are recorded" in done.stderr
    for seed, what in fates.items():
        assert re.search(rf"CE, seed {seed} \({runs[seed].key}\): {FATES[what]}", done.stderr)
    assert {of.seed for of in runs if here.find(of) is None} == set(fates)
    assert list((here.directory / ".checkpoints").iterdir()) == []
    assert train_missing(runs, here) == len(fates)
    for seed in fates:
        assert exact(here.find(runs[seed])) == exact(train(runs[seed], device="cpu"))


READ_ONLY = """
    import json, sys
    from pathlib import Path
    from labelnoise.experiments import Run
    from labelnoise.runs.ledger import Ledger
    from labelnoise.runs.sweep import SweepError, train_missing
    done, new = [Run(**config) for config in json.loads(sys.argv[2])]
    here = Ledger(Path(sys.argv[1]))
    print(train_missing([done], here), here.find(done)["result"]["last"])
    try:
        train_missing([done, new], here)
    except SweepError as error:
        print(error)
"""


@pytest.mark.parametrize("checkpoints", [True, False])
def test_a_read_only_ledger_is_an_error_before_training_and_is_still_read(checkpoints, here):
    """Permissions do not bind root, unless it gives up the right to pass them over."""
    bound = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    if bound and shutil.which("setpriv") is None:
        pytest.skip("root may write all, and setpriv is not there")
    done, new = run(), run(seed=1)
    train_missing([done], here)
    if not checkpoints:
        (here.directory / ".checkpoints").rmdir()
    folders = [here.directory, *(path for path in here.directory.rglob("*") if path.is_dir())]
    before = sorted(here.directory.rglob("*"))
    configs = json.dumps([done.config, new.config])
    command = [sys.executable, "-c", textwrap.dedent(READ_ONLY), str(here.directory), configs]
    for folder in folders:
        folder.chmod(0o555)
    try:
        said = subprocess.run([*bound, *command], capture_output=True, text=True, timeout=600)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert said.returncode == 0, said.stderr
    first, _, error = said.stdout.partition("\n")
    assert first == f"0 {here.find(done)['result']['last']}"
    assert f"cannot write to {here.directory}: " in error
    assert "Permission denied" in error
    assert "choose a place that is writable and has space" in error
    assert sorted(here.directory.rglob("*")) == before
