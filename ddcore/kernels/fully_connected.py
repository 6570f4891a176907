"""Fully connected networks of infinite width."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .relu import Affine, Kind, Pair, relu

__all__ = ["FullyConnected"]


@dataclass(frozen=True)
class FullyConnected:
    """`depth` hidden ReLU layers and a linear readout. The defaults are KIP's (Nguyen et al., ICLR 2021, and their code)."""

    depth: int = 1
    kind: Kind = "ntk"
    affine: Affine = Affine()

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:  # (n, d), (m, d) -> (n, m)
        """The kernel between all rows of x and of z."""
        inputs, d = x @ z.T, x.shape[1]
        k = self.affine(Pair(inputs / d, torch.zeros_like(inputs)))  # no layer below has weights
        u, v = ((self.affine.variance(rows.square().mean(1))) for rows in (x, z))  # (n,), (m,)
        for _ in range(self.depth):
            k = self.affine(relu(k, u[:, None], v))
            u, v = self.affine.variance(u / 2), self.affine.variance(v / 2)  # E[relu(a)^2] is half a's variance
        return k.ntk if self.kind == "ntk" else k.nngp
