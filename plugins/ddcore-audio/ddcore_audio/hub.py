"""Hugging Face data sets: rows of an audio column and a class column. Files are decoded by soundfile, not by torchcodec."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any

import soundfile

from ddcore.errors import DataError, OptionError, choices

if TYPE_CHECKING:
    from pathlib import Path

    from .clips import Item, Sound

__all__ = ["read_hub"]

SPLITS = {"train": "train", "validation": "val", "valid": "val", "val": "val", "test": "test"}


def read_hub(
    data: Path | None, name: str | None, subset: str | None, audio: str | None, label: str | None
) -> tuple[list[Item], str, list[str]]:
    """The rows of all splits, a key for what they are, and the class names."""
    try:
        import datasets
    except ImportError as error:
        raise DataError("audio/hf needs the package datasets: pip install 'ddcore-audio[hf]'") from error
    found = _load(datasets, data, name, subset)
    features = next(iter(found.values())).features
    sounds = [k for k, f in features.items() if isinstance(f, datasets.Audio)]
    classes = [k for k, f in features.items() if isinstance(f, datasets.ClassLabel)]
    audio = _column("audio", audio, sounds, list(features))
    label = _column("label", label, classes or [k for k in ("label", "labels") if k in features], list(features))
    names = list(features[label].names) if label in classes else []
    if not names:
        names = sorted({str(v) for part in found.values() for v in part[label]})
    items: list[Item] = []
    for split, part in found.items():
        rows = part.cast_column(audio, datasets.Audio(decode=False))
        for i, value in enumerate(part[label]):
            at = int(value) if label in classes else names.index(str(value))
            if at >= 0:  # -1 marks unlabelled rows
                items.append((f"{SPLITS[split]}:{split} row {i}", at, partial(_read, rows, i, audio)))
    of = f"{name or (data and data.resolve())} {subset} {audio} "
    return items, of + " ".join(part._fingerprint for part in found.values()), names


def _read(rows: Any, i: int, column: str) -> Sound:
    found = rows[i][column]
    if found is None or (found["bytes"] is None and found["path"] is None):
        raise ValueError("no audio in this row")
    source = found["path"] if found["bytes"] is None else io.BytesIO(found["bytes"])
    sound: Sound = soundfile.read(source, dtype="float32", always_2d=True)
    return sound


def _load(datasets: Any, data: Path | None, name: str | None, subset: str | None) -> dict[str, Any]:
    if (data is None) == (name is None):
        raise OptionError(
            "audio/hf takes either a local --data or the name of a data set of the hub: --set problem.name=..."
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
