"""What torch saved: torch-geometric's Data, dictionaries of tensors, and what is neither."""

from __future__ import annotations

import pytest
import torch
from layouts import EDGES, Evil, X, edges_of, refused

import ddcore
from ddcore.errors import DataError, OptionError


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
