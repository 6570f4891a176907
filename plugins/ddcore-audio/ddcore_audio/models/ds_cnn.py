"""DS-CNN: depthwise separable convolutions for keyword spotting (Zhang et al., Hello Edge, 2017)."""

from __future__ import annotations

from torch import nn

from .network import Mean, Network, Shape

__all__ = ["DSCNN"]


class DSCNN(Network):
    """The small one of table 4: a convolution of 10 frames by 4 rows with strides of 2, then four depthwise separable ones of
    3x3, 64 channels each, and the mean over the map."""

    def __init__(self, shape: Shape, classes: int, *, width: int = 64, depth: int = 4) -> None:
        first = nn.Sequential(
            nn.Conv2d(shape[0], width, (4, 10), (2, 2), (2, 5), bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        super().__init__([first, *(_separable(width) for _ in range(depth))], width, classes, Mean())


def _separable(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
