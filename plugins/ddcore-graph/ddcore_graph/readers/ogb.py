"""OGB's CSV layout (Hu et al. 2020): `raw/*.csv.gz` and `split/RULE/*.csv.gz`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddcore.errors import DataError

from .raw import Ints, RawGraph, members, missing, named, numbered, reading

__all__ = ["Molecules", "read_ogb_graphs", "read_ogb_nodes"]

SOURCE = "ogb.stanford.edu"


def _folder(data: Path, name: str) -> Path:
    underscored = name.replace("-", "_")
    found = next((f for f in (data, data / underscored, data / name) if (f / "raw").is_dir()), None)
    if found is None:
        raise missing(name, data, f"the unpacked {underscored} with its folders raw and split", SOURCE)
    return found


def _table(folder: Path, name: str, of: str, dtype: Any, columns: int | None = 1) -> NDArray[Any]:  # (rows, columns)
    import pandas as pd

    for file in (folder / f"{name}.csv.gz", folder / f"{name}.csv"):
        if file.is_file():
            with reading(file, f"a table of numbers is expected; get it anew from {SOURCE}"):
                found: NDArray[Any] = pd.read_csv(file, header=None, dtype=dtype).to_numpy()
            if columns not in (None, found.shape[1]):
                raise DataError(
                    f"{file} has {found.shape[1]} columns, and {columns} are expected: get it anew from {SOURCE}"
                )
            return found
    raise missing(of, folder, f"{name}.csv.gz", SOURCE)


def _splits(folder: Path, name: str, rows: int) -> dict[str, list[int]]:
    rules = sorted(p for p in (folder / "split").glob("*") if p.is_dir())
    if not rules:
        raise missing(name, folder, "split/RULE/train.csv.gz, valid.csv.gz and test.csv.gz", SOURCE)
    parts = {"train": "train", "val": "valid", "test": "test"}
    with named(rules[0]):
        found = {ours: _table(rules[0], theirs, name, np.int64)[:, 0] for ours, theirs in parts.items()}
        return {split: members(parts[split], ids, rows) for split, ids in found.items()}


def read_ogb_nodes(data: Path, name: str) -> RawGraph:
    """A graph with one label a node: ogbn-arxiv, ogbn-products."""
    folder = _folder(data, name)
    raw = folder / "raw"
    edges = _table(raw, "edge", name, np.int64, 2)
    y, names = numbered(_table(raw, "node-label", name, np.float64)[:, 0])
    return RawGraph(
        x=_table(raw, "node-feat", name, np.float32, None),
        source=edges[:, 0],
        target=edges[:, 1],
        y=y,
        class_names=names,
        splits=_splits(folder, name, len(y)),
        place=raw,
    )


@dataclass(frozen=True)
class Molecules:
    """Graphs one after another, as files have them."""

    x: NDArray[np.float32]  # (nodes of all graphs, d)
    nodes: Ints  # (graphs,) how many each has
    source: Ints  # (E,) numbers of nodes among all
    target: Ints  # (E,)
    y: Ints  # (graphs,)
    class_names: Sequence[str]
    splits: dict[str, list[int]] | None = None
    place: Path | None = None  # the file or folder that they are from
    name: str = ""  # what the data set is called there


def read_ogb_graphs(data: Path, name: str) -> Molecules:
    """Graphs with one label each: ogbg-molhiv, ogbg-molbace, ogbg-molbbbp. Atoms' integer features are one-hot, of the values
    that occur."""
    folder = _folder(data, name)
    raw = folder / "raw"
    nodes = _table(raw, "num-node-list", name, np.int64)[:, 0]
    edges, per_graph = _table(raw, "edge", name, np.int64, 2), _table(raw, "num-edge-list", name, np.int64)[:, 0]
    with reading(raw, f"num-node-list and num-edge-list do not fit each other; get them anew from {SOURCE}"):
        first = np.repeat(np.cumsum(nodes) - nodes, per_graph)[:, None]
    if len(first) != len(edges):
        raise DataError(f"{raw}: num-edge-list counts {len(first)} edges and edge has {len(edges)}: get both anew")
    edges = edges + first
    y, names = numbered(_table(raw, "graph-label", name, np.float64)[:, 0])
    atoms = _table(raw, "node-feat", name, np.int64, None)
    x = np.concatenate([one_hot(column) for column in atoms.T], 1)
    return Molecules(x, nodes, edges[:, 0], edges[:, 1], y, names, _splits(folder, name, len(y)), raw, name)


def one_hot(column: NDArray[Any]) -> NDArray[np.float32]:  # (n,) -> (n, values that occur)
    """A column of kinds as columns of 0 and 1."""
    kinds, which = np.unique(column, return_inverse=True)
    return np.eye(len(kinds), dtype=np.float32)[which]
