"""Siamese augmentation of sound: one drawn change for real and synthetic clips alike, of maps or of waveforms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.errors import OptionError, choices
from ddcore.labels import one_hot

if TYPE_CHECKING:
    from collections.abc import Callable

    from ddcore.rows import Rows

    from .frontend import Features

__all__ = ["STRATEGY", "Mixed", "Record", "Siamese"]

STRATEGY = "shift_gain_noise_frames_bands"
"""All operations that keep a clip's class: sound may come earlier, louder, in noise, and with frames or bands missing."""

SHIFT = 1 / 8  # of a clip's length, either way, circular
GAIN = 1.4  # natural log of power, either way: 6 dB
NOISE = 0.3, 0.1  # deviation at most, of rows of deviation 1: maps, waveforms
MASK = 1 / 4  # of the frames, or of the bands, at most (SpecAugment)


@dataclass(frozen=True)
class Record:
    """One drawn change: an operation and the uniform numbers that set it. It fits batches of any size.

    Drawn for one row it applies alike to every row of any batch; drawn for n rows, to n rows each with its own numbers.
    """

    op: str
    u: Tensor  # (1, 3) or (n, 3), float64 in [0, 1), on the CPU
    features: Features

    def __call__(self, x: Tensor) -> Tensor:  # (n, planes, rows, frames) or (n, samples) -> the same
        """The changed rows."""
        return _OPS[self.op](self.features, x, self.u.to(x.device))


@dataclass(frozen=True)
class Siamese:
    """An augmentation policy: each call draws one operation of `strategy`, uniformly, and its parameters, by the seed.

    A pure function of (batch, seed), differentiable any number of times in x.

    Args:
        features: The frontend that maps were made by, or that waveforms are heard through.
        strategy: Operations joined by "_", of shift, gain, noise, frames (a time mask) and bands (a frequency mask).
        per_row: Whether each row draws its own parameters (for training networks); otherwise one record serves every
            row of every batch (for matching).

    Raises:
        OptionError: an operation that does not exist.
    """

    features: Features
    strategy: str = STRATEGY
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
        return f"sound-1:{self.strategy}:{'row' if self.per_row else 'batch'}"

    def record(self, seed: int, rows: int = 1) -> Record:
        """The change that `seed` draws, for one row or for each of `rows`."""
        generator = torch.Generator().manual_seed(seed)
        ops = self.strategy.split("_")
        op = ops[torch.randint(len(ops), (), generator=generator)]
        return Record(op, torch.rand(rows, 3, generator=generator, dtype=torch.float64), self.features)

    def __call__(self, batch: Rows, seed: int) -> Rows:  # batch.x: (n, ...)
        """The batch with its clips changed."""
        return replace(batch, x=self.record(seed, len(batch.x) if self.per_row else 1)(batch.x))


@dataclass(frozen=True)
class Mixed:
    """Siamese augmentation of each row and, on half of the batches, mixup (Zhang et al., ICLR 2018): every row and its label with
    another's, in one share for all, uniform in [0, 1]. For training networks: a class's rows mixed among themselves are no new
    class. A pure function of (batch, seed).
    """

    siamese: Siamese
    classes: int
    probability: float = 0.5

    @property
    def version(self) -> str:
        """What results depend on."""
        return f"mixed-1:{self.siamese.version}:{self.classes}:{self.probability:g}"

    def __call__(self, batch: Rows, seed: int) -> Rows:  # batch.x: (n, ...)
        """The batch with its clips changed and, perhaps, mixed; then its labels are probabilities or values."""
        batch = self.siamese(batch, seed)
        generator = torch.Generator().manual_seed(seed ^ 1)  # the siamese draws are the seed's own
        coin, share = torch.rand(2, generator=generator).tolist()
        other = torch.randperm(len(batch.x), generator=generator).to(batch.x.device)
        if coin >= self.probability:
            return batch

        def mix(v: Tensor) -> Tensor:  # (n, ...)
            mixed: Tensor = share * v + (1 - share) * v[other]
            return mixed

        if batch.values is not None:
            return replace(batch, x=mix(batch.x), values=mix(batch.values))
        assert batch.y is not None, "a batch carries y or values"
        y = one_hot(batch.y, self.classes).to(batch.x.dtype) if batch.y.ndim == 1 else batch.y
        return replace(batch, x=mix(batch.x), y=mix(y))


# Each operation takes the frontend, x and u (r, 3) with r = 1 or n. Maps have four dimensions, waveforms two.


def _like(x: Tensor, v: Tensor) -> Tensor:  # (r,) -> (r, 1, ...), as many dimensions as x
    return v.view(-1, *[1] * (x.ndim - 1)).to(x)


def _shift(features: Features, x: Tensor, u: Tensor) -> Tensor:
    """Earlier or later by up to an eighth of the clip, in whole frames or samples; what leaves comes in again."""
    length = x.shape[-1]
    by = ((2 * u[:, 0] - 1) * (SHIFT * length)).round().long()
    at = (torch.arange(length, device=x.device) - by[:, None]) % length  # (r, length)
    return x.take_along_dim(at.view(len(at), *[1] * (x.ndim - 2), length), -1)


def _gain(features: Features, x: Tensor, u: Tensor) -> Tensor:
    """Up to 6 dB louder or softer."""
    gain = _like(x, (2 * u[:, 0] - 1) * GAIN)
    return x * (gain / 2).exp() if x.ndim == 2 else features.louder(x, gain)


def _noise(features: Features, x: Tensor, u: Tensor) -> Tensor:
    """White noise: of normalised maps, or of samples; with one record the same noise for every row."""
    seeds = (u[:, 1] * 2**53).long().tolist()
    drawn = [torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    most = NOISE[1] if x.ndim == 2 else NOISE[0]
    return x + _like(x, most * u[:, 0]) * torch.stack(drawn).to(x)


def _inside(length: int, u: Tensor) -> Tensor:  # (r, 3) -> (r, length)
    """A stretch of up to a quarter of the length, anywhere in it."""
    size = u[:, :1] * MASK * length
    start = u[:, 1:2] * (length - size)
    at = torch.arange(length, device=u.device)
    return (start <= at) & (at < start + size)


def _frames(features: Features, x: Tensor, u: Tensor) -> Tensor:
    """A time mask: zeros, the mean of normalised maps and the silence of waveforms."""
    masked = _inside(x.shape[-1], u)
    return x.masked_fill(masked.view(len(masked), *[1] * (x.ndim - 2), -1), 0)


def _bands(features: Features, x: Tensor, u: Tensor) -> Tensor:
    """A frequency mask: rows of a map; of a waveform's spectrum the same part of the mel scale."""
    if x.ndim == 4:
        masked = _inside(x.shape[2], u)
        return x.masked_fill(masked[:, None, :, None], 0)
    f = features.frontend
    hertz = torch.fft.rfftfreq(x.shape[-1], 1 / f.sample_rate, device=x.device)
    low, high = _mel(torch.tensor([f.low, f.high]))
    at = (_mel(hertz) - low) / (high - low)  # 0 to 1 over the bands
    size = u[:, :1] * MASK
    start = u[:, 1:2] * (1 - size)
    kept = ~((start <= at) & (at < start + size))
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(x) * kept.to(x), n=x.shape[-1])
    return filtered


def _mel(hertz: Tensor) -> Tensor:
    return 2595 * (1 + hertz / 700).log10()


_OPS: dict[str, Callable[[Features, Tensor, Tensor], Tensor]] = {
    "bands": _bands,
    "frames": _frames,
    "gain": _gain,
    "noise": _noise,
    "shift": _shift,
}
