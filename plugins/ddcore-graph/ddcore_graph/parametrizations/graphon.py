"""Edges from coordinates and features together: SGDD's."""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ddcore.labels import Labels
from ddcore.seeds import torch_seeded

from .dense import DenseGraph
from .pair_mlp import PairMLP, symmetric

__all__ = ["GraphonGraph", "GraphonNet", "sinkhorn", "transport_distance"]


class GraphonNet(nn.Module):
    r"""M_ij = (1 - \rho) c_ij + \rho f_ij over the unit grid of node pairs: f of GCond's network on pairs of features, and c of
    one on the coordinates (i / N, j / N), scaled to [-1, 1], whose layers are multiplied by those of the features."""

    def __init__(self, d: int, hidden: int = 128, rho: float = 0.5) -> None:
        super().__init__()
        self.rho = rho
        self.features, self.coordinates = PairMLP(d, hidden), PairMLP(1, hidden)

    def forward(self, x: Tensor) -> Tensor:  # (N, d) -> (N, N)
        f, g, of_features = self.features.layers(x)
        axis = torch.linspace(-1, 1, len(x), dtype=x.dtype, device=x.device)
        of_places = self.coordinates.layers(axis[:, None], gates=(f, g))[-1]
        return (1 - self.rho) * of_places + self.rho * of_features


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
        degree: float | None = None,
    ) -> None:
        super().__init__(counts, x, x.new_zeros(0, 0), labels)
        self.weight = weight
        self.real: Tensor
        self.register_buffer("real", _laplacian(real).inverse())
        with torch_seeded(rng.getrandbits(63)):
            self.graphon = GraphonNet(x.shape[1], hidden, rho).to(x)
            self.plan = nn.Parameter(torch.rand(len(real), len(x)).to(x))  # (m, N) logarithms
        if degree is not None:
            self.graphon.features.begin(degree, len(x) - 1)
            self.graphon.coordinates.begin(degree, len(x) - 1)

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
    r"""| m tr(K_y) - 2 tr (K_y^{1/2} P^T K_x P K_y^{1/2})^{1/2} | of the inverses K of the two Laplacians (SGDD, eq. 8).

    With K = R R^T (Cholesky) the second trace is the sum of the singular values of R_x^T P R_y. Its slope is finite where
    eigenvalues repeat, as they do for nodes without edges and for nodes that are all alike; that of eigenvectors is not.
    """
    middle = torch.linalg.cholesky(real).T @ plan @ torch.linalg.cholesky(fake)
    distance: Tensor = (len(real) * fake.trace() - 2 * torch.linalg.svdvals(middle).sum()).abs()
    return distance
