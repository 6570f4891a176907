"""What is matched between sets of whole graphs: DosCond's gradients, KiDD's regression."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ddcore.kernels import ridge, targets
from ddcore.loop import Run
from ddcore.objectives.gradient import GradientMatching, mse
from ddcore.objectives.networks import Fresh, Networks
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import B, Output, Problem

from ..kernels.gntk import LiteGNTK

__all__ = ["GraphKernelRegression", "RelativeMatching"]


@dataclass(frozen=True)
class RelativeMatching(GradientMatching):
    r"""DosCond on graphs (Jin et al., KDD 2022, algorithm 1): in a fresh network at every update

    \sum_c \| \nabla L(S_c) - \nabla L(T_c) \|^2 / \| \nabla L(T_c) \|^2
    """

    networks: Networks = field(default_factory=Fresh)
    one_by_one: bool = False

    def compare(self, have: Sequence[Tensor | None], want: Sequence[Tensor | None]) -> Tensor:
        size = torch.stack([w.square().sum() for w in want if w is not None]).sum()
        return mse(have, want) / size.clamp_min(1e-12)


@dataclass(frozen=True)
class GraphKernelRegression:
    r"""KiDD (Xu et al., KDD 2023, eq. 5 and 12): on real graphs, drawn anew,

        L( K_ts (K_ss + \lambda I)^{-1} y_s, y_t )  +  \mu \| \hat K_ss - I \|_F

    where \hat K_ss is the kernel with ones on its diagonal: graphs of the set are to be different.
    """

    kernel: Callable[[Any, Any], Tensor] = field(default_factory=LiteGNTK)
    n_real: int = 128
    reg: float = 1e-6
    orthogonality: float = 1e-3

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        while True:
            run.boundary()
            real, fake = problem.data.sample(self.n_real, rng=run.rng), synthetic.batch(rng=run.rng)
            k_ss = self.kernel(fake, fake)
            prediction = self.kernel(real, fake) @ ridge(k_ss, targets(problem, fake, centre=False), self.reg)
            scale = k_ss.diagonal().clamp_min(1e-12).rsqrt()
            apart = scale[:, None] * k_ss * scale - torch.eye(len(k_ss)).to(k_ss)
            diversity = self.orthogonality * (apart.square().sum() + 1e-12).sqrt()
            yield problem.task.loss(Output(prediction, prediction), real) + diversity
