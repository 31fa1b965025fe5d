"""The benchmark compares like with like and judges rightly; no test looks at a measured time."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
import torch

from labelnoise.losses import PUBLISHED

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "losses.py"
MEASURED = {"CLL", *PUBLISHED["mnist"]}


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("benchmark_of_losses", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_loss_with_a_setting_for_mnist_has_a_one_hot_version(bench):
    assert set(bench.ONE_HOT) == MEASURED


@pytest.mark.parametrize("name", sorted(MEASURED))
@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_the_one_hot_version_is_the_same_loss(bench, name, spread):
    """In value and gradient, where no clamp of public code is at work."""
    source = torch.Generator().manual_seed(0)
    z = spread * torch.randn(64, 7, dtype=torch.float64, generator=source)
    z, other = z.clone().requires_grad_(), z.clone().requires_grad_()
    y = torch.randint(7, (64,), generator=source)
    loss = bench.published(name)
    ours, theirs = loss(z, y), bench.ONE_HOT[name](other, y, **loss.settings()).mean()
    torch.testing.assert_close(theirs, ours, rtol=1e-9, atol=1e-12)
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(other.grad, z.grad, rtol=1e-8, atol=1e-12)


def row(loss: str, shape: str, cross_entropy: float, one_hot: float, of_p_y: bool = True) -> dict:
    return {
        "loss": loss, "shape": shape, "us": 123.4, "of_p_y": of_p_y,
        "cross_entropy": cross_entropy, "cross_entropy_quartiles": "1.00–9.00",
        "one_hot": one_hot, "one_hot_quartiles": "0.10–0.20",
    }  # fmt: skip


MADE_UP = pd.DataFrame(
    [
        row("quick", "[1024, 10]", 1.2, 0.7),
        row("noisy", "[1024, 10]", 1.2, 1.02),
        row("slow", "[1024, 10]", 1.2, 1.5),
        row("far", "[1024, 10]", 9.0, 0.7),  # the limit is for the other shape only
        row("quick", "[128, 1000]", 2.4, 0.7),
        row("far", "[128, 1000]", 2.6, 0.7),
        row("whole", "[128, 1000]", 9.0, 0.7, of_p_y=False),  # and for losses of p_y only
    ]
)


def test_whoever_misses_a_promise_is_named(bench):
    never_slower, within = bench.judge(MADE_UP).values()
    assert never_slower == ["slow at [1024, 10] (1.50)"]
    assert within == ["far (2.60)"]
    text = bench.report(MADE_UP, 2)
    assert "missed** by slow at [1024, 10] (1.50).\n" in text
    assert "missed** by far (2.60).\n" in text


def test_promises_that_hold_name_nobody(bench):
    good = MADE_UP[MADE_UP["loss"] == "quick"]
    assert not any(bench.judge(good).values())
    text = bench.report(good, 2)
    assert text.count(": held.\n") == 2
    assert "missed" not in text


def test_the_script_measures_every_loss_and_writes_its_report(bench, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "SHAPES", ((4, 3), (2, 5)))
    monkeypatch.setattr(bench, "WARM_UP", 1)
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "losses.py"))
    bench.main(["--repetitions", "2"])
    assert not list(tmp_path.iterdir())
    bench.main(["--repetitions", "2", "--write"])
    text = (tmp_path / "losses.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    header = text.splitlines()[2]
    assert torch.__version__ in header
    assert "1 thread" in header
    assert "2 repetitions" in header
    for name in MEASURED:
        assert text.count(f"\n| {name} ") == 2, name
    assert "## [4, 3]" in text
    assert "## [2, 5]" in text
