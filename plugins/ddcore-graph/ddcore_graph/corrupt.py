"""What a graph may suffer between training and use: features and edges that are missing."""

from __future__ import annotations

from dataclasses import replace

import torch

from .batch import Graph

__all__ = ["dropped_edges", "dropped_features"]

PART = 0.2  # of the entries, or of the edges


def dropped_features(batch: Graph, seed: int) -> Graph:
    """A fifth of the entries of x are zero."""
    kept = torch.rand(batch.x.shape, generator=torch.Generator().manual_seed(seed)) >= PART
    return replace(batch, x=batch.x * kept.to(batch.x), memo={})


def dropped_edges(batch: Graph, seed: int) -> Graph:
    """A fifth of the edges of a sparse graph are not there; an undirected edge goes in both directions."""
    if batch.edges is None:
        return batch
    low, high = batch.edges.min(0).values.cpu(), batch.edges.max(0).values.cpu()
    pairs, pair = torch.unique(low * len(batch.x) + high, return_inverse=True)
    kept = (torch.rand(len(pairs), generator=torch.Generator().manual_seed(seed)) >= PART)[pair].to(batch.edges.device)
    weights = None if batch.weights is None else batch.weights[kept]
    return replace(batch, edges=batch.edges[:, kept], weights=weights, memo={})
