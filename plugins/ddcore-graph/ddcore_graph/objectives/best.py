"""The best iterate: of the states of a set the one that kernel regression on it predicts val best with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ddcore.kernels import ridge
from ddcore.loop import Objective, Run
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import B, Output, Problem

__all__ = ["BestOnVal", "kernel_score"]


@dataclass(frozen=True)
class BestOnVal:
    """An objective whose run ends with the set as it was at the best of `kernel_score` on val, asked for every `every` updates
    and after the last (SFGC, section 3.3: a closed form instead of trainings). Without val rows the last state is the result."""

    objective: Objective
    kernel: Callable[[Any, Any], Tensor]
    every: int = 10
    reg: float = 1.0

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        updates = self.objective.losses(problem, synthetic, run)
        try:
            for loss in updates:
                yield loss
                if run.step % self.every == 0:
                    self._look(problem, synthetic, run)
        finally:
            updates.close()  # type: ignore[attr-defined]
            if run.step == run.steps:
                self._look(problem, synthetic, run)
                if "best set" in run.state:
                    synthetic.load_state_dict(run.state["best set"])

    def _look(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> None:
        if not problem.data.ids(split="val"):
            return
        found = kernel_score(problem, synthetic, self.kernel, self.reg)
        if found > run.state.get("best score", -float("inf")):
            run.state["best score"], run.state["best set"] = found, copy.deepcopy(dict(synthetic.state_dict()))


@torch.no_grad()
def kernel_score(
    problem: Problem[B], synthetic: Synthetic[B], kernel: Callable[[B, B], Tensor], reg: float, split: str = "val"
) -> float:
    """The task's main metric of kernel ridge regression from the set to a split; higher is better."""
    fake = synthetic.batch()
    coefficients = ridge(kernel(fake, fake), problem.task.targets(fake), reg)
    pairs = []
    for batch in problem.data.batches(split):
        k = kernel(batch, fake)
        pairs.append((Output(k @ coefficients, k), batch))
    metric = problem.task.metrics[0]
    found: float = problem.task.score(pairs)[metric.name]
    return found if metric.higher_is_better else -found
