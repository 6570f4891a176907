"""LightGCN."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor, nn

from ddcore.problem import Output

from ..users import Interactions
from .pairs import PairwiseModel

__all__ = ["LightGCN"]


class LightGCN(PairwiseModel):
    r"""Embeddings that spread over the graph of users and items, \bar E = \sum_l A^l E / (L + 1) with the symmetrically
    normalised adjacency, trained by pairs (He et al., SIGIR 2020). A user whom it was not trained on is one more node: what
    their items' averaged embeddings send them."""

    epochs = 30

    def __init__(self, items: int, dim: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.items = nn.Parameter(0.1 * torch.randn(items, dim))
        self.layers = layers
        self.register_buffer("averaged", self.items.detach().clone())  # (I, dim) after the last update
        self.register_buffer("degree", torch.ones(items))

    def start(self, rows: csr_array) -> list[nn.Parameter]:
        by_user, by_item = (np.asarray(rows.sum(axis)).ravel().clip(min=1e-12) for axis in (1, 0))
        coo = rows.tocoo()
        weight = coo.data / np.sqrt(by_user[coo.coords[0]] * by_item[coo.coords[1]])
        at = torch.from_numpy(np.stack(coo.coords).astype(np.int64))
        device = self.items.device
        adjacency = torch.sparse_coo_tensor(at, torch.from_numpy(weight).float(), coo.shape, check_invariants=False)
        self.adjacency = adjacency.coalesce().to(device)
        self.degree = torch.from_numpy(by_item).float().to(device)
        self.users = nn.Parameter(0.1 * torch.randn(rows.shape[0], self.items.shape[1]).to(device))
        return [self.items, self.users]

    def spread(self) -> tuple[Tensor, Tensor]:  # (U, dim), (I, dim)
        """The averaged embeddings of users and items."""
        u, i = self.users, self.items
        sum_u, sum_i = u, i
        for _ in range(self.layers):
            u, i = torch.sparse.mm(self.adjacency, i), torch.sparse.mm(self.adjacency.t(), u)
            sum_u, sum_i = sum_u + u, sum_i + i
        return sum_u / (self.layers + 1), sum_i / (self.layers + 1)

    def leads(self, user: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
        u, i = self.spread()
        return (F.embedding(user, u) * (F.embedding(chosen, i) - F.embedding(other, i))).sum(1)

    def finish(self) -> None:
        with torch.no_grad():
            self.averaged = self.spread()[1]
        del self.users, self.adjacency

    def forward(self, batch: Interactions) -> Output:
        """Scores (n, I), and the users' embeddings (n, dim) as features."""
        averaged, degree = self.get_buffer("averaged"), self.get_buffer("degree")
        u = F.normalize(batch.x / degree.clamp(min=1).sqrt(), dim=1) @ averaged
        return Output(u @ averaged.T, u)
