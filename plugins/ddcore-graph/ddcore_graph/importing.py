"""Condensed graphs that other code made: GraphSlim's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddcore.errors import ArtifactError, NotSupported
from ddcore.importers import by_class, load_tensors
from ddcore.problem import Problem

from .batch import Graph
from .parametrizations.dense import DenseGraph
from .parametrizations.features import FeaturesOnly

if TYPE_CHECKING:
    from .parametrizations.base import CondensedGraph

__all__ = ["from_graphslim"]

EXPECTED = (
    "a folder with feat_*.pt (nodes, features), label_*.pt (nodes,) or (nodes, classes) and, where there are edges, "
    "adj_*.pt (nodes, nodes)"
)


def from_graphslim(path: Path, problem: Problem[Graph]) -> CondensedGraph:
    """The nodes, classes and edges in the files that GraphSlim saves, one of each in the folder. Self loops are left out:
    networks bring their own. Labels (n, k) are probabilities where rows are, and else logits. Raises ArtifactError where the
    files do not fit each other or the problem."""
    real = problem.data.take(problem.data.ids()[:1])
    if not isinstance(real, Graph):
        raise NotSupported(f"{problem.name} is not of nodes")
    x, y, adj = (_one(path, name) for name in ("feat", "label", "adj"))
    if x is None or y is None:
        raise ArtifactError(f"{path} is not {EXPECTED}")
    if x.ndim != 2 or x.shape[1] != real.x.shape[1]:
        raise ArtifactError(
            f"{path}: features are {tuple(x.shape)}, and a node of {problem.name} has {real.x.shape[1]}"
        )
    if adj is not None and adj.shape != (len(x), len(x)):
        raise ArtifactError(
            f"{path}: features {tuple(x.shape)} and edges {tuple(adj.shape)} do not fit each other: expected {EXPECTED}"
        )
    if not all(bool(t.isfinite().all()) for t in (x, adj) if t is not None):
        raise ArtifactError(f"{path}: features or edges hold NaN or infinity: they cannot be trained on")
    order, counts, labels = by_class(problem, y, len(x), str(path))
    if adj is None or not (off := adj.float() * (1 - torch.eye(len(x)))).any():
        return FeaturesOnly(counts, x[order].float(), labels)
    return DenseGraph(counts, x[order].float(), off[order][:, order], labels)


def _one(path: Path, name: str) -> Tensor | None:
    files = sorted(path.glob(f"{name}*.pt")) if path.is_dir() else []
    if not files:
        return None
    if len(files) > 1:
        raise ArtifactError(f"{path} has {len(files)} files {name}*.pt: keep those of one set in a folder of their own")
    found: Any = load_tensors(files[0], EXPECTED)
    if not isinstance(found, Tensor):
        raise ArtifactError(f"{files[0]} holds a {type(found).__name__}, not a tensor: expected {EXPECTED}")
    if found.is_complex():
        raise ArtifactError(f"{files[0]} holds complex numbers: expected {EXPECTED}")
    return (found.to_dense() if found.layout != torch.strided else found).detach()
