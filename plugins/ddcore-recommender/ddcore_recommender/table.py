"""Interactions as a table: who chose what, how much and when; filters and splits."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ddcore.errors import DataError
from ddcore.seeds import stream

__all__ = ["SPLITS", "Split", "Table", "core", "distinct", "named", "positives", "split_table"]

Split = Literal["random", "leave-one-out", "column"]
Ints = NDArray[np.int64]
Ids = NDArray[np.str_]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Table:
    """A line is an interaction. Numbers of users and items point into their ids."""

    user: Ints  # (n,)
    item: Ints  # (n,)
    weight: NDArray[np.float64]  # (n,)
    users: Ids  # (U,)
    items: Ids  # (I,)
    time: NDArray[Any] | None = None  # (n,) finite numbers of any unit that grows
    split: Ints | None = None  # (n,) 0 train, 1 val, 2 test
    fields: Mapping[str, Ints] = field(default_factory=dict)  # (n,) other categorical columns, by name

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, chosen: NDArray[np.bool_] | Ints) -> Table:
        """The lines `chosen`; ids stay."""
        return replace(
            self,
            user=self.user[chosen],
            item=self.item[chosen],
            weight=self.weight[chosen],
            time=None if self.time is None else self.time[chosen],
            split=None if self.split is None else self.split[chosen],
            fields={k: x[chosen] for k, x in self.fields.items()},
        )

    def compact(self) -> Table:
        """Without the users and items that have no line."""
        users, user = np.unique(self.user, return_inverse=True)
        items, item = np.unique(self.item, return_inverse=True)
        return replace(self, user=_ints(user), item=_ints(item), users=self.users[users], items=self.items[items])


def named(
    user: NDArray[Any],
    item: NDArray[Any],
    weight: NDArray[Any] | None = None,
    time: NDArray[Any] | None = None,
    split: Ints | None = None,
    fields: Mapping[str, Ints] | None = None,
) -> Table:
    """A table from ids of any kind, which are kept as text. Raises DataError for weights and times that are no finite numbers."""
    users, u = _numbered(user)
    items, i = _numbered(item)
    w = np.ones(len(u)) if weight is None else np.asarray(weight, np.float64)
    if not np.isfinite(w).all():
        at = np.flatnonzero(~np.isfinite(w))
        raise DataError(
            f"{len(at)} of {len(w)} weights are no finite number (first: line {at[0] + 1}, user {users[u[at[0]]]}, "
            f"item {items[i[at[0]]]}): drop those lines or give them a weight"
        )
    t = None if time is None else np.asarray(time)
    if t is not None and not np.isfinite(t).all():
        raise DataError(f"time {t[~np.isfinite(t)][0]} is no finite number: drop those lines or give them a time")
    return Table(u, i, w, users, items, t, split, fields or {})


def _numbered(ids: NDArray[Any]) -> tuple[Ids, Ints]:
    """The different ids as text, sorted, and the number of each line's."""
    some, line = np.unique(ids, return_inverse=True) if ids.dtype.kind in "iuf" else _by_text(ids)
    text = some.astype(str)
    order = np.argsort(text, kind="stable")
    return text[order], np.argsort(order)[line]


def _by_text(ids: NDArray[Any]) -> tuple[Ids, Ints]:
    return np.unique(ids.astype(str), return_inverse=True)


def positives(table: Table, threshold: float | None) -> Table:
    """Implicit feedback: the lines whose weight is at least the threshold (all, where it is None), each now 1. Raises DataError
    where none is, and for weights of 0 or less without a threshold: what did not happen has no line."""
    if threshold is None and (none := int((table.weight <= 0).sum())):
        raise DataError(
            f"{none} of {len(table)} interactions have a weight of 0 or less (the smallest is {table.weight.min():g}): say by "
            "threshold from which weight on they count"
        )
    kept = table if threshold is None else table[table.weight >= threshold]
    if not len(kept):
        at_most = f"{table.weight.max():g}" if len(table) else "nothing"
        raise DataError(
            f"no interaction has a weight of {threshold} or more (the largest is {at_most}): lower threshold"
        )
    return replace(kept, weight=np.ones(len(kept)))


def distinct(table: Table) -> Table:
    """One line for each user and item: the first in time; without times, in the order of the file."""
    order = np.arange(len(table)) if table.time is None else np.argsort(table.time, kind="stable")
    pair = table.user[order] * len(table.items) + table.item[order]
    _, first = np.unique(pair, return_index=True)
    return table[np.sort(order[first])]


def core(table: Table, per_user: int, per_item: int) -> Table:
    """The largest part where each user has `per_user` interactions or more and each item `per_item` or more."""
    kept = table
    while len(kept):
        by_user = np.bincount(kept.user, minlength=len(table.users))
        by_item = np.bincount(kept.item, minlength=len(table.items))
        good = (by_user[kept.user] >= per_user) & (by_item[kept.item] >= per_item)
        if good.all():
            return kept.compact()
        kept = kept[good]
    raise DataError(
        f"nothing is left of {len(table)} interactions where every user has {per_user} and every item {per_item}: "
        "lower the filters"
    )


def split_table(table: Table, how: Split, seed: int = 0) -> Table:
    """The table with its `split`.

    `random`: of each user's lines a seeded tenth, at least one, is test, a tenth val, the others train. `leave-one-out`: the
    last line in time is test, the one before it val; equal times keep the order of the file. `column`: as the data says.
    Raises DataError where the data lacks what the split needs, and where no line is left to train or test on; warns where
    `random` leaves no line for val.
    """
    if how == "column":
        if table.split is None:
            raise DataError(
                "split = column, and the data has no split column: name it, or choose random or leave-one-out"
            )
        found = table
    elif how == "leave-one-out":
        if table.time is None:
            raise DataError(
                "leave-one-out goes by time, and the data has no time column: name it, or choose split = random"
            )
        found = replace(table, split=_last(table))
    else:
        found = replace(table, split=_random(table, seed))
    assert found.split is not None
    for number in (0, 2):
        if not (found.split == number).any():
            raise DataError(
                f"the {SPLITS[number]} split is empty ({len(table)} interactions of {len(table.users)} users after "
                "filtering): loosen the filters or choose another split"
            )
    if how == "random" and not (found.split == 1).any():
        warnings.warn(
            f"the val split is empty: none of {len(table.users)} users has six interactions, a tenth of which is one. What is "
            "chosen on val will not be; raise per_user, or bring a split",
            stacklevel=2,
        )
    return found


def _last(table: Table) -> Ints:
    assert table.time is not None
    order = np.lexsort((table.time, table.user))  # by user, then by time; stable
    user = table.user[order]
    from_end = np.searchsorted(user, user, side="right") - 1 - np.arange(len(user))
    found = np.zeros(len(table), np.int64)
    found[order[from_end == 0]], found[order[from_end == 1]] = 2, 1
    return found


def _random(table: Table, seed: int) -> Ints:
    shuffle = np.random.default_rng(stream(seed, "split").getrandbits(63)).permutation(len(table))
    order = shuffle[np.argsort(table.user[shuffle], kind="stable")]
    user = table.user[order]
    n = np.bincount(user)[user]
    place = np.arange(len(user)) - np.searchsorted(user, user)
    tenth = np.rint(0.1 * n)
    test = np.maximum(tenth, 1)
    found = np.zeros(len(table), np.int64)
    found[order] = np.where(place < test, 2, np.where((place < test + tenth) & (place < n - 1), 1, 0))
    found[order[n == 1]] = 0  # who has one interaction is trained on
    return found


def _ints(x: NDArray[Any]) -> Ints:
    return np.asarray(x).astype(np.int64)
