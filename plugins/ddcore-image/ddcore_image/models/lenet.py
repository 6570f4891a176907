"""LeNet-5 (LeCun et al. 1998) with ReLU and max pooling."""

from __future__ import annotations

from torch import nn

from ddcore.errors import NotSupported

from .network import Network, Shape, framed

__all__ = ["LeNet"]


class LeNet(Network):
    """Two 5x5 convolutions with pooling, two hidden layers of 120 and 84, a linear classifier; 84 features.

    Raises:
        NotSupported: a side is under 16 px, where the second convolution and pooling leave nothing.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        extra, h, w = framed(shape)
        h, w = (((side - 4) // 2 - 4) // 2 for side in (h, w))
        if min(h, w) < 1:
            raise NotSupported(f"LeNet needs images of 16 px or more, got {shape[1]}x{shape[2]}: use convnet or mlp")
        super().__init__(
            [
                nn.Sequential(nn.Conv2d(shape[0], 6, 5, padding=extra), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
                nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
                nn.Sequential(nn.Flatten(), nn.Linear(16 * h * w, 120), nn.ReLU(inplace=True)),
                nn.Sequential(nn.Linear(120, 84), nn.ReLU(inplace=True)),
            ],
            84,
            classes,
        )
