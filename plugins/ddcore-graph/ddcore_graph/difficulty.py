"""How hard nodes are: a node among others of many classes is harder than one among its own."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ddcore.problem import Problem

from .data import NodeData

__all__ = ["easy_first", "neighbour_entropy"]


def neighbour_entropy(data: NodeData) -> Tensor:  # (N,)
    """The entropy of the labels around each node, its own included, of the training nodes alone (GEOM, section 3.2): other labels
    are not known. 0 where none is."""
    part = data.part("train")
    known = torch.full_like(part.y, -1)
    rows = part.position[torch.tensor(data.ids(), device=part.y.device)]
    known[rows] = part.y[rows]
    counts = torch.zeros(len(known), max(data.groups) + 1, dtype=torch.float64, device=known.device)
    counts[rows, known[rows]] += 1
    source, target = part.edges
    there = known[source] >= 0
    counts.index_put_((target[there], known[source[there]]), counts.new_ones(int(there.sum())), accumulate=True)
    p = counts / counts.sum(1, keepdim=True).clamp_min(1)
    found: Tensor = torch.special.entr(p).sum(1)
    return found


def easy_first(problem: Problem[Any]) -> Problem[Any]:
    """The same problem, whose training nodes of each class come the easiest first."""
    data = problem.data
    assert isinstance(data, NodeData), "a problem whose rows are nodes"
    hard, position = neighbour_entropy(data), data.part("train").position
    ordered = copy.copy(data)
    train = {g: sorted(ids, key=lambda i: float(hard[position[i]])) for g, ids in data.index["train"].items()}
    ordered.index = {**data.index, "train": train}
    return replace(problem, data=ordered)
