"""Bayesian matching: the likelihood of the synthetic rows' mean feature under a normal law of the real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..loop import Run
from .classwise import ClasswiseMatching
from .features import Seen

__all__ = ["BayesianMatching", "negative_log_likelihood", "total_variation"]


def negative_log_likelihood(real: Tensor, fake: Tensor) -> Tensor:  # (n, d), (m, d) -> ()
    r"""-\sum_j log N( mean fake_j ; mean real_j, \sigma_j^2 ), with \sigma_j = exp(std real_j) as in the official code; one row
    has no spread."""
    log_sigma = real.std(0) if len(real) > 1 else torch.zeros_like(real[0])  # (d,)
    z = (fake.mean(0) - real.mean(0)) / log_sigma.exp()
    return (z.square() / 2 + log_sigma + math.log(2 * math.pi) / 2).sum()


def total_variation(real: Tensor, fake: Tensor) -> Tensor:  # (n, d), (m, d) -> ()
    """Half the absolute distance of the means."""
    return (fake.mean(0) - real.mean(0)).abs().sum() / 2


@dataclass(frozen=True)
class BayesianMatching(ClasswiseMatching):
    r"""BACON (Zhou et al. 2024), IDM with the distance -log p(S_g | T_g) + variation * TV(S_g, T_g): a likelihood and a bound on
    the prior. Real rows without spread have \sigma = 1, where the likelihood is half of IDM's distance and a constant."""

    variation: float = 0.8

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        (x,), (y,) = real, fake
        return negative_log_likelihood(x, y) + self.variation * total_variation(x, y)
