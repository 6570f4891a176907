"""Clips from files: found by suffix, decoded to one sample rate and length, kept as float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.signal
import soundfile
import torch

from ddcore.packing import Item, Packed, Unreadable, pack

from .frontend import torchaudio

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LOUDEST", "SUFFIXES", "Clip", "Recording", "audio_files", "clip", "pack_clips", "to_clip"]

SUFFIXES = frozenset(
    {
        *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp2", ".mp3"),
        *(".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav"),
        # cannot be read: to be named, not passed over
        *(".3gp", ".aac", ".ac3", ".amr", ".ape", ".m4a", ".m4b", ".mka"),
        *(".mkv", ".mov", ".mp4", ".spx", ".webm", ".wma", ".wv"),
    }
)

LOUDEST = 1e6
"""Samples beyond it are none: full scale is 1."""

KERNEL = 2**22
"""Numbers of a resampling filter at most; rates without a common divisor have filters of gigabytes."""

FULL_SCALE, CLIPPED = 0.999, 0.01
"""A clip is named as clipped where this part of its samples or more is at full scale and none beyond it; it is kept."""

Recording = tuple["NDArray[np.float32]", int]
"""(samples, channels) and the sample rate"""

Clip = tuple[str, str, int, Callable[[], Recording]]
"""(split, name for messages, class, reader)"""


def audio_files(folder: Path) -> list[Path]:
    """The audio files below a folder, by suffix, in the order of their paths."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def clip(split: str, name: str, label: int, file: Any) -> Clip:
    """A clip that is a whole file: a path, or a binary stream."""
    return split, name, label, partial(_load, file)


def _load(file: Any) -> Recording:
    if isinstance(file, Path) and not file.stat().st_size:
        raise ValueError("an empty file")
    found: Recording = soundfile.read(file, dtype="float32", always_2d=True)
    return found


def pack_clips(clips: Sequence[Clip], key: str, sample_rate: int, samples: int) -> Packed:  # x: (n, samples)
    """The readable clips as one array in the cache folder, made once for each `key`, rate and length."""
    items = [Item(name, split, label, partial(_read, load, sample_rate, samples)) for split, name, label, load in clips]
    return pack(items, f"{key} {sample_rate} Hz", (samples,), np.float32, "clips")


def _read(load: Callable[[], Recording], sample_rate: int, samples: int) -> tuple[NDArray[np.float32], str]:
    try:
        sound, rate = load()
        wave = to_clip(sound, rate, sample_rate, samples)
    except soundfile.SoundFileError as error:
        reason = str(error).rpartition(": ")[2].strip(" .")  # soundfile's names come first
        raise Unreadable(f"{reason}: convert it to wav or flac") from error
    except (OSError, ValueError, TypeError) as error:
        raise Unreadable(str(error)) from error
    loud = np.abs(sound)
    clipped = loud.max() <= 1 and (loud >= FULL_SCALE).mean() >= CLIPPED
    return wave, f"are clipped ({CLIPPED:.0%} or more of the samples at full scale)" if clipped else ""


def to_clip(sound: NDArray[np.float32], rate: int, sample_rate: int, samples: int) -> NDArray[np.float32]:  # (samples,)
    """Mono (the mean of the channels), resampled, and of that length: the middle of a longer clip, zeros on both sides of a
    shorter one.

    Raises ValueError for a clip without samples, or with NaN, infinity or samples beyond `LOUDEST`.
    """
    if not len(sound):
        raise ValueError("no samples")
    if not np.isfinite(sound).all():
        raise ValueError("NaN or infinity")
    if np.abs(sound).max() > LOUDEST:
        raise ValueError(f"samples beyond {LOUDEST:g}")
    wave = torch.from_numpy(_resampled(sound.mean(1), rate, sample_rate))
    spare = samples - len(wave)
    left = spare // 2
    fitted = torch.nn.functional.pad(wave, (left, spare - left))  # negative widths cut
    found: NDArray[np.float32] = fitted.numpy()
    return found


def _resampled(wave: NDArray[np.float32], rate: int, sample_rate: int) -> NDArray[np.float32]:  # (samples,)
    """By a filter; as a whole, by Fourier transform, where that filter would be too large."""
    found: NDArray[np.float32]
    common = math.gcd(rate, sample_rate)
    if rate == sample_rate:
        found = wave
    elif rate * sample_rate <= KERNEL * common**2:
        found = _resampler(rate, sample_rate)(torch.from_numpy(wave)).numpy()
    else:
        found = scipy.signal.resample(wave, math.ceil(len(wave) * sample_rate / rate)).astype(np.float32)
    return found


@cache
def _resampler(rate: int, sample_rate: int) -> Any:
    """Its filter is computed once."""
    return torchaudio.transforms.Resample(rate, sample_rate)
