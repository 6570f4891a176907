"""Images from files: found by folder, decoded once to one size, kept as one memory-mapped array."""

from __future__ import annotations

import hashlib
import json
import secrets
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from ddcore.cache import cache_folder
from ddcore.errors import DataError
from ddcore.storage import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "Packed", "class_folders", "image_files", "listing_key", "pack", "to_array"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

Item = tuple[str, int, Callable[[], Image.Image]]
"""(name for messages, class, opener)"""


@dataclass(frozen=True)
class Packed:
    """Decoded images: a memory-mapped array, and the class and name of each row."""

    x: NDArray[np.uint8]  # (n, h, w, c)
    y: NDArray[np.int64]  # (n,)
    names: Sequence[str]
    digest: str  # of the pixels


def class_folders(root: Path) -> list[str]:
    """The names of the class folders, sorted; hidden ones left out."""
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def image_files(folder: Path) -> list[Path]:
    """The image files below a folder, by suffix, in the order of their paths."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def to_array(image: Image.Image, size: int, channels: int) -> NDArray[np.uint8]:  # (size, size, channels)
    """One image: grey or RGB in 8 bits, its shorter side resized to `size`, the centre cut out."""
    if image.mode.startswith("I"):  # Pillow would clip 16 bits
        image = Image.fromarray((np.asarray(image, np.uint32) >> 8).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("floating-point pixels have no range that is known")
    image = image.convert("L" if channels == 1 else "RGB")
    w, h = image.size
    if (w, h) != (size, size):
        scale = size / min(w, h)
        w, h = max(round(w * scale), size), max(round(h * scale), size)
        image = image.resize((w, h), Image.Resampling.BILINEAR)
        left, top = (w - size) // 2, (h - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image, np.uint8).reshape(size, size, channels)


def pack(items: Sequence[Item], key: str, size: int, channels: int) -> Packed:
    """The readable images of `items` as one array in the cache folder, made once for each `key`, size and channels.

    Unreadable ones are named in one warning and left out.
    """
    found = hashlib.sha256(f"{key} {size} {channels}".encode())
    for item, label, _ in items:
        found.update(f"{item}\n{label}\n".encode())
    name = found.hexdigest()[:32]
    pixels, index = (cache_folder("images") / f"{name}{end}" for end in (".npy", ".json"))
    if not (pixels.is_file() and index.is_file()):
        _decode(items, pixels, index, size, channels)
    stored = json.loads(index.read_text())
    if stored["bad"]:
        shown = ", ".join(stored["bad"][:5]) + (" ..." if len(stored["bad"]) > 5 else "")
        warnings.warn(
            f"{len(stored['bad'])} of {len(items)} images cannot be read and are left out: {shown}", stacklevel=2
        )
    y = np.array(stored["y"], np.int64)
    return Packed(np.load(pixels, mmap_mode="r")[: len(y)], y, stored["names"], stored["digest"])


def _decode(items: Sequence[Item], pixels: Path, index: Path, size: int, channels: int) -> None:
    temporary = pixels.with_name(f".{pixels.name}.{secrets.token_hex(4)}")
    shape = (max(len(items), 1), size, size, channels)
    y: list[int] = []
    names: list[str] = []
    bad: list[str] = []
    digest = hashlib.sha256()
    try:
        x = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        for name, label, load in items:
            try:
                with load() as image:
                    row = to_array(image, size, channels)
            except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                bad.append(name)
                continue
            x[len(y)] = row
            digest.update(row.tobytes() + label.to_bytes(4, "little"))
            y.append(label)
            names.append(name)
        x.flush()
        del x
        temporary.replace(pixels)
        write_text(index, json.dumps({"y": y, "names": names, "bad": bad, "digest": digest.hexdigest()}))
    except OSError as error:
        raise DataError(
            f"cannot keep the decoded images in {pixels.parent}: {error.strerror or error}; set DDCORE_CACHE"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def listing_key(files: Iterable[Path], root: Path) -> str:
    """What the decoded array depends on: names, sizes and change times of the files."""
    digest = hashlib.sha256(str(root.resolve()).encode())
    for file in files:
        found = file.stat()
        digest.update(f"{file.relative_to(root)} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()
