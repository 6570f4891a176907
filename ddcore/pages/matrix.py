"""The picture of a comparison over several problems: methods down, problems across, each cell beside random rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from textwrap import wrap
from typing import Any

from ..budget import in_words
from .beside import Row, ahead
from .template import fill

__all__ = ["matrix"]

CELL = 210
"""Pixels across a column."""


def matrix(rows: Sequence[Row], title: str) -> str:
    """One SVG of the main metric of each problem's first network, that follows the reader's dark or light: stands alone in a
    README, or in a page. What a method refused or failed at is a dash with its reason below."""
    columns: dict[tuple[str, str], Row] = {}
    for row in rows:
        if "error" not in row:
            columns.setdefault((row["problem"], in_words(row)), row)
    methods = [*dict.fromkeys(row["method"] for row in rows if row["method"] != "random"), "random"]
    found = {
        (row["method"], row["problem"], in_words(row)): row
        for row in rows
        if "error" in row or all(row[k] == columns[row["problem"], in_words(row)][k] for k in ("model", "metric"))
    }
    lines = [
        {"method": m, "cells": [_cell(found.get((m, *c)), found.get(("random", *c))) for c in columns]} for m in methods
    ]
    reasons = list(dict.fromkeys(c["reason"] for line in lines for c in line["cells"] if c["reason"]))
    left = max(96, 16 + round(8.5 * max(map(len, methods))))  # pixels of the longest name
    letters = (left + CELL * len(columns)) // 6
    notes = [
        {"number": i if first else "", "text": text}
        for i, reason in enumerate(reasons, start=1)
        for first, text in zip(chain([True], repeat(False)), wrap(reason, letters), strict=False)
    ]
    return fill(
        "matrix.svg.jinja",
        title=title,
        left=left,
        cell=CELL,
        columns=[{"problem": p, "said": _said(b, row)} for (p, b), row in columns.items()],
        lines=lines,
        numbers={reason: i for i, reason in enumerate(reasons, start=1)},
        notes=notes,
    )


def _said(budget: str, row: Row) -> tuple[str, ...]:
    """What a column's scores are, a line each."""
    networks = f"{row['seeds']} network{'s' if row['seeds'] > 1 else ''} a set"
    return (
        f"{budget}, {row['metric']} of {row['model']}",
        f"{row['protocol']}, {networks}",
        f"epoch: {row['epoch_rule']}",
    )


def _cell(row: Row | None, baseline: Row | None) -> dict[str, Any]:
    empty = {"value": "–", "reason": "", "gain": "", "verdict": "", "title": ""}
    if row is None:
        return {**empty, "reason": "not run"}
    if "error" in row:
        return {**empty, "reason": " ".join(row["error"].split())}
    sets = f"{row['distillations']} set{'s' if row['distillations'] > 1 else ''}"
    title = f"{row['method']} on {row['problem']}: {row['bytes']:,} bytes, labels: {row['label_kind']}, {sets}"
    found = {**empty, "value": f"{row['mean']:.3f}", "title": title}
    beside = None if baseline is row or baseline is None or "error" in baseline else ahead(row, baseline)
    return found if beside is None else {**found, "gain": f"{beside['gain']:+.3f}", "verdict": beside["verdict"]}
