"""VGG-11 (Simonyan & Zisserman 2015) with normalisation and one linear layer."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import nn

from ddcore.errors import NotSupported

from .network import Network, Shape, framed
from .norm import norm2d

__all__ = ["VGG11"]

_STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


class VGG11(Network):
    """Eight 3x3 convolutions in five stages that each end in max pooling, global average pooling, a linear classifier.

    512 features. At 28 and 32 px the last map is 1x1, so that the global pooling changes nothing.

    Raises:
        NotSupported: a side is under 32 px (28x28 is framed to 32), which five halvings leave nothing of.
    """

    def __init__(self, shape: Shape, classes: int, *, norm: Literal["instance", "batch"] = "instance") -> None:
        extra, h, w = framed(shape)
        if min(h, w) < 32:
            raise NotSupported(
                f"VGG11 needs images of 28x28 or of 32 px or more, got {shape[1]}x{shape[2]}: use convnet"
            )
        blocks: list[nn.Module] = []
        inputs = shape[0]
        for stage in _STAGES:
            layers: list[nn.Module] = []
            for i, o in pairwise((inputs, *stage)):
                conv = nn.Conv2d(i, o, 3, padding=1 if blocks else 1 + extra)
                layers += [conv, *norm2d(norm, o), nn.ReLU(inplace=True)]
            blocks.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
            inputs = stage[-1]
        super().__init__(blocks, inputs, classes, nn.AdaptiveAvgPool2d(1))
