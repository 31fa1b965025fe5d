"""Sixty deliberate mistakes, and the tests that must catch each: how sharp are the tests?

    python benchmarks/mistakes.py                      # all of them, two at a time
    python benchmarks/mistakes.py cdf-of-rows holm     # these
    python benchmarks/mistakes.py --tests test_rules   # those that this file must catch
    python benchmarks/mistakes.py --sound              # without a mistake every test passes

Each is planted in a copy of the repository; the tests that it names run there until the first
fails. A maintainer's tool, for whoever shortens tests: `make test` does not run it. The exit code
is 0 if every mistake was caught.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "src/labelnoise"


class Mistake(NamedTuple):
    """``old``, which stands once in ``file`` below the package, becomes ``new``; one of ``tests``,
    files of ``tests/``, has to fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MISTAKES = (
    # ------------------------------------------------------------------ the ground
    Mistake(
        "stream-without-its-epoch", "seeds.py",
        'f"{seed}/{purpose}/{epoch}"', 'f"{seed}/{purpose}"',
        ("test_seeds",),
    ),
    Mistake(
        "rate-in-percent", "checks.py",
        "not 0 <= rate <= 1", "not 0 <= rate <= 100",
        ("test_noise",),
    ),
    Mistake(
        "label-k-accepted", "checks.py",
        "y.max() >= num_classes", "y.max() > num_classes",
        ("test_noise",),
    ),
    Mistake(
        "no-fsync", "files.py",
        "            os.fsync(file.fileno())\n", "",
        ("test_ledger",),
    ),
    Mistake(
        "lock-not-taken", "files.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB",
        ("test_locks",),
    ),
    Mistake(
        "origin-of-a-difference-reversed", "tracing/origin.py",
        "(other, self) if reflected else (self, other)", "(self, other)",
        ("test_trace",),
    ),
    Mistake(
        "a-bare-number-vouches-for-others", "tracing/__init__.py",
        "if not all(map(known, [first, *lists])):", "if not known(first):",
        ("test_trace",),
    ),
    # ------------------------------------------------------------------ noise
    Mistake(
        "asymmetric-matrix-transposed", "noise/matrices.py",
        "T[true, noisy] = rate", "T[noisy, true] = rate",
        ("test_noise",),
    ),
    Mistake(
        "other-convention-of-symmetric-noise", "noise/matrices.py",
        "return (1 - rate) * np.eye(K) + rate / K\n",
        "return (1 - rate) * np.eye(K) + rate / (K - 1)\n",
        ("test_noise",),
    ),
    Mistake(
        "exact-flips-hit-the-first", "noise/corruption.py",
        'mine[np.argsort(raw[mine], kind="stable")]', "mine",
        ("test_noise",),
    ),
    Mistake(
        "cdf-of-rows", "noise/corruption.py",
        "cdf[np.arange(rows.shape[1]) >= last[:, None]] = 1.0", "cdf[:, -1] = 1.0",
        ("test_noise",),
    ),
    Mistake(
        "instance-rates-clipped", "noise/corruption.py",
        "q[outside] = rate + 0.1 * normal(bits, outside.sum())",
        "q[outside] = q[outside].clip(0, 1)",
        ("test_noise",),
    ),
    Mistake(
        "cleanlabs-convention", "noise/estimation.py",
        "return (counts / counts.sum(axis=0)).T", "return counts / counts.sum(axis=0)",
        ("test_estimate",),
    ),
    Mistake(
        "anchor-above-its-percentile", "noise/estimation.py",
        'method="lower"', 'method="higher"',
        ("test_estimate",),
    ),
    Mistake(
        "deviation-without-the-complement", "noise/transition.py",
        "np.sqrt(n * T * (1 - T))", "np.sqrt(n * T)",
        ("test_theory",),
    ),
    Mistake(
        "recall-of-all-labels", "noise/detection.py",
        '"recall": share(both, hits.sum())', '"recall": share(both, len(hits))',
        ("test_stages",),
    ),
    # ------------------------------------------------------------------ data and networks
    Mistake(
        "checksum-not-compared", "data/published.py",
        "if found != expected:", "if not found:",
        ("test_data",),
    ),
    Mistake(
        "download-without-checksum", "data/sources.py",
        "source.fetch(folder)\n                    verify(folder)", "source.fetch(folder)",
        ("test_data",),
    ),
    Mistake(
        "crop-with-swapped-axes", "data/augment.py",
        "y, x = y + top - PADDING, x + left - PADDING",
        "y, x = y + left - PADDING, x + top - PADDING",
        ("test_augment",),
    ),
    Mistake(
        "flip-off-by-one", "data/augment.py",
        "W - 1 - x, x)", "W - x, x)",
        ("test_augment",),
    ),
    Mistake(
        "vocabulary-of-the-test-sentences", "data/text.py",
        "vocabulary(separated),", "vocabulary([words(s) for s in sentences]),",
        ("test_text",),
    ),
    Mistake(
        "split-of-digits-not-by-class", "data/formats.py",
        "chosen = every(5, labels) ==", "chosen = (np.arange(len(labels)) % 5 == 4) ==",
        ("test_data",),
    ),
    Mistake(
        "initial-weights-of-another-law", "models.py",
        "nn.init.xavier_uniform_(layer.weight", "nn.init.kaiming_uniform_(layer.weight",
        ("test_models",),
    ),
    Mistake(
        "every-first-block-strides", "models.py",
        "2 if i == 0 and channels > 64 else 1", "2 if i == 0 else 1",
        ("test_models",),
    ),
    # ------------------------------------------------------------------ losses and theory
    Mistake(
        "agce-without-its-one", "losses/asymmetric.py",
        "torch.log1p(-miss / (self.a + 1))", "torch.log1p(-miss / self.a)",
        ("test_losses",),
    ),
    Mistake(
        "cll-without-its-two", "losses/correntropy.py",
        "return -torch.expm1(-square / (2 * self.sigma**2))",
        "return -torch.expm1(-square / self.sigma**2)",
        ("test_losses", "test_theory"),
    ),
    Mistake(
        "nce-over-the-mean", "losses/normalised.py",
        "/ log_p.sum(dim=1)", "/ log_p.mean(dim=1)",
        ("test_losses", "test_robustness"),
    ),
    Mistake(
        "backward-with-the-transpose", "losses/correction.py",
        "np.linalg.inv(self.T))", "np.linalg.inv(self.T).T.copy())",
        ("test_losses_correction",),
    ),
    Mistake(
        "forward-with-the-transpose", "losses/correction.py",
        "np.log(T.T).copy()", "np.log(T).copy()",
        ("test_losses_correction",),
    ),
    Mistake(
        "published-agce-of-another-data-set", "losses/asymmetric.py",
        '"mnist": setting(ALFS, a=4.0, q=0.2)', '"mnist": setting(ALFS, a=0.6, q=0.6)',
        ("test_losses",),
    ),
    Mistake(
        "closed-form-with-a-wrong-sign", "theory/formulas.py",
        "return exp(-p_y / a), -exp(-p_y / a) / a", "return exp(-p_y / a), exp(-p_y / a) / a",
        ("test_theory",),
    ),
    Mistake(
        "softmax-over-the-wrong-axis", "theory/gradients.py",
        "(p * g).sum(axis=-1, keepdims=True)", "(p * g).sum(axis=0, keepdims=True)",
        ("test_theory",),
    ),
    Mistake(
        "excess-risk-bound-off-by-one", "theory/robustness.py",
        "rate * spread / (K - 1 - rate * K)", "rate * spread / (K - rate * K)",
        ("test_robustness",),
    ),
    Mistake(
        "redrawn-rate-inverted", "theory/model_the_noise.py",
        "return wrong * N / (N - 1)", "return wrong * (N - 1) / N",
        ("test_theory_thirty_percent",),
    ),
    Mistake(
        "noisy-cost-under-the-transpose", "theory/dmi.py",
        "-(T[true] * log_p)", "-(T.T[true] * log_p)",
        ("test_information",),
    ),
    # ------------------------------------------------------------------ config and training
    Mistake(
        "key-of-unsorted-json", "config/run.py",
        "json.dumps(config, sort_keys=True", "json.dumps(config, sort_keys=False",
        ("test_experiments",),
    ),
    Mistake(
        "another-weight-decay", "config/protocols.py",
        '"weight_decay": 1e-3,', '"weight_decay": 1e-4,',
        ("test_experiments",),
    ),
    Mistake(
        "order-of-every-epoch-alike", "training/loop.py",
        'generator(recipe.seed, "order", state.epoch)', 'generator(recipe.seed, "order")',
        ("test_train",),
    ),
    Mistake(
        "held-out-samples-are-trained-on", "training/task.py",
        "order[held_out:].sort().values", "order.sort().values",
        ("test_train",),
    ),
    Mistake(
        "resume-ignores-the-identity", "training/loop.py",
        'if saved["identity"] != identity:', 'if not saved["identity"]:',
        ("test_train",),
    ),
    Mistake(
        "best-for-last", "training/loop.py",
        '"last": test[-1] if finished', '"last": test[best] if finished',
        ("test_train",),
    ),
    Mistake(
        "changes-counted-where-nothing-changed", "training/loop.py",
        "(before != now) & (before >= 0)", "(before == now) & (before >= 0)",
        ("test_train",),
    ),
    Mistake(
        "gradient-of-the-mean", "training/loop.py",
        "logits.grad.norm(dim=1) * len(index)", "logits.grad.norm(dim=1)",
        ("test_train",),
    ),
    Mistake(
        "a-fold-is-judged-by-a-network-that-saw-it", "training/stages.py",
        "(fold != k).nonzero()", "(fold >= 0).nonzero()",
        ("test_stages",),
    ),
    # ------------------------------------------------------------------ records and runs
    Mistake(
        "another-result-overwrites-nothing-and-says-nothing", "runs/ledger.py",
        "if digest(read(path)) != digest(record):", "if not digest(record):",
        ("test_ledger",),
    ),
    Mistake(
        "manifest-takes-a-changed-file", "runs/manifest.py",
        "if listed.get(name, now) != now:", "if not now:",
        ("test_manifest",),
    ),
    # ------------------------------------------------------------------ statistics, rules, tables
    Mistake(
        "deviation-of-the-population", "analysis/stats.py",
        "sd = float(x.std(ddof=1))", "sd = float(x.std())",
        ("test_stats",),
    ),
    Mistake(
        "interval-of-the-mean-for-one-more-seed", "analysis/stats.py",
        "math.sqrt(1 + 1 / len(x))", "math.sqrt(1 / len(x))",
        ("test_stats",),
    ),
    Mistake(
        "holm", "analysis/contrasts.py",
        "least = max(least, min(1.0, (len(p_values) - k) * p_values[name]))",
        "least = min(1.0, (len(p_values) - k) * p_values[name])",
        ("test_rules",),
    ),
    Mistake(
        "verdict-flipped", "analysis/contrasts.py",
        "ABOVE if mean > 0 else BELOW", "BELOW if mean > 0 else ABOVE",
        ("test_rules",),
    ),
    Mistake(
        "ordering-by-the-mean-alone", "analysis/rules/claims.py",
        "if gain.low is not None and gain.low > 0:", "if gain.mean > 0:",
        ("test_claims",),
    ),
    Mistake(
        "interval-over-no-resampling", "analysis/rules/benchmark.py",
        "product(sets, repeat=len(sets))", "product(sets, repeat=1)",
        ("test_rules",),
    ),
    Mistake(
        "table-prints-the-best-epoch", "analysis/tables/__init__.py",
        "last = [o.last for o in sound]", 'last = [o.record["result"]["best"] for o in sound]',
        ("test_tables_and_figures",),
    ),
    # ------------------------------------------------------------------ figures
    Mistake(
        "figure-draws-another-field", "figures/mnist_symmetric.py",
        'ax, group, "test_accuracy", color', 'ax, group, "fit_true", color',
        ("test_tables_and_figures",),
    ),
    Mistake(
        "memorised-and-corrected-swapped", "figures/mnist_symmetric.py",
        '(("fit_wrong", "memorised', '(("fit_true", "memorised',
        ("test_tables_and_figures",),
    ),
    Mistake(
        "heat-map-transposed", "figures/label_noise.py",
        "image = heat(ax, 100 * T, top=100 * top)", "image = heat(ax, 100 * T.T, top=100 * top)",
        ("test_figures_theory",),
    ),
    Mistake(
        "recall-drawn-as-precision", "figures/confident_learning.py",
        "right.plot(recall, precision, lw=2, **line)",
        "right.plot(precision, recall, lw=2, **line)",
        ("test_figures_detection",),
    ),
    # ------------------------------------------------------------------ cleaning and reproducing
    Mistake(
        "own-data-judged-in-sample", "cleaning/folds.py",
        "_safe_indexing(X, seen), given[seen]", "X, given",
        ("test_folds",),
    ),
    Mistake(
        "a-record-vouches-for-itself", "reproduce/judgement.py",
        'if comparable and other["config"] != record["config"]:', "if comparable:",
        ("test_judgement",),
    ),
    Mistake(
        "an-audit-with-fallen-records-succeeds", "reproduce/audit.py",
        "0 if stand and not fallen else 1", "0 if stand else 1",
        ("test_audit",),
    ),
)  # fmt: skip


def copy(folder: Path) -> None:
    """The files that git has or would add, and git's own, which stays as it is."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".git").symlink_to(ROOT / ".git")


def plant(mistake: Mistake, folder: Path) -> str | None:
    """Changes the copy, or says why it cannot."""
    path = folder / PACKAGE / mistake.file
    if not path.is_file():
        return f"{mistake.file} is not there"
    text = path.read_text()
    if (count := text.count(mistake.old)) != 1:
        return f"{mistake.old!r} stands {count} times in {mistake.file}"
    changed = text.replace(mistake.old, mistake.new)
    compile(changed, mistake.file, "exec")
    path.write_text(changed)
    return None


def tested(tests: Sequence[str], folder: Path) -> subprocess.CompletedProcess:
    """The tests, in the copy, until the first that fails."""
    files = [f"tests/{name}.py" for name in tests]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files]
    data = os.environ.get("LABELNOISE_DATA", "data")
    places = ":".join(str((ROOT / place).resolve()) for place in data.split(":"))
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "LABELNOISE_DATA": places,
                   "PYTHONDONTWRITEBYTECODE": "1", "GIT_OPTIONAL_LOCKS": "0"}  # fmt: skip
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def first_failure(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0].partition(" ")[2] if lines else "no test by name"


def judged(mistake: Mistake) -> tuple[bool, str]:
    """Whether it was caught, and a line that says by what."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mistake-") as name:
        folder = Path(name)
        copy(folder)
        if why := plant(mistake, folder):
            return False, f"NOT PLANTED  {mistake.name}: {why}: give it another text"
        done = tested(mistake.tests, folder)
    seconds = f"({time.monotonic() - began:.0f} s)"
    if done.returncode == 0:
        return False, f"NOT CAUGHT   {mistake.name}: {', '.join(mistake.tests)} {seconds}"
    if done.returncode in (1, 2):  # 2: it cannot even be imported
        return True, f"caught       {mistake.name}: {first_failure(done.stdout)} {seconds}"
    return False, f"NOT RUN      {mistake.name}: {done.stdout[-500:]}{done.stderr[-500:]}"


def sound(tests: Sequence[str]) -> tuple[bool, str]:
    """Whether the tests pass in a copy without a mistake."""
    with tempfile.TemporaryDirectory(prefix="mistake-") as folder:
        copy(Path(folder))
        done = tested(tests, Path(folder))
    if done.returncode == 0:
        return True, f"sound        {', '.join(tests)}"
    return False, f"NOT SOUND    {', '.join(tests)}: {first_failure(done.stdout)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="of mistakes (default: all)")
    parser.add_argument("--tests", nargs="+", help="those that these files of tests/ must catch")
    parser.add_argument("--sound", action="store_true", help="run the tests without any mistake")
    parser.add_argument("--workers", type=int, default=2, help="at a time (default: 2)")
    chosen = parser.parse_args()
    known = {mistake.name: mistake for mistake in MISTAKES}
    if unknown := sorted(set(chosen.names) - set(known)):
        parser.error(f"{', '.join(unknown)} are unknown; known: {', '.join(known)}")
    mistakes = [known[name] for name in chosen.names or known]
    if chosen.tests:
        mistakes = [each for each in mistakes if set(each.tests) & set(chosen.tests)]
    call, todo = judged, mistakes
    if chosen.sound:
        call, todo = sound, sorted({(name,) for each in mistakes for name in each.tests})
    good = 0
    with ThreadPoolExecutor(chosen.workers) as pool:
        for well, line in pool.map(call, todo):
            good += well
            print(line, flush=True)
    print(f"{good} of {len(todo)} {'sound' if chosen.sound else 'caught'}")
    return 0 if good == len(todo) else 1


if __name__ == "__main__":
    sys.exit(main())
