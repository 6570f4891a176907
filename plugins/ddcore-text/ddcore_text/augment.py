"""Augmentations of text: words that are dropped, rows that are blended."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from ddcore.labels import one_hot

if TYPE_CHECKING:
    from torch import Tensor

    from ddcore.rows import Rows

    from .tokens import TokenSpace

__all__ = ["Mixup", "TokenDropout"]


@dataclass(frozen=True)
class TokenDropout:
    """Each word's vector is left out with probability `rate` (Iyyer et al. 2015, word dropout), never the first. `per_row` draws
    for each row; else one draw of positions holds for the whole batch. A network sees a dropped word as padding."""

    rate: float = 0.1
    per_row: bool = False
    version = "2"

    def __call__(self, batch: Rows, seed: int) -> Rows:
        n, t = batch.x.shape[:2]
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand(n if self.per_row else 1, LONGEST, generator=generator)[:, :t] >= self.rate
        drawn[:, 0] = True
        mask = getattr(batch, "mask", None)
        kept = drawn.to(batch.x.device).expand(n, t)
        return replace(batch, mask=kept if mask is None else kept & mask)  # type: ignore[call-arg]


@dataclass(frozen=True, eq=False)
class Mixup:
    """Each row becomes a blend of itself and another one, and so do their targets (Zhang et al. 2018; for word and sentence
    vectors Guo et al. 2019); one weight a batch, from Beta(alpha, alpha)."""

    classes: int
    space: TokenSpace | None = None  # whose table token ids are looked up in; None: rows are vectors
    alpha: float = 0.2
    version = "1"

    def __call__(self, batch: Rows, seed: int) -> Rows:
        rng = random.Random(seed)
        weight = rng.betavariate(self.alpha, self.alpha)
        other = torch.tensor(rng.sample(range(len(batch.x)), len(batch.x)), device=batch.x.device)
        x, mask = batch.x, getattr(batch, "mask", None)
        if self.space is not None and x.ndim == 2:
            x = self.space.table.to(x.device)[x]
        if mask is not None:
            x = x * mask.unsqueeze(-1).to(x.dtype)
        mixed: dict[str, Any] = {"x": _blend(x, other, weight)}
        if mask is not None:
            mixed["mask"] = mask | mask[other]
        if batch.y is not None:
            y = one_hot(batch.y, self.classes) if batch.y.ndim == 1 else batch.y
            mixed["y"] = _blend(y.to(x.dtype), other, weight)
        if batch.values is not None:
            mixed["values"] = _blend(batch.values, other, weight)
        return replace(batch, **mixed)


def _blend(x: Tensor, other: Tensor, weight: float) -> Tensor:
    return weight * x + (1 - weight) * x[other]


LONGEST = 512
"""Positions that a draw covers, so that it does not depend on the batch's length."""
