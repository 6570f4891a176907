"""Exemplars: nodes that stand for those that have them among their nearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["exemplars", "reverse_neighbours"]


def reverse_neighbours(h: Tensor, k: int, at_once: int = 2000) -> Tensor:  # (n, d) -> (n, k)
    """The k rows nearest to each, itself among them: i is covered by j where j is one of row i's."""
    return torch.cat([torch.cdist(part, h).topk(min(k, len(h)), largest=False).indices for part in h.split(at_once)])


def exemplars(h: Tensor, groups: Sequence[int], counts: Mapping[int, int], k: int = 5) -> list[int]:  # (n, d), (n,)
    """`counts[g]` rows of each group, greedily the one that covers most rows that none has covered so far (Bonsai, section 3.2:
    reverse k-nearest neighbours); the first of equals. When all are covered, coverage starts over."""
    near = reverse_neighbours(h, k)
    n, left = len(h), dict(counts)
    covered = torch.zeros(n, dtype=torch.bool, device=h.device)
    group = torch.tensor(list(groups), device=h.device)
    free = torch.tensor([left.get(g, 0) > 0 for g in groups], device=h.device)
    chosen: list[int] = []
    while any(left.values()):
        gain = torch.bincount(near[~covered].flatten(), minlength=n)
        gain = torch.where(free, gain, -1)
        best = int(gain.argmax())
        if gain[best] == 0 and bool(covered.any()):
            covered[:] = False
            continue
        chosen.append(best)
        covered |= (near == best).any(1)
        free[best] = False
        g = int(group[best])
        left[g] -= 1
        if not left[g]:
            free &= group != g
    return chosen
