"""What all networks share: blocks, a pooling, a linear classifier; and networks that listen to waveforms."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ddcore.problem import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ddcore.rows import Rows

    from ..frontend import Features

__all__ = ["Listening", "Mean", "Network", "Shape"]

Shape = tuple[int, int, int]
"""A map's planes, rows and frames."""


class Network(nn.Module):
    """Blocks one after another, then `pool`, flattened to the features, then the classifier."""

    def __init__(self, blocks: Iterable[nn.Module], d: int, classes: int, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pool = pool or nn.Identity()
        self.classifier = nn.Linear(d, classes)

    def forward(self, batch: Rows) -> Output:  # batch.x: (n, ...)
        """Logits (n, classes), features (n, d) and in `extras["layers"]` the output of each block (n, ...)."""
        x, layers = batch.x, []
        for block in self.blocks:
            x = block(x)
            layers.append(x)
        features = self.pool(x).flatten(1)
        return Output(self.classifier(features), features, {"layers": tuple(layers)})


class Listening(nn.Module):
    """A network of maps behind the frontend: it reads waveforms in units of `scale`, and is differentiable in them."""

    def __init__(self, features: Features, scale: float, network: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.scale = scale
        self.frontend = copy.deepcopy(features)
        self.network = network()

    def forward(self, batch: Rows) -> Output:  # batch.x: (n, samples)
        """What the network makes of the maps."""
        out: Output = self.network(replace(batch, x=self.frontend(batch.x * self.scale)))
        return out


class Mean(nn.Module):
    """The mean over every dimension after the channels."""

    def forward(self, x: Tensor) -> Tensor:  # (n, d, ...) -> (n, d)
        return x.flatten(2).mean(2)
