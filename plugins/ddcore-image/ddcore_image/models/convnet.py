"""ConvNet: the network of the matching literature (Gidaris & Komodakis 2018, as used by Zhao et al. 2021)."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ddcore.errors import OptionError
from ddcore.layers import HalvingPool2d

from .network import Network, Shape, framed
from .norm import Norm, norm2d

__all__ = ["Activation", "ConvNet", "Pooling", "check_depth"]

Activation = Literal["relu", "sigmoid", "leaky", "swish", "softplus"]
Pooling = Literal["avg", "max", "none"]


class ConvNet(Network):
    """`depth` blocks of 3x3 convolution, normalisation, activation and 2x2 pooling, then a linear classifier.

    The features are the last map, flattened: 2048 numbers at depth 3, width 128 and 32 px. Depth 3 is customary at 28
    and 32 px, 4 at 64, 5 at 128, 6 at 224.

    Raises:
        OptionError: the pooling would halve the map to nothing, or `norm` is "group" and the width no multiple of 4.
    """

    channels_last_above = 16

    def __init__(
        self,
        shape: Shape,
        classes: int,
        *,
        depth: int = 3,
        width: int = 128,
        norm: Norm = "instance",
        activation: Activation = "relu",
        pooling: Pooling = "avg",
    ) -> None:
        if pooling != "none":
            check_depth(shape, depth)
        if norm == "group" and width % 4:
            raise OptionError(f"width {width} is not a multiple of 4, the number of groups of norm 'group'")
        extra, h, w = framed(shape)
        blocks = []
        for d in range(depth):
            conv = nn.Conv2d(width if d else shape[0], width, 3, padding=1 if d else 1 + extra)
            blocks.append(nn.Sequential(conv, *norm2d(norm, width, h, w), _activation(activation), *_pooling(pooling)))
            if pooling != "none":
                h, w = h // 2, w // 2
        super().__init__(blocks, width * h * w, classes)


def check_depth(shape: Shape, depth: int) -> None:
    """An OptionError unless the map can be halved `depth` times."""
    _, *sides = framed(shape)
    deepest = min(sides).bit_length() - 1
    if not 1 <= depth <= deepest:
        raise OptionError(
            f"a ConvNet of depth {depth} does not fit {shape[1]}x{shape[2]} images, whose map can be halved "
            f"{deepest} times: choose a depth from 1 to {deepest}"
        )


def _activation(kind: Activation) -> nn.Module:
    match kind:
        case "relu":
            return nn.ReLU(inplace=True)
        case "sigmoid":
            return nn.Sigmoid()
        case "leaky":
            return nn.LeakyReLU(0.01, inplace=True)
        case "swish":
            return nn.SiLU()
        case "softplus":
            return nn.Softplus()


def _pooling(kind: Pooling) -> list[nn.Module]:
    match kind:
        case "avg":
            return [HalvingPool2d()]
        case "max":
            return [nn.MaxPool2d(2)]
        case "none":
            return []
