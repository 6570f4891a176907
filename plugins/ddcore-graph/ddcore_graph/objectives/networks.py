"""Networks that are trained on the condensed graph as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ddcore.inner import fit, optimiser
from ddcore.loop import Run
from ddcore.objectives.networks import Networks
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import B, Problem

__all__ = ["TrainedOnGraph", "without_dropout"]


@dataclass(frozen=True)
class TrainedOnGraph(Networks):
    """A random network that takes `inner` full-batch steps of Adam on the condensed graph between `outer` updates, then another
    (GCond, algorithm 1). It has no dropout. The graph is decoded once for all of these steps."""

    outer: int = 20
    inner: int = 15
    lr: float = 0.01
    model: str | None = None

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        while True:
            run.boundary()
            net = without_dropout(problem.new_model(run.rng, self.model)).train()
            opt = optimiser(net, "adam", self.lr)
            for t in range(self.outer):
                yield net
                if self.inner and t + 1 < self.outer:
                    with torch.no_grad():
                        graph = synthetic.batch(rng=run.rng)
                    fit(problem, net, ((graph, synthetic.step_size()) for _ in range(self.inner)), opt, self.lr)


def without_dropout(net: nn.Module) -> nn.Module:
    """The network with its dropout switched off."""
    for m in net.modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    return net
