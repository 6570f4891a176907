"""Residual networks (He et al. 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn
from torch.nn.functional import relu

from ddcore.errors import NotSupported
from ddcore.layers import HalvingPool2d

from .network import Network, Shape
from .norm import norm2d

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ResNet"]

ResNetNorm = Literal["instance", "batch"]


class ResNet(Network):
    """A stem, four stages of residual blocks, pooling, a linear classifier.

    Up to 64 px the stem is a 3x3 convolution; above, a 7x7 one of stride 2 and a max pooling, as for ImageNet. With
    `average_pool` (the "AP" networks of Zhao et al. 2021) blocks halve the map by average pooling instead of strides,
    and the features are the last map, averaged down to at most 4x4, instead of its mean over positions.

    Args:
        shape: Channels, height and width of the images.
        classes: Number of logits.
        stages: Residual blocks of each stage: (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) 34 and 50, (3, 4, 23, 3) 101.
        bottleneck: Blocks of 1x1, 3x3 and 1x1 convolutions (ResNet-50 and deeper) instead of two 3x3 ones.
        norm: Normalisation of every convolution.
        average_pool: Whether this is the AP variant.

    Raises:
        NotSupported: the images are so small that the last map is empty, or that it has one pixel and `norm` is
            "instance", which is then zero whatever the image.
    """

    def __init__(
        self,
        shape: Shape,
        classes: int,
        *,
        stages: Sequence[int] = (2, 2, 2, 2),
        bottleneck: bool = False,
        norm: ResNetNorm = "instance",
        average_pool: bool = False,
    ) -> None:
        c, h, w = shape
        large = max(h, w) > 64
        if large:
            h, w = -(-h // 4), -(-w // 4)
        h, w = (side // 8 if average_pool else -(-side // 8) for side in (h, w))
        least = 2 if norm == "instance" else 1
        if min(h, w) < least:
            raise NotSupported(
                f"on {shape[1]}x{shape[2]} images the last map of this ResNet is {h}x{w}, and {norm} normalisation "
                f"needs {least}x{least}: use larger images, resnet18-bn or convnet"
            )
        kernel = (-(-h // 4), -(-w // 4)) if average_pool else (h, w)
        blocks: list[nn.Module] = [_stem(c, norm, large)]
        inputs = 64
        for stage, (width, repeats) in enumerate(zip((64, 128, 256, 512), stages, strict=True)):
            residuals = []
            for i in range(repeats):
                stride = 2 if stage and not i else 1
                residuals.append(_Residual(inputs, width, stride, bottleneck, norm, average_pool))
                inputs = residuals[-1].outputs
            blocks.append(nn.Sequential(*residuals))
        pool = nn.AvgPool2d(kernel) if average_pool else nn.AdaptiveAvgPool2d(1)
        super().__init__(blocks, inputs * (h // kernel[0]) * (w // kernel[1]), classes, pool)


def _stem(channels: int, norm: ResNetNorm, large: bool) -> nn.Sequential:
    conv = nn.Conv2d(channels, 64, 7, 2, 3, bias=False) if large else nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
    pool = [nn.MaxPool2d(3, 2, 1)] if large else []
    return nn.Sequential(conv, *norm2d(norm, 64), nn.ReLU(inplace=True), *pool)


class _Residual(nn.Module):
    def __init__(
        self, inputs: int, width: int, stride: int, bottleneck: bool, norm: ResNetNorm, average_pool: bool
    ) -> None:
        super().__init__()
        self.outputs = 4 * width if bottleneck else width
        step = 1 if average_pool else stride
        halve = [HalvingPool2d()] if average_pool and stride == 2 else []

        def conv(i: int, o: int, size: int, step: int = 1) -> nn.Module:
            return nn.Conv2d(i, o, size, step, size // 2, bias=False)

        def active() -> list[nn.Module]:
            return [*norm2d(norm, width), nn.ReLU(inplace=True)]

        if bottleneck:
            path = [conv(inputs, width, 1), *active(), conv(width, width, 3, step), *active(), *halve]
            path += [conv(width, self.outputs, 1)]
        else:
            path = [conv(inputs, width, 3, step), *active(), *halve, conv(width, self.outputs, 3)]
        self.path = nn.Sequential(*path, *norm2d(norm, self.outputs))
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != self.outputs:
            self.shortcut.extend([conv(inputs, self.outputs, 1, step), *halve, *norm2d(norm, self.outputs)])

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w) -> (n, outputs, h / stride, w / stride)
        return relu(self.path(x) + self.shortcut(x), inplace=True)
