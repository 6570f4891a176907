"""GraphSAINT's layout (Zeng et al. 2020): `adj_full.npz`, `feats.npy`, `class_map.json`, `role.json`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy import sparse

from ddcore.errors import DataError

from .raw import RawGraph, missing, numbered

__all__ = ["read_saint"]

FILES = ("adj_full.npz", "feats.npy", "class_map.json", "role.json")
SOURCE = "github.com/GraphSAINT/GraphSAINT, its data folder"


def read_saint(data: Path, name: str) -> RawGraph:
    """Flickr and Reddit: one label a node, and roles tr, va and te."""
    folder = next((f for f in (data, data / name, data / "raw", data / name / "raw") if (f / FILES[0]).is_file()), data)
    if absent := [f for f in FILES if not (folder / f).is_file()]:
        raise missing(name, folder, ", ".join(absent), SOURCE)
    adj = sparse.load_npz(folder / "adj_full.npz").tocoo()
    x = np.load(folder / "feats.npy", allow_pickle=False).astype(np.float32)
    labels: list[object] = [None] * len(x)
    for node, label in json.loads((folder / "class_map.json").read_text()).items():
        if isinstance(label, list):
            raise DataError(f"{folder}: node {node} has several labels, and here a node has one")
        labels[int(node)] = label
    y, names = numbered(labels)
    roles = json.loads((folder / "role.json").read_text())
    splits = {ours: sorted(roles[theirs]) for ours, theirs in (("train", "tr"), ("val", "va"), ("test", "te"))}
    return RawGraph(x, adj.row.astype(np.int64), adj.col.astype(np.int64), y, names, splits)
