"""Features and edges: what every parametrization with edges is stored as, whatever they are made of."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ddcore.labels import Labels
from ddcore.problem import Problem

from ..batch import Graph
from .features import FeatureSet, reopened_labels

__all__ = ["CondensedSet"]


class CondensedSet(FeatureSet):
    """A condensed graph (A', X', Y'). Here A' is a constant; a set that learns it writes `adjacency`, and is stored as what it
    makes: the decoder is not needed any more."""

    parametrization = "graph/condensed"

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (N, d), group-major
        adj: Tensor,  # (N, N), non-negative, zero diagonal
        labels: Labels | None = None,
        step_size: float = 0.01,
    ) -> None:
        super().__init__(counts, x, labels, step_size)
        self.adj: Tensor
        self.register_buffer("adj", adj.detach().clone())

    def adjacency(self) -> Tensor:  # (N, N)
        """A', differentiable in what is learned of it."""
        return self.adj

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Graph:
        """The whole condensed graph, with the target nodes `ids`."""
        return self.labelled(Graph(self.x, torch.tensor(ids, device=self.x.device), adj=self.adjacency()), ids)

    def structure(self) -> list[nn.Parameter]:
        """What A' is made of, beside the features."""
        return [
            p for n, p in self.named_parameters() if n not in ("x", "log_step_size") and not n.startswith("labels.")
        ]

    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of any set, and "structure"."""
        structure = self.structure()
        groups = super().param_groups()
        groups[0]["params"] = [p for p in groups[0]["params"] if all(p is not q for q in structure)]
        learned = [p for p in structure if p.requires_grad]
        return [*groups, *([{"name": "structure", "params": learned}] if learned else [])]

    @torch.no_grad()
    def decoded(self, threshold: float = 0.0) -> CondensedSet:
        """The graph as it is, without edges whose weight is below the threshold."""
        a = self.adjacency()
        made = CondensedSet(self.counts, self.x, a * (a >= threshold), self.labels)
        made.log_step_size = self.log_step_size
        return made

    @classmethod
    def restore(cls, problem: Problem[Graph], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> CondensedSet:
        """What reads the graph needs no decoder, so that any set with edges is reopened as this one."""
        return CondensedSet(dict(config["counts"]), tensors["x"], tensors["adj"], reopened_labels(config, tensors))
