"""APPNP (Gasteiger et al., ICLR 2019) and GPR-GNN (Chien et al., ICLR 2021): predict, then propagate."""

from __future__ import annotations

import torch
from torch import nn

from ddcore.problem import Output

from ..batch import Graph
from .layers import MLP

__all__ = ["APPNP", "GPRGNN"]


class APPNP(nn.Module):
    """An MLP's predictions, spread by personalised PageRank: z <- (1 - alpha) A_hat z + alpha z_0, `hops` times."""

    def __init__(
        self, d: int, classes: int, *, hidden: int = 256, hops: int = 10, alpha: float = 0.1, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.mlp, self.hops, self.alpha = MLP(d, hidden, classes, dropout), hops, alpha

    def forward(self, batch: Graph) -> Output:
        h, start = self.mlp(batch)
        z = start
        for _ in range(self.hops):
            z = (1 - self.alpha) * batch.propagate(z) + self.alpha * start
        return Output(z[batch.rows], h[batch.rows])


class GPRGNN(nn.Module):
    r"""An MLP's predictions, spread with learned weights: \sum_k \gamma_k A_hat^k z, which start as PageRank's."""

    def __init__(
        self, d: int, classes: int, *, hidden: int = 256, hops: int = 10, alpha: float = 0.1, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.mlp = MLP(d, hidden, classes, dropout)
        gamma = alpha * (1 - alpha) ** torch.arange(hops + 1.0)
        gamma[-1] = (1 - alpha) ** hops
        self.gamma = nn.Parameter(gamma)

    def forward(self, batch: Graph) -> Output:
        h, z = self.mlp(batch)
        total = self.gamma[0] * z
        for weight in self.gamma[1:]:
            z = batch.propagate(z)
            total = total + weight * z
        return Output(total[batch.rows], h[batch.rows])
