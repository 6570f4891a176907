"""Distribution matching: the class means of real and synthetic rows agree in the features of random networks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Problem, draw
from ..seeds import stream
from .features import has_batchnorm
from .networks import Fresh, Networks
from .pieces import blocks, rows_at_once

__all__ = ["DistributionMatching", "PooledDistributionMatching"]


@dataclass(frozen=True)
class DistributionMatching:
    r"""DM (Zhao and Bilen, WACV 2023, algorithm 1): a fresh random network \phi at every update, and

        \sum_g \| mean \phi(A_\omega(T_g)) - mean \phi(A_\omega(S_g)) \|^2

    over the features before the classifier, under the same augmentation A_\omega on both sides. `one_by_one` does a few groups
    at a time, as many as the cache holds; the gradient is the same. Networks with BatchNorm see all groups in one forward.
    """

    n_real: int = 256  # real rows of each group
    augment: str | None = None  # the problem's augmentation that both sides go through
    networks: Networks = Fresh()
    one_by_one: bool = True

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        groups, at_once = list(synthetic.counts), rows_at_once(problem, synthetic, self.n_real)
        for phi in self.networks.networks(problem, synthetic, run):
            omega = run.rng.getrandbits(31)
            real, fake = stream(run.rng.getrandbits(63)), stream(run.rng.getrandbits(63))
            rows = [draw(problem.data.ids(g), self.n_real, real) for g in groups]
            want = _real_means(problem, phi, self.augment, omega, rows, real, at_once)
            yield self._distance(problem, synthetic, phi, omega, want, fake, at_once)

    def _distance(
        self,
        problem: Problem[B],
        synthetic: Synthetic[B],
        phi: nn.Module,
        omega: int,
        want: Tensor,  # (groups, d)
        rng: random.Random,
        at_once: int,  # rows in one forward
    ) -> Tensor:  # ()
        counts = synthetic.counts
        together = not self.one_by_one or has_batchnorm(phi)
        parts = [list(counts)] if together else blocks(counts, at_once)
        total, means = torch.zeros((), device=want.device, dtype=want.dtype), dict(zip(counts, want, strict=True))
        for groups in parts:
            s = phi(problem.augment(self.augment, synthetic.batch(groups, rng), omega)).features
            each = len(s) // sum(counts[g] for g in groups)  # predictions of a row: the positions of a sequence
            sizes = (
                [each * counts[g] for g in groups] if len(groups) > 1 else [len(s)]
            )  # one group's may differ in length
            have = torch.stack([rows.mean(0) for rows in s.split(sizes)])  # (groups, d)
            d = (torch.stack([means[g] for g in groups]) - have).square().sum()
            if len(parts) > 1:
                d.backward(inputs=synthetic.leaves())
                d = d.detach()
            total = total + d
        return total


@dataclass(frozen=True)
class PooledDistributionMatching(DistributionMatching):
    """DM amortised (ours): a pool of (network, augmentation) pairs whose class means over `n_real` real rows of each group are
    computed once and reused, so that most updates cost the synthetic rows alone. Every `renew` updates the oldest pair makes
    room for a new one. Fewer networks than updates: docs/results/amortised-dm.md has what that costs and saves.
    """

    pool: int = 20
    renew: int = 3  # updates until the oldest pair is replaced; 0: never
    model: str | None = None  # of the zoo; None: its first

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        groups, at_once = list(synthetic.counts), rows_at_once(problem, synthetic, self.n_real)
        seeds: list[list[int]] = run.state.setdefault("seeds", [])  # of network and augmentation, the oldest pair first
        means: list[Tensor] = run.state.setdefault("means", [])  # (groups, d) each
        networks = [self._network(problem, seed) for seed, _ in seeds]  # a resumed run rebuilds them
        while True:
            run.boundary()
            if self.renew and run.step and run.step % self.renew == 0:
                del seeds[0], means[0], networks[0]
            while len(seeds) < min(self.pool, run.steps):
                seeds.append([run.rng.getrandbits(63), run.rng.getrandbits(31)])
                networks.append(self._network(problem, seeds[-1][0]))
                real = stream(seeds[-1][1], "real")
                rows = [draw(problem.data.ids(g), min(self.n_real, len(problem.data.ids(g))), real) for g in groups]
                means.append(_real_means(problem, networks[-1], self.augment, seeds[-1][1], rows, real, at_once))
            i = run.rng.randrange(len(seeds))
            want = means[i].to(problem.device)
            yield self._distance(problem, synthetic, networks[i], seeds[i][1], want, run.rng, at_once)

    def _network(self, problem: Problem[Any], seed: int) -> nn.Module:
        return problem.new_model(stream(seed), self.model).requires_grad_(False)


@torch.no_grad()
def _real_means(
    problem: Problem[Any],
    phi: nn.Module,
    augment: str | None,
    omega: int,
    rows: Sequence[Sequence[int]],  # of each group
    rng: random.Random,
    at_once: int,  # rows in one forward
) -> Tensor:  # (groups, d)
    def features(ids: Sequence[int]) -> Tensor:
        found: Tensor = phi(problem.augment(augment, problem.data.take(ids, rng), omega)).features
        return found

    if has_batchnorm(phi) or not problem.data.separable:
        every = features([i for ids in rows for i in ids])
        return torch.stack([part.mean(0) for part in torch.split(every, [len(ids) for ids in rows])])
    means = []
    for ids in rows:
        parts = [features(ids[k : k + at_once]) for k in range(0, len(ids), at_once)]
        means.append(torch.stack([part.sum(0) for part in parts]).sum(0) / sum(map(len, parts)))
    return torch.stack(means)
