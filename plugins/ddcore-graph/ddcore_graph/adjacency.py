"""Graphs as matrices: the dense adjacency of a batch, whatever it keeps its edges as."""

from __future__ import annotations

import torch
from torch import Tensor

from .batch import Graph
from .graphs import Graphs

__all__ = ["dense_adjacency", "one_graph"]


def dense_adjacency(batch: Graph, nodes: Tensor) -> Tensor:  # (n,) -> (n, n)
    """Between these nodes, whatever the batch keeps its edges as."""
    nodes = nodes.cpu()
    if batch.adj is not None:
        return batch.adj.detach().cpu()[nodes][:, nodes]
    a = torch.zeros(len(nodes), len(nodes))
    if batch.edges is not None:
        place = torch.full((len(batch.x),), -1)
        place[nodes] = torch.arange(len(nodes))
        source, target = place[batch.edges.cpu()]
        there = (source >= 0) & (target >= 0)
        a[target[there], source[there]] = 1.0 if batch.weights is None else batch.weights.detach().cpu()[there]
    return a


def one_graph(batch: Graphs) -> tuple[Tensor, Tensor]:  # (n, d), (n, n)
    """Features and dense adjacency of a batch's only graph."""
    if batch.adj is not None:
        nodes = torch.arange(batch.x.shape[1]) if batch.mask is None else batch.mask[0].cpu().nonzero().flatten()
        return batch.x[0].cpu()[nodes], batch.adj[0].cpu()[nodes][:, nodes]
    nodes = torch.arange(len(batch.x))
    return batch.x.cpu(), dense_adjacency(Graph(batch.x, nodes, edges=batch.edges), nodes)
