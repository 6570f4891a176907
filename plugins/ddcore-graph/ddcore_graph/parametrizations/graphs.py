"""Sets of graphs: what the core's generic methods learn where a row is a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from ddcore.labels import Labels
from ddcore.problem import Problem
from ddcore.seeds import generator

from ..graphs import Graphs
from .labelled import LabelledSet

__all__ = ["GraphSet", "graph_set", "padded"]


class GraphSet(LabelledSet[Graphs]):
    """n graphs of at most s nodes with free features. Here the edges are constants; a set that learns them writes `adjacency`."""

    parametrization = "graph/graphs"

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (n, s, d)
        adj: Tensor,  # (n, s, s)
        mask: Tensor,  # (n, s) True where there is a node
        labels: Labels | None = None,
        step_size: float = 0.01,
    ) -> None:
        super().__init__(counts, x, labels, step_size)
        self.adj: Tensor
        self.mask: Tensor
        self.register_buffer("adj", adj.detach().clone())
        self.register_buffer("mask", mask)

    def adjacency(self) -> Tensor:  # (n, s, s), zero diagonals
        """The edges, differentiable in what is learned of them."""
        return self.adj

    def take(self, ids: Sequence[int], rng: Random | None = None) -> Graphs:
        rows = list(ids)
        return Graphs(self.x[rows], *self.labels.rows(rows), adj=self.adjacency()[rows], mask=self.mask[rows])

    @classmethod
    def restore(cls, problem: Problem[Graphs], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> GraphSet:
        """Whatever made the edges: they are constants now."""
        counts, x, labels = cls.restored(config, tensors)
        return GraphSet(counts, x, tensors["adj"], tensors["mask"], labels)


def padded(batch: Graphs, most: int) -> tuple[Tensor, Tensor, Tensor]:  # (n, s, d), (n, s, s), (n, s)
    """(x, adj, mask) of sparse graphs, s the nodes of the largest or `most`; of a graph with more, those with the most edges."""
    assert batch.edges is not None, "sparse graphs"
    assert batch.graph is not None, "sparse graphs"
    sizes = torch.bincount(batch.graph, minlength=len(batch))
    first = sizes.cumsum(0) - sizes
    degree = torch.bincount(batch.edges[1], minlength=len(batch.x))
    order = torch.arange(len(batch.x), device=batch.x.device)
    for i in (sizes > most).nonzero().flatten().tolist():
        span = slice(int(first[i]), int(first[i] + sizes[i]))
        order[span] = order[span][degree[span].argsort(descending=True, stable=True)]
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device) - first[batch.graph]  # within its graph
    n, s = len(batch), min(int(sizes.max()), most)
    x, adj = batch.x.new_zeros(n, s, batch.x.shape[1]), batch.x.new_zeros(n, s, s)
    kept = place < s
    x[batch.graph[kept], place[kept]] = batch.x[kept]
    source, target = batch.edges[:, kept[batch.edges].all(0)]
    adj[batch.graph[target], place[target], place[source]] = 1
    return x, adj, torch.arange(s, device=sizes.device) < sizes.clamp_max(s)[:, None]


def graph_set(
    d: int, nodes: int, most: int, links: float, counts: Mapping[int, int], start: Graphs | None, rng: Random
) -> GraphSet:
    """From real graphs, cut to their `most` nodes with the most edges; or each of `nodes` nodes with standard normal features and
    random edges, `links` a node."""
    if start is not None:
        return GraphSet(counts, *padded(start, most))
    g, n = generator(rng), sum(counts.values())
    x = torch.randn(n, nodes, d, generator=g)
    upper = (torch.rand(n, nodes, nodes, generator=g) < links / max(nodes - 1, 1)).float().triu(1)
    return GraphSet(counts, x, upper + upper.transpose(1, 2), torch.ones(n, nodes, dtype=torch.bool))
