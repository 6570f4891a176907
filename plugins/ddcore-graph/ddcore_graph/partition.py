"""Condensing without training: classes are parted into clusters of propagated features, and a node stands for each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ddcore.kernels import ridge

__all__ = [
    "cosine_edges",
    "fuzzy_centres",
    "grown_centres",
    "k_means",
    "linear_scores",
    "mixed_hops",
    "underlying_features",
    "weighted_means",
]


def k_means(
    h: Tensor,  # (n, d)
    k: int,
    seed: int,
    starts: int = 10,
    start: Tensor | None = None,  # (k, d)
) -> tuple[Tensor, Tensor]:  # (k, d), (n,)
    """Centres and the cluster of each row: scikit-learn's k-means, the best of `starts`, or from the one that is given."""
    from sklearn.cluster import KMeans

    init: Any = {"n_init": starts} if start is None else {"n_init": 1, "init": start.double().cpu().numpy()}
    found = KMeans(k, random_state=seed, **init).fit(h.double().cpu().numpy())
    return torch.tensor(found.cluster_centers_).to(h), torch.tensor(found.labels_, device=h.device).long()


def grown_centres(old: Tensor, h: Tensor, k: int, rng: random.Random) -> Tensor:  # (j, d), (n, d) -> (k, d)
    """k centres from earlier ones: the first k of them, and rows where there are fewer, drawn in proportion to their squared
    distance from what is there already (k-means++ going on; GECC's evolving mode)."""
    centres = old[:k]
    while len(centres) < k:
        apart = torch.cdist(h, centres).amin(1).square().tolist()
        chosen = rng.choices(range(len(h)), apart if any(apart) else None)[0]
        centres = torch.cat([centres, h[chosen : chosen + 1]])
    return centres


def fuzzy_centres(
    h: Tensor,  # (n, d)
    centres: Tensor,  # (k, d) where it starts
    m: float = 1.3,
    rounds: int = 100,
) -> Tensor:  # (k, d)
    r"""Fuzzy c-means (Bezdek 1981): u_{ij} \propto \|h_i - c_j\|^{-2/(m-1)}, c_j the mean by u_{ij}^m, until it stands."""
    for _ in range(rounds):
        log_u = torch.log_softmax(-torch.cdist(h, centres).clamp_min(1e-12).log() * (2 / (m - 1)), 1)  # (n, k)
        w = (m * log_u).exp()
        new = (w.T @ h) / w.sum(0)[:, None].clamp_min(1e-30)
        if torch.allclose(new, centres, rtol=0, atol=1e-6 * float(h.abs().max())):
            return new
        centres = new
    return centres


def linear_scores(h: Tensor, y: Tensor, reg: float = 1e-4) -> Tensor:  # (n, d), (n, k) -> (n, k)
    """What least squares from features to one-hot rows says of these rows; in its dual, as nodes are fewer than features."""
    kernel = h @ h.T if len(h) <= h.shape[1] else None
    if kernel is not None:
        return kernel @ ridge(kernel, y, reg)
    gram = h.T @ h
    return h @ ridge(gram, h.T @ y, reg)


def weighted_means(h: Tensor, owner: Tensor, k: int, score: Tensor, temperature: float) -> Tensor:  # (k, d)
    """The mean of each of k clusters, its rows weighted by softmax(score / temperature)."""
    parts = [owner == j for j in range(k)]
    return torch.stack([(score[part] / temperature).softmax(0) @ h[part] for part in parts])


def cosine_edges(h: Tensor, threshold: float) -> Tensor:  # (n, d) -> (n, n)
    """Edges of weight one between rows whose cosine is above the threshold; no loops."""
    unit = torch.nn.functional.normalize(h)
    a = (unit @ unit.T > threshold).to(h)
    return a - torch.diag(a.diagonal())


def underlying_features(h: Tensor, adj: Tensor, hops: int, alpha: float) -> Tensor:  # (n, d), (n, n) -> (n, d)
    r"""X that gives h after `hops` propagations, as far as it can and stay smooth:

    argmin_X  \alpha \| Q X - h \|^2 + tr(X^T (I - \hat A) X),   Q = \hat A^hops
    """
    eye = torch.eye(len(adj), dtype=torch.float64, device=adj.device)
    a = adj.double() + eye
    scale = a.sum(1).rsqrt()
    norm = scale[:, None] * a * scale
    q = torch.linalg.matrix_power(norm, hops)
    found: Tensor = torch.linalg.solve(alpha * q.T @ q + eye - norm, alpha * q.T @ h.double())
    return found.to(h)


def mixed_hops(hops: Sequence[Tensor], weights: Sequence[float]) -> Tensor:  # (n, d) each
    """The weighted sum of what a node sees after 0, 1 ... propagations."""
    return sum((w * h for w, h in zip(weights, hops, strict=True)), torch.zeros_like(hops[0]))
