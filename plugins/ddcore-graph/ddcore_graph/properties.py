"""What kind of graph it is: how dense, how homophilous, and its spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.seeds import stream

from .adjacency import dense_adjacency, one_graph
from .batch import Graph, normalised_dense

if TYPE_CHECKING:
    from ddcore.parametrizations import Synthetic

    from .graphs import Graphs

__all__ = ["classes", "properties", "properties_of_graphs", "properties_of_nodes"]

LARGEST = 3_000
"""Nodes of a set whose spectrum is computed, which takes seconds then."""


def properties(a: Tensor, y: Tensor) -> Mapping[str, float]:  # (N, N) without self loops, (N,) -1: unlabelled
    r"""Of a dense graph:

    - `density`: pairs of nodes with an edge, of all pairs;
    - `homophily`: of the weight of edges between labelled nodes the part that is within a class; NaN without such edges;
    - `gap`: the second smallest eigenvalue of I - D^{-1/2} A D^{-1/2}, 0 where the graph falls apart;
    - `top`: the largest one, 2 where it is bipartite.
    """
    n, a = len(a), (a + a.T) / 2
    labelled = a * ((y >= 0)[:, None] & (y >= 0))
    spectrum = torch.linalg.eigvalsh(torch.diag((a.sum(1) > 0).double()) - normalised_dense(a.double(), "symmetric"))
    return {
        "density": float((a != 0).sum()) / max(n * (n - 1), 1),
        "homophily": float((labelled * (y[:, None] == y)).sum() / labelled.sum()),
        "gap": float(spectrum[1].clamp_min(0)) if n > 1 else 0.0,
        "top": float(spectrum[-1]),
    }


def properties_of_nodes(synthetic: Synthetic[Graph]) -> Mapping[str, float]:
    """Of a set of nodes and the edges between them, unless it is too large for a spectrum: a problem's `properties`."""
    with torch.no_grad():
        batch = synthetic.batch(rng=stream("properties"))
    return properties(dense_adjacency(batch, batch.rows), classes(batch).cpu()) if len(batch.rows) <= LARGEST else {}


def properties_of_graphs(synthetic: Synthetic[Graphs]) -> Mapping[str, float]:
    """The means over a set of graphs, and how many nodes they have: a problem's `properties`."""
    found = []
    for i in synthetic.ids():
        with torch.no_grad():
            x, a = one_graph(synthetic.take([i], stream("properties")))
        found.append({"nodes": len(x), **properties(a, torch.full((len(x),), -1))})
    return {name: fmean(one[name] for one in found) for name in found[0]}


def classes(batch: Graph) -> Tensor:  # (n,)
    """Of the target nodes; the likeliest where labels are soft."""
    label = batch.y if batch.y is not None else batch.values
    assert label is not None, "a batch carries y or values"
    return label if label.ndim == 1 else label.argmax(1)
