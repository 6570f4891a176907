"""What experts say of rows: which they know, what they answer, which are hard."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.func import functional_call

from ..errors import NotSupported
from ..parametrizations.base import Selected, Synthetic
from ..problem import Output, Problem
from .record import Trajectory
from .training import Ranked

__all__ = ["answers", "by_difficulty", "known_rows"]
B = TypeVar("B")


@torch.no_grad()
def _outputs(problem: Problem[B], expert: Trajectory, batch: B) -> Output:
    net = problem.new_model(random.Random(0), expert.model).eval()
    teacher = {k: x.to(problem.device) for k, x in {**expert.buffers, **expert.teacher}.items()}
    found: Output = functional_call(net, teacher, (batch,))
    return found


def known_rows(
    problem: Problem[B], counts: Mapping[int, int], experts: Sequence[Trajectory], rng: random.Random
) -> Selected[B]:
    """Random rows of each group that an expert predicts right (DATM's start): the first expert's, then those of the next
    where it knows too few, then any."""
    chosen: dict[int, list[int]] = {}
    for g, n in counts.items():
        left, chosen[g] = rng.sample(list(problem.data.ids(g)), len(problem.data.ids(g))), []
        for expert in experts:
            if len(chosen[g]) < n:
                right = _right(problem, expert, left)
                chosen[g] += [i for i in left if i in right][: n - len(chosen[g])]
                left = [i for i in left if i not in chosen[g]]
        chosen[g] += left[: n - len(chosen[g])]
    return Selected(problem.data, chosen)


def _right(problem: Problem[B], expert: Trajectory, ids: Sequence[int], size: int = 256) -> set[int]:
    right: set[int] = set()
    for k in range(0, len(ids), size):
        piece = ids[k : k + size]
        batch = problem.data.take(piece)
        hits = _outputs(problem, expert, batch).logits.argmax(1) == problem.task.targets(batch).argmax(1)
        right.update(i for i, hit in zip(piece, hits.tolist(), strict=True) if hit)
    return right


def answers(problem: Problem[B], experts: Sequence[Trajectory], synthetic: Synthetic[B]) -> Tensor:  # (rows, k)
    """The mean logits, for each row of the set, of those experts that predict it right (DATM); of all where none does."""
    batch = synthetic.batch()
    logits = torch.stack([_outputs(problem, expert, batch).logits for expert in experts])  # (experts, rows, k)
    with torch.no_grad():
        right = logits.argmax(2) == problem.task.targets(batch).argmax(1)
    weights = torch.where(right.any(0), right, True).to(logits)
    return (logits * weights[..., None]).sum(0) / weights.sum(0)[:, None]


def by_difficulty(problem: Problem[B], experts: Sequence[Trajectory], size: int = 256) -> Problem[B]:
    """The same problem whose rows have a difficulty: the mean over the experts of the error norm |softmax(f(x)) - y| (EL2N, Paul
    et al., NeurIPS 2021).

    Raises NotSupported where a row of the data makes more than one prediction.
    """
    data, ids, scores = problem.data, list(problem.data.ids()), dict[int, float]()
    for k in range(0, len(ids), size):
        piece = ids[k : k + size]
        batch = data.take(piece)
        y = problem.task.targets(batch)
        errors = [(_outputs(problem, expert, batch).logits.softmax(1) - y).norm(dim=1) for expert in experts]
        mean = torch.stack(errors).mean(0).tolist()
        if len(mean) != len(piece):
            raise NotSupported(f"a row of {problem.name} makes several predictions: it has no error norm of its own")
        scores |= dict(zip(piece, mean, strict=True))
    return replace(problem, data=Ranked(data, scores))
