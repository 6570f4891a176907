"""LiteGNTK: the neural tangent kernel of a graph network with one ReLU, between whole graphs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.kernels.relu import arc_cosine

from ..graphs import Graphs

__all__ = ["LiteGNTK"]


@dataclass(frozen=True)
class LiteGNTK:
    r"""KiDD's kernel (Xu et al., KDD 2023, eq. 9 and 10): between all nodes of two graphs

        \Sigma = \hat A (X X'^T + c) \hat A'^T,   \Theta = \Sigma 2 E[relu' relu'] + 2 E[relu relu],

    then `layers` - 1 propagations without ReLU on either side, and the mean over pairs of nodes. No nonlinearity stands
    between the hops, so that \Sigma is a product of propagated features and nothing of the size of pairs of pairs appears.
    """

    layers: int = 5
    constant: float = 1e-4

    def __call__(self, a: Graphs, b: Graphs) -> Tensor:  # (n, m)
        """Between all graphs of both."""
        (h, u), (k, v) = (self._seen(batch) for batch in (a, b))  # (nodes, d + 1), (nodes,) of each side
        s = h @ k.T
        value, slope = arc_cosine(s, u[:, None], v)
        theta = s * 2 * slope + 2 * value  # (nodes of a, nodes of b)
        return self._read(b, self._read(a, theta).T).T

    def _seen(self, batch: Graphs) -> tuple[Tensor, Tensor]:
        """What each node sees of the features around it, the constant as one more; and its variance."""
        ones = batch.x.new_full((*batch.x.shape[:-1], 1), self.constant**0.5)
        h = batch.propagate(torch.cat([batch.x, ones], -1)).flatten(0, -2)
        return h, h.square().sum(1)

    def _read(self, batch: Graphs, theta: Tensor) -> Tensor:  # (nodes, m) -> (n, m)
        h = theta.view(*batch.x.shape[:-1], -1)
        for _ in range(self.layers - 1):
            h = batch.propagate(h)
        return batch.pool(h, "mean")
