"""Edges in closed form from how features express each other: GCSR's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ddcore.labels import Labels

from .dense import DenseGraph

__all__ = ["SelfExpressiveGraph", "reconstruction"]


class SelfExpressiveGraph(DenseGraph):
    r"""X' free; Z = argmin |X'^T - X'^T Z|^2 + \alpha |Z - P|^2 + \beta |Z - Q|^2 and A' = (|Z| + |Z|^T) / 2, without loops,
    which networks bring. P starts as what classes have of each other's edges, Q as I; after each update both move towards A'."""

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (N, d)
        p: Tensor,  # (N, N)
        labels: Labels | None = None,
        *,
        alpha: float = 1.0,
        beta: float = 1.0,
        tau: float = 0.99,
        gamma: float = 0.5,
    ) -> None:
        super().__init__(counts, x, x.new_zeros(0, 0), labels)
        self.alpha, self.beta, self.tau, self.gamma = alpha, beta, tau, gamma
        self.p: Tensor
        self.q: Tensor
        self.register_buffer("p", p.detach().clone())
        self.register_buffer("q", torch.eye(len(x), dtype=x.dtype, device=x.device))

    def adjacency(self) -> Tensor:
        a = self._symmetric()
        return a - torch.diag(a.diagonal())

    def _symmetric(self) -> Tensor:
        z = reconstruction(self.x, self.p, self.q, self.alpha, self.beta).abs()
        return (z + z.T) / 2

    @torch.no_grad()
    def project(self) -> None:
        """The moving averages."""
        a = self._symmetric()
        self.p.lerp_(a, 1 - self.tau)
        self.q.lerp_(a, 1 - self.gamma)


def reconstruction(
    x: Tensor, p: Tensor, q: Tensor, alpha: float, beta: float
) -> Tensor:  # (N, d), (N, N) x 2 -> (N, N)
    r"""Z = (X X^T + (\alpha + \beta) I)^{-1} (X X^T + \alpha P + \beta Q) (GCSR, eq. 8)."""
    gram = x @ x.T
    eye = torch.eye(len(x), dtype=x.dtype, device=x.device)
    z: Tensor = torch.linalg.solve(gram + (alpha + beta) * eye, gram + alpha * p + beta * q)
    return z
