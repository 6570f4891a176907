"""GraphSAINT's layout (Zeng et al. 2020): `adj_full.npz`, `feats.npy`, `class_map.json`, `role.json`; and that of Reddit in
torch-geometric: `reddit_data.npz`, `reddit_graph.npz`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ddcore.errors import DataError

from .raw import Ints, RawGraph, arrays, members, missing, numbered, reading, sparse_matrix

__all__ = ["read_saint"]

FILES = ("adj_full.npz", "feats.npy", "class_map.json", "role.json")
REDDIT = ("reddit_data.npz", "reddit_graph.npz")
SOURCE = "github.com/GraphSAINT/GraphSAINT, its data folder"


def read_saint(data: Path, name: str) -> RawGraph:
    """Flickr and Reddit: one label a node, and roles tr, va and te."""
    places = (data, data / name, data / "raw", data / name / "raw")
    if found := next((f for f in places if all((f / file).is_file() for file in REDDIT)), None):
        return _reddit(found)
    folder = next((f for f in places if (f / FILES[0]).is_file()), data)
    if absent := [f for f in FILES if not (folder / f).is_file()]:
        raise missing(name, folder, ", ".join(absent), SOURCE)
    anew = f"get it anew from {SOURCE}"
    with reading(folder / "feats.npy", anew):
        x = np.load(folder / "feats.npy", allow_pickle=False)
        n = len(x)
    with reading(folder / "class_map.json", anew):
        classes = {int(i): label for i, label in json.loads((folder / "class_map.json").read_text()).items()}
        labels = [classes.get(i) for i in range(n)]
        if several := [i for i, label in enumerate(labels) if isinstance(label, list)]:
            raise DataError(f"node {several[0]} has several labels, and here a node has one")
        y, names = numbered(labels)
    with reading(folder / "role.json", anew):
        roles = json.loads((folder / "role.json").read_text())
        parts = {"train": "tr", "val": "va", "test": "te"}
        splits = {ours: sorted(members(theirs, np.array(roles[theirs]), n)) for ours, theirs in parts.items()}
    source, target = _edges(folder / "adj_full.npz", n, anew)
    return RawGraph(x, source, target, y, names, splits, place=folder)


def _edges(file: Path, n: int, expected: str) -> tuple[Ints, Ints]:
    adj = sparse_matrix(file, expected).tocoo()
    if adj.shape != (n, n):
        raise DataError(f"{file} is of shape {adj.shape}, and there are features of {n} nodes: {expected}")
    return adj.row.astype(np.int64), adj.col.astype(np.int64)


def _reddit(folder: Path) -> RawGraph:
    """Kinds of nodes: 1 is train, 2 val, 3 test."""
    file, expected = folder / "reddit_data.npz", "Reddit is `feature`, `label` and `node_types`"
    d = arrays(file, expected)
    with reading(file, expected):
        x, kinds, (y, names) = d["feature"], d["node_types"], numbered(d["label"])
        splits = {s: members("node_types", kinds == k, len(x)) for k, s in enumerate(("train", "val", "test"), start=1)}
    source, target = _edges(folder / "reddit_graph.npz", len(x), "get it anew")
    return RawGraph(x, source, target, y, names, splits, place=folder)
