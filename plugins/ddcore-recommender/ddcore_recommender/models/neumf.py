"""NeuMF."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor, nn

from ddcore.problem import Output

from ..users import Interactions, dense
from .pairs import PairwiseModel

__all__ = ["NeuMF"]


class NeuMF(PairwiseModel):
    """A product and a multilayer perceptron side by side (He et al., WWW 2017). A user is the normalised sum of the embeddings
    of their history instead of an embedding of their own, so that it serves users whom it was not trained on; trained by
    pairs."""

    epochs = 20
    size = 1024

    def __init__(self, items: int, dim: int = 32, hidden: tuple[int, ...] = (32, 16)) -> None:
        super().__init__()
        self.history, self.product = (nn.Parameter(0.1 * torch.randn(items, 2 * dim)) for _ in range(2))
        self.first = nn.Linear(2 * dim, hidden[0])
        self.rest = nn.ModuleList(nn.Linear(a, b) for a, b in zip(hidden, hidden[1:], strict=False))
        self.last = nn.Linear(dim + hidden[-1], 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(items))
        self.dim = dim

    def start(self, rows: csr_array) -> list[nn.Parameter]:
        self.rows = rows
        return [p for p in self.parameters() if p.requires_grad]

    def users(self, x: Tensor) -> Tensor:  # (n, I) -> (n, 2 dim)
        """Their embeddings."""
        return F.normalize(x, dim=1) @ self.history

    def scores(self, user: Tensor, item: Tensor) -> Tensor:  # (n, 2 dim), (..., m, 2 dim) -> (n, m)
        """Of all pairs; the first layer is a sum of what either side gives."""
        d = self.dim
        w, b = self.first.weight, self.first.bias
        h = torch.relu(F.linear(user[:, d:], w[:, :d])[:, None] + F.linear(item[..., d:], w[:, d:], b))
        for layer in self.rest:
            h = torch.relu(layer(h))
        product = user[:, None, :d] * item[..., :d]
        found: Tensor = self.last(torch.cat([product, h], -1)).squeeze(-1)
        return found

    def leads(self, user: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
        some, place = user.unique(return_inverse=True)
        u = F.embedding(place, self.users(dense(self.rows[some.cpu().numpy()]).to(user.device)))
        s = self.scores(u, F.embedding(torch.stack([chosen, other], 1), self.product))  # (n, 2)
        return s[:, 0] - s[:, 1] + self.bias.index_select(0, chosen) - self.bias.index_select(0, other)

    def finish(self) -> None:
        del self.rows

    def forward(self, batch: Interactions) -> Output:
        """Scores (n, I), and the users' embeddings (n, 2 dim) as features."""
        u = self.users(batch.x)
        parts = [self.scores(part, self.product) for part in u.split(32)]
        return Output(torch.cat(parts) + self.bias, u)
