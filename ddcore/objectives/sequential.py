"""Sequential subset matching: a set in parts, each learned from where training on the earlier ones leaves the networks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import OptionError
from ..experts.store import digest
from ..experts.training import Pretrained
from ..inner import fit, optimiser
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Problem
from ..seeds import stream
from .trajectory import TrajectoryMatching

__all__ = ["SequentialMatching", "after_subsets", "subsets"]


def subsets(counts: Mapping[int, int], number: int) -> list[list[int]]:
    """The row numbers of `number` subsets: of each group the same share, the first rows in the first.

    Raises OptionError where a subset would be empty.
    """
    parts: list[list[int]] = [[] for _ in range(number)]
    start = 0
    for n in counts.values():
        for j in range(n):
            parts[j * number // n].append(start + j)
        start += n
    if not all(parts):
        raise OptionError(f"{max(counts.values())} rows a group do not make {number} subsets: ask for fewer subsets")
    return parts


class _Training(Synthetic[B]):
    """Training on the first subsets of a set: one of them a step, in a fresh order each epoch. The last of them is learned;
    the others stay as they are now."""

    def __init__(self, whole: Synthetic[B], parts: Sequence[Sequence[int]]) -> None:
        super().__init__(whole.counts)
        self.whole, self.earlier, self.parts = whole, copy.deepcopy(whole).requires_grad_(False), parts

    def take(self, ids: Sequence[int], rng: Any = None) -> B:
        return self.whole.take(ids, rng)

    def leaves(self) -> list[nn.Parameter]:
        return self.whole.leaves()

    def train_batch(self, problem: Problem[B], t: int, seed: int, size: int | None = None) -> tuple[B, Tensor]:
        """`size` rows at most of one subset; the whole of it by default."""
        epoch, k = divmod(t, len(self.parts))
        order = list(range(len(self.parts)))
        stream(seed, "subsets", epoch).shuffle(order)
        rows, rng = list(self.parts[order[k]]), stream(seed, "batch", t)
        ids = rows if size is None or size >= len(rows) else rng.sample(rows, size)
        source = self.whole if order[k] == len(self.parts) - 1 else self.earlier
        batch = problem.augment("train", source.take(ids, rng), rng.getrandbits(31))
        return source.relabel(batch, ids, epoch), self.whole.step_size(t)


@dataclass(frozen=True)
class SequentialMatching(TrajectoryMatching):
    """SeqMatch (Du et al., NeurIPS 2023, algorithm 1) at one of its stages: the last of `parts` is learned. Its experts start
    where training on the earlier ones ends (`after_subsets`)."""

    parts: Sequence[Sequence[int]] = ()

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        return super().losses(problem, _Training(synthetic, self.parts), run)


def after_subsets(
    problem: Problem[B],
    synthetic: Synthetic[B],
    parts: Sequence[Sequence[int]],
    *,
    steps: int,
    lr: float,
    augment: str | None = None,
) -> Problem[B]:
    """The same problem, whose fresh networks have been trained on subset 1, then on 1 and 2, and so on: `steps` of SGD with
    momentum 0.9 each."""
    training = problem.training_with(augment if augment in problem.augmentations else None)
    said = repr([digest(synthetic.state_dict()), parts, steps, lr, augment])

    def trained(net: nn.Module) -> nn.Module:
        net, seed = net.to(problem.device), int(torch.randint(2**31, ()))  # of the stream that initialises the network
        for k in range(1, len(parts) + 1):
            subset = _Training(synthetic, parts[:k])
            batches = (subset.train_batch(training, t, seed) for t in range(steps))
            fit(training, net, batches, optimiser(net, "momentum", lr), lr)
        return net

    return replace(problem, models={name: Pretrained(make, trained, said) for name, make in problem.models.items()})
