"""What kind of graph it is: how dense, how homophilous, and its spectrum."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .batch import normalised_dense

__all__ = ["properties"]


def properties(a: Tensor, y: Tensor) -> Mapping[str, float]:  # (N, N) without self loops, (N,)
    r"""Of a dense graph:

    - `density`: pairs of nodes with an edge, of all pairs;
    - `homophily`: the part of the edges' weight that is between nodes of one class; NaN without edges;
    - `gap`: the second smallest eigenvalue of I - D^{-1/2} A D^{-1/2}, 0 where the graph falls apart;
    - `top`: the largest one, 2 where it is bipartite.
    """
    n, a = len(a), (a + a.T) / 2
    spectrum = torch.linalg.eigvalsh(torch.diag((a.sum(1) > 0).double()) - normalised_dense(a.double(), "symmetric"))
    return {
        "density": float((a != 0).sum()) / max(n * (n - 1), 1),
        "homophily": float((a * (y[:, None] == y)).sum() / a.sum()) if bool((a != 0).any()) else float("nan"),
        "gap": float(spectrum[1].clamp_min(0)) if n > 1 else 0.0,
        "top": float(spectrum[-1]),
    }
