"""Edges from coordinates and features together: SGDD's."""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ddcore.labels import Labels
from ddcore.seeds import torch_seeded

from .dense import DenseGraph
from .pair_mlp import symmetric

__all__ = ["GraphonGraph", "GraphonNet", "sinkhorn", "transport_distance"]


class GraphonNet(nn.Module):
    r"""M_ij = (1 - \rho) c_ij + \rho f_ij over the unit grid of node pairs: f from pairs of features, and c from the coordinates
    (i / N, j / N), scaled to [-1, 1], whose layers are multiplied by those of the features."""

    def __init__(self, d: int, hidden: int = 128, rho: float = 0.5) -> None:
        super().__init__()
        self.rho = rho
        self.own, self.other = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden)
        self.features = nn.ModuleList([nn.Linear(hidden, hidden), nn.Linear(hidden, 1)])
        self.coordinates = nn.ModuleList([nn.Linear(2, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)])

    def forward(self, x: Tensor) -> Tensor:  # (N, d) -> (N, N)
        n, axis = len(x), torch.linspace(-1, 1, len(x), dtype=x.dtype, device=x.device)
        f = (self.own(x)[:, None] + self.other(x)).relu()  # (N, N, h)
        grid = torch.stack([axis[:, None].expand(n, n), axis.expand(n, n)], -1)  # (N, N, 2)
        c = self.coordinates[0](grid).relu() * f
        g = self.features[0](f).relu()
        c = self.coordinates[1](c).relu() * g
        m: Tensor = (1 - self.rho) * self.coordinates[2](c) + self.rho * self.features[1](g)
        return m[..., 0]


class GraphonGraph(DenseGraph):
    """X' free, A' of a graphon, which is drawn to the real structure by optimal transport between the two Laplacians."""

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (N, d)
        real: Tensor,  # (m, m) adjacency of a part of the real graph
        rng: random.Random,
        labels: Labels | None = None,
        *,
        hidden: int = 128,
        rho: float = 0.5,
        weight: float = 1e-9,
    ) -> None:
        super().__init__(counts, x, x.new_zeros(0, 0), labels)
        self.weight = weight
        self.real: Tensor
        self.register_buffer("real", _laplacian(real).inverse())
        with torch_seeded(rng.getrandbits(63)):
            self.graphon = GraphonNet(x.shape[1], hidden, rho).to(x)
            self.plan = nn.Parameter(torch.rand(len(real), len(x)).to(x))  # (m, N) logarithms

    def adjacency(self) -> Tensor:
        return symmetric(self.graphon(self.x))

    def penalty(self) -> Tensor:
        """The distance of the structures."""
        l_inverse = _laplacian(self.adjacency()).inverse()
        return self.weight * transport_distance(self.real, l_inverse, sinkhorn(self.plan))


def _laplacian(a: Tensor) -> Tensor:  # (n, n)
    """D - A + I: of full rank."""
    laplacian: Tensor = torch.diag(a.sum(1) + 1) - a
    return laplacian


def sinkhorn(plan: Tensor, rounds: int = 10) -> Tensor:  # (m, n) -> the same
    """exp(plan) with rows that sum to n / m and columns that sum to one, as nearly as the rounds allow (Sinkhorn 1964)."""
    m, n = plan.shape
    for _ in range(rounds):
        plan = plan - plan.logsumexp(1, keepdim=True) + torch.tensor(n / m).log()
        plan = plan - plan.logsumexp(0, keepdim=True)
    return plan.exp()


def transport_distance(real: Tensor, fake: Tensor, plan: Tensor) -> Tensor:  # (m, m), (n, n), (m, n) -> ()
    r"""| m tr(K_y) - 2 tr (K_y^{1/2} P^T K_x P K_y^{1/2})^{1/2} | of the inverses K of the two Laplacians (SGDD, eq. 8)."""
    values, vectors = torch.linalg.eigh(fake)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    middle = torch.linalg.eigvalsh(root @ plan.T @ real @ plan @ root)
    positive = torch.where(middle > 1e-12, middle, 1.0).sqrt() * (middle > 1e-12)
    distance: Tensor = (len(real) * fake.trace() - 2 * positive.sum()).abs()
    return distance
