"""A set for one start: it brings the weights that training on it begins with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ddcore.parametrizations import Synthetic
from ddcore.problem import B, Problem
from ddcore.rows import Rows, RowSynthetic

if TYPE_CHECKING:
    from ddcore.labels import Labels
    from ddcore.loop import Run

__all__ = ["FixedNetwork", "FixedStart"]

PART = "start."


class FixedStart(RowSynthetic):
    """Free rows, and the weights theta_0 of the network that is trained on them. Networks with other weights start at random."""

    parametrization = "audio/fixed-start"

    def __init__(
        self, counts: Mapping[int, int], x: Tensor, start: Mapping[str, Tensor], labels: Labels | None = None
    ) -> None:
        super().__init__(counts, x, labels)
        self.names = list(start)
        for i, theta in enumerate(start.values()):
            self.register_buffer(f"start{i}", theta.detach().clone())

    @property
    def start(self) -> dict[str, Tensor]:
        """The weights by name."""
        return {name: self.get_buffer(f"start{i}") for i, name in enumerate(self.names)}

    @torch.no_grad()
    def begin(self, net: nn.Module) -> nn.Module:
        here, start = dict(net.named_parameters()), self.start
        if {k: p.shape for k, p in here.items()} == {k: p.shape for k, p in start.items()}:
            for name, theta in start.items():
                here[name].copy_(theta)
        return net

    def stored(self) -> dict[str, Tensor]:
        return {**super().stored(), **{PART + name: theta for name, theta in self.start.items()}}

    @classmethod
    def restore(cls, problem: Problem[Rows], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> FixedStart:
        start = {name.removeprefix(PART): x for name, x in tensors.items() if name.startswith(PART)}
        return cls(dict(config["counts"]), tensors["x"], start, RowSynthetic.restore(problem, config, tensors).labels)


@dataclass(frozen=True)
class FixedNetwork:
    """The network that the set begins with, at every update (DD with a fixed initialisation)."""

    model: str | None = None  # of the zoo; None: its first

    def networks(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[nn.Module]:
        while True:
            run.boundary()
            yield synthetic.begin(problem.new_model(run.rng, self.model))
