"""Audio data: in memory where it fits, else memory-mapped waveforms that become maps as they are taken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ddcore.errors import DataError
from ddcore.problem import DataSource
from ddcore.rows import RowData, Rows

from .frontend import Features, Frontend

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

__all__ = ["IN_MEMORY_BYTES", "MappedClips", "audio_data", "fitted"]

IN_MEMORY_BYTES = 2**31
"""Sets that are larger, as what networks read, stay memory-mapped."""

PART = 512  # clips that become maps at a time

Splits = Mapping[str, Sequence[int]]


class MappedClips(DataSource[Rows]):
    """Memory-mapped waveforms; rows are waveforms, or maps that are made as they are taken."""

    separable = True

    def __init__(
        self,
        wave: NDArray[np.float32],  # (n, samples), memory-mapped
        y: NDArray[np.int64],  # (n,)
        splits: Splits,
        features: Features,
        *,
        scale: float | None,  # rows are waveforms in units of it; None: maps
        drawn: bool,
        digest: str = "",  # of the samples, where it is known
    ) -> None:
        self.wave, self.y, self.digest = wave, torch.from_numpy(np.array(y)), digest
        self.features, self.scale = features, scale
        self.index = RowData(torch.zeros(len(y), 0), self.y, splits, drawn=drawn)
        self.groups, self.split = self.index.groups, self.index.split

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return self.index.ids(group, split)

    @torch.no_grad()
    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        at = np.asarray(ids)
        wave = torch.from_numpy(self.wave[at])
        return Rows(_row(wave, self.features, self.scale), self.y[torch.from_numpy(at)])

    def fingerprint(self) -> str:
        """sha256 of the samples, classes, splits and frontend."""
        digest = hashlib.sha256(f"{self.digest} {self.scale} {self.features.frontend}".encode())
        if not self.digest:
            for i in range(0, len(self.wave), PART):
                digest.update(self.wave[i : i + PART].tobytes())
        digest.update(self.y.numpy().tobytes())
        for name, ids in sorted(self.index.splits.items()):
            digest.update(name.encode() + np.asarray(ids, np.int64).tobytes())
        return digest.hexdigest()

    def bytes(self) -> int:
        """Bytes of the training rows as they are kept."""
        return len(self.ids()) * int(self.wave.shape[1]) * 4


@torch.no_grad()
def fitted(wave: NDArray[np.float32], train: Sequence[int], frontend: Frontend) -> Features:  # (n, samples)
    """The frontend, normalised over the training clips."""
    if not train:
        raise DataError("the training split is empty: check the path and its train folder")
    features, chosen = Features(frontend), np.sort(np.asarray(train))
    if len(chosen) > 16 * PART:  # statistics of some eight thousand clips are those of all
        chosen = chosen[:: len(chosen) // (16 * PART)]
    return features.fit(torch.cat([features.raw(part) for part in _parts(wave[chosen])]))


def audio_data(
    wave: NDArray[np.float32],  # (n, samples)
    y: NDArray[np.int64],  # (n,)
    splits: Splits,
    features: Features,
    *,
    scale: float | None,  # rows are waveforms in units of it; None: maps
    drawn: bool = False,
    digest: str = "",
) -> DataSource[Rows]:
    """Rows as networks read them: waveforms (n, samples), or normalised maps (n, planes, rows, frames)."""
    row = int(np.prod(features.frontend.shape)) if scale is None else wave.shape[1]
    if 4 * row * len(wave) > IN_MEMORY_BYTES:
        return MappedClips(wave, y, splits, features, scale=scale, drawn=drawn, digest=digest)
    with torch.no_grad():
        x = torch.cat([_row(part, features, scale) for part in _parts(wave)])
    return RowData(x, torch.from_numpy(np.array(y)), splits, drawn=drawn)


def _row(wave: Tensor, features: Features, scale: float | None) -> Tensor:  # (n, samples) -> (n, ...)
    rows: Tensor = features(wave) if scale is None else wave / scale
    return rows


def _parts(wave: NDArray[np.float32]) -> Iterator[Tensor]:
    return (torch.from_numpy(np.array(wave[i : i + PART])) for i in range(0, len(wave), PART))
