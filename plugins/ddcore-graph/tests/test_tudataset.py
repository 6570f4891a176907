"""TUDatasets' files and sets of graphs as npz, whole and damaged."""

from __future__ import annotations

import numpy as np
import pytest
from layouts import refused

import ddcore
from ddcore.errors import DataError


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
