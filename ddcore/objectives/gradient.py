"""Gradient matching: training on the synthetic rows of a group pulls a network where training on the real rows would. One
frame, and what the methods of the family change in it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any, Generic, Literal

import torch
from torch import Tensor, nn

from ..errors import NotSupported
from ..inner import frozen_statistics, grads, trainable
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Problem, Task
from ..seeds import torch_seeded
from .networks import Networks, TrainedOnReal, TrainedOnSet
from .pieces import rows_at_once
from .real_rows import RealRows, Uniform
from .starts import parts

__all__ = [
    "DISTANCES",
    "ContrastiveMatching",
    "CurvatureMatching",
    "Distance",
    "GradientMatching",
    "GroupwiseMatching",
    "MultiLevelMatching",
    "Parameters",
    "ProgressiveMatching",
    "Sides",
    "Theta",
    "cosine",
    "l1",
    "layer_cosine",
    "layer_cosine_and_norm",
    "mse",
]

Distance = Literal["layer-cosine", "layer-cosine+norm", "cosine", "mse", "l1"]
Gradient = Sequence[Tensor | None]  # per parameter; None where the batch bypasses it


def _pairs(have: Gradient, want: Gradient) -> list[tuple[Tensor, Tensor]]:
    """Over the parameters that both sides touch."""
    return [(a, b) for a, b in zip(have, want, strict=True) if a is not None and b is not None]


def _whole(have: Gradient, want: Gradient) -> tuple[Tensor, Tensor]:
    pairs = _pairs(have, want)
    return torch.cat([a.flatten() for a, _ in pairs]), torch.cat([b.flatten() for _, b in pairs])


def _weights(have: Gradient, want: Gradient) -> list[tuple[Tensor, Tensor]]:  # (out, in * k * k) each
    return [(a.flatten(1), b.flatten(1)) for a, b in _pairs(have, want) if a.ndim > 1]


def _angles(a: Tensor, b: Tensor) -> Tensor:  # (out, n), (out, n) -> (out,)
    cos: Tensor = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)
    return 1 - cos


def layer_cosine(have: Gradient, want: Gradient) -> Tensor:
    """DC's distance (Zhao et al. 2021, eq. 10): 1 - cos summed over the output rows of every weight; biases and norms, which
    have one dimension, count for nothing."""
    return torch.stack([_angles(a, b).sum() for a, b in _weights(have, want)]).sum()


def layer_cosine_and_norm(have: Gradient, want: Gradient) -> Tensor:
    """EGM's distance (Jiang et al. 2022): DC's angles, and to each the length of the difference."""
    return torch.stack([(_angles(a, b) + (a - b).norm(dim=1)).sum() for a, b in _weights(have, want)]).sum()


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
    "layer-cosine+norm": layer_cosine_and_norm,
    "cosine": cosine,
    "mse": mse,
    "l1": l1,
}


Parameters = Literal["all", "body"]
"""Which parameters' gradients are compared: all, or the weights before the classifier, without biases and norms (IDC)."""


class Theta:
    """A network's parameters. The classifier is what its features don't depend on."""

    def __init__(self, net: nn.Module, probe: Callable[[], Any]) -> None:  # probe: some batch
        self.net, self.probe, self.all = net, probe, trainable(net)

    def matched(self, which: Parameters) -> list[nn.Parameter]:
        """Raises NotSupported where a network is all classifier."""
        if which == "all":
            return self.all
        found = [p for p in self.all if p.ndim > 1 and all(p is not q for q in self.classifier)]
        if not found:
            raise NotSupported(f"{type(self.net).__name__} has no weights before its classifier: match all parameters")
        return found

    @cached_property
    def classifier(self) -> list[nn.Parameter]:
        """What takes features to logits."""
        with torch_seeded("classifier"):  # dropout draws nothing of the run's
            features = self.net(self.probe()).features
        reached = grads(features.sum(), self.all) if features.requires_grad else [None] * len(self.all)
        return [p for p, d in zip(self.all, reached, strict=True) if d is None]


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
    rows: RealRows = Uniform()
    parameters: Parameters = "all"

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        sides = Sides(self, problem, synthetic, run)
        for net in self.networks.networks(problem, synthetic, run):  # theta_t
            total = torch.zeros((), device=problem.device)
            with sides.statistics(net):
                for g in synthetic.counts:
                    d = self.compare(*sides(net, g))
                    if self.one_by_one:
                        torch.autograd.backward(d, inputs=synthetic.leaves())
                        d = d.detach()
                    total = total + d
            yield total

    def read(
        self,
        problem: Problem[B],
        theta: Theta,
        batch: B,
        share: float = 1.0,  # of the rows whose mean it is a part of
        graph: bool = False,
    ) -> list[Tensor | None]:
        """What of a batch is matched, a mean over its rows: d loss / d theta."""
        return grads(problem.loss(theta.net, batch) * share, theta.matched(self.parameters), create_graph=graph)

    def compare(self, have: Gradient, want: Gradient) -> Tensor:  # ()
        """The distance of what was read of both sides."""
        return DISTANCES[self.distance](have, want)

    def of_set(
        self, problem: Problem[B], synthetic: Synthetic[B], theta: Theta, g: int, omega: int, run: Run
    ) -> Gradient:
        """What is read of a group's synthetic rows, with its graph."""
        batch = problem.augment(self.augment, synthetic.batch(g, run.rng), omega)
        return self.read(problem, theta, batch, graph=True)


class Sides(Generic[B]):
    """Both sides of a group under a network and one augmentation: what is read of its synthetic rows and of its real ones."""

    def __init__(self, objective: GradientMatching, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> None:
        self.objective, self.problem, self.synthetic, self.run = objective, problem, synthetic, run
        self.pick = objective.rows.picker(problem, objective.n_real)
        self.at_once = rows_at_once(problem, synthetic, objective.n_real)
        if type(problem.task).loss is not Task.loss or type(problem.task).weights is not Task.weights:
            self.at_once = objective.n_real  # its loss is no plain mean, so pieces don't add up to it
        self.theta: Theta | None = None

    def __call__(self, net: nn.Module, g: int) -> tuple[Gradient, Gradient]:
        """(of the set, of the real rows); the former has a graph."""
        omega, want = self._real(net, g)
        return self._set(net, g, omega), want

    def all(self, net: nn.Module, loss: Callable[[Sequence[Gradient], Sequence[Gradient]], Tensor]) -> Tensor:  # ()
        """`loss` of both sides of all groups. One by one it has no grad, as dL/dS is written here in the memory of one group:
        its synthetic rows are read twice, for dL/d(what is read of them) and for dL/dS."""
        if not self.objective.one_by_one:
            sides = [self(net, g) for g in self.synthetic.counts]
            return loss([have for have, _ in sides], [want for _, want in sides])
        rng, read, real, again = self.run.rng, list[Gradient](), list[Gradient](), []

        def of_set(g: int, omega: int) -> Gradient:
            with torch_seeded(self.run.seed, "read", self.run.step, g):  # dropout is the same when it is read again
                return self._set(net, g, omega)

        for g in self.synthetic.counts:
            omega, want = self._real(net, g)
            again.append((g, omega, rng.getstate()))
            read.append([x if x is None else x.detach().requires_grad_() for x in of_set(g, omega)])
            real.append(want)
        total, after = loss(read, real), rng.getstate()
        for have, (g, omega, state) in zip(read, again, strict=True):
            rng.setstate(state)
            inputs = [x for x in have if x is not None]
            slopes = torch.autograd.grad(total, inputs, allow_unused=True, retain_graph=True)
            pairs = zip((x for x in of_set(g, omega) if x is not None), slopes, strict=True)
            touched, slope = zip(*((x, d) for x, d in pairs if d is not None), strict=True)
            torch.autograd.backward(touched, slope, inputs=self.synthetic.leaves())
        rng.setstate(after)
        return total.detach()

    def _set(self, net: nn.Module, g: int, omega: int) -> Gradient:
        assert self.theta is not None
        return self.objective.of_set(self.problem, self.synthetic, self.theta, g, omega, self.run)

    def _real(self, net: nn.Module, g: int) -> tuple[int, Gradient]:
        """(augmentation, what is read of the group's real rows)."""
        if self.theta is None or self.theta.net is not net:
            self.theta = Theta(net, lambda: self.synthetic.batch(g, random.Random(0)))
        omega = self.run.rng.getrandbits(31)
        return omega, self._of_real(self.theta, self.pick(net, g, self.run.rng), omega)

    def statistics(self, net: nn.Module) -> Any:
        """BatchNorm held still while groups are read one by one."""
        groups = list(self.synthetic.counts)
        return frozen_statistics(net, lambda: self.problem.data.sample(16, groups, rng=self.run.rng))

    def _of_real(self, theta: Theta, rows: Sequence[int], omega: int) -> Gradient:
        """Over all rows: the sum of the pieces' shares."""
        problem = self.problem
        total: list[Tensor | None] = []
        for k in range(0, len(rows), self.at_once):
            piece = rows[k : k + self.at_once]
            batch = problem.augment(self.objective.augment, problem.data.take(piece, self.run.rng), omega)
            found = self.objective.read(problem, theta, batch, len(piece) / len(rows))
            total = add(total, found) if k else found
        return total


def add(first: Gradient, second: Gradient) -> list[Tensor | None]:
    """Their sum; None is a zero."""
    return [a if b is None else b if a is None else a + b for a, b in zip(first, second, strict=True)]


@dataclass(frozen=True)
class ContrastiveMatching(GradientMatching):
    r"""DCC (Lee et al., ICML 2022): the classes' gradients are summed before they are compared,

        D( \sum_g \nabla L(S_g, \theta_t), \sum_g \nabla L(T_g, \theta_t) )

    so that what classes share cancels and what tells them apart is matched.
    """

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        sides = Sides(self, problem, synthetic, run)
        for net in self.networks.networks(problem, synthetic, run):
            with sides.statistics(net):
                loss = sides.all(net, lambda have, want: self.compare(reduce(add, have), reduce(add, want)))
            yield loss


@dataclass(frozen=True)
class GroupwiseMatching(GradientMatching):
    r"""IDC (Kim et al., ICML 2022, algorithm 1) at factor 1, without its packing: an update for each group,

        D( \nabla L(A_\omega(S_g), \theta_t), \nabla L(A_\omega(T_g), \theta_t) )

    over the weights before the classifier, in networks that are trained on real rows after every round of the groups.
    """

    n_real: int = 64
    distance: Distance = "mse"
    networks: Networks = TrainedOnReal()
    one_by_one: bool = field(default=True, init=False)
    parameters: Parameters = "body"

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        sides = Sides(self, problem, synthetic, run)
        for net in self.networks.networks(problem, synthetic, run):
            with sides.statistics(net):
                for g in synthetic.counts:
                    yield self.compare(*sides(net, g))


@dataclass(frozen=True)
class ProgressiveMatching(GroupwiseMatching):
    r"""PDD (Chen et al., ICLR 2024, algorithm 1) with IDC, at one of its stages: part P_k of each group is learned so that it
    and the earlier ones together match,

        \nabla L(P_1 + ... + P_k, \theta_t)   with   \nabla L(T, \theta_t)

    The earlier parts get no gradient, so they stay; their gradient in theta is added to that of the new one.
    """

    stage: int = 0  # k - 1
    stages: int = 1

    def of_set(
        self, problem: Problem[B], synthetic: Synthetic[B], theta: Theta, g: int, omega: int, run: Run
    ) -> Gradient:
        *earlier, new = [part[g] for part in parts(synthetic, self.stages)[: self.stage + 1]]
        old, total = [i for part in earlier for i in part], len(new) + sum(map(len, earlier))

        def read(ids: Sequence[int], graph: bool) -> list[Tensor | None]:
            batch = problem.augment(self.augment, synthetic.take(ids, run.rng), omega)
            return self.read(problem, theta, batch, len(ids) / total, graph)

        found = read(new, graph=True)
        return add(found, read(old, graph=False)) if old else found


@dataclass(frozen=True)
class MultiLevelMatching(GradientMatching):
    r"""EGM (Jiang et al., Delving into Effective Gradient Matching, 2022): within the classes and across them,

        \sum_g D( \nabla L(S_g), \nabla L(T_g) )  +  \lambda  D( \sum_g \nabla L(S_g), \sum_g \nabla L(T_g) )

    where D is about angles, and about lengths a little.
    """

    distance: Distance = "layer-cosine+norm"
    across: float = 1.0  # lambda

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        def both(have: Sequence[Gradient], want: Sequence[Gradient]) -> Tensor:
            within = [self.compare(a, b) for a, b in zip(have, want, strict=True)]
            return sum(within, self.across * self.compare(reduce(add, have), reduce(add, want)))

        sides = Sides(self, problem, synthetic, run)
        for net in self.networks.networks(problem, synthetic, run):
            with sides.statistics(net):
                loss = sides.all(net, both)
            yield loss


@dataclass(frozen=True)
class CurvatureMatching(GradientMatching):
    r"""LCMat (Shin et al., AISTATS 2023): beside the gradients, how the loss bends around \theta,

        D( \nabla L(S_g), \nabla L(T_g) )  +  \rho / 2  \| Var(S_g) - Var(T_g) \|_1

    where Var is the variance over rows of the gradient of each of the classifier's parameters, which stands for the diagonal
    of the Hessian. One row has none: with one row a class the term is a constant.
    """

    rho: float = 0.05

    def read(
        self, problem: Problem[B], theta: Theta, batch: B, share: float = 1.0, graph: bool = False
    ) -> list[Tensor | None]:
        """Of all parameters the gradient; then of each the mean square of its rows' gradients, None before the classifier.

        Raises NotSupported where a network has no classifier of its own.
        """
        if not theta.classifier:
            raise NotSupported(
                f"lcmat reads the gradients of a classifier, and {type(theta.net).__name__} has no parameters of one: choose "
                "another network or method"
            )
        out = theta.net(batch)
        rows = problem.task.losses(out, batch)  # (rows,)
        each = torch.autograd.grad(  # (rows, ...) of each
            rows,
            theta.classifier,
            torch.eye(len(rows)).to(rows),
            retain_graph=True,
            create_graph=graph,
            is_grads_batched=True,
        )
        squares = {id(p): share * d.square().mean(0) for p, d in zip(theta.classifier, each, strict=True)}
        found = grads(problem.task.loss(out, batch) * share, theta.all, create_graph=graph)
        return [*found, *(squares.get(id(p)) for p in theta.all)]

    def compare(self, have: Gradient, want: Gradient) -> Tensor:
        """Both distances."""
        n = len(have) // 2
        bent = [(v - w).abs().sum() for v, w in zip(_variances(have), _variances(want), strict=True)]
        return super().compare(have[:n], want[:n]) + self.rho / 2 * torch.stack(bent).sum()


def _variances(read: Gradient) -> list[Tensor]:
    n = len(read) // 2
    return [s - d.square() for d, s in zip(read[:n], read[n:], strict=True) if d is not None and s is not None]
