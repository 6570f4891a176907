"""Learning rates by parameter group of the set: its rows, labels and step sizes move at different speeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["per_group"]


def per_group(
    make: Callable[..., torch.optim.Optimizer], lr: Mapping[str, float], **options: Any
) -> Callable[[Any], torch.optim.Optimizer]:
    """An optimiser whose groups move at `lr[name]` ("rows", "labels", "step_size"); a set's other groups move like its rows."""

    def build(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return make([{**group, "lr": lr.get(group["name"], lr["rows"])} for group in groups], **options)

    return build
