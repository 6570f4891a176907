"""Public layouts, written here as their authors write them, and what is no such file."""

from __future__ import annotations

import gzip
import json
import pickle
import random
from collections import defaultdict

import numpy as np
import pytest
import torch
from ddcore_graph.readers.planetoid import read_pickle
from scipy import sparse
from torch_geometric.io import parse_npz

import ddcore
from ddcore.errors import DataError, OptionError

X = np.array([[1, 0, 1], [0, 2, 0], [0, 0, 4], [1, 1, 0], [0, 0, 0], [3, 0, 0], [0, 1, 1], [2, 2, 0]], np.float32)
Y = np.array([0, 1, 0, 1, 0, 1, 0, 1])
EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 3], [1, 2], [4, 5], [6, 7]])
BOTH = {p for a, b in EDGES.tolist() if a != b for p in ((a, b), (b, a))}


def edges_of(problem) -> set[tuple[int, int]]:
    return set(map(tuple, problem.data.whole.edges.T.tolist()))


def rows_divided(x):
    total = x.sum(1, keepdims=True)
    return torch.tensor(x / np.where(total == 0, 1, total))


# ---------------------------------------------------------------------------------------------------------------------
# Planetoid


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


class Evil:
    def __reduce__(self):
        return (print, ("run",))


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


def refused(said: str, name: str, data):
    """One error that names the data and says why."""
    with pytest.raises(DataError, match=said) as caught:
        ddcore.load(name, data)
    assert str(data) in str(caught.value)


# ---------------------------------------------------------------------------------------------------------------------
# npz


def csr(prefix: str, matrix) -> dict:
    m = sparse.csr_matrix(matrix)
    return {
        f"{prefix}_data": m.data,
        f"{prefix}_indices": m.indices,
        f"{prefix}_indptr": m.indptr,
        f"{prefix}_shape": np.array(m.shape),
    }


def adjacency():
    return sparse.csr_matrix((np.ones(len(EDGES)), EDGES.T), (8, 8)) > 0


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


@pytest.mark.parametrize("problem", ["file", "cora-ml", "tu", "flickr"])
def test_files_that_were_cut_off(tmp_path, problem):
    held = {"edge_index": EDGES.T, "node_ptr": np.array([0, 8]), "graph_label": np.array([0])}
    names = {"file": "mine.npz", "cora-ml": "cora_ml.npz", "tu": "toys.npz", "flickr": "adj_full.npz"}
    write_saint(tmp_path)
    file = tmp_path / names[problem]
    np.savez(file, **held)
    file.write_bytes(file.read_bytes()[:300])
    refused("cannot be read", f"graph/{problem}", tmp_path if problem == "flickr" else file)


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


# ---------------------------------------------------------------------------------------------------------------------
# OGB, GraphSAINT, TUDatasets


def write_gz(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt") as out:
        out.writelines(",".join(map(str, np.atleast_1d(row))) + "\n" for row in rows)


def test_ogb_nodes(tmp_path):
    raw = tmp_path / "ogbn_arxiv" / "raw"
    write_gz(raw / "edge.csv.gz", EDGES)
    write_gz(raw / "node-feat.csv.gz", X)
    write_gz(raw / "node-label.csv.gz", ["nan", *Y[1:]])  # papers100M has unlabelled nodes
    for split, ids in (("train", [1, 2, 3]), ("valid", [4, 5]), ("test", [6, 7])):
        write_gz(tmp_path / "ogbn_arxiv" / "split" / "time" / f"{split}.csv.gz", ids)
    problem = ddcore.load("graph/ogbn-arxiv", tmp_path)
    assert problem.data.splits == {"train": [1, 2, 3], "val": [4, 5], "test": [6, 7]}
    assert problem.data.whole.y.tolist() == [-1, *Y[1:]]
    assert edges_of(problem) == BOTH
    seen = problem.data.whole.x[[1, 2, 3]]
    assert torch.allclose(seen.mean(0), torch.zeros(3), atol=1e-6)
    assert torch.allclose(seen.std(0, correction=0), torch.ones(3), atol=1e-6)
    undone = problem.data.whole.x * problem.preprocessing.tensors["deviation"] + problem.preprocessing.tensors["mean"]
    assert torch.allclose(undone, torch.tensor(X), atol=1e-5)
    with pytest.raises(DataError, match=r"raw and split.*ogb\.stanford\.edu"):
        ddcore.load("graph/ogbn-products", tmp_path)
    (raw / "edge.csv.gz").unlink()
    with pytest.raises(DataError, match=r"needs edge\.csv\.gz"):
        ddcore.load("graph/ogbn-arxiv", tmp_path)


@pytest.mark.parametrize(
    ("file", "rows", "said"),
    [
        ("raw/edge", [1, 2], "has 1 columns, and 2 are expected"),
        ("raw/edge", [[1, 99]], "an edge with node 99"),
        ("raw/node-feat", X[:5], "8 labels and features of 5 nodes"),
        ("raw/node-feat", ["a,b,c"] * 8, r"node-feat\.csv\.gz cannot be read"),
        ("raw/node-label", [1] * 8, "all labels are '1'"),
        ("split/time/train", [99], "train holds 99: expected numbers from 0 to 7"),
        ("split/time/train", [4], "node 4 is in the split val and in another"),
    ],
)
def test_ogb_files_that_were_damaged(tmp_path, file, rows, said):
    folder = tmp_path / "ogbn_arxiv"
    good = {"raw/edge": EDGES, "raw/node-feat": X, "raw/node-label": Y}
    splits = {f"split/time/{s}": ids for s, ids in (("train", [0, 1, 2]), ("valid", [4, 5]), ("test", [6, 7]))}
    for name, held in {**good, **splits, file: rows}.items():
        write_gz(folder / f"{name}.csv.gz", held)
    refused(said, "graph/ogbn-arxiv", folder)
    packed = folder / f"{file}.csv.gz"
    packed.write_bytes(packed.read_bytes()[:-9])
    refused(rf"{file}\.csv\.gz cannot be read", "graph/ogbn-arxiv", folder)


MOLECULES = {
    "raw/num-node-list": [3, 2, 3, 1],
    "raw/num-edge-list": [2, 0, 1, 0],
    "raw/edge": [[0, 1], [1, 2], [0, 2]],  # numbers within each graph
    "raw/graph-label": [0, 1, 1, 0],
    "raw/node-feat": [[6, 0]] * 5 + [[8, 1]] * 4,
    **{f"split/scaffold/{split}": ids for split, ids in (("train", [0, 1]), ("valid", [2]), ("test", [3]))},
}


def write_molecules(root, **changed):
    for name, rows in {**MOLECULES, **changed}.items():
        write_gz(root / f"{name}.csv.gz", rows)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"raw/num-node-list": [3, 2, 3]}, "num-node-list and num-edge-list do not fit"),
        ({"raw/num-node-list": [3, 2, 3, 2]}, "graphs of 10 nodes in all, and features of 9"),
        ({"raw/num-node-list": [3, -2, 7, 1]}, "a graph of -2 nodes"),
        ({"raw/num-edge-list": [2, 1, 1, 0]}, "num-edge-list counts 4 edges and edge has 3"),
        ({"raw/graph-label": [0, 1, 1, 0, 1]}, "4 graphs and 5 labels"),
        ({"raw/graph-label": [0, 1, "nan", 0]}, "graph 2 is in the split val and has no label"),
        ({"split/scaffold/test": [77]}, "test holds 77: expected numbers from 0 to 3"),
        ({"split/scaffold/test": [2]}, "graph 2 is in the split test and in another"),
    ],
)
def test_molecules_that_were_damaged(tmp_path, changed, said):
    write_molecules(tmp_path, **changed)
    refused(said, "graph/ogbg-molhiv", tmp_path)


def test_ogb_molecules(tmp_path):
    write_molecules(tmp_path / "ogbg_molhiv")
    problem = ddcore.load("graph/ogbg-molhiv", tmp_path)
    batch = problem.data.take([2, 0])
    assert batch.graph.tolist() == [0, 0, 0, 1, 1, 1]
    assert set(map(tuple, batch.edges.T.tolist())) == {(0, 2), (2, 0), (3, 4), (4, 3), (4, 5), (5, 4)}
    assert batch.x.tolist() == [[0, 1, 0, 1]] * 3 + [[1, 0, 1, 0]] * 3
    assert problem.task.metrics[0].name == "auc"


def write_saint(folder, x=X, adj=None, classes=None, roles=None):
    sparse.save_npz(folder / "adj_full.npz", adjacency().astype(np.float32).tocsr() if adj is None else adj)
    np.save(folder / "feats.npy", x)
    classes = {str(i): int(c) for i, c in enumerate(Y)} if classes is None else classes
    (folder / "class_map.json").write_text(json.dumps(classes))
    (folder / "role.json").write_text(json.dumps(roles or {"tr": [0, 1, 2], "va": [3, 4], "te": [5, 6, 7]}))


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


def write_tu(folder, **changed):
    held = {
        "A": "1, 2\n2, 1\n4, 5\n5, 4\n",
        "graph_indicator": "1\n1\n1\n2\n2\n",
        "graph_labels": "1\n-1\n",
        "node_labels": "0\n3\n0\n3\n3\n",
        "node_attributes": "0.5\n1\n2\n3\n4\n",
        **changed,
    }
    for part, text in held.items():
        (folder / f"MUTAG_{part}.txt").write_text(text)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"A": "1\n2\n"}, r"MUTAG_A\.txt is of shape .2, 1. and has 2 columns"),
        ({"A": "1, 2\n2, 9\n"}, "an edge with node 8"),
        ({"A": "1, 2\n3, 4\n"}, "from one graph to another"),
        ({"graph_indicator": "1\n1\n1\n2\n"}, "there are 4 nodes, and node labels of 5"),
        ({"graph_indicator": "0\n0\n0\n1\n1\n"}, "not graph by graph"),
        ({"graph_indicator": "1\n1\n1\n3\n3\n"}, "3 graphs and 2 labels"),
        ({"graph_labels": "1\n-1\n1\n"}, "2 graphs and 3 labels"),
        ({"graph_labels": "1\n1\n"}, "all labels are '1'"),
        ({"graph_labels": "1\nno\n"}, r"MUTAG_graph_labels\.txt cannot be read"),
        ({"node_attributes": "0\n1\n"}, "node attributes of 2"),
    ],
)
def test_tu_files_that_were_damaged(tmp_path, changed, said):
    write_tu(tmp_path, **changed)
    refused(said, "graph/tu", tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"edge_index": np.zeros((5, 2), int)}, "cannot be read .*edge_index` .2, E."),
        ({"node_ptr": np.array([0, 5, 4])}, "a graph of -1 nodes"),
        ({"graph_label": np.array([0, 1, 1])}, "2 graphs and 3 labels"),
        ({"node_label": np.zeros(3, int)}, "node labels of 3"),
        ({"node_attr": np.full((4, 1), "a")}, "attributes are of type <U1"),
    ],
)
def test_a_set_of_graphs_as_npz_that_is_none(tmp_path, changed, said):
    held = {"edge_index": np.array([[0, 2], [1, 3]]), "node_ptr": np.array([0, 2, 4]), "graph_label": np.array([0, 1])}
    np.savez(tmp_path / "toys.npz", **held)
    assert ddcore.load("graph/tu", tmp_path / "toys.npz").data.take([1]).edges.tolist() == [[1, 0], [0, 1]]
    np.savez(tmp_path / "toys.npz", **{**held, **changed})
    refused(said, "graph/tu", tmp_path / "toys.npz")


def test_a_folder_of_several_tu_sets(tmp_path):
    write_tu(tmp_path)
    held = {"edge_index": np.array([[0, 2], [1, 3]]), "node_ptr": np.array([0, 2, 4]), "graph_label": np.array([0, 1])}
    np.savez(tmp_path / "toys.npz", **held)
    assert ddcore.load("graph/tu", tmp_path).data.name == "MUTAG"
    (tmp_path / "PTC_A.txt").write_text("1, 2\n")
    refused("holds MUTAG, PTC: say which by its name, --set problem.name=MUTAG", "graph/tu", tmp_path)
    assert [ddcore.load("graph/tu", tmp_path, name=n).data.name for n in ("MUTAG", "toys")] == ["MUTAG", "toys"]


def test_tu(tmp_path):
    folder = tmp_path / "MUTAG"
    folder.mkdir()
    write_tu(folder)
    for problem in (ddcore.load("graph/mutag", tmp_path), ddcore.load("graph/tu", folder)):
        batch = problem.data.take([0, 1])
        assert batch.y.tolist() == [1, 0]
        assert problem.class_names == ("-1", "1")
        assert batch.x.tolist() == [[1, 0, 0.5], [0, 1, 1], [1, 0, 2], [0, 1, 3], [0, 1, 4]]
        assert set(map(tuple, batch.edges.T.tolist())) == {(0, 1), (1, 0), (3, 4), (4, 3)}
    (folder / "MUTAG_node_labels.txt").unlink()
    (folder / "MUTAG_node_attributes.txt").unlink()
    degrees = ddcore.load("graph/tu", folder).data.take([0, 1]).x
    assert degrees.argmax(1).tolist() == [1, 1, 0, 1, 1]
    with pytest.raises(DataError, match=r"PROTEINS_A\.txt"):
        ddcore.load("graph/proteins", tmp_path)


def test_real_graphs_are_read(real):
    cora = ddcore.load("graph/cora", real)
    assert cora.data.whole.x.shape == (2708, 1433)
    assert cora.data.whole.edges.shape == (2, 2 * 5278)
    assert {s: len(ids) for s, ids in cora.data.splits.items()} == {"train": 140, "val": 500, "test": 1000}
    mutag = ddcore.load("graph/mutag", real / "TU")
    assert len(mutag.data.y) == 188


# ---------------------------------------------------------------------------------------------------------------------
# your own


def write_folder(folder, **files):
    held = {
        "edges": "source,target\nann,bob\nbob,cy\ncy,cy\n",
        "features": "node,a,b\nann,1,2\nbob,3,4\ncy,5,6\ndi,7,8\n",
        "labels": "node,label\nann,red\nbob,blue\ncy,red\n",
        "split": "node,split\nann,train\nbob,train\ncy,test\n",
        **files,
    }
    for name, text in held.items():
        if text is not None:
            (folder / f"{name}.csv").write_text(text)
    return folder


def test_a_folder_of_csv_files(tmp_path):
    problem = ddcore.load("graph/file", write_folder(tmp_path))
    whole = problem.data.whole
    assert problem.class_names == ("blue", "red")
    assert whole.y.tolist() == [1, 0, 1, -1]
    assert whole.x.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert edges_of(problem) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    assert problem.data.splits == {"train": [0, 1], "val": [], "test": [2]}
    directed = ddcore.load("graph/file", tmp_path, directed=True, normalise="standard")
    assert edges_of(directed) == {(0, 1), (1, 2)}
    weighted = write_folder(tmp_path, edges="source,target,weight\nann,bob,0.5\n")
    assert ddcore.load("graph/file", weighted).data.whole.weights.tolist() == [0.5, 0.5]


def test_names_of_nodes_are_text(tmp_path):
    features = "node,a,b\n001,1,2\n002,3,4\n1,5,6\n2,7,8\n"
    labels = "node,label\n001,x\n002,y\n1,x\n2,y\n"
    write_folder(tmp_path, edges="a,b\n001,002\n2,1\n", features=features, labels=labels, split=None)
    assert edges_of(ddcore.load("graph/file", tmp_path)) == {(0, 1), (1, 0), (2, 3), (3, 2)}


def test_a_folder_with_features_as_npz_and_no_split(tmp_path):
    write_folder(tmp_path, features=None, split=None, edges="a,b\n0,1\n", labels="node,label\n0,0\n1,1\n2,0\n3,1\n")
    np.savez(tmp_path / "features.npz", x=np.arange(8.0).reshape(4, 2))
    data = ddcore.load("graph/file", tmp_path).data
    assert data.split is not None
    assert sorted(i for ids in data.splits.values() for i in ids) == [0, 1, 2, 3]


def test_features_of_scipy(tmp_path):
    write_folder(tmp_path, features=None, split=None, edges="a,b\n0,1\n", labels="node,label\n0,x\n1,y\n2,x\n3,y\n")
    for kind in (sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix):
        sparse.save_npz(tmp_path / "features.npz", kind(X[:4]))
        assert torch.equal(ddcore.load("graph/file", tmp_path).data.whole.x, torch.tensor(X[:4]))


def test_blanks_around_what_csv_files_hold(tmp_path):
    tight = ddcore.load("graph/file", write_folder(tmp_path)).fingerprint()
    for file in tmp_path.glob("*.csv"):
        file.write_text(file.read_text().replace(",", " , "))
    assert ddcore.load("graph/file", tmp_path).fingerprint() == tight


def test_nodes_without_a_label(tmp_path):
    labels = "node,label\nann,1\nbob,0\ncy,\ndi,-1\n"
    problem = ddcore.load("graph/file", write_folder(tmp_path, labels=labels, split=None))
    assert problem.data.whole.y.tolist() == [1, 0, -1, -1]
    assert problem.class_names == ("0", "1")


def test_names_that_headers_share_with_nodes(tmp_path):
    """Words may be nodes: a header is one line, and all of it is nodes only where it is data."""
    features = "node,0,1\nsource,1,2\nword,3,4\n"  # pandas' own names of columns
    labels = "node,label\nsource,x\nword,y\n"
    write_folder(tmp_path, edges="source,target\nsource,word\n", features=features, labels=labels, split=None)
    assert edges_of(ddcore.load("graph/file", tmp_path)) == {(0, 1), (1, 0)}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"edges": None}, r"no edges\.csv"),
        ({"features": None}, r"no features\.csv and no features\.npz"),
        ({"labels": None}, r"no labels\.csv"),
        ({"edges": "source,target\nann,zoe\n"}, "names 1 nodes that have no features .first: 'zoe'"),
        ({"edges": "source\nann\n"}, "has 1 columns and needs 2"),
        ({"edges": "source,target,weight\nann,bob,heavy\n"}, "third column is the edges' weights"),
        ({"edges": "source,target,weight\nann,bob,\n"}, "edge 0 -> 1 has the weight nan"),
        ({"edges": "source,target,weight\nann,bob,-1\n"}, "edge 0 -> 1 has the weight -1"),
        ({"edges": "ann,bob\nbob,cy\n"}, r"edges\.csv starts with the line ann,bob, which reads as data"),
        ({"edges": "source,target\nann,bob,3\n"}, "lines of more columns than its header, source, target"),
        ({"labels": "ann,red\nbob,blue\ncy,red\n"}, r"labels\.csv starts with the line ann,red"),
        ({"labels": "node,label\nann,red\nbob,blue\nann,blue\n"}, r"labels\.csv has node 'ann' more than once"),
        ({"split": "ann,train\nbob,train\n"}, r"split\.csv starts with the line ann,train"),
        ({"split": "node,split\nann,train\nann,test\n"}, r"split\.csv has node 'ann' more than once"),
        ({"features": "ann,1,2\nbob,3,4\ncy,5,6\n"}, r"features\.csv starts with the line ann,1,2"),
        ({"features": "node,a\nann,1\nann,2\n"}, "node 'ann' more than once"),
        ({"features": "node,a\nann,x\nbob,2\ncy,3\n"}, "features are numbers"),
        ({"features": "node,a\nann,1\nbob,\ncy,3\ndi,1\n"}, "features of node 'bob' are missing, NaN"),
        ({"split": "node,split\nann,training\n"}, "the split 'training': splits are train, val and test"),
        ({"split": "node,split\nann,train\ndi,test\n"}, "node 3 is in the split test and has no label"),
        ({"labels": "node,label\nann,red\n"}, "all labels are 'red': two classes"),
    ],
    ids=lambda v: v if isinstance(v, str) else "-".join(v),
)
def test_a_folder_that_is_no_graph(tmp_path, files, said):
    refused(said, "graph/file", write_folder(tmp_path, **files))


def test_a_saved_data(tmp_path):
    from torch_geometric.data import Data

    train = torch.tensor([True, True, False, False])
    fields = {"x": torch.tensor(X[:4]), "edge_index": torch.tensor(EDGES[:3].T), "y": torch.tensor([4, 9, 4, -1])}
    torch.save(Data(**fields, train_mask=train, test_mask=torch.tensor([False, False, True, False])), tmp_path / "g.pt")
    torch.save(fields, tmp_path / "dict.pt")
    problem = ddcore.load("graph/file", tmp_path / "g.pt")
    assert problem.data.splits == {"train": [0, 1], "test": [2]}
    assert problem.data.whole.y.tolist() == [0, 1, 0, -1]
    assert problem.class_names == ("4", "9")
    assert edges_of(problem) == {(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)}
    assert edges_of(ddcore.load("graph/file", tmp_path / "dict.pt")) == edges_of(problem)
    half = {**fields, "x": fields["x"].bfloat16()}
    for held in (half, (Data(**fields), None), (fields, None, Data)):  # torch-geometric's processed/data.pt
        torch.save(held, tmp_path / "other.pt")
        assert edges_of(ddcore.load("graph/file", tmp_path / "other.pt")) == edges_of(problem)


def test_a_saved_file_that_is_none(tmp_path):
    torch.save(Evil(), tmp_path / "evil.pt")
    refused("holds print, which is no tensor.*save torch.save", "graph/file", tmp_path / "evil.pt")
    fields = {"x": torch.zeros(3, 2), "edge_index": torch.tensor([[0], [1]]), "y": torch.tensor([0, 1, 0])}
    for change, said in (
        ({"y": torch.tensor([[0, 1], [1, 1], [1, 0]])}, "labels have shape .3, 2."),
        ({"y": torch.tensor([0, 1])}, "2 labels and features of 3 nodes"),
        ({"edge_index": torch.tensor([[0.5], [1]])}, "edge_index are of type float32"),
        ({"edge_weight": -torch.ones(1)}, "the weight -1"),
        ({"x": torch.zeros(3, 2, dtype=torch.complex64)}, "features are of type complex64"),
        ({"train_mask": [True] * 3}, "cannot be read"),
        ({"train_mask": torch.ones(3, 10, dtype=torch.bool)}, "train_mask has shape .3, 10."),
        ({"test_mask": torch.ones(3, dtype=torch.bool)}, "the split has test and no training node"),
        ({"edge_index": torch.tensor([[0], [7]])}, "an edge with node 7, and the graph has 3"),
    ):
        torch.save({**fields, **change}, tmp_path / "odd.pt")
        refused(said, "graph/file", tmp_path / "odd.pt")
    for held, said in (
        ({"x": torch.zeros(3, 2)}, "has no edge_index, y"),
        ((fields, {"x": torch.tensor([0, 1, 3])}), "holds several graphs"),
    ):
        torch.save(held, tmp_path / "half.pt")
        refused(said, "graph/file", tmp_path / "half.pt")
    (tmp_path / "text.pt").write_text("no tensors")
    refused("is none that torch saved", "graph/file", tmp_path / "text.pt")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="is not read: give"):
        ddcore.load("graph/file", tmp_path / "notes.txt")
    with pytest.raises(DataError, match="needs --data"):
        ddcore.load("graph/file")
    with pytest.raises(OptionError, match="expected one of none, rows, standard"):
        ddcore.load("graph/file", tmp_path, normalise="z")
