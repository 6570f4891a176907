"""A graph as it was read: arrays, before anything is done to them."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ddcore.errors import DataError

__all__ = [
    "Ints",
    "RawGraph",
    "arrays",
    "integers",
    "members",
    "missing",
    "named",
    "numbered",
    "reading",
    "reals",
    "several_classes",
    "sparse_matrix",
]

Ints = NDArray[np.int64]

UNREADABLE = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy, scipy, pandas and json raise for a file that is cut off or holds something else."""

NAMES = ("node_names", "attr_names", "class_names", "metadata")
"""Arrays of objects in public files, which nothing here needs."""


@dataclass(frozen=True)
class RawGraph:
    """N nodes as a file has them."""

    x: Any  # (N, d) array or scipy's sparse matrix
    source: Ints  # (E,)
    target: Ints  # (E,)
    y: Ints  # (N,) 0 .. k-1; -1: unlabelled
    class_names: Sequence[str]
    splits: Mapping[str, Sequence[int]] | None = None  # None: the file has none
    weights: NDArray[Any] | None = None  # (E,)
    place: Path | None = None  # the file or folder that they are from


def missing(name: str, data: Path | None, expected: str, source: str) -> DataError:
    """What to put where."""
    given = "no --data was given" if data is None else f"it is not in {data}"
    return DataError(f"{name} needs {expected}, and {given}: get it from {source} and give its folder as --data PATH")


@contextmanager
def named(place: Path | None) -> Iterator[None]:
    """A DataError in here names `place`."""
    try:
        yield
    except DataError as error:
        if place is None or str(place) in str(error):
            raise
        raise DataError(f"{place}: {error}") from error


@contextmanager
def reading(place: Path, expected: str) -> Iterator[None]:
    """What numpy and others raise of a file's contents in here is a DataError that names `place` and what was `expected`."""
    with named(place):
        try:
            yield
        except DataError:
            raise
        except UNREADABLE as error:
            raise DataError(f"{place} cannot be read ({error}): {expected}") from error


def arrays(file: Path, expected: str) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz but those of names. Raises DataError for a file that is none; Python objects are not read."""
    with (
        reading(file, f"an .npz of plain arrays is expected, and {expected}"),
        np.load(file, allow_pickle=False) as stored,
    ):
        return {k: stored[k] for k in stored.files if not k.startswith(NAMES)}


def sparse_matrix(file: Path, expected: str) -> Any:
    """What `scipy.sparse.save_npz` wrote, as CSR. Raises DataError for a file that is none."""
    with reading(file, expected):
        found = sparse.load_npz(file).tocsr()
        found.check_format(full_check=True)
        return found


def reals(key: str, given: NDArray[Any]) -> NDArray[np.float32]:
    """Raises DataError for what is no array of real numbers."""
    if given.dtype.kind not in "biuf":
        raise DataError(f"{key} are of type {given.dtype}: real numbers are expected")
    return given.astype(np.float32)


def integers(key: str, given: NDArray[Any]) -> Ints:
    """Raises DataError for what is no array of whole numbers."""
    if given.dtype.kind not in "biuf" or not (given % 1 == 0).all():
        raise DataError(f"{key} are of type {given.dtype}: whole numbers are expected")
    return given.astype(np.int64)


def members(key: str, given: NDArray[Any], n: int) -> list[int]:
    """The nodes of a split: the numbers of nodes, or a mask (n,), which is what is bool or named so.

    Raises DataError for several splits side by side, and for nodes that are not there.
    """
    if given.ndim != 1:
        raise DataError(f"{key} has shape {given.shape}: a split is (nodes,), so keep one of them, such as {key}[:, 0]")
    if given.dtype != bool and not key.endswith("_mask"):
        ids: list[int] = integers(f"the nodes of {key}", given).tolist()
        if odd := [i for i in ids if not 0 <= i < n]:
            raise DataError(f"{key} holds {odd[0]}: expected numbers from 0 to {n - 1}")
        return ids
    if len(given) != n:
        raise DataError(f"{key} is a mask of {len(given)} nodes, and there are {n}")
    return [int(i) for i in np.flatnonzero(given)]


def several_classes(names: Sequence[str]) -> None:
    """Raises DataError where there are no two."""
    if len(names) < 2:
        said = f"all labels are {names[0]!r}" if names else "there is no label"
        raise DataError(f"{said}: two classes or more are needed")


def numbered(
    labels: Sequence[Any] | NDArray[Any],  # (N,), (N, 1) or one-hot (N, k), where a row of zeros has none
    unlabelled: int | None = -1,
) -> tuple[Ints, list[str]]:  # (N,)
    """(0 .. k-1 or -1, the names of the classes) of labels of any kind: numbers, which need not follow on each other, or text.
    NaN, empty and the number `unlabelled` are none. Raises DataError where a row has several."""
    found = [_name(label, unlabelled) for label in (_one_each(labels) if isinstance(labels, np.ndarray) else labels)]
    names = sorted({f for f in found if f is not None}, key=lambda n: (isinstance(n, str), n))
    number = {name: i for i, name in enumerate(names)}
    return np.array([-1 if f is None else number[f] for f in found], dtype=np.int64), [str(n) for n in names]


def _one_each(labels: NDArray[Any]) -> list[Any]:
    if labels.dtype.kind not in "biufUS":
        raise DataError(f"labels are of type {labels.dtype}: give each node a number or a word")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and np.isin(labels, (0, 1)).all() and (labels.sum(1) <= 1).all():
        return [int(row.argmax()) if row.any() else None for row in labels]
    if labels.ndim != 1:
        raise DataError(f"labels have shape {labels.shape}: give each node one class, (nodes,), or one-hot rows")
    found: list[Any] = labels.tolist()
    return found


def _name(label: Any, unlabelled: int | None) -> float | int | str | None:
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    if isinstance(label, str):
        label = label.strip()
        try:
            number = float(label)
        except ValueError:
            return label or None
        label = label if math.isinf(number) else number
    if label is None or label != label or label == unlabelled:
        return None
    if isinstance(label, str) or math.isinf(label):
        return str(label)
    return int(label) if label == int(label) else float(label)
