"""Differentiable Siamese augmentation (Zhao & Bilen 2021): one drawn transform for real and synthetic images alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi, sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, one_hot, pad

from ddcore.errors import OptionError, choices

if TYPE_CHECKING:
    from collections.abc import Callable

    from ddcore.rows import Rows

__all__ = ["DSA", "DSA_DIGITS", "Mixed", "Record", "Siamese"]

DSA = "color_crop_cutout_flip_scale_rotate"
"""The paper's strategy."""

DSA_DIGITS = "color_crop_cutout_scale_rotate"
"""The paper's strategy for MNIST and SVHN, where a mirrored image is another symbol or none."""


@dataclass(frozen=True)
class Record:
    """One drawn transform: an operation and the uniform numbers that set it. It fits images of any size.

    Drawn for one row it applies alike to every row of any batch; drawn for n rows, to n rows each with its own numbers.
    """

    op: str
    u: Tensor  # (1, 3) or (n, 3), float64 in [0, 1), on the CPU

    def __call__(self, x: Tensor) -> Tensor:  # (n, c, h, w) -> (n, c, h, w)
        """The transformed images."""
        return _OPS[self.op](x, self.u.to(x.device))


@dataclass(frozen=True)
class Siamese:
    """An augmentation policy: each call draws one operation of `strategy`, uniformly, and its parameters, by the seed.

    A pure function of (batch, seed), differentiable in x (scale and rotate once, the others any number of times). What
    is moved or cut away leaves zeros, the mean of normalised data. The draws do not depend on the device.

    Args:
        strategy: Operations joined by "_", of color, crop, cutout, flip, rotate and scale.
        per_row: Whether each row draws its own parameters (for training networks); otherwise one record serves every
            row of every batch: real and synthetic batches of different sizes are transformed alike (for matching).

    Raises:
        OptionError: an operation that does not exist.
    """

    strategy: str = DSA
    per_row: bool = False

    def __post_init__(self) -> None:
        for op in self.strategy.split("_"):
            if op not in _OPS:
                raise OptionError(
                    f"no operation {op!r} in the augmentation strategy {self.strategy!r}: "
                    f"join operations by '_'.{choices(op, _OPS)}"
                )

    @property
    def version(self) -> str:
        """What results depend on: the definition's number, the operations, the policy."""
        return f"siamese-1:{self.strategy}:{'row' if self.per_row else 'batch'}"

    def record(self, seed: int, rows: int = 1) -> Record:
        """The transform that `seed` draws, for one row or for each of `rows`."""
        generator = torch.Generator().manual_seed(seed)
        ops = self.strategy.split("_")
        op = ops[torch.randint(len(ops), (), generator=generator)]
        return Record(op, torch.rand(rows, 3, generator=generator, dtype=torch.float64))

    def __call__(self, batch: Rows, seed: int) -> Rows:  # batch.x: (n, c, h, w)
        """The batch with its images transformed."""
        return replace(batch, x=self.record(seed, len(batch.x) if self.per_row else 1)(batch.x))


@dataclass(frozen=True)
class Mixed:
    """Siamese augmentation of each row and, on half of the batches, CutMix (Yun et al. 2019): the evaluation of IDC.

    CutMix pastes a box of another row's image, whose share of the area is uniform in [0, 1] before the image's border cuts it,
    and mixes the labels in the shares that remain. A pure function of (batch, seed).
    """

    siamese: Siamese
    classes: int
    probability: float = 0.5

    @property
    def version(self) -> str:
        """What results depend on."""
        return f"mixed-1:{self.siamese.version}:{self.classes}:{self.probability:g}"

    def __call__(self, batch: Rows, seed: int) -> Rows:  # batch.x: (n, c, h, w)
        """The batch with its images transformed and, perhaps, mixed."""
        batch = self.siamese(batch, seed)
        generator = torch.Generator().manual_seed(seed ^ 1)  # the siamese draws are the seed's own
        coin, area, cy, cx = torch.rand(4, generator=generator).tolist()
        other = torch.randperm(len(batch.x), generator=generator).to(batch.x.device)
        if coin >= self.probability:
            return batch
        h, w = batch.x.shape[2:]
        (top, bottom), (left, right) = _span(cy, h, sqrt(area)), _span(cx, w, sqrt(area))
        x = batch.x.clone()
        x[:, :, top:bottom, left:right] = batch.x[other, :, top:bottom, left:right]
        share = (bottom - top) * (right - left) / (h * w)

        def mix(target: Tensor) -> Tensor:  # (n, k)
            return (1 - share) * target + share * target[other]

        if batch.values is not None:
            return replace(batch, x=x, values=mix(batch.values))
        assert batch.y is not None, "a batch carries y or values"
        y = one_hot(batch.y, self.classes).to(x.dtype) if batch.y.ndim == 1 else batch.y
        return replace(batch, x=x, y=mix(y))


def _span(centre: float, side: int, part: float) -> tuple[int, int]:
    """The pixels of that part of a side about the centre, as far as they are in the image."""
    at, half = int(centre * side), int(part * side) // 2
    return max(at - half, 0), min(at + half, side)


# Each operation takes x (n, c, h, w) and u (r, 3) with r = 1 or n. Constants: Zhao & Bilen's published code.


def _color(x: Tensor, u: Tensor) -> Tensor:
    """Brightness + U[-0.5, 0.5]; saturation x U[0, 2] about the channel mean; contrast x U[0.5, 1.5] about the mean."""
    brightness, saturation, contrast = u.to(x.dtype).view(-1, 3, 1, 1, 1).unbind(1)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def _crop(x: Tensor, u: Tensor) -> Tensor:
    """A shift of up to an eighth of each side, in whole pixels, zeros behind it."""
    h, w = x.shape[2:]
    up, left = int(0.125 * h + 0.5), int(0.125 * w + 0.5)
    top, first = (u[:, 0] * (2 * up + 1)).long(), (u[:, 1] * (2 * left + 1)).long()  # in the padded image
    rows = top[:, None] + torch.arange(h, device=x.device)  # (r, h)
    columns = first[:, None] + torch.arange(w, device=x.device)  # (r, w)
    pixels = rows[:, :, None] * (w + 2 * left) + columns[:, None, :]  # (r, h, w)
    padded = pad(x, (left, left, up, up))
    return padded.flatten(2).take_along_dim(pixels.flatten(1)[:, None], 2).view_as(x)


def _cutout(x: Tensor, u: Tensor) -> Tensor:
    """A hole of half of each side, its centre anywhere in the image."""
    inside = []
    for side, v in zip(x.shape[2:], u.T[:2], strict=True):
        size = int(0.5 * side + 0.5)
        start = (v * (side + 1 - size % 2)).long()[:, None] - size // 2
        at = torch.arange(side, device=x.device)
        inside.append((start <= at) & (at < start + size))
    rows, columns = inside  # (r, h), (r, w)
    return x.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0)


def _flip(x: Tensor, u: Tensor) -> Tensor:
    """Left to right, every second time."""
    return torch.where(u[:, 0].view(-1, 1, 1, 1) < 0.5, x.flip(3), x)


def _scale(x: Tensor, u: Tensor) -> Tensor:
    """Width and height divided by U[1/1.2, 1.2] each."""
    s = 1 / 1.2 + (1.2 - 1 / 1.2) * u[:, :2]
    return _warp(x, pad(s.diag_embed(), (0, 1)))


def _rotate(x: Tensor, u: Tensor) -> Tensor:
    """Turned by U[-15, 15] degrees about the centre."""
    angle = (2 * u[:, 0] - 1) * (15 / 180 * pi)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _warp(x, torch.stack([cos, -sin, zero, sin, cos, zero], 1).view(-1, 2, 3))


def _warp(x: Tensor, theta: Tensor) -> Tensor:  # theta: (r, 2, 3), from output to input coordinates in [-1, 1]
    n, c, h, w = x.shape
    grid = affine_grid(theta.to(x.dtype), [len(theta), c, h, w], align_corners=False)
    return grid_sample(x, grid.expand(n, h, w, 2), align_corners=False)


_OPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "color": _color,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
    "rotate": _rotate,
    "scale": _scale,
}
