"""Real graphs: nodes, their edges, labels and splits."""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ddcore.errors import DataError, NotSupported
from ddcore.problem import DataSource, Problem, nbytes
from ddcore.seeds import stream

from .batch import Graph
from .part import Part

__all__ = ["NodeData", "class_split", "node_data", "quotas", "rows_by_class"]


class NodeData(DataSource[Graph]):
    """One graph; rows are its nodes, and a batch is the graph with the nodes that are asked for.

    Transductive: every split sees the whole graph. Inductive: a split sees the subgraph that its own nodes induce. With
    `fanout`, batches that are drawn (`rng` is given) hold that many sampled neighbours a hop instead of the whole graph.
    """

    def __init__(
        self,
        x: Tensor,  # (N, d)
        edges: Tensor,  # (2, E) from, to: no self loops, none twice, both directions where undirected
        y: Tensor,  # (N,) 0 .. k-1; -1: unlabelled
        splits: Mapping[str, Sequence[int]],
        *,
        weights: Tensor | None = None,  # (E,)
        inductive: bool = False,
        drawn: bool = False,  # the split was made here, not brought by the data
        fanout: Sequence[int] | None = None,  # neighbours a hop, from the target outwards
    ) -> None:
        if y.shape != x.shape[:1]:
            raise DataError(
                f"{len(x)} nodes, and labels of shape {tuple(y.shape)}: give each node one, -1 where it has none"
            )
        if bool((odd := edges[(edges < 0) | (edges >= len(x))]).numel()):
            raise DataError(
                f"an edge with node {int(odd[0])}, and nodes are 0 .. {len(x) - 1}: `edges.tidied` reads edges"
            )
        self.whole = Part(x, edges, weights, y, torch.arange(len(x), device=x.device))
        self.inductive, self.fanout = inductive, fanout
        self._parts: dict[str, Part] = {}
        self._divide({name: list(ids) for name, ids in splits.items()})
        self.split = self.splits if drawn else None

    def _divide(self, splits: dict[str, list[int]]) -> None:
        self.splits = splits
        self.index = rows_by_class(splits, self.whole.y[self.whole.position].tolist(), "node")
        self.groups = sorted(self.index["train"])

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return self.splits.get(split, []) if group is None else self.index.get(split, {}).get(group, [])

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Graph:
        part = self.part(self._split_of(ids)) if self.inductive else self.whole
        return part.batch(ids) if self.fanout is None or rng is None else part.drawn(ids, self.fanout, rng)

    def batches(self, split: str = "test", size: int = 256) -> Iterator[Graph]:
        """The split in one batch: the graph is the cost, not its rows."""
        ids = self.ids(split=split)
        return iter([self.take(ids)] if ids else [])

    def part(self, split: str) -> Part:
        """The graph that batches of a split see."""
        if not self.inductive:
            return self.whole
        if split not in self._parts:
            self._parts[split] = self.whole.induced(self.splits[split])
        return self._parts[split]

    def _split_of(self, ids: Sequence[int]) -> str:
        names = {self._named.get(i, "none") for i in ids}
        if len(names) > 1 or "none" in names:
            raise DataError(f"inductive: a batch holds nodes of one split, and these are of {', '.join(sorted(names))}")
        return names.pop()

    @cached_property
    def _named(self) -> dict[int, str]:  # id -> split
        return {i: name for name, ids in self.splits.items() for i in ids}

    def kept(self, ids: Sequence[int]) -> NodeData:
        """The training nodes `ids` and the edges between them: all that is left of the graph."""
        alone = copy.copy(self)
        alone.whole, alone.inductive, alone.fanout, alone.split = self.whole.induced(ids), False, None, None
        alone._parts = {}
        for name in ("_named", "_fingerprint"):
            alone.__dict__.pop(name, None)
        alone._divide({"train": list(dict.fromkeys(ids))})
        return alone

    def quotas(self, rows: int, sizes: Mapping[int, int]) -> Mapping[int, int]:
        return quotas(rows, sizes)

    def to(self, device: torch.device) -> NodeData:
        moved = copy.copy(self)
        moved.whole, moved._parts = self.whole.to(device), {}
        return moved

    def fingerprint(self) -> str:
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(f"{sorted(self.splits.items())} {self.inductive} {self.fanout}".encode())
        for t in (self.whole.x, self.whole.edges, self.whole.y, self.whole.weights):
            digest.update(b"none" if t is None else f"{t.dtype} {tuple(t.shape)}".encode())
            digest.update(b"" if t is None else t.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def population(self) -> int:
        """Nodes that training sees: of the whole graph, or of the training subgraph."""
        return len(self.part("train").x)

    def bytes(self) -> int:
        return nbytes(self.part("train").batch(self.ids()))


def node_data(problem: Problem[Any]) -> NodeData:
    """The one graph of a problem of node classification. Raises NotSupported for other problems."""
    if not isinstance(problem.data, NodeData):
        raise NotSupported(f"{problem.name} is no single graph with labelled nodes")
    return problem.data


def rows_by_class(
    splits: Mapping[str, Sequence[int]],
    labels: Sequence[int],  # of each row; -1: unlabelled
    row: str,  # what one is called
) -> dict[str, dict[int, list[int]]]:
    """The rows of each split and class. Raises DataError for rows that are not there, unlabelled or in two splits, and for a
    training split without any."""
    index: dict[str, dict[int, list[int]]] = {}
    seen = [False] * len(labels)
    for name, ids in splits.items():
        index[name] = {}
        for i in ids:
            if not 0 <= i < len(labels):
                raise DataError(f"the split {name} holds {row} {i}, and {row}s are 0 .. {len(labels) - 1}")
            if labels[i] < 0:
                raise DataError(f"{row} {i} is in the split {name} and has no label: leave it out of the split")
            if seen[i]:
                raise DataError(f"{row} {i} is in the split {name} and in another, or twice: a {row} is in one split")
            seen[i] = True
            index[name].setdefault(labels[i], []).append(i)
    if not index.get("train"):
        raise DataError(f"the training split is empty: check the split, and that training {row}s have labels")
    return index


def quotas(rows: int, sizes: Mapping[int, int]) -> dict[int, int]:
    """Rows of each class by GCond's rule: a class of n of the N labelled nodes gets max(int(n * rows / N), 1), from the rarest
    to the commonest, and the commonest what remains, one at least; no class gets more than it has."""
    total = sum(sizes.values())
    *rare, commonest = sorted(sizes, key=lambda g: sizes[g])
    counts = {g: max(rows * sizes[g] // total, 1) for g in rare}
    counts[commonest] = min(max(rows - sum(counts.values()), 1), sizes[commonest])
    return {g: counts[g] for g in sizes}


def class_split(y: Sequence[int], seed: int = 0, *, train: int = 20, val: int = 30) -> dict[str, list[int]]:
    """Where data brings no split: of every class 20 nodes to train on, 30 for val and the rest for test (Shchur et al. 2018). Of
    a class that is too small for that, half is for training, one at least, and a quarter for val. Unlabelled nodes (-1)
    are in no split."""
    members: dict[int, list[int]] = {}
    for i, c in enumerate(y):
        if c >= 0:
            members.setdefault(int(c), []).append(i)
    split: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for c, ids in sorted(members.items()):
        stream(seed, "split", c).shuffle(ids)
        a = min(train, max(len(ids) // 2, 1))
        b = a + min(val, (len(ids) - a) // 2)
        split["train"] += ids[:a]
        split["val"] += ids[a:b]
        split["test"] += ids[b:]
    return {name: sorted(ids) for name, ids in split.items()}
