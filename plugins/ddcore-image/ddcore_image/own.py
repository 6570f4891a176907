"""Problems of the user's own: a folder of images, or a Hugging Face data set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import Field

from ddcore.errors import DataError
from ddcore.packing import Packed, class_files, filled_splits, listing_key
from ddcore.problem import Problem
from ddcore.rows import Rows

from .files import Picture, image_files, pack_images
from .problems import Depth, Side, TrainRows, Width, Zca, image_problem

__all__ = ["folder", "hf"]


def folder(
    data: Path | None = None,
    *,
    size: Side = 32,
    channels: Annotated[Literal["grey", "rgb"], Field(description="grey or RGB images")] = "rgb",
    flips: Annotated[bool, Field(description="whether a mirrored image is still of its class")] = True,
    depth: Depth = None,
    width: Width = 128,
    rows: TrainRows = None,
    zca: Zca = False,
) -> Problem[Rows]:
    """Your own images: FOLDER/CLASS/*.png, or FOLDER/train/CLASS/*.png with val and test folders where you have them.

    Without a test (or val) folder a seeded stratified tenth of the training images takes its place, and the split is
    stored with every artifact. Images that cannot be read are named and left out.
    """
    if data is None or not data.is_dir():
        raise DataError(f"image/folder needs --data FOLDER with a folder per class; got {data or 'nothing'}")
    files, names = class_files(data, image_files)
    pictures: list[Picture] = [
        (split, str(file.relative_to(data)), label, partial(Image.open, file)) for split, label, file in files
    ]
    key = listing_key((file for _, _, file in files), data)
    packed = pack_images(pictures, key, size, 1 if channels == "grey" else 3)
    return _own(packed, names, depth=depth, width=width, rows=rows, zca=zca, flips=flips)


def _own(packed: Packed, names: Sequence[str], **options: Any) -> Problem[Rows]:
    """Splits that the data brought; what it did not bring is drawn."""
    splits, drawn = filled_splits(packed, names, "image")
    return image_problem(packed.x, packed.y, splits, names, drawn=drawn, digest=packed.digest, **options)


def hf(
    data: Path | None = None,
    *,
    name: Annotated[
        str | None, Field(description="a data set of the hub, such as ylecun/mnist; or give a local --data")
    ] = None,
    subset: Annotated[str | None, Field(description="its configuration, where it has several")] = None,
    image: Annotated[str | None, Field(description="the image column; the first one by default")] = None,
    label: Annotated[str | None, Field(description="the class column; the first class label by default")] = None,
    size: Side = 32,
    channels: Annotated[Literal["grey", "rgb"], Field(description="grey or RGB images")] = "rgb",
    flips: Annotated[bool, Field(description="whether a mirrored image is still of its class")] = True,
    depth: Depth = None,
    width: Width = 128,
    rows: TrainRows = None,
    zca: Zca = False,
) -> Problem[Rows]:
    """Any Hugging Face image data set: by name, or a local folder (of save_to_disk, Parquet files or images)."""
    from .hub import read_pictures

    pictures, key, names = read_pictures(data, name, subset, image, label)
    packed = pack_images(pictures, key, size, 1 if channels == "grey" else 3)
    return _own(packed, names, depth=depth, width=width, rows=rows, zca=zca, flips=flips)
