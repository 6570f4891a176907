"""GCN (Kipf and Welling, ICLR 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ddcore.problem import Output

from ..batch import Graph
from .layers import Convolution

__all__ = ["GCN"]


class GCN(nn.Module):
    """Graph convolutions with ReLU and dropout between them; the features are what the last one reads."""

    def __init__(self, d: int, classes: int, *, hidden: int = 256, depth: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        widths: Sequence[int] = [d, *[hidden] * (depth - 1), classes]
        self.layers = nn.ModuleList(Convolution(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.drop = nn.Dropout(dropout)

    def forward(self, batch: Graph) -> Output:
        h, seen = None, []
        for layer in list(self.layers)[:-1]:
            h = layer(batch, None if h is None else self.drop(h)).relu()
            seen.append(h[batch.rows])
        logits = self.layers[-1](batch, None if h is None else self.drop(h))[batch.rows]
        return Output(logits, seen[-1] if seen else batch.x[batch.rows], {"layers": tuple(seen)} if seen else {})
