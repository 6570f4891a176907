"""TUDatasets (Morris et al. 2020): `NAME_A.txt`, `NAME_graph_indicator.txt`, `NAME_graph_labels.txt`, and where there are any
`NAME_node_labels.txt` and `NAME_node_attributes.txt`; or the same as one `.npz`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddcore.errors import DataError

from .ogb import Molecules, one_hot
from .raw import UNREADABLE, Ints, arrays, missing, numbered

__all__ = ["read_tu"]

SOURCE = "www.graphlearning.io"
MOST_DEGREES = 64


def read_tu(data: Path, name: str | None = None) -> Molecules:
    """The graphs of the folder or of NAME.npz. Node labels are one-hot, attributes follow; where there is neither, a node's
    features are its degree, one-hot."""
    if data.is_file() and data.suffix == ".npz":
        return _npz(data)
    folders = [data, *([data / name, data / name / "raw"] if name else []), data / "raw"]
    found = sorted(p for f in folders for p in f.glob(f"{name or '*'}_A.txt"))
    if not found and name and (data / f"{name}.npz").is_file():
        return _npz(data / f"{name}.npz")
    if not found:
        raise missing(name or "a TUDataset", data, f"{name or 'NAME'}_A.txt and its neighbours", SOURCE)
    stem = found[0].name.removesuffix("_A.txt")
    folder = found[0].parent

    def table(part: str) -> NDArray[Any] | None:
        file = folder / f"{stem}_{part}.txt"
        try:
            return np.loadtxt(file, delimiter=",", ndmin=2) if file.is_file() else None
        except UNREADABLE as error:
            raise DataError(f"{file} is not a table of numbers ({error}): get it anew from {SOURCE}") from error

    def needed(part: str) -> NDArray[Any]:
        found = table(part)
        if found is None:
            raise missing(stem, folder, f"{stem}_{part}.txt", SOURCE)
        return found

    edges, graph, labels = (needed(part) for part in ("A", "graph_indicator", "graph_labels"))
    which = graph[:, 0].astype(np.int64) - 1
    if (np.diff(which) < 0).any():
        raise DataError(f"{folder}: the nodes of {stem} are not graph by graph: get it anew from {SOURCE}")
    ends = edges.astype(np.int64) - 1
    kinds, attributes = table("node_labels"), table("node_attributes")
    nodes = np.bincount(which, minlength=len(labels))
    return _made(ends[:, 0], ends[:, 1], nodes, kinds, attributes, labels[:, 0])


def _npz(file: Path) -> Molecules:
    d = arrays(file, "a set of graphs is `edge_index` (2, E), `node_ptr` and `graph_label`")
    if absent := {"edge_index", "node_ptr", "graph_label"} - set(d):
        raise DataError(f"{file} has no {', '.join(sorted(absent))}, and holds {', '.join(d)}")
    kinds = d["node_label"][:, None] if "node_label" in d else None
    source, target = d["edge_index"].astype(np.int64)
    return _made(source, target, np.diff(d["node_ptr"]).astype(np.int64), kinds, d.get("node_attr"), d["graph_label"])


def _made(
    source: Ints,
    target: Ints,
    nodes: Ints,
    kinds: NDArray[Any] | None,  # (N, columns)
    attributes: NDArray[Any] | None,  # (N, d)
    labels: NDArray[Any],
) -> Molecules:
    parts = [] if kinds is None else [one_hot(column) for column in kinds.T]
    parts += [] if attributes is None else [attributes.astype(np.float32)]
    if not parts:
        degree = np.bincount(target, minlength=int(nodes.sum()))
        parts = [one_hot(np.minimum(degree, MOST_DEGREES))]
    y, names = numbered(labels, unlabelled=None)  # two classes are often -1 and 1
    return Molecules(np.concatenate(parts, 1), nodes, source, target, y, names)
