"""The guard: torchaudio whose compiled part does not load, one whose part does, and none."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

FAILING = "raise OSError('libcudart.so.13: cannot open shared object file')"
LOADING = """
def _load_lib(lib): return True
def fail_if_no_align(function): return function
"""


def torchaudio(folder: Path, extension: str) -> None:
    """A small package of torchaudio's structure."""
    package = folder / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from . import _extension\nfrom .functional import align, double\nCOMPILED = _extension._load_lib('x')\n"
    )
    (package / "_extension.py").write_text(extension)
    (package / "functional.py").write_text(
        "from ._extension import fail_if_no_align\n"
        "def double(x): return 2 * x\n"
        "@fail_if_no_align\ndef align(x): return x\n"
    )


def python(folder: Path, code: str) -> str:
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{textwrap.dedent(code)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(("extension", "compiled"), [(FAILING, "False"), (LOADING, "True")], ids=["failing", "loading"])
def test_torchaudio_is_there_with_or_without_its_compiled_part(tmp_path, extension, compiled):
    torchaudio(tmp_path, extension)
    use = "from ddcore import imports; t = imports.torchaudio(); print(t.double(4), t.COMPILED)"
    assert python(tmp_path, use) == f"8 {compiled}"
    assert python(tmp_path, use + "; print(imports.torchaudio() is t)").endswith("True")


def test_what_needs_the_compiled_part_says_so(tmp_path):
    torchaudio(tmp_path, FAILING)
    said = python(
        tmp_path,
        """
        from ddcore import imports
        try:
            imports.torchaudio().align(1)
        except RuntimeError as error:
            print(error)
        """,
    )
    assert "align needs torchaudio's compiled part" in said


def test_a_package_broken_in_another_way_raises_its_own_error(tmp_path):
    torchaudio(tmp_path, FAILING)
    (tmp_path / "torchaudio" / "functional.py").write_text("raise ValueError('mine')")
    said = python(
        tmp_path,
        """
        from ddcore import imports
        try:
            imports.torchaudio()
        except ValueError as error:
            print(error, "torchaudio" in sys.modules)
        """,
    )
    assert said == "mine False"


def test_transformers_imports_a_torchaudio_that_loads(tmp_path):
    torchaudio(tmp_path, FAILING)
    (tmp_path / "transformers.py").write_text("import torchaudio\nNAME = torchaudio.double(1)")
    assert python(tmp_path, "from ddcore import imports; print(imports.transformers().NAME)") == "2"
