"""What all token networks share: the frozen table, what padding is worth (nothing), a linear classifier."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ddcore.problem import Output

if TYPE_CHECKING:
    from ddcore.rows import Rows

    from ..tokens import TokenSpace

__all__ = ["Network", "masked_mean"]


class Network(nn.Module):
    """Token ids are looked up, vectors are taken as they are; a subclass writes `read`. Padding, and more of it, changes no
    output. All parts have second derivatives."""

    table: Tensor

    def __init__(self, space: TokenSpace, d: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("table", space.table, persistent=False)
        self.pad = space.pad
        self.classifier = nn.Linear(d, classes)

    @abstractmethod
    def read(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Mapping[str, Any]]:
        """Features (n, d) of vectors (n, t, width), which are 0 where the mask (n, t) is False; and extras."""

    def forward(self, batch: Rows) -> Output:  # batch.x: (n, t) ids or (n, t, width) vectors
        """Logits (n, classes) and features (n, d)."""
        e = self.table[batch.x] if batch.x.ndim == 2 else batch.x
        mask = getattr(batch, "mask", None)
        if mask is None:
            mask = torch.ones(e.shape[:2], dtype=torch.bool, device=e.device)
        features, extras = self.read(e * mask.unsqueeze(-1).to(e.dtype), mask)
        return Output(self.classifier(features), features, extras)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:  # (n, t, d), (n, t) -> (n, d)
    """The mean over the positions that count; 0 where none does."""
    weights = mask.unsqueeze(-1).to(x.dtype)
    return (x * weights).sum(1) / weights.sum(1).clamp_min(1.0)
