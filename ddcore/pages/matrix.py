"""The picture of a comparison over several problems: methods down, problems across, each cell beside random rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .beside import Row, ahead, budget
from .template import fill

__all__ = ["matrix"]


def matrix(rows: Sequence[Row], title: str) -> str:
    """One SVG of the main metric of each problem's first network, that follows the reader's dark or light: stands alone in a
    README, or in a page. What a method refused or failed at is a dash with its reason."""
    columns: dict[tuple[str, str], Row] = {}
    for row in rows:
        if "error" not in row:
            columns.setdefault((row["problem"], budget(row)), row)
    methods = [*dict.fromkeys(row["method"] for row in rows if row["method"] != "random"), "random"]
    found = {
        (row["method"], row["problem"], budget(row)): row
        for row in rows
        if "error" in row or all(row[k] == columns[row["problem"], budget(row)][k] for k in ("model", "metric"))
    }
    return fill(
        "matrix.svg.jinja",
        title=title,
        columns=[{"problem": p, "said": f"{b}, {row['metric']} of {row['model']}"} for (p, b), row in columns.items()],
        lines=[
            {"method": m, "cells": [_cell(found.get((m, *c)), found.get(("random", *c))) for c in columns]}
            for m in methods
        ],
    )


def _cell(row: Row | None, baseline: Row | None) -> dict[str, Any]:
    empty = {"value": "–", "reason": "", "gain": "", "verdict": ""}
    if row is None:
        return {**empty, "reason": "not run"}
    if "error" in row:
        return {**empty, "reason": row["error"]}
    found = {**empty, "value": f"{row['mean']:.3f}"}
    beside = None if baseline is row or baseline is None or "error" in baseline else ahead(row, baseline)
    return found if beside is None else {**found, "gain": f"{beside['gain']:+.3f}", "verdict": beside["verdict"]}
