"""Recovery: a waveform whose maps are near the given ones; a frontend forgets phase and fine structure."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.seeds import torch_seeded

from .frontend import Features, torchaudio

if TYPE_CHECKING:
    from .frontend import Frontend

__all__ = ["recover"]

ITERATIONS = 32
"""Of Griffin and Lim's algorithm."""


@torch.no_grad()
def recover(features: Features, maps: Tensor) -> Tensor:  # (n, planes, rows, frames), normalised -> (n, samples)
    """The waveforms: cepstra to log-mel by the transposed DCT, mel to frequencies by least squares whose negative
    powers become 0 (`InverseMelScale`), phases by Griffin and Lim (1984). The same maps give the same waveforms."""
    f = features.frontend
    power = _mel_power(copy.deepcopy(features).cpu(), maps.detach().cpu().float())  # (n, bands, frames)
    make = torchaudio.transforms
    spectrum = _frequencies(f)(power)
    phases = make.GriffinLim(f.n_fft, ITERATIONS, f.window, f.hop, power=2.0, length=f.samples)
    with torch_seeded("griffin-lim"):
        wave: Tensor = phases(spectrum)
    return wave


def _frequencies(f: Frontend) -> torch.nn.Module:
    """Its driver takes bands that are sums of others, as narrow ones of a short window are."""
    scale: torch.nn.Module = torchaudio.transforms.InverseMelScale(
        f.n_fft // 2 + 1, f.bands, f.sample_rate, f.low, f.high, driver="gelsd"
    )
    return scale


def _mel_power(features: Features, maps: Tensor) -> Tensor:  # (n, planes, rows, frames) -> (n, bands, frames)
    f: Frontend = features.frontend
    raw = features.undo(maps)[:, 0]
    if f.kind == "mel":
        return raw.clamp_min(0)
    log_mel = features.dct @ raw if f.kind == "mfcc" else raw
    return (log_mel.clamp_max(20).exp() - f.floor).clamp_min(0)
