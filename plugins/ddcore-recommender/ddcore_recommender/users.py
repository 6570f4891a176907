"""Users as rows over all items: the batch, the data, and the plain learnable set."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from torch import Tensor, nn

from ddcore.errors import DataError, NotSupported
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import DataSource, Problem
from ddcore.seeds import generator

if TYPE_CHECKING:
    import random

    from .table import Table

__all__ = ["Interactions", "SparseUsers", "UserData", "UserSet", "dense", "sparse_rows", "user_data", "user_set"]


@dataclass(frozen=True)
class Interactions:
    """Users. In training the history is also the target; in val and test the target is what was held out."""

    x: Tensor  # (n, I) the history: 1 for an interaction; a distilled user's weights
    y: Tensor | None = None  # (n, I) what was held out


def dense(rows: csr_array) -> Tensor:  # (n, I)
    """As a float32 tensor."""
    return torch.from_numpy(rows.toarray().astype(np.float32, copy=False))


class UserData(DataSource[Interactions]):
    """U users over I items, kept sparse. Row u is user u in training; U + u is the same user in val, whose context is their
    training history; 2U + u in test, where the context is training and val history together (Sachdeva et al. 2022)."""

    separable = True
    groups = (0,)
    device = torch.device("cpu")

    def __init__(self, table: Table, *, drawn: bool) -> None:
        if table.split is None:
            raise DataError("the interactions have no split: split_table(table, 'random') draws one")
        shape = len(table.users), len(table.items)
        train, val, test = (_matrix(table, table.split == s, shape) for s in range(3))
        empty = csr_array(shape, dtype=np.float32)
        self.context = csr_array(vstack([train, train, train + val], format="csr"))  # (3U, I)
        self.held_out = csr_array(vstack([empty, val, test], format="csr"))
        self.users, self.items = table.users, table.items
        self.times = None if table.time is None else _times(table, table.split == 0, self.train)
        known = np.diff(train.indptr) > 0  # who has no history is no user of val and test either
        self.splits = {
            name: (s * shape[0] + np.flatnonzero(known & (np.diff(m.indptr) > 0))).tolist()
            for s, (name, m) in enumerate((("train", train), ("val", val), ("test", test)))
        }
        for name in ("train", "test"):
            if not self.splits[name]:
                raise DataError(
                    f"no user has an interaction in the {name} split beside one in training: check the split"
                )
        self.split = self.splits if drawn else None

    @property
    def train(self) -> csr_array:  # (U, I)
        """The training interactions."""
        return self.context[: len(self.users)]

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        found: Sequence[int] = self.splits.get(split, ())
        return found if group in (None, 0) else ()

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Interactions:
        at = np.asarray(ids, np.int64)
        history = dense(self.context[at])
        held_out = dense(self.held_out[at]).to(self.device) if (at >= len(self.users)).any() else None
        return Interactions(history.to(self.device), held_out)

    def to(self, device: torch.device) -> DataSource[Interactions]:
        moved = copy.copy(self)
        moved.device = device
        return moved

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr(self.context.shape).encode())
        for matrix in (self.context, self.held_out):
            for x in (matrix.indptr, matrix.indices):
                digest.update(np.asarray(x, np.int64).tobytes())
        digest.update("\n".join(self.items.tolist()).encode())
        if self.times is not None:  # their order is what counts, in any unit
            digest.update(np.unique(self.times, return_inverse=True)[1].astype(np.int64).tobytes())
        return digest.hexdigest()

    def bytes(self) -> int:
        """Of the training interactions as two numbers of 4 bytes each."""
        return 8 * int(self.train.nnz)


def user_data(problem: Problem[Any]) -> UserData:
    """The problem's users. Raises NotSupported for problems of another kind, and for a view of users, which has no matrix of
    its own."""
    if problem.input_space != "histories":
        raise NotSupported(f"{problem.name} has {problem.input_space}, and this needs histories of users")
    if not isinstance(problem.data, UserData):
        raise NotSupported(
            f"{problem.name}: this needs the whole data, and {type(problem.data).__name__} is a view of it"
        )
    return problem.data


def _matrix(table: Table, lines: np.ndarray, shape: tuple[int, int]) -> csr_array:
    at = table.user[lines], table.item[lines]
    found = csr_array((np.ones(int(lines.sum()), np.float32), at), shape)
    found.sum_duplicates()
    found.data[:] = 1
    found.sort_indices()
    return found


def _times(table: Table, lines: np.ndarray, train: csr_array) -> np.ndarray:  # (nnz,)
    """When each training interaction was, in the order in which the matrix stores them."""
    assert table.time is not None
    order = np.lexsort((table.item[lines], table.user[lines]))
    found: np.ndarray = table.time[lines][order]
    if len(found) != train.nnz:
        raise DataError(
            f"{len(found)} training interactions are {train.nnz} different ones: distinct(table) keeps the first of each"
        )
    return found


class UserSet(Synthetic[Interactions]):
    """Fake users: a free weight in [0, 1] for each user and item. `sharpness` says what discrete users they stand for:
    an item counts in proportion to weight ** sharpness."""

    parametrization = "recommender/users"

    def __init__(self, counts: Mapping[int, int], x: Tensor, sharpness: float = 1.0, step_size: float = 0.01) -> None:
        super().__init__(counts, step_size)
        self.x = nn.Parameter(x.detach().clone())  # (n, I)
        self.sharpness = sharpness

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Interactions:
        return Interactions(self.x[list(ids)])

    def project(self) -> None:
        self.x.clamp_(0, 1)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "sharpness": self.sharpness}

    @classmethod
    def restore(cls, problem: Problem[Interactions], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        return cls(dict(config["counts"]), tensors["x"], config["sharpness"])


def _user_set(
    items: int, density: float, counts: Mapping[int, int], start: Interactions | None, rng: random.Random
) -> UserSet:
    if start is not None:
        return UserSet(counts, start.x)
    noise = torch.rand(sum(counts.values()), items, generator=generator(rng))
    return UserSet(counts, 2 * density * noise)


def user_set(items: int, density: float) -> partial[UserSet]:
    """What a problem passes as `synthetic`: users from a start batch, or noise of the data's mean density."""
    return partial(_user_set, items, min(density, 0.5))


class SparseUsers(Synthetic[Interactions]):
    """Whole or partial histories, kept sparse: what a sampler of interactions returns."""

    parametrization = "recommender/histories"

    def __init__(self, rows: csr_array, step_size: float = 0.01) -> None:  # (n, I)
        super().__init__({0: rows.shape[0]}, step_size)
        rows = csr_array(rows)
        rows.sort_indices()
        self.items = int(rows.shape[1])
        self.register_buffer("indptr", torch.from_numpy(rows.indptr.astype(np.int64)))
        self.register_buffer("indices", torch.from_numpy(rows.indices.astype(np.int32)))

    @property
    def rows(self) -> csr_array:  # (n, I)
        """The histories as a matrix of ones."""
        indptr, indices = (self.get_buffer(name).cpu().numpy() for name in ("indptr", "indices"))
        return csr_array((np.ones(len(indices), np.float32), indices, indptr), (len(indptr) - 1, self.items))

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Interactions:
        return Interactions(dense(self.rows[np.asarray(ids, np.int64)]).to(self.get_buffer("indptr").device))

    def stored(self) -> dict[str, Tensor]:
        return {name: self.get_buffer(name) for name in ("indptr", "indices")}

    def config(self) -> dict[str, Any]:
        return {**super().config(), "items": self.items}

    @classmethod
    def restore(cls, problem: Problem[Interactions], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        indptr, indices = (tensors[name].cpu().numpy() for name in ("indptr", "indices"))
        shape = len(indptr) - 1, config["items"]
        return cls(csr_array((np.ones(len(indices), np.float32), indices, indptr), shape))


def sparse_rows(synthetic: Synthetic[Interactions], size: int = 1024) -> csr_array:  # (n, I)
    """The whole set as a sparse matrix, read `size` users at a time. Raises DataError where it holds no interaction, and where a
    weight is no finite number."""
    rows = csr_array(vstack(list(_pieces(synthetic, size)), format="csr"))
    if wrong := int((~np.isfinite(rows.data)).sum()):
        raise DataError(f"{wrong} weights of the set are no finite numbers: distil it with other settings")
    if not rows.nnz:
        raise DataError("all weights of the set are 0: nothing can be learned from it; distil it with other settings")
    return rows


@torch.no_grad()
def _pieces(synthetic: Synthetic[Interactions], size: int) -> Iterator[csr_array]:
    ids = synthetic.ids()
    for i in range(0, len(ids), size):
        yield csr_array(synthetic.take(ids[i : i + size]).x.cpu().numpy())
