"""Files that become rows: found by folder, decoded once to one shape, kept as one memory-mapped array in the cache."""

from __future__ import annotations

import hashlib
import json
import secrets
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .cache import cache_folder
from .errors import DataError
from .splits import Split, completed
from .storage import write_text

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = [
    "Item",
    "Packed",
    "Unreadable",
    "check_filled",
    "class_files",
    "class_folders",
    "filled_splits",
    "listing_key",
    "pack",
]

SPLIT_FOLDERS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


class Unreadable(ValueError):
    """A file that holds no row, and why."""


@dataclass(frozen=True)
class Item:
    """A row to be: `read` decodes it, or raises Unreadable; what it remarks is said of all files that share the remark."""

    name: str  # for messages
    split: str  # train, val, test
    label: int
    read: Callable[[], tuple[NDArray[Any], str]]  # (row, remark or "")


@dataclass(frozen=True)
class Packed:
    """Decoded rows: a memory-mapped array, and the class, split and name of each."""

    x: NDArray[Any]  # (n, ...)
    y: NDArray[np.int64]  # (n,)
    splits: dict[str, list[int]]  # row ids of train, val and test
    names: Sequence[str]
    digest: str  # of the rows and classes


def class_folders(root: Path) -> list[str]:
    """The names of the class folders, sorted; hidden ones left out."""
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def class_files(data: Path, files: Callable[[Path], Iterable[Path]]) -> tuple[list[tuple[str, int, Path]], list[str]]:
    """(split, class, file) of FOLDER/CLASS/*, or of FOLDER/train/CLASS/* with val and test folders where they are there; and the
    names of the classes. `files` finds those of a class folder. Raises DataError for fewer than two classes, and for classes that
    train has not."""
    found = {s: next((data / n for n in names if (data / n).is_dir()), None) for s, names in SPLIT_FOLDERS.items()}
    roots = {s: p for s, p in found.items() if p is not None} if found["train"] else {"train": data}
    names = class_folders(roots["train"])
    if len(names) < 2:
        raise DataError(
            f"{roots['train']} has {len(names)} class folders ({', '.join(names)}): expected two or more, one a class"
        )
    rows: list[tuple[str, int, Path]] = []
    for split, root in roots.items():
        if unknown := set(class_folders(root)) - set(names):
            raise DataError(f"{root} has classes that {roots['train']} has not: {', '.join(sorted(unknown))}")
        for label, name in enumerate(names):
            rows += [(split, label, file) for file in files(root / name)] if (root / name).is_dir() else []
    return rows, names


def listing_key(files: Iterable[Path], root: Path) -> str:
    """What decoded rows depend on: names, sizes and change times of the files."""
    digest = hashlib.sha256(str(root.resolve()).encode())
    for file in files:
        found = file.stat()
        digest.update(f"{file.relative_to(root)} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()


def pack(items: Sequence[Item], key: str, shape: Sequence[int], dtype: DTypeLike, what: str) -> Packed:
    """The readable rows of `items` as one array of rows of `shape`, made once for each `key`, shape and type. `what` they are is
    in messages and names the folder in the cache: "images".

    Unreadable ones are named in one warning and left out. Raises DataError where a whole split is unreadable, and where the
    cache cannot be written.
    """
    found = hashlib.sha256(f"{key} {tuple(shape)} {np.dtype(dtype)}".encode())
    for item in items:
        found.update(f"{item.split}:{item.name}\n{item.label}\n".encode())
    name = found.hexdigest()[:32]
    rows, index = (cache_folder(what) / f"{name}{end}" for end in (".npy", ".json"))
    if not (rows.is_file() and index.is_file()):
        _decode(items, rows, index, shape, dtype, what)
    stored = json.loads(index.read_text())
    for split in ("val", "test"):
        if (brought := [i.name for i in items if i.split == split]) and split not in stored["splits"]:
            first = next(said for said in stored["bad"] if said.startswith(brought[0]))
            raise DataError(
                f"none of the {len(brought)} {what} of the {split} split can be read: {first} ...; bring readable ones, or "
                "take the split away"
            )
    _warn(stored["bad"], len(items), f"{what} cannot be read and are left out", f"; all of them: {index}")
    for remark, names in stored["remarks"].items():
        _warn(names, len(items), f"{what} {remark}")
    splits = {s: [i for i, of in enumerate(stored["splits"]) if of == s] for s in ("train", "val", "test")}
    y = np.array(stored["y"], np.int64)
    return Packed(np.load(rows, mmap_mode="r")[: len(y)], y, splits, stored["names"], stored["digest"])


def _warn(names: Sequence[str], of: int, what: str, rest: str = "") -> None:
    if names:
        shown = ", ".join(names[:5]) + (f" ...{rest}" if len(names) > 5 else "")
        warnings.warn(f"{len(names)} of {of} {what}: {shown}", stacklevel=3)


def _decode(items: Sequence[Item], rows: Path, index: Path, shape: Sequence[int], dtype: DTypeLike, what: str) -> None:
    temporary = rows.with_name(f".{rows.name}.{secrets.token_hex(4)}")
    kept: list[Item] = []
    bad: list[str] = []
    remarks: dict[str, list[str]] = {}
    digest = hashlib.sha256()
    whole = (max(len(items), 1), *shape)
    try:
        with temporary.open(
            "wb"
        ) as file:  # written row by row: on a full disk a memory-mapped file would end the process
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": whole}
            np.lib.format.write_array_header_1_0(file, header)
            end = file.tell() + prod(whole) * np.dtype(dtype).itemsize
            for item in items:
                try:
                    row, remark = item.read()
                except Unreadable as error:
                    bad.append(f"{item.name} ({error})" if str(error) else item.name)
                    continue
                if remark:
                    remarks.setdefault(remark, []).append(item.name)
                data = np.asarray(row, dtype).reshape(shape).tobytes()
                file.write(data)
                digest.update(data + item.label.to_bytes(4, "little"))
                kept.append(item)
            file.truncate(end)  # the place of rows that could not be read
        temporary.replace(rows)
        said = {"what": f"{len(kept)} {what} of shape {tuple(shape)}", "digest": digest.hexdigest()}
        of = {"y": [i.label for i in kept], "splits": [i.split for i in kept], "names": [i.name for i in kept]}
        write_text(index, json.dumps({**said, **of, "bad": bad, "remarks": remarks}))
    except OSError as error:
        raise DataError(
            f"cannot keep the decoded {what} in {rows.parent}: {error.strerror or error}; set DDCORE_CACHE"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def filled_splits(packed: Packed, names: Sequence[str], what: str) -> tuple[Split, bool]:
    """The splits that the data brought, with what it did not bring drawn from train, and whether anything was drawn. Classes
    without a test row are named in a warning. Raises DataError as `check_filled` does."""
    check_filled(packed, names, what)
    splits, drawn = completed(packed.y, packed.splits)
    tested = set(packed.y[splits["test"]].tolist())
    if untested := [name for label, name in enumerate(names) if label not in tested]:
        shown = ", ".join(untested[:5]) + (" ..." if len(untested) > 5 else "")
        warnings.warn(
            f"no test {what} of class {shown}: scores say nothing of it; bring more of its {what}s", stacklevel=2
        )
    return splits, drawn


def check_filled(packed: Packed, names: Sequence[str], what: str) -> None:
    """DataError where a class has no training row that could be read."""
    present = set(packed.y[packed.splits["train"]].tolist())
    if empty := [name for label, name in enumerate(names) if label not in present]:
        raise DataError(f"no readable training {what} in class {', '.join(empty)}: add some, or remove the class")
