"""AlexNet (Krizhevsky et al. 2012) in the small form that the distillation literature evaluates on."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ddcore.errors import NotSupported

from .network import Network, Shape, framed
from .norm import norm2d

__all__ = ["AlexNet"]


class AlexNet(Network):
    """Five convolutions, three max poolings, a linear classifier on maps of at most 4x4 (192 channels).

    Maps above 4x4, of images above 32 px, are averaged down to that.

    Raises:
        NotSupported: a side is under 8 px.
    """

    channels_last_above = 16

    def __init__(self, shape: Shape, classes: int, *, norm: Literal["batch", "none"] = "none") -> None:
        extra, h, w = framed(shape)
        h, w = h // 8, w // 8
        if min(h, w) < 1:
            raise NotSupported(f"AlexNet needs images of 8 px or more, got {shape[1]}x{shape[2]}: use mlp")
        halve = nn.MaxPool2d(2)
        kernel = -(-h // 4), -(-w // 4)

        def layer(inputs: int, width: int, size: int, extra: int = 0) -> list[nn.Module]:
            conv = nn.Conv2d(inputs, width, size, padding=size // 2 + extra)
            return [conv, *norm2d(norm, width), nn.ReLU(inplace=True)]

        super().__init__(
            [
                nn.Sequential(*layer(shape[0], 128, 5, extra), halve),
                nn.Sequential(*layer(128, 192, 5), halve),
                nn.Sequential(*layer(192, 256, 3)),
                nn.Sequential(*layer(256, 192, 3)),
                nn.Sequential(*layer(192, 192, 3), halve),
            ],
            192 * (h // kernel[0]) * (w // kernel[1]),
            classes,
            nn.AvgPool2d(kernel),
        )
