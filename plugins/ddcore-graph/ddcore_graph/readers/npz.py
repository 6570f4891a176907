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

from .raw import RawGraph, arrays, integers, members, numbered, reading

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
    with reading(file, HELP):
        labels = d.get("labels", d.get("y"))
        if labels is None:
            raise DataError(f"{file} has no `labels`, and holds {', '.join(d)}: {HELP}")
        y, names = numbered(labels)
        source, target, weights = _edges(d, file, len(y))
        return RawGraph(_features(d, file), source, target, y, names, _splits(d, len(y)), weights, file)


def _features(d: Mapping[str, Any], file: Path) -> Any:
    for key in ("x", "features", "attr_matrix", "feat_matrix"):
        if key in d:
            return d[key]
    prefix = next((p for p in ("feat", "attr") if f"{p}_indptr" in d), None)
    if prefix is None:
        raise DataError(f"{file} has no features, and holds {', '.join(d)}: {HELP}")
    return _csr(d, prefix, tuple(d[f"{prefix}_shape"]))


def _csr(d: Mapping[str, Any], prefix: str, shape: tuple[int, int]) -> Any:
    indices, indptr = d[f"{prefix}_indices"], d[f"{prefix}_indptr"]
    data = d.get(f"{prefix}_data", np.ones(len(indices), np.float32))
    made = sparse.csr_matrix((data, indices, indptr), shape)
    made.check_format(full_check=True)
    return made


def _edges(d: Mapping[str, Any], file: Path, n: int) -> tuple[Any, Any, Any]:
    if "adj_indptr" in d:
        if len(d["adj_indptr"]) != n + 1:
            raise DataError(
                f"{file} has {n} labels and an adjacency of {len(d['adj_indptr']) - 1} nodes: give all nodes both"
            )
        a = _csr(d, "adj", (n, n)).tocoo()
        return a.row, a.col, None if (a.data == 1).all() else a.data
    edges = d.get("edges", d.get("edge_index"))
    if edges is None or edges.ndim != 2 or 2 not in edges.shape:
        raise DataError(f"{file} has no edges, and holds {', '.join(d)}: {HELP}")
    source, target = integers("`edges`", edges if edges.shape[0] == 2 else edges.T)
    return source, target, d.get("weights", d.get("edge_weight"))


def _splits(d: Mapping[str, Any], n: int) -> dict[str, list[int]] | None:
    found: dict[str, list[int]] = {}
    for split in ("train", "val", "test"):
        keys = (f"{split}_idx", f"{split}_mask", f"idx_{split}", split)
        if key := next((k for k in keys if k in d), None):
            found[split] = members(key, d[key], n)
    return found or None
