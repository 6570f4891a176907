"""DeepFM, and its deep part alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ddcore.problem import Output

from ..clicks import Clicks

__all__ = ["DNN", "DeepFM"]


class DNN(nn.Module):
    """Embeddings of the fields side by side, two hidden layers. Weights of a field's values become the mean of their
    embeddings."""

    def __init__(self, sizes: Sequence[int], dim: int = 16, hidden: int = 64) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.values = nn.Parameter(0.1 * torch.randn(sum(sizes), dim))
        fields = len(self.sizes) * dim
        self.deep = nn.Sequential(nn.Linear(fields, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.click = nn.Linear(hidden, 1)
        starts = [sum(self.sizes[:f]) for f in range(len(self.sizes))]
        self.register_buffer("starts", torch.tensor(starts), persistent=False)

    def read(self, x: Tensor, table: Tensor) -> Tensor:  # (n, F) or (n, V), (V, d) -> (n, F, d)
        """The table's rows of the values, or their means by the weights."""
        if not x.is_floating_point():
            return table[x + self.get_buffer("starts")]
        parts = zip(x.split(self.sizes, 1), table.split(self.sizes), strict=True)
        return torch.stack([weights @ rows for weights, rows in parts], 1)

    def forward(self, batch: Clicks) -> Output:
        """Logits (n, 2) of no click and click, and the deep features (n, hidden)."""
        embedded = self.read(batch.x, self.values)
        features = self.deep(embedded.flatten(1))
        score = self.click(features)[:, 0] + self.shallow(batch, embedded)
        return Output(torch.stack([torch.zeros_like(score), score], 1), features)

    def shallow(self, batch: Clicks, embedded: Tensor) -> Tensor:  # (n, F, d) -> (n,)
        """What stands beside the deep part: nothing."""
        return torch.zeros_like(embedded[:, 0, 0])


class DeepFM(DNN):
    """A factorisation machine beside the deep part, on the same embeddings (Guo et al., IJCAI 2017)."""

    def __init__(self, sizes: Sequence[int], dim: int = 16, hidden: int = 64) -> None:
        super().__init__(sizes, dim, hidden)
        self.linear = nn.Parameter(torch.zeros(sum(self.sizes), 1))

    def shallow(self, batch: Clicks, embedded: Tensor) -> Tensor:
        """Weights of single values, and the products of all pairs of embeddings."""
        pairs = 0.5 * (embedded.sum(1).square() - embedded.square().sum(1)).sum(1)
        return self.read(batch.x, self.linear).sum((1, 2)) + pairs
