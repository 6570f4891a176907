"""What experts will cost, before they are trained."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..problem import Problem
from .record import Snapshot, Trajectory
from .store import parameter_types, slots_of
from .training import Path, Training

__all__ = ["Cost", "estimate_experts"]


@dataclass(frozen=True)
class Cost:
    """What the experts that are not there yet will cost, in one process."""

    missing: int
    seconds: float
    bytes: int


def estimate_experts(
    problem: Problem[Any], number: int, training: Training = Training(), *, model: str | None = None, seed: int = 0
) -> tuple[Cost, list[Trajectory]]:
    """What `train_experts` would cost, from a few training steps; and the experts, or stand-ins for them: as many snapshots, on
    the line from the start through those steps. Nothing is stored."""
    slots = slots_of(problem, number, training, model, seed)
    missing = [slot for slot in slots if not slot.whole()]
    if not missing:
        return Cost(0, 0.0, 0), [slot.read() for slot in slots]
    slot = missing[0]
    path = Path(problem, training, slot.seed, slot.model)
    start, buffers = path.snapshot(), dict(path.net.named_buffers())
    path.advance(1)  # the first step is slow
    steps, began = 0, time.perf_counter()
    while steps < 3 or (steps < 50 and time.perf_counter() - began < 1.0):
        path.advance(n := min(5, path.steps_an_epoch))
        steps += n
    each = (time.perf_counter() - began) / steps
    kept = training.snapshots - training.first // training.stride
    pace = min(1.0, path.steps_an_epoch * training.stride / (steps + 1))  # of at most an epoch's steps a snapshot
    line = _Line(start, path.snapshot(), pace, training.snapshots, parameter_types(path))
    cost = Cost(
        missing=len(missing),
        seconds=len(missing) * training.epochs * path.steps_an_epoch * each,
        bytes=len(missing) * (kept * _bytes(start) + _bytes(buffers)),
    )
    return cost, [Trajectory(slot.model, slot.seed, training.stride, line, buffers)] * number


@dataclass(frozen=True)
class _Line(Sequence[Snapshot]):
    """Points on the line through two snapshots."""

    start: Snapshot
    end: Snapshot
    pace: float  # of the way from start to end, for each snapshot
    number: int
    dtypes: Mapping[str, torch.dtype]

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(self.number))]
        k = range(self.number)[k]
        return {
            name: x.to(self.dtypes[name]).lerp(self.end[name].to(self.dtypes[name]), k * self.pace)
            for name, x in self.start.items()
        }


def _bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(x.numel() * x.element_size() for x in tensors.values())
