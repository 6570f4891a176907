"""Sets as text: exact where they are text, else the nearest words or sentences with their distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ddcore.errors import NotSupported
from ddcore.parametrizations import Selected

from .corpus import joined
from .data import TextData, TokenData, VectorData

if TYPE_CHECKING:
    from ddcore.parametrizations import Synthetic

    from .tokens import TokenSpace

__all__ = ["Readable", "Reading", "nearest_texts", "nearest_tokens", "readings"]


@dataclass(frozen=True)
class Reading:
    """A row as text."""

    text: str
    distance: float | None = None
    """None: the row is this text. Else the root mean square, over tokens and coordinates, of the difference between the row and
    the text's vectors, whose own is about one."""


@runtime_checkable
class Readable(Protocol):
    """A set that says itself what its rows are as text."""

    def readings(self) -> list[Reading]: ...


@torch.no_grad()
def readings(data: TextData, synthetic: Synthetic[Any]) -> list[Reading]:
    """Every row of a set of that data as text. Raises NotSupported for rows that are neither words nor sentence vectors."""
    if isinstance(synthetic, Readable):
        return synthetic.readings()
    if isinstance(synthetic, Selected):
        return [Reading(joined(text)) for text in data.texts(synthetic.chosen)]
    batch = synthetic.batch()
    if isinstance(data, TokenData) and batch.x.ndim == 3:
        mask = getattr(batch, "mask", None)
        found = []
        for i, x in enumerate(batch.x):
            ids, distance = nearest_tokens(data.space, x if mask is None else x[mask[i]])
            found.append(Reading(data.space.decode(ids), distance.square().mean().sqrt().item() if len(ids) else 0.0))
        return found
    if isinstance(data, VectorData) and batch.x.ndim == 2:
        return [Reading(joined(data.corpus.texts[i]), d) for i, d in nearest_texts(data, batch.x)]
    raise NotSupported(f"rows of shape {tuple(batch.x.shape[1:])} have no reading as text: export the set to pt")


def nearest_tokens(space: TokenSpace, x: Tensor) -> tuple[list[int], Tensor]:  # (t, d) -> ids, (t,)
    """The token whose vector is nearest to each row, and the root mean square of their difference; never padding."""
    table = space.table.to(x)
    distance = torch.cdist(x, table, compute_mode="donot_use_mm_for_euclid_dist")
    distance[:, space.pad] = torch.inf
    nearest, at = distance.min(1)
    return at.tolist(), nearest / table.shape[1] ** 0.5


def nearest_texts(data: VectorData, x: Tensor) -> Sequence[tuple[int, float]]:  # (n, d)
    """The training text whose vector is nearest to each row: its number, and the root mean square of their difference."""
    ids = list(data.ids())
    nearest, at = torch.cdist(x.to(data.x), data.x[ids]).min(1)
    return [(ids[i], d / x.shape[1] ** 0.5) for i, d in zip(at.tolist(), nearest.tolist(), strict=True)]
