"""LSTM and GRU, read from both ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from .network import Network, masked_mean

if TYPE_CHECKING:
    from ..tokens import TokenSpace

__all__ = ["Recurrent"]


class Recurrent(Network):
    """Two layers of one direction each, 100 wide (Sucholutsky and Schonlau 2021 take as many units); the features are the
    means of their states over the words. The backward one reads the words in reverse and so never sees padding before them."""

    def __init__(
        self, space: TokenSpace, classes: int, *, cell: Literal["lstm", "gru"] = "lstm", hidden: int = 100
    ) -> None:
        super().__init__(space, 2 * hidden, classes)
        make = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.forwards = make(space.width, hidden, batch_first=True)
        self.backwards = make(space.width, hidden, batch_first=True)

    def read(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Mapping[str, Any]]:
        at = torch.arange(e.shape[1], device=e.device)
        last = (mask * (at + 1)).amax(1, keepdim=True) - 1  # (n, 1)
        reverse = torch.where(at <= last, last - at, at)  # (n, t): words in reverse, padding where it was
        turned = e.gather(1, reverse.unsqueeze(-1).expand_as(e))
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN's recurrences have no second derivatives
            ahead, back = self.forwards(e)[0], self.backwards(turned)[0]
        states = masked_mean(ahead, mask), masked_mean(back, mask.gather(1, reverse))
        return torch.cat(states, 1), {}
