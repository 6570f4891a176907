"""Selection: a policy picks rows of one group by their features."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..errors import NotSupported
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
    `epochs` epochs (SGD 0.01, momentum 0.9, batches of 256, or of all rows where these cannot be read in pieces); with 0
    epochs the network is random."""
    net, data = _trained(problem, rng, epochs, model), problem.data
    picked = {}
    for g, features in _features(data, net, list(counts)):
        ids = data.ids(g)
        picked[g] = [ids[i] for i in policy(features, counts[g], rng)]
    return Selected(data, picked)


def _trained(problem: Problem[B], rng: random.Random, epochs: int, model: str | None) -> nn.Module:
    net = problem.new_model(rng, model)
    if epochs:
        everything, seed = RealRows.all(problem.data), rng.getrandbits(31)
        size = 256 if problem.data.separable else len(everything.chosen)
        steps = epochs * -(-len(everything.chosen) // size)
        batches = (everything.train_batch(problem.training_with(None), t, seed, size) for t in range(steps))
        with torch_seeded(rng.getrandbits(63)):  # dropout
            fit(problem, net, batches, optimiser(net, "momentum", 0.01, weight_decay=5e-4), 0.01)
    return net.eval()


@torch.no_grad()
def _features(
    data: DataSource[B], net: nn.Module, groups: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:  # (n, d) each
    """Of each group's rows: in pieces, or where these would multiply the cost, of all groups at once."""
    ids = {g: data.ids(g) for g in groups}
    if not data.separable:
        found = net(data.take([i for g in groups for i in ids[g]])).features
        yield from zip(groups, found.split([len(ids[g]) for g in groups]), strict=True)
        return
    for g in groups:
        found = torch.cat([net(data.take(ids[g][i : i + 256])).features for i in range(0, len(ids[g]), 256)])
        if len(found) != len(ids[g]):
            raise NotSupported(f"rows are picked by one feature vector each, and these {len(ids[g])} have {len(found)}")
        yield g, found
