"""Gradient matching: training on the synthetic rows of a group pulls a network where training on the real rows would."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..inner import frozen_statistics, grads, trainable
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Problem, Task, draw
from .networks import Networks, TrainedOnSet
from .pieces import rows_at_once

__all__ = ["DISTANCES", "Distance", "GradientMatching", "cosine", "l1", "layer_cosine", "mse"]

Distance = Literal["layer-cosine", "cosine", "mse", "l1"]
Gradient = Sequence[Tensor | None]  # per parameter; None where the batch bypasses it


def _pairs(have: Gradient, want: Gradient) -> list[tuple[Tensor, Tensor]]:
    """Over the parameters that both sides touch."""
    return [(a, b) for a, b in zip(have, want, strict=True) if a is not None and b is not None]


def _whole(have: Gradient, want: Gradient) -> tuple[Tensor, Tensor]:
    pairs = _pairs(have, want)
    return torch.cat([a.flatten() for a, _ in pairs]), torch.cat([b.flatten() for _, b in pairs])


def layer_cosine(have: Gradient, want: Gradient) -> Tensor:
    """DC's distance (Zhao et al. 2021, eq. 10): 1 - cos summed over the output rows of every weight; biases and norms, which
    have one dimension, count for nothing."""
    terms = []
    for a, b in _pairs(have, want):
        if a.ndim > 1:
            a, b = a.flatten(1), b.flatten(1)  # (out, in * k * k)
            terms.append((1 - (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)).sum())
    return torch.stack(terms).sum()


def cosine(have: Gradient, want: Gradient) -> Tensor:
    """1 - cos of the whole gradients, as one vector each."""
    a, b = _whole(have, want)
    similarity: Tensor = (a * b).sum() / (a.norm() * b.norm() + 1e-6)
    return 1 - similarity


def mse(have: Gradient, want: Gradient) -> Tensor:
    """Squared distance, summed over all entries."""
    a, b = _whole(have, want)
    return (a - b).square().sum()


def l1(have: Gradient, want: Gradient) -> Tensor:
    """Absolute distance, summed over all entries (IDC)."""
    a, b = _whole(have, want)
    return (a - b).abs().sum()


DISTANCES: Mapping[Distance, Callable[[Gradient, Gradient], Tensor]] = {
    "layer-cosine": layer_cosine,
    "cosine": cosine,
    "mse": mse,
    "l1": l1,
}


@dataclass(frozen=True)
class GradientMatching:
    r"""DC (Zhao et al., ICLR 2021, algorithm 1) and, with `augment`, DSA (Zhao and Bilen, ICML 2021, eq. 5):

        \min_S  E_{\theta_0} \sum_t \sum_g  D( \nabla L(A_\omega(S_g), \theta_t), \nabla L(A_\omega(T_g), \theta_t) )

    where \theta_t is trained on S between updates. `one_by_one` backpropagates one group at a time, in the memory of one;
    the gradient is the same. BatchNorm takes its statistics from 16 real rows of each group and keeps them while matching.
    """

    n_real: int = 256  # real rows of each group
    distance: Distance = "layer-cosine"
    augment: str | None = None  # the augmentation that both sides go through
    networks: Networks = TrainedOnSet()
    one_by_one: bool = True

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        groups, D = list(synthetic.counts), DISTANCES[self.distance]  # noqa: N806
        at_once = rows_at_once(problem, synthetic, self.n_real)
        for net in self.networks.networks(problem, synthetic, run):  # theta_t
            theta, total = trainable(net), torch.zeros((), device=problem.device)
            with frozen_statistics(net, lambda: problem.data.sample(16, groups, rng=run.rng)):
                for g in groups:
                    omega = run.rng.getrandbits(31)
                    rows = draw(problem.data.ids(g), self.n_real, run.rng)
                    want = _real_gradient(problem, net, self.augment, omega, rows, run.rng, at_once)
                    fake = problem.augment(self.augment, synthetic.batch(g, run.rng), omega)
                    have = grads(problem.loss(net, fake), theta, create_graph=True)
                    d = D(have, want)
                    if self.one_by_one:
                        torch.autograd.backward(d, inputs=synthetic.leaves())
                        d = d.detach()
                    total = total + d
            yield total


def _real_gradient(
    problem: Problem[Any],
    net: nn.Module,
    augment: str | None,
    omega: int,
    rows: Sequence[int],
    rng: random.Random,
    at_once: int,  # rows in one forward
) -> Gradient:
    """The gradient of the mean loss over `rows`: the mean of the pieces' gradients, where the loss is a plain mean."""
    theta = trainable(net)
    if type(problem.task).loss is not Task.loss or type(problem.task).weights is not Task.weights:
        at_once = len(rows)
    total: list[Tensor | None] = []
    for k in range(0, len(rows), at_once):
        piece = rows[k : k + at_once]
        batch = problem.augment(augment, problem.data.take(piece, rng), omega)
        found = grads(problem.loss(net, batch) * (len(piece) / len(rows)), theta)
        total = [_plus(a, b) for a, b in zip(total, found, strict=True)] if k else found
    return total


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return a if b is None else b if a is None else a + b
