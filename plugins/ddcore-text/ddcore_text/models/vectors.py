"""Heads on sentence vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from ddcore.problem import Output

if TYPE_CHECKING:
    from ddcore.rows import Rows

__all__ = ["MLP", "Linear"]


class Linear(nn.Module):
    """A linear classifier; its features are the vectors."""

    def __init__(self, d: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(d, classes)

    def forward(self, batch: Rows) -> Output:  # batch.x: (n, d)
        return Output(self.classifier(batch.x), batch.x)


class MLP(nn.Module):
    """Two hidden layers of ReLU."""

    def __init__(self, d: int, classes: int, *, hidden: int = 128) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(d, hidden), nn.Linear(hidden, hidden)
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, batch: Rows) -> Output:  # batch.x: (n, d)
        a = F.relu(self.first(batch.x))
        b = F.relu(self.second(a))
        return Output(self.classifier(b), b, {"layers": (a, b)})
