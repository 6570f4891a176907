"""OGB's tables of nodes and of molecules, whole and damaged."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch
from layouts import BOTH, EDGES, X, Y, edges_of, refused

import ddcore
from ddcore.errors import DataError


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
