"""Problems of the user's own: a folder of images, or a Hugging Face data set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import Field

from ddcore.errors import DataError
from ddcore.problem import Problem
from ddcore.rows import Rows, stratified_split

from .data import carve
from .files import Item, Packed, class_folders, image_files, listing_key, pack
from .problems import Depth, Side, TrainRows, Width, Zca, check_filled, image_problem

__all__ = ["folder", "hf"]

SPLIT_FOLDERS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


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
    found = {
        split: next((data / n for n in names if (data / n).is_dir()), None) for split, names in SPLIT_FOLDERS.items()
    }
    roots = {s: p for s, p in found.items() if p is not None} if found["train"] else {"train": data}
    names = class_folders(roots["train"])
    if len(names) < 2:
        raise DataError(
            f"{roots['train']} has {len(names)} class folders ({', '.join(names)}): expected two or more, one a class"
        )
    files: list[Path] = []
    items: list[Item] = []
    for split, root in roots.items():
        if unknown := set(class_folders(root)) - set(names):
            raise DataError(f"{root} has classes that {roots['train']} has not: {', '.join(sorted(unknown))}")
        for label, name in enumerate(names):
            for file in image_files(root / name) if (root / name).is_dir() else ():
                files.append(file)
                items.append((f"{split}:{file.relative_to(data)}", label, partial(Image.open, file)))
    packed = pack(items, listing_key(files, data), size, 1 if channels == "grey" else 3)
    given = {
        s: [i for i, name in enumerate(packed.names) if name.startswith(f"{s}:")] for s in ("train", "val", "test")
    }
    return _own(packed, given, names, depth=depth, width=width, rows=rows, zca=zca, flips=flips)


def _own(packed: Packed, given: dict[str, list[int]], names: Sequence[str], **options: Any) -> Problem[Rows]:
    """Splits that the data brought; what it did not bring is drawn."""
    check_filled(packed.y[given["train"]], names)
    drawn = not (given["val"] and given["test"])
    train, splits = given["train"], dict(given)
    if not given["val"] and not given["test"]:
        made = stratified_split(packed.y[train].tolist())
        splits = {s: [train[i] for i in ids] for s, ids in made.items()}
    elif drawn:
        lacking = "test" if given["val"] else "val"
        splits["train"], splits[lacking] = carve(packed.y, train, 0.1)
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
    from .hub import read_hub

    items, key, names = read_hub(data, name, subset, image, label)
    packed = pack(items, key, size, 1 if channels == "grey" else 3)
    given = {s: [i for i, n in enumerate(packed.names) if n.startswith(f"{s}:")] for s in ("train", "val", "test")}
    return _own(packed, given, names, depth=depth, width=width, rows=rows, zca=zca, flips=flips)
