"""GraphSAINT's layout (Zeng et al. 2020): `adj_full.npz`, `feats.npy`, `class_map.json`, `role.json`; and that of Reddit in
torch-geometric: `reddit_data.npz`, `reddit_graph.npz`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy import sparse

from ddcore.errors import DataError

from .raw import UNREADABLE, RawGraph, arrays, missing, numbered

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
    try:
        adj = sparse.load_npz(folder / "adj_full.npz").tocoo()
        x = np.load(folder / "feats.npy", allow_pickle=False).astype(np.float32)
        classes = {int(i): label for i, label in json.loads((folder / "class_map.json").read_text()).items()}
        labels = [classes.get(i) for i in range(len(x))]
        roles = json.loads((folder / "role.json").read_text())
        splits = {ours: sorted(roles[theirs]) for ours, theirs in (("train", "tr"), ("val", "va"), ("test", "te"))}
    except UNREADABLE as error:
        raise DataError(f"{folder} is not GraphSAINT's {name} ({error}): get it anew from {SOURCE}") from error
    if several := [i for i, label in enumerate(labels) if isinstance(label, list)]:
        raise DataError(f"{folder}: node {several[0]} has several labels, and here a node has one")
    y, names = numbered(labels)
    return RawGraph(x, adj.row.astype(np.int64), adj.col.astype(np.int64), y, names, splits)


def _reddit(folder: Path) -> RawGraph:
    """Kinds of nodes: 1 is train, 2 val, 3 test."""
    d = arrays(folder / "reddit_data.npz", "Reddit is `feature`, `label` and `node_types`")
    try:
        adj = sparse.load_npz(folder / "reddit_graph.npz").tocoo()
        kinds = d["node_types"]
        x, (y, names) = d["feature"], numbered(d["label"])
    except UNREADABLE as error:
        raise DataError(f"{folder} is not torch-geometric's Reddit ({error}): get it anew") from error
    splits = {name: np.flatnonzero(kinds == k).tolist() for k, name in enumerate(("train", "val", "test"), start=1)}
    return RawGraph(x, adj.row.astype(np.int64), adj.col.astype(np.int64), y, names, splits)
