"""Edges as the plugin keeps them: no self loops, none twice, both directions where undirected."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ddcore.errors import DataError

__all__ = ["edge_count", "tidied"]


def tidied(
    source: Any,  # (E,) numbers of nodes
    target: Any,  # (E,)
    n: int,
    weights: Any = None,  # (E,)
    *,
    directed: bool = False,
) -> tuple[Tensor, Tensor | None]:  # (2, E'), (E',)
    """The edges between n nodes without self loops and repeats, sorted by target; both directions unless `directed`.

    Of an edge that comes several times, or in both directions with unlike weights, the largest weight counts. Raises DataError
    for ends that are no nodes, and for weights that are negative, not finite or not one an edge.
    """
    edges = torch.stack([torch.as_tensor(source).long(), torch.as_tensor(target).long()])
    w = None if weights is None else torch.as_tensor(weights).float()
    if bool((odd := edges[(edges < 0) | (edges >= n)]).numel()):
        raise DataError(f"an edge with node {int(odd[0])}, and the graph has {n}: nodes are 0 .. {n - 1}")
    if w is not None and w.shape != edges[0].shape:
        raise DataError(f"{edges.shape[1]} edges and weights of shape {tuple(w.shape)}: give each edge one number")
    if w is not None and bool((bad := ~(w.isfinite() & (w >= 0))).any()):
        first = int(bad.nonzero()[0])
        a, b = edges[:, first].tolist()
        raise DataError(f"the edge {a} -> {b} has the weight {float(w[first]):g}: give it a number of 0 or more")
    other = edges[0] != edges[1]
    edges, w = edges[:, other], None if w is None else w[other]
    if not directed:
        edges, w = torch.cat([edges, edges.flip(0)], 1), None if w is None else torch.cat([w, w])
    key, which = (edges[1] * n + edges[0]).unique(return_inverse=True)
    if w is not None:
        w = w.new_full((len(key),), -torch.inf).scatter_reduce(0, which, w, "amax")
    return torch.stack([key % n, key // n]), w


def edge_count(edges: Tensor, n: int) -> int:  # (2, E)
    """Edges without repeats: where each has its reverse, both are one."""
    pairs = (edges.amin(0) * n + edges.amax(0)).unique()
    return len(pairs) if edges.shape[1] == 2 * len(pairs) else edges.shape[1]
