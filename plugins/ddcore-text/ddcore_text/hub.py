"""Hugging Face data sets as tables of texts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ddcore.hub import read_hub

from .readers import LABELS, Columns

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_texts"]


def read_texts(
    data: Path | None, name: str | None, subset: str | None, columns: Columns
) -> tuple[dict[str, dict[str, list[Any]]], Columns, list[str]]:
    """The tables of all splits; the columns, with that of classes where one is by its type and none was asked for (of several
    one with a usual name); and the class names that it knows. Raises DataError and OptionError."""
    parts = read_hub("text/hf", data, name, subset)
    from datasets import ClassLabel

    features = parts["train"].features
    named = {column: list(f.names) for column, f in features.items() if isinstance(f, ClassLabel)}
    label = columns.label or next((column for column in (*LABELS, *named) if column in named), None)
    tables = {split: {c: list(part[c]) for c in part.column_names} for split, part in parts.items()}
    return tables, replace(columns, label=label), named.get(label or "", [])
