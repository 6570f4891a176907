"""Real rows: which of a group's real rows an update sees."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from ..problem import Problem, draw

__all__ = ["Picker", "RealRows", "Uniform"]

Picker = Callable[[nn.Module, int, random.Random], Sequence[int]]
"""(network, group, rng) -> row ids."""


class RealRows(Protocol):
    """Makes the picker of a run; what a picker remembers lasts no longer than its network."""

    def picker(self, problem: Problem[Any], n: int) -> Picker: ...


@dataclass(frozen=True)
class Uniform:
    """n rows of the group, drawn anew each time."""

    def picker(self, problem: Problem[Any], n: int) -> Picker:
        return lambda net, g, rng: draw(problem.data.ids(g), n, rng)
