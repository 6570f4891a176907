"""Feature matching: what a network makes of the real and the synthetic rows of a group is brought together. The frame of
distribution matching; a method of the family writes what is looked at and the distance."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Output, Problem, draw
from ..seeds import stream
from .networks import Fresh, Networks
from .pieces import blocks, rows_at_once

__all__ = ["FeatureMatching", "Seen", "has_batchnorm", "mean_distance"]

Seen = tuple[Tensor, ...]
"""What is looked at of some rows: tensors with rows first."""


def mean_distance(real: Tensor, fake: Tensor) -> Tensor:  # (n, ...), (m, ...) -> ()
    """Squared distance of the means over rows (DM)."""
    return (real.mean(0) - fake.mean(0)).square().sum()


@dataclass(frozen=True)
class FeatureMatching(ABC):
    r"""In every update, with a network \phi and one augmentation A_\omega for both sides,

        \sum_g  D( look(\phi(A_\omega(T_g))), look(\phi(A_\omega(S_g))) )

    A subclass writes `distance`; `look` where it compares more than the features; `judged` for what else the synthetic rows are
    to be (their losses, what a trained network makes of them); `matched` where groups are compared with each other.
    `one_by_one` does a few groups at a time, as many as the cache holds; the gradient is the same. Networks with BatchNorm
    see all groups in one forward.

    It draws what DistributionMatching draws: at equal seed both see the same networks, augmentations and real rows.
    """

    n_real: int = 256  # real rows of each group
    augment: str | None = None  # the problem's augmentation that both sides go through
    networks: Networks = Fresh()
    one_by_one: bool = True

    # ------------------------------------------------------------------------------------------------ must be written

    @abstractmethod
    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        """Of one group's synthetic rows, looked at and judged, from its real ones, looked at without grad."""

    # ------------------------------------------------------------------------------------------------ may be written

    def look(self, out: Output) -> Seen:
        """What of an output is compared, rows first; real rows are read in pieces, each by itself."""
        return (out.features,)

    def judge(self, problem: Problem[B], net: nn.Module, run: Run) -> nn.Module | None:
        """A second network that only synthetic rows go through; drawn once an update."""
        return None

    def judged(self, problem: Problem[B], judge: nn.Module | None, batch: B, out: Output) -> Seen:
        """What else is known of the synthetic rows, rows first; it follows in `fake` on what `look` finds."""
        return ()

    def matched(self, real: Mapping[int, Seen], fake: Mapping[int, Seen], run: Run) -> Tensor:  # ()
        """The distances of all groups; who compares groups with each other sets `one_by_one` to False."""
        return torch.stack([self.distance(real[g], fake[g], g, run) for g in fake]).sum()

    # ------------------------------------------------------------------------------------------------ the update

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        for net in self.networks.networks(problem, synthetic, run):
            yield self.update(problem, synthetic, net, run)

    def update(self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, run: Run) -> Tensor:  # ()
        """The loss under one network; a scalar without grad where it went group by group and wrote dL/dS itself."""
        groups, at_once = list(synthetic.counts), rows_at_once(problem, synthetic, self.n_real)
        if has_batchnorm(net) or not problem.data.separable:
            at_once = self.n_real * len(groups)
        omega = run.rng.getrandbits(31)
        real_rng, fake_rng = stream(run.rng.getrandbits(63)), stream(run.rng.getrandbits(63))
        rows = {g: draw(problem.data.ids(g), self.n_real, real_rng) for g in groups}
        judge, total = self.judge(problem, net, run), torch.zeros((), device=problem.device)
        together = not self.one_by_one or has_batchnorm(net) or (judge is not None and has_batchnorm(judge))
        parts = [groups] if together else blocks(synthetic.counts, at_once)
        for block in parts:
            ids = [i for g in block for i in rows[g]]
            seen = self._read(problem, net, omega, ids, real_rng, at_once)
            real = _by_group(seen, {g: len(rows[g]) for g in block})
            batch = problem.augment(self.augment, synthetic.batch(block, fake_rng), omega)
            out, counts = net(batch), {g: synthetic.counts[g] for g in block}
            fake = _by_group((*self.look(out), *self.judged(problem, judge, batch, out)), counts)
            loss = self.matched(real, fake, run)
            if len(parts) > 1:
                torch.autograd.backward(loss, inputs=synthetic.leaves())
                loss = loss.detach()
            total = total + loss
        return total

    @torch.no_grad()
    def _read(
        self,
        problem: Problem[Any],
        net: nn.Module,
        omega: int,
        ids: Sequence[int],
        rng: random.Random,
        at_once: int,  # rows in one forward
    ) -> Seen:
        def look(piece: Sequence[int]) -> Seen:
            return self.look(net(problem.augment(self.augment, problem.data.take(piece, rng), omega)))

        pieces = [look(ids[k : k + at_once]) for k in range(0, len(ids), at_once)]
        return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True))


def _by_group(seen: Seen, counts: Mapping[int, int]) -> dict[int, Seen]:
    """Group-major rows, apart; those of one group may be any number of predictions each."""
    if len(counts) == 1:
        return dict.fromkeys(counts, tuple(seen))
    parts = zip(*(x.split(list(counts.values())) for x in seen), strict=True)
    return dict(zip(counts, parts, strict=True))


def has_batchnorm(net: nn.Module) -> bool:
    """Whether rows of a batch see each other through its statistics."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())
