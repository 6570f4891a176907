"""Trajectory: one record for experts and teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

__all__ = ["Snapshot", "Trajectory"]

Snapshot = Mapping[str, Tensor]
"""The trainable parameters of a network by name."""


@dataclass(frozen=True)
class Trajectory:
    """The path of one network in training on real data: an expert; its last snapshot is a teacher."""

    model: str  # of the problem's zoo
    seed: int
    stride: int  # epochs between snapshots
    snapshots: Sequence[Snapshot]  # the first before any training
    buffers: Mapping[str, Tensor] = field(default_factory=dict)  # at the end: a teacher's BatchNorm statistics

    @property
    def teacher(self) -> Snapshot:
        """The last snapshot."""
        return self.snapshots[-1]
