"""What all image networks share: blocks, a pooling, a linear classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from ddcore.problem import Output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ddcore.rows import Rows

__all__ = ["Network", "Shape", "framed"]

Shape = tuple[int, int, int]
"""An image's channels, height and width."""


class Network(nn.Module):
    """Blocks one after another, then `pool`, flattened to the features, then the classifier.

    Every part has second derivatives on every device. On a CPU without grad mode the maps of images above a size are
    channels-last, which makes the forward up to a third faster (small maps and double backwards would be slower);
    `torch.func.vmap` over networks cannot do that and needs grad mode.
    """

    channels_last_above: ClassVar[int] = 32
    """The side in pixels above which channels-last forwards are the faster ones, as measured."""

    def __init__(self, blocks: Iterable[nn.Module], d: int, classes: int, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pool = pool or nn.Identity()
        self.classifier = nn.Linear(d, classes)

    def forward(self, batch: Rows) -> Output:  # batch.x: (n, c, h, w)
        """Logits (n, classes), features (n, d) and in `extras["layers"]` the output of each block (n, ...)."""
        x = batch.x
        if not torch.is_grad_enabled() and x.device.type == "cpu" and min(x.shape[2:]) > self.channels_last_above:
            x = x.clone(memory_format=torch.channels_last)
        layers = []
        for block in self.blocks:
            x = block(x)
            layers.append(x)
        features = self.pool(x).flatten(1)
        return Output(self.classifier(features), features, {"layers": tuple(layers)})


def framed(shape: Shape) -> tuple[int, int, int]:
    """Extra padding of the first convolution, then the height and width that it gives.

    28-px images become 32-px maps, as in the code of Zhao et al. (2021), so that one network serves MNIST and CIFAR.
    """
    _, h, w = shape
    return (2, 32, 32) if (h, w) == (28, 28) else (0, h, w)
