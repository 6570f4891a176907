"""Distributions on disk as pip leaves them, made of the modules in `fixtures/`."""

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

from ddcore.plugins import Plugins, installed

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages at the head of the path."""
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """No fixture has been imported, and nobody has looked what is installed."""
    installed.cache_clear()
    for file in FIXTURES.glob("*.py"):
        sys.modules.pop(file.stem, None)


@pytest.fixture
def install(site: Path) -> Callable[..., Path]:
    """`install("good")`: the distribution ddcore-good, whose entry point `good` is the module good_plugin."""

    def installed_in(*names: str) -> Path:
        for name in names:
            info = site / f"ddcore_{name}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ddcore-{name}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[ddcore]\n{name} = {name}_plugin\n")
            for file in FIXTURES.glob(f"{name}_*.py"):
                shutil.copy(file, site)
        return site

    return installed_in


@pytest.fixture
def plugins(install: Callable[..., Path]) -> Callable[..., Plugins]:
    """`plugins("good", "broken", block=["good"])`: the core and these, and nothing else of the environment."""

    def made(*names: str, **lists: list[str]) -> Plugins:
        found = distributions(path=[str(install(*names))])
        return Plugins([p for d in found for p in d.entry_points.select(group="ddcore")], **lists)

    return made
