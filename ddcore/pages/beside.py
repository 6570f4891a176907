"""A row of a comparison beside random rows of the same budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..intervals import Mean, unpaired

__all__ = ["Row", "ahead", "size"]

Row = Mapping[str, Any]


def ahead(row: Row, baseline: Row | None) -> dict[str, Any] | None:
    """What the row is ahead of random rows by, in the metric's good direction, and whether that can be told."""
    if baseline is None:
        return None
    found = unpaired(Mean(tuple(row["values"])), Mean(tuple(baseline["values"])))
    gain = found.mean if row["higher_is_better"] else -found.mean
    verdict = ("ahead" if gain > 0 else "behind") if found.distinguishable else "not told apart"
    return {"gain": gain, "verdict": verdict}


def size(row: Row) -> tuple[str, float]:
    """The kind of budget a row was given, and how much of it."""
    return next((name, row[name]) for name in ("ipc", "ratio", "bytes") if name in row)
