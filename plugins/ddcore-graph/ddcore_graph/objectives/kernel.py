"""Kernel regression on graphs: the core's, with the kernel of graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from ddcore.loop import Run
from ddcore.objectives.kernel import Blocks, FittingLoss, Kernels
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import B, Problem

from ..kernels.sntk import SNTK

__all__ = ["GraphKernel", "SquaredProbabilities"]


@dataclass(frozen=True)
class GraphKernel(Kernels):
    """One kernel of nodes, the same at every update."""

    kernel: SNTK

    def kernels(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Blocks]:
        while True:
            run.boundary()
            yield lambda real, fake: (self.kernel(real, fake), self.kernel(fake, fake))


@dataclass(frozen=True)
class SquaredProbabilities(FittingLoss):
    """Mean squared error of the softmax of predictions to one-hot labels (GC-SNTK's code)."""

    def start(self, problem: Problem[B], run: Run) -> Callable[[Tensor, Tensor, B], Tensor]:
        return lambda prediction, y, batch: (prediction.softmax(1) - y).square().mean()
