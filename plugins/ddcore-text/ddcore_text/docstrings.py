"""The offline default: which library a docstring comes from."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import re
import sysconfig
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ddcore.cache import cache_folder
from ddcore.errors import DataError
from ddcore.storage import write_text

from .corpus import Corpus, corpus

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LIBRARIES", "docstring_corpus", "first_paragraph"]

LIBRARIES = ("datasets", "numpy", "standard library", "torch", "transformers")
MOST = 1000
"""Docstrings of a library."""

NAMES = re.compile(
    r"\b(py)?torch\w*|\bnumpy\b|\bnp\b|\bndarrays?\b|\btransformers?\b|\bdatasets?\b|\bhugging ?face\b|\bhf\b|"
    r"\bc?python\d?\b|\btensors?\b",
    re.IGNORECASE,
)
"""What would tell the library at once."""

MASK = "it"


def docstring_corpus(rows: int | None = None) -> Corpus:
    """The first paragraphs of the docstrings of five installed libraries, equally many of each, their names masked. Source
    files are parsed, in an order of their hashed paths, and nothing is imported; what was found is cached."""
    versions = {name: version(name) for name in LIBRARIES if name != "standard library"}
    said = {"python": platform.python_version(), **versions, "recipe": 1, "most": MOST}
    key = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]
    file = cache_folder("text") / f"{key}.json"
    if not file.is_file():
        found = {name: _docstrings(name) for name in LIBRARIES}
        once = _without_shared(found)
        n = min(MOST, *map(len, once.values()))
        texts = {name: paragraphs[:n] for name, paragraphs in once.items()}
        about = {"problem": "text/docstrings", "what": f"{n} paragraphs each", "texts": texts}
        write_text(file, json.dumps(about, ensure_ascii=False))
    texts = json.loads(file.read_text("utf-8"))["texts"]
    y = [k for k, name in enumerate(LIBRARIES) for _ in texts[name]]
    return corpus(
        {"train": ([t for name in LIBRARIES for t in texts[name]], y)}, LIBRARIES, source="docstrings", rows=rows
    )


def _without_shared(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Paragraphs that two libraries share belong to neither."""
    owners: dict[str, set[str]] = {}
    for name, paragraphs in found.items():
        for paragraph in paragraphs:
            owners.setdefault(paragraph, set()).add(name)
    return {name: [p for p in paragraphs if len(owners[p]) == 1] for name, paragraphs in found.items()}


def _docstrings(library: str) -> list[str]:
    """Different paragraphs of a library, a few more than are needed."""
    root = _root(library)
    found: dict[str, None] = {}
    for file in sorted(_sources(root), key=lambda f: hashlib.sha256(f.relative_to(root).as_posix().encode()).digest()):
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                paragraph = first_paragraph(ast.get_docstring(node) or "")
                if paragraph:
                    found[paragraph] = None
        if len(found) >= 1.2 * MOST:
            break
    return list(found)


def _root(library: str) -> Path:
    if library == "standard library":
        return Path(sysconfig.get_path("stdlib"))
    spec = find_spec(library)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"text/docstrings reads the sources of {library}, which is not installed: pip install {library}"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _sources(root: Path) -> Iterator[Path]:
    for file in root.rglob("*.py"):
        parts = file.relative_to(root).parts
        if not any(part in ("site-packages", "dist-packages", "idlelib") or "test" in part for part in parts):
            yield file


def first_paragraph(docstring: str) -> str:
    """The first paragraph as plain words: markup, code and the names of libraries are taken out. Empty where fewer than five
    words are left, or more than sixty, or where it is no prose."""
    text = " ".join(docstring.split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?(?:[^`<]*\.)?([^`<]+)(<[^>]*>)?`", r"\1", text)  # :class:`~torch.Tensor`
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)  # [text](link)
    text = re.sub(r"[`*_]{1,2}|>>>.*", " ", text)
    text = " ".join(NAMES.sub(MASK, text).split())
    words = text.split()
    plain = sum(word.strip(".,;:()'\"").isalpha() for word in words)
    return text if 5 <= len(words) <= 60 and plain >= 0.7 * len(words) else ""
