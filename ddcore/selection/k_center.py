"""Greedy k-center."""

from __future__ import annotations

import random

import torch
from torch import Tensor

__all__ = ["k_center"]


def k_center(features: Tensor, k: int, rng: random.Random) -> list[int]:  # (n, d)
    """Farthest-first traversal (Sener and Savarese 2018), from the row nearest to the mean: each pick is the row farthest
    from all earlier ones."""
    picked = [int((features - features.mean(0)).norm(dim=1).argmin())]
    nearest = (features - features[picked[0]]).norm(dim=1)  # (n,) to the closest pick
    while len(picked) < k:
        nearest[picked[-1]] = -1.0  # never again, not even where the rest are duplicates at distance 0
        picked.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (features - features[picked[-1]]).norm(dim=1))
    return picked
