"""The graph problems: data from its public layout, networks, free features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor

from ddcore.problem import Preprocessing, Problem, Task
from ddcore.rows import Classification

from .batch import Graph
from .data import NodeData, class_split
from .edges import tidied
from .models import node_zoo
from .parametrizations.features import features_only
from .recipes import GRAPH

__all__ = ["digits_knn", "node_problem"]

Hidden = Annotated[int, Field(ge=1, description="hidden units of the networks")]


def node_problem(
    x: Tensor,  # (N, d)
    edges: Tensor,  # (2, E)
    y: Tensor,  # (N,) 0 .. k-1; -1: unlabelled
    splits: Mapping[str, Sequence[int]],
    class_names: Sequence[str],
    *,
    weights: Tensor | None = None,
    inductive: bool = False,
    drawn: bool = False,
    fanout: Sequence[int] | None = None,
    preprocessing: Preprocessing | None = None,
    hidden: int = 256,
) -> Problem[Graph]:
    """A problem of node classification from tensors: the way for data that no reader here knows. Edges have both directions, no
    self loops and no repeats (`edges.tidied` sees to that).

    Raises DataError where the splits hold unlabelled nodes.
    """
    data = NodeData(x, edges, y, splits, weights=weights, inductive=inductive, drawn=drawn, fanout=fanout)
    d, classes = x.shape[1], len(class_names)
    return Problem(
        name="graph",
        data=data,
        task=cast("Task[Graph]", Classification(classes)),  # a graph's labels go by the names of a row's
        models=node_zoo(d, classes, hidden=hidden),
        synthetic=partial(features_only, d),
        recipe=GRAPH,
        preprocessing=preprocessing or Preprocessing("none"),
        class_names=tuple(class_names),
    )


def digits_knn(
    *,
    neighbours: Annotated[int, Field(ge=1, description="nearest digits that each digit has an edge to")] = 5,
    hidden: Hidden = 64,
) -> Problem[Graph]:
    """scikit-learn's digits as a graph: 1,797 nodes of 64 pixels, edges between nearest neighbours; 20 nodes a class to train on,
    30 for val."""
    from sklearn.datasets import load_digits
    from sklearn.neighbors import kneighbors_graph

    found = load_digits()
    near = kneighbors_graph(found.data, neighbours).tocoo()
    x = torch.tensor(found.data / 16, dtype=torch.float32)
    edges, _ = tidied(near.row, near.col, len(x))
    names = [str(d) for d in range(10)]
    splits = class_split(found.target.tolist())
    return node_problem(x, edges, torch.tensor(found.target), splits, names, drawn=True, hidden=hidden)
