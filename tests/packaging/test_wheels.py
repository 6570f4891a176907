"""The built wheels: what they ask for, what they hold, and that each plugin's works where nothing else is installed."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))
CORE = {"click", "joblib", "numpy", "pluggy", "pydantic", "rich", "safetensors", "torch"}
EXTRAS = {"hf": {"datasets"}, "report": {"jinja2", "matplotlib"}, "tensorboard": {"tensorboard"}}
CPU_INDEX = "https://download.pytorch.org/whl/cpu"

USE = """
import sys, ddcore
problem = ddcore.load(sys.argv[1])
ddcore.distill(problem, "random", ipc=2, seed=0).save("kept")
kept = ddcore.open("kept").manifest
print(kept["problem"]["name"], sum(kept["counts"].values()), len(problem.data.groups))
"""

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of the core and of every plugin, built without an index."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheels")
    folder = tmp_path_factory.mktemp("wheels")
    for project in (ROOT, *PLUGINS):
        done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=project)
    return folder


@pytest.mark.parametrize("project", [ROOT, *PLUGINS], ids=["ddcore", *(p.name for p in PLUGINS)])
def test_a_wheel_holds_one_typed_package_and_no_tests(wheels: Path, project: Path):
    name = package(project)
    with zipfile.ZipFile(built(wheels, name)) as wheel:
        files = wheel.namelist()
    assert {file.partition("/")[0].partition("-")[0] for file in files} == {name}
    assert f"{name}/py.typed" in files
    assert not [file for file in files if "test_" in file or "/tests/" in file or "__pycache__" in file]


def test_the_core_is_slim(wheels: Path):
    asked = [Requirement(text) for text in metadata(built(wheels, "ddcore")).get_all("Requires-Dist", [])]
    assert {r.name for r in asked if r.marker is None} == CORE
    extras = {extra: {r.name for r in asked if r.marker and r.marker.evaluate({"extra": extra})} for extra in EXTRAS}
    assert extras == EXTRAS
    assert len(asked) == len(CORE) + sum(map(len, EXTRAS.values()))


@pytest.mark.parametrize("project", [ROOT, *PLUGINS], ids=["ddcore", *(p.name for p in PLUGINS)])
def test_the_torch_that_is_there_is_kept(wheels: Path, project: Path):
    """An installer leaves a torch that satisfies what is asked for: any from 2.4 on, of any build."""
    asked = map(Requirement, metadata(built(wheels, package(project))).get_all("Requires-Dist", []))
    for requirement in asked:
        if requirement.name == "torch":
            assert all(requirement.specifier.contains(v) for v in ("2.4.0", "2.9.1+cu130", "2.13.0+cpu", "2.99.0"))


@pytest.mark.parametrize("project", PLUGINS, ids=lambda p: p.name)
def test_a_plugins_wheel_works_alone(wheels: Path, project: Path, tmp_path: Path):
    environment = Environment(tmp_path / "environment", wheels)
    environment.install(built(wheels, package(project)))

    status = {p["distribution"]: p["status"] for p in json.loads(environment.run("ddcore", "plugins", "--json"))}
    assert status == {"ddcore": "ok", project.name: "ok"}

    points = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["ddcore"]
    problems = json.loads(environment.run("ddcore", "problems", "--json"))
    (first,) = (p["name"] for p in problems if p["default"] and p["modality"] in points)
    name, rows, groups = environment.run("python", "-c", USE, first).split()
    assert name == first
    assert int(rows) == 2 * int(groups) > 0

    assert environment.version("torch") == Version(pinned("torch"))


class Environment:
    """An empty environment: made by uv where it is on the path, by venv and pip otherwise."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder, self.uv = folder, shutil.which("uv")
        self.scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        if self.uv:
            done(self.uv, "venv", "--python", sys.executable, folder)
        else:
            done(sys.executable, "-m", "venv", folder)
        links = os.environ.get("PIP_FIND_LINKS", "").split()
        self.options = ["-c", ROOT / "constraints.txt", "--find-links", wheels]
        for link in links:
            self.options += ["--find-links", link]
        self._reach_an_index()
        if sys.platform == "linux" and not links:  # the default index has torch with CUDA, some gigabytes
            self._try("torch", "--no-deps", "--index-url", CPU_INDEX)

    def install(self, *what: str | Path) -> None:
        """Fails the test where it fails."""
        tried = self._try(*what)
        assert not tried.returncode, tried.stdout + tried.stderr

    def run(self, command: str, *arguments: str) -> str:
        """What it prints; it runs in the environment's folder and sees nothing of this process's packages."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DDCORE_", "VIRTUAL_ENV"))}
        return done(self.scripts / command, *arguments, cwd=self.folder, env=own)

    def version(self, distribution: str) -> Version:
        """Of what is installed, without its build's name: 2.13.0 of 2.13.0+cpu."""
        code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
        return Version(Version(self.run("python", "-c", code, distribution).strip()).public)

    def _reach_an_index(self) -> None:
        """Nothing of ours is in this: pluggy comes from the index, or the test is skipped."""
        tried = self._try("pluggy", env={**os.environ, "PIP_RETRIES": "1", "UV_HTTP_RETRIES": "1"})
        if tried.returncode:
            pytest.skip(f"no package index is reachable: {tried.stderr.strip().splitlines()[-1]}")

    def _try(self, *what: str | Path, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        python = self.scripts / "python"
        pip = [python, "-m", "pip", "install", "--no-compile"]  # what is imported is compiled then
        installer = [self.uv, "pip", "install", "--python", python] if self.uv else pip
        command = [*installer, *what, *self.options]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)


def done(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    ran = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert not ran.returncode, f"{' '.join(map(str, command))}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
    return ran.stdout


def package(project: Path) -> str:
    table = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    name: str = table["project"]["name"]
    return name.replace("-", "_")


def built(wheels: Path, name: str) -> Path:
    (wheel,) = wheels.glob(f"{name}-*.whl")
    return wheel


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode("utf-8"))


def pinned(name: str) -> str:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    (version,) = (line.partition("==")[2] for line in lines if line.startswith(f"{name}=="))
    return version
