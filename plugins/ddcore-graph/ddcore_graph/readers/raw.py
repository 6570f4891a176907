"""A graph as it was read: arrays, before anything is done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddcore.errors import DataError

__all__ = ["Ints", "RawGraph", "missing", "numbered"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RawGraph:
    """N nodes as a file has them."""

    x: Any  # (N, d) array or scipy's sparse matrix
    source: Ints  # (E,)
    target: Ints  # (E,)
    y: Ints  # (N,) 0 .. k-1; -1: unlabelled
    class_names: Sequence[str]
    splits: Mapping[str, Sequence[int]] | None = None  # None: the file has none
    weights: NDArray[np.float32] | None = None  # (E,)


def missing(name: str, data: Path | None, expected: str, source: str) -> DataError:
    """What to put where."""
    given = "no --data was given" if data is None else f"it is not in {data}"
    return DataError(f"{name} needs {expected}, and {given}: get it from {source} and give its folder as --data PATH")


def numbered(
    labels: Sequence[Any] | NDArray[Any],  # (N,)
    unlabelled: int | None = -1,
) -> tuple[Ints, list[str]]:  # (N,)
    """(0 .. k-1 or -1, the names of the classes) of labels of any kind: numbers, which need not follow on each other, or text.
    NaN, empty and the number `unlabelled` are none."""
    found = [_name(label, unlabelled) for label in (labels.tolist() if isinstance(labels, np.ndarray) else labels)]
    names = sorted({f for f in found if f is not None}, key=lambda n: (isinstance(n, str), n))
    number = {name: i for i, name in enumerate(names)}
    return np.array([-1 if f is None else number[f] for f in found], dtype=np.int64), [str(n) for n in names]


def _name(label: Any, unlabelled: int | None) -> float | int | str | None:
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    if isinstance(label, str):
        label = label.strip()
        try:
            label = float(label)
        except ValueError:
            return label or None
    if label is None or label != label or label == unlabelled:
        return None
    return int(label) if label == int(label) else float(label)
