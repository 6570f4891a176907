"""Estimation: time, memory and disk of a run before it, from its first steps."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.table import Table

from .artifact import Artifact
from .budget import Budget
from .devices import resolve_device
from .distillation import plan
from .loop import Run
from .methods.base import Method
from .methods.plan import Work
from .problem import Problem

__all__ = ["Estimate", "estimate"]

MEASURED_STEPS, MEASURED_SECONDS = 5, 3.0
"""A run is measured for at least that long, unless it ends before."""


@dataclass(frozen=True)
class Estimate:
    """What a run will cost."""

    problem: str
    method: str
    steps: int
    setup_seconds: float  # until the first step
    seconds_per_step: float
    memory_bytes: int | None  # peak of the process, or of the GPU; None where the system does not say
    disk_bytes: int  # of the artifact
    device: str
    measured_steps: int

    @property
    def seconds(self) -> float:
        """The whole run."""
        return self.setup_seconds + self.steps * self.seconds_per_step

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "seconds": self.seconds}

    def table(self) -> Table:
        """One line each for time, memory and disk."""
        table = Table(
            title=f"{self.method} on {self.problem}, {self.steps:,} steps on {self.device}", show_header=False
        )
        memory = "unknown" if self.memory_bytes is None else f"{self.memory_bytes / 2**20:,.0f} MiB"
        table.add_row("time", f"{_duration(self.seconds)} ({self.seconds_per_step * 1e3:.1f} ms a step)")
        table.add_row("memory, peak", memory)
        table.add_row("disk", f"{self.disk_bytes / 2**10:,.0f} KiB")
        table.add_row("measured", f"{self.measured_steps} steps")
        return table


def estimate(
    problem: Problem[Any],
    method: str | Method,
    *,
    ipc: int | None = None,
    ratio: float | None = None,
    ratio_of: Literal["labelled", "all"] = "labelled",
    bytes: int | None = None,
    preset: str = "quick",
    steps: int | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Estimate:
    """Time, memory and disk of `distill` with the same arguments, from a few seconds of the run itself."""
    device_ = resolve_device(device)
    problem = problem.to(device_)
    budget = Budget(ipc, ratio, bytes, ratio_of)
    given = {**(options or {}), **({} if steps is None else {"steps": steps})}
    stages, record = plan(problem, method, budget, preset, given)
    probe = _Probe()
    work = Work(problem, budget.counts(problem.data, problem.class_names), seed, callbacks=(probe,))
    began = time.perf_counter()
    with contextlib.suppress(_Enough):
        work.perform(stages)
    assert work.synthetic is not None
    first = probe.times[0] if probe.times else time.perf_counter()
    laps = [b - a for a, b in zip(probe.times, probe.times[1:], strict=False)]
    each = sum(laps) / len(laps) if laps else 0.0
    with tempfile.TemporaryDirectory() as folder:
        artifact = Artifact.of(problem, work.synthetic, method=record, budget=budget.describe(), seed=seed, history=())
        artifact.save(Path(folder) / "artifact")
        disk = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
    return Estimate(
        problem=problem.name,
        method=record["name"],
        steps=stages.steps,
        setup_seconds=max(first - began - each, 0.0),
        seconds_per_step=each,
        memory_bytes=_peak_memory(device_),
        disk_bytes=disk + 40 * stages.steps,  # a line of history a step
        device=str(device_),
        measured_steps=len(probe.times),
    )


class _Enough(Exception):
    """Measured long enough."""


class _Probe:
    """Notes when each step ended, and stops the run when it has seen enough."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, run: Run) -> None:
        if run.device.type == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())
        if len(self.times) > MEASURED_STEPS and self.times[-1] - self.times[0] > MEASURED_SECONDS:
            raise _Enough


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
