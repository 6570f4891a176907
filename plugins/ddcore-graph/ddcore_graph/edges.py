"""Edges as the plugin keeps them: no self loops, none twice, both directions where undirected."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["tidied"]


def tidied(
    source: Any,  # (E,) numbers of nodes
    target: Any,  # (E,)
    n: int,
    weights: Any = None,  # (E,)
    *,
    directed: bool = False,
) -> tuple[Tensor, Tensor | None]:  # (2, E'), (E',)
    """The edges between n nodes without self loops and repeats, sorted by target; both directions unless `directed`.

    Of an edge that comes several times, or in both directions with unlike weights, the largest weight counts.
    """
    edges = torch.stack([torch.as_tensor(source).long(), torch.as_tensor(target).long()])
    w = None if weights is None else torch.as_tensor(weights).float()
    other = edges[0] != edges[1]
    edges, w = edges[:, other], None if w is None else w[other]
    if not directed:
        edges, w = torch.cat([edges, edges.flip(0)], 1), None if w is None else torch.cat([w, w])
    key, which = (edges[1] * n + edges[0]).unique(return_inverse=True)
    if w is not None:
        w = w.new_full((len(key),), -torch.inf).scatter_reduce(0, which, w, "amax")
    return torch.stack([key % n, key // n]), w
