"""TD3's objective: a window of training on the set, judged by real sequences and by a trained network's features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ddcore.inner import unroll
from ddcore.loop import Run
from ddcore.objectives.networks import Fresh, Networks
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import Problem

__all__ = ["AlignedTraining"]


@dataclass(frozen=True)
class AlignedTraining:
    r"""TD3 (Zhang et al., WWW 2025, eq. 8 to 10): with \theta from a random number of training steps on the set, of which
    the last `window` are differentiated (RaT-BPTT), and real sequences T,

        L(T, \theta) + \alpha mean | \phi_\theta(T) - \phi^*(T) |^2

    over the features \phi of T, \phi^* those of the `teacher` that was trained on real data."""

    teacher: nn.Module
    steps: int = 200
    window: int = 40
    n_real: int = 256
    alignment: float = 1.0  # alpha
    networks: Networks = Fresh()

    def losses(self, problem: Problem[Any], synthetic: Synthetic[Any], run: Run) -> Iterator[Tensor | None]:
        window = min(self.window, self.steps)
        for net in self.networks.networks(problem, synthetic, run):
            theta = {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}
            skipped, order = run.rng.randint(0, self.steps - window), run.rng.getrandbits(31)
            trained = unroll(
                problem,
                net,
                theta,
                synthetic,
                steps=skipped + window,
                burn_in=skipped,
                seed=order,
                rule="adam",
                memory="replay",
            )
            real = problem.data.sample(self.n_real, rng=run.rng)
            out = functional_call(net, {**theta, **trained}, (real,))
            with torch.no_grad():
                wanted = self.teacher(real).features
            yield problem.task.loss(out, real) + self.alignment * (out.features - wanted).square().mean()
