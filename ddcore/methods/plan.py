"""Plan: the stages of a method. Kinds may repeat; each takes up what the earlier ones left."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import torch

from ..experts import Training, train_experts
from ..loop import Callback, Objective, Snapshot, optimise
from ..parallel import Backend
from ..parametrizations.base import Selected, Synthetic
from ..problem import Problem
from ..seeds import stream, torch_seeded

__all__ = [
    "Experts",
    "Label",
    "Plan",
    "Prepare",
    "Select",
    "Stage",
    "Synthesise",
    "Work",
    "as_it_is",
]
B = TypeVar("B")


@dataclass
class Work(Generic[B]):
    """A method at work: what its stages read and leave."""

    problem: Problem[B]
    counts: Mapping[int, int]
    seed: int = 0
    synthetic: Synthetic[B] | None = None
    results: dict[str, Any] = field(default_factory=dict)  # of Prepare, by name
    history: list[dict[str, float]] = field(default_factory=list)
    callbacks: Sequence[Callback] = ()
    checkpoint: Callable[[Callable[[], dict[str, Any]]], None] | None = None
    resume: Mapping[str, Any] | None = None  # what `checkpoint` was handed: {"stage", "history", "run"}
    stage: int = 0
    jobs: int = 1  # processes that train experts
    backend: Backend = "loky"
    progress: Callable[[str, int, int], None] | None = None  # what is prepared, how much of it is done, of how much

    def rng(self, purpose: str) -> random.Random:
        """A stream of this stage's own."""
        return stream(self.seed, "stage", self.stage, purpose)

    def perform(self, plan: Plan) -> Synthetic[B]:
        """All stages in order; those that a resumed run has behind it are built but not optimised again."""
        for self.stage, stage in enumerate(plan.stages):
            with torch_seeded(self.seed, "stage", self.stage):  # the caller's generator is left alone
                stage.run(self)
        if self.synthetic is None:
            raise RuntimeError("the plan ended without a set: it needs a Select or a Synthesise stage")
        return self.synthetic


class Stage(Protocol):
    """One part of a plan."""

    def run(self, work: Work[Any]) -> None: ...


@dataclass(frozen=True)
class Plan:
    """An ordered tuple of stages."""

    stages: tuple[Stage, ...]

    @property
    def steps(self) -> int:
        """Updates of all its Synthesise stages."""
        return sum(stage.steps for stage in self.stages if isinstance(stage, Synthesise))


@dataclass(frozen=True)
class Prepare:
    """Something that later stages need, kept under a name: teachers' labels, generators, real features."""

    name: str
    make: Callable[[Work[Any]], Any]

    def run(self, work: Work[Any]) -> None:
        """Leaves `work.results[name]`."""
        work.results[self.name] = self.make(work)


@dataclass(frozen=True)
class Experts:
    """Networks' paths in training on the real rows: read from the store, and trained where they are absent. All runs on a
    problem share them, whatever their seeds."""

    number: int
    training: Training
    model: str | None = None  # of the zoo; None: its first
    on: Callable[[Work[Any]], Problem[Any]] = lambda work: work.problem  # the problem as they see it

    def run(self, work: Work[Any]) -> None:
        """Leaves `work.results["experts"]`, a list of trajectories."""
        work.results["experts"] = train_experts(
            self.on(work),
            self.number,
            self.training,
            model=self.model,
            jobs=work.jobs,
            backend=work.backend,
            progress=work.progress,
        )


@dataclass(frozen=True)
class Select:
    """Real rows: a coreset, or where a later stage starts."""

    choose: Callable[[Problem[Any], Mapping[int, int], random.Random], Selected[Any]]

    def run(self, work: Work[Any]) -> None:
        """Leaves the rows as the set."""
        work.synthetic = self.choose(work.problem, work.counts, work.rng("select"))


def as_it_is(work: Work[Any], synthetic: Synthetic[Any]) -> None:
    """Nothing but the rows is learned."""


@dataclass(frozen=True)
class Synthesise:
    """Updates of the set by an objective. It starts from the rows that an earlier stage selected, goes on with a set that is
    already learned, or starts from noise where there is neither."""

    objective: Objective | Callable[[Work[Any]], Objective]
    steps: int
    optimiser: Callable[[Any], torch.optim.Optimizer]  # of the set's parameter groups
    moves: Callable[[int], Collection[str] | None] | None = None
    ready: Callable[[Work[Any], Synthetic[Any]], None] = as_it_is
    """What becomes learnable before the first update: step sizes, labels."""
    schedule: Callable[[int], float] | None = None  # of the step: what every learning rate is multiplied by
    averaging: float | None = None  # the result is the moving average of the set with this decay, not its last state

    def run(self, work: Work[Any]) -> None:
        """Leaves the optimised set."""
        if work.synthetic is None or isinstance(work.synthetic, Selected):
            start = None if work.synthetic is None else work.synthetic.batch(rng=work.rng("decode"))
            made: Synthetic[Any] = work.problem.synthetic(work.counts, start, work.rng("start"))
            work.synthetic = made.to(work.problem.device)
        self.ready(work, work.synthetic)
        resume = work.resume
        if resume is not None and resume["stage"] > work.stage:
            return
        before = work.history if resume is None or resume["stage"] < work.stage else resume["history"]
        objective: Any = self.objective if hasattr(self.objective, "losses") else self.objective(work)
        run = optimise(
            work.problem,
            work.synthetic,
            objective,
            steps=self.steps,
            optimiser=self.optimiser,
            seed=work.rng("optimise").getrandbits(63),
            moves=self.moves,
            schedule=self.schedule,
            averaging=self.averaging,
            callbacks=work.callbacks,
            checkpoint=None if work.checkpoint is None else self._checkpoint(work, before),
            resume=resume["run"] if resume is not None and resume["stage"] == work.stage else None,
            earlier=len(before),
        )
        work.history = [*before, *run.history]

    def _checkpoint(self, work: Work[Any], before: list[dict[str, float]]) -> Callable[[Callable[[], Snapshot]], None]:
        write, stage = work.checkpoint, work.stage
        assert write is not None
        return lambda snapshot: write(lambda: {"stage": stage, "history": before, "run": snapshot()})


@dataclass(frozen=True)
class Label:
    """New labels for the set as it stands: a teacher's, a regression's."""

    relabel: Callable[[Work[Any]], None]

    def run(self, work: Work[Any]) -> None:
        """Changes `work.synthetic` in place."""
        self.relabel(work)
