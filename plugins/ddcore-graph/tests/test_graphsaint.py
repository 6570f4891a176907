"""GraphSAINT's files, and Reddit's as torch-geometric has them, whole and damaged."""

from __future__ import annotations

import numpy as np
import pytest
from layouts import BOTH, X, Y, adjacency, edges_of, refused, write_saint
from scipy import sparse

import ddcore
from ddcore.errors import DataError

FAR = sparse.csr_matrix((np.ones(8), np.arange(8), np.arange(9)), (8, 8))
FAR.indices[3] = 30


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"x": X * 1j}, "features are of type complex64"),
        ({"adj": sparse.csr_matrix(np.eye(5))}, r"adj_full\.npz is of shape .5, 5., and there are features of 8 nodes"),
        ({"adj": FAR}, r"adj_full\.npz cannot be read .indices must be < 8"),
        ({"classes": [0, 1]}, r"class_map\.json cannot be read"),
        ({"classes": {str(i): [0, 1] for i in range(8)}}, "node 0 has several labels"),
        ({"roles": {"tr": [0]}}, r"role\.json cannot be read"),
        ({"roles": {"tr": ["a"], "va": [], "te": []}}, r"role\.json: .*whole numbers are expected"),
        ({"roles": {"tr": [99], "va": [], "te": []}}, r"role\.json: tr holds 99"),
    ],
)
def test_graph_saint_files_that_were_damaged(tmp_path, held, said):
    write_saint(tmp_path, **held)
    refused(said, "graph/flickr", tmp_path)


def test_graph_saint(tmp_path):
    write_saint(tmp_path)
    data = ddcore.load("graph/flickr", tmp_path).data
    assert data.inductive
    assert data.take([0]).x.shape == (3, 3)
    assert data.take([7]).edges.shape == (2, 2)
    (tmp_path / "role.json").unlink()
    with pytest.raises(DataError, match=r"needs role\.json"):
        ddcore.load("graph/reddit", tmp_path)


def test_reddit_as_torch_geometric_has_it(tmp_path):
    kinds = np.array([1, 1, 1, 2, 2, 3, 3, 3])
    np.savez(tmp_path / "reddit_data.npz", feature=X, label=Y, node_types=kinds, node_ids=np.arange(8))
    sparse.save_npz(tmp_path / "reddit_graph.npz", adjacency().astype(np.float32).tocoo())
    problem = ddcore.load("graph/reddit", tmp_path)
    assert problem.data.splits == {"train": [0, 1, 2], "val": [3, 4], "test": [5, 6, 7]}
    assert problem.data.inductive
    assert edges_of(problem) == BOTH
