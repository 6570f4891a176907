"""Several sparse adjacencies over one set of features: MSGC's."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ddcore.labels import Labels
from ddcore.problem import Problem
from ddcore.seeds import torch_seeded

from ..batch import Graph
from .base import CondensedGraph
from .pair_mlp import PairMLP

__all__ = ["SeveralGraphs", "WeightedEdges", "balanced_support"]


class SeveralGraphs(CondensedGraph):
    """X' with B structures: a batch is one of them, drawn, so that a training sees them all in turn. Here they are constants;
    a set that learns their weights writes `weighted`."""

    parametrization = "graph/several"

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (N, d)
        edges: Tensor,  # (2, E) of all structures, both directions
        which: Tensor,  # (E,) the structure of each edge, 0 .. B - 1
        weights: Tensor,  # (E,)
        labels: Labels | None = None,
        step_size: float = 0.01,
    ) -> None:
        super().__init__(counts, x, labels, step_size)
        for name, value in (("edges", edges), ("which", which), ("weights", weights)):
            self.register_buffer(name, value.detach().clone())
        self.edges: Tensor
        self.which: Tensor
        self.weights: Tensor

    def weighted(self, edges: Tensor, kept: Tensor) -> Tensor:  # (2, E'), (E,) -> (E',)
        """The weights of one structure's edges."""
        return self.weights[kept]

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Graph:
        """The nodes `ids` in the structure that `rng` draws, without it in the first."""
        b = rng.randrange(int(self.which.max()) + 1) if rng is not None and len(self.which) else 0
        kept = self.which == b
        edges, rows = self.edges[:, kept], torch.tensor(list(ids), dtype=torch.long, device=self.x.device)
        y, values = self.labels.rows(ids)
        return Graph(self.x, rows, y, values, edges, self.weighted(edges, kept))

    def stored(self) -> dict[str, Tensor]:
        weights = self.weights.clone()
        with torch.no_grad():
            for b in self.which.unique():
                kept = self.which == b
                weights[kept] = self.weighted(self.edges[:, kept], kept)
        found = {k: v for k, v in super().stored().items() if k not in ("edges", "weights")}
        return {**found, "edges": self.edges, "which": self.which, "weights": weights}

    @classmethod
    def restore(
        cls, problem: Problem[Graph], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> SeveralGraphs:
        """Whatever made the weights: they are constants now."""
        counts, x, labels = cls.restored(config, tensors)
        return SeveralGraphs(counts, x, tensors["edges"], tensors["which"], tensors["weights"], labels)


class WeightedEdges(SeveralGraphs):
    """The weights of given edges from pairs of features."""

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,
        edges: Tensor,
        which: Tensor,
        rng: random.Random,
        labels: Labels | None = None,
        *,
        hidden: int = 128,
        degree: float | None = None,
    ) -> None:
        super().__init__(counts, x, edges, which, torch.ones(len(which)), labels)
        with torch_seeded(rng.getrandbits(63)):
            self.pair = PairMLP(x.shape[1], hidden).to(x)
        if degree is not None:
            self.pair.begin(degree, len(which) / len(which.unique()) / len(x))

    def weighted(self, edges: Tensor, kept: Tensor) -> Tensor:
        both = torch.cat([edges, edges.flip(0)], 1)
        m = self.pair.along(self.x, both)
        return (m.view(2, -1).mean(0)).sigmoid()

    def structure(self) -> list[nn.Parameter]:
        """The weights' network."""
        return list(self.pair.parameters())

    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of any set, and "structure"."""
        structure, groups = self.structure(), super().param_groups()
        groups[0]["params"] = [p for p in groups[0]["params"] if all(p is not q for q in structure)]
        return [*groups, {"name": "structure", "params": structure}]

    def decoded(self, threshold: float = 0.0) -> SeveralGraphs:
        """The structures as they are, without edges whose weight is below the threshold."""
        found = self.stored()
        kept = found["weights"] >= threshold
        edges, which, weights = found["edges"][:, kept], found["which"][kept], found["weights"][kept]
        return SeveralGraphs(self.counts, self.x, edges, which, weights, self.labels)


def balanced_support(y: Sequence[int], number: int, rng: random.Random) -> tuple[Tensor, Tensor]:  # (2, E), (E,)
    """`number` sparse structures: in each of them every node has an edge to one node of each class (another than itself), the one
    that has the fewest so far, ties broken by lot. Both directions, none twice."""
    members = {c: [i for i, other in enumerate(y) if other == c] for c in sorted(set(y))}
    edges, which = list[tuple[int, int]](), list[int]()
    for b in range(number):
        degree, found = [0] * len(y), set[tuple[int, int]]()
        for i in rng.sample(range(len(y)), len(y)):
            for nodes in members.values():
                if others := [j for j in nodes if j != i]:
                    j = min(others, key=lambda j: (degree[j], rng.random()))
                    degree[i], degree[j] = degree[i] + 1, degree[j] + 1
                    found |= {(i, j), (j, i)}
        edges += sorted(found)
        which += [b] * len(found)
    return torch.tensor(edges, dtype=torch.long).reshape(-1, 2).T.contiguous(), torch.tensor(which, dtype=torch.long)
