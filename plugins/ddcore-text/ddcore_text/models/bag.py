"""A bag of embeddings (Joulin et al. 2017, fastText)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .network import Network, masked_mean

if TYPE_CHECKING:
    from torch import Tensor

    from ..tokens import TokenSpace

__all__ = ["Bag"]


class Bag(Network):
    """The mean of the vectors, and a linear classifier: nothing is learned before it."""

    def __init__(self, space: TokenSpace, classes: int) -> None:
        super().__init__(space, space.width, classes)

    def read(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Mapping[str, Any]]:
        return masked_mean(e, mask), {}
