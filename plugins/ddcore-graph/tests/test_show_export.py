"""Drawings and exports hold what the set holds."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import networkx as nx
import pytest
import torch
from ddcore_graph.edges import edge_count
from ddcore_graph.parametrizations.dense import DenseGraph
from ddcore_graph.parametrizations.several import SeveralGraphs, balanced_support
from ddcore_graph.problems import digits_knn
from PIL import Image

import ddcore
from ddcore.errors import NotSupported
from ddcore.exporters import export
from ddcore.parametrizations import Selected

CONDENSED, SELECTED, PLAIN = "variation-neighborhoods", "random", "averaging"


@pytest.fixture(scope="module")
def digits():
    return replace(digits_knn(hidden=8), name="graph/digits-knn")


@pytest.fixture(scope="module")
def made(digits, tmp_path_factory):
    """Saved sets of each kind, by method."""
    folder = tmp_path_factory.mktemp("sets")
    sets = {}
    for method in (CONDENSED, SELECTED, PLAIN):
        ddcore.distill(digits, method, ipc=3).save(folder / method)
        sets[method] = ddcore.open(folder / method)
    return sets


@pytest.fixture(scope="module")
def graphs(shapes):
    problem = replace(shapes(40), name="graph/tu")
    return problem, ddcore.distill(problem, "random", ipc=2), ddcore.distill(problem, "dm", ipc=2, steps=1)


@pytest.mark.parametrize("method", [CONDENSED, SELECTED, PLAIN])
@pytest.mark.parametrize("decoded", [False, True])
def test_torch_geometric_reads_the_graph(digits, made, method: str, decoded: bool, tmp_path):
    from torch_geometric.data import Data
    from torch_geometric.utils import to_dense_adj

    file = export(made[method], "pyg", tmp_path / "g.pt", digits if decoded else None)
    data = Data.from_dict(torch.load(file, weights_only=True))
    data.validate()
    batch = made[method].synthetic(digits).batch()
    assert torch.equal(data.x, batch.x[batch.rows].detach())
    assert torch.equal(data.y, batch.y)
    n = len(batch.rows)
    if method == CONDENSED:
        wanted = batch.adj
    else:
        wanted = torch.zeros(n, n)
        if batch.edges is not None:
            wanted[batch.edges[1], batch.edges[0]] = 1
        wanted = wanted[batch.rows][:, batch.rows] if method == SELECTED else wanted
    if data.num_edges:
        found = to_dense_adj(data.edge_index, edge_attr=data.edge_weight, max_num_nodes=n)[0].T
        assert torch.allclose(found, wanted)
    else:
        assert not wanted.any()


def test_both_ratios_are_stored(made, digits):
    manifest = made[CONDENSED].manifest
    rows, labelled, nodes = sum(manifest["counts"].values()), len(digits.data.ids()), len(digits.data.whole.x)
    assert manifest["ratios"] == {"labelled": rows / labelled, "all": rows / nodes}
    assert labelled < nodes


def test_networkx_reads_the_graph(made, digits, tmp_path):
    file = export(made[CONDENSED], "networkx", tmp_path / "g.json")
    graph = nx.node_link_graph(json.loads(file.read_text()), edges="edges")
    batch = made[CONDENSED].synthetic(digits).batch()
    assert not graph.is_directed()
    assert torch.allclose(torch.tensor([graph.nodes[i]["x"] for i in graph]), batch.x.detach())
    assert [graph.nodes[i]["y"] for i in graph] == batch.y.tolist()
    found = torch.tensor(nx.to_numpy_array(graph, nodelist=range(len(batch.x))))
    assert torch.allclose(found.float(), batch.adj)


def test_csv_is_read_back(made, digits, tmp_path):
    folder = export(made[CONDENSED], "csv", tmp_path / "g")
    again = ddcore.load("graph/file", folder).data
    batch = made[CONDENSED].synthetic(digits).batch()
    assert torch.allclose(again.whole.x, batch.x.detach())
    dense = torch.zeros_like(batch.adj)
    dense[again.whole.edges[1], again.whole.edges[0]] = again.whole.weights
    assert torch.allclose(dense, batch.adj)
    assert list(again.ids()) == list(range(len(batch.x)))


def test_directed_graphs_keep_their_directions(made, tmp_path):
    adj = torch.tensor([[0.0, 2.0], [0.0, 0.0]])  # from 1 to 0
    artifact = replace(made[PLAIN], tensors=DenseGraph({0: 1, 1: 1}, torch.randn(2, 64), adj).stored())
    graph = nx.node_link_graph(json.loads(export(artifact, "networkx", tmp_path / "g.json").read_text()), edges="edges")
    assert graph.is_directed()
    assert list(graph.edges(data="weight")) == [(1, 0, 2.0)]


def test_several_structures_are_as_many_graphs(digits, made, tmp_path):
    from torch_geometric.data import Data

    plain, y = made[PLAIN], [g for g in digits.data.groups for _ in range(2)]
    edges, which = balanced_support(y, 3, random.Random(0))
    weights = torch.linspace(0.1, 1, len(which))
    several = SeveralGraphs(dict.fromkeys(digits.data.groups, 2), torch.randn(20, 64), edges, which, weights)
    kind = {"name": several.parametrization, "config": several.config()}
    artifact = replace(plain, tensors=several.stored(), manifest={**plain.manifest, "parametrization": kind})
    for k, problem in enumerate((None, digits)):
        held = torch.load(export(artifact, "pyg", tmp_path / f"{k}.pt", problem), weights_only=True)
        assert len(held) == 3
        for b, graph in enumerate(Data.from_dict(d) for d in held):
            assert torch.equal(graph.edge_index, edges[:, which == b])
            assert torch.equal(graph.edge_weight, weights[which == b])
            assert graph.y.tolist() == y
    read = json.loads(export(artifact, "networkx", tmp_path / "g.json").read_text())
    assert [n["y"] for n in read[1]["nodes"]] == y


def test_edges_are_counted_once_in_either_case():
    ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
    assert edge_count(ring, 3) == edge_count(torch.cat([ring, ring.flip(0)], 1), 3) == 3
    assert edge_count(torch.tensor([[0, 1, 1], [1, 0, 2]]), 3) == 3  # of one direction
    assert edge_count(ring[:, :0], 3) == 0


def test_sets_of_graphs_are_lists(graphs, tmp_path):
    from torch_geometric.data import Data

    problem, *sets = graphs
    for k, artifact in enumerate(sets):
        batch = artifact.synthetic(problem).batch()
        many = [Data.from_dict(d) for d in torch.load(export(artifact, "pyg", tmp_path / f"{k}.pt"), weights_only=True)]
        assert [int(d.y) for d in many] == batch.y.tolist() == [0, 0, 1, 1]
        nodes = batch.mask.sum(1) if batch.adj is not None else torch.bincount(batch.graph)
        assert [d.num_nodes for d in many] == nodes.tolist()
        links = batch.adj.sum() if batch.adj is not None else batch.edges.shape[1]
        assert sum(d.num_edges for d in many) == int(links)
        file = export(artifact, "networkx", tmp_path / f"{k}.json")
        read = [nx.node_link_graph(d, edges="edges") for d in json.loads(file.read_text())]
        assert [g.graph["y"] for g in read] == batch.y.tolist()
        with pytest.raises(NotSupported, match="CSV files hold one graph"):
            export(artifact, "csv", tmp_path / f"{k}")


@pytest.mark.parametrize("method", [CONDENSED, SELECTED, PLAIN])
def test_a_drawing_is_a_function_of_the_set(digits, made, method: str, tmp_path):
    first = made[method].path / made[method].manifest["picture"]
    picture = Image.open(first)
    assert min(picture.size) > 500
    assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
    again = digits.render(made[method].synthetic(digits), tmp_path)
    assert first.read_bytes() == again.read_bytes()


def test_sets_of_graphs_are_drawn(graphs, tmp_path):
    problem, *sets = graphs
    for artifact in sets:
        file = problem.render(artifact.synthetic(problem), tmp_path)
        assert Image.open(file).size[0] > 300


def test_a_single_node_is_drawn(digits, tmp_path):
    alone = Selected(digits.data, {0: [digits.data.ids(0)[0]]})
    assert digits.render(alone, tmp_path).is_file()


def test_of_a_large_set_a_part_is_drawn(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("ddcore_graph.show.DRAWN", 30)
    monkeypatch.setattr("ddcore_graph.properties.LARGEST", 30)
    chosen = Selected(digits.data, {g: list(digits.data.ids(g)) for g in digits.data.groups})
    drawn = []
    monkeypatch.setattr("ddcore_graph.show._draw", lambda axis, a, y, *_: drawn.append((a, y)))
    digits.render(chosen, tmp_path)
    (a, y), _ = drawn
    batch = chosen.batch()
    rows = batch.rows[::7]
    assert torch.equal(y, batch.y[::7])
    wanted = [[float(((batch.edges[0] == j) & (batch.edges[1] == i)).any()) for j in rows] for i in rows]
    assert a.tolist() == wanted
    assert digits.properties(chosen) == {}
