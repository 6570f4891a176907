"""Real rows: which of a group's real rows an update sees."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from ..problem import Problem, draw
from ..selection import k_means

__all__ = ["Picker", "RealRows", "Representative", "Uniform"]

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


@dataclass(frozen=True)
class Representative:
    """The rows nearest to the n centres of k-means in the network's features (DREAM, Liu et al., ICCV 2023, section 3.3): found
    anew for each network, and after `every` reads of the group. All rows of a group that has no more than n."""

    every: int = 10

    def picker(self, problem: Problem[Any], n: int) -> Picker:
        known: dict[int, tuple[nn.Module, int, list[int]]] = {}  # of each group: the network, reads, rows

        def pick(net: nn.Module, g: int, rng: random.Random) -> list[int]:
            seen_by, reads, rows = known.get(g, (None, 0, []))
            if seen_by is not net or reads == self.every:
                rows, reads = _nearest_to_centres(problem, net, g, n, rng), 0
            known[g] = net, reads + 1, rows
            return rows

        return pick


@torch.no_grad()
def _nearest_to_centres(problem: Problem[Any], net: nn.Module, g: int, n: int, rng: random.Random) -> list[int]:
    ids, data = problem.data.ids(g), problem.data
    size = 256 if data.separable else len(ids)
    features = torch.cat([net(data.take(ids[k : k + size], rng)).features for k in range(0, len(ids), size)])
    return [ids[i] for i in k_means(features, min(n, len(ids)), rng)]
