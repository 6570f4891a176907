"""Trajectory matching: training on the set takes a network where training on the real data took an expert."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ..errors import OptionError
from ..experts import Snapshot, Trajectory
from ..inner import Memory, unroll
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Problem

__all__ = [
    "AdaptiveMatching",
    "AlignedMatching",
    "Deep",
    "Everything",
    "GrowingWindow",
    "Line",
    "Lines",
    "Match",
    "Segment",
    "Segments",
    "Similar",
    "Tesla",
    "TrajectoryMatching",
    "Window",
    "convexify",
]


# ---------------------------------------------------------------------------------------------------------------------
# which stretch of which expert


class Segment(NamedTuple):
    """A stretch of an expert's path."""

    model: str  # of the problem's zoo
    start: Snapshot  # theta*_t
    target: Snapshot  # theta*_{t+M}


class Segments(Protocol):
    """Draws the stretch that an update matches."""

    def draw(self, run: Run) -> Segment: ...


@dataclass(frozen=True)
class Window:
    """A drawn expert from a drawn epoch in [first, last) to `span` epochs later (MTT, algorithm 1). Experts that end sooner
    are started at their last possible epoch at the latest."""

    experts: Sequence[Trajectory]
    last: int  # T^+: the start is before this epoch
    first: int = 0
    span: int = 2  # M, in epochs

    def draw(self, run: Run) -> Segment:
        expert = run.rng.choice(self.experts)
        t = run.rng.choice(_starts(expert, self.first, self.bound(run), self.span))
        return Segment(expert.model, expert.snapshots[t], expert.snapshots[t + self.span // expert.stride])

    def bound(self, run: Run) -> int:
        """T: the start of this update is before this epoch."""
        return self.last


@dataclass(frozen=True)
class GrowingWindow(Window):
    """A window whose end moves from `begin` to `last` over the first `over` updates: easy epochs first (DATM, section 3.3)."""

    begin: int = 1  # T
    over: int = 1000

    def bound(self, run: Run) -> int:
        return min(self.begin + (self.last - self.begin) * run.step // self.over, self.last)


def _starts(expert: Trajectory, first: int, last: int, span: int) -> range:
    """The snapshots of an expert that a stretch of `span` epochs may start from."""
    ahead, rest = divmod(span, expert.stride)
    latest = len(expert.snapshots) - 1 - ahead
    if rest or ahead < 1 or latest < 0:
        raise OptionError(
            f"a stretch of {span} epochs does not fit an expert with {len(expert.snapshots)} snapshots, one each "
            f"{expert.stride} epochs: train longer experts, or match over fewer epochs (a multiple of their stride)"
        )
    begin = min(-(-first // expert.stride), latest)
    return range(begin, max(min(-(-last // expert.stride), latest + 1), begin + 1))


class Line(NamedTuple):
    """The straight line between an expert's start and end, and how far along it the expert was at each snapshot."""

    model: str
    stride: int
    start: Snapshot
    end: Snapshot
    reached: Mapping[str, Tensor]  # by parameter: (snapshots,) from 0 to 1

    def at(self, epoch: float) -> Snapshot:
        r"""\theta_0 + \beta (\theta_T - \theta_0), \beta of each parameter between those of the epochs around it."""
        k, rest = divmod(epoch / self.stride, 1.0)
        beta = {name: torch.lerp(r[int(k)], r[min(int(k) + 1, len(r) - 1)], rest) for name, r in self.reached.items()}
        return {name: torch.lerp(x, self.end[name], beta[name].to(x)) for name, x in self.start.items()}


def convexify(expert: Trajectory) -> Line:
    r"""MCT's path (Zhong et al., CVPR 2025): a parameter that had gone the part \beta of the length of its path by epoch t is
    the part \beta of the way along the line."""
    snapshots, gone = expert.snapshots, {name: [0.0] for name in expert.snapshots[0]}
    before = snapshots[0]
    for k in range(1, len(snapshots)):
        now = snapshots[k]
        for name, lengths in gone.items():
            lengths.append(lengths[-1] + float((now[name] - before[name]).norm()))
        before = now
    reached = {
        name: torch.tensor(lengths, dtype=torch.float64) / (lengths[-1] or 1.0) for name, lengths in gone.items()
    }
    return Line(expert.model, expert.stride, snapshots[0], before, reached)


@dataclass(frozen=True)
class Lines:
    """A stretch of a drawn line from any point, not only a whole epoch, before `last` (MCT's continuous sampling)."""

    lines: Sequence[Line]
    last: int
    span: int = 2

    def draw(self, run: Run) -> Segment:
        line = run.rng.choice(self.lines)
        epochs = line.stride * (len(next(iter(line.reached.values()))) - 1)
        if self.span > epochs:
            raise OptionError(f"a stretch of {self.span} epochs does not fit experts of {epochs}: train longer ones")
        t = run.rng.uniform(0, min(self.last, epochs - self.span))
        return Segment(line.model, line.at(t), line.at(t + self.span))


# ---------------------------------------------------------------------------------------------------------------------
# which parameters count


class Match(Protocol):
    """Chooses what is compared: pairs of equal shape of the student's end, the start and the target."""

    def entries(self, end: Snapshot, segment: Segment) -> Iterator[tuple[Tensor, Tensor, Tensor]]: ...


@dataclass(frozen=True)
class Everything:
    """All parameters that training on the set touches."""

    def entries(self, end: Snapshot, segment: Segment) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return ((end[k], segment.start[k], segment.target[k]) for k in end)


@dataclass(frozen=True)
class Similar:
    r"""The entries whose similarity min(|\hat\theta|, |\theta*|) / max(|\hat\theta|, |\theta*|), negative where the signs
    differ, is at least `threshold`; the others are hard to match and are pruned (PP, Li et al. 2022). -1 prunes none."""

    threshold: float = 0.1

    def entries(self, end: Snapshot, segment: Segment) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for e, start, target in Everything().entries(end, segment):
            a, b = e.detach(), target
            small, large = torch.minimum(a.abs(), b.abs()), torch.maximum(a.abs(), b.abs())
            kept = (a * b).sign() * small >= self.threshold * large
            yield e[kept], start[kept], target[kept]


@dataclass(frozen=True)
class Deep:
    """All but the first part `dropped` of the entries, in the order of the network's layers (PAD, section 3.3)."""

    dropped: float = 0.25

    def entries(self, end: Snapshot, segment: Segment) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        left = int(self.dropped * sum(x.numel() for x in end.values()))
        for e, start, target in Everything().entries(end, segment):
            yield e.flatten()[left:], start.flatten()[left:], target.flatten()[left:]
            left = max(left - e.numel(), 0)


# ---------------------------------------------------------------------------------------------------------------------
# the objectives


@dataclass(frozen=True)
class TrajectoryMatching:
    r"""MTT (Cazenavette et al., CVPR 2022, eq. 2):

        L = |\hat\theta_{t+N} - \theta*_{t+M}|^2 / |\theta*_t - \theta*_{t+M}|^2,
        \hat\theta_{i+1} = \hat\theta_i - \eta \nabla l(A(S_i), \hat\theta_i) from \hat\theta_t = \theta*_t

    over all parameters together. The step size \eta is the set's own, and may be learned with it. With `memory="replay"`
    peak memory does not grow with N and the gradient is the same.
    """

    segments: Segments
    steps: int = 50  # N
    size: int | None = None  # synthetic rows a step; None: the whole set
    augment: str | None = "train"  # A, of the problem, where it has that one
    match: Match = Everything()
    memory: Memory = "replay"

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        training = problem.training_with(self.augment if self.augment in problem.augmentations else None)
        while True:
            run.boundary()
            segment = _on(problem, self.segments.draw(run))
            net = problem.new_model(run.rng, segment.model).train()
            yield self.update(training, synthetic, net, segment, run)

    def update(
        self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, segment: Segment, run: Run
    ) -> Tensor | None:  # ()
        """The loss of one stretch, as the loop takes it."""
        return self.unrolled(problem, synthetic, net, segment, self.steps, run.rng.getrandbits(31))

    def unrolled(
        self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, segment: Segment, steps: int, seed: int
    ) -> Tensor:  # ()
        """The loss after `steps` of the student."""
        start, size = segment.start, self.size
        end = unroll(problem, net, start, synthetic, steps=steps, seed=seed, size=size, memory=self.memory)
        return self.distance(end, segment)

    def distance(self, end: Snapshot, segment: Segment) -> Tensor:  # ()
        """How far the student is from the target, measured by how far the expert went."""
        entries = list(self.match.entries(end, segment))
        if not any(e.numel() for e, _, _ in entries):
            raise OptionError(f"{self.match} leaves no parameter to match: let it leave out fewer")
        left = torch.stack([(e - target).square().sum() for e, _, target in entries]).sum()
        went = torch.stack([(start - target).square().sum() for _, start, target in entries]).sum()
        return left / went


@dataclass(frozen=True)
class Tesla(TrajectoryMatching):
    r"""TESLA (Cui et al., ICML 2023, section 3.2): MTT's value in the memory of one step.

    With \hat\theta_{t+N} = \theta*_t - \sum_i \eta g_i(\hat\theta_i, S_i), step i adds dL/d\hat\theta_{t+N} times
    -d(\eta g_i)/dS to dL/dS. What is dropped: \hat\theta_i counts as a constant there, though steps before it depend on S too.
    """

    def update(
        self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, segment: Segment, run: Run
    ) -> Tensor | None:  # ()
        seed = run.rng.getrandbits(31)
        with torch.no_grad():
            end = unroll(problem, net, segment.start, synthetic, steps=self.steps, seed=seed, size=self.size)
        end = {k: x.requires_grad_() for k, x in end.items()}
        loss = self.distance(end, segment)
        slope = dict(zip(end, torch.autograd.grad(loss, list(end.values())), strict=True))
        theta = dict(segment.start)
        for i in range(self.steps):
            one = unroll(problem, net, theta, synthetic, steps=1, first=i, seed=seed, size=self.size)
            torch.autograd.backward(list(one.values()), [slope[k] for k in one], inputs=synthetic.leaves())
            theta |= {k: x.detach() for k, x in one.items()}
        return loss.detach()


@dataclass(frozen=True)
class AlignedMatching(TrajectoryMatching):
    """DATM (Guo et al., ICLR 2024): a stretch that the set cannot follow, whose loss is above `threshold`, is skipped. A loss
    that is not finite goes to the loop, which stops; a run whose second half moved nothing ends with a warning."""

    threshold: float = 1.0

    def update(
        self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, segment: Segment, run: Run
    ) -> Tensor | None:  # ()
        loss = super().update(problem, synthetic, net, segment, run)
        if loss is None or not self.threshold < float(loss.detach()) < math.inf:
            return loss
        if run.step + 1 == run.steps:
            self.warn(run)
        return None

    def warn(self, run: Run) -> None:
        """At the end of a run, where more than its second half was skipped."""
        moved = max((i + 1 for i, values in enumerate(run.history) if not math.isnan(values["loss"])), default=0)
        if 2 * moved <= run.steps:
            warnings.warn(
                f"{type(self).__name__} skipped the last {run.steps - moved} of {run.steps} updates, losses above "
                f"{self.threshold:g}: the set stands as it was at step {moved}. Lower the learning rates where the losses "
                "have exploded; else raise the threshold, or match easier stretches",
                stacklevel=2,
            )


@dataclass(frozen=True)
class AdaptiveMatching(TrajectoryMatching):
    """ATT (Liu et al., ECCV 2024): of the student's steps 1 .. N the one that comes closest to the target is matched, the
    later of equals. Close is meant in absolute distance, as in their code."""

    def update(
        self, problem: Problem[B], synthetic: Synthetic[B], net: nn.Module, segment: Segment, run: Run
    ) -> Tensor | None:  # ()
        seed, theta = run.rng.getrandbits(31), dict(segment.start)
        nearest, steps = float("inf"), self.steps
        with torch.no_grad():
            for i in range(self.steps):
                theta |= unroll(problem, net, theta, synthetic, steps=1, first=i, seed=seed, size=self.size)
                distance = float(sum((theta[k] - x).abs().sum() for k, x in segment.target.items()))
                if distance <= nearest:
                    nearest, steps = distance, i + 1
        run.log(student_steps=steps)
        return self.unrolled(problem, synthetic, net, segment, steps, seed)


def _on(problem: Problem[B], segment: Segment) -> Segment:
    start, target = ({k: x.to(problem.device) for k, x in s.items()} for s in (segment.start, segment.target))
    return Segment(segment.model, start, target)
