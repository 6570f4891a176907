"""Fake users as sums of relaxed draws from the items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ddcore.parametrizations.base import Synthetic
from ddcore.problem import Problem

from .users import Interactions

__all__ = ["GumbelUsers", "relaxed_draws"]


def relaxed_draws(logits: Tensor, temperature: float, seeds: Sequence[int]) -> Tensor:  # (n, I) -> (n, I)
    r"""\sum_s softmax((logits + Gumbel_s) / \tau), one draw for each seed (Jang et al.; Maddison et al., ICLR 2017). Rows sum
    to the number of draws. Memory does not grow with it: the backward pass draws each again."""
    found: Tensor = _Draws.apply(logits, temperature, tuple(seeds))  # type: ignore[no-untyped-call]
    return found


def _draw(logits: Tensor, temperature: float, seed: int) -> Tensor:  # (n, I)
    kind: Any = np.float64 if logits.dtype == torch.float64 else np.float32
    exponential = torch.from_numpy(np.random.default_rng(seed).standard_exponential(tuple(logits.shape), kind))
    gumbel = exponential.clamp_min_(torch.finfo(exponential.dtype).tiny).log_().neg_().to(logits)
    return gumbel.add_(logits).div_(temperature).softmax(1)


class _Draws(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, temperature: float, seeds: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(logits)
        ctx.temperature, ctx.seeds = temperature, seeds
        total = torch.zeros_like(logits)
        for seed in seeds:
            total += _draw(logits, temperature, seed)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None, None]:
        (logits,) = ctx.saved_tensors
        total = torch.zeros_like(logits)
        for seed in ctx.seeds:
            p = _draw(logits, ctx.temperature, seed)
            pv = p * v
            total += pv.sub_(p.mul_(pv.sum(1, keepdim=True)))  # (diag p - p p^T) v
        return total / ctx.temperature, None, None


class GumbelUsers(Synthetic[Interactions]):
    r"""Distill-CF's users (Sachdeva et al., NeurIPS 2022, section 4): from logits over the items,

        x = min( \sum_{g=1}^{\gamma} softmax((logits + Gumbel_g) / \tau), 1 )

    In expectation and for small \tau a sum of \gamma items drawn from softmax(logits). With fewer `draws` than \gamma their
    sum is scaled up: the same expectation before the minimum. `history` is \gamma, one for all or each user's own (n,).
    """

    parametrization = "recommender/gumbel-users"

    def __init__(
        self,
        counts: Mapping[int, int],
        logits: Tensor,  # (n, I)
        *,
        history: float | Tensor = 200,  # gamma
        temperature: float = 10.0,
        draws: int | None = None,
        step_size: float = 0.01,
    ) -> None:
        super().__init__(counts, step_size)
        self.logits = nn.Parameter(logits.detach().clone())
        self.best: Tensor
        self.score: Tensor
        self.register_buffer("best", logits.detach().clone())  # the logits that scored best on val
        self.register_buffer("score", torch.tensor(-math.inf))  # () what they scored
        self.history: Tensor
        self.register_buffer("history", torch.as_tensor(history, dtype=logits.dtype).broadcast_to(len(logits)).clone())
        self.temperature = temperature
        self.draws = round(float(self.history.mean())) if draws is None else draws

    def take(self, ids: Sequence[int], rng: Random | None = None) -> Interactions:
        rng = rng or Random(0)
        seeds = [rng.getrandbits(63) for _ in range(self.draws)]
        total = relaxed_draws(self.logits[list(ids)], self.temperature, seeds)
        return Interactions((total * (self.history[list(ids)] / self.draws)[:, None]).clamp(max=1))

    def remember(self, score: float) -> bool:
        """Whether the logits as they are now score better than the best, which they then are; without a score (NaN) always."""
        better = not bool(self.score.new_tensor(score) <= self.score)
        if better:
            self.best.copy_(self.logits.detach())
            self.score.fill_(score)
        return better

    @torch.no_grad()
    def recall(self) -> None:
        """Goes back to the best logits."""
        self.logits.copy_(self.best)

    def stored(self) -> dict[str, Tensor]:
        return {"logits": self.logits.detach(), "history": self.history}

    def config(self) -> dict[str, Any]:
        return {**super().config(), "temperature": self.temperature, "draws": self.draws}

    @classmethod
    def restore(cls, problem: Problem[Interactions], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        own = {name: config[name] for name in ("temperature", "draws")}
        return cls(dict(config["counts"]), tensors["logits"], history=tensors["history"], **own)
