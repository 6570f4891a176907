"""A graph in memory as some split sees it: its nodes numbered anew, and found by the ids that the data gave them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ddcore.seeds import generator

from .batch import Graph
from .sparse import Sparse

__all__ = ["Part"]

SPARSE = 0.1
"""Features of which fewer than this part are not zero are multiplied as a sparse matrix."""


@dataclass
class Part:
    """N of the data's nodes and the edges between them."""

    x: Tensor  # (N, d)
    edges: Tensor  # (2, E)
    weights: Tensor | None  # (E,)
    y: Tensor  # (N,) -1: unlabelled
    position: Tensor  # (ids,) where the node of an id is, -1: not here

    def batch(self, ids: Sequence[int]) -> Graph:
        """The whole part, asked for the nodes `ids`."""
        rows = self.position[torch.as_tensor(ids, dtype=torch.long, device=self.x.device)]
        return Graph(self.x, rows, self.y[rows], None, self.edges, self.weights, memo=self._memo)

    @cached_property
    def _memo(self) -> dict[str, Any]:
        """What batches of this part share."""
        mostly_zero = int((self.x != 0).sum()) < SPARSE * self.x.numel()
        return {"sparse x": ((self.x,), Sparse.of_dense(self.x))} if mostly_zero else {}

    def induced(self, ids: Sequence[int]) -> Part:
        """The subgraph of the nodes `ids`, in that order."""
        nodes = self.position[torch.tensor(list(dict.fromkeys(ids)), dtype=torch.long, device=self.x.device)]
        new = torch.full_like(self.y, -1)
        new[nodes] = torch.arange(len(nodes), device=nodes.device)
        edges = new[self.edges]
        there = (edges >= 0).all(0)
        weights = None if self.weights is None else self.weights[there]
        position = torch.where(self.position >= 0, new[self.position.clamp_min(0)], -1)
        return Part(self.x[nodes], edges[:, there], weights, self.y[nodes], position)

    def drawn(self, ids: Sequence[int], fanout: Sequence[int], rng: random.Random) -> Graph:
        """The nodes `ids`, at most fanout[0] of what has an edge to each of them, at most fanout[1] of what has an edge to
        those that are new, and so on. Degrees are those of what was drawn."""
        g = generator(rng)
        rows = self.position[torch.as_tensor(ids, dtype=torch.long, device=self.x.device)]
        frontier = nodes = rows.unique()
        seen = torch.zeros(len(self.x), dtype=torch.bool, device=rows.device)
        seen[nodes] = True
        found = []
        for k in fanout:
            kept = self._into(frontier, k, g)
            found.append(kept)
            frontier = self.edges[0, kept].unique()
            frontier = frontier[~seen[frontier]]
            seen[frontier] = True
            nodes = torch.cat([nodes, frontier])
        chosen = torch.cat(found)
        new = torch.full_like(self.y, -1)
        new[nodes] = torch.arange(len(nodes), device=nodes.device)
        weights = None if self.weights is None else self.weights[chosen]
        return Graph(self.x[nodes], new[rows], self.y[rows], None, new[self.edges[:, chosen]], weights)

    def _into(self, nodes: Tensor, k: int, g: torch.Generator) -> Tensor:  # (n,) -> (at most n * k,)
        """Numbers of edges that end in the nodes, at most k each."""
        start, order = self._by_target
        degree = start[nodes + 1] - start[nodes]
        which = torch.repeat_interleave(degree)  # (E',) of the node that an edge ends in, its place in `nodes`
        place = torch.arange(len(which), device=which.device) - (degree.cumsum(0) - degree)[which]
        key = torch.rand(len(which), generator=g, dtype=torch.float64).to(which.device)
        shuffled = (which + key).argsort()  # within each node
        return order[(start[nodes][which] + place)[shuffled[place < k]]]

    @cached_property
    def _by_target(self) -> tuple[Tensor, Tensor]:  # (N + 1,), (E,): edges sorted by where they end
        order = self.edges[1].argsort(stable=True)
        counts = torch.bincount(self.edges[1], minlength=len(self.x))
        return torch.cat([counts.new_zeros(1), counts.cumsum(0)]), order

    def to(self, device: torch.device) -> Part:
        """The same on `device`."""
        weights = None if self.weights is None else self.weights.to(device)
        return Part(self.x.to(device), self.edges.to(device), weights, self.y.to(device), self.position.to(device))
