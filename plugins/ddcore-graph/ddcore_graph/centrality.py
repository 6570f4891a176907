"""How central nodes are."""

from __future__ import annotations

import torch
from torch import Tensor

from .batch import incoming, normalised
from .part import Part

__all__ = ["degrees", "pagerank"]


def degrees(part: Part) -> Tensor:  # (N,)
    """The weights of what has an edge to each node, summed."""
    n = len(part.x)
    (_, target), w = normalised(part.edges, part.weights, n, "sum", part.x.dtype)
    return incoming(w, target, n)


def pagerank(part: Part, damping: float = 0.85, tolerance: float = 1e-6) -> Tensor:  # (N,), sums to one
    """How often a walk is at each node that follows an edge, or with probability 1 - damping, and where it has no edge to follow,
    starts anew anywhere (Brin and Page 1998). Ends when N * tolerance is not exceeded by what an iteration changes in all."""
    n = len(part.x)
    (source, target), w = normalised(part.edges, part.weights, n, "sum")
    w = w.double()
    out = incoming(w, source, n)
    share = w / out[source]
    rank = torch.full_like(out, 1 / n)
    while True:
        lost = rank[out == 0].sum()
        new = damping * (incoming(share * rank[source], target, n) + lost / n) + (1 - damping) / n
        if float((new - rank).abs().sum()) < n * tolerance:
            return new
        rank = new
