"""Edges from pairs of features: GCond's."""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ddcore.labels import Labels
from ddcore.seeds import torch_seeded

from .condensed import CondensedSet

__all__ = ["PairMLP", "PairSet", "symmetric"]


class PairMLP(nn.Module):
    """M_ij = MLP([x_i ; x_j]) with three layers, BatchNorm over all pairs and ReLU between them, for all N^2 pairs.

    The first layer on a pair is W [x_i ; x_j] = W_1 x_i + W_2 x_j, two products of N rows instead of one of N^2; and what
    BatchNorm needs of it is known without the pairs: over a grid of sums the means and the variances add up.
    """

    def __init__(self, d: int, hidden: int = 128) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2 * d, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden, track_running_stats=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:  # (N, d) -> (N, N)
        own, other = (x @ w.T for w in self.first.weight.chunk(2, 1))  # (N, h) each; BatchNorm takes the bias out again
        own, other = own - own.mean(0), other - other.mean(0)
        scale = self.norms[0].weight * (own.square().mean(0) + other.square().mean(0) + self.norms[0].eps).rsqrt()
        pairs = (own * scale)[:, None] + (other * scale + self.norms[0].bias)  # (N, N, h)
        h = self.norms[1](self.second(pairs.relu().flatten(0, 1)))
        return self.last(h.relu()).view(len(x), len(x))


def symmetric(m: Tensor) -> Tensor:  # (N, N)
    r"""A = \sigma((M + M^T) / 2) with zero diagonal (GCond, eq. 7)."""
    a = ((m + m.T) / 2).sigmoid()
    return a - torch.diag(a.diagonal())


class PairSet(CondensedSet):
    """X' free, and A' a function of it."""

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (N, d)
        rng: random.Random,
        labels: Labels | None = None,
        *,
        hidden: int = 128,
    ) -> None:
        super().__init__(counts, x, x.new_zeros(0, 0), labels)
        with torch_seeded(rng.getrandbits(63)):
            self.pair = PairMLP(x.shape[1], hidden).to(x)

    def adjacency(self) -> Tensor:
        return symmetric(self.pair(self.x))
