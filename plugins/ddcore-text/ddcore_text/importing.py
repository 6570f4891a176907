"""Texts that were made elsewhere, or by another vocabulary's artifact: JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ddcore.errors import ArtifactError
from ddcore.importers import by_class, probabilities
from ddcore.problem import Problem
from ddcore.rows import Rows

from .data import token_space
from .parametrizations import WrittenTexts

__all__ = ["from_jsonl"]

EXPECTED = (
    'a line of JSON for each text: {"text": "...", "label": "a class"}, or probabilities of the classes as the label'
)


def from_jsonl(path: Path, problem: Problem[Rows]) -> WrittenTexts:
    """A line a text, as our own export writes them where labels are classes or probabilities; any tokenizer reads them.

    Raises ArtifactError for anything else, and NotSupported for a problem whose rows are not words.
    """
    space = token_space(problem)
    names = {name: k for k, name in enumerate(problem.class_names)}
    rows = [_row(line, at, names, path) for at, line in enumerate(_lines(path), start=1)]
    if not rows:
        raise ArtifactError(f"{path} has no line: expected {EXPECTED}")
    soft = {isinstance(label, list) for _, label in rows}
    if len(soft) > 1:
        raise ArtifactError(f"{path} has classes in some lines and probabilities in others: expected {EXPECTED}")
    order, counts, labels = by_class(problem, torch.tensor([label for _, label in rows]), len(rows), str(path))
    return WrittenTexts(space, counts, [rows[i][0] for i in order.tolist()], labels)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read as text: {error}; expected {EXPECTED}") from error


def _row(line: str, at: int, names: dict[str, int], path: Path) -> tuple[str, int | list[float]]:
    try:
        found: Any = json.loads(line)
        text, label = found["text"], found["label"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}, line {at}: expected {EXPECTED}") from error
    if "pair" in found or not isinstance(text, str) or not text.strip():
        raise ArtifactError(f"{path}, line {at}: `text` is one text that is not empty: expected {EXPECTED}")
    if isinstance(label, list):
        numbers = all(isinstance(p, int | float) and 0 <= p <= 1 for p in label)
        if len(label) != len(names) or not numbers or not probabilities(torch.tensor([label])):
            raise ArtifactError(
                f"{path}, line {at}: {label} is not a probability for each of {len(names)} classes, which sum to 1"
            )
        return text, label
    if str(label) not in names:
        raise ArtifactError(f"{path}, line {at}: class {label!r} is none of {', '.join(names)}")
    return text, names[str(label)]
