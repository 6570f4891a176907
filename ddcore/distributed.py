"""Several processes, one synthetic set: what the loop needs of torch.distributed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import nn

__all__ = ["average", "rank"]


def rank() -> int:
    """This process's number; 0 without torch.distributed."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def average(loss: float | None, leaves: Sequence[nn.Parameter]) -> float | None:
    """Mean of dL/dS over the ranks that have an update (a loss), in place, and the mean of their losses; None where no rank
    has one. Every rank takes part, so that a skip on one never hangs another; ranks vote on missing gradients before they
    reduce, and all see the same loss, so that they stop together."""
    if not (dist.is_available() and dist.is_initialized()):
        return loss
    mine = [float(loss is not None), loss or 0.0, *(float(p.grad is not None) for p in leaves)]
    votes = torch.tensor(mine, device=leaves[0].device, dtype=torch.float64)
    dist.all_reduce(votes)
    updates, total, *written = votes.tolist()
    for p, n in zip(leaves, written, strict=True):
        if n > 0:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
            dist.all_reduce(p.grad)
            p.grad /= updates
    return total / updates if updates else None
