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

from .clips import LOUDEST
from .frontend import Features, Frontend

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

__all__ = ["IN_MEMORY_BYTES", "MappedClips", "audio_data", "check", "evenly", "fitted"]

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


def check(
    wave: NDArray[np.float32],  # (n, samples)
    y: NDArray[np.int64],  # (n,)
    splits: Splits,
    classes: int,
    frontend: Frontend,
    *,
    finite: bool,  # known to be, and no sample is read
) -> None:
    """DataError for arrays that are no clips of this frontend, classes, or splits, with the first row that is wrong."""
    if wave.ndim != 2 or wave.shape[1] != frontend.samples or y.shape != wave.shape[:1]:
        raise DataError(
            f"expected clips (n, {frontend.samples}) and classes (n,); got {wave.shape} and {y.shape}: cut and resample first"
        )
    if wave.dtype != np.float32 or y.dtype.kind not in "iu":
        raise DataError(
            f"expected float32 samples and whole numbers as classes; got {wave.dtype} and {y.dtype}: convert them, and divide "
            "whole samples by full scale (int16: 32768)"
        )
    if (wrong := np.flatnonzero((y < 0) | (y >= classes))).size:
        raise DataError(f"row {wrong[0]} has class {y[wrong[0]]}, and the {classes} classes are 0 to {classes - 1}")
    if lacking := [name for name in ("train", "test") if name not in splits]:
        raise DataError(
            f"the splits are {', '.join(splits) or 'empty'}: row ids of {' and '.join(lacking)} are missing"
        )
    if not len(splits["train"]):
        raise DataError("the training split is empty: check the path and its train folder")
    if unknown := [i for ids in splits.values() for i in ids if not 0 <= i < len(wave)]:
        raise DataError(f"the splits name row {unknown[0]}, and the rows are 0 to {len(wave) - 1}")
    if not finite and (bad := [i for at in range(0, len(wave), PART) for i in _wrong(wave, at)]):
        raise DataError(
            f"{len(bad)} of {len(wave)} clips hold NaN, infinity or samples beyond {LOUDEST:g} (first: row {bad[0]}): clean or "
            "drop them"
        )


def _wrong(wave: NDArray[np.float32], at: int) -> list[int]:
    """Rows of the part from there that hold what is no sample."""
    fits = (np.abs(wave[at : at + PART]) <= LOUDEST).all(1)  # not of NaN
    return [at + int(i) for i in np.flatnonzero(~fits)]


@torch.no_grad()
def fitted(wave: NDArray[np.float32], train: Sequence[int], frontend: Frontend) -> Features:  # (n, samples)
    """The frontend, normalised over the training clips."""
    features = Features(frontend)
    chosen = evenly(train, 16 * PART)  # statistics of some eight thousand clips are those of all
    return features.fit(torch.cat([features.raw(part) for part in _parts(wave[chosen])]))


def evenly(ids: Sequence[int], most: int) -> NDArray[np.int64]:
    """About that many of the rows, sorted, at even distances: of every class where rows are sorted by class."""
    return np.sort(np.asarray(ids, np.int64))[:: max(len(ids) // most, 1)]


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
