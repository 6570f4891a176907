"""Hugging Face data sets, of the hub or local."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ddcore.errors import DataError, OptionError

from .readers import SPLITS, Columns

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_saved", "read_hub"]


def is_saved(data: Path) -> bool:
    """Whether `save_to_disk` wrote the folder."""
    return (data / "dataset_dict.json").is_file() or (data / "state.json").is_file()


def read_hub(
    data: Path | None, name: str | None, subset: str | None, columns: Columns
) -> tuple[dict[str, dict[str, list[Any]]], list[str]]:
    """The tables of all splits, and the class names where the label column knows them. Raises DataError and OptionError."""
    import datasets

    if (data is None) == (name is None):
        raise OptionError(
            "text/hf takes either a local --data or the name of a data set of the hub: --set problem.name=..."
        )
    try:
        if data is not None and is_saved(data):
            found = datasets.load_from_disk(str(data))
        else:
            found = datasets.load_dataset(str(data or name), subset)
    except (OSError, ValueError, RuntimeError) as error:
        where = f"in {data}" if data is not None else f"of the hub, {name!r}"
        raise DataError(
            f"cannot read the data set {where}: {error}. A folder that save_to_disk wrote works offline"
        ) from error
    parts: dict[str, Any] = dict(found) if isinstance(found, dict) else {"train": found}
    of = {known: split for split, names in SPLITS.items() for known in names}
    kept = {of[split]: part for split, part in parts.items() if split in of}
    if "train" not in kept:
        raise DataError(f"the data set has the splits {', '.join(parts)} and no train split")
    features = kept["train"].features
    labels = [c for c, f in features.items() if isinstance(f, datasets.ClassLabel)]
    of_classes = columns.label or next(iter(labels), None)
    names = list(features[of_classes].names) if of_classes in labels else []
    return {split: {c: list(part[c]) for c in part.column_names} for split, part in kept.items()}, names
