"""GIN (Xu et al., ICLR 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ddcore.problem import Output

from ..batch import Graph
from ..graphs import Graphs

__all__ = ["GIN", "Isomorphism"]


class Isomorphism(nn.Module):
    """MLP((1 + eps) h + sum of the neighbours' h), eps learned from 0. The first layer of the MLP goes before the sum, which is
    the same and cheaper."""

    def __init__(self, d: int, hidden: int, out: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(d, hidden), nn.Linear(hidden, out)
        self.eps = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Graph | Graphs, h: Tensor | None = None) -> Tensor:  # (N, d) -> (N, out)
        z = batch.transform(self.first.weight) if h is None else h @ self.first.weight.T
        out: Tensor = self.second(((1 + self.eps) * z + batch.propagate(z, "sum") + self.first.bias).relu())
        return out


class GIN(nn.Module):
    """Two layers with ReLU and dropout between them."""

    def __init__(self, d: int, classes: int, *, hidden: int = 256, dropout: float = 0.5) -> None:
        super().__init__()
        self.first, self.second = Isomorphism(d, hidden, hidden), Isomorphism(hidden, hidden, classes)
        self.drop = nn.Dropout(dropout)

    def forward(self, batch: Graph) -> Output:
        h = self.first(batch).relu()
        return Output(self.second(batch, self.drop(h))[batch.rows], h[batch.rows])
