"""Images from files: found by suffix, decoded to one size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from ddcore.packing import Item, Packed, Unreadable, pack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "Picture", "image_files", "pack_images", "to_array"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

Picture = tuple[str, str, int, Callable[[], Image.Image]]
"""(split, name for messages, class, opener)"""


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


def pack_images(
    pictures: Sequence[Picture], key: str, size: int, channels: int
) -> Packed:  # x: (n, size, size, channels)
    """The readable images as one array in the cache folder, made once for each `key`, size and channels."""
    items = [Item(name, split, label, partial(_read, load, size, channels)) for split, name, label, load in pictures]
    return pack(items, key, (size, size, channels), np.uint8, "images")


def _read(load: Callable[[], Image.Image], size: int, channels: int) -> tuple[NDArray[np.uint8], str]:
    try:
        with load() as image:
            return to_array(image, size, channels), ""
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Unreadable from error
