"""Class-wise matching: one update for each class in turn, of the distance of means and of what a trained network says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Problem, draw
from .features import FeatureMatching, Seen, mean_distance
from .networks import Networks, Queue
from .pieces import rows_at_once

__all__ = ["ClasswiseMatching", "mark"]


@torch.no_grad()
def mark(problem: Problem[Any], net: nn.Module, n: int, run: Run) -> float:  # in [0, 1]
    """The main metric of a network on n real rows, from its worst to its best value."""
    metric, rows = problem.task.metrics[0], problem.data.sample(n, rng=run.rng)
    score = problem.task.score([(net(rows), rows)])[metric.name]
    share = (score - metric.low) / (metric.high - metric.low)
    return share if metric.higher_is_better else 1 - share


@dataclass(frozen=True)
class ClasswiseMatching(FeatureMatching):
    r"""IDM (Zhao et al., CVPR 2023, section 3): with a half-trained network \theta of a queue, for each group g in turn

        \| mean \phi(A_\omega(T_g)) - mean \phi(A_\omega(S_g)) \|^2  +  weight * acc(\theta) * L(A_\omega(S_g), \theta)

    each an update of its own. acc is what the network scores on real rows, in percent as in the official code. The
    network is in evaluation mode.
    """

    networks: Networks = Queue()
    one_by_one: bool = field(default=True, init=False)
    weight: float = 0.5  # of the regulariser
    marked: int = 256  # real rows by which a network's acc is estimated

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        return mean_distance(real[0], fake[0])

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        at_once = rows_at_once(problem, synthetic, self.n_real)
        for net in self.networks.networks(problem, synthetic, run):
            net.eval()
            weight = self.weight * 100 * mark(problem, net, self.marked, run) if self.weight else 0.0
            for g in synthetic.counts:
                omega, rows = run.rng.getrandbits(31), draw(problem.data.ids(g), self.n_real, run.rng)
                real = self._read(problem, net, omega, rows, run.rng, at_once)
                batch = problem.augment(self.augment, synthetic.batch(g, run.rng), omega)
                out = net(batch)
                loss = self.distance(real, self.look(out), g, run)
                yield loss + weight * problem.task.loss(out, batch) if weight else loss
