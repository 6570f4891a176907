"""The drawing of a condensed graph: its nodes and edges in the colours of the classes, its adjacency and its features; beside it
a sample of the real graph."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ddcore.parametrizations import Synthetic
from ddcore.seeds import stream
from ddcore.storage import write_bytes

from .adjacency import dense_adjacency, one_graph
from .batch import Graph
from .edges import edge_count
from .graphs import Graphs
from .properties import classes, properties

if TYPE_CHECKING:
    from .data import NodeData

__all__ = ["drawing", "gallery"]

DRAWN = 1_000
"""Nodes of a set that are drawn at most: every second, third ..., class by class."""

SHOWN = 150
"""Nodes of the real graph that are drawn at most."""

ROWS, COLUMNS = 10, 8
"""Classes, and graphs of each, that are drawn of a set of graphs."""

EDGES = 600
"""Edges drawn of a dense graph: the heaviest."""


def drawing(class_names: Sequence[str], data: NodeData, synthetic: Synthetic[Graph], folder: Path) -> Path:
    """Writes `graph.png` into the folder. The same set gives the same bytes. With its first two arguments bound it is a problem's
    `render`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with torch.no_grad():
        batch = synthetic.batch(rng=stream("drawing"))
    every = -(-len(batch.rows) // DRAWN)
    order, y = batch.rows.cpu()[::every], classes(batch).cpu()[::every]
    a = dense_adjacency(batch, order)
    figure = Figure(figsize=(14, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["set", "real"], ["adjacency", "features"]], height_ratios=[1.6, 1])
    kinds = len(class_names)
    part = f"{len(batch.rows):,} nodes, of which " if every > 1 else ""
    title = f"condensed: {part}{_size(a)}{_said(a, y)}"
    _draw(axes["set"], a, y, kinds, title, class_names)
    sample, labels = _sample(data)
    whole = data.part("train")
    edges = edge_count(whole.edges, len(whole.x))
    title = f"real: {len(sample)} of {len(whole.x):,} nodes, {edges:,} edges{_said(sample, labels)}"
    _draw(axes["real"], sample, labels, kinds, title)
    _heat(figure, axes["adjacency"], a.numpy(), "adjacency, class by class")
    x = batch.x.detach().cpu()[order]
    informative = x.var(0, correction=0).argsort(descending=True, stable=True)[:200].sort().values
    _heat(
        figure,
        axes["features"],
        x[:, informative].numpy(),
        f"features: the {len(informative)} that vary most of {x.shape[1]}",
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    write_bytes(folder / "graph.png", buffer.getvalue())
    return folder / "graph.png"


def gallery(class_names: Sequence[str], synthetic: Synthetic[Graphs], folder: Path) -> Path:
    """Writes `graphs.png` into the folder: a row of graphs for each class, nodes in the colour of their largest feature. With its
    first argument bound it is a problem's `render`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = [g for g, n in synthetic.counts.items() if n][:ROWS]
    columns = min(max(synthetic.counts.values()), COLUMNS)
    figure = Figure(figsize=(2.2 * columns + 0.6, 2.2 * len(groups) + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), columns, squeeze=False)
    for row, g in zip(axes, groups, strict=True):
        for axis, i in zip_longest(row, synthetic.ids(g)[:columns]):
            axis.axis("off")
            if i is None:
                continue
            with torch.no_grad():
                x, a = one_graph(synthetic.take([i], stream("gallery")))
            name = class_names[g] if g < len(class_names) else str(g)
            _draw(axis, a, x.argmax(1), x.shape[1], f"{name}: {_size(a)}")
            axis.title.set_fontsize(8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    write_bytes(folder / "graphs.png", buffer.getvalue())
    return folder / "graphs.png"


def _size(a: Tensor) -> str:
    return f"{len(a)} nodes, {edge_count(a.nonzero().T, len(a)):,} edges"


def _said(a: Tensor, y: Tensor) -> str:
    """Its properties on a line of their own; nothing without edges."""
    if not bool((a != 0).any()):
        return ""
    return "\n" + ", ".join(f"{name} {value:.3f}" for name, value in properties(a, y).items())


def _sample(data: NodeData) -> tuple[Tensor, Tensor]:  # (n, n), (n,)
    """Surroundings of a training node of each class in turn, each breadth first up to its share of the nodes that are drawn."""
    part, rng = data.part("train"), stream("sample")
    source, target = part.edges.cpu()
    position, n = part.position.cpu(), len(part.x)
    seen = torch.zeros(n, dtype=torch.bool)
    share = max(SHOWN // len(data.groups), 1)
    for g in data.groups[:SHOWN]:
        frontier, left = position[[rng.choice(list(data.ids(g)))]], share
        while left and len(frontier := frontier[~seen[frontier]][:left]):
            seen[frontier] = True
            left -= len(frontier)
            near = torch.zeros(n, dtype=torch.bool)
            near[frontier] = True
            frontier = target[near[source]].unique()
    kept = seen.nonzero().flatten()
    place = torch.full((n,), -1)
    place[kept] = torch.arange(len(kept))
    edges = place[part.edges.cpu()]
    edges = edges[:, (edges >= 0).all(0)]
    a = torch.zeros(len(kept), len(kept))
    a[edges[1], edges[0]] = 1.0
    return a, part.y.cpu()[kept]


def _draw(axis: Any, a: Tensor, y: Tensor, kinds: int, title: str, names: Sequence[str] = ()) -> None:
    """Nodes in the colours of `y`, of which there are so many kinds; with `names` a legend."""
    import networkx as nx
    from matplotlib.collections import LineCollection

    a = (a + a.T) / 2
    i, j = np.triu_indices(len(a), 1)
    w = a.numpy()[i, j]
    heavy = np.argsort(-np.abs(w), kind="stable")[: min(EDGES, int((w != 0).sum()))]
    i, j, w = i[heavy], j[heavy], np.abs(w[heavy])
    strength = np.clip(w / max(w.max(initial=1e-12), 1e-12), 0.2, 1)
    graph = nx.Graph()
    graph.add_nodes_from(range(len(a)))
    graph.add_weighted_edges_from(zip(i.tolist(), j.tolist(), (0.5 * strength).tolist(), strict=True))
    if len(i):
        at = nx.spring_layout(graph, seed=0, iterations=60, k=2 / max(len(a), 1) ** 0.5)
        place = np.array([at[n] for n in range(len(a))])
    else:  # no edges: a grid, class by class
        side = int(np.ceil(len(a) ** 0.5))
        place = np.array([(n % side, -(n // side)) for n in range(len(a))], dtype=float)
    colours = _colours(y, kinds)
    ends: Any = np.stack([place[i], place[j]], 1)  # (edges, 2, 2)
    lines = LineCollection(ends, linewidths=0.8, colors=[(0.4, 0.42, 0.45, 0.6 * s) for s in strength])
    axis.add_collection(lines)
    axis.scatter(place[:, 0], place[:, 1], c=colours, s=42, edgecolors="white", linewidths=0.6, zorder=2)
    for c, name in enumerate(names if len(names) <= 20 else ()):
        axis.scatter([], [], color=_colours([c], kinds)[0], label=name)
    if names and len(names) <= 20:
        axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axis.set_title(title, fontsize=11)
    axis.set_aspect("equal", "datalim")
    axis.axis("off")


def _colours(y: Any, kinds: int) -> Any:  # (n,) -> (n, 4); -1: grey
    from matplotlib import colormaps

    y = np.asarray(y)
    made = colormaps["tab10"](y % 10) if kinds <= 10 else colormaps["tab20"](y % 20)
    made[y < 0] = (0.8, 0.8, 0.82, 1)
    return made


def _heat(figure: Any, axis: Any, values: Any, title: str) -> None:  # (n, m)
    low = float(values.min(initial=0.0))
    top = max(float(np.abs(values).max(initial=0.0)), 1e-12)
    shown = axis.imshow(
        values, aspect="auto", cmap="RdBu_r" if low < 0 else "Blues", vmin=-top if low < 0 else 0, vmax=top
    )
    figure.colorbar(shown, ax=axis, fraction=0.03)
    axis.set_title(title, fontsize=10)
    axis.set_xticks([])
    axis.set_yticks([])
