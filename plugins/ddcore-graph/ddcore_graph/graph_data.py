"""Real graphs, many of them, each with a label."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ddcore.errors import DataError
from ddcore.problem import DataSource

from .data import rows_by_class
from .graphs import Graphs

__all__ = ["GraphData"]


class GraphData(DataSource[Graphs]):
    """Rows are graphs. They stand alone, so that a batch may be read in pieces."""

    separable = True

    def __init__(
        self,
        x: Tensor,  # (N, d) of all nodes, graph by graph
        nodes: Tensor,  # (n,) nodes of each graph
        edges: Tensor,  # (2, E) from, to, numbers among all nodes: as `edges.tidied` makes them, sorted by target
        y: Tensor,  # (n,)
        splits: Mapping[str, Sequence[int]],
        *,
        drawn: bool = False,  # the split was made here, not brought by the data
        name: str = "",  # the data set's own, whichever problem reads it: NCI1
    ) -> None:
        self.name = name
        if nodes.shape != y.shape:
            raise DataError(f"{len(nodes)} graphs and {len(y)} labels: give each graph one")
        if bool((nodes < 0).any()):
            raise DataError(f"a graph of {int(nodes.min())} nodes: check how many nodes each graph has")
        if (total := int(nodes.sum())) != len(x):
            raise DataError(f"graphs of {total} nodes in all, and features of {len(x)}: give each node its own")
        self.x, self.nodes, self.edges, self.y = x, nodes, edges, y
        self.first = torch.cat([nodes.new_zeros(1), nodes.cumsum(0)])  # (n + 1,)
        owner = torch.repeat_interleave(nodes)  # (N,) the graph of each node
        if bool((owner[edges[0]] != owner[edges[1]]).any()):
            raise DataError("an edge goes from one graph to another: check how many nodes each graph has")
        self.links = torch.bincount(owner[edges[1]], minlength=len(nodes))  # (n,) edges of each graph
        self.first_link = torch.cat([self.links.new_zeros(1), self.links.cumsum(0)])
        self.splits = {name: list(ids) for name, ids in splits.items()}
        self.split = self.splits if drawn else None
        self.index = rows_by_class(self.splits, y.tolist(), "graph")
        self.groups = sorted(self.index["train"])

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return self.splits.get(split, []) if group is None else self.index.get(split, {}).get(group, [])

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Graphs:
        which = torch.as_tensor(ids, dtype=torch.long, device=self.x.device)
        sizes, links = self.nodes[which], self.links[which]
        graph = torch.repeat_interleave(sizes)  # (N',) 0 .. len(ids) - 1
        shift = sizes.cumsum(0) - sizes - self.first[which]  # from old numbers of nodes to new ones
        edges = self.edges[:, _spans(self.first_link[which], links)] + torch.repeat_interleave(shift, links)
        return Graphs(self.x[_spans(self.first[which], sizes)], self.y[which], edges=edges, graph=graph)

    def to(self, device: torch.device) -> GraphData:
        moved = copy.copy(self)
        for name in ("x", "nodes", "edges", "y", "first", "links", "first_link"):
            setattr(moved, name, getattr(self, name).to(device))
        return moved


def _spans(start: Tensor, length: Tensor) -> Tensor:  # (n,), (n,) -> (sum of lengths,)
    """start[0], start[0] + 1 ... and so on for each span."""
    which = torch.repeat_interleave(length)
    return torch.arange(len(which), device=which.device) - (length.cumsum(0) - length)[which] + start[which]
