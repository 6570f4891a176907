"""SGFormer (Wu et al., NeurIPS 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ddcore.problem import Output

from ..batch import Graph
from .layers import Convolution

__all__ = ["LinearAttention", "SGFormer"]


class LinearAttention(nn.Module):
    r"""All nodes attend to all, without the N^2 weights: with Q and K divided by their Frobenius norms,

    Z = D^{-1} (V + Q (K^T V) / N),   D = diag(1 + Q (K^T 1) / N)   (SGFormer, eq. 3)
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, h: Tensor) -> Tensor:  # (N, d) -> the same
        q, k, v = self.query(h), self.key(h), self.value(h)
        q, k = q / q.norm(), k / k.norm()
        z: Tensor = (v + q @ (k.T @ v) / len(h)) / (1 + q @ k.sum(0)[:, None] / len(h))
        return z


class SGFormer(nn.Module):
    r"""Linear attention over the batch's nodes, \alpha Z + (1 - \alpha) Z_0, beside a GCN, whose part of the sum of both is
    `graph_weight`. One layer of attention with LayerNorm before and after it, and two of the GCN."""

    def __init__(
        self,
        d: int,
        classes: int,
        *,
        hidden: int = 256,
        alpha: float = 0.5,
        graph_weight: float = 0.8,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.alpha, self.graph_weight = alpha, graph_weight
        self.inward, self.attention = nn.Linear(d, hidden), LinearAttention(hidden)
        self.before, self.after = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.first, self.second = Convolution(d, hidden), Convolution(hidden, hidden)
        self.head, self.drop = nn.Linear(hidden, classes), nn.Dropout(dropout)

    def forward(self, batch: Graph) -> Output:
        start = self.drop(self.before(batch.transform(self.inward.weight, self.inward.bias)).relu())
        seen = self.drop(self.after(self.alpha * self.attention(start) + (1 - self.alpha) * start))
        near = self.second(batch, self.drop(self.first(batch).relu()))
        h = torch.lerp(seen, near, self.graph_weight)[batch.rows]
        return Output(self.head(h), h)
