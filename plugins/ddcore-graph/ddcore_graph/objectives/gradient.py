"""Gradient matching on a graph: read once for all classes, and in closed form where the network is linear."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ddcore.inner import frozen_statistics, trainable
from ddcore.loop import Run
from ddcore.objectives.gradient import Distance, GradientMatching
from ddcore.objectives.networks import Networks
from ddcore.objectives.real_rows import Picker, RealRows
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import B, Problem

from ..models.sgc import SGC
from .linear import Factors, class_factors, distance, lengths_apart
from .networks import TrainedOnGraph

__all__ = ["AtMost", "DirectionAndLength", "NodeGradientMatching", "class_gradients"]

Gradient = Sequence[Tensor | None]


@dataclass(frozen=True)
class AtMost(RealRows):
    """n rows of the group, drawn anew each time, or every row once where it has no more: a citation graph has 20 of a class."""

    def picker(self, problem: Problem[Any], n: int) -> Picker:
        def pick(net: nn.Module, g: int, rng: random.Random) -> Sequence[int]:
            ids = problem.data.ids(g)
            return ids if len(ids) <= n else rng.sample(list(ids), n)

        return pick


@dataclass(frozen=True)
class NodeGradientMatching(GradientMatching):
    r"""GCond (Jin et al., ICLR 2022, algorithm 1) and DosCond (Jin et al., KDD 2022) on nodes:

        \sum_c w_c D( \nabla L(S_c, \theta_t), \nabla L(T_c, \theta_t) )

    the core's GradientMatching, where a class is the target nodes of the one graph: so A' is made once in an update, not once
    for each class, and the real nodes of all classes are one batch. w_c is 1, or N'_c / max N'_k (GCond's code). In a linear
    network the distances are had without the gradients (`linear`).
    """

    networks: Networks = field(default_factory=TrainedOnGraph)
    rows: RealRows = field(default_factory=AtMost)
    distance: Distance = "layer-cosine"
    weights: Literal["equal", "nodes"] = "nodes"

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        pick, counts = self.rows.picker(problem, self.n_real), synthetic.counts
        largest = max(counts.values())
        shares = {g: n / largest if self.weights == "nodes" else 1.0 for g, n in counts.items()}
        for net in self.networks.networks(problem, synthetic, run):
            with frozen_statistics(net, lambda: problem.data.sample(16, list(counts), rng=run.rng)):
                chosen = {g: pick(net, g, run.rng) for g in counts}
                real = problem.data.take([i for ids in chosen.values() for i in ids], run.rng)
                sizes = {g: len(ids) for g, ids in chosen.items()}
                found = self.distances(problem, net, real, sizes, synthetic.batch(rng=run.rng), counts)
            yield torch.stack([share * found[g] for g, share in shares.items()]).sum()

    def distances(
        self,
        problem: Problem[Any],
        net: nn.Module,
        real: Any,
        sizes: Mapping[int, int],  # its rows of each class
        fake: Any,
        counts: Mapping[int, int],  # its rows of each class
    ) -> dict[int, Tensor]:  # () each
        """D of each class."""
        if isinstance(net, SGC) and self.distance != "l1" and fake.values is None:
            want, have = self._factors(problem, net, real, sizes), self._factors(problem, net, fake, counts)
            return {g: self.factored(have[g], want[g]) for g in counts}
        want_, have_ = (
            class_gradients(problem, net, real, sizes),
            class_gradients(problem, net, fake, counts, graph=True),
        )
        return {g: self.compare(have_[g], want_[g]) for g in counts}

    def factored(self, have: Factors, want: Factors) -> Tensor:  # ()
        """`compare`, of gradients that are not written out."""
        return distance(self.distance, have, want)

    def _factors(self, problem: Problem[Any], net: SGC, batch: Any, sizes: Mapping[int, int]) -> dict[int, Factors]:
        return class_factors(net, batch.hops(net.hops)[batch.rows], problem.task.targets(batch), sizes)


@dataclass(frozen=True)
class DirectionAndLength(NodeGradientMatching):
    r"""CTRL (Zhang et al., 2024, eq. 6, and their code): (1 - \beta) of the distance in angle, and \beta of the lengths of the
    differences of each matrix's rows. Biases have no part, as in GCond's distance: the lengths of their gradients do not
    shrink with the features, and outweigh the others' on rows that are divided by their sums."""

    beta: float = 0.2

    def compare(self, have: Gradient, want: Gradient) -> Tensor:
        pairs = [(a, b) for a, b in zip(have, want, strict=True) if a is not None and b is not None]
        lengths = torch.stack([(a - b).flatten(1).norm(dim=1).sum() for a, b in pairs if a.ndim > 1]).sum()
        return (1 - self.beta) * super().compare(have, want) + self.beta * lengths

    def factored(self, have: Factors, want: Factors) -> Tensor:
        return (1 - self.beta) * super().factored(have, want) + self.beta * lengths_apart(have, want)


def class_gradients(
    problem: Problem[Any],
    net: nn.Module,
    batch: Any,
    sizes: Mapping[int, int],  # rows of each class; the batch is group-major
    graph: bool = False,
) -> dict[int, Gradient]:
    """d (mean loss of a class) / d theta for each class, from one forward."""
    params, losses = trainable(net), problem.task.losses(net(batch), batch).split(list(sizes.values()))
    return {
        g: torch.autograd.grad(rows.mean(), params, create_graph=graph, retain_graph=True, allow_unused=True)
        for g, rows in zip(sizes, losses, strict=True)
    }
