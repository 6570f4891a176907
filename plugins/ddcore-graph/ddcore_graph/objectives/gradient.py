"""Gradient matching on a graph: read once for all classes, and in closed form where the network is linear."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
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
from .networks import TrainedOnGraph

__all__ = ["AtMost", "NodeGradientMatching", "class_gradients"]

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
    for each class, and the real nodes of all classes are one batch. w_c is 1, or N'_c / max N'_k (GCond's code).
    """

    networks: Networks = TrainedOnGraph()
    rows: RealRows = AtMost()
    distance: Distance = "layer-cosine"
    weights: Literal["equal", "nodes"] = "nodes"

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        pick, counts = self.rows.picker(problem, self.n_real), synthetic.counts
        largest = max(counts.values())
        for net in self.networks.networks(problem, synthetic, run):
            with frozen_statistics(net, lambda: problem.data.sample(16, list(counts), rng=run.rng)):
                chosen = {g: pick(net, g, run.rng) for g in counts}
                real = problem.data.take([i for ids in chosen.values() for i in ids], run.rng)
                want = class_gradients(problem, net, real, {g: len(ids) for g, ids in chosen.items()})
                have = class_gradients(problem, net, synthetic.batch(rng=run.rng), counts, graph=True)
            share = {g: n / largest if self.weights == "nodes" else 1.0 for g, n in counts.items()}
            yield torch.stack([share[g] * self.compare(have[g], want[g]) for g in counts]).sum()


def class_gradients(
    problem: Problem[Any],
    net: nn.Module,
    batch: Any,
    sizes: Mapping[int, int],  # rows of each class; the batch is group-major
    graph: bool = False,
) -> dict[int, Gradient]:
    """d (mean loss of a class) / d theta for each class, from one forward."""
    ends = list(accumulate(sizes.values()))
    spans = {g: slice(end - n, end) for (g, n), end in zip(sizes.items(), ends, strict=True)}
    if isinstance(net, SGC) and batch.values is None:
        with torch.set_grad_enabled(graph):
            return _of_linear(net, batch.hops(net.hops)[batch.rows], problem.task.targets(batch), spans)
    rows, params = problem.task.losses(net(batch), batch), trainable(net)
    means = {g: rows[span].mean() for g, span in spans.items()}
    last = list(means)[-1]
    return {
        g: list(
            torch.autograd.grad(mean, params, create_graph=graph, retain_graph=graph or g != last, allow_unused=True)
        )
        for g, mean in means.items()
    }


def _of_linear(net: SGC, h: Tensor, y: Tensor, spans: Mapping[int, slice]) -> dict[int, Gradient]:  # (n, d), (n, k)
    r"""Of cross-entropy on softmax(h W^T + b) it is (P - Y)^T H / n for W and the mean of P - Y for b; through a first matrix by
    the chain rule."""
    if net.body is None:
        e = _errors(net.head, h, y)
        return {g: _layer(e[span], h[span], len(e[span])) for g, span in spans.items()}
    z = net.body(h)
    e = _errors(net.head, z, y)
    back = e @ net.head.weight  # (n, hidden)
    return {g: [*_layer(back[s], h[s], len(e[s])), *_layer(e[s], z[s], len(e[s]))] for g, s in spans.items()}


def _errors(head: nn.Linear, z: Tensor, y: Tensor) -> Tensor:  # (n, k)
    return head(z).softmax(1) - y


def _layer(error: Tensor, inputs: Tensor, n: int) -> list[Tensor]:  # (n, out), (n, in) -> (out, in), (out,)
    return [error.T @ inputs / n, error.sum(0) / n]
