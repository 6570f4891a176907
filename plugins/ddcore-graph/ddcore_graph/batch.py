"""A batch of node classification: a graph, and the nodes that predictions are asked of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .sparse import Sparse, constants

__all__ = ["Graph", "Norm", "incoming", "normalised", "normalised_dense"]
T = TypeVar("T")

Norm = Literal["gcn", "symmetric", "mean", "sum"]
r"""What a product with the adjacency A is made of, where D has the row sums of what it norms:
`gcn`: D^{-1/2} (A + I) D^{-1/2};  `symmetric`: D^{-1/2} A D^{-1/2};  `mean`: D^{-1} A;  `sum`: A."""


@dataclass(frozen=True)
class Graph:
    """N nodes and their edges. A graph has `edges` (a real one, sparse) or `adj` (a synthetic one, dense), or neither: then no
    node sees another. Entry (i, j) of the adjacency is the weight of the edge from j to i. Without self loops: networks bring
    their own. Predictions and labels are of the nodes `rows`, in that order."""

    x: Tensor  # (N, d)
    rows: Tensor  # (n,) positions of target nodes
    y: Tensor | None = None  # (n,) class ids, or (n, k) probabilities
    values: Tensor | None = None  # (n, k)
    edges: Tensor | None = None  # (2, E) from, to; an undirected edge has both directions, none comes twice
    weights: Tensor | None = None  # (E,) all one where None
    adj: Tensor | None = None  # (N, N)
    memo: dict[str, tuple[tuple[Any, ...], Any]] = field(default_factory=dict, repr=False, compare=False)
    """What was computed of constant structure before. Batches of one real graph share it."""

    def propagate(self, h: Tensor, norm: Norm = "gcn") -> Tensor:  # (N, d)
        """The normed adjacency times h: twice differentiable in h, in `adj` and in `weights`."""
        if self.adj is not None:
            return self.adjacency(norm) @ h
        if self.edges is None:
            return h if norm == "gcn" else torch.zeros_like(h)
        if self.weights is not None and self.weights.requires_grad:
            (source, target), w = normalised(self.edges, self.weights, len(self.x), norm)
            return incoming(w[:, None] * F.embedding(source, h), target, len(self.x))
        return self.matrix(norm) @ h

    def adjacency(self, norm: Norm) -> Tensor:  # (N, N)
        """The normed adjacency of a dense graph."""
        assert self.adj is not None, "a graph with `adj`"
        a = self.adj
        return self._once(f"dense {norm}", lambda: normalised_dense(a, norm), a)

    def matrix(self, norm: Norm) -> Sparse:  # (N, N)
        """The normed adjacency of a sparse graph with constant weights."""
        assert self.edges is not None, "a graph with `edges`"
        edges, weights, n = self.edges, self.weights, len(self.x)

        def make() -> Sparse:
            (source, target), w = normalised(edges, weights, n, norm, self.x.dtype)
            return Sparse.of(target, source, w, (n, n))

        return self._once(f"sparse {norm}", make, edges, weights)

    def hops(self, k: int) -> Tensor:  # (N, d)
        """x after k GCN-normed propagations: of a real graph, computed once."""

        def make() -> Tensor:
            h = self.x
            for _ in range(k):
                h = self.propagate(h)
            return h

        return self._once(f"hops {k}", make, self.x, self.edges, self.weights, self.adj)

    def transform(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # (out, d), (out,) -> (N, out)
        """x times a layer's weights: of real features that are mostly zero, by those that are not."""
        known = self.memo.get("sparse x")
        if known is None or known[0][0] is not self.x:
            return F.linear(self.x, weight, bias)
        h: Tensor = known[1] @ weight.T
        return h if bias is None else h + bias

    def _once(self, name: str, make: Callable[[], T], *of: Tensor | None) -> T:
        """What `make` makes, remembered as long as it is of the same constant tensors."""
        if any(t is not None and t.requires_grad for t in of):
            return make()
        known = self.memo.get(name)
        if known is None or any(a is not b for a, b in zip(known[0], of, strict=True)):
            with constants():
                known = self.memo[name] = (of, make())
        found: T = known[1]
        return found


def incoming(messages: Tensor, target: Tensor, n: int) -> Tensor:  # (E, ...), (E,) -> (n, ...)
    """The sum of what arrives at each node."""
    return messages.new_zeros(n, *messages.shape[1:]).index_add(0, target, messages)


def normalised(
    edges: Tensor,  # (2, E)
    weights: Tensor | None,  # (E,)
    n: int,
    norm: Norm,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:  # (2, E'), (E',)
    """The entries of the normed adjacency; self loops come last where the norm has them."""
    w = torch.ones(edges.shape[1], dtype=dtype, device=edges.device) if weights is None else weights
    if norm == "gcn":
        loops = torch.arange(n, device=edges.device)
        edges, w = torch.cat([edges, loops.expand(2, n)], 1), torch.cat([w, w.new_ones(n)])
    if norm == "sum":
        return edges, w
    source, target = edges
    degree = incoming(w, target, n)
    if norm == "mean":
        return edges, w * _power(degree, -1).index_select(0, target)
    scale = _power(degree, -0.5)
    return edges, scale.index_select(0, target) * w * scale.index_select(0, source)


def normalised_dense(a: Tensor, norm: Norm) -> Tensor:  # (..., N, N)
    """The normed adjacency of one graph or of several."""
    if norm == "sum":
        return a
    if norm == "gcn":
        a = a + torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    degree = a.sum(-1)
    if norm == "mean":
        return _power(degree, -1)[..., None] * a
    scale = _power(degree, -0.5)
    return scale[..., None] * a * scale[..., None, :]


def _power(degree: Tensor, exponent: float) -> Tensor:  # (..., N)
    """degree^exponent, and 0 where there is no degree: the node stands alone."""
    there = degree > 0
    return torch.where(there, degree, 1).pow(exponent) * there
