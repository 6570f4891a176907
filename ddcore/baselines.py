"""Baselines: real rows of the same budget, which stand beside every score."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from .parametrizations.base import Selected, Synthetic
from .problem import Problem
from .seeds import stream

__all__ = ["Taught", "random_rows"]
B = TypeVar("B")


class Taught(Synthetic[B]):
    """Rows whose views are labelled by the teacher of another set, as that one's are."""

    label_kind = "teacher"

    def __init__(self, rows: Synthetic[B], other: Synthetic[B]) -> None:
        super().__init__(rows.counts)
        self.rows, self.other = rows, other

    def take(self, ids: Sequence[int], rng: Random | None = None) -> B:
        return self.rows.take(ids, rng)

    def relabel(self, batch: B, ids: Sequence[int], epoch: int) -> B:
        return self.other.relabel(batch, ids, epoch)


def random_rows(problem: Problem[B], synthetic: Synthetic[B], seed: int) -> Synthetic[B]:
    """As many random real rows as the set is stored as; labelled by its teacher, where it has one."""
    rows = Selected.random(problem.data, synthetic.stored_counts, stream(seed, "random"))
    return Taught(rows, synthetic) if synthetic.label_kind == "teacher" else rows
