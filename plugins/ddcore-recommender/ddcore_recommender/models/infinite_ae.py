"""Infinity-AE: an autoencoder of infinite width, in closed form."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ddcore.kernels import FullyConnected
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import Output, Problem

from ..memory import need_memory
from ..users import Interactions
from .closed_form import best_on_val, unfitted

__all__ = ["RIDGES", "InfiniteAE", "autoencoder_kernel", "solve"]

RIDGES = (1e-5, 1e-3, 0.1, 1.0, 5.0, 20.0, 50.0, 100.0)
"""The grids of the two papers' code together, relative to the kernel's mean diagonal."""

_NTK = FullyConnected()


def autoencoder_kernel(a: Interactions, b: Interactions) -> Tensor:  # (n, m)
    r"""The tangent kernel of one hidden ReLU layer of infinite width, \sigma_w^2 = 2, \sigma_b^2 = 0.01, on histories."""
    return _NTK(a.x, b.x)


def solve(k: Tensor, x: Tensor, reg: float) -> Tensor | None:  # (n, n), (n, I) -> (n, I)
    r"""(K + \lambda I)^{-1} X, \lambda = `reg` times the mean diagonal, by Cholesky; None where K is too close to singular."""
    shifted = k + reg * k.diagonal().mean() * torch.eye(len(k), dtype=k.dtype, device=k.device)
    factor, failed = torch.linalg.cholesky_ex(shifted)
    return None if int(failed) else torch.cholesky_solve(x, factor)


class InfiniteAE(nn.Module):
    r"""Kernel ridge regression from histories to themselves (Sachdeva et al., NeurIPS 2022, section 3):

        f(q) = \Theta(q, X) (\Theta(X, X) + \lambda I)^{-1} X

    \lambda, relative to the kernel's mean diagonal, is the best of `RIDGES` on val. Sets of up to 4,096 users are solved in
    float64, larger ones in the precision of their rows.
    """

    def __init__(self, ridges: tuple[float, ...] = RIDGES) -> None:
        super().__init__()
        self.ridges = ridges
        self.predict: Callable[[Tensor], Tensor] | None = None
        self.reg = 0.0

    @torch.no_grad()
    def fit(self, synthetic: Synthetic[Interactions], problem: Problem[Interactions]) -> None:
        """Solves on the whole set. Raises NotSupported, with the memory that it would need (as measured: the kernel's
        intermediate results, rows and solutions), where there is less."""
        n, items = sum(synthetic.counts.values()), len(problem.data.take(problem.data.ids()[:1]).x[0])
        exact = n <= 4096
        need_memory(
            11 * n * n + 3 * n * items,
            f"infinite-ae on {n:,} users and {items:,} items",
            "train it on fewer users (a distilled set, a coreset), or evaluate another model",
            size=8 if exact else 4,
        )
        x = synthetic.batch().x  # (n, I)
        k = _NTK(x.double(), x.double()) if exact else _NTK(x, x)

        def predictor(reg: float) -> Callable[[Tensor], Tensor]:
            found = solve(k, x.to(k.dtype), reg)
            alpha = torch.full_like(x, torch.nan) if found is None else found.to(x.dtype)
            return lambda q: _NTK(q.to(x.dtype), x) @ alpha

        self.reg, self.predict = best_on_val(problem, self.ridges, predictor)

    def forward(self, batch: Interactions) -> Output:
        """Scores (n, I); the features are the scores."""
        if self.predict is None:
            raise unfitted("infinite-ae")
        scores = self.predict(batch.x)
        return Output(scores, scores)
