"""Distill-CF's objective: kernel regression on the fake users reconstructs the real ones."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ddcore.kernels import ridge
from ddcore.loop import Run
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import Problem
from ddcore.seeds import generator

from .gumbel import GumbelUsers
from .models.infinite_ae import autoencoder_kernel
from .ranking import ndcg
from .users import Interactions

__all__ = ["Reconstruction", "mean_history", "on_val"]


@dataclass(frozen=True)
class Reconstruction:
    r"""Distill-CF (Sachdeva et al., NeurIPS 2022, eq. 3): over all real users x and the fake users S,

        mean_x  - \sum_i x_i log softmax( \Theta(x, S) (\Theta(S, S) + \lambda I)^{-1} S )_i
            + \lambda_2 mean_s |s|_1 / mean_x |x|_1

    With `masked` > 0 the kernel sees each interaction of x only with probability 1 - `masked`, drawn anew for every update, and
    the sum is over those that it does not see: as in val and test, where the others are asked for.

    Real users are read in batches, and the fake ones are drawn once for all of them. From the first update on, \lambda is the
    best of `ridges` on val every `val_every` updates, and the users that were best there are remembered; after `patience`
    updates without a better score nothing moves any more. Without a val split \lambda is the middle one. The users after the
    last update are left to be judged.
    """

    ridges: tuple[float, ...] = (1e-5, 1e-3, 0.1, 1.0, 5.0, 50.0)
    sparsity: float = 1e-3  # lambda_2
    masked: float = 0.0
    val_every: int = 40
    patience: int = 150
    user_batch: int = 1024

    def losses(self, problem: Problem[Any], synthetic: Synthetic[Any], run: Run) -> Iterator[Tensor | None]:
        assert isinstance(synthetic, GumbelUsers)
        ids = problem.data.ids()
        length = mean_history(problem, self.user_batch)
        found: dict[str, Any] = run.state.setdefault(
            "search", {"reg": self.ridges[len(self.ridges) // 2], "step": 0, "ended": False}
        )
        while True:
            run.boundary()
            if not found["ended"] and run.step % self.val_every == 0:
                score, found["reg"] = on_val(problem, synthetic, self.ridges)
                run.log(val=score, reg=found["reg"])
                if synthetic.remember(score):
                    found["step"] = run.step
                found["ended"] = run.step - found["step"] >= self.patience
            if found["ended"]:
                yield None
                continue
            s = synthetic.batch(rng=run.rng).x  # (n, I)
            leaf = s.detach().requires_grad_()
            k_ss = autoencoder_kernel(Interactions(leaf), Interactions(leaf))
            solved = ridge(k_ss, leaf, found["reg"])
            alpha = solved.detach().requires_grad_()
            loss = self.sparsity * leaf.sum(1).mean() / length
            torch.autograd.backward(loss, inputs=[leaf])
            total = loss.detach()
            for i in range(0, len(ids), self.user_batch):
                seen, asked = self._question(problem.data.take(ids[i : i + self.user_batch]).x, run.rng)
                scores = autoencoder_kernel(Interactions(seen), Interactions(leaf)) @ alpha
                part = -(asked * scores.log_softmax(1)).sum() / len(ids)
                torch.autograd.backward(part, inputs=[leaf, alpha])
                total += part.detach()
            torch.autograd.backward(solved, alpha.grad, inputs=[leaf])
            torch.autograd.backward(s, leaf.grad, inputs=synthetic.leaves())
            yield total

    def _question(self, x: Tensor, rng: random.Random) -> tuple[Tensor, Tensor]:  # (B, I), (B, I)
        """What of the histories the kernel sees, and what is asked for."""
        if not self.masked:
            return x, x
        hidden = torch.rand(x.shape, generator=generator(rng)).to(x) < self.masked
        return x * ~hidden, x * hidden


def mean_history(problem: Problem[Interactions], size: int = 1024) -> float:
    """How many interactions a real user has on average."""
    total = sum(float(b.x.sum()) for b in problem.data.batches("train", size))
    return total / len(problem.data.ids())


@torch.no_grad()
def on_val(
    problem: Problem[Interactions], synthetic: Synthetic[Interactions], ridges: tuple[float, ...]
) -> tuple[float, float]:
    """nDCG@10 on val of kernel regression on the set, and the ridge of `ridges` that gave it; without a val split NaN and the
    middle one. Test rows are not read."""
    if not problem.data.ids(split="val"):
        return math.nan, ridges[len(ridges) // 2]
    s = synthetic.batch()
    k_ss = autoencoder_kernel(s, s)
    alphas = [ridge(k_ss, s.x, reg) for reg in ridges]
    sums, users = torch.zeros(len(ridges), dtype=torch.float64), 0
    for batch in problem.data.batches("val", 1024):
        k = autoencoder_kernel(batch, s)
        gains = [ndcg(k @ alpha, batch) for alpha in alphas]
        sums += torch.stack([g.double().sum().cpu() for g in gains])
        users += len(gains[0])
    best = int(sums.argmax())
    return float(sums[best]) / max(users, 1), ridges[best]
