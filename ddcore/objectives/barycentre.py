"""Wasserstein barycentres: as many points as a class has synthetic rows, which carry equal shares of its real features."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import NotSupported
from ..experts import Trajectory
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Output, Problem
from ..seeds import stream
from .networks import trained

__all__ = ["BarycentreMatching", "ClassTarget", "barycentre", "class_targets", "statistics", "transport"]
Floats = NDArray[np.float64]


def transport(cost: Floats) -> Floats:  # (k, n) -> (k, n), rows sum to 1/k, columns to 1/n
    """The optimal plan between k atoms and n points of equal weights, exactly: points come one after another, each by the
    shortest path on which atoms pass on others that they hold."""
    k, n = cost.shape
    unit = math.gcd(k, n)
    room, held = (
        np.full(k, n // unit),
        np.zeros((k, n), dtype=np.int64),
    )  # whole units: an atom takes n, a point brings k
    passing, passed = (
        np.full((k, k), np.inf),
        np.zeros((k, k), dtype=np.int64),
    )  # cheapest from atom a to b, and by which point
    for j in range(n):
        left = k // unit
        while left:
            path, end = _shortest(cost[:, j], passing, room)
            points = [j, *(passed[a, b] for a, b in zip(path, path[1:], strict=False))]
            amount = min(left, room[end], *(held[a, i] for a, i in zip(path, points[1:], strict=False)))
            for t, a in enumerate(path):
                held[a, points[t]] += amount
                if a != end:
                    held[a, points[t + 1]] -= amount
            room[end] -= amount
            left -= amount
            for a in path:
                some = held[a].nonzero()[0]
                dear = cost[:, some] - cost[a, some]
                passed[a], passing[a] = some[dear.argmin(1)], dear.min(1)
    plan: Floats = held * (unit / (k * n))
    return plan


def _shortest(cost: Floats, passing: Floats, room: NDArray[np.int64]) -> tuple[list[int], int]:
    """Bellman and Ford: the atoms from where a point comes in to the nearest one with room."""
    far, before = cost.copy(), np.full(len(cost), -1)
    for _ in range(len(cost) - 1):
        through = far[:, None] + passing  # (a, b)
        a = through.argmin(0)
        nearer = through[a, np.arange(len(cost))] < far - 1e-12 * (1 + np.abs(far))
        if not nearer.any():
            break
        far, before = np.where(nearer, through.min(0), far), np.where(nearer, a, before)
    end = int(np.where(room > 0, far, np.inf).argmin())
    path = [end]
    while before[path[0]] >= 0:
        path.insert(0, int(before[path[0]]))
    return path, end


def barycentre(points: Tensor, k: int, rng: random.Random, rounds: int = 100) -> Tensor:  # (n, d) -> (k, d)
    """k atoms of equal weight near to the points by W_2 (Cuturi and Doucet 2014, algorithm 2): transport the points, move each
    atom to the mean of its share, until nothing moves. For k = 1 it is the mean."""
    x = points.detach().double().cpu()
    atoms = x[[rng.randrange(len(x)) for _ in range(k)] if k > len(x) else rng.sample(range(len(x)), k)]
    for _ in range(rounds):
        plan = torch.from_numpy(transport(torch.cdist(atoms, x).square().numpy()))
        moved = k * plan @ x
        if torch.allclose(moved, atoms, rtol=0, atol=1e-9):
            break
        atoms = moved
    return atoms.to(points)


def statistics(layer: Tensor) -> tuple[Tensor, Tensor]:  # (rows, c, ...) -> (c,), (c,)
    """Mean and variance of each channel, over rows and positions."""
    channels = layer.transpose(0, 1).flatten(1)
    return channels.mean(1), channels.var(1, correction=0)


@dataclass(frozen=True)
class ClassTarget:
    """What a class is in a teacher's eyes."""

    atoms: Tensor  # (k, d)
    layers: Sequence[tuple[Tensor, Tensor]]  # mean and variance of each channel


@torch.no_grad()
def class_targets(
    problem: Problem[Any], counts: Mapping[int, int], experts: Sequence[Trajectory], rng: random.Random
) -> dict[int, ClassTarget]:
    """Barycentres and layer statistics of every class's real rows, under the first expert.

    Raises NotSupported where a row has several feature vectors, such as one a position.
    """
    teacher = _teacher(problem, experts)
    found = {}
    for g, k in counts.items():
        ids = problem.data.ids(g)
        size = 256 if problem.data.separable else len(ids)
        seen = [teacher(problem.data.take(ids[i : i + size], rng)) for i in range(0, len(ids), size)]
        features = torch.cat([out.features for out in seen])
        if len(features) != len(ids):
            raise NotSupported(
                f"wmdd gives each row the features of one point, and these {len(ids)} rows have {len(features)}: choose "
                "another method"
            )
        layers = [statistics(torch.cat(parts)) for parts in zip(*(out.layers for out in seen), strict=True)]
        found[g] = ClassTarget(barycentre(features, k, rng), layers)
    return found


def _teacher(problem: Problem[Any], experts: Sequence[Trajectory]) -> nn.Module:
    return trained(problem, experts[:1], stream("teacher")).eval()


@dataclass(frozen=True)
class BarycentreMatching:
    r"""WMDD (Liu et al. 2025): with a teacher \phi, the barycentres B_g of the classes' real features, and channel statistics
    of its layers l over real and synthetic rows of a class,

        \| \phi(A_\omega(S)) - B \|  +  loss * L(A_\omega(S), \phi)
            +  layers * \sum_g \sum_l ( \|\mu_l - \hat\mu_l\| + \|v_l - \hat v_l\| )
    """

    experts: Sequence[Trajectory]
    targets: Mapping[int, ClassTarget]
    loss: float = 1.0
    layers: float = 0.01
    augment: str | None = None

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        teacher, counts = _teacher(problem, self.experts), synthetic.counts
        atoms = torch.cat([self.targets[g].atoms for g in counts])
        while True:
            run.boundary()
            batch = synthetic.batch(list(counts), run.rng)
            batch = problem.augment(self.augment, batch, run.rng.getrandbits(31))
            out = teacher(batch)
            apart = (out.features - atoms).norm() + self.loss * problem.task.loss(out, batch)
            yield apart + self.layers * self._layers(out, counts)

    def _layers(self, out: Output, counts: Mapping[int, int]) -> Tensor:  # ()
        terms = []
        for i, layer in enumerate(out.layers):
            for g, rows in zip(counts, layer.split(list(counts.values())), strict=True):
                for have, want in zip(statistics(rows), self.targets[g].layers[i], strict=True):
                    terms.append((have - want).norm())
        return torch.stack(terms).sum()
