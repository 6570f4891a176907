"""What holds for readers together: files that were cut off, and the real graphs."""

from __future__ import annotations

import numpy as np
import pytest
from layouts import EDGES, refused, write_saint

import ddcore


@pytest.mark.parametrize("problem", ["file", "cora-ml", "tu", "flickr"])
def test_files_that_were_cut_off(tmp_path, problem):
    held = {"edge_index": EDGES.T, "node_ptr": np.array([0, 8]), "graph_label": np.array([0])}
    names = {"file": "mine.npz", "cora-ml": "cora_ml.npz", "tu": "toys.npz", "flickr": "adj_full.npz"}
    write_saint(tmp_path)
    file = tmp_path / names[problem]
    np.savez(file, **held)
    file.write_bytes(file.read_bytes()[:300])
    refused("cannot be read", f"graph/{problem}", tmp_path if problem == "flickr" else file)


def test_real_graphs_are_read(real):
    cora = ddcore.load("graph/cora", real)
    assert cora.data.whole.x.shape == (2708, 1433)
    assert cora.data.whole.edges.shape == (2, 2 * 5278)
    assert {s: len(ids) for s, ids in cora.data.splits.items()} == {"train": 140, "val": 500, "test": 1000}
    mutag = ddcore.load("graph/mutag", real / "TU")
    assert len(mutag.data.y) == 188
