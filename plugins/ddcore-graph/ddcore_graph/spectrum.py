"""The spectrum of a real graph."""

from __future__ import annotations

import torch
from torch import Tensor

from ddcore.errors import NotSupported

from .batch import Graph, normalised

__all__ = ["laplacian_eigenpairs"]


def laplacian_eigenpairs(graph: Graph, smallest: int, largest: int) -> tuple[Tensor, Tensor]:  # (K,), (N, K)
    r"""Of L = I - \hat A: that many of the smallest eigenvalues and of the largest, ascending, and their eigenvectors.

    Raises NotSupported where edges have directions: L is not symmetric then.
    """
    import numpy as np
    import scipy.sparse as sp
    from scipy.sparse.linalg import eigsh

    assert graph.edges is not None, "a real graph"
    n = len(graph.x)
    (source, target), w = normalised(graph.edges.cpu(), graph.weights, n, "gcn", torch.float64)
    norm = sp.csr_matrix((w.cpu().numpy(), (target.cpu().numpy(), source.cpu().numpy())), (n, n))
    if abs(norm - norm.T).max() > 1e-9:
        raise NotSupported(
            "the edges of the graph have directions, and its Laplacian no eigenbasis: load it undirected"
        )
    if smallest + largest >= n - 1:
        values, vectors = np.linalg.eigh(np.eye(n) - norm.toarray())
        chosen = [*range(smallest), *range(max(n - largest, smallest), n)]
        return _tensors(values[chosen], vectors[:, chosen], graph.x)
    start = np.full(n, n**-0.5)
    found = [eigsh(norm, k, which=which, v0=start) for k, which in ((smallest, "LA"), (largest, "SA")) if k]
    values = 1 - np.concatenate([v for v, _ in found])
    order = values.argsort()
    return _tensors(values[order], np.concatenate([u for _, u in found], 1)[:, order], graph.x)


def _tensors(values, vectors, like: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
    return torch.tensor(values).to(like), torch.tensor(vectors.copy()).to(like)
