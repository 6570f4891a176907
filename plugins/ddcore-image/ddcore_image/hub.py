"""Hugging Face data sets: rows of an image column and a class column."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from ddcore.errors import DataError, OptionError, choices

if TYPE_CHECKING:
    from pathlib import Path

    from .files import Item

__all__ = ["read_hub"]

SPLITS = {"train": "train", "validation": "val", "valid": "val", "val": "val", "test": "test"}


def read_hub(
    data: Path | None, name: str | None, subset: str | None, image: str | None, label: str | None
) -> tuple[list[Item], str, list[str]]:
    """The rows of all splits, a key for what they are, and the class names."""
    try:
        import datasets
    except ImportError as error:
        raise DataError("image/hf needs the package datasets: pip install 'ddcore-image[hf]'") from error
    found = _load(datasets, data, name, subset)
    features = next(iter(found.values())).features
    images = [k for k, f in features.items() if isinstance(f, datasets.Image)]
    classes = [k for k, f in features.items() if isinstance(f, datasets.ClassLabel)]
    image = _column("image", image, images, list(features))
    label = _column(
        "label", label, classes or [k for k in ("label", "labels", "fine_label") if k in features], list(features)
    )
    names = list(features[label].names) if label in classes else []
    if not names:
        names = sorted({str(v) for part in found.values() for v in part[label]})
    items: list[Item] = []
    for split, part in found.items():
        rows = part.cast_column(image, datasets.Image())
        for i, value in enumerate(part[label]):
            at = int(value) if label in classes else names.index(str(value))
            if at >= 0:  # -1 marks unlabelled rows
                items.append((f"{SPLITS[split]}:{split} row {i}", at, partial(_image, rows, i, image)))
    key = f"{name or (data and data.resolve())} {subset} {image} " + " ".join(
        part._fingerprint for part in found.values()
    )
    return items, key, names


def _image(rows: Any, i: int, column: str) -> Image.Image:
    found = rows[i][column]
    if not isinstance(found, Image.Image):
        raise ValueError("no image in this row")
    return found


def _load(datasets: Any, data: Path | None, name: str | None, subset: str | None) -> dict[str, Any]:
    if (data is None) == (name is None):
        raise OptionError(
            "image/hf takes either a local --data or the name of a data set of the hub: --set problem.name=..."
        )
    try:
        if data is not None and ((data / "dataset_dict.json").is_file() or (data / "state.json").is_file()):
            found = datasets.load_from_disk(str(data))
        else:
            found = datasets.load_dataset(str(data or name), subset)
    except (OSError, ValueError, RuntimeError) as error:
        where = f"in {data}" if data is not None else f"of the hub, {name!r}"
        raise DataError(
            f"cannot read the data set {where}: {error}. A folder that save_to_disk wrote works offline"
        ) from error
    parts = {"train": found} if not isinstance(found, dict) else dict(found)
    kept = {split: part for split, part in parts.items() if split in SPLITS}
    if "train" not in kept:
        raise DataError(f"the data set has the splits {', '.join(parts)} and no train split")
    return kept


def _column(what: str, asked: str | None, fitting: list[str], every: list[str]) -> str:
    if asked is not None and asked not in every:
        raise OptionError(f"no column {asked!r}.{choices(asked, every)}")
    if asked is None and not fitting:
        raise OptionError(
            f"which column holds the {what}? The data set has {', '.join(every)}: --set problem.{what}=COLUMN"
        )
    return asked or fitting[0]
