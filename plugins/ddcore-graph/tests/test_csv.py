"""A graph of your own as a folder of CSV files, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from layouts import X, edges_of, refused
from scipy import sparse

import ddcore


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
