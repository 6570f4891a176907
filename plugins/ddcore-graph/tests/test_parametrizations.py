"""Learned edges: symmetric, bounded, reached by gradients, the same after storing."""

from __future__ import annotations

import json
import random

import pytest
import torch
from ddcore_graph.parametrizations.dense import DenseGraph
from ddcore_graph.parametrizations.eigenbasis import EigenGraph, block_model_basis
from ddcore_graph.parametrizations.graphon import GraphonGraph
from ddcore_graph.parametrizations.pair_mlp import PairGraph, PairMLP
from ddcore_graph.parametrizations.self_expressive import SelfExpressiveGraph
from ddcore_graph.problems import digits_knn
from torch import nn

COUNTS = {0: 3, 2: 1, 5: 4}


@pytest.fixture(scope="module")
def problem():
    return digits_knn(hidden=8)


def features(d=6, seed=0):
    return torch.randn(sum(COUNTS.values()), d, generator=torch.Generator().manual_seed(seed))


SETS = {
    "pair": lambda x: PairGraph(COUNTS, x, random.Random(0), hidden=5),
    "eigenbasis": lambda x: EigenGraph(COUNTS, x, block_model_basis(COUNTS, 5, 0), torch.linspace(0, 1.2, 5)),
    "graphon": lambda x: GraphonGraph(COUNTS, x, torch.ones(4, 4) - torch.eye(4), random.Random(0), hidden=5),
    "self-expressive": lambda x: SelfExpressiveGraph(COUNTS, x, torch.eye(8)),
}


@pytest.fixture(params=SETS)
def graph(request):
    return SETS[request.param](features())


def test_edges_are_symmetric_without_loops_and_within_bounds(graph):
    a = graph.adjacency()
    assert torch.allclose(a, a.T, atol=1e-6)
    assert not a.diagonal().any()
    assert float(a.detach().min()) >= 0


def test_gradients_reach_features_and_edges(graph):
    weights = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    ((graph.adjacency() * weights).sum() + graph.x.sum() + graph.penalty()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in graph.leaves())


def test_groups_name_every_leaf_once(graph):
    groups = graph.param_groups()
    assert [g["name"] for g in groups] == (["rows", "structure"] if graph.structure() else ["rows"])
    assert sorted(map(id, graph.leaves())) == sorted(id(p) for g in groups for p in g["params"])


def test_a_batch_is_the_whole_graph_with_its_target_nodes(graph):
    batch = graph.batch([5, 0])
    assert batch.rows.tolist() == [4, 5, 6, 7, 0, 1, 2]
    assert batch.y.tolist() == [5, 5, 5, 5, 0, 0, 0]
    assert batch.x.shape == (8, 6)


def test_a_set_is_stored_as_the_graph_that_it_makes(problem, graph):
    again = type(graph).reopen(problem, json.loads(json.dumps(graph.config())), graph.stored())
    assert type(again) is DenseGraph
    assert torch.equal(again.adjacency(), graph.adjacency())
    assert torch.equal(again.batch().x, graph.batch().x)
    assert again.batch().y.tolist() == graph.batch().y.tolist()


def test_light_edges_are_left_out(graph):
    a = graph.adjacency()
    kept = graph.decoded(threshold=float(a.median())).adjacency()
    assert torch.equal(kept, torch.where(a >= a.median(), a, 0))


def test_labels_are_learned_and_stored(problem, graph):
    graph.learn_labels("values", torch.full((8, 10), 0.1))
    assert graph.label_kind == "values"
    assert [g["name"] for g in graph.param_groups()][:2] == ["rows", "labels"]
    again = type(graph).reopen(problem, graph.config(), graph.stored())
    assert again.batch().y is None
    assert torch.allclose(again.batch().values, torch.full((8, 10), 0.1))


def test_the_pair_network_is_the_one_on_concatenated_pairs():
    """GCond's network, pair by pair, with torch's BatchNorm."""
    mlp, x = PairMLP(6, 5).double(), features().double()
    with torch.no_grad():
        for p in mlp.parameters():
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()), dtype=torch.float64))
    pairs = torch.cat([x.repeat_interleave(8, 0), x.repeat(8, 1)], 1)
    naive = nn.Sequential(mlp.first, mlp.after_first, nn.ReLU(), mlp.second, mlp.after_second, nn.ReLU(), mlp.last)
    assert torch.allclose(mlp(x), naive(pairs).view(8, 8), atol=1e-9)


@pytest.mark.parametrize("degree", [0.5, 1.0, 100.0])
def test_edges_start_as_heavy_as_asked_for_and_weigh_a_half_at_most(degree):
    real, rng = torch.ones(4, 4) - torch.eye(4), random.Random(0)
    pairs = PairGraph(COUNTS, features(), rng, hidden=5, degree=degree)
    graphon = GraphonGraph(COUNTS, features(), real, rng, hidden=5, degree=degree)
    for graph, nets in (
        (pairs, [pairs.pair]),
        (graphon, [graphon.graphon.features, graphon.graphon.coordinates]),
    ):
        for net in nets:  # without what is drawn
            nn.init.zeros_(net.last.weight)
        assert torch.allclose(graph.adjacency().sum(1), torch.full((8,), min(degree, 7 / 2)))
