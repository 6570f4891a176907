"""Edges from an eigenbasis: GDEM's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ddcore.labels import Labels
from ddcore.seeds import generator, stream

from .dense import DenseGraph

__all__ = ["EigenGraph", "block_model_basis"]


class EigenGraph(DenseGraph):
    r"""X' and eigenvectors U' free, eigenvalues \lambda of the real Laplacian: \hat A' = I - U' diag(\lambda) U'^T.

    Networks norm what they are given, so the graph is the A' whose norm that is: with \hat A = D^{-1/2} (A + I) D^{-1/2} the
    diagonal is 1 / D_i, and A_ij = \hat A_ij / sqrt(\hat A_ii \hat A_jj). Negative entries, which no graph has, are 0.
    """

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (N, d)
        u: Tensor,  # (N, K)
        eigenvalues: Tensor,  # (K,) in [0, 2]
        labels: Labels | None = None,
    ) -> None:
        super().__init__(counts, x, x.new_zeros(0, 0), labels)
        self.u = nn.Parameter(u.detach().clone())
        self.eigenvalues: Tensor
        self.register_buffer("eigenvalues", eigenvalues.detach().clone())

    def normed(self) -> Tensor:  # (N, N)
        r"""\hat A'."""
        eye = torch.eye(len(self.u), dtype=self.u.dtype, device=self.u.device)
        a: Tensor = eye - self.u * self.eigenvalues @ self.u.T
        return a

    def adjacency(self) -> Tensor:
        a = self.normed()
        scale = a.diagonal().clamp_min(1 / len(a)).rsqrt()
        a = (scale[:, None] * a * scale).clamp_min(0)
        return a - torch.diag(a.diagonal())


def block_model_basis(counts: Mapping[int, int], k: int, seed: int) -> Tensor:  # (N, k)
    """Eigenvectors of the normed Laplacian of a stochastic block model with p_in = 1 / C and p_out = p_in / 3, of the smallest
    eigenvalues first: where GDEM's basis starts."""
    y = torch.tensor([g for g, n in counts.items() for _ in range(n)])
    inside = 1 / len(counts)
    p = torch.where(y[:, None] == y, inside, inside / 3)
    a = (torch.rand(len(y), len(y), generator=generator(stream(seed, "block model"))) < p).double().triu(1)
    a = a + a.T + torch.eye(len(y), dtype=torch.float64)
    scale = a.sum(1).rsqrt()
    basis: Tensor = torch.linalg.eigh(torch.eye(len(y)).double() - scale[:, None] * a * scale).eigenvectors
    return basis[:, :k].float()
