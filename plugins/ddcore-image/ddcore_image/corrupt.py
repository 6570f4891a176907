"""What real images suffer: for robustness, in the manner of Hendrycks and Dietterich (2019)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import conv2d, pad

if TYPE_CHECKING:
    from ddcore.rows import Rows

__all__ = ["blur", "noise"]

DEVIATION = 0.5  # of the noise, where pixels have unit deviation
KERNEL = (1.0, 2.0, 1.0)  # a binomial approximation of a Gaussian


def noise(batch: Rows, seed: int) -> Rows:  # x: (n, c, h, w), normalised
    """Gaussian noise of half the deviation of a pixel, each image its own."""
    drawn = torch.randn(batch.x.shape, generator=torch.Generator().manual_seed(seed))
    return replace(batch, x=batch.x + DEVIATION * drawn.to(batch.x))


def blur(batch: Rows, seed: int) -> Rows:  # x: (n, c, h, w)
    """Each pixel the mean of its 3 x 3 neighbourhood with binomial weights; borders are repeated."""
    k = torch.tensor(KERNEL, dtype=batch.x.dtype, device=batch.x.device)
    weights = (k[:, None] * k / k.sum() ** 2).expand(batch.x.shape[1], 1, 3, 3)
    return replace(batch, x=conv2d(pad(batch.x, (1, 1, 1, 1), "replicate"), weights, groups=batch.x.shape[1]))
