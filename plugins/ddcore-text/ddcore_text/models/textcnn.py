"""TextCNN: windows of words, the strongest answer of each filter (Kim 2014)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .network import Network

if TYPE_CHECKING:
    from ..tokens import TokenSpace

__all__ = ["TextCNN", "Windows"]


class Windows(nn.Module):
    """Filters over windows of several widths, ReLU, and the maximum over the positions."""

    def __init__(self, width: int, widths: Sequence[int], filters: int) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, k) for k in widths)

    def forward(self, e: Tensor, mask: Tensor) -> Tensor:  # (n, t, d), (n, t) -> (n, widths * filters)
        x, absent = e.transpose(1, 2), ~mask.unsqueeze(1)
        found = []
        for k, convolve in zip(self.widths, self.convolutions, strict=True):
            answers = F.relu(convolve(F.pad(x, ((k - 1) // 2, k // 2))))  # (n, filters, t)
            found.append(answers.masked_fill(absent, 0.0).amax(2))
        return torch.cat(found, 1)


class TextCNN(Network):
    """Windows of 3, 4 and 5 words with 100 filters each, by Kim 2014; a window may reach
    over both ends of a text, and no dropout, which distillation switches off."""

    def __init__(
        self, space: TokenSpace, classes: int, *, widths: Sequence[int] = (3, 4, 5), filters: int = 100
    ) -> None:
        super().__init__(space, len(widths) * filters, classes)
        self.windows = Windows(space.width, widths, filters)

    def read(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Mapping[str, Any]]:
        return self.windows(e, mask), {}
