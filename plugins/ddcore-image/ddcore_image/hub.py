"""Hugging Face data sets: rows of an image column and a class column."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from ddcore.hub import column, content_key, labels, read_hub

if TYPE_CHECKING:
    from pathlib import Path

    from .files import Picture

__all__ = ["read_pictures"]


def read_pictures(
    data: Path | None, name: str | None, subset: str | None, image: str | None, label: str | None
) -> tuple[list[Picture], str, list[str]]:
    """The rows of all splits, a key for what they are, and the class names; unlabelled rows are left out."""
    parts = read_hub("image/hf", data, name, subset)
    import datasets

    features = parts["train"].features
    image = column("image", image, [k for k, f in features.items() if isinstance(f, datasets.Image)], list(features))
    classes, names = labels(parts, label)
    pictures: list[Picture] = []
    for split, part in parts.items():
        rows = part.cast_column(image, datasets.Image())
        found = [(split, f"{split} row {i}", c, partial(_image, rows, i, image)) for i, c in enumerate(classes[split])]
        pictures += [picture for picture in found if picture[2] >= 0]
    return pictures, f"{name or (data and data.resolve())} {subset} {image} {content_key(parts)}", names


def _image(rows: Any, i: int, column: str) -> Image.Image:
    found = rows[i][column]
    if not isinstance(found, Image.Image):
        raise ValueError("no image in this row")
    return found
