"""Pieces: real rows are read as many at once as a processor's cache holds."""

from __future__ import annotations

from typing import TypeVar

import torch

from ..parametrizations.base import Synthetic
from ..problem import Problem, nbytes

__all__ = ["PIECE", "rows_at_once"]
B = TypeVar("B")

PIECE = {"cpu": 2 * 10**5, "cuda": 2**26}
"""Bytes of real rows in one forward. What stays in a processor's cache takes half the time of what does not."""


def rows_at_once(problem: Problem[B], synthetic: Synthetic[B], n_real: int) -> int:
    """How many of `n_real` rows to read at once; all of them where a batch is more than its rows (a whole graph)."""
    if not problem.data.separable:
        return n_real
    with torch.no_grad():
        row = nbytes(synthetic.batch()) // sum(synthetic.counts.values())
    return max(PIECE[problem.device.type] // max(row, 1), 16)
