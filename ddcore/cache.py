"""Where costly results are kept: `DDCORE_CACHE`, or the user's cache folder. A result is KIND/KEY.json, which says what it is
of (KEY.partial.json while it is under way), and what else lies there under that key."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import OptionError, UnknownName

__all__ = ["Cached", "cache_folder", "cached", "chosen", "remove"]


def cache_folder(*parts: str) -> Path:
    """The folder for results of that kind; it is made on first use. Raises OptionError where it cannot be."""
    home = os.environ.get("DDCORE_CACHE")
    base = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ddcore"
    folder = base.joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"the cache folder {folder} cannot be made ({error.strerror}): set DDCORE_CACHE to a folder that can be written"
        ) from error
    return folder


@dataclass(frozen=True)
class Cached:
    """A result in the cache."""

    kind: str  # "experts", "ceilings"
    key: str
    problem: str  # empty where its files do not say
    model: str
    what: str  # of that kind: "50 epochs", "unfinished at epoch 12", "matching@1"
    bytes: int
    used: float  # when it was made or last read, in seconds since 1970
    files: tuple[Path, ...]


def cached() -> list[Cached]:
    """Everything in the cache, by kind, problem and model; what was last used comes first."""
    found = []
    for folder in sorted(path for path in cache_folder().iterdir() if path.is_dir()):
        by_key: dict[str, list[Path]] = {}
        for file in sorted(path for path in folder.iterdir() if path.is_file()):
            by_key.setdefault(file.name.lstrip(".").partition(".")[0], []).append(file)
        found += [_read(folder.name, key, files) for key, files in by_key.items()]
    return sorted(found, key=lambda c: (c.kind, c.problem, c.model, -c.used))


def _read(kind: str, key: str, files: Sequence[Path]) -> Cached:
    stats = [file.stat() for file in files]
    said: Any = {}
    for name in (f"{key}.json", f"{key}.partial.json"):
        with suppress(OSError, ValueError):
            said = json.loads((files[0].parent / name).read_text())
            break
    said = said if isinstance(said, dict) else {}
    return Cached(
        kind=kind,
        key=key,
        problem=str(said.get("problem", "")),
        model=str(said.get("model", "")),
        what=str(said.get("what", "unfinished or damaged")),
        bytes=sum(s.st_size for s in stats),
        used=max(s.st_mtime for s in stats),
        files=tuple(files),
    )


def chosen(
    results: Sequence[Cached],
    *,
    keys: Collection[str] = (),
    problem: str | None = None,
    older_than: float | None = None,
    keep_under: int | None = None,
) -> list[Cached]:
    """The results to remove: of that problem, with those keys or beginnings of keys, not used for `older_than` days; and of
    these, those that were not used for longest, until what stays in the whole cache is at most `keep_under` bytes.

    Raises UnknownName for a key that no result has, and OptionError for a beginning that several have.
    """
    for key in keys:
        same = [c.key for c in results if c.key.startswith(key)]
        if not same:
            raise UnknownName(
                f"nothing in the cache has a key that starts with {key!r}: `ddcore cache list` lists them"
            )
        if len(same) > 1 and key not in same:
            raise OptionError(f"{len(same)} results have keys that start with {key!r}: give more of it")
    found = [
        c
        for c in results
        if (not keys or c.key in keys or any(c.key.startswith(key) for key in keys))
        and (problem is None or c.problem == problem)
        and (older_than is None or time.time() - c.used >= older_than * 86400)
    ]
    if keep_under is None:
        return found
    left, removed = sum(c.bytes for c in results), []
    for c in sorted(found, key=lambda c: c.used):
        if left <= keep_under:
            break
        removed.append(c)
        left -= c.bytes
    return removed


def remove(results: Sequence[Cached]) -> None:
    """Removes their files; one that is gone already is no error."""
    for c in results:
        for file in sorted(c.files, key=lambda f: f.suffix != ".json"):  # what says that it is whole goes first
            file.unlink(missing_ok=True)
