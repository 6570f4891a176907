"""Graphs as matrices: the dense adjacency of a batch, whatever it keeps its edges as."""

from __future__ import annotations

import torch
from torch import Tensor

from .batch import Graph
from .graphs import Graphs

__all__ = ["dense_adjacency", "one_graph"]


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


def one_graph(batch: Graphs) -> tuple[Tensor, Tensor]:  # (n, d), (n, n)
    """Features and dense adjacency of a batch's only graph."""
    if batch.adj is not None:
        nodes = torch.arange(batch.x.shape[1]) if batch.mask is None else batch.mask[0].cpu().nonzero().flatten()
        return batch.x[0].cpu()[nodes], batch.adj[0].cpu()[nodes][:, nodes]
    return batch.x.cpu(), dense_adjacency(Graph(batch.x, torch.arange(0), edges=batch.edges))
