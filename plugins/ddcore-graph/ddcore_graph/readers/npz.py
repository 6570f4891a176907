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

from .raw import RawGraph, numbered

__all__ = ["find_npz", "read_npz"]

HELP = (
    "a graph is `adj_indptr` and `adj_indices` (and `adj_data`), or `edges` (2, E); features `feat_indptr`, `feat_indices`, "
    "`feat_shape` (and `feat_data`), or `x` (N, d); `labels` (N,); a split `train_idx`, `val_idx`, `test_idx` where there is one"
)


def find_npz(data: Path, name: str) -> Path | None:
    """NAME.npz in the folder or one of that name in it, or the file itself."""
    if data.is_file():
        return data
    names = {name, name.replace("-", "_")}
    places = [data / f / f"{n}.npz" for n in names for f in (".", *names, "raw")]
    return next((p for p in places if p.is_file()), None)


def read_npz(file: Path) -> RawGraph:
    """Raises DataError for a file that is no such graph; arrays of Python objects are not read."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            wanted = [
                k for k in stored.files if not k.startswith(("node_names", "attr_names", "class_names", "metadata"))
            ]
            d = {k: stored[k] for k in wanted}
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{file} cannot be read as an .npz of plain arrays ({error}): {HELP}") from error
    labels = d.get("labels", d.get("y"))
    if labels is None:
        raise DataError(f"{file} has no `labels`, and holds {', '.join(d)}: {HELP}")
    y, names = numbered(labels)
    x = _features(d, file)
    source, target, weights = _edges(d, file)
    n = len(y)
    if x.shape[0] != n:
        raise DataError(f"{file} has {n} labels and features of {x.shape[0]} nodes: they are to be as many")
    ends = np.concatenate([source, target])
    if len(ends) and (ends.min() < 0 or ends.max() >= n):
        odd = int(ends.max() if ends.max() >= n else ends.min())
        raise DataError(f"{file} has {n} nodes, and an edge with node {odd}: nodes are 0 .. {n - 1}")
    return RawGraph(x, source, target, y, names, _splits(d, n, file), weights)


def _features(d: Mapping[str, Any], file: Path) -> Any:
    for key in ("x", "features", "attr_matrix", "feat_matrix"):
        if key in d:
            return d[key]
    prefix = next((p for p in ("feat", "attr") if f"{p}_indptr" in d), None)
    if prefix is None:
        raise DataError(f"{file} has no features, and holds {', '.join(d)}: {HELP}")
    indices, indptr = d[f"{prefix}_indices"], d[f"{prefix}_indptr"]
    data = d.get(f"{prefix}_data", np.ones(len(indices), np.float32))
    return sparse.csr_matrix((data, indices, indptr), tuple(d[f"{prefix}_shape"]))


def _edges(d: Mapping[str, Any], file: Path) -> tuple[Any, Any, Any]:
    if "adj_indptr" in d:
        indptr, indices = d["adj_indptr"], d["adj_indices"].astype(np.int64)
        source = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        weights = d.get("adj_data", np.ones(1))
        return source, indices, None if (weights == 1).all() else weights.astype(np.float32)
    edges = d.get("edges", d.get("edge_index"))
    if edges is None or edges.ndim != 2 or 2 not in edges.shape:
        raise DataError(f"{file} has no edges, and holds {', '.join(d)}: {HELP}")
    source, target = (edges if edges.shape[0] == 2 else edges.T).astype(np.int64)
    return source, target, d.get("weights", d.get("edge_weight"))


def _splits(d: Mapping[str, Any], n: int, file: Path) -> dict[str, list[int]] | None:
    found: dict[str, list[int]] = {}
    for split in ("train", "val", "test"):
        for key in (f"{split}_idx", f"{split}_mask", f"idx_{split}", split):
            if key in d:
                ids = np.flatnonzero(d[key]) if d[key].dtype == bool else d[key]
                if len(ids) and (ids.min() < 0 or ids.max() >= n):
                    raise DataError(f"{file}: {key} holds node {ids.max()}, and there are {n}")
                found[split] = [int(i) for i in ids]
                break
    return found or None
