"""The command in this process and as a process, beside one toy plugin and no other."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from ddcore.cli import main
from ddcore.plugins import installed

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy plugin and the faulty one as pip leaves them."""
    folder = tmp_path_factory.mktemp("site")
    for file in FIXTURES.glob("*.py"):
        shutil.copy(file, folder)
    for name in ("toy", "faulty"):
        info = folder / f"ddcore_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ddcore-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ddcore]\n{name} = {name}_plugin\n")
    return folder


@pytest.fixture(autouse=True)
def environment(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What both kinds of command see: this checkout, the toy plugin, a cache of their own and 80 columns."""
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT), *(p for p in sys.path if p)]))
    monkeypatch.setenv("DDCORE_LOAD_PLUGINS", "toy")
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    installed.cache_clear()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield dict(os.environ)
    torch.set_num_threads(threads)
    installed.cache_clear()


@pytest.fixture
def faulty(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The faulty plugin too, not imported yet."""
    monkeypatch.setenv("DDCORE_LOAD_PLUGINS", "toy,faulty")
    installed.cache_clear()
    for name in ("faulty_plugin", "faulty_things", "faulty_exits"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def ddcore() -> Callable[..., Result]:
    """`ddcore("evaluate", "a")` in this process."""
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words], prog_name="ddcore")


@pytest.fixture
def ok(ddcore: Callable[..., Result]) -> Callable[..., Result]:
    """The same, and it must succeed."""

    def run(*words: object) -> Result:
        result = ddcore(*words)
        assert result.exit_code == 0, result.output
        return result

    return run


@pytest.fixture
def as_json(ok: Callable[..., Result]) -> Callable[..., Any]:
    """What `... --json` puts on stdout, read as strict JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return lambda *words: json.loads(ok(*words, "--json").stdout, parse_constant=refuse)


@pytest.fixture
def documented() -> Callable[[str], set[str]]:
    """`documented("problems NAME")`: the keys of its JSON, as the page on the command line has them."""
    page = (ROOT / "docs" / "concepts" / "command-line.md").read_text("utf-8")
    rows = re.findall(r"^\| `(.*?)` \| (?:list|object) \| (.*) \|$", page, flags=re.MULTILINE)
    keys = {command: set(re.findall(r"`(\w+)`", cells)) for command, cells in rows}
    return keys.__getitem__


@pytest.fixture
def refused(ddcore: Callable[..., Result]) -> Callable[..., str]:
    """The one message of a command that must be refused: exit code 2, nothing on stdout, no traceback."""

    def message(*words: object) -> str:
        result = ddcore(*words)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        assert result.stderr.count("Error:") == 1
        return result.stderr

    return message


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python -m ddcore` as a process of its own."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ddcore", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def distilled(ok: Callable[..., Result], tmp_path: Path) -> Path:
    """A finished run."""
    ok("distill", "toy/dots", "--method", "dm", "--ipc", 2, "--steps", 5, "--out", "set")
    return tmp_path / "set"
