"""The files around the code agree: lock, environments, Makefile, CI, citation, layers, privacy."""

import ast
import importlib.metadata
import importlib.util
import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="needs PyYAML, of the extra `test`")
pytest.importorskip("packaging", reason="needs packaging, of the extra `test`")
from packaging.requirements import Requirement  # noqa: E402
from packaging.specifiers import SpecifierSet  # noqa: E402
from packaging.utils import canonicalize_name  # noqa: E402
from packaging.version import Version  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ["3.11", "3.12", "3.13"]

in_venv = pytest.mark.skipif(
    Path(sys.prefix).resolve() != (ROOT / ".venv").resolve(),
    reason="this Python is not the .venv that `make env` makes",
)
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def uncommented(path: str) -> list[str]:
    lines = (ROOT / path).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


# ---------------------------------------------------------------------- lock and environments


def locked_by(path: str) -> dict[str, Requirement]:
    return {canonicalize_name((r := Requirement(line)).name): r for line in uncommented(path)}


LOCK = locked_by("requirements.lock")
EXTRAS = {name: locked_by(f"requirements-{name}.lock") for name in ("ray", "site")}
LOCKS = tuple(f"requirements-{name}.lock" for name in EXTRAS)
ALL = {**LOCK, **EXTRAS["ray"], **EXTRAS["site"]}


def pinned(name: str) -> str:
    """The one version that the locks allow."""
    (pin,) = ALL[canonicalize_name(name)].specifier
    assert pin.operator == "=="
    assert Version(pin.version).local is None, f"{name}: a local version serves one kind of machine"
    return pin.version


def test_every_line_of_the_locks_pins_one_version():
    lines = [line for file in ("requirements.lock", *LOCKS) for line in uncommented(file)]
    assert len(ALL) == len(lines), "a package is listed twice"
    for name in ALL:
        pinned(name)
    assert not [name for name in ALL if name.startswith(("nvidia", "triton", "pip", "labelnoise"))]


def test_the_locks_satisfy_pyproject():
    extras = PROJECT["optional-dependencies"]
    for extra, lines in {"": PROJECT["dependencies"], **extras}.items():
        for wanted in map(Requirement, lines):
            if wanted.name != PROJECT["name"]:
                assert wanted.specifier.contains(pinned(wanted.name)), f"no lock has {wanted}"
                assert canonicalize_name(wanted.name) in {**LOCK, **EXTRAS.get(extra, {})}, wanted
    assert pinned("torch") == "2.13.0"
    assert pinned("torchvision") == "0.28.0"


@in_venv
def test_what_is_installed_is_what_is_locked():
    asked = {name: locked for extra, found in EXTRAS.items()
             if importlib.util.find_spec({"site": "sphinx"}.get(extra, extra))
             for name, locked in found.items()}  # fmt: skip
    for name, locked in {**LOCK, **asked}.items():
        if locked.marker is None or locked.marker.evaluate():
            installed = importlib.metadata.version(name).split("+")[0]
            assert installed == pinned(name), name


@in_venv
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_the_lock_is_complete_on_every_platform(python, system):
    """Whatever a locked package requires is locked too, at a version that it accepts."""
    machine = {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "platform_system": system,
        "sys_platform": system.lower(),
        "extra": "",
    }
    here = [n for n, r in ALL.items() if r.marker is None or r.marker.evaluate(machine)]
    for name in set(here) - {"torch"}:  # torch's own pins depend on its build
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # locked for another platform or Python
        for needed in map(Requirement, requires):
            if needed.marker is None or needed.marker.evaluate(machine):
                assert canonicalize_name(needed.name) in here, f"{name} needs {needed}"
                assert needed.specifier.contains(pinned(needed.name)), f"{name} needs {needed}"


def test_conda_installs_the_lock_and_this_package():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (python,) = [d for d in dependencies if str(d).startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    assert "pip" in dependencies
    assert {"pip": ["-r requirements.lock", "-e ."]} in dependencies


def test_supported_pythons_are_those_that_ci_runs():
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in supported] == PYTHONS
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == PYTHONS


# ---------------------------------------------------------------------- make and CI

FAKE_PYTHON = f"""#!/bin/sh
# Stands in for Python and pip: writes down what make asks for, and installs nothing but the path of
# the package.
[ "$1" = -I ] && exec {sys.executable} -I -c \
    "import sys; sys.path.insert(0, open('.venv/path').read().strip()); exec(sys.argv[1])" "$3"
[ "$1" = -c ] && exec {sys.executable} -c "import sys; $PRETEND; exec(sys.argv[1])" "$2"
echo "$*" >> calls
[ "$*" = "-m venv .venv" ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python
case "$*" in
    *requirements.lock) [ -z "$KILL" ] || kill -9 $PPID ;;
    *requirements-ray.lock) [ -z "$NO_RAY" ] ;;
    *"-e .") echo "$PWD/src" > .venv/path ;;
esac
"""


def make(*arguments: str, folder: Path = ROOT, **environ: str) -> subprocess.CompletedProcess:
    """Run make as from a fresh shell, even when make is what runs these tests."""
    ours = {
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "MAKEOVERRIDES",
        "PYTHON",
        "DATA",
        "PROFILE",
        "EXECUTOR",
    }
    env = {k: v for k, v in os.environ.items() if k not in ours} | {"PRETEND": "pass"} | environ
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def package(folder: Path) -> Path:
    """What an interpreter would import; returns the path that it needs for that."""
    (folder / "src" / "labelnoise").mkdir(parents=True)
    (folder / "src" / "labelnoise" / "__init__.py").touch()
    return folder / "src"


@pytest.fixture
def clone(tmp_path):
    """A folder with what `make env` reads, and a stand-in for Python."""
    for name in ("Makefile", "requirements.lock", *LOCKS, "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    package(tmp_path)
    (tmp_path / "python").write_text(FAKE_PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def calls(clone: Path) -> list[str]:
    """What the stand-in was asked for since the last look."""
    log = clone / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


INSTALL = [
    "-m pip install --disable-pip-version-check -r requirements.lock",
    "-m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .",
]


@needs_make
def test_help_lists_every_target():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):(?!=)", text, flags=re.M))
    listed = dict(re.findall(r"^  ([\w-]+) +(\S.*)$", make().stdout, flags=re.M))
    assert set(listed) == targets == set(re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split())
    assert {"help", "env", "data", "reproduce", "test", "audit", "publish", "clean"} <= targets


@needs_make
def test_env_installs_the_lock_once(clone):
    assert make("env", "PYTHON=./python", folder=clone).returncode == 0
    assert calls(clone) == ["-m venv .venv", *INSTALL, "-V"]
    again = make("env", "PYTHON=./python", folder=clone)
    assert again.returncode == 0
    assert len(again.stdout.splitlines()) <= 1
    assert calls(clone) == []


@needs_make
@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_env_follows_a_changed_lock_in_place(clone, changed):
    make("env", "PYTHON=./python", folder=clone)
    calls(clone)
    (clone / ".venv" / "kept").touch()
    with (clone / changed).open("a") as file:
        file.write("# changed\n")
    assert make("env", "PYTHON=./python", folder=clone).returncode == 0
    assert calls(clone) == [*INSTALL, "-V"]
    assert (clone / ".venv" / "kept").exists()


@needs_make
def test_env_starts_over_after_a_killed_install(clone):
    killed = make("env", "PYTHON=./python", folder=clone, KILL="yes")
    assert killed.returncode != 0
    (clone / ".venv" / "half-written").touch()
    calls(clone)
    assert make("env", "PYTHON=./python", folder=clone).returncode == 0
    assert calls(clone) == ["-m venv .venv", *INSTALL, "-V"]
    assert not (clone / ".venv" / "half-written").exists()


@needs_make
@pytest.mark.parametrize("moved", ["to another folder", "away", "and its interpreter is gone"])
def test_env_renews_an_environment_that_holds_another_package(clone, moved):
    make("env", "PYTHON=./python", folder=clone)
    calls(clone)
    if moved == "and its interpreter is gone":
        (clone / ".venv" / "bin" / "python").unlink()
    else:
        other = package(clone / "other") if moved == "to another folder" else clone / "nowhere"
        (clone / ".venv" / "path").write_text(str(other))
    renewed = [*INSTALL, "-V"] if "interpreter" not in moved else ["-m venv .venv", *INSTALL, "-V"]
    for expected in (renewed, []):
        assert make("env", "PYTHON=./python", folder=clone).returncode == 0
        assert calls(clone) == expected


@needs_make
def test_ray_is_installed_once_and_only_for_those_who_ask_for_it(clone):
    asked = "-m pip install --disable-pip-version-check -r requirements-ray.lock"
    for executor, wanted in (("local", 0), ("ray", 1), ("ray", 0)):
        done = make("reproduce", f"EXECUTOR={executor}", "PYTHON=./python", folder=clone)
        assert done.returncode == 0
        *installs, last = calls(clone)
        assert installs.count(asked) == wanted
        assert last == f"-m labelnoise.reproduce --profile auto --executor {executor}"


@needs_make
@pytest.mark.parametrize("without", ["", "yes"])
def test_the_tests_run_also_where_ray_cannot_be_installed(clone, without):
    done = make("test", "PYTHON=./python", folder=clone, NO_RAY=without)
    assert done.returncode == 0
    assert ("tests of the cluster are skipped" in done.stdout) == bool(without)
    *_, ray, data, tests = calls(clone)
    assert ray.endswith("-r requirements-ray.lock")
    assert data == "-m labelnoise.data mnist"
    assert tests.startswith("-m pytest")


@needs_make
@pytest.mark.parametrize("version", ["(2, 7)", "(3, 10)", "(3, 14)"])
def test_env_refuses_an_unsupported_python(clone, version):
    refused = make("env", "PYTHON=./python", folder=clone, PRETEND=f"sys.version_info = {version}")
    assert refused.returncode != 0
    assert "3.11, 3.12 or 3.13" in refused.stderr
    assert "PYTHON=" in refused.stderr
    assert calls(clone) == []
    assert not (clone / ".venv").exists()


@in_venv
@needs_make
def test_a_ready_python_named_on_the_command_line_is_used_as_it_is():
    planned = make("-n", "reproduce", "PROFILE=smoke", f"PYTHON={sys.executable}").stdout
    assert planned == f"{sys.executable} -m labelnoise.reproduce --profile smoke --executor local\n"


@needs_make
def test_workers_and_force_reach_the_main_job(clone):
    done = make("reproduce", "WORKERS=4", "FORCE=1", "PYTHON=./python", folder=clone)
    assert done.returncode == 0
    assert calls(clone)[-1].endswith(" --executor local --workers 4 --force")


@in_venv
@needs_make
def test_an_audit_is_repeated_by_its_seed():
    command = f"{sys.executable} -m labelnoise.reproduce.audit --n"
    planned = [make("-n", "audit", *more, f"PYTHON={sys.executable}", N="7", SEED="1").stdout
               for more in ([], ["N=3", "SEED=4"])]  # fmt: skip
    assert [" ".join(line.split()) for line in planned] == [f"{command} 5", f"{command} 3 --seed 4"]


@needs_make
def test_clean_keeps_evidence_data_and_environment(clone):
    kept, removed = {"results", "data", ".venv", "src"}, {"reproduced", "build", ".pytest_cache"}
    for name in kept | removed:
        (clone / name).mkdir(exist_ok=True)
    (clone / "src" / "__pycache__").mkdir()
    make("clean", folder=clone)
    left = {path.name for path in clone.iterdir()}
    assert kept <= left
    assert not removed & left
    assert [path.name for path in (clone / "src").iterdir()] == ["labelnoise"]


def test_both_ci_only_call_make_test():
    setup = ("set ", "cd ", "export ")
    assert [c for c in uncommented(".ci/run") if not c.startswith(setup)] == ["make test"]
    assert (ROOT / ".ci/run").stat().st_mode & stat.S_IXUSR
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["make test"]


# ---------------------------------------------------------------------- citation, version, style


def test_the_citation_is_complete():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    for key in ("message", "title", "authors"):
        assert citation[key]
    papers = citation["references"]
    assert any(paper.get("start") == "130500" for paper in papers)
    for paper in papers:
        assert {"type", "title", "authors", "year"} <= set(paper)
        assert "doi" in paper or "url" in paper, paper["title"]


def test_one_version_and_one_licence():
    import labelnoise

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == citation["version"] == labelnoise.__version__
    assert PROJECT["license"] == citation["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


@in_venv  # another version of ruff has other opinions
@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff_is_content(command):
    ruff = [sys.executable, "-m", "ruff", *command.split(), "--no-cache", "."]
    done = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


# ---------------------------------------------------------------------- layers and privacy

FLOORS = [
    {"seeds", "checks", "files", "tracing"},
    {"noise", "data", "models"},
    {"losses"},
    {"theory", "config"},
    {"training", "experiments"},
    {"runs"},
    {"analysis"},
    {"figures"},
    {"cleaning"},
    {"reproduce"},
]
"""From the ground up. A file imports only from floors below its own, and from its own room; on the
ground, where there is nothing below, also from its neighbours."""

SOURCES = sorted((ROOT / "src/labelnoise").rglob("*.py"))


def imported(source: str) -> dict[str, str]:
    """Local name -> dotted origin inside labelnoise, of everything that a file imports from it."""
    origins = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            origins |= {(a.asname or a.name.split(".")[0]): a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name the package, so that one can search for them"
            origins |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return {k: v for k, v in origins.items() if v.split(".")[0] == "labelnoise"}


def test_a_file_imports_only_from_floors_below_it():
    for path in SOURCES:
        room = path.relative_to(ROOT / "src/labelnoise").with_suffix("").parts[0]
        if room == "__init__":
            continue
        floor = next(i for i, rooms in enumerate(FLOORS) if room in rooms)
        allowed = {room, *(FLOORS[0] if floor == 0 else ()), *itertools.chain(*FLOORS[:floor])}
        origins = [origin.split(".")[1:] for origin in imported(path.read_text()).values()]
        rooms = {origin[0] for origin in origins if origin} - {"__version__"}
        assert rooms <= allowed, f"{path.relative_to(ROOT)} imports {rooms - allowed}"


def reaches_in(source: str) -> list[str]:
    """The private names of labelnoise's modules that a file uses from outside."""
    origins = imported(source)
    found = [origin for origin in origins.values() if re.search(r"\._[^_]", origin)]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in origins:
                found.append(ast.unparse(node))
    return found


def test_no_file_reaches_into_anothers_private_names():
    for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")]:
        found = reaches_in(path.read_text())
        assert not found, f"{path.relative_to(ROOT)} uses {found}"
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        source = re.sub(r"^\s*[%!].*$", "", "\n".join(code), flags=re.M)  # IPython's own lines
        assert not reaches_in(source), path.name


# ---------------------------------------------------------------------- no machine's own paths

PATH_OF_A_MACHINE = re.compile(
    r"""(?:^|[\s"'`(=:,>\[])/(?:tmp|root|var/tmp|(?:home|Users)/[\w.-]+)(?=[/\s"'`),:<\]]|$)""",
    re.M,
)


def published_files() -> list[Path]:
    """What git has or would add: a clone's files."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_published_file_names_a_path_of_one_machine():
    for path in published_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures and arrays
        found = PATH_OF_A_MACHINE.search(text)
        assert not found, f"{path.relative_to(ROOT)} names {found[0].strip()}"
        assert str(ROOT) + "/" not in text, f"{path.relative_to(ROOT)} names this very folder"
