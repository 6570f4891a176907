"""Charts as SVG that takes its colours from the page, so that dark and light and print each have their own."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Point", "curve", "dots", "panels"]

INK, ACCENT, MUTED = "#0a0b0c", "#0a0b0d", "#0a0b0e"  # stand for the page's own colours
VARIABLES = {INK: "var(--ink)", ACCENT: "var(--accent)", MUTED: "var(--muted)"}


@dataclass(frozen=True)
class Point:
    """A value with a name: a row of a dot plot, a point of a panel."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    muted: bool = False  # a baseline


def curve(values: Sequence[float], label: str) -> str:
    """A quantity over the updates; the running mean over a twentieth of them where it is noisy."""
    figure, axes = _figure(6.4, 2.6)
    width = max(len(values) // 20, 1)
    if width > 1:
        axes.plot(values, color=MUTED, linewidth=0.8)
    axes.plot(_running(values, width), color=ACCENT, linewidth=1.6)
    axes.set_xlabel("update")
    axes.set_title(label, loc="left", fontsize=10)
    return _svg(figure, f"{label} over {len(values)} updates")


def _running(values: Sequence[float], width: int) -> list[float]:
    """The mean of the `width` values about each."""
    windows = (values[max(i - width // 2, 0) : i + width // 2 + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def dots(points: Sequence[Point], label: str) -> str:
    """A row a point, in the order given, with its interval; the first is at the top."""
    figure, axes = _figure(6.4, 0.55 + 0.26 * len(points))
    for i, p in enumerate(reversed(points)):
        colour = MUTED if p.muted else ACCENT
        if p.interval is not None:
            axes.plot(p.interval, (i, i), color=colour, linewidth=1.6, solid_capstyle="round")
        axes.plot(p.value, i, "o", color=colour, markersize=5)
        if p.muted:
            axes.axvline(p.value, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
    axes.set_yticks(range(len(points)), [p.name for p in reversed(points)])
    axes.set_ylim(-0.6, len(points) - 0.4)
    axes.set_xlabel(label)
    return _svg(figure, f"{label}: {', '.join(f'{p.name} {p.value:.4g}' for p in points)}")


def panels(lines: Mapping[str, Mapping[float, Point]], baseline: Mapping[float, Point], x: str, label: str) -> str:
    """A panel for each name: its points over `x`, and the baseline's beside them; all on one scale, the numbers on the axis a
    step apart."""
    from matplotlib.figure import Figure

    at = {n: i for i, n in enumerate(sorted({n for points in (baseline, *lines.values()) for n in points}))}
    columns = min(len(lines), 3)
    rows = -(-len(lines) // columns)
    figure = Figure(figsize=(6.4, 0.4 + 1.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for i, (axes, (name, points)) in enumerate(zip(grid, lines.items(), strict=False)):
        _plain(axes)
        axes.tick_params(labelbottom=i + columns >= len(lines))
        axes.set_title(name, loc="left", fontsize=10)
        for one in (baseline, points):
            _line(axes, {at[n]: one[n] for n in sorted(one)})
        axes.set_xticks(list(at.values()), [f"{n:g}" for n in at])
        axes.set_xlim(-0.3, len(at) - 0.7)
    for axes in grid[len(lines) :]:
        axes.remove()
    figure.supxlabel(x, fontsize=9, color=INK)
    values = {name: ", ".join(f"{p.value:.4g} at {n:g}" for n, p in sorted(lines[name].items())) for name in lines}
    return _svg(figure, f"{label} by {x}: {'; '.join(f'{name} {said}' for name, said in values.items())}")


def _line(axes: Axes, points: Mapping[int, Point]) -> None:
    """Points from left to right, each with its interval."""
    muted = any(p.muted for p in points.values())
    style: dict[str, Any] = {"color": MUTED if muted else ACCENT, "linewidth": 1.2}
    for i, p in points.items():
        if p.interval is not None:
            axes.plot((i, i), p.interval, solid_capstyle="round", **style)
    axes.plot(list(points), [p.value for p in points.values()], "o--" if muted else "o-", markersize=4, **style)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    return figure, axes


def _plain(axes: Axes) -> None:
    """Two thin lines, small numbers, no box."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=9, color=MUTED)
    axes.xaxis.label.set_color(INK)
    axes.xaxis.label.set_fontsize(9)
    axes.title.set_color(INK)


def _svg(figure: Figure, description: str) -> str:
    """Inline SVG: text stays text, colours are the page's, and no two charts of a page share an id."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": description, "font.family": "sans-serif"}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', rf'\1 role="img" aria-label="{escape(description)}"', svg, count=1)
    svg = re.sub(r"font: (\d+\w*) [^;\"]*", r"font-size: \1", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    mark = f"c{crc32(description.encode()):x}-"
    svg = re.sub(r'\bid="', f'id="{mark}', svg)
    return re.sub(r'(href="|url\()#', rf"\1#{mark}", svg)
