"""Hugging Face data sets as tables of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ddcore.hub import read_hub

if TYPE_CHECKING:
    from pathlib import Path

    from .readers import Columns

__all__ = ["read_texts"]


def read_texts(
    data: Path | None, name: str | None, subset: str | None, columns: Columns
) -> tuple[dict[str, dict[str, list[Any]]], list[str]]:
    """The tables of all splits, and the class names where the label column knows them. Raises DataError and OptionError."""
    parts = read_hub("text/hf", data, name, subset)
    from datasets import ClassLabel

    features = parts["train"].features
    label = columns.label or next((c for c, f in features.items() if isinstance(f, ClassLabel)), None)
    names = list(features[label].names) if isinstance(features.get(label), ClassLabel) else []
    return {split: {c: list(part[c]) for c in part.column_names} for split, part in parts.items()}, names
