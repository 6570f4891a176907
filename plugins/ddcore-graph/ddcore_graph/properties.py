"""What kind of graph it is: how dense, how homophilous, and its spectrum."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .batch import normalised_dense

__all__ = ["properties"]


def properties(a: Tensor, y: Tensor) -> Mapping[str, float]:  # (N, N) without self loops, (N,) -1: unlabelled
    r"""Of a dense graph:

    - `density`: pairs of nodes with an edge, of all pairs;
    - `homophily`: of the weight of edges between labelled nodes the part that is within a class; NaN without such edges;
    - `gap`: the second smallest eigenvalue of I - D^{-1/2} A D^{-1/2}, 0 where the graph falls apart;
    - `top`: the largest one, 2 where it is bipartite.
    """
    n, a = len(a), (a + a.T) / 2
    labelled = a * ((y >= 0)[:, None] & (y >= 0))
    spectrum = torch.linalg.eigvalsh(torch.diag((a.sum(1) > 0).double()) - normalised_dense(a.double(), "symmetric"))
    return {
        "density": float((a != 0).sum()) / max(n * (n - 1), 1),
        "homophily": float((labelled * (y[:, None] == y)).sum() / labelled.sum()),
        "gap": float(spectrum[1].clamp_min(0)) if n > 1 else 0.0,
        "top": float(spectrum[-1]),
    }
