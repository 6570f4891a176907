"""Corruptions of graphs: how much they take, and that undirected edges stay undirected."""

import torch
from ddcore_graph.batch import Graph
from ddcore_graph.corrupt import PART, dropped_edges, dropped_features


def graph(n=60):
    a = torch.bernoulli(torch.full((n, n), 0.2), generator=torch.Generator().manual_seed(0)).triu(1)
    edges = (a + a.T).nonzero().T
    return Graph(torch.ones(n, 40), torch.arange(n), edges=edges, weights=torch.arange(edges.shape[1]).float())


def test_a_fifth_of_the_features_is_gone():
    g = graph()
    out = dropped_features(g, 1)
    assert abs((out.x == 0).float().mean() - PART) < 0.03
    assert torch.equal(out.x, dropped_features(g, 1).x)
    assert torch.equal(g.x, torch.ones_like(g.x))


def test_a_fifth_of_the_edges_is_gone_in_both_directions():
    g = graph()
    out = dropped_edges(g, 1)
    assert abs(1 - out.edges.shape[1] / g.edges.shape[1] - PART) < 0.08
    left = set(map(tuple, out.edges.T.tolist()))
    assert left == {(b, a) for a, b in left}
    at = {tuple(e): w for e, w in zip(g.edges.T.tolist(), g.weights.tolist())}
    assert [at[tuple(e)] for e in out.edges.T.tolist()] == out.weights.tolist()
    assert out.propagate(g.x).isfinite().all()
    dense = Graph(torch.ones(3, 2), torch.arange(3), adj=torch.zeros(3, 3))
    assert dropped_edges(dense, 0) is dense
