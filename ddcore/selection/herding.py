"""Herding."""

from __future__ import annotations

import random

import torch
from torch import Tensor

__all__ = ["herding"]


def herding(features: Tensor, k: int, rng: random.Random) -> list[int]:  # (n, d)
    """Greedily the row that brings the mean of those picked closest to the mean of all (Welling 2009; Rebuffi et al. 2017,
    iCaRL, algorithm 4)."""
    mean, total, picked = features.mean(0), torch.zeros_like(features[0]), []
    free = torch.ones(len(features), dtype=torch.bool, device=features.device)
    for t in range(1, k + 1):
        distance = (mean - (total + features) / t).norm(dim=1)  # (n,)
        best = int(distance.masked_fill(~free, torch.inf).argmin())
        picked.append(best)
        free[best] = False
        total = total + features[best]
    return picked
