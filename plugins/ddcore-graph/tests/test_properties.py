"""Graph properties, against NetworkX and torch-geometric."""

from __future__ import annotations

import math
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch
from ddcore_graph.parametrizations.dense import DenseGraph
from ddcore_graph.problems import digits_knn
from ddcore_graph.properties import properties
from torch_geometric.utils import from_networkx, homophily

import ddcore


@pytest.mark.parametrize("seed", range(3))
def test_properties_are_those_of_networkx(seed: int):
    graph = nx.connected_watts_strogatz_graph(20, 4, 0.3, seed=seed)
    y = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(seed))
    a = torch.tensor(nx.to_numpy_array(graph), dtype=torch.float)
    found = properties(a, y)
    assert found["density"] == pytest.approx(nx.density(graph))
    assert found["homophily"] == pytest.approx(homophily(from_networkx(graph).edge_index, y, method="edge"))
    spectrum = np.sort(nx.normalized_laplacian_spectrum(graph))
    assert found["gap"] == pytest.approx(spectrum[1], abs=1e-6)
    assert found["top"] == pytest.approx(spectrum[-1], abs=1e-6)


def test_without_edges_and_of_one_node():
    found = properties(torch.zeros(3, 3), torch.tensor([0, 1, 0]))
    assert found["density"] == found["gap"] == found["top"] == 0
    assert math.isnan(found["homophily"])
    assert properties(torch.zeros(1, 1), torch.tensor([0]))["density"] == 0
    two = properties(torch.tensor([[0.0, 3.0], [3.0, 0.0]]), torch.tensor([1, 1]))
    unknown = properties(torch.tensor([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]), torch.tensor([-1, -1, 0]))
    assert math.isnan(unknown["homophily"])  # no edge is between nodes whose classes are known
    assert two == pytest.approx({"density": 1.0, "homophily": 1.0, "gap": 2.0, "top": 2.0})


def test_artifacts_hold_the_properties_of_their_graph():
    problem = replace(digits_knn(hidden=8), name="graph/digits-knn", render=None)
    graph = nx.cycle_graph(20)
    ring = torch.tensor(nx.to_numpy_array(graph), dtype=torch.float)
    made = DenseGraph(dict.fromkeys(range(10), 2), torch.zeros(20, 64), ring)
    record = {"name": "hand", "preset": None, "options": {}, "paper": None}
    artifact = ddcore.Artifact.of(problem, made, method=record, budget={"ipc": 2}, seed=0)
    spectrum = np.sort(nx.normalized_laplacian_spectrum(graph))
    wanted = {"density": nx.density(graph), "homophily": 0.5, "gap": spectrum[1], "top": spectrum[-1]}
    assert artifact.manifest["properties"] == pytest.approx(wanted, abs=1e-6)


def test_artifacts_hold_the_mean_properties_of_their_graphs(shapes):
    problem = replace(shapes(40), name="graph/tu", render=None)
    artifact = ddcore.distill(problem, "random", ipc=2)
    chosen = [problem.data.take([i]) for i in artifact.synthetic(problem).stored()["ids"].tolist()]
    found = artifact.manifest["properties"]
    assert found["nodes"] == pytest.approx(np.mean([len(b.x) for b in chosen]))
    dense = [b.edges.shape[1] / (len(b.x) * (len(b.x) - 1)) for b in chosen]
    assert found["density"] == pytest.approx(np.mean(dense))
    assert "homophily" not in found  # of their nodes no class is known
