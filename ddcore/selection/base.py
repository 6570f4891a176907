"""Selection: a policy picks rows of one group by their features."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..inner import fit, optimiser
from ..parametrizations.base import RealRows, Selected
from ..problem import DataSource, Problem
from ..seeds import torch_seeded

__all__ = ["Policy", "choose"]
B = TypeVar("B")

Policy = Callable[[Tensor, int, random.Random], list[int]]
"""(features (n, d), k <= n, rng) -> k distinct positions in 0 .. n-1, in the order they were picked."""


def choose(
    problem: Problem[B],
    counts: Mapping[int, int],
    policy: Policy,
    rng: random.Random,
    *,
    epochs: int,
    model: str | None = None,
) -> Selected[B]:
    """The rows that `policy` picks in each group, by the features of one network that was trained on the real rows for
    `epochs` epochs (SGD 0.01, momentum 0.9, batches of 256); with 0 epochs the network is random."""
    net = _trained(problem, rng, epochs, model)
    picked = {}
    for g, n in counts.items():
        ids = problem.data.ids(g)
        picked[g] = [ids[i] for i in policy(_features(problem.data, net, ids), n, rng)]
    return Selected(problem.data, picked)


def _trained(problem: Problem[B], rng: random.Random, epochs: int, model: str | None) -> nn.Module:
    net = problem.new_model(rng, model)
    if epochs:
        everything, seed = RealRows.all(problem.data), rng.getrandbits(31)
        steps = epochs * -(-len(everything.chosen) // 256)
        batches = (everything.train_batch(problem.training_with(None), t, seed, 256) for t in range(steps))
        with torch_seeded(rng.getrandbits(63)):  # dropout
            fit(problem, net, batches, optimiser(net, "momentum", 0.01, weight_decay=5e-4), 0.01)
    return net.eval()


@torch.no_grad()
def _features(data: DataSource[B], net: nn.Module, ids: Sequence[int]) -> Tensor:  # (n, d)
    return torch.cat([net(data.take(ids[i : i + 256])).features for i in range(0, len(ids), 256)])
