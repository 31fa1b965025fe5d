"""torchvision imports beside a CPU build of torch, and a working one is left alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from labelnoise.data import torchvision_shim

pytest.importorskip("PIL", reason="torchvision needs Pillow")

SOURCE = str(Path(torchvision_shim.__file__).parents[1])


def run(code: str) -> subprocess.CompletedProcess:
    """A fresh interpreter: an import can only be tested where it has not happened yet."""
    code = f"import sys; sys.path.insert(0, {SOURCE!r})\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_torchvision_imports_and_declares_only_what_is_missing():
    plain = run("import torchvision")
    shimmed = run(
        "from labelnoise.data.torchvision_shim import DECLARED, import_torchvision\n"
        "tv = import_torchvision()\n"
        "assert tv is import_torchvision() is sys.modules['torchvision']\n"
        "import torch\n"
        "from torchvision import datasets, models, transforms\n"
        "net = models.resnet18(num_classes=3).eval()\n"
        "assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 3)\n"
        "assert datasets.MNIST.__module__ == 'torchvision.datasets.mnist'\n"
        "print(*DECLARED)"
    )
    assert shimmed.returncode == 0, shimmed.stderr
    if plain.returncode == 0:
        assert shimmed.stdout.split() == []
    else:
        assert "torchvision::nms does not exist" in plain.stderr
        assert "nms" in shimmed.stdout.split()


@pytest.fixture
def fake_torchvision(monkeypatch, tmp_path):
    """Call it with the body of a package that takes torchvision's place during the test."""

    def names() -> list[str]:
        return [name for name in sys.modules if name.split(".")[0] == "torchvision"]

    def install(body: str) -> None:
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision" / "__init__.py").write_text(body)
        monkeypatch.syspath_prepend(str(tmp_path))

    real = {name: sys.modules.pop(name) for name in names()}
    yield install
    for name in names():
        del sys.modules[name]
    sys.modules.update(real)


def test_a_working_torchvision_is_left_alone(monkeypatch, fake_torchvision):
    fake_torchvision("name = 'works'")
    monkeypatch.setattr(torchvision_shim, "_declare", lambda op: pytest.fail(f"declared {op}"))
    assert torchvision_shim.import_torchvision().name == "works"


@pytest.mark.parametrize(
    "message", ["operator torchvision::other does not exist", "compiled with another CUDA"]
)
def test_any_other_failure_of_the_import_is_raised_as_it_is(fake_torchvision, message):
    fake_torchvision(f"raise RuntimeError({message!r})")
    with pytest.raises(RuntimeError, match=message):
        torchvision_shim.import_torchvision()


def test_an_operator_that_stays_missing_ends_in_an_error_not_in_a_loop(
    monkeypatch, fake_torchvision
):
    fake_torchvision("raise RuntimeError('operator torchvision::nms does not exist')")
    declared: list[str] = []
    monkeypatch.setattr(torchvision_shim, "DECLARED", declared)
    monkeypatch.setattr(torchvision_shim, "_declare", declared.append)
    with pytest.raises(RuntimeError, match="nms"):
        torchvision_shim.import_torchvision()
    assert declared == ["nms"]
