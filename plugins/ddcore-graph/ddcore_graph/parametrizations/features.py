"""Features only: nodes without edges, what GCond-X, SFGC and the core's generic methods learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import torch

from ddcore.seeds import generator

from ..batch import Graph
from .base import CondensedGraph

__all__ = ["FeaturesOnly", "features_only"]


class FeaturesOnly(CondensedGraph):
    """A' = 0, so A' + I is the identity. No node sees another, so a batch holds just the nodes that are asked for."""

    parametrization = "graph/features"

    def take(self, ids: Sequence[int], rng: Random | None = None) -> Graph:
        return Graph(self.x[list(ids)], torch.arange(len(ids), device=self.x.device), *self.labels.rows(ids))


def features_only(d: int, counts: Mapping[int, int], start: Graph | None, rng: Random) -> FeaturesOnly:
    """From the features of the start's target nodes, or from standard normal noise."""
    if start is not None:
        return FeaturesOnly(counts, start.x[start.rows])
    return FeaturesOnly(counts, torch.randn(sum(counts.values()), d, generator=generator(rng)))
