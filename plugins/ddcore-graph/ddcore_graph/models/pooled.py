"""Networks of whole graphs: layers on nodes, then the mean or the sum over each graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ddcore.problem import Output

from ..graphs import Graphs, Pooling
from .gin import Isomorphism
from .layers import Convolution

__all__ = ["NodeNorm", "PooledGCN", "PooledGIN", "PooledMLP"]


class NodeNorm(nn.BatchNorm1d):
    """Batch normalisation over the nodes that are there."""

    def forward(self, batch: Graphs, h: Tensor) -> Tensor:  # type: ignore[override]
        return batch.put_back(super().forward(batch.present(h)))


class PooledGCN(nn.Module):
    """GCN layers with ReLU, pooled; the features are what the linear classifier reads (DosCond's: 3 layers of 128, mean)."""

    def __init__(
        self,
        d: int,
        classes: int,
        *,
        hidden: int = 128,
        depth: int = 3,
        pooling: Pooling = "mean",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Convolution(d if i == 0 else hidden, hidden) for i in range(depth))
        self.head, self.drop, self.pooling = nn.Linear(hidden, classes), nn.Dropout(dropout), pooling

    def forward(self, batch: Graphs) -> Output:
        h, seen = batch.x, []
        for layer in self.layers:
            h = self.drop(layer(batch, h).relu())
            seen.append(batch.pool(h, self.pooling))
        return Output(self.head(seen[-1]), seen[-1], {"layers": tuple(seen)})


class PooledGIN(nn.Module):
    """GIN (Xu et al., ICLR 2019): every layer's pooled nodes are features. Five layers of 64 with batch normalisation, summed."""

    def __init__(
        self, d: int, classes: int, *, hidden: int = 64, depth: int = 5, pooling: Pooling = "sum", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Isomorphism(d if i == 0 else hidden, hidden, hidden) for i in range(depth))
        self.norms = nn.ModuleList(NodeNorm(hidden) for _ in range(depth))
        self.head, self.drop, self.pooling = nn.Linear(hidden * depth, classes), nn.Dropout(dropout), pooling

    def forward(self, batch: Graphs) -> Output:
        h, seen = batch.x, []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = self.drop(norm(batch, layer(batch, h)).relu())
            seen.append(batch.pool(h, self.pooling))
        features = torch.cat(seen, 1)
        return Output(self.head(features), features, {"layers": tuple(seen)})


class PooledMLP(nn.Module):
    """Two layers on every node by itself, pooled: what the nodes are worth without their edges."""

    def __init__(self, d: int, classes: int, *, hidden: int = 128, pooling: Pooling = "mean") -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.head, self.pooling = nn.Linear(hidden, classes), pooling

    def forward(self, batch: Graphs) -> Output:
        h = batch.pool(self.body(batch.x), self.pooling)
        return Output(self.head(h), h)
