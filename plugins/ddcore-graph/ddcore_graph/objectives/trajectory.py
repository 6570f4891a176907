"""Trajectory matching on nodes without edges: long trainings of a GCN, followed through inner products alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ddcore.experts import Trajectory
from ddcore.loop import Run
from ddcore.objectives.networks import trained
from ddcore.objectives.trajectory import Segment, TrajectoryMatching
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import B, Problem

from ..models.gcn import GCN
from ..parametrizations.features import FeaturesOnly

__all__ = ["KnowledgeEmbedding", "NodeTrajectoryMatching", "student"]

AT_ONCE = 50
"""Training steps whose graph is kept; those of others are computed again."""


@dataclass(frozen=True)
class NodeTrajectoryMatching(TrajectoryMatching):
    """SFGC (Zheng et al., NeurIPS 2023, eq. 5): the core's trajectory matching on nodes that see only themselves. A student of
    two layers without dropout, trained on the whole set, is followed by `student`, others as in the core: the result is one."""

    def unrolled(
        self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, segment: Segment, steps: int, seed: int
    ) -> Tensor:  # ()
        nodes: Any = synthetic
        plain = isinstance(net, GCN) and len(net.layers) == 2 and net.drop.p == 0
        if not (plain and isinstance(nodes, FeaturesOnly) and self.size is None and nodes.train_steps is None):
            return super().unrolled(problem, synthetic, net, segment, steps, seed)
        batch: Any = nodes.batch()
        if batch.values is not None:
            return super().unrolled(problem, synthetic, net, segment, steps, seed)
        y = problem.task.targets(batch)
        return self.distance(student(segment.start, batch.x, y, nodes.step_size(), steps), segment)


def student(
    start: Mapping[str, Tensor],
    x: Tensor,  # (n, d)
    y: Tensor,  # (n, k), rows sum to one
    eta: Tensor,  # ()
    steps: int,
) -> dict[str, Tensor]:
    r"""GCN's two layers after `steps` of gradient descent from `start` on nodes that see only themselves, differentiable in all.

    The gradient of the first matrix is a combination of the rows of x, so W_t = W_0 + C_t^T x, and all that a step needs of W_t
    is x W_t^T = x W_0^T + (x x^T) C_t: a step costs n^2 h, not n d h, of which the graph of all steps is kept for few.
    """
    w1, b1, w2, b2 = (start[f"layers.{i}.{p}"].to(x) for i in (0, 1) for p in ("weight", "bias"))
    gram, z0 = x @ x.T, x @ w1.T  # (n, n), (n, h)

    def walk(n: int, c: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> tuple[Tensor, ...]:
        for _ in range(n):
            h = (z0 + gram @ c + b1).relu()
            e = ((h @ w2.T + b2).softmax(1) - y) / len(y)  # dL/dlogits
            d = (e @ w2) * (h > 0)  # dL/dz
            c, b1, w2, b2 = c - eta * d, b1 - eta * d.sum(0), w2 - eta * e.T @ h, b2 - eta * e.sum(0)
        return c, b1, w2, b2

    state: Sequence[Tensor] = (torch.zeros_like(z0), b1, w2, b2)
    for done in range(0, steps, AT_ONCE):
        n = min(AT_ONCE, steps - done)
        state = checkpoint(walk, n, *state, use_reentrant=False) if torch.is_grad_enabled() else walk(n, *state)
    c, *others = state
    names = ("layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias")
    return dict(zip(names, (w1 + c.T @ x, *others), strict=True))


@dataclass(frozen=True)
class KnowledgeEmbedding(NodeTrajectoryMatching):
    r"""GEOM (Zhang et al., ICML 2024, eq. 7): the distance of the ends, without squares, and

        \beta KL( Y' || f_T(X') )

    for the end f_T of a drawn expert: what it knows of the nodes is kept in their soft labels.
    """

    experts: Sequence[Trajectory] = ()
    beta: float = 0.01

    def update(
        self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, segment: Segment, run: Run
    ) -> Tensor | None:  # ()
        loss = super().update(problem, synthetic, net, segment, run)
        if loss is None or not self.beta:
            return loss
        batch = synthetic.batch(rng=run.rng)
        log_p = trained(problem, self.experts, run.rng).eval()(batch).logits.log_softmax(1)
        return loss + self.beta * F.kl_div(log_p, problem.task.targets(batch), reduction="batchmean")

    def distance(self, end: Mapping[str, Tensor], segment: Segment) -> Tensor:
        return super().distance(end, segment).sqrt()
