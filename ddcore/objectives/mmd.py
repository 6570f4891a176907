"""Kernel matching: the maximum mean discrepancy of real and synthetic features, in all moments that the kernel sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..loop import Run
from .features import FeatureMatching, Seen

__all__ = ["KERNELS", "Kernel", "KernelMatching", "gaussian", "linear", "mmd2"]

Kernel = Literal["gaussian", "linear"]


def mmd2(x: Tensor, y: Tensor, k: Callable[[Tensor, Tensor], Tensor]) -> Tensor:  # (n, d), (m, d) -> ()
    """mean k(x, x') - 2 mean k(x, y) + mean k(y, y'), over all pairs of rows (Gretton et al. 2012, eq. 5)."""
    return k(x, x).mean() - 2 * k(x, y).mean() + k(y, y).mean()


def squared_distances(x: Tensor, y: Tensor) -> Tensor:  # (n, d), (m, d) -> (n, m)
    """Of every row of x from every row of y."""
    d2: Tensor = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    return d2.clamp_min(0)


def linear(real: Tensor) -> Callable[[Tensor, Tensor], Tensor]:  # (n, d)
    """k(x, y) = x . y, whose MMD^2 is the squared distance of the means: DM."""
    return lambda x, y: x @ y.T


def gaussian(real: Tensor) -> Callable[[Tensor, Tensor], Tensor]:  # (n, d)
    r"""k(x, y) = \sigma^2 exp(-||x - y||^2 / 2 \sigma^2), where \sigma is the median distance between real rows. By the factor
    \sigma^2 a wide kernel is the linear one, with its gradients. Real rows of which most are one, to a millionth of their mean
    square, have no such distance: \sigma is 1 there."""
    d2 = squared_distances(real, real)
    pairs = d2[~torch.eye(len(real), dtype=torch.bool, device=real.device)]
    variance = pairs.median() if len(pairs) else d2.new_zeros(())
    variance = torch.where(variance > 1e-6 * real.square().sum(1).mean(), variance, 1.0)
    return lambda x, y: variance * torch.exp(-squared_distances(x, y) / (2 * variance))


KERNELS: Mapping[Kernel, Callable[[Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "gaussian": gaussian,
    "linear": linear,
}


@dataclass(frozen=True)
class KernelMatching(FeatureMatching):
    r"""M3D (Zhang et al., AAAI 2024, eq. 8): \sum_g MMD_k^2( \phi(A_\omega(T_g)), \phi(A_\omega(S_g)) )."""

    kernel: Kernel = "gaussian"

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        (x,), (y,) = real, fake
        return mmd2(x, y, KERNELS[self.kernel](x))
