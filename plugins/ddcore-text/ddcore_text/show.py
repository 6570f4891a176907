"""The cards: a distilled set as text, class by class."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from ddcore.storage import write_text

from .decode import readings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ddcore.parametrizations import Synthetic

    from .data import TextData

__all__ = ["SHOWN", "cards"]

SHOWN = 10
"""Rows of a class on its card."""

WIDE = 100


def cards(data: TextData, class_names: Sequence[str], synthetic: Synthetic[Any], folder: Path) -> Path:
    """Writes `sentences.txt` into the folder: a card for each class, a paragraph for each row. With its first two arguments bound
    it is a problem's `render`."""
    every = readings(data, synthetic)
    lines = []
    for g, n in synthetic.counts.items():
        lines.append(f"== {class_names[g]}")
        rows = [every[i] for i in synthetic.ids(g)]
        for row in rows[:SHOWN]:
            lines += textwrap.wrap(row.text or "(no word)", WIDE, initial_indent="   - ", subsequent_indent="     ")
            if row.distance is not None:
                lines[-1] += f"  [{row.distance:.2f} away]"
        if n > SHOWN:
            lines.append(f"     and {n - SHOWN:,} more")
        lines.append("")
    if any(row.distance is not None for row in every):
        lines.append(NEAREST)
    write_text(folder / "sentences.txt", "\n".join(lines).rstrip() + "\n")
    return folder / "sentences.txt"


NEAREST = "The rows are vectors: shown is the nearest text. 0 away: it is that text; 1: as far as its vectors are long."
