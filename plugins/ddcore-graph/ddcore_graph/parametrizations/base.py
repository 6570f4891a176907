"""Condensed graphs: learned features, labels, and a structure that a subclass says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Self

import torch
from torch import Tensor, nn

from ddcore import labels as kinds
from ddcore.labels import LabelKind, Labels
from ddcore.parametrizations import Synthetic
from ddcore.problem import Problem

from ..batch import Graph

__all__ = ["CondensedGraph"]


class CondensedGraph(Synthetic[Graph]):
    """N' nodes with features `x` and labels. A subclass writes `adjacency`, and with it what of the structure is stored; a batch
    is the whole graph with the nodes that are asked for."""

    def __init__(
        self, counts: Mapping[int, int], x: Tensor, labels: Labels | None = None, step_size: float = 0.01
    ) -> None:
        super().__init__(counts, step_size)
        self.x = nn.Parameter(x.detach().clone())  # (N', d)
        y = torch.tensor([g for g, n in counts.items() for _ in range(n)], device=x.device)
        self.labels = labels or kinds.ids(y)

    def adjacency(self) -> Tensor | None:  # (N', N'), no self loops
        """The structure, differentiable in what is learned of it; None: no edges."""
        return None

    @property
    def label_kind(self) -> LabelKind:  # type: ignore[override]
        return self.labels.kind

    def take(self, ids: Sequence[int], rng: Random | None = None) -> Graph:
        rows = torch.tensor(list(ids), dtype=torch.long, device=self.x.device)
        return Graph(self.x, rows, *self.labels.rows(ids), adj=self.adjacency())

    def learn_labels(self, kind: LabelKind, start: Tensor) -> Self:  # (N', k)
        make = {"probabilities": kinds.probabilities, "values": kinds.values}[kind]
        self.labels = make(start.detach().clone().to(self.x.dtype), learn=True).to(self.x.device)
        return self

    def stored(self) -> dict[str, Tensor]:
        return {name: t for name, t in super().stored().items() if name != "rows"}

    @classmethod
    def restored(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> tuple[dict[int, int], Tensor, Labels]:
        """(counts, x, labels) of what `stored` and `config` describe."""
        kind: LabelKind = config["labels"]
        return dict(config["counts"]), tensors["x"], Labels(kind, tensors["values" if kind == "values" else "y"])

    @classmethod
    def restore(
        cls, problem: Problem[Graph], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> CondensedGraph:
        return cls(*cls.restored(config, tensors))
