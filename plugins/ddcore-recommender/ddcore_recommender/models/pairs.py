"""Training by pairs of items: matrix factorisation, LightGCN and NeuMF learn from what a user chose and what not."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor, nn

from ddcore.parametrizations.base import Synthetic
from ddcore.problem import Problem

from ..users import Interactions, sparse_rows

__all__ = ["PairwiseModel", "draw_pairs"]


def draw_pairs(rows: csr_array, n: int, g: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """n triples (user, chosen item, other item) and their weights: the chosen one in proportion to its weight, the other
    uniform over all items, the weight their difference where it is positive. Of 0s and 1s these are BPR's triples; a fake
    user's weights between say how sure a preference is."""
    ends = np.cumsum(rows.data, dtype=np.float64)
    at = np.searchsorted(ends, g.random(n) * ends[-1], side="right").clip(max=rows.nnz - 1)
    user = np.searchsorted(rows.indptr, at, side="right") - 1
    chosen, other = rows.indices[at], g.integers(rows.shape[1], size=n)
    lead = 1 - np.asarray(rows[user, other]).ravel() / rows.data[at]
    found = (torch.from_numpy(np.asarray(x)) for x in (user, chosen.astype(np.int64), other, lead.clip(min=0)))
    u, i, j, w = found
    return u, i, j, w.float()


class PairwiseModel(nn.Module):
    """Bayesian personalised ranking (Rendle et al., UAI 2009): -log sigmoid of the chosen item's lead, by Adam, with L2 decay.
    What is learned of users is theirs alone: real users are judged by what their history says of them (`forward`)."""

    epochs: int = 100
    least: int = 300  # updates
    size: int = 2048
    lr: float = 5e-3
    decay: float = 1e-5

    @abstractmethod
    def start(self, rows: csr_array) -> list[nn.Parameter]:
        """Takes up the set's users, and returns what is learned."""

    @abstractmethod
    def leads(self, user: Tensor, chosen: Tensor, other: Tensor) -> Tensor:  # (n,) each -> (n,)
        """How far the chosen items are ahead of the others. Rows are taken by `F.embedding` or `index_select`, whose gradients
        several threads add up in the same order every time; those of x[ids] they do not."""

    def finish(self) -> None:
        """After the last update."""
        return

    def fit(self, synthetic: Synthetic[Interactions], problem: Problem[Any]) -> None:
        """As many updates an epoch as the set has interactions in batches, and `least` in all at least."""
        rows = sparse_rows(synthetic)
        g = np.random.default_rng(int(torch.randint(2**31, ())))  # seeded by the caller
        learned = self.start(rows)
        opt = torch.optim.Adam(learned, lr=self.lr)
        weight = float(rows.sum()) / float(rows.max())
        for _ in range(max(self.epochs * round(weight / self.size), self.least)):
            u, i, j, w = (x.to(problem.device) for x in draw_pairs(rows, self.size, g))
            loss = -(w * F.logsigmoid(self.leads(u, i, j))).mean()
            loss = loss + self.decay * sum((p.square().sum() for p in learned), loss.new_zeros(()))
            opt.zero_grad()
            torch.autograd.backward(loss, inputs=learned)
            opt.step()
        self.finish()
