"""What a layer does to a kernel: the ReLU's Gaussian expectations and an affine layer's sum, for NNGP and NTK together."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Affine", "Kind", "Pair", "arc_cosine", "relu"]

Kind = Literal["ntk", "nngp"]


@dataclass(frozen=True)
class Pair:
    """The two kernels between all pairs of rows at some depth, of one shape."""

    nngp: Tensor  # (n, m, ...)
    ntk: Tensor  # (n, m, ...)


def arc_cosine(s: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    r"""E[relu(a) relu(b)] and E[relu'(a) relu'(b)] for Gaussian a, b of variances u, v and covariance s:

        (\sin t + (\pi - t) \cos t) \sqrt{uv} / 2\pi    and    (\pi - t) / 2\pi,    \cos t = s / \sqrt{uv}

    (Cho and Saul, NeurIPS 2009, orders 1 and 0). The shapes broadcast. At t = 0 or \pi the angle's derivative, which has a kink
    there, is taken as 0.
    """
    uv = u * v
    gap = uv - s.square()  # uv sin^2 t
    apart = gap > 4 * torch.finfo(s.dtype).eps * uv
    height = torch.where(apart, gap, 1.0).sqrt() * apart  # sqrt(uv) sin t
    t = torch.atan2(height, s)
    return (height + (pi - t) * s) / (2 * pi), (pi - t) / (2 * pi)


def relu(k: Pair, u: Tensor, v: Tensor) -> Pair:
    """After the activation; u and v are the variances of either side, which broadcast against the pairs."""
    value, slope = arc_cosine(k.nngp, u, v)
    return Pair(value, slope * k.ntk)


@dataclass(frozen=True)
class Affine:
    r"""y = \sigma_w W x / \sqrt{fan-in} + \sigma_b b with standard normal W and b, all trained (the NTK parametrization; Jacot et
    al., NeurIPS 2018)."""

    weight: float = 2.0  # sigma_w^2
    bias: float = 0.01  # sigma_b^2

    def __call__(self, k: Pair) -> Pair:
        """The kernels of the outputs from those of what a neuron reads, summed over the fan-in and divided by it."""
        nngp = self.weight * k.nngp + self.bias
        return Pair(nngp, nngp + self.weight * k.ntk)

    def variance(self, q: Tensor) -> Tensor:
        """Of the outputs."""
        return self.weight * q + self.bias
