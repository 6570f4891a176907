"""MLP: three linear layers."""

from __future__ import annotations

from math import prod

from torch import nn

from .network import Network, Shape

__all__ = ["MLP"]


class MLP(Network):
    """Pixels, two hidden layers of `width` with ReLU, a linear classifier; the features are the second layer."""

    def __init__(self, shape: Shape, classes: int, *, width: int = 128) -> None:
        first = nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), width), nn.ReLU(inplace=True))
        second = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True))
        super().__init__([first, second], width, classes)
