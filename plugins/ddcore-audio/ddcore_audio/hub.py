"""Hugging Face data sets: rows of an audio column and a class column. Files are decoded by soundfile, not by torchcodec."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any

import soundfile

from ddcore.hub import column, content_key, labels, read_hub

if TYPE_CHECKING:
    from pathlib import Path

    from .clips import Clip, Recording

__all__ = ["read_clips"]


def read_clips(
    data: Path | None, name: str | None, subset: str | None, audio: str | None, label: str | None
) -> tuple[list[Clip], str, list[str]]:
    """The rows of all splits, a key for what they are, and the class names; unlabelled rows are left out."""
    parts = read_hub("audio/hf", data, name, subset)
    import datasets

    features = parts["train"].features
    audio = column("audio", audio, [k for k, f in features.items() if isinstance(f, datasets.Audio)], list(features))
    classes, names = labels(parts, label)
    clips: list[Clip] = []
    for split, part in parts.items():
        rows = part.select_columns([audio]).cast_column(audio, datasets.Audio(decode=False))  # others are not decoded
        found = [(split, f"{split} row {i}", c, partial(_read, rows, i, audio)) for i, c in enumerate(classes[split])]
        clips += [clip for clip in found if clip[2] >= 0]
    return clips, f"{name or (data and data.resolve())} {subset} {audio} {content_key(parts)}", names


def _read(rows: Any, i: int, column: str) -> Recording:
    found = rows[i][column]
    if found is None or (found["bytes"] is None and found["path"] is None):
        raise ValueError("no audio in this row")
    source = found["path"] if found["bytes"] is None else io.BytesIO(found["bytes"])
    sound: Recording = soundfile.read(source, dtype="float32", always_2d=True)
    return sound
