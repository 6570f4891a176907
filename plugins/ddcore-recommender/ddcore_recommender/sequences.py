"""Sequences of items: the batch, the data, the task of the next item, and learnable sequences."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ddcore.errors import DataError
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import DataSource, Metric, Output, Problem, Task
from ddcore.seeds import generator

from .ranking import Counts, propensities
from .table import SPLITS

if TYPE_CHECKING:
    import random

    from .table import Table

__all__ = ["NextItem", "SequenceData", "SequenceSet", "Sequences", "SoftSequences", "sequence_set", "soft"]


@dataclass(frozen=True)
class Sequences:
    """Sequences, the latest item last. Items are numbers from 1, and 0 where a sequence has not begun; or weights (n, L, I) that
    are all 0 there. A row, a prediction, is a position that has a next item."""

    x: Tensor  # (n, L) items, or (n, L, I) their weights
    y: Tensor  # of the same shape: the next item of each position; 0 where it is not asked for
    seen: Tensor | None = None  # (n, I) in val and test: the history, which is not recommended again

    @property
    def asked(self) -> Tensor:  # (n, L)
        """Positions whose next item is asked for."""
        return self.y > 0 if self.y.ndim == 2 else self.y.detach().sum(2) > 0

    @property
    def begun(self) -> Tensor:  # (n, L)
        """Positions that hold an item."""
        return self.x > 0 if self.x.ndim == 2 else self.x.detach().sum(2) > 0


def soft(items: int, numbers: Tensor) -> Tensor:  # (n, L) -> (n, L, I)
    """Weights of items that are given by number."""
    return F.one_hot(numbers, items + 1)[..., 1:].to(torch.get_default_dtype())


class SequenceData(DataSource[Sequences]):
    """Users' items in the order of time, the latest `length` + 1 of them. Row u is user u in training, U + u in val, 2U + u in
    test, as in `UserData`; val continues the training sequence, test the training and val sequence; of several held-out items
    the first is asked for."""

    separable = True
    groups = (0,)

    def __init__(self, table: Table, length: int, *, drawn: bool) -> None:
        if table.time is None:
            raise DataError("sequences go by time, and the data has no time column: name it")
        if table.split is None:
            raise DataError("the interactions have no split: split_table(table, 'leave-one-out') gives them one")
        self.users, self.items, self.length = table.users, table.items, length
        order = np.lexsort((table.split, table.time, table.user))
        user, item, split = table.user[order], table.item[order] + 1, table.split[order]
        if (early := np.flatnonzero((np.diff(split) < 0) & (np.diff(user) == 0))).size:
            raise DataError(
                f"user {table.users[user[early[0]]]} has an interaction in {SPLITS[split[early[0] + 1]]} after one in "
                f"{SPLITS[split[early[0]]]}: a sequence is continued, so choose split = leave-one-out, or a column whose train, "
                "val and test follow each other in time"
            )
        ends = np.searchsorted(user, np.arange(len(table.users) + 1))
        self.parts = [  # of each user: items in training, in val, in test
            tuple(item[a:b][split[a:b] == s] for s in range(3)) for a, b in zip(ends, ends[1:], strict=False)
        ]
        n = len(self.parts)
        self.splits = {
            "train": [u for u, (a, _, _) in enumerate(self.parts) if len(a) > 1],
            "val": [n + u for u, (a, b, _) in enumerate(self.parts) if len(a) and len(b)],
            "test": [2 * n + u for u, (a, _, c) in enumerate(self.parts) if len(a) and len(c)],
        }
        if not self.splits["train"]:
            raise DataError("no user has two items in training: there is no next item to learn")
        if not self.splits["test"]:
            raise DataError("no user has an interaction in the test split beside one in training: check the split")
        self.split = self.splits if drawn else None

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        found: Sequence[int] = self.splits.get(split, ())
        return found if group in (None, 0) else ()

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Sequences:
        n, L = len(ids), self.length  # noqa: N806
        x, y = np.zeros((n, L), np.int64), np.zeros((n, L), np.int64)
        seen = np.zeros((n, len(self.items)), np.float32)
        for row, i in enumerate(ids):
            kind, u = divmod(i, len(self.parts))
            history, val, test = self.parts[u]
            if kind == 0:
                some = history[-(L + 1) :]
                x[row, L - len(some) + 1 :], y[row, L - len(some) + 1 :] = some[:-1], some[1:]
            else:
                context = history if kind == 1 else np.concatenate([history, val])
                x[row, L - len(context[-L:]) :] = context[-L:]
                y[row, -1] = (val if kind == 1 else test)[0]
                seen[row, context - 1] = 1
        held_out = any(i >= len(self.parts) for i in ids)
        return Sequences(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(seen) if held_out else None)

    def popularity(self) -> NDArray[np.int64]:  # (I,)
        """How often each item is in training."""
        return np.bincount(np.concatenate([a for a, _, _ in self.parts]) - 1, minlength=len(self.items))

    def fingerprint(self) -> str:
        digest = hashlib.sha256("\n".join([str(self.length), *self.items.tolist()]).encode())
        for parts in self.parts:
            for items in parts:
                digest.update(np.int64(len(items)).tobytes() + items.astype(np.int64).tobytes())
        return digest.hexdigest()

    def bytes(self) -> int:
        """Of the training items as numbers of 4 bytes."""
        return 4 * sum(len(a) for a, _, _ in self.parts)


class NextItem(Task[Sequences]):
    """The next item: cross-entropy over all items at every position; in val and test the ranking of the one held-out item, by
    the rules of `Ranking`."""

    def __init__(
        self, popularity: NDArray[np.int64], cuts: Sequence[int] = (10,), negatives: int | None = None
    ) -> None:
        self.items, self.cuts, self.negatives = len(popularity), tuple(cuts), negatives
        self.inverse_propensity = torch.from_numpy(propensities(popularity))
        names = [
            *(f"{name}@{k}" for k in self.cuts for name in ("nDCG", "HR")),
            "MRR",
            *(f"coverage@{k}" for k in self.cuts),
        ]
        self.metrics = tuple(Metric(n if negatives is None else f"{n} ({negatives} negatives)") for n in names)

    def targets(self, batch: Sequences) -> Tensor:  # (rows, I)
        chosen = batch.y[batch.asked]
        return soft(self.items, chosen) if batch.y.ndim == 2 else chosen

    def losses(self, out: Output, batch: Sequences) -> Tensor:  # (rows,)
        if batch.y.ndim == 2:
            return F.cross_entropy(out.logits, batch.y[batch.asked] - 1, reduction="none")
        return -(self.targets(batch) * out.logits.log_softmax(1)).sum(1)

    def score(self, pairs: Iterable[tuple[Output, Sequences]]) -> Mapping[str, float]:
        counts = Counts(self.cuts, self.inverse_propensity, self.negatives)
        for out, batch in pairs:
            targets = self.targets(batch).cpu()
            seen = torch.zeros_like(targets) if batch.seen is None else batch.seen.cpu()
            counts.add(out.logits.cpu(), seen * (1 - targets), targets)
        found = counts.means()
        return {m.name: found[m.name.partition(" (")[0]] for m in self.metrics}


class SoftSequences(Synthetic[Sequences]):
    """Fake sequences of `length` + 1 weights over the items each. Write `weights`."""

    @abstractmethod
    def weights(self, ids: Sequence[int]) -> Tensor:  # (n, L + 1, I) that sum to 1, or to 0 before a sequence begins
        """The sequences `ids`."""

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Sequences:
        w = self.weights(ids)
        return Sequences(w[:, :-1], w[:, 1:])


class SequenceSet(SoftSequences):
    """Free weights on the simplex."""

    parametrization = "recommender/sequences"

    def __init__(self, counts: Mapping[int, int], w: Tensor, step_size: float = 0.01) -> None:
        super().__init__(counts, step_size)
        self.w = nn.Parameter(w.detach().clone())  # (n, L + 1, I)

    def weights(self, ids: Sequence[int]) -> Tensor:
        return self.w[list(ids)]

    def project(self) -> None:
        self.w.clamp_(min=0)
        total = self.w.sum(2, keepdim=True)
        self.w.div_(torch.where(total > 0, total, 1.0))

    def stored(self) -> dict[str, Tensor]:
        return {"w": self.w.detach()}

    @classmethod
    def restore(cls, problem: Problem[Sequences], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        return cls(dict(config["counts"]), tensors["w"])


def _sequence_set(
    length: int, items: int, counts: Mapping[int, int], start: Sequences | None, rng: random.Random
) -> SequenceSet:
    if start is None:
        noise = torch.rand(sum(counts.values()), length + 1, items, generator=generator(rng))
        return SequenceSet(counts, noise / noise.sum(2, keepdim=True))
    x, y = (soft(items, s) if s.ndim == 2 else s for s in (start.x, start.y))
    return SequenceSet(counts, torch.cat([x, y[:, -1:]], 1))


def sequence_set(length: int, items: int) -> partial[SequenceSet]:
    """What a sequential problem passes as `synthetic`."""
    return partial(_sequence_set, length, items)
