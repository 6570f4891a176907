"""A batch of graph classification: several graphs, and a prediction for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .batch import Norm, incoming, normalised, normalised_dense
from .sparse import Sparse, constants

__all__ = ["Graphs", "Pooling"]

Pooling = Literal["mean", "sum"]


@dataclass(frozen=True)
class Graphs:
    """n graphs. Real ones are sparse: the nodes of one after those of another, `edges` between them, `graph` saying whose a node
    is. Synthetic ones are dense and of one size s: `adj`, and `mask` where not all of the nodes are there. Without self loops;
    entry (i, j) of an adjacency is the weight of the edge from j to i."""

    x: Tensor  # sparse (N, d); dense (n, s, d)
    y: Tensor | None = None  # (n,) class ids, or (n, k) probabilities
    values: Tensor | None = None  # (n, k)
    edges: Tensor | None = None  # (2, E) from, to
    graph: Tensor | None = None  # (N,) 0 .. n - 1, in order
    adj: Tensor | None = None  # (n, s, s)
    mask: Tensor | None = None  # (n, s) True where there is a node
    memo: dict[Norm, tuple[Tensor, Sparse]] = field(default_factory=dict, repr=False, compare=False)
    """The normed adjacency of sparse graphs, which all layers multiply with."""

    def __len__(self) -> int:
        """How many graphs there are."""
        label = self.y if self.y is not None else self.values
        assert label is not None, "a batch carries y or values"
        return len(label)

    def transform(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # (out, d), (out,)
        """x times a layer's weights."""
        return F.linear(self.x, weight, bias)

    def propagate(self, h: Tensor, norm: Norm = "gcn") -> Tensor:  # sparse (N, d); dense (n, s, d)
        """The normed adjacency of each graph times its part of h."""
        if self.adj is not None:
            return normalised_dense(self.adj, norm) @ h
        assert self.edges is not None, "graphs with `edges` or `adj`"
        known = self.memo.get(norm)
        if known is None or known[0] is not self.edges:
            n = len(self.x)
            with constants():
                (source, target), w = normalised(self.edges, None, n, norm, h.dtype)
                known = self.memo[norm] = (self.edges, Sparse.of(target, source, w, (n, n)))
        return known[1] @ h

    def pool(self, h: Tensor, how: Pooling) -> Tensor:  # -> (n, d)
        """The mean or the sum over the nodes of each graph."""
        if self.adj is not None:
            there = h.new_ones(h.shape[:2]) if self.mask is None else self.mask.to(h.dtype)
            total, count = (there[..., None] * h).sum(1), there.sum(1)
        else:
            assert self.graph is not None, "graphs with `graph` or `adj`"
            total = incoming(h, self.graph, len(self))
            count = torch.bincount(self.graph, minlength=len(self)).to(h.dtype)
        return total / count.clamp_min(1)[:, None] if how == "mean" else total

    def present(self, h: Tensor) -> Tensor:  # -> (nodes, d)
        """The rows of the nodes that are there."""
        if self.adj is None:
            return h
        return h.flatten(0, 1) if self.mask is None else h[self.mask]

    def put_back(self, rows: Tensor) -> Tensor:  # (nodes, d)
        """What `present` took apart, with zeros where there is no node."""
        if self.adj is None:
            return rows
        n, s = self.x.shape[:2]
        if self.mask is None:
            return rows.view(n, s, -1)
        return rows.new_zeros(n, s, rows.shape[1]).index_put((self.mask,), rows)
