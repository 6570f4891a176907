"""EASE: a linear autoencoder without self-similarity, in closed form; and the most popular items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ddcore.parametrizations.base import Synthetic
from ddcore.problem import Output, Problem

from ..memory import need_memory
from ..users import Interactions, sparse_rows
from .closed_form import best_on_val, unfitted

__all__ = ["EASE", "Popularity"]


class EASE(nn.Module):
    r"""B = I - P diag(P)^{-1} with P = (X^T X + \lambda I)^{-1}, scores x B (Steck, WWW 2019, eq. 8). \lambda is the best of
    `ridges` on val, as a part of the mean diagonal of X^T X."""

    def __init__(self, ridges: tuple[float, ...] = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0)) -> None:
        super().__init__()
        self.ridges = ridges
        self.predict: Callable[[Tensor], Tensor] | None = None

    @torch.no_grad()
    def fit(self, synthetic: Synthetic[Interactions], problem: Problem[Interactions]) -> None:
        """Solves on the whole set; its users are read in parts."""
        rows = sparse_rows(synthetic)
        n = rows.shape[1]
        need_memory(7 * n * n, f"ease on {n:,} items", "filter rare items out, or evaluate another model", size=8)
        gram = torch.from_numpy((rows.T @ rows).toarray()).double()  # (I, I)

        def predictor(reg: float) -> Callable[[Tensor], Tensor]:
            eye = torch.eye(n, dtype=torch.float64)
            p, singular = torch.linalg.inv_ex(gram + reg * gram.diagonal().mean() * eye)
            b = (eye - p / p.diagonal()).fill_diagonal_(torch.nan if singular else 0).float().to(problem.device)
            return lambda q: q.float() @ b

        self.predict = best_on_val(problem, self.ridges, predictor)[1]

    def forward(self, batch: Interactions) -> Output:
        """Scores (n, I); the features are the scores."""
        if self.predict is None:
            raise unfitted("ease")
        scores = self.predict(batch.x)
        return Output(scores, scores)


class Popularity(nn.Module):
    """Everybody is shown what most users of the set chose."""

    def __init__(self) -> None:
        super().__init__()
        self.scores: Tensor | None = None

    def fit(self, synthetic: Synthetic[Interactions], problem: Problem[Interactions]) -> None:
        """Sums the weights of each item."""
        sums = np.asarray(sparse_rows(synthetic).sum(0), np.float32).ravel()
        self.scores = torch.from_numpy(sums).to(problem.device)

    def forward(self, batch: Interactions) -> Output:
        """The same scores (n, I) for everybody."""
        if self.scores is None:
            raise unfitted("popularity")
        scores = self.scores.expand(len(batch.x), -1)
        return Output(scores, scores)
