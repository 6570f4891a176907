"""K-means representatives."""

from __future__ import annotations

import random

import torch
from torch import Tensor

__all__ = ["k_means"]


def k_means(features: Tensor, k: int, rng: random.Random, rounds: int = 50) -> list[int]:  # (n, d)
    """The rows nearest to the k centres of Lloyd's algorithm, started by k-means++ (Arthur and Vassilvitskii 2007); no row
    stands for two centres."""
    centres = _plus_plus(features, k, rng)
    for _ in range(rounds):
        owner = torch.cdist(features, centres).argmin(1)  # (n,)
        moved = torch.stack([features[owner == j].mean(0) if (owner == j).any() else centres[j] for j in range(k)])
        if torch.equal(moved, centres):
            break
        centres = moved
    distance, picked = torch.cdist(centres, features), []  # (k, n)
    for j in range(k):
        picked.append(int(distance[j].argmin()))
        distance[:, picked[-1]] = torch.inf
    return picked


def _plus_plus(features: Tensor, k: int, rng: random.Random) -> Tensor:  # (k, d)
    rows = [rng.randrange(len(features))]
    nearest = (features - features[rows[0]]).square().sum(1)  # (n,)
    while len(rows) < k:
        weights = nearest.tolist()
        rows.append(rng.choices(range(len(features)), weights)[0] if sum(weights) > 0 else rng.randrange(len(features)))
        nearest = torch.minimum(nearest, (features - features[rows[-1]]).square().sum(1))
    return features[rows]
