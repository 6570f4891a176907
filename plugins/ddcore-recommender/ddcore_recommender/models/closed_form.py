"""What models without gradient descent share: the choice of a ridge on val."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ddcore.errors import DataError, NotSupported
from ddcore.problem import Problem

from ..ranking import ndcg
from ..users import Interactions

__all__ = ["best_on_val", "unfitted"]


@torch.no_grad()
def best_on_val(
    problem: Problem[Interactions], candidates: Sequence[float], fit: Callable[[float], Callable[[Tensor], Tensor]]
) -> tuple[float, Callable[[Tensor], Tensor]]:
    """The candidate whose predictor (histories (n, I) -> scores) has the largest nDCG@10 on val, and that predictor; the first
    of equal ones. Test rows are not read. Without a val split it is the middle candidate. Raises DataError where no candidate
    gives finite scores."""
    ids = problem.data.ids(split="val")
    if not ids:
        middle = candidates[len(candidates) // 2]
        return middle, fit(middle)
    best: tuple[float, Callable[[Tensor], Tensor]] | None = None
    most = -math.inf
    for value in candidates:
        predict = fit(value)
        score = _on_val(problem, predict)
        if score > most:
            most, best = score, (value, predict)
    if best is None:
        raise DataError(
            f"no ridge of {', '.join(f'{c:g}' for c in candidates)} gives finite scores: check the set's weights"
        )
    return best


def _on_val(problem: Problem[Interactions], predict: Callable[[Tensor], Tensor]) -> float:
    """nDCG@10; NaN where a score is no finite number."""
    parts = []
    for batch in problem.data.batches("val", 1024):
        scores = predict(batch.x)
        if not bool(scores.isfinite().all()):
            return math.nan
        parts.append(ndcg(scores, batch))
    return float(torch.cat(parts).mean())


def unfitted(name: str) -> NotSupported:
    """The answer to a method that wants a random network."""
    return NotSupported(
        f"{name} is solved in closed form and has neither weights nor features before that: "
        "choose a network, such as --set model=mult-vae"
    )
