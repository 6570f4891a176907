"""Your own graph: a folder of CSV files, one `.npz`, or a `Data` of torch-geometric that torch saved."""

from __future__ import annotations

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
from .readers.raw import RawGraph, arrays, members, numbered

__all__ = ["file", "read_folder", "read_pt"]

LAYOUT = """\
a folder with
  edges.csv      source,target and maybe weight: a line for each edge
  features.csv   node, then a column for each feature: a line for each node; or features.npz with `x` (nodes, features),
                 whose rows are the nodes 0, 1, 2 ...
  labels.csv     node,label: nodes that are not in it have none
  split.csv      node,split with train, val or test; drawn where there is none
or one .npz, or one .pt with a torch-geometric Data (x, edge_index, y and masks)"""


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
    edges = _table(folder / "edges.csv", names=2)
    if (folder / "features.csv").is_file():
        features = _table(folder / "features.csv", names=1)
        nodes = [str(node) for node in features.iloc[:, 0]]
        try:
            x: Any = features.iloc[:, 1:].to_numpy(np.float32)
        except ValueError as error:
            raise DataError(f"{folder / 'features.csv'}: features are numbers, a column each, and {error}") from error
    elif (folder / "features.npz").is_file():
        stored = arrays(folder / "features.npz", LAYOUT)
        if "x" not in stored:
            raise DataError(f"{folder / 'features.npz'} has no `x`, and holds {', '.join(stored)}")
        x = stored["x"]
        nodes = [str(i) for i in range(len(x))]
    else:
        raise DataError(f"no features.csv and no features.npz in {folder}: give {LAYOUT}")
    if len(set(nodes)) < len(nodes):
        twice = next(n for i, n in enumerate(nodes) if n in nodes[:i])
        raise DataError(f"{folder / 'features.csv'} has node {twice!r} more than once: a line for each node")
    number = {node: i for i, node in enumerate(nodes)}

    def places(file: str, column: Any) -> list[int]:
        if unknown := [str(n) for n in column if str(n) not in number]:
            raise DataError(
                f"{folder / file} names {len(unknown)} nodes that have no features (first: {unknown[0]!r}): add them to the "
                "features, or leave them out"
            )
        return [number[str(n)] for n in column]

    labels: list[object] = [None] * len(nodes)
    table = _table(folder / "labels.csv", names=2)
    for i, label in zip(places("labels.csv", table.iloc[:, 0]), table.iloc[:, 1], strict=True):
        labels[i] = label
    y, names = numbered(labels, unlabelled=None)
    splits: dict[str, Sequence[int]] | None = None
    if (folder / "split.csv").is_file():
        table = _table(folder / "split.csv", names=2)
        named = [str(s).strip() for s in table.iloc[:, 1]]
        if unknown := sorted(set(named) - {"train", "val", "test"}):
            raise DataError(f"{folder / 'split.csv'} has the split {unknown[0]!r}: splits are train, val and test")
        ids = places("split.csv", table.iloc[:, 0])
        splits = {s: [i for i, n in zip(ids, named, strict=True) if n == s] for s in ("train", "val", "test")}
    try:
        weights = edges.iloc[:, 2].to_numpy(np.float32) if edges.shape[1] > 2 else None
    except ValueError as error:
        raise DataError(
            f"{folder / 'edges.csv'}: the third column is the edges' weights, numbers, and {error}"
        ) from error
    source, target = (np.array(places("edges.csv", edges.iloc[:, k]), dtype=np.int64) for k in (0, 1))
    return RawGraph(x, source, target, y, names, splits, weights)


def _table(file: Path, names: int) -> Any:
    """A CSV file with a header and two columns or more, the first `names` of which are text: nodes are compared as such."""
    import pandas as pd

    if not file.is_file():
        raise DataError(f"no {file.name} in {file.parent}: give {LAYOUT}")
    try:
        table = pd.read_csv(file, dtype=dict.fromkeys(range(names), str), keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:
        raise DataError(f"{file} is not a table ({error}): {LAYOUT}") from error
    if table.shape[1] < 2:
        raise DataError(f"{file} has {table.shape[1]} columns and needs 2 or more, with a header: {LAYOUT}")
    return table


def read_pt(file: Path) -> RawGraph:
    """A Data of torch-geometric, or a dict of its tensors; nothing in the file is run."""
    from torch_geometric.data import Data
    from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
    from torch_geometric.data.storage import GlobalStorage

    try:
        with torch.serialization.safe_globals([Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]):
            found = torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for a file that is not its own
        said = str(error).splitlines()[0]
        raise DataError(f"{file} is not read with weights_only ({said}): save a Data or a dict of tensors") from error
    held: Mapping[str, Any] = found.to_dict() if isinstance(found, Data) else found if isinstance(found, dict) else {}
    if absent := [k for k in ("x", "edge_index", "y") if not isinstance(held.get(k), torch.Tensor)]:
        raise DataError(f"{file} has no {', '.join(absent)}: a graph has x (N, d), edge_index (2, E) and y (N,)")
    masks = {"train": "train_mask", "val": "val_mask", "test": "test_mask"}
    read = ("x", "edge_index", "y", "edge_weight", *masks.values())
    plain = {k: held[k].detach().to_dense().numpy() for k in read if held.get(k) is not None}
    x, (y, names) = plain["x"], numbered(plain["y"])
    if plain["edge_index"].ndim != 2 or len(plain["edge_index"]) != 2 or len(y) != len(x):
        shapes = ", ".join(f"{k} {plain[k].shape}" for k in ("x", "edge_index", "y"))
        raise DataError(f"{file} has {shapes}: a graph has x (N, d), edge_index (2, E) and y (N,)")
    splits = {s: members(m, plain[m], len(x)) for s, m in masks.items() if m in plain}
    source, target = plain["edge_index"]
    return RawGraph(x, source, target, y, names, splits or None, plain.get("edge_weight"))
