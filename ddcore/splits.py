"""Splits: seeded, stratified draws of what the data did not bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from .errors import OptionError
from .seeds import stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["carve", "completed", "fewer", "stratified_split"]

Split = dict[str, list[int]]
Labels: TypeAlias = "Sequence[int] | NDArray[np.int64]"  # a class for each row


def stratified_split(labels: Labels, seed: int = 0, *, val: float = 0.1, test: float = 0.1) -> Split:
    """Row ids of train, val and test: a seeded draw within each class, 80/10/10 unless said otherwise. A class keeps at
    least one training row; val and test get theirs as far as rows remain."""
    split: Split = {"train": [], "val": [], "test": []}
    for y, ids in sorted(_by_class(labels, range(len(labels))).items()):
        stream(seed, "split", y).shuffle(ids)
        n_test = min(_share(test, len(ids)), len(ids) - 1)
        n_val = min(_share(val, len(ids)), len(ids) - n_test - 1)
        split["test"] += ids[:n_test]
        split["val"] += ids[n_test : n_test + n_val]
        split["train"] += ids[n_test + n_val :]
    return {name: sorted(ids) for name, ids in split.items()}


def carve(labels: Labels, ids: Sequence[int], part: float) -> tuple[list[int], list[int]]:
    """(what stays, what is taken): a seeded stratified part of the rows `ids`; a class keeps at least one. `labels` are of all
    rows."""
    if not part:
        return list(ids), []
    split = stratified_split([int(labels[i]) for i in ids], val=0.0, test=part)
    taken = {ids[i] for i in split["test"]}
    return [i for i in ids if i not in taken], sorted(taken)


def completed(labels: Labels, given: Mapping[str, Sequence[int]]) -> tuple[Split, bool]:
    """The splits that the data brought, with what it did not bring drawn from train: 80/10/10 where there is train alone, a tenth
    for the one of val and test that is missing; and whether anything was drawn. `labels` are of all rows."""
    train, val, test = (list(given.get(name, ())) for name in ("train", "val", "test"))
    if not val and not test:
        made = stratified_split([int(labels[i]) for i in train])
        return {name: [train[i] for i in ids] for name, ids in made.items()}, True
    if not val:
        train, val = carve(labels, train, 0.1)
        return {"train": train, "val": val, "test": test}, True
    if not test:
        train, test = carve(labels, train, 0.1)
        return {"train": train, "val": val, "test": test}, True
    return {"train": train, "val": val, "test": test}, False


def fewer(labels: Labels, train: Sequence[int], rows: int) -> list[int]:
    """`rows` of the training rows, a seeded draw: one of each class in turn, until there are enough. Raises OptionError where
    there are not as many, or fewer than classes are asked for."""
    by_class = _by_class(labels, train)
    if not len(by_class) <= rows <= len(train):
        raise OptionError(
            f"rows={rows}: give {len(by_class)} (one a class) to {len(train)} (all training rows), or leave it out"
        )
    for c, ids in by_class.items():
        stream("rows", c).shuffle(ids)
    turns = (
        ids[turn : turn + 1] for turn in range(max(map(len, by_class.values()))) for _, ids in sorted(by_class.items())
    )
    return sorted([i for turn in turns for i in turn][:rows])


def _by_class(labels: Labels, ids: Sequence[int]) -> dict[int, list[int]]:
    by_class: dict[int, list[int]] = {}
    for i in ids:
        by_class.setdefault(int(labels[i]), []).append(i)
    return by_class


def _share(part: float, n: int) -> int:
    """That part of n rows, at least one of them unless the part is 0."""
    return max(round(part * n), 1) if part else 0
