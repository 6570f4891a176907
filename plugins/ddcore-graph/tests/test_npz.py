"""Graphs as npz: Shchur's, your own, and what is no graph."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from layouts import BOTH, EDGES, X, Y, adjacency, edges_of, refused
from scipy import sparse
from torch_geometric.io import parse_npz

import ddcore
from ddcore.errors import DataError, OptionError


def csr(prefix: str, matrix) -> dict:
    m = sparse.csr_matrix(matrix)
    return {
        f"{prefix}_data": m.data,
        f"{prefix}_indices": m.indices,
        f"{prefix}_indptr": m.indptr,
        f"{prefix}_shape": np.array(m.shape),
    }


def test_npz_of_shchur_is_read_as_torch_geometric_reads_it(tmp_path):
    held = {**csr("adj", adjacency().astype(np.float32)), **csr("attr", X), "labels": Y}
    np.savez(tmp_path / "amazon_photo.npz", **held)
    problem, theirs = ddcore.load("graph/amazon-photo", tmp_path), parse_npz(held)
    assert edges_of(problem) == BOTH == set(map(tuple, theirs.edge_index.T.tolist()))
    assert torch.equal(problem.data.whole.x, theirs.x)  # words that are there, not how often
    assert X.max() > 1
    assert problem.data.split == problem.data.splits
    assert problem.data.whole.weights is None


def test_npz_with_edges_dense_features_weights_and_a_split(tmp_path):
    held = {"edges": EDGES.T, "x": X, "labels": Y * 5 + 2, "weights": np.arange(7.0) + 1, "train_mask": Y < 5}
    np.savez(tmp_path / "mine.npz", **held, val_idx=np.array([], int), test_idx=np.array([], int))
    problem = ddcore.load("graph/file", tmp_path / "mine.npz")
    assert problem.class_names == ("2", "7")  # labels need not follow on each other
    assert problem.data.whole.y.tolist() == Y.tolist()
    assert torch.equal(problem.data.whole.x, torch.tensor(X))
    assert len(problem.data.ids()) == 8
    assert problem.data.split is None
    edges = dict(zip(map(tuple, problem.data.whole.edges.T.tolist()), problem.data.whole.weights.tolist(), strict=True))
    assert edges[1, 2] == edges[2, 1] == 5  # of two edges the heavier


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        (np.eye(2)[Y], ("0", "1"), Y),
        (np.eye(2, dtype=bool)[Y] & (np.arange(8) > 0)[:, None], ("0", "1"), [-1, *Y[1:]]),
        (Y[:, None], ("0", "1"), Y),
        (np.array(["inf", "b"])[Y], ("b", "inf"), 1 - Y),
    ],
    ids=["one-hot", "one-hot-with-none", "column", "words"],
)
def test_labels_come_in_several_shapes(tmp_path, labels, names, numbers):
    np.savez(tmp_path / "mine.npz", edges=EDGES.T, x=X, labels=labels)
    problem = ddcore.load("graph/file", tmp_path / "mine.npz")
    assert problem.class_names == names
    assert problem.data.whole.y.tolist() == list(numbers)


@pytest.mark.parametrize(
    ("name", "theirs", "folder"),
    [
        ("amazon-photo", "amazon_electronics_photo", "."),
        ("amazon-computers", "amazon_electronics_computers", "Computers/raw"),
        ("coauthor-cs", "ms_academic_cs", "CS/raw"),
        ("coauthor-physics", "ms_academic_phy", "raw"),
    ],
)
def test_public_files_go_by_their_own_names(tmp_path, name, theirs, folder):
    with pytest.raises(DataError, match=rf"needs {theirs}\.npz or {name.replace('-', '_')}\.npz"):
        ddcore.load(f"graph/{name}", tmp_path)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    held = {**csr("adj", adjacency().astype(np.float32)), **csr("attr", X), "labels": Y}
    np.savez(tmp_path / folder / f"{theirs}.npz", **held)
    assert edges_of(ddcore.load(f"graph/{name}", tmp_path)) == BOTH


@pytest.mark.parametrize("fanout", [[], [-1], [5, 0]])
def test_neighbours_are_drawn_one_or_more_a_hop(tmp_path, fanout):
    np.savez(tmp_path / "mine.npz", edges=EDGES.T, x=X, labels=Y)
    with pytest.raises(OptionError, match="fanout"):
        ddcore.load("graph/file", tmp_path / "mine.npz", fanout=fanout)


def test_inductive_with_neighbours_drawn_through_load(tmp_path):
    split = {"train_idx": np.arange(4), "val_idx": np.array([4, 5]), "test_idx": np.array([6, 7])}
    np.savez(tmp_path / "mine.npz", edges=EDGES.T, x=X, labels=Y, **split)
    data = ddcore.load("graph/file", tmp_path / "mine.npz", inductive=True, fanout=[1]).data
    batch = data.take([1], random.Random(0))
    assert batch.x.shape == (2, 3)  # the node and one of its two neighbours, which are both for training
    assert data.take([6]).edges.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": None}, "has no `labels`, and holds"),
        ({"x": None}, "has no features"),
        ({"edges": None}, "has no edges"),
        ({"x": X[:5]}, "8 labels and features of 5 nodes"),
        ({"edges": EDGES.T + 4}, "an edge with node 8, and the graph has 8"),
        ({"edges": EDGES.T - 1}, "an edge with node -1"),
        ({"edges": EDGES.T + 0.5}, "`edges` are of type float64: whole numbers"),
        ({"edges": None, **csr("adj", np.eye(5))}, "8 labels and an adjacency of 5 nodes"),
        ({"edges": None, "adj_indptr": np.arange(9), "adj_indices": np.full(8, 30)}, "cannot be read"),
        ({"train_idx": np.array([3, 80])}, "train_idx holds 80: expected numbers from 0 to 7"),
        ({"train_idx": np.array([3, -1])}, "train_idx holds -1"),
        ({"train_idx": np.array([0.5])}, "train_idx are of type float64: whole numbers"),
        ({"train_mask": np.ones((8, 10), bool)}, r"shape .8, 10.*such as train_mask.:, 0"),
        ({"train_mask": np.ones(7, bool)}, "a mask of 7 nodes, and there are 8"),
        ({"test_mask": Y < 1}, "the split has test and no training node"),
        ({"train_mask": Y < 5, "val_idx": np.array([2])}, "node 2 is in the split val and in another"),
        ({"labels": np.stack([Y, Y], 1)}, r"labels have shape .8, 2."),
        ({"labels": Y * 1j}, "labels are of type complex128"),
        ({"weights": np.ones(3)}, r"7 edges and weights of shape .3,."),
        ({"weights": -np.ones(7)}, "edge 0 -> 1 has the weight -1: give it a number of 0 or more"),
        ({"weights": np.full(7, 1j)}, "weights are of type complex128: real numbers"),
        ({"x": X * 1j}, "features are of type complex64: real numbers"),
        ({"x": np.full((8, 2), "a")}, "features are of type <U1: real numbers"),
        (
            {"x": None, "feat_indptr": np.arange(9), "feat_indices": np.full(8, 30), "feat_shape": np.array([8, 3])},
            "cannot be read .indices must be < 3",  # which scipy would take on trust
        ),
        (
            {"x": None, "feat_indptr": np.arange(9), "feat_indices": np.zeros(8, int)},
            "cannot be read .*feat_shape",
        ),
        ({"labels": np.zeros(8)}, "all labels are '0': two classes"),
        ({"x": np.zeros((8, 0))}, "one number or more"),
        ({"x": np.where(X == 4, np.nan, X)}, "NaN or infinite .first: node 2"),
        ({"labels": np.array([{}] * 8, dtype=object)}, "plain arrays"),
    ],
    ids=lambda v: v if isinstance(v, str) else "-".join(v),
)
def test_npz_that_is_no_graph(tmp_path, change, said):
    held = {"edges": EDGES.T, "x": X, "labels": Y, **change}
    np.savez(tmp_path / "mine.npz", **{k: v for k, v in held.items() if v is not None})
    refused(said, "graph/file", tmp_path / "mine.npz")
