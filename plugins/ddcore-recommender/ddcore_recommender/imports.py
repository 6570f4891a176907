"""The offline default: which source files of Python's standard library, NumPy and PyTorch import which names."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import platform
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ddcore.cache import cache_folder
from ddcore.storage import write_bytes, write_text

from .table import Table, named

__all__ = ["imported_names", "read_imports", "sources"]

LEFT_OUT = frozenset(
    {"test", "tests", "testing", "site-packages", "dist-packages", "idlelib", "lib2to3", "__pycache__"}
)
RULES = 2  # what `imported_names` and `LEFT_OUT` say: a change of theirs is another data set


def sources() -> list[tuple[str, str, Path]]:
    """(name, version, folder) of the three code bases, as installed."""
    found = [("", platform.python_version(), Path(sysconfig.get_path("stdlib")))]
    for name in ("numpy", "torch"):
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"{name} is a dependency"
        assert spec.submodule_search_locations, f"{name} is a package"
        found.append((name, importlib.metadata.version(name), Path(spec.submodule_search_locations[0])))
    return found


def imported_names(tree: ast.Module, package: Sequence[str]) -> list[str]:
    """The names that a module imports, in the order in which it first does, relative ones resolved: `import a.b` is `a.b`,
    `from .c import d` `package.c.d`."""
    found: list[str] = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            found += [f"{module}.{alias.name}" if alias.name != "*" else module for alias in node.names]
    return list(dict.fromkeys(found))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements, however deep; expressions are not entered, which is what takes the time."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, name, ()):
            if isinstance(child, ast.AST):
                yield child
                yield from _statements(child)


def read_imports() -> tuple[Table, str]:
    """The whole table, and what it was read from: versions and counts. A user is a file, an item a name, the time its place
    in the file. Read once, then cached. Files that this Python cannot parse are left out."""
    where = [(name, version, folder, _files(folder)) for name, version, folder in sources()]
    of = [[name or "python", version, len(files)] for name, version, _, files in where]
    key = hashlib.sha256(json.dumps([RULES, of]).encode()).hexdigest()[:32]
    said, packed = (cache_folder("imports") / f"{key}.{kind}" for kind in ("json", "txt"))
    if not (said.is_file() and packed.is_file()):
        lines = [f"{user}\t{item}" for name, _, folder, files in where for user, item in _read(name, folder, files)]
        write_bytes(packed, "\n".join(lines).encode())
        what = ", ".join(f"{name} {version} ({n} files)" for name, version, n in of)
        write_text(said, json.dumps({"problem": "recommender/imports", "model": "", "what": what}) + "\n")
    pairs = np.array([line.split("\t") for line in packed.read_text("utf-8").splitlines()])
    return named(pairs[:, 0], pairs[:, 1], time=np.arange(len(pairs))), json.loads(said.read_text())["what"]


def _files(folder: Path) -> list[Path]:
    kept = (f for f in folder.rglob("*.py") if not LEFT_OUT & set(f.relative_to(folder).parts))
    return sorted(kept, key=lambda f: f.relative_to(folder).as_posix())


def _read(name: str, folder: Path, files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for file in files:
        inside = [*([name] if name else []), *file.relative_to(folder).with_suffix("").parts]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            try:
                tree = ast.parse(file.read_bytes())
            except (SyntaxError, ValueError):
                continue
        user = ".".join(inside)
        for item in imported_names(tree, inside[:-1]):
            yield user, item
