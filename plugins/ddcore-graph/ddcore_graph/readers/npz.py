"""A graph in one `.npz`: CSR adjacency, CSR or dense features, labels, and a split where there is one.

The names of Shchur et al. 2018 (`adj_indptr`, `attr_data` ...), with `feat_` for `attr_`; or plain `edges` and `x`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ddcore.errors import DataError

from .raw import UNREADABLE, RawGraph, arrays, members, numbered

__all__ = ["find_npz", "read_npz"]

HELP = (
    "a graph is `adj_indptr` and `adj_indices` (and `adj_data`), or `edges` (2, E); features `feat_indptr`, `feat_indices`, "
    "`feat_shape` (and `feat_data`), or `x` (N, d); `labels` (N,); a split `train_idx`, `val_idx`, `test_idx` where there is one"
)


def find_npz(data: Path, *names: str) -> Path | None:
    """The file itself, or NAME.npz of one of the names in the folder, in one of that name in it, or in torch-geometric's raw."""
    if data.is_file():
        return data
    places = [data / f / f"{n}.npz" for n in names for f in (".", *names, "raw")]
    places += [p for n in names for p in sorted(data.glob(f"*/raw/{n}.npz"))]
    return next((p for p in places if p.is_file()), None)


def read_npz(file: Path) -> RawGraph:
    """Raises DataError for a file that is no such graph; arrays of Python objects are not read."""
    d = arrays(file, HELP)
    labels = d.get("labels", d.get("y"))
    if labels is None:
        raise DataError(f"{file} has no `labels`, and holds {', '.join(d)}: {HELP}")
    y, names = numbered(labels)
    x = _features(d, file)
    source, target, weights = _edges(d, file)
    n = len(y)
    if x.shape[0] != n:
        raise DataError(f"{file} has {n} labels and features of {x.shape[0]} nodes: they are to be as many")
    return RawGraph(x, source, target, y, names, _splits(d, n), weights)


def _features(d: Mapping[str, Any], file: Path) -> Any:
    for key in ("x", "features", "attr_matrix", "feat_matrix"):
        if key in d:
            return d[key]
    prefix = next((p for p in ("feat", "attr") if f"{p}_indptr" in d), None)
    if prefix is None:
        raise DataError(f"{file} has no features, and holds {', '.join(d)}: {HELP}")
    return _csr(d, prefix, file)


def _csr(d: Mapping[str, Any], prefix: str, file: Path) -> Any:
    try:
        indices, indptr = d[f"{prefix}_indices"], d[f"{prefix}_indptr"]
        data = d.get(f"{prefix}_data", np.ones(len(indices), np.float32))
        n = len(indptr) - 1
        return sparse.csr_matrix((data, indices, indptr), tuple(d[f"{prefix}_shape"]) if prefix != "adj" else (n, n))
    except UNREADABLE as error:
        raise DataError(f"{file}: `{prefix}_...` is no CSR matrix ({error}): {HELP}") from error


def _edges(d: Mapping[str, Any], file: Path) -> tuple[Any, Any, Any]:
    if "adj_indptr" in d:
        a = _csr(d, "adj", file).tocoo()
        return a.row, a.col, None if (a.data == 1).all() else a.data.astype(np.float32)
    edges = d.get("edges", d.get("edge_index"))
    if edges is None or edges.ndim != 2 or 2 not in edges.shape:
        raise DataError(f"{file} has no edges, and holds {', '.join(d)}: {HELP}")
    source, target = (edges if edges.shape[0] == 2 else edges.T).astype(np.int64)
    return source, target, d.get("weights", d.get("edge_weight"))


def _splits(d: Mapping[str, Any], n: int) -> dict[str, list[int]] | None:
    found: dict[str, list[int]] = {}
    for split in ("train", "val", "test"):
        keys = (f"{split}_idx", f"{split}_mask", f"idx_{split}", split)
        if key := next((k for k in keys if k in d), None):
            found[split] = members(key, d[key], n)
    return found or None
