"""Your own graph: a folder of CSV files, one `.npz`, or a `Data` of torch-geometric that torch saved."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from ddcore.errors import DataError
from ddcore.problem import Problem

from .batch import Graph
from .preprocess import Normalise
from .problems import Fanout, Hidden, problem_of
from .readers.npz import read_npz
from .readers.raw import RawGraph, arrays, integers, members, numbered, reading, sparse_matrix

__all__ = ["file", "read_folder", "read_pt"]

LAYOUT = """\
a folder with
  edges.csv      source,target and maybe weight: a line for each edge
  features.csv   node, then a column for each feature: a line for each node; or features.npz with `x` (nodes, features) or
                 of scipy.sparse.save_npz, whose rows are the nodes 0, 1, 2 ...
  labels.csv     node,label: nodes that are not in it have none, like those whose label is empty or -1
  split.csv      node,split with train, val or test; drawn where there is none
or one .npz, or one .pt with a torch-geometric Data (x, edge_index, y and masks)"""

SAVED = (
    "save torch.save({'x': data.x, 'edge_index': data.edge_index, 'y': data.y}, file) of a Data with x (N, d), edge_index (2, E) "
    "and y (N,), and the masks where there are any"
)


def file(
    data: Path | None = None,
    *,
    normalise: Annotated[
        Normalise, Field(description="features as they are, rows divided by their sums, or standardised")
    ] = "none",
    inductive: Annotated[bool, Field(description="training sees the subgraph of the training nodes alone")] = False,
    directed: Annotated[bool, Field(description="keep the directions of edges; otherwise both are there")] = False,
    fanout: Fanout = None,
    hidden: Hidden = 256,
) -> Problem[Graph]:
    """Your own graph: a folder of CSV files, one .npz, or a saved Data. Without a split, 20 nodes of every class are for
    training, 30 for val and the rest for test."""
    if data is None:
        raise DataError(f"graph/file needs --data PATH: {LAYOUT}")
    if data.is_dir():
        raw = read_folder(data)
    elif data.suffix == ".npz":
        raw = read_npz(data)
    elif data.suffix in (".pt", ".pth"):
        raw = read_pt(data)
    else:
        raise DataError(f"{data} is not read: give {LAYOUT}")
    return problem_of(raw, normalise, inductive=inductive, directed=directed, fanout=fanout, hidden=hidden)


def read_folder(folder: Path) -> RawGraph:
    """The layout above. Raises DataError for files that are missing or do not fit each other."""
    nodes, x = _features(folder)
    number = {node: i for i, node in enumerate(nodes)}

    def table(name: str, ends: int) -> tuple[Path, Any, list[list[int]]]:
        """The file, what it holds, and the places of the nodes that its first columns name."""
        file = folder / name
        held = _table(file, names=2)
        if all(column.strip() in number for column in held.columns[:ends]):
            raise _headless(file, held)
        columns = [held.iloc[:, k].tolist() for k in range(ends)]
        if unknown := [n for column in columns for n in column if n not in number]:
            raise DataError(
                f"{file} names {len(unknown)} nodes that have no features (first: {unknown[0]!r}): add them to the features, or "
                "leave them out"
            )
        return file, held, [[number[n] for n in column] for column in columns]

    file, held, (ids,) = table("labels.csv", 1)
    _once(file, held)
    labels: list[object] = [None] * len(nodes)
    for i, label in zip(ids, held.iloc[:, 1], strict=True):
        labels[i] = label
    y, names = numbered(labels)

    splits: dict[str, Sequence[int]] | None = None
    if (folder / "split.csv").is_file():
        file, held, (ids,) = table("split.csv", 1)
        _once(file, held)
        parts = held.iloc[:, 1].tolist()
        if unknown := sorted(set(parts) - {"train", "val", "test"}):
            raise DataError(f"{file} has the split {unknown[0]!r}: splits are train, val and test")
        splits = {s: [i for i, part in zip(ids, parts, strict=True) if part == s] for s in ("train", "val", "test")}

    file, held, (source, target) = table("edges.csv", 2)
    with reading(file, "the third column is the edges' weights"):
        weights = held.iloc[:, 2].to_numpy(np.float32) if held.shape[1] > 2 else None
    ends = np.array([source, target], dtype=np.int64)
    return RawGraph(x, ends[0], ends[1], y, names, splits, weights, folder)


def _features(folder: Path) -> tuple[list[str], Any]:
    """The nodes by name, (N,), and their features, (N, d)."""
    if (file := folder / "features.csv").is_file():
        table = _table(file, names=1)
        columns, numeric = table.columns[1:], r"[-+]?[.\d][-+.\deE]*"
        if columns.str.fullmatch(numeric).all() and list(columns) != [str(k) for k in range(len(columns))]:
            raise _headless(file, table)
        _once(file, table)
        nodes = table.iloc[:, 0].tolist()
        with reading(file, "features are numbers, a column each"):
            x = table.iloc[:, 1:].to_numpy(np.float32)
        if not (there := np.isfinite(x).all(1)).all():
            raise DataError(f"{file}: features of node {nodes[there.argmin()]!r} are missing, NaN or infinite")
        return nodes, x
    if not (file := folder / "features.npz").is_file():
        raise DataError(f"no features.csv and no features.npz in {folder}: give {LAYOUT}")
    stored = arrays(file, LAYOUT)
    if {"format", "shape"} <= stored.keys():
        sparse = sparse_matrix(file, LAYOUT)
        return [str(i) for i in range(sparse.shape[0])], sparse
    if "x" not in stored:
        raise DataError(f"{file} has no `x`, and holds {', '.join(stored)}: {LAYOUT}")
    with reading(file, LAYOUT):
        return [str(i) for i in range(len(stored["x"]))], stored["x"]


def _table(file: Path, names: int) -> Any:
    """A CSV file with a header and two columns or more, the first `names` of which are text: nodes are compared as such."""
    import pandas as pd

    if not file.is_file():
        raise DataError(f"no {file.name} in {file.parent}: give {LAYOUT}")
    text = dict.fromkeys(range(names), str)
    with reading(file, LAYOUT):
        table = pd.read_csv(file, dtype=text, keep_default_na=False, na_values=[""], skipinitialspace=True)
    if table.shape[1] < 2:
        raise DataError(f"{file} has {table.shape[1]} columns and needs 2 or more, with a header: {LAYOUT}")
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(f"{file} has lines of more columns than its header, {', '.join(table.columns)}")
    for k in range(names):
        table.isetitem(k, table.iloc[:, k].fillna("").str.strip())
    return table


def _headless(file: Path, table: Any) -> DataError:
    first = ",".join(table.columns[:5])
    return DataError(
        f"{file} starts with the line {first}, which reads as data: put a header above it, or other names into it"
    )


def _once(file: Path, table: Any) -> None:
    """Raises DataError where a node has two lines."""
    if len(twice := table[table.iloc[:, 0].duplicated()]):
        raise DataError(f"{file} has node {twice.iloc[0, 0]!r} more than once: a line for each node")


def read_pt(file: Path) -> RawGraph:
    """A Data of torch-geometric, a dict of its tensors, or one of either with None, which its processed files of a single graph
    hold; nothing in the file is run."""
    from torch_geometric.data import Data
    from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
    from torch_geometric.data.storage import GlobalStorage

    try:
        with torch.serialization.safe_globals([Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]):
            found = torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for a file that is not its own
        kind = re.search(r"GLOBAL (\S+)", str(error))
        said = f"holds {kind[1]}, which is no tensor, and its code is not run" if kind else "is none that torch saved"
        raise DataError(f"{file} {said}: {SAVED}") from error
    if isinstance(found, tuple) and len(found) > 1:
        if found[1] is not None:
            raise DataError(f"{file} holds several graphs and where each starts: {SAVED}")
        found = found[0]
    held: Mapping[str, Any] = found.to_dict() if isinstance(found, Data) else found if isinstance(found, dict) else {}
    if absent := [k for k in ("x", "edge_index", "y") if not isinstance(held.get(k), torch.Tensor)]:
        raise DataError(f"{file} has no {', '.join(absent)}: {SAVED}")
    masks = {"train": "train_mask", "val": "val_mask", "test": "test_mask"}
    read = ("x", "edge_index", "y", "edge_weight", *masks.values())
    with reading(file, SAVED):
        plain = {k: _array(held[k]) for k in read if held.get(k) is not None}
        x, (y, names) = plain["x"], numbered(plain["y"])
        source, target = integers("edge_index", plain["edge_index"])
        splits = {s: members(m, plain[m], len(x)) for s, m in masks.items() if m in plain}
    return RawGraph(x, source, target, y, names, splits or None, plain.get("edge_weight"), file)


def _array(held: torch.Tensor) -> Any:
    held = held.detach().to_dense()
    return (held.float() if held.is_floating_point() else held).numpy()  # numpy has no bfloat16
