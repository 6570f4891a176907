"""Planetoid's pickles, as their authors write them, damaged, and with more than arrays in them."""

from __future__ import annotations

import pickle
from collections import defaultdict

import numpy as np
import pytest
import torch
from ddcore_graph.readers.planetoid import read_pickle
from layouts import BOTH, EDGES, Evil, X, Y, edges_of, refused
from scipy import sparse

import ddcore
from ddcore.errors import DataError


def rows_divided(x):
    total = x.sum(1, keepdims=True)
    return torch.tensor(x / np.where(total == 0, 1, total))


def write_planetoid(folder, name="cora", protocol=2):
    one_hot = np.eye(2, dtype=np.int32)[Y]
    graph = defaultdict(list)
    for a, b in EDGES.tolist():
        graph[a].append(b)
    for i in range(8):
        graph[i]
    parts = {
        "x": sparse.csr_matrix(X[:2]),
        "y": one_hot[:2],
        "allx": sparse.csr_matrix(X[:5]),
        "ally": one_hot[:5],
        "tx": sparse.csr_matrix(X[[7, 5]]),  # in the order of the index; node 6 is in no file
        "ty": one_hot[[7, 5]],
        "graph": graph,
    }
    for part, held in parts.items():
        written = pickle.dumps(held, protocol)
        if protocol < 4:  # the names of the versions that wrote the public files
            written = written.replace(b"numpy._core", b"numpy.core").replace(b"scipy.sparse._csr", b"scipy.sparse.csr")
        (folder / f"ind.{name}.{part}").write_bytes(written)
    (folder / f"ind.{name}.test.index").write_text("7\n5\n")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_planetoid(tmp_path, protocol: int):
    folder = tmp_path / {0: ".", 2: "cora", 4: "Cora/raw"}[protocol]
    folder.mkdir(parents=True, exist_ok=True)
    write_planetoid(folder, protocol=protocol)
    problem = ddcore.load("graph/cora", tmp_path)
    data = problem.data
    assert dict(data.splits) == {"train": [0, 1], "val": [2, 3, 4], "test": [5, 7]}
    assert data.whole.y.tolist() == [0, 1, 0, 1, 0, 1, -1, 1]
    wanted = X.copy()
    wanted[6] = 0
    assert torch.allclose(data.whole.x, rows_divided(wanted))
    assert edges_of(problem) == BOTH
    assert problem.preprocessing.name == "rows divided by their sums"


@pytest.mark.parametrize(
    "held", [Evil(), np.array([Evil()]), {"a": print}, pickle.Pickler], ids=("call", "array", "function", "class")
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_planetoid_files_hold_arrays_and_nothing_else(tmp_path, held, protocol: int, capsys):
    file = tmp_path / "ind.cora.x"
    file.write_bytes(pickle.dumps(held, protocol))
    with pytest.raises(DataError, match=r"is not one of Planetoid's files"):
        read_pickle(file)
    assert not capsys.readouterr().out
    file.write_bytes(b"no pickle")
    with pytest.raises(DataError, match=r"is not one of Planetoid's files"):
        read_pickle(file)


def test_planetoid_says_what_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"ind\.citeseer\.x.*no --data was given.*planetoid"):
        ddcore.load("graph/citeseer")
    with pytest.raises(DataError, match=r"ind\.cora\.x.*it is not in"):
        ddcore.load("graph/cora", tmp_path)
    write_planetoid(tmp_path)
    (tmp_path / "ind.cora.graph").unlink()
    with pytest.raises(DataError, match=r"needs ind\.cora\.graph"):
        ddcore.load("graph/cora", tmp_path)


@pytest.mark.parametrize(
    ("part", "held", "said"),
    [
        ("test.index", "seven", r"ind\.cora\.test\.index cannot be read"),
        ("test.index", "7", "do not fit each other"),  # and two rows of features
        ("test.index", "7\n5000000", "do not fit each other"),
        ("allx", {0: [1]}, "do not fit each other"),
        ("ally", np.eye(2)[[0, 1, 0]], "do not fit each other"),
        ("graph", np.eye(2), "do not fit each other"),
        ("graph", {i: ["a"] for i in range(8)}, "whole numbers are expected"),
        ("graph", {i: [9] for i in range(8)}, "an edge with node 9"),
    ],
)
def test_planetoid_files_that_were_damaged(tmp_path, part, held, said):
    write_planetoid(tmp_path)
    written = held.encode() if isinstance(held, str) else pickle.dumps(held, 4)
    (tmp_path / f"ind.cora.{part}").write_bytes(written)
    refused(said, "graph/cora", tmp_path)
