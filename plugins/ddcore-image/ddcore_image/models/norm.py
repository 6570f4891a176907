"""The normalisations of convolutional networks."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ddcore.layers import InstanceNorm

__all__ = ["Norm", "norm2d"]

Norm = Literal["instance", "batch", "layer", "group", "none"]


def norm2d(kind: Norm, width: int, h: int = 1, w: int = 1) -> list[nn.Module]:
    """The affine normalisation of (n, width, h, w) maps, in a list that is empty for "none".

    "instance" is that of Zhao et al. (2021), in whose code it is a GroupNorm with one channel a group. Only "layer" needs h, w.
    """
    match kind:
        case "instance":
            return [InstanceNorm(width)]
        case "batch":
            return [nn.BatchNorm2d(width)]
        case "layer":
            return [nn.LayerNorm((width, h, w))]
        case "group":
            return [nn.GroupNorm(4, width)]
        case "none":
            return []
