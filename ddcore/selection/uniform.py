"""Random selection."""

from __future__ import annotations

import random

from torch import Tensor

__all__ = ["uniform"]


def uniform(features: Tensor, k: int, rng: random.Random) -> list[int]:  # (n, d)
    """k rows, uniformly, without replacement."""
    return rng.sample(range(len(features)), k)
