"""Corpus: texts, their classes and their splits, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ddcore.errors import DataError
from ddcore.splits import completed, fewer

__all__ = ["Corpus", "Text", "check_said", "corpus", "joined", "parts_of"]

Text = str | tuple[str, str]
"""A text, or a pair of them."""


def parts_of(text: Text) -> tuple[str, ...]:
    """The parts of a text: one, or two."""
    return (text,) if isinstance(text, str) else text


def joined(text: Text) -> str:
    """A text as one line; the parts of a pair stand on both sides of a bar."""
    return text if isinstance(text, str) else f"{text[0]} | {text[1]}"


@dataclass(frozen=True)
class Corpus:
    """What every input space is made from."""

    texts: Sequence[Text]
    y: Sequence[int]
    splits: Mapping[str, Sequence[int]]  # row numbers of train, val and test
    class_names: Sequence[str]
    drawn: bool = False  # the split was made here, not brought by the data

    @cached_property
    def train(self) -> list[Text]:
        """The training texts."""
        return [self.texts[i] for i in self.splits["train"]]

    @cached_property
    def digest(self) -> str:
        """sha256 of all texts, classes and splits."""
        found = hashlib.sha256()
        for text, y in zip(self.texts, self.y, strict=True):
            found.update(f"{joined(text)}\0{y}\0".encode())
        for name, ids in sorted(self.splits.items()):
            found.update(f"{name} {list(ids)}".encode())
        return found.hexdigest()


def check_said(texts: Sequence[Text], rows: Sequence[int], split: str, source: str) -> None:
    """DataError where a text, or a part of a pair, is empty; `rows` are their numbers in the data."""
    empty = [i for i, text in zip(rows, texts, strict=True) if not all(part.strip() for part in parts_of(text))]
    if empty:
        raise DataError(
            f"{source}: {len(empty)} texts of {split} are empty (first: row {empty[0]}): remove them, or name the column that "
            "holds the text"
        )


def corpus(
    parts: Mapping[str, tuple[Sequence[Text], Sequence[int]]],  # texts and classes of train, and of val and test if any
    class_names: Sequence[str],
    *,
    source: str,
    rows: int | None = None,
) -> Corpus:
    """A corpus of the splits that the data brings. A missing val or test is a tenth of train, stratified; without either both
    are drawn, and the split is stored with every artifact. `rows` is how many training texts to use.

    Raises DataError for empty texts, for fewer than two classes and for a class without training text.
    """
    texts: list[Text] = []
    y: list[int] = []
    given: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for split, (said, classes) in parts.items():
        check_said(said, range(len(said)), split, source)
        given[split] = list(range(len(texts), len(texts) + len(said)))
        texts += said
        y += classes
    if not given["train"]:
        raise DataError(f"{source}: the training split is empty")
    present = {y[i] for i in given["train"]}
    if len(class_names) < 2:
        raise DataError(
            f"{source} has the one class {', '.join(class_names)}: a classifier needs two or more; is that the column "
            "of classes?"
        )
    if lacking := [name for k, name in enumerate(class_names) if k not in present]:
        raise DataError(f"{source}: no training text of class {', '.join(lacking)}: add some, or remove the class")
    splits, drawn = completed(y, given)
    if rows is not None:
        splits["train"] = fewer(y, splits["train"], rows)
    return Corpus(texts, y, splits, tuple(class_names), drawn)
