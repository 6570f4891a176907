"""Image data: in memory where it fits, memory-mapped where not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ddcore.errors import DataError
from ddcore.problem import DataSource, Preprocessing
from ddcore.rows import RowData, Rows

from .preprocess import fit_normalise, fit_zca, whiten

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

__all__ = ["IN_MEMORY_BYTES", "MappedImages", "image_data", "to_tensor"]

IN_MEMORY_BYTES = 2**30
"""Sets that are larger as float32 stay memory-mapped as bytes, and are normalised as they are drawn."""

PART = 128  # images that statistics are taken from at a time

Splits = Mapping[str, Sequence[int]]


def to_tensor(x: NDArray[np.uint8]) -> Tensor:  # (n, h, w, c) -> (n, c, h, w) in [0, 1]
    """Bytes as float32, channels first."""
    return torch.tensor(np.asarray(x)).permute(0, 3, 1, 2).contiguous().float() / 255


class MappedImages(DataSource[Rows]):
    """Images as bytes, memory-mapped; rows are normalised (and whitened) as they are taken."""

    separable = True

    def __init__(
        self,
        x: NDArray[np.uint8],  # (n, h, w, c), memory-mapped
        y: NDArray[np.int64],  # (n,)
        splits: Splits,
        preprocessing: Preprocessing,
        *,
        drawn: bool,
        digest: str = "",  # of the pixels, where it is known
    ) -> None:
        self.x, self.y, self.preprocessing, self.digest = x, torch.from_numpy(np.array(y)), preprocessing, digest
        self.index = RowData(torch.zeros(len(y), 0), self.y, splits, drawn=drawn)
        self.groups, self.split = self.index.groups, self.index.split

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return self.index.ids(group, split)

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        at = np.asarray(ids)
        return Rows(_preprocessed(to_tensor(self.x[at]), self.preprocessing), self.y[torch.from_numpy(at)])

    def fingerprint(self) -> str:
        """sha256 of the pixels, classes and splits."""
        digest = hashlib.sha256(self.digest.encode())
        if not self.digest:
            for i in range(0, len(self.x), 4096):
                digest.update(self.x[i : i + 4096].tobytes())
        digest.update(self.y.numpy().tobytes())
        for name, ids in sorted(self.index.splits.items()):
            digest.update(name.encode() + np.asarray(ids, np.int64).tobytes())
        return digest.hexdigest()

    def bytes(self) -> int:
        """Bytes of the training rows as they are kept."""
        return len(self.ids()) * int(np.prod(self.x.shape[1:]))


def image_data(
    x: NDArray[np.uint8],  # (n, h, w, c)
    y: NDArray[np.int64],  # (n,)
    splits: Splits,
    *,
    fitted: Preprocessing | None,  # None: fitted on the training images
    zca: bool,
    drawn: bool = False,
    digest: str = "",
) -> tuple[DataSource[Rows], Preprocessing]:
    """Normalised (and whitened) data, and what was done to it."""
    if not splits["train"]:
        raise DataError("the training split is empty: check the path and its train folder")
    train = np.sort(np.asarray(splits["train"]))
    parts = [train[i : i + PART] for i in range(0, len(train), PART)]
    done = fit_normalise(x[ids] for ids in parts) if fitted is None else fitted
    if zca:
        done = fit_zca((_preprocessed(to_tensor(x[ids]), done) for ids in parts), done)
    if 4 * x.size > IN_MEMORY_BYTES:
        return MappedImages(x, y, splits, done, drawn=drawn, digest=digest), done
    rows = _preprocessed(to_tensor(x), done)
    return RowData(rows, torch.from_numpy(np.array(y)), splits, drawn=drawn), done


def _preprocessed(x: Tensor, done: Preprocessing) -> Tensor:  # (n, c, h, w) in [0, 1]
    x = (x - done.tensors["mean"]) / done.tensors["std"]
    return whiten(x, done) if "zca" in done.tensors else x
