"""The manifest lists every file of a ledger, and a line that is there is never changed."""

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from labelnoise.runs import ledger, manifest
from labelnoise.runs.manifest import ManifestError


@pytest.fixture
def results(tmp_path) -> Path:
    """Three files and their manifest."""
    for name in ("mnist/b.json", "mnist/a.json", "float32/mnist/a.json"):
        ledger.write_atomically(tmp_path / name, f"content of {name}")
    manifest.add(tmp_path, manifest.files(tmp_path).values())
    return tmp_path


def test_it_lists_every_file_but_itself_and_the_hidden_sorted_by_path(results):
    for name in (".checkpoints/x.pt", "mnist/.b.json.partial"):
        ledger.write_atomically(results / name, "")
    listed = ["float32/mnist/a.json", "mnist/a.json", "mnist/b.json"]
    assert list(manifest.read(results)) == list(manifest.files(results)) == listed
    assert manifest.check(results) == {}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_anybody_can_check_it_with_sha256sum(results):
    command = ["sha256sum", "-c", "--strict", manifest.NAME]
    assert subprocess.run(command, cwd=results, capture_output=True).returncode == 0
    (results / "mnist/a.json").write_text("edited")
    assert subprocess.run(command, cwd=results, capture_output=True).returncode == 1


def test_a_file_that_changed_is_missing_or_unlisted_is_named(results):
    (results / "mnist/a.json").write_text("edited")
    (results / "mnist/b.json").unlink()
    (results / "mnist/c.npz").write_text("new")
    wrong = manifest.check(results)
    assert list(wrong) == ["mnist/a.json", "mnist/b.json", "mnist/c.npz"]
    for why, word in zip(wrong.values(), ("differs", "missing", "no line"), strict=True):
        assert word in why


def test_a_line_that_is_there_is_never_changed(results):
    before = (results / manifest.NAME).read_bytes()
    (results / "mnist/a.json").write_text("edited")
    (results / "mnist/c.json").write_text("new")
    with pytest.raises(ManifestError, match=r"mnist/a.json is not the file that .* lists"):
        manifest.add(results, manifest.files(results).values())
    assert (results / manifest.NAME).read_bytes() == before
    assert manifest.add(results, [results / "mnist/c.json"]) == ["mnist/c.json"]
    assert manifest.add(results, [results / "mnist/c.json"]) == []


@pytest.mark.parametrize(
    "line",
    ["", "no hash", f"{'0' * 64} one-space", f"{'0' * 64}  /absolute", f"{'0' * 64}  ../above",
     f"{'0' * 63}  short", f"{'0' * 64}  mnist/a.json"],
)  # fmt: skip
def test_a_damaged_manifest_is_refused_with_the_line(line, results):
    with (results / manifest.NAME).open("a") as file:
        file.write(f"{line}\n")
    for call in (manifest.read, manifest.check, lambda folder: manifest.add(folder, [])):
        with pytest.raises(ManifestError, match=r"line 4: .*restore"):
            call(results)


def test_a_missing_manifest_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ManifestError, match=r"MANIFEST.sha256 cannot be read .*restore it"):
        manifest.check(tmp_path)


ADDS = """
    import sys
    from pathlib import Path
    from labelnoise.runs import manifest
    folder, mine = Path(sys.argv[1]), sys.argv[2]
    for n in range(20):
        (folder / f"{mine}{n}.json").write_text(mine)
        manifest.add(folder, [folder / f"{mine}{n}.json"])
"""


def test_processes_that_add_at_once_lose_no_line(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(ADDS), str(tmp_path)]
    both = [subprocess.Popen([*command, mine]) for mine in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    assert len(manifest.read(tmp_path)) == 40
    assert manifest.check(tmp_path) == {}


def test_the_command_adds_what_is_new_and_fails_where_a_listed_file_changed(
    results, monkeypatch, capsys
):
    monkeypatch.setattr(manifest, "COMMITTED", results)
    (results / "mnist/c.json").write_text("new")
    assert manifest.main() == 0
    assert "added mnist/c.json" in capsys.readouterr().out
    (results / "mnist/c.json").unlink()
    assert manifest.main() == 1
    assert "mnist/c.json is listed" in capsys.readouterr().err
    (results / "mnist/a.json").write_text("edited")
    assert manifest.main() == 1
    assert "mnist/a.json" in capsys.readouterr().err
