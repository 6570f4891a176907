"""What graph networks are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..batch import Graph, Norm
from ..graphs import Graphs

__all__ = ["Convolution", "MLP"]


class Convolution(nn.Module):
    """GCN's layer (Kipf and Welling 2017, eq. 2): A_hat h W + b. Both start uniform within 1 / sqrt(d), as in GCond's code."""

    def __init__(self, d: int, out: int, norm: Norm = "gcn") -> None:
        super().__init__()
        self.norm: Norm = norm
        self.weight = nn.Parameter(nn.init.uniform_(torch.empty(out, d), -(d**-0.5), d**-0.5))
        self.bias = nn.Parameter(nn.init.uniform_(torch.empty(out), -(d**-0.5), d**-0.5))

    def forward(
        self, batch: Graph | Graphs, h: Tensor | None = None
    ) -> Tensor:  # (N, d) -> (N, out); None: the graph's x
        z = batch.transform(self.weight) if h is None else h @ self.weight.T
        return batch.propagate(z, self.norm) + self.bias


class MLP(nn.Module):
    """Two layers and a ReLU of every node by itself; dropout between them."""

    def __init__(self, d: int, hidden: int, out: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second, self.drop = nn.Linear(d, hidden), nn.Linear(hidden, out), nn.Dropout(dropout)

    def forward(self, batch: Graph) -> tuple[Tensor, Tensor]:  # (N, hidden), (N, out)
        h = batch.transform(self.first.weight, self.first.bias).relu()
        return h, self.second(self.drop(h))
