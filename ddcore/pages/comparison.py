"""The page of a comparison: for each problem a chart over its budgets, for each of them a chart and a table, and what lost to
random rows shown as such."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..budget import in_words
from .beside import Row, ahead, size
from .charts import Point, dots, panels
from .matrix import matrix
from .template import fill

__all__ = ["comparison_page"]


def comparison_page(rows: Sequence[Row], title: str) -> str:
    """The page of what `ddcore.compare` returned."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if "error" not in row:
            groups.setdefault((row["problem"], in_words(row), row["model"], row["metric"]), []).append(row)
    return fill(
        "comparison.html.jinja",
        title=title,
        matrix=matrix(rows, title) if len({row["problem"] for row in rows}) > 1 else "",
        curves=[
            found for key in dict.fromkeys((p, m, q) for p, _, m, q in groups) if (found := _over_budgets(key, rows))
        ],
        groups=[_group(key, found) for key, found in groups.items()],
        refused=[{**row, "budget": in_words(row)} for row in rows if "error" in row],
        protocols=list(
            dict.fromkeys(f"{row['protocol']} ({row['epoch_rule']} epoch)" for row in rows if "error" not in row)
        ),
    )


def _over_budgets(key: tuple[str, ...], rows: Sequence[Row]) -> dict[str, Any] | None:
    """Each method's scores by budget beside those of random rows; None where there is one budget, or nothing but random rows."""
    problem, model, metric = key
    found: dict[str, dict[float, Point]] = {}
    names = set()
    for row in rows:
        if "error" not in row and (row["problem"], row["model"], row["metric"]) == key:
            name, n = size(row)
            names.add(name)
            point = Point(row["method"], row["mean"], _pair(row["interval"]), row["method"] == "random")
            found.setdefault(row["method"], {})[n] = point
    baseline = found.pop("random", {})
    if not found or len({n for points in (baseline, *found.values()) for n in points}) < 2:
        return None
    chart = panels(found, baseline, " or ".join(sorted(names)), f"{metric} of {model} on {problem}")
    return {"problem": problem, "model": model, "metric": metric, "chart": chart}


def _group(key: tuple[str, ...], rows: Sequence[Row]) -> dict[str, Any]:
    problem, given, model, metric = key
    ordered = sorted(rows, key=lambda row: float(row["mean"]), reverse=bool(rows[0]["higher_is_better"]))
    baseline = next((row for row in rows if row["method"] == "random"), None)
    points = [Point(row["method"], row["mean"], _pair(row["interval"]), row is baseline) for row in ordered]
    return {
        "problem": problem,
        "budget": given,
        "model": model,
        "metric": metric,
        "chart": dots(points, f"{metric} of {model} on {problem}, {given}"),
        "rows": [{**row, "ahead": None if row is baseline else ahead(row, baseline)} for row in ordered],
    }


def _pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])
