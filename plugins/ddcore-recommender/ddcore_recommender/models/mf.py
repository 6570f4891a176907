"""Matrix factorisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor, nn

from ddcore.problem import Output

from ..users import Interactions
from .pairs import PairwiseModel

__all__ = ["MF"]


class MF(PairwiseModel):
    """Scores p q^T + b, trained by pairs. A user whom it was not trained on is the normalised sum of their items' factors, which
    ranks like the factors of their own (0.330 and 0.323 nDCG@10 on val of recommender/imports)."""

    def __init__(self, items: int, dim: int = 64) -> None:
        super().__init__()
        self.items = nn.Parameter(0.1 * torch.randn(items, dim))
        self.bias = nn.Parameter(torch.zeros(items))

    def start(self, rows: csr_array) -> list[nn.Parameter]:
        self.users = nn.Parameter(0.1 * torch.randn(rows.shape[0], self.items.shape[1]).to(self.items.device))
        return [self.items, self.bias, self.users]

    def leads(self, user: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
        q = F.embedding(chosen, self.items) - F.embedding(other, self.items)
        b = self.bias.index_select(0, chosen) - self.bias.index_select(0, other)
        return (F.embedding(user, self.users) * q).sum(1) + b

    def finish(self) -> None:
        del self.users

    def forward(self, batch: Interactions) -> Output:
        """Scores (n, I), and the users' factors (n, dim) as features."""
        p = F.normalize(batch.x, dim=1) @ self.items
        return Output(p @ self.items.T + self.bias, p)
