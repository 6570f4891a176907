"""A part of a set: some of its rows, as a set of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

from torch import Tensor

from .base import Synthetic

__all__ = ["Part"]
B = TypeVar("B")


class Part(Synthetic[B]):
    """The rows `ids` of each group of another set; its parameters are the other set's."""

    def __init__(self, whole: Synthetic[B], ids: Mapping[int, Sequence[int]]) -> None:
        super().__init__({g: len(rows) for g, rows in ids.items()})
        self.whole, self.rows = whole, [i for rows in ids.values() for i in rows]

    def take(self, ids: Sequence[int], rng: Random | None = None) -> B:
        return self.whole.take([self.rows[i] for i in ids], rng)

    def relabel(self, batch: B, ids: Sequence[int], epoch: int) -> B:
        return self.whole.relabel(batch, [self.rows[i] for i in ids], epoch)

    def step_size(self, t: int = 0, name: str = "") -> Tensor:
        return self.whole.step_size(t, name)
