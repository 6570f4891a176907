"""Classifiers on the states of an encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from .network import Network, masked_mean
from .textcnn import Windows

if TYPE_CHECKING:
    from ..tokens import TokenSpace
    from .encoders import Encoder, HFEncoder

__all__ = ["Encoded", "FrozenEncoderCNN"]

MakeEncoder = Callable[["TokenSpace"], "Encoder | HFEncoder"]


class Encoded(Network):
    """An encoder, the mean of its states over the words, and a classifier drawn from N(0, 0.02), as fine-tuning starts.
    `extras["attention"]` has the maps (n, layers, heads, t, t)."""

    def __init__(self, space: TokenSpace, classes: int, encoder: MakeEncoder) -> None:
        made = encoder(space)
        super().__init__(space, made.d, classes)
        self.encoder = made
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def read(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Mapping[str, Any]]:
        states, maps = self.encoder(e, mask)
        return masked_mean(states, mask), {"attention": maps}


class FrozenEncoderCNN(Network):
    """TextCNN on the states of a frozen encoder (Sahni and Patel 2023): vectors go through the encoder, and only what is
    behind it is trained."""

    def __init__(
        self,
        space: TokenSpace,
        classes: int,
        encoder: MakeEncoder,
        *,
        widths: Sequence[int] = (3, 4, 5),
        filters: int = 100,
    ) -> None:
        super().__init__(space, len(widths) * filters, classes)
        self.encoder = encoder(space).requires_grad_(False)
        self.windows = Windows(self.encoder.d, widths, filters)

    def read(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Mapping[str, Any]]:
        states, maps = self.encoder(e, mask)
        return self.windows(states * mask.unsqueeze(-1).to(states.dtype), mask), {"attention": maps}
