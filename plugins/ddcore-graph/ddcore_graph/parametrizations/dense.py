"""Features and a dense adjacency: what every parametrization with edges is stored as, whatever they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ddcore.labels import Labels
from ddcore.problem import Problem

from ..batch import Graph
from .base import CondensedGraph

__all__ = ["DenseGraph"]


class DenseGraph(CondensedGraph):
    """A condensed graph (A', X', Y'). Here A' is a constant; a set that learns it writes `adjacency`, and is stored as the graph
    that it makes, which is read without its decoder."""

    parametrization = "graph/dense"

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (N, d), group-major
        adj: Tensor,  # (N, N), zero diagonal
        labels: Labels | None = None,
        step_size: float = 0.01,
    ) -> None:
        super().__init__(counts, x, labels, step_size)
        self.adj: Tensor
        self.register_buffer("adj", adj.detach().clone())

    def adjacency(self) -> Tensor:  # (N, N)
        return self.adj

    def structure(self) -> list[nn.Parameter]:
        """What is learned of A', beside the features."""
        known = ("x", "log_step_size")
        return [p for n, p in self.named_parameters() if n not in known and not n.startswith("labels.")]

    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of any set, and "structure"."""
        structure = [p for p in self.structure() if p.requires_grad]
        groups = super().param_groups()
        for group in groups:
            group["params"] = [p for p in group["params"] if all(p is not q for q in structure)]
        if structure:
            groups.append({"name": "structure", "params": structure})
        return [group for group in groups if group["params"]]

    @torch.no_grad()
    def decoded(self, threshold: float = 0.0) -> DenseGraph:
        """The graph as it is, without edges whose weight is below the threshold."""
        a = self.adjacency()
        return DenseGraph(self.counts, self.x, a * (a >= threshold), self.labels)

    @classmethod
    def restore(cls, problem: Problem[Graph], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> DenseGraph:
        """Whatever made the graph: it is a constant now."""
        counts, x, labels = cls.restored(config, tensors)
        return DenseGraph(counts, x, tensors["adj"], labels)
