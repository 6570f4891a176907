"""Pieces: rows go through a network as many at once as a processor's cache holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch

from ..parametrizations.base import Synthetic
from ..problem import Problem, nbytes

__all__ = ["PIECE", "blocks", "rows_at_once"]
B = TypeVar("B")

PIECE = {"cpu": 2 * 10**5, "cuda": 2**26}
"""Bytes of rows in one forward. What stays in a processor's cache takes half the time of what does not."""

LEAST = 16
"""Rows in one forward, however large they are."""


def rows_at_once(problem: Problem[B], synthetic: Synthetic[B], n_real: int) -> int:
    """How many of `n_real` rows to read at once; all of them where a batch is more than its rows (a whole graph)."""
    if not problem.data.separable:
        return n_real
    with torch.no_grad():
        row = nbytes(synthetic.batch()) // sum(synthetic.counts.values())
    return max(PIECE[problem.device.type] // max(row, 1), LEAST)


def blocks(counts: Mapping[int, int], at_once: int) -> list[list[int]]:
    """The groups in order, as many side by side as have `at_once` rows together, and at least one."""
    found: list[list[int]] = []
    rows = at_once
    for g, n in counts.items():
        if rows + n > at_once:
            found.append([])
            rows = 0
        found[-1].append(g)
        rows += n
    return found
