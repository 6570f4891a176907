"""ConvNet: the network of the matching literature (Zhao et al. 2021), on maps of bands and frames."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ddcore.errors import OptionError
from ddcore.layers import HalvingPool2d, InstanceNorm

from .network import Network, Shape

__all__ = ["ConvNet"]

Norm = Literal["instance", "batch"]


class ConvNet(Network):
    """`depth` blocks of 3x3 convolution, normalisation, ReLU and 2x2 average pooling, then a linear classifier.

    Raises:
        OptionError: the pooling would halve the map to nothing.
    """

    def __init__(
        self, shape: Shape, classes: int, *, depth: int = 3, width: int = 128, norm: Norm = "instance"
    ) -> None:
        channels, h, w = shape
        deepest = min(h, w).bit_length() - 1
        if not 1 <= depth <= deepest:
            raise OptionError(
                f"a ConvNet of depth {depth} does not fit maps of {h} rows and {w} frames, which can be halved {deepest} "
                f"times: choose a depth from 1 to {deepest}"
            )
        blocks = []
        for d in range(depth):
            conv = nn.Conv2d(width if d else channels, width, 3, padding=1)
            normed = nn.BatchNorm2d(width) if norm == "batch" else InstanceNorm(width)
            blocks.append(nn.Sequential(conv, normed, nn.ReLU(inplace=True), HalvingPool2d()))
        super().__init__(blocks, width * (h >> depth) * (w >> depth), classes)
