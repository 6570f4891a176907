"""Clips from files: decoded once to one sample rate and length, kept as one memory-mapped array of float32."""

from __future__ import annotations

import hashlib
import json
import secrets
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import torch

from ddcore.cache import cache_folder
from ddcore.errors import DataError
from ddcore.storage import write_text

from .frontend import torchaudio

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "Item", "Packed", "audio_files", "class_folders", "item", "listing_key", "pack", "to_clip"]

SUFFIXES = frozenset({".aif", ".aiff", ".flac", ".mp3", ".ogg", ".opus", ".wav"})

FULL_SCALE, CLIPPED = 0.999, 0.01
"""A clip is named as clipped where this part of its samples is at full scale; it is kept."""

Sound = tuple["NDArray[np.float32]", int]
"""(samples, channels) and the sample rate"""

Item = tuple[str, int, Callable[[], Sound]]
"""(name for messages, class, reader)"""


@dataclass(frozen=True)
class Packed:
    """Decoded clips: a memory-mapped array, and the class and name of each row."""

    wave: NDArray[np.float32]  # (n, samples)
    y: NDArray[np.int64]  # (n,)
    names: Sequence[str]
    digest: str  # of the samples


def class_folders(root: Path) -> list[str]:
    """The names of the class folders, sorted; those that begin with a dot or an underscore are left out."""
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))


def audio_files(folder: Path) -> list[Path]:
    """The audio files below a folder, by suffix, in the order of their paths."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def item(name: str, label: int, file: Any) -> Item:
    """A clip that is a whole file: a path, or a binary stream."""
    return name, label, partial(soundfile.read, file, dtype="float32", always_2d=True)


def to_clip(sound: NDArray[np.float32], rate: int, sample_rate: int, samples: int) -> NDArray[np.float32]:  # (samples,)
    """Mono (the mean of the channels), resampled, and of that length: the middle of a longer clip, zeros on both sides of a
    shorter one.

    Raises ValueError for a clip without samples, or with NaN or infinity.
    """
    if not len(sound):
        raise ValueError("no samples")
    if not np.isfinite(sound).all():
        raise ValueError("NaN or infinity")
    wave = torch.from_numpy(sound.mean(1))
    if rate != sample_rate:
        wave = _resampler(rate, sample_rate)(wave)
    spare = samples - len(wave)
    left = spare // 2
    fitted = torch.nn.functional.pad(wave, (left, spare - left))  # negative widths cut
    found: NDArray[np.float32] = fitted.numpy()
    return found


@cache
def _resampler(rate: int, sample_rate: int) -> Any:
    """Its filter is computed once."""
    return torchaudio.transforms.Resample(rate, sample_rate)


def pack(items: Sequence[Item], key: str, sample_rate: int, samples: int) -> Packed:
    """The readable clips of `items` as one array in the cache folder, made once for each `key`, rate and length.

    Unreadable ones are named in one warning and left out; clipped ones are named in another.
    """
    found = hashlib.sha256(f"{key} {sample_rate} {samples}".encode())
    for name, label, _ in items:
        found.update(f"{name}\n{label}\n".encode())
    name = found.hexdigest()[:32]
    waves, index = (cache_folder("clips") / f"{name}{end}" for end in (".npy", ".json"))
    if not (waves.is_file() and index.is_file()):
        _decode(items, waves, index, sample_rate, samples)
    stored = json.loads(index.read_text())
    _warn(stored["bad"], len(items), "clips cannot be read and are left out")
    _warn(stored["clipped"], len(items), f"clips are clipped ({CLIPPED:.0%} of the samples at full scale)")
    y = np.array(stored["y"], np.int64)
    return Packed(np.load(waves, mmap_mode="r")[: len(y)], y, stored["names"], stored["digest"])


def _warn(names: Sequence[str], of: int, what: str) -> None:
    if names:
        shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        warnings.warn(f"{len(names)} of {of} {what}: {shown}", stacklevel=3)


def _decode(items: Sequence[Item], waves: Path, index: Path, sample_rate: int, samples: int) -> None:
    temporary = waves.with_name(f".{waves.name}.{secrets.token_hex(4)}")
    y: list[int] = []
    names, bad, clipped = list[str](), list[str](), list[str]()
    digest = hashlib.sha256()
    try:
        x = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=(max(len(items), 1), samples))
        for name, label, read in items:
            try:
                sound, rate = read()
                wave = to_clip(sound, rate, sample_rate, samples)
            except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
                bad.append(f"{name} ({_reason(error)})")
                continue
            if (np.abs(sound) >= FULL_SCALE).mean() >= CLIPPED:
                clipped.append(name)
            x[len(y)] = wave
            digest.update(wave.tobytes() + label.to_bytes(4, "little"))
            y.append(label)
            names.append(name)
        x.flush()
        del x
        temporary.replace(waves)
        said = {
            "what": f"{len(y)} clips of {samples / sample_rate:g} s at {sample_rate} Hz",
            "digest": digest.hexdigest(),
        }
        write_text(index, json.dumps({**said, "y": y, "names": names, "bad": bad, "clipped": clipped}))
    except OSError as error:
        raise DataError(
            f"cannot keep the decoded clips in {waves.parent}: {error.strerror or error}; set DDCORE_CACHE"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    """The last words of soundfile's message, or the message."""
    return str(error).rpartition(": ")[2].strip(" .") or type(error).__name__


def listing_key(files: Iterable[Path], root: Path) -> str:
    """What the decoded array depends on: names, sizes and change times of the files."""
    digest = hashlib.sha256(str(root.resolve()).encode())
    for file in files:
        found = file.stat()
        digest.update(f"{file.relative_to(root)} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()
