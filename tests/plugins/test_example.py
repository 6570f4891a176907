"""The documentation's example builds, installs, passes its own tests, and is what the page shows."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "ddcore-series"
PAGE = (ROOT / "docs" / "authoring.md").read_text()
SHOWN = dict(re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```\n", PAGE, flags=re.DOTALL))


def test_the_page_shows_every_file():
    files = {f.relative_to(EXAMPLE).as_posix() for f in EXAMPLE.rglob("*") if f.suffix in (".py", ".toml")}
    assert set(SHOWN) == files - {"ddcore_series/__init__.py"}


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_shows_the_file_as_it_is(name: str):
    assert SHOWN[name] == (EXAMPLE / name).read_text()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The example's wheel, unpacked at the head of the path as pip would."""
    pytest.importorskip("hatchling", reason="hatchling builds the example's wheel")
    site = tmp_path_factory.mktemp("site")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run([sys.executable, "-c", code, site], cwd=EXAMPLE, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(site / built.stdout.split()[-1]) as wheel:
        wheel.extractall(site)
    path = os.pathsep.join([str(site), *(p for p in sys.path if p)])
    return {**os.environ, "PYTHONPATH": path, "DDCORE_LOAD_PLUGINS": "ddcore-series"}


def test_it_is_found_when_installed(environment: dict[str, str]):
    code = (
        "from ddcore.plugins import installed as i; print(*[(p.name, p.distribution, p.status) for p in i().plugins])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "('series', 'ddcore-series', 'ok')" in done.stdout


def test_its_own_tests_pass(environment: dict[str, str], tmp_path: Path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    command += [f"--rootdir={tmp_path}", EXAMPLE / "tests"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout[-3000:]
    assert re.search(r"\b\d\d passed", done.stdout)
    assert "failed" not in done.stdout
