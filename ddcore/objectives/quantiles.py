"""Quantile matching: each feature's values over synthetic rows are the quantiles of its values over real rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..loop import Run
from .features import FeatureMatching, Seen

__all__ = ["QuantileMatching", "quantile_distance", "quantiles"]


def quantiles(x: Tensor, k: int) -> Tensor:  # (n, d) -> (k, d)
    """The (2i - 1) / 2k quantiles of each column, i = 1 ... k: the k equally weighted points nearest to the column's
    distribution by the statistic of Cramér and von Mises. For k = n, the sorted column."""
    n = len(x)
    at = [-(-(2 * i - 1) * n // (2 * k)) - 1 for i in range(1, k + 1)]  # ceil((2i - 1) n / 2k), from 0
    return x.sort(0).values[torch.tensor(at, device=x.device)]


def quantile_distance(real: Tensor, fake: Tensor) -> Tensor:  # (n, d), (k, d) -> ()
    """Squared distance of sorted synthetic values from as many quantiles of the real ones: the mean over the rows, the sum over
    features."""
    return (quantiles(real, len(fake)) - fake.sort(0).values).square().mean(0).sum()


@dataclass(frozen=True)
class QuantileMatching(FeatureMatching):
    r"""LQM (Wei et al., CVPR Workshops 2024): \sum_g \sum_j mean_i ( Q_j((2i - 1) / 2k) - s_{(i) j} )^2, where Q_j is the
    quantile function of feature j over real rows, and s_{(i) j} its i-th smallest value over the k synthetic ones."""

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        (x,), (y,) = real, fake
        return quantile_distance(x, y)
