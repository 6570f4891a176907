"""The drawing of a condensed graph: its nodes and edges in the colours of the classes, its adjacency and its features; beside it
a sample of the real graph."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ddcore.parametrizations import Synthetic
from ddcore.seeds import stream
from ddcore.storage import write_bytes

from .batch import Graph

if TYPE_CHECKING:
    from .data import NodeData

__all__ = ["dense_adjacency", "drawing"]

SHOWN = 150
"""Nodes of the real graph that are drawn: a random training node's surroundings."""

EDGES = 600
"""Edges drawn of a dense graph: the heaviest."""


def dense_adjacency(batch: Graph) -> Tensor:  # (N, N)
    """Whatever the batch keeps its edges as."""
    n = len(batch.x)
    if batch.adj is not None:
        return batch.adj.detach().cpu()
    a = torch.zeros(n, n)
    if batch.edges is not None:
        source, target = batch.edges.cpu()
        a[target, source] = 1.0 if batch.weights is None else batch.weights.detach().cpu()
    return a


def drawing(class_names: Sequence[str], data: NodeData, synthetic: Synthetic[Graph], folder: Path) -> Path:
    """Writes `graph.png` into the folder. The same set gives the same bytes. With its first two arguments bound it is a problem's
    `render`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with torch.no_grad():
        batch = synthetic.batch(rng=stream("drawing"))
    order = batch.rows.cpu()
    a = dense_adjacency(batch)[order][:, order]
    y = _classes(batch).cpu()
    figure = Figure(figsize=(14, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["set", "real"], ["adjacency", "features"]], height_ratios=[1.6, 1])
    _draw(axes["set"], a, y, class_names, f"condensed: {len(a)} nodes, {_edge_count(a)} edges")
    sample, labels = _sample(data)
    whole = data.part("train")
    _draw(
        axes["real"],
        sample,
        labels,
        (),
        f"real: {len(sample)} of {len(whole.x):,} nodes, {whole.edges.shape[1] // 2:,} edges",
    )
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


def _classes(batch: Graph) -> Tensor:  # (n,)
    label = batch.y if batch.y is not None else batch.values
    assert label is not None, "a batch carries y or values"
    return label if label.ndim == 1 else label.argmax(1)


def _edge_count(a: Tensor) -> str:
    """Undirected edges; both directions are in `a`."""
    return f"{int((a != 0).sum()) // 2:,}"


def _sample(data: NodeData) -> tuple[Tensor, Tensor]:  # (n, n), (n,)
    """The surroundings of a training node, breadth first; other training nodes follow where its component is small."""
    part = data.part("train")
    source, target = part.edges.cpu()
    ids = list(data.ids())
    rng = stream("sample")
    rng.shuffle(ids)
    chosen: list[int] = []
    seen = torch.zeros(len(part.x), dtype=torch.bool)
    for start in ids:
        frontier = part.position.cpu()[[start]]
        while len(chosen) < SHOWN and len(frontier := frontier[~seen[frontier]]):
            frontier = frontier[: SHOWN - len(chosen)]
            chosen += frontier.tolist()
            seen[frontier] = True
            frontier = target[torch.isin(source, frontier)].unique()
    kept = torch.tensor(chosen)
    place = torch.full((len(part.x),), -1)
    place[kept] = torch.arange(len(kept))
    edges = place[part.edges.cpu()]
    edges = edges[:, (edges >= 0).all(0)]
    a = torch.zeros(len(kept), len(kept))
    a[edges[1], edges[0]] = 1.0
    return a, part.y.cpu()[kept]


def _draw(axis: Any, a: Tensor, y: Tensor, class_names: Sequence[str], title: str) -> None:
    import networkx as nx
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    a = (a + a.T) / 2
    i, j = np.triu_indices(len(a), 1)
    w = a.numpy()[i, j]
    heavy = np.argsort(-np.abs(w), kind="stable")[: min(EDGES, int((w != 0).sum()))]
    i, j, w = i[heavy], j[heavy], np.abs(w[heavy])
    graph = nx.Graph()
    graph.add_nodes_from(range(len(a)))
    graph.add_weighted_edges_from(zip(i.tolist(), j.tolist(), w.tolist(), strict=True))
    if len(i):
        at = nx.spring_layout(graph, seed=0, iterations=60, k=2 / max(len(a), 1) ** 0.5)
        place = np.array([at[n] for n in range(len(a))])
    else:  # no edges: a grid, class by class
        side = int(np.ceil(len(a) ** 0.5))
        place = np.array([(n % side, -(n // side)) for n in range(len(a))], dtype=float)
    colours = colormaps["tab20"](np.asarray(y) % 20)
    strength = np.clip(w / max(w.max(initial=1e-12), 1e-12), 0.08, 1)
    ends: Any = np.stack([place[i], place[j]], 1)  # (edges, 2, 2)
    lines = LineCollection(ends, colors=[(0.4, 0.42, 0.45, 0.6 * s) for s in strength])
    axis.add_collection(lines)
    axis.scatter(place[:, 0], place[:, 1], c=colours, s=42, edgecolors="white", linewidths=0.6, zorder=2)
    for c in sorted(set(y.tolist())) if class_names else []:
        axis.scatter([], [], color=colormaps["tab20"](c % 20), label=class_names[c] if c < len(class_names) else str(c))
    if class_names and len(class_names) <= 20:
        axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axis.set_title(title, fontsize=11)
    axis.set_aspect("equal", "datalim")
    axis.axis("off")


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
