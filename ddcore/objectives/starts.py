"""Network policies of gradient matching: where a network's training begins, and when it ends."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..experts import Trajectory
from ..inner import fit, optimiser, trainable
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..parametrizations.part import Part
from ..problem import B, Problem
from ..seeds import generator
from .networks import TrainedOnReal, TrainedOnSet, trained
from .sequential import subsets

__all__ = ["AfterParts", "EarlyStage", "UntilOverfit", "parts"]


@dataclass(frozen=True)
class EarlyStage(TrainedOnReal):
    """Acc-DD's networks (Zhang et al., CVPR 2023): the end of a short expert, whose weights are moved along two random
    directions, filter by filter as long as the weights themselves, by `least` to `most` of that, back or forth.
    Without experts it starts at random; with `most` 0 nothing is moved."""

    experts: Sequence[Trajectory] = ()
    least: float = 0.01
    most: float = 0.09

    def start(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> nn.Module:
        net = trained(problem, self.experts, run.rng) if self.experts else super().start(problem, synthetic, run)
        if self.most:
            _perturb(net, self.least, self.most, run.rng)
        return net


@torch.no_grad()
def _perturb(net: nn.Module, least: float, most: float, rng: random.Random) -> None:
    sizes, g = [rng.choice((-1, 1)) * rng.uniform(least, most) for _ in range(2)], generator(rng)
    for p in trainable(net):
        if p.ndim > 1:
            w = p.flatten(1).clone()  # (out, in * k * k)
            for size in sizes:
                d = torch.randn(w.shape, generator=g, dtype=w.dtype).to(w.device)
                d *= w.norm(dim=1, keepdim=True) / (d.norm(dim=1, keepdim=True) + 1e-10)
                p.add_(d.view_as(p), alpha=size)


def parts(synthetic: Synthetic[B], number: int) -> list[dict[int, list[int]]]:
    """The row numbers of each group in each of `number` subsets of the set."""
    group = {i: g for g in synthetic.counts for i in synthetic.ids(g)}
    return [
        {g: [i for i in subset if group[i] == g] for g in synthetic.counts}
        for subset in subsets(synthetic.counts, number)
    ]


@dataclass(frozen=True)
class AfterParts(TrainedOnReal):
    """PDD's networks (Chen et al., ICLR 2024, algorithm 1): at stage k of `stages`, counted from 0, they come from training on
    part 1, then on parts 1 and 2, and so on to k, `epochs` each."""

    stage: int = 0
    stages: int = 1
    epochs: int = 60

    def start(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> nn.Module:
        net, training = super().start(problem, synthetic, run), problem.training_with(_known(problem, self.augment))
        earlier: dict[int, list[int]] = {g: [] for g in synthetic.counts}
        for part in parts(synthetic, self.stages)[: self.stage]:
            earlier = {g: [*ids, *part[g]] for g, ids in earlier.items()}
            seen, seed = Part(synthetic, earlier), run.rng.getrandbits(31)
            steps = self.epochs * -(-sum(seen.counts.values()) // self.size)
            batches = (seen.train_batch(training, t, seed, self.size) for t in range(steps))
            fit(training, net, batches, optimiser(net, "momentum", self.lr, weight_decay=5e-4), self.lr)
        return net


def _known(problem: Problem[B], augment: str | None) -> str | None:
    return augment if augment in problem.augmentations else None


@dataclass(frozen=True)
class UntilOverfit(TrainedOnSet):
    """EGM's networks (Jiang et al. 2022, section 4.3): given up when they have learned the set by heart, that is when real rows
    cost them more than `gap` times what the set does. 0: never."""

    gap: float = 0.0

    def ends(self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, run: Run) -> bool:
        if not self.gap:
            return False
        with torch.no_grad():
            real = problem.loss(net, problem.data.sample(self.size, rng=run.rng))
            return bool(real > self.gap * problem.loss(net, synthetic.batch(rng=run.rng)))
