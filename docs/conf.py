"""Sphinx settings: `sphinx-build -W docs site`. What is heavy is mocked: the pages of the API need no torch."""

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.autodoc.mock import _MockObject

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

project = "ddcore"
author = "The ddcore developers"
copyright = f"2026, {author}"  # noqa: A001 (Sphinx reads it by this name)
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples"]
default_role = "code"  # docstrings write names in single backquotes
suppress_warnings = ["myst.xref_missing"]  # folders are linked too; tests/docs checks every link

html_theme = "furo"
html_title = "ddcore"

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

autodoc_mock_imports = ["joblib", "numpy", "pytest", "safetensors", "torch"]
_MockObject.__or__ = lambda self, other: self  # type: ignore[attr-defined]  # `Tensor | None`, where no annotation
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True


def shown_as_it_stands(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: an indented passage is code or a formula, a trailing underscore links nowhere, and bars
    are norms."""
    found: list[str] = []
    last, literal = "", False  # the last line of text; within an indented passage
    for line in lines:
        if line.startswith("    ") and not literal and found[-1:] == [""] and last[:1] not in (" ", ":", "."):
            found += ["::", ""]
            literal = True
        elif line and not line.startswith("    "):
            literal = False
        found.append(line if literal else line.replace("_\\", "\\_\\\\").replace("|", "\\|"))
        last = line or last
    lines[:] = found


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", shown_as_it_stands)
