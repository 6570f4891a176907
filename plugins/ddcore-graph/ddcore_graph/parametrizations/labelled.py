"""Labels of a condensed set, of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from ddcore import labels as kinds
from ddcore.labels import LabelKind, Labels
from ddcore.parametrizations import Synthetic

__all__ = ["LabelledSet"]
B = TypeVar("B")


class LabelledSet(Synthetic[B]):
    """Features `x`, rows first, with a label for each row: its group's class unless others are given."""

    def __init__(
        self, counts: Mapping[int, int], x: Tensor, labels: Labels | None = None, step_size: float = 0.01
    ) -> None:
        super().__init__(counts, step_size)
        self.x = nn.Parameter(x.detach().clone())  # (n, ...)
        y = torch.tensor([g for g, n in counts.items() for _ in range(n)], device=x.device)
        self.labels = labels or kinds.ids(y)

    @property
    def label_kind(self) -> LabelKind:  # type: ignore[override]
        return self.labels.kind

    def learn_labels(self, kind: LabelKind, start: Tensor) -> Self:  # (n, k)
        make = {"probabilities": kinds.probabilities, "values": kinds.values}[kind]
        self.labels = make(start.detach().clone().to(self.x.dtype), learn=True).to(self.x.device)
        return self

    @classmethod
    def restored(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> tuple[dict[int, int], Tensor, Labels]:
        """(counts, x, labels) of what `stored` and `config` describe."""
        kind: LabelKind = config["labels"]
        return dict(config["counts"]), tensors["x"], Labels(kind, tensors["values" if kind == "values" else "y"])
