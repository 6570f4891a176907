"""Edges from pairs of features: GCond's."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcore.labels import Labels
from ddcore.seeds import torch_seeded

from .dense import DenseGraph

__all__ = ["PairMLP", "PairGraph", "symmetric"]


class PairMLP(nn.Module):
    """M_ij = MLP([x_i ; x_j]) with three layers, BatchNorm over all pairs and ReLU between them, for all N^2 pairs.

    The first layer on a pair is W [x_i ; x_j] = W_1 x_i + W_2 x_j, two products of N rows instead of one of N^2; and what
    BatchNorm needs of it is known without the pairs: over a grid of sums the means and the variances add up.
    """

    def __init__(self, d: int, hidden: int = 128) -> None:
        super().__init__()
        self.first = nn.Linear(2 * d, hidden, bias=False)  # BatchNorm takes a bias out again
        self.second, self.last = nn.Linear(hidden, hidden, bias=False), nn.Linear(hidden, 1)
        self.after_first = nn.BatchNorm1d(hidden, track_running_stats=False)
        self.after_second = nn.BatchNorm1d(hidden, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:  # (N, d) -> (N, N)
        return self.layers(x)[-1]

    def layers(self, x: Tensor, gates: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """What each of the three layers makes of all pairs, (N, N, h) twice and (N, N); `gates` multiply the first two."""
        n = len(x)
        own, other = (x @ w.T for w in self.first.weight.chunk(2, 1))  # (N, h) each
        own, other = own - own.mean(0), other - other.mean(0)
        norm = self.after_first
        scale = norm.weight * (own.square().mean(0) + other.square().mean(0) + norm.eps).rsqrt()
        f = ((own * scale)[:, None] + (other * scale + norm.bias)).relu()
        f = f if gates is None else f * gates[0]
        g = self.after_second(self.second(f.flatten(0, 1))).relu().view(n, n, -1)
        g = g if gates is None else g * gates[1]
        return f, g, self.last(g)[..., 0]

    def begin(self, degree: float, neighbours: float) -> None:
        """Lets a node's edges to so many neighbours weigh about `degree` together, and each of them a half at most."""
        weight = min(degree / max(neighbours, 1), 0.5)
        nn.init.constant_(self.last.bias, math.log(weight / (1 - weight)))

    def along(self, x: Tensor, edges: Tensor) -> Tensor:  # (N, d), (2, E) -> (E,)
        """M of some pairs; BatchNorm is over these."""
        own, other = (x @ w.T for w in self.first.weight.chunk(2, 1))
        pairs = self.after_first(F.embedding(edges[0], own) + F.embedding(edges[1], other))
        m: Tensor = self.last(self.after_second(self.second(pairs.relu())).relu())[:, 0]
        return m


def symmetric(m: Tensor) -> Tensor:  # (N, N)
    r"""A = \sigma((M + M^T) / 2) with zero diagonal (GCond, eq. 7)."""
    a = ((m + m.T) / 2).sigmoid()
    return a - torch.diag(a.diagonal())


class PairGraph(DenseGraph):
    """X' free, and A' a function of it. By itself the network starts with weights about a half, so that every node sees the mean
    of all; with `degree` the edges of a node start with that weight together, where its own loop has 1."""

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (N, d)
        rng: random.Random,
        labels: Labels | None = None,
        *,
        hidden: int = 128,
        degree: float | None = None,
    ) -> None:
        super().__init__(counts, x, x.new_zeros(0, 0), labels)
        with torch_seeded(rng.getrandbits(63)):
            self.pair = PairMLP(x.shape[1], hidden).to(x)
        if degree is not None:
            self.pair.begin(degree, len(x) - 1)

    def adjacency(self) -> Tensor:
        return symmetric(self.pair(self.x))
