"""Eigenbasis matching: a graph is what its eigenvectors see of the features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.loop import Run
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import B, Problem

from ..data import NodeData
from ..parametrizations.eigenbasis import EigenGraph

__all__ = ["EigenbasisMatching", "directions_apart"]


@dataclass(frozen=True)
class EigenbasisMatching:
    r"""GDEM (Liu et al., ICML 2024, eq. 7 to 10), for the real eigenvectors u_k and the set's u'_k:

        \alpha mean_k \| P(X^T u_k) - P(X'^T u'_k) \|_F^2  +  \beta mean (cos(H_c, H'_{c'}) - [c = c'])^2
        + \gamma mean (U'^T U' - I)^2

    P(v) = v v^T / |v|^2 projects onto v, so that the first distance is 2 - 2 cos^2 of two vectors and no (d, d) matrix is built;
    H_c is a class's mean of \hat A X as the eigenvectors have it.
    """

    u: Tensor  # (N, K) of the real graph
    alpha: float = 1.0
    beta: float = 1e-5
    gamma: float = 1.0

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        assert isinstance(synthetic, EigenGraph)
        assert isinstance(problem.data, NodeData)
        part, u, low = problem.data.part("train"), self.u, 1 - synthetic.eigenvalues
        seen = u.T @ part.x  # (K, d)
        groups = list(synthetic.counts)
        rows = [part.position[torch.tensor(problem.data.ids(g), device=u.device)] for g in groups]
        want = torch.stack([(u[r] * low).mean(0) @ seen for r in rows])  # (C, d)
        eye = torch.eye(u.shape[1], dtype=u.dtype, device=u.device)
        while True:
            run.boundary()
            fake = synthetic.u.T @ synthetic.x
            means = [synthetic.u[synthetic.ids(g)].mean(0) * low @ fake for g in groups]
            alike = F.normalize(want) @ F.normalize(torch.stack(means)).T  # (C, C)
            basis = directions_apart(seen, fake).mean()
            classes = (alike - torch.eye(len(groups)).to(alike)).square().mean()
            orthogonal = (synthetic.u.T @ synthetic.u - eye).square().mean()
            yield self.alpha * basis + self.beta * classes + self.gamma * orthogonal


def directions_apart(a: Tensor, b: Tensor) -> Tensor:  # (K, d), (K, d) -> (K,)
    """Squared distance of the projections onto the rows, whatever their signs and lengths."""
    return 2 - 2 * F.cosine_similarity(a, b, dim=1).square()
