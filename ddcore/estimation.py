"""Estimation: time, memory and disk of a run before it, from its first steps."""

from __future__ import annotations

import contextlib
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
from .devices import peak_memory, resolve_device
from .distillation import plan
from .experts import estimate_experts
from .loop import Run
from .methods.base import Method
from .methods.plan import Experts, Plan, Work
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
    experts: int = 0  # that are to be trained first
    experts_seconds: float = 0.0  # in one process
    experts_bytes: int = 0  # in the cache

    @property
    def seconds(self) -> float:
        """The whole run."""
        return self.experts_seconds + self.setup_seconds + self.steps * self.seconds_per_step

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
        if self.experts:
            took, size = _duration(self.experts_seconds), self.experts_bytes / 2**20
            table.add_row(
                "experts", f"{self.experts} to train: {took} of that in one process, {size:,.0f} MiB of cache"
            )
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
    """Time, memory and disk of `distill` with the same arguments, from a few seconds of the run itself. Experts that are not
    cached are not trained: a few of their steps are measured, and the run is measured with stand-ins."""
    device_ = resolve_device(device)
    problem = problem.to(device_)
    budget = Budget(ipc, ratio, bytes, ratio_of)
    given = {**(options or {}), **({} if steps is None else {"steps": steps})}
    stages, record = plan(problem, method, budget, preset, given)
    probe = _Probe()
    work = Work(problem, budget.counts(problem.data, problem.class_names), seed, callbacks=(probe,))
    measured = Plan(tuple(_StandIns(s) if isinstance(s, Experts) else s for s in stages.stages))
    experts = [stage for stage in measured.stages if isinstance(stage, _StandIns)]
    began = time.perf_counter()
    with contextlib.suppress(_Enough):
        work.perform(measured)
    first = probe.first or time.perf_counter()
    setup = first - began - sum(stage.took for stage in experts if stage.began < first)
    for stage in measured.stages[work.stage + 1 :]:  # the run was cut short: experts of later stages are trained, too
        if isinstance(stage, _StandIns):
            stage.run(work)
    assert work.synthetic is not None
    each = sum(probe.laps) / len(probe.laps) if probe.laps else 0.0
    with tempfile.TemporaryDirectory() as folder:
        artifact = Artifact.of(problem, work.synthetic, method=record, budget=budget.describe(), seed=seed, history=())
        artifact.save(Path(folder) / "artifact")
        disk = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
    return Estimate(
        problem=problem.name,
        method=record["name"],
        steps=stages.steps,
        setup_seconds=max(setup - each, 0.0),
        seconds_per_step=each,
        memory_bytes=peak_memory(device_),
        disk_bytes=disk + 40 * stages.steps,  # a line of history a step
        device=str(device_),
        measured_steps=probe.steps,
        experts=sum(stage.missing for stage in experts),
        experts_seconds=sum(stage.seconds for stage in experts),
        experts_bytes=sum(stage.bytes for stage in experts),
    )


@dataclass
class _StandIns:
    """In the place of experts: what they will cost, and something to measure the rest with."""

    stage: Experts
    missing: int = 0
    seconds: float = 0.0
    bytes: int = 0
    began: float = 0.0
    took: float = 0.0

    def run(self, work: Work[Any]) -> None:
        self.began = time.perf_counter()
        cost, work.results["experts"] = estimate_experts(
            self.stage.on(work), self.stage.number, self.stage.training, model=self.stage.model
        )
        self.missing, self.seconds, self.bytes = cost.missing, cost.seconds, cost.bytes
        self.took = time.perf_counter() - self.began


class _Enough(Exception):
    """Measured long enough."""


class _Probe:
    """Notes when each step ended, and stops the run when it has seen enough."""

    def __init__(self) -> None:
        self.first: float | None = None  # when the first step ended
        self.last = 0.0
        self.steps = 0
        self.laps: list[float] = []

    def __call__(self, run: Run) -> None:
        if run.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if run.step > 1:  # before the first step of a stage the stage was set up
            self.laps.append(now - self.last)
        self.first, self.last, self.steps = self.first or now, now, self.steps + 1
        if self.steps > MEASURED_STEPS and now - self.first > MEASURED_SECONDS:
            raise _Enough


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
