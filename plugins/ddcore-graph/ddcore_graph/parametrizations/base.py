"""Condensed graphs: learned features, labels, and a structure that a subclass says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from ddcore.problem import Problem

from ..batch import Graph
from .labelled import LabelledSet

__all__ = ["CondensedGraph"]


class CondensedGraph(LabelledSet[Graph]):
    """N' nodes with features `x`, (N', d), and labels. A subclass writes `adjacency`, and with it what of the structure is
    stored; a batch is the whole graph with the nodes that are asked for."""

    def adjacency(self) -> Tensor | None:  # (N', N'), no self loops
        """The structure, differentiable in what is learned of it; None: no edges."""
        return None

    def take(self, ids: Sequence[int], rng: Random | None = None) -> Graph:
        rows = torch.tensor(list(ids), dtype=torch.long, device=self.x.device)
        return Graph(self.x, rows, *self.labels.rows(ids), adj=self.adjacency())

    def stored(self) -> dict[str, Tensor]:
        return {name: t for name, t in super().stored().items() if name != "rows"}

    @classmethod
    def restore(
        cls, problem: Problem[Graph], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> CondensedGraph:
        return cls(*cls.restored(config, tensors))
