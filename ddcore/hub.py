"""Hugging Face data sets as the data of a problem: of the hub by name, or from a local folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import DataError, OptionError, choices

__all__ = ["SPLITS", "column", "content_key", "is_saved", "labels", "read_hub"]

SPLITS = {
    "train": "train",
    **dict.fromkeys(("validation", "valid", "val", "dev", "validation_matched", "dev_matched"), "val"),
    "test": "test",
}
"""What splits are called there, and here."""

Parts = dict[str, Any]  # train, val, test -> datasets.Dataset


def read_hub(problem: str, data: Path | None, name: str | None, subset: str | None = None) -> Parts:
    """The tables of a data set by our names of its splits, train among them. Raises OptionError where neither or both of a local
    `data` and a `name` are given, and DataError where the package, the data set, its train split or a column is missing."""
    try:
        import datasets
    except ImportError as error:
        package = f"ddcore-{problem.partition('/')[0]}[hf]"
        raise DataError(f"{problem} needs the package datasets: pip install '{package}'") from error
    if (data is None) == (name is None):
        raise OptionError(
            f"{problem} takes either a local --data or the name of a data set of the hub: --set problem.name=..."
        )
    try:
        if data is not None and is_saved(data):
            found = datasets.load_from_disk(str(data))
        else:
            found = datasets.load_dataset(str(data or name), subset)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        where = f"in {data}" if data is not None else f"of the hub, {name!r}"
        reason = " ".join(str(error.__cause__ or error).split())
        raise DataError(
            f"cannot read the data set {where}: {reason}. A folder that save_to_disk wrote works offline"
        ) from error
    parts: Parts = dict(found) if isinstance(found, dict) else {"train": found}
    kept = {SPLITS[split]: part for split, part in parts.items() if split in SPLITS}
    if "train" not in kept:
        raise DataError(f"the data set has the splits {', '.join(parts)} and no train split")
    for split, part in kept.items():
        if lacking := [name for name in kept["train"].column_names if name not in part.column_names]:
            raise DataError(f"the data set's {split} split has no column {', '.join(lacking)}, which train has: add it")
    return kept


def is_saved(data: Path) -> bool:
    """Whether `save_to_disk` wrote the folder."""
    return (data / "dataset_dict.json").is_file() or (data / "state.json").is_file()


def column(what: str, asked: str | None, fitting: Sequence[str], every: Sequence[str]) -> str:
    """The column that was asked for, or the first that fits. OptionError where there is none."""
    if asked is not None and asked not in every:
        raise OptionError(f"no column {asked!r}.{choices(asked, every)}")
    if asked is None and not fitting:
        raise OptionError(
            f"which column holds the {what}? The data set has {', '.join(every)}: --set problem.{what}=COLUMN"
        )
    return asked or fitting[0]


def labels(parts: Parts, asked: str | None) -> tuple[Mapping[str, list[int]], list[str]]:
    """The class of every row of each split, -1 where it has none, and the names of the classes: of a class column those that it
    knows, of another its values, sorted."""
    import datasets

    features = parts["train"].features
    known = [k for k, f in features.items() if isinstance(f, datasets.ClassLabel)]
    usual = [k for k in ("label", "labels", "fine_label") if k in features]
    label = column("label", asked, known or usual, list(features))
    if label in known:
        return {split: [int(v) for v in part[label]] for split, part in parts.items()}, list(features[label].names)
    names = sorted({str(v) for part in parts.values() for v in part[label]})
    at = {name: k for k, name in enumerate(names)}
    return {split: [at[str(v)] for v in part[label]] for split, part in parts.items()}, names


def content_key(parts: Parts) -> str:
    """What identifies the rows of all splits."""
    return " ".join(str(part._fingerprint) for part in parts.values())
