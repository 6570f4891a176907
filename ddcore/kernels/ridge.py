"""Kernel ridge regression: the solve that every method of the family differentiates, and a predictor for evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..parametrizations.base import Synthetic
from ..problem import Output, Problem

__all__ = ["KernelMachine", "one_row_per_class", "ridge", "targets"]


def ridge(k_ss: Tensor, y_s: Tensor, reg: float) -> Tensor:  # (s, s), (s, k) -> (s, k)
    r"""(K_ss + \lambda I)^{-1} y_s with \lambda = `reg` times the mean of K_ss's diagonal, solved in float64."""
    k = k_ss.double()
    eye = torch.eye(len(k), dtype=k.dtype, device=k.device)
    found: Tensor = torch.linalg.solve(k + reg * k.trace() / len(k) * eye, y_s.double())
    return found.to(k_ss.dtype)


def targets(problem: Problem[Any], batch: Any, centre: bool) -> Tensor:  # (n, k)
    """What is regressed on: the task's targets, less 1 / k where `centre` says so (KIP's centred one-hot labels)."""
    y = problem.task.targets(batch)
    return y - 1 / y.shape[1] if centre else y


def one_row_per_class(w: Tensor, y: Tensor, lam: float) -> Tensor:  # (d, k), (k, k) invertible -> (k, d)
    r"""k rows of features on which ridge regression of y with \lambda = `lam` has the solution w (Chen et al., NeurIPS 2024):
    with y^{-1} w^T = U S V^T, the rows are U Z V^T, where z / (z^2 + \lambda) = s for each singular value.

    Raises ValueError where a singular value is above 1 / (2 sqrt(lam)), the most that a ridge solution can have.
    """
    u, s, v = torch.linalg.svd(torch.linalg.solve(y, w.T), full_matrices=False)
    if float(s.max()) * 2 * lam**0.5 > 1:
        raise ValueError(f"no rows give this solution with lam={lam:g}: it is at most {float(s.max()) ** -2 / 4:g}")
    z = (1 + (1 - 4 * lam * s.square()).sqrt()) / (2 * s)
    rows: Tensor = u * z @ v
    return rows


class KernelMachine(nn.Module):
    """Kernel ridge regression as a network that brings its own `fit`: put it into a problem's zoo to score a set by it."""

    def __init__(self, kernel: Callable[[Any, Any], Tensor], reg: float = 1e-6) -> None:
        super().__init__()
        self.kernel, self.reg = kernel, reg

    @torch.no_grad()
    def fit(self, synthetic: Synthetic[Any], problem: Problem[Any]) -> None:
        """Solves for the coefficients on the whole set."""
        self.rows = synthetic.batch()
        y = targets(problem, self.rows, centre=synthetic.label_kind != "values")
        self.coefficients = ridge(self.kernel(self.rows, self.rows), y, self.reg)  # (s, k)

    def forward(self, batch: Any) -> Output:
        """The predictions, and the kernel with the set's rows as features."""
        k = self.kernel(batch, self.rows)  # (n, s)
        return Output(k @ self.coefficients, k)
