"""Charts as SVG that takes its colours from the page, so that dark and light and print each have their own."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Point", "curve", "dots"]

INK, ACCENT, MUTED = "#0a0b0c", "#0a0b0d", "#0a0b0e"  # stand for the page's own colours
VARIABLES = {INK: "var(--ink)", ACCENT: "var(--accent)", MUTED: "var(--muted)"}


@dataclass(frozen=True)
class Point:
    """One row of a dot plot."""

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


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=9, color=MUTED)
    axes.xaxis.label.set_color(INK)
    axes.xaxis.label.set_fontsize(9)
    axes.title.set_color(INK)
    return figure, axes


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
