"""ChebNet (Defferrard et al., NeurIPS 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ddcore.problem import Output

from ..batch import Graph

__all__ = ["ChebNet", "Chebyshev"]


class Chebyshev(nn.Module):
    r"""\sum_k T_k(L~) h W_k, where L~ = 2 L / \lambda_max - I with \lambda_max = 2, so L~ = -D^{-1/2} A D^{-1/2}."""

    def __init__(self, d: int, out: int, order: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([nn.init.xavier_uniform_(torch.empty(out, d)) for _ in range(order)]))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, batch: Graph, h: Tensor | None = None) -> Tensor:  # (N, d) -> (N, out)
        """By Clenshaw's recurrence b_k = h W_k + 2 L~ b_{k+1} - b_{k+2}, so that what is propagated is as wide as the result."""
        first = second = None
        for k in reversed(range(len(self.weight))):
            z = batch.transform(self.weight[k]) if h is None else h @ self.weight[k].T
            if first is not None:
                z = z - (2 if k else 1) * batch.propagate(first, "symmetric")
            if second is not None:
                z = z - second
            first, second = z, first
        assert first is not None, "order is at least 1"
        return first + self.bias


class ChebNet(nn.Module):
    """Two Chebyshev layers with ReLU and dropout between them."""

    def __init__(self, d: int, classes: int, *, hidden: int = 256, order: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        self.first, self.second = Chebyshev(d, hidden, order), Chebyshev(hidden, classes, order)
        self.drop = nn.Dropout(dropout)

    def forward(self, batch: Graph) -> Output:
        h = self.first(batch).relu()
        return Output(self.second(batch, self.drop(h))[batch.rows], h[batch.rows])
