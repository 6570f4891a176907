"""MLP: every node by itself."""

from __future__ import annotations

from torch import nn

from ddcore.problem import Output

from ..batch import Graph
from . import layers

__all__ = ["MLP"]


class MLP(nn.Module):
    """Two layers that see no edges: what the features alone are worth."""

    def __init__(self, d: int, classes: int, *, hidden: int = 256, dropout: float = 0.5) -> None:
        super().__init__()
        self.mlp = layers.MLP(d, hidden, classes, dropout)

    def forward(self, batch: Graph) -> Output:
        h, logits = self.mlp(batch)
        return Output(logits[batch.rows], h[batch.rows])
