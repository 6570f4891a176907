"""The frontend: what networks hear of a waveform, as maps of bands and frames; differentiable, and a part of the input space."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ddcore.errors import OptionError
from ddcore.imports import torchaudio as load_torchaudio
from ddcore.problem import Preprocessing

torchaudio = load_torchaudio()  # here, so that whoever unpickles a frontend has it too

__all__ = ["Features", "Frontend", "Kind"]

Kind = Literal["log-mel", "mel", "mfcc"]


@dataclass(frozen=True)
class Frontend:
    """Short-time Fourier transform (Hann, centred), mel power, its logarithm, cepstra with their first and second differences.

    Its text, `str(frontend)`, is what an artifact records; `Frontend.parse` reads it.

    Raises:
        OptionError: sizes that do not fit each other.
    """

    kind: Kind = "log-mel"
    sample_rate: int = 16_000  # Hz
    samples: int = 16_000  # of a clip
    n_fft: int = 512
    window: int = 480  # samples
    hop: int = 160  # samples
    bands: int = 40
    low: float = 20.0  # Hz
    high: float = 8_000.0  # Hz
    coefficients: int = 20  # cepstra, of kind "mfcc" alone
    floor: float = 1e-6  # added to mel power before its logarithm: silence is log(floor), and its gradient is finite

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise OptionError(f"no frontend {self.kind!r}: choose one of {', '.join(get_args(Kind))}")
        sizes = ("sample_rate", "samples", "n_fft", "window", "hop", "bands", "coefficients")
        if wrong := [name for name in sizes if getattr(self, name) < 1]:
            raise OptionError(f"{wrong[0]} {getattr(self, wrong[0])}: every size of a frontend is 1 or more")
        if not 0 <= self.low < self.high <= self.sample_rate / 2:
            raise OptionError(
                f"mel bands from {self.low:g} to {self.high:g} Hz do not fit a sample rate of {self.sample_rate} Hz: "
                f"choose 0 <= low < high <= {self.sample_rate / 2:g}"
            )
        if self.window > self.n_fft or self.hop >= self.window:
            raise OptionError(
                f"hop {self.hop}, window {self.window} and n_fft {self.n_fft}: a hop is shorter than the window, so that "
                "every sample is heard, and the window at most n_fft"
            )
        if self.samples <= self.n_fft // 2:
            raise OptionError(
                f"a clip of {self.samples} samples is too short for n_fft {self.n_fft}: take longer clips or a shorter window"
            )
        if not 0 < self.floor < math.inf:
            raise OptionError(f"floor {self.floor:g}: the logarithm of silence needs a positive one")
        if self.kind == "mfcc" and self.coefficients > self.bands:
            raise OptionError(f"{self.coefficients} coefficients of {self.bands} bands: take at most one for each band")

    @property
    def frames(self) -> int:
        """Columns of a map."""
        return self.samples // self.hop + 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """A map's planes, rows and frames."""
        return (3, self.coefficients, self.frames) if self.kind == "mfcc" else (1, self.bands, self.frames)

    def __str__(self) -> str:
        said = ", ".join(f"{k}={_exact(v)}" for k, v in asdict(self).items() if k != "kind")
        return f"{self.kind}({said})"

    @classmethod
    def parse(cls, text: str) -> Frontend:
        """The frontend whose text this is. Raises OptionError for another text."""
        found = re.search(r"(log-mel|mel|mfcc)\((.*)\)", text)
        if found is None:
            raise OptionError(f"{text!r} names no frontend: expected a text such as {Frontend()}")
        try:
            values = dict(pair.split("=") for pair in found[2].split(", "))
            numbers = {f.name: (float if f.type == "float" else int)(values.pop(f.name)) for f in fields(cls)[1:]}
        except (KeyError, ValueError) as error:
            raise OptionError(f"{text!r} is no frontend ({error}): expected a text such as {Frontend()}") from error
        return cls(found[1], **numbers)  # type: ignore[arg-type]


def _exact(number: float) -> str:
    """The shortest text that is read as the same number."""
    if isinstance(number, int):
        return str(number)
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


class Features(nn.Module):
    """Waveforms to normalised maps by a frontend; every step has derivatives of any order, also at digital silence.

    Power is the sum of two squares: the magnitude, whose derivative is undefined at silence, is never taken.
    """

    def __init__(
        self,
        frontend: Frontend,
        mean: Tensor | None = None,  # (planes, rows, 1); None: maps are not normalised
        std: Tensor | None = None,  # (planes, rows, 1)
    ) -> None:
        super().__init__()
        self.frontend = f = frontend
        make = torchaudio.transforms
        self.spectrum = make.Spectrogram(f.n_fft, f.window, f.hop, power=None)
        self.mel = make.MelScale(f.bands, f.sample_rate, f.low, f.high, f.n_fft // 2 + 1)
        if not self.mel.fb.any(0).all():
            raise OptionError(
                f"{f.bands} mel bands from {f.low:g} Hz are narrower than the {f.sample_rate / f.n_fft:g} Hz between two "
                f"frequencies of n_fft {f.n_fft}: take fewer bands or a longer window"
            )
        planes, rows, _ = f.shape
        self.mean: Tensor
        self.std: Tensor
        self.dct: Tensor
        self.register_buffer("mean", torch.zeros(planes, rows, 1) if mean is None else mean.clone())
        self.register_buffer("std", torch.ones(planes, rows, 1) if std is None else std.clone())
        self.register_buffer("dct", torchaudio.functional.create_dct(f.coefficients, f.bands, norm="ortho"))

    def forward(self, wave: Tensor) -> Tensor:  # (n, samples) -> (n, planes, rows, frames)
        """Normalised maps."""
        return self.normalise(self.raw(wave))

    def raw(self, wave: Tensor) -> Tensor:  # (n, samples) -> (n, planes, rows, frames)
        """Maps in their own unit: power, its natural logarithm, or cepstra of that."""
        spectrum = self.spectrum(wave)  # (n, n_fft / 2 + 1, frames), complex
        power = spectrum.real.square() + spectrum.imag.square()
        mel: Tensor = self.mel(power)  # (n, bands, frames)
        if self.frontend.kind == "mel":
            return mel.unsqueeze(1)
        log_mel = (mel + self.frontend.floor).log()
        if self.frontend.kind == "log-mel":
            return log_mel.unsqueeze(1)
        return self.with_differences((self.dct.T @ log_mel).unsqueeze(1))

    def normalise(self, maps: Tensor) -> Tensor:  # (n, planes, rows, frames)
        """To mean 0 and deviation 1 of each row over the training clips."""
        return (maps - self.mean) / self.std

    def undo(self, maps: Tensor) -> Tensor:  # (n, planes, rows, frames)
        """From normalised maps to their own unit."""
        return maps * self.std + self.mean

    def with_differences(
        self, cepstra: Tensor
    ) -> Tensor:  # (n, 1, coefficients, frames) -> (n, 3, coefficients, frames)
        """FD-MFCC: the cepstra, their differences over five frames, and the differences of those, as three planes."""
        delta = torchaudio.functional.compute_deltas(cepstra)
        return torch.cat([cepstra, delta, torchaudio.functional.compute_deltas(delta)], 1)

    def louder(self, maps: Tensor, gain: Tensor) -> Tensor:  # (n, planes, rows, frames), (r, 1, 1, 1), r = 1 or n
        """Normalised maps as they were with `gain` more log power."""
        mean, std = self.mean.to(maps), self.std.to(maps)
        if self.frontend.kind == "mel":
            return ((maps * std + mean) * gain.exp() - mean) / std
        if self.frontend.kind == "log-mel":
            return maps + gain / std
        lift = torch.zeros_like(mean)
        lift[0, 0] = math.sqrt(self.frontend.bands)  # the first cepstrum of a constant one
        return maps + gain * lift / std

    def fit(self, maps: Tensor) -> Features:  # (n, planes, rows, frames), raw
        """The same frontend with the mean and deviation of each row of these maps."""
        flat = maps.double().transpose(1, 0).transpose(1, 2).flatten(2)  # (planes, rows, n * frames)
        mean, std = flat.mean(2, keepdim=True), flat.std(2, keepdim=True)
        return Features(self.frontend, mean.float(), std.clamp_min(max(1e-3 * float(std.max()), 1e-6)).float())

    def preprocessing(self) -> Preprocessing:
        """The normalisation as an artifact stores it."""
        return Preprocessing(self.frontend.kind, "x * std + mean", {"mean": self.mean, "std": self.std})
