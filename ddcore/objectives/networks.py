"""Networks: which network an update sees, and what becomes of it afterwards. One idea for all families of objectives."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ..experts import Snapshot, Trajectory
from ..inner import fit, optimiser
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import Output, Problem
from ..recipes import Rule

__all__ = [
    "Fresh",
    "Interpolated",
    "Networks",
    "Pool",
    "Queue",
    "SideBySide",
    "Snapshots",
    "TrainedOnReal",
    "TrainedOnSet",
    "Watched",
    "trained",
]
B = TypeVar("B")


class Networks(Protocol):
    """A generator of networks: one each time an objective asks. It calls `run.boundary()` where everything outside `run.state`
    is disposable; code after a yield runs when the next network is asked for, so after the update."""

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]: ...


@dataclass(frozen=True)
class Fresh:
    """A random network at every update (DM)."""

    model: str | None = None  # of the zoo; None: its first

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        while True:
            run.boundary()
            yield problem.new_model(run.rng, self.model)


@dataclass(frozen=True)
class SideBySide:
    """`number` random networks at every update, as one that has the features of all (RFAD, section 3.1)."""

    number: int = 8
    model: str | None = None

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        while True:
            run.boundary()
            yield _Joined(problem.new_model(run.rng, self.model) for _ in range(self.number))


class _Joined(nn.Module):
    def __init__(self, nets: Iterable[nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, batch: Any) -> Output:
        outs = [net(batch) for net in self.nets]
        return Output(torch.stack([out.logits for out in outs]).mean(0), torch.cat([out.features for out in outs], 1))


@dataclass(frozen=True)
class TrainedOnSet:
    """A random network that is trained on the set between `outer` updates, then another (DC, algorithm 1)."""

    outer: int = 1  # updates along one network's training (the paper's T; "outer loop" in its code)
    epochs: int = 1  # of training on the set between two updates ("inner loop")
    lr: float = 0.01  # plain SGD
    size: int = 256  # rows a minibatch
    augment: str | None = None  # the augmentation of that training
    model: str | None = None

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        training = problem.training_with(self.augment)
        steps = self.epochs * -(-sum(synthetic.counts.values()) // self.size)
        while True:  # theta_0 ~ P
            run.boundary()
            net = problem.new_model(run.rng, self.model).train()
            opt = optimiser(net, "sgd", self.lr)
            for t in range(self.outer):
                yield net
                if t + 1 < self.outer:
                    seed = run.rng.getrandbits(31)
                    batches = (synthetic.train_batch(training, k, seed, self.size) for k in range(steps))
                    fit(training, net, batches, opt, self.lr)
                    if self.ends(problem, synthetic, net, run):
                        break

    def ends(self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, run: Run) -> bool:
        """Whether the network is given up before its `outer` updates: never. Policies that watch it write this."""
        return False


@dataclass(frozen=True)
class Watched:
    """A random network that is trained on the set between updates until what it scores on real rows has moved, and gives way to
    another when that has settled (CAFE, section 3.4). Moved and settled are about the range of the last `window` scores."""

    settled: float = 0.04  # lambda_1: the scores after updates lie within this, and another network comes
    moved: float = 0.03  # lambda_2: the scores after epochs of training span more than this, and an update comes
    window: int = 10  # scores that are looked back at
    longest: int = 50  # epochs between two updates, whatever the scores do
    query: int = 128  # real rows of each group that are scored
    lr: float = 0.01  # plain SGD
    size: int = 256  # rows a minibatch
    augment: str | None = None  # the augmentation of that training
    model: str | None = None

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        training, groups = problem.training_with(self.augment), list(synthetic.counts)
        steps = -(-sum(synthetic.counts.values()) // self.size)

        @torch.no_grad()
        def score(net: nn.Module) -> float:
            query = problem.data.sample(self.query, groups, rng=run.rng)
            return problem.task.score([(net(query), query)])[problem.task.metrics[0].name]

        def span(scores: Sequence[float]) -> float:
            last = scores[-self.window :]
            return max(last) - min(last) if len(last) == self.window else math.nan  # neither settled nor moved

        while True:
            run.boundary()
            net, after_updates = problem.new_model(run.rng, self.model).train(), list[float]()
            opt = optimiser(net, "sgd", self.lr)
            while True:
                yield net
                after_updates.append(score(net))
                if span(after_updates) < self.settled:
                    break
                after_epochs: list[float] = []
                while len(after_epochs) < self.longest and not span(after_epochs) > self.moved:
                    seed = run.rng.getrandbits(31)
                    batches = (synthetic.train_batch(training, k, seed, self.size) for k in range(steps))
                    fit(training, net, batches, opt, self.lr)
                    after_epochs.append(score(net))


@dataclass(frozen=True)
class TrainedOnReal:
    """A random network that is trained on real rows between `outer` updates, then another (IDC, algorithm 1)."""

    outer: int = 100  # updates along one network's training
    steps: int = 8  # minibatches of real rows between two updates
    before: int = 0  # minibatches before the first update
    lr: float = 0.01  # SGD, momentum 0.9, weight decay 5e-4
    size: int = 256  # rows a minibatch
    augment: str | None = "train"
    model: str | None = None

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        while True:
            run.boundary()
            net = self.start(problem, synthetic, run).train()
            opt = optimiser(net, "momentum", self.lr, weight_decay=5e-4)
            _train_on_real(problem, net, opt, self.before, self.size, self.augment, run.rng)
            for t in range(self.outer):
                yield net
                if t + 1 < self.outer:
                    _train_on_real(problem, net, opt, self.steps, self.size, self.augment, run.rng)

    def start(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> nn.Module:
        """Where the training begins: at random. Policies that begin elsewhere write this."""
        return problem.new_model(run.rng, self.model)


@dataclass(frozen=True)
class Pool:
    """`number` networks of different ages; one of them at each update, which then takes one step of training on the set and
    makes room for a fresh one when it has taken `life` (FRePo, algorithm 1)."""

    number: int = 10
    life: int = 100  # training steps until a network is replaced; ages are staggered
    rule: Rule = "adam"
    lr: float = 3e-4
    size: int | None = None  # rows a minibatch of that training; None: the whole set
    augment: str | None = None
    model: str | None = None

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        training = problem.training_with(self.augment)
        ages: list[int] = run.state.setdefault("ages", [i * self.life // self.number for i in range(self.number)])
        for i in range(self.number):
            self._keep(problem, run, i)
        while True:
            run.boundary()
            i = run.rng.randrange(self.number)
            net, opt = self._keep(problem, run, i)
            yield net
            if ages[i] < self.life:
                batch = synthetic.train_batch(training, run.rng.getrandbits(31), run.rng.getrandbits(31), self.size)
                fit(training, net, [batch], opt, self.lr)
                ages[i] += 1
            else:
                del run.state[f"net{i}"], run.state[f"opt{i}"]
                self._keep(problem, run, i)
                ages[i] = 0

    def _keep(self, problem: Problem[B], run: Run, i: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        net = run.keep(f"net{i}", lambda rng: problem.new_model(rng, self.model).train())
        return net, run.keep(f"opt{i}", lambda _: optimiser(net, self.rule, self.lr))


@dataclass(frozen=True)
class Queue:
    """Half-trained networks: a random one joins every `every` updates, the oldest of more than `most` leaves, one of them is
    seen by each update, and after it `trained` of them take `steps` minibatches of real rows (IDM, section 3.3)."""

    start: int = 3
    every: int = 30
    most: int = 100
    trained: int = 2
    steps: int = 10
    lr: float = 0.01  # SGD, momentum 0.9, weight decay 5e-4
    size: int = 256
    augment: str | None = "train"
    model: str | None = None

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        queue: list[int] = run.state.setdefault("queue", [])  # numbers of networks, the oldest first
        for i in queue:
            self._keep(problem, run, i)
        run.state.setdefault("asked", 0)
        while True:
            run.boundary()
            if run.state["asked"] % self.every == 0:
                for _ in range(1 if queue else self.start):
                    queue.append(queue[-1] + 1 if queue else 0)
                    self._keep(problem, run, queue[-1])
            if len(queue) > self.most:
                oldest = queue.pop(0)
                del run.state[f"net{oldest}"], run.state[f"opt{oldest}"]
            run.state["asked"] += 1
            yield self._keep(problem, run, run.rng.choice(queue))[0]
            for i in run.rng.sample(queue, min(self.trained, len(queue))):
                net, opt = self._keep(problem, run, i)
                _train_on_real(problem, net, opt, self.steps, self.size, self.augment, run.rng)

    def _keep(self, problem: Problem[B], run: Run, i: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        net = run.keep(f"net{i}", lambda rng: problem.new_model(rng, self.model).train())
        return net, run.keep(f"opt{i}", lambda _: optimiser(net, "momentum", self.lr, weight_decay=5e-4))


@dataclass(frozen=True)
class Snapshots:
    """A snapshot of an expert, both drawn: number `first` to `last` of its path (None: its end)."""

    experts: Sequence[Trajectory]
    first: int = 0
    last: int | None = None

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        while True:
            run.boundary()
            expert = run.rng.choice(self.experts)
            last = len(expert.snapshots) - 1 if self.last is None else self.last
            yield _loaded(problem, expert.model, expert.snapshots[run.rng.randint(self.first, last)], run.rng)


@dataclass(frozen=True)
class Interpolated:
    r"""Between an expert's start and end: \theta = u \theta_0 + (1 - u) \theta_T, u uniform in [low, high] (NCFM; DANCE)."""

    experts: Sequence[Trajectory]
    low: float = 0.0
    high: float = 1.0

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        while True:
            run.boundary()
            expert, u = run.rng.choice(self.experts), run.rng.uniform(self.low, self.high)
            start, end = expert.snapshots[0], expert.snapshots[-1]
            theta = {k: u * start[k] + (1 - u) * end[k] for k in start}
            yield _loaded(problem, expert.model, theta, run.rng)


def trained(problem: Problem[B], experts: Sequence[Trajectory], rng: random.Random) -> nn.Module:
    """One of the experts, drawn, as it is at the end of its path."""
    expert = rng.choice(experts)
    return _loaded(problem, expert.model, expert.teacher, rng)


def _loaded(problem: Problem[B], model: str, theta: Snapshot, rng: random.Random) -> nn.Module:
    net = problem.new_model(rng, model)
    parameters: dict[str, Tensor] = dict(net.named_parameters())
    with torch.no_grad():
        for name, value in theta.items():
            parameters[name].copy_(value)
    return net


def _train_on_real(
    problem: Problem[B],
    net: nn.Module,
    opt: torch.optim.Optimizer,
    steps: int,
    size: int,
    augment: str | None,
    rng: random.Random,
) -> None:
    lr = opt.param_groups[0]["lr"]
    batches = (
        (problem.augment(augment, problem.data.sample(size, rng=rng), rng.getrandbits(31)), lr) for _ in range(steps)
    )
    fit(problem, net, batches, opt, lr)
