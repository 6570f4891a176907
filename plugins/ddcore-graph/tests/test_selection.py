"""Selection and coarsening, against other libraries and against what they promise."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch
from ddcore_graph.centrality import degrees, pagerank
from ddcore_graph.coarsening import coarse_weights, laplacian, local_variation, neighbourhoods, smoothest
from ddcore_graph.data import NodeData
from ddcore_graph.edges import tidied
from ddcore_graph.problems import digits_knn
from ddcore_graph.virtual_nodes import carrying
from scipy import sparse

import ddcore
from ddcore.errors import NotSupported


@pytest.fixture(scope="module")
def digits():
    return replace(digits_knn(hidden=16), name="graph/digits-knn", render=None)


def drawn(directed: bool = False, n: int = 30, seed: int = 0) -> NodeData:
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, n - 2, (2, 60))
    edges, w = tidied(source, target, n, rng.random(60) + 0.1, directed=directed)
    y = torch.arange(n) % 3
    return NodeData(torch.randn(n, 4), edges, y, {"train": range(15), "test": range(15, n)}, weights=w)


@pytest.mark.parametrize("directed", [False, True])
def test_pagerank_and_degrees_are_networkx(directed: bool):
    part = drawn(directed).whole
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(part.x)))
    graph.add_weighted_edges_from(
        (a, b, w) for (a, b), w in zip(part.edges.T.tolist(), part.weights.tolist(), strict=True)
    )
    for damping in (0.85, 0.5):
        wanted = nx.pagerank(graph, alpha=damping, tol=1e-12, max_iter=1000)
        found = pagerank(part, damping, tolerance=1e-12)
        assert torch.allclose(
            found, torch.tensor([wanted[i] for i in range(len(part.x))], dtype=torch.double), atol=1e-9
        )
    into = dict(graph.in_degree(weight="weight"))
    assert torch.allclose(
        degrees(part), torch.tensor([into[i] for i in range(len(part.x))], dtype=torch.float), atol=1e-5
    )


@pytest.mark.parametrize(("method", "measure"), [("degree", degrees), ("pagerank", pagerank)])
def test_the_most_central_nodes_of_each_class_are_selected(digits, method: str, measure):
    made = ddcore.distill(digits, method, ipc=3).synthetic(digits)
    value = measure(digits.data.whole)
    for g in digits.data.groups:
        ids = list(digits.data.ids(g))
        chosen = [made.chosen[i] for i in made.ids(g)]
        assert set(chosen) <= set(ids)
        assert min(value[chosen]) >= max(value[[i for i in ids if i not in chosen]])


def test_averaging_and_clustering_are_means_of_training_nodes(digits):
    data, counts = digits.data, dict.fromkeys(digits.data.groups, 4)
    mean = {g: data.whole.x[list(data.ids(g))].mean(0) for g in counts}
    averaged = ddcore.distill(digits, "averaging", ipc=4).synthetic(digits)
    clustered = ddcore.distill(digits, "clustering", ipc=4).synthetic(digits)
    smooth = ddcore.distill(digits, "clustering", ipc=20, options={"hops": 2}).synthetic(digits)
    hops = data.take(list(data.ids())).hops(2)
    for g in counts:
        assert torch.allclose(averaged.batch(g).x, mean[g].expand(4, -1), atol=1e-6)
        batch = clustered.batch(g)
        members = torch.cdist(data.whole.x[list(data.ids(g))], batch.x).argmin(1)
        assert len(members.unique()) == 4
        found, wanted = smooth.batch(g).x, hops[list(data.ids(g))]  # as many clusters as nodes: each is one
        assert torch.allclose(torch.cdist(found, wanted).amin(1), torch.zeros(20), atol=1e-3)


# ---------------------------------------------------------------------------------------------------------------------
# variation neighbourhoods


def weights(n: int = 80, seed: int = 1):
    graph = nx.connected_watts_strogatz_graph(n, 4, 0.2, seed=seed)
    rng = np.random.default_rng(seed)
    for a, b in graph.edges:
        graph[a][b]["weight"] = rng.random() + 0.5
    return sparse.csr_array(nx.to_scipy_sparse_array(graph))


def test_the_smoothest_signals_are_the_laplacians():
    w = weights()
    lap = laplacian(w).toarray()
    assert np.allclose(lap, nx.laplacian_matrix(nx.from_scipy_sparse_array(w)).toarray())
    other = weights(70, seed=2)
    two = sparse.csr_array(sparse.block_diag([w, other]))
    for graph, components in ((w, 1), (two, 2), (weights(20), 1)):
        whole = laplacian(graph).toarray()
        a, values = smoothest(graph, 5, 0), np.linalg.eigvalsh(whole)[components : components + 5]
        assert np.allclose((a**2).sum(0), 1 / values, rtol=1e-3)
        assert np.abs(whole @ a - values * a).max() < 1e-2


def test_the_cost_of_a_set_is_its_local_variation():
    w, nodes = weights(), np.array([3, 4, 5, 9])
    a = smoothest(w, 5, 0)
    degree, dense = np.asarray(w.sum(1)).ravel(), w.toarray()
    # the Laplacian of the edges within the set, and of those that leave it, which count twice and end in a node that stays 0
    lap = np.zeros((4, 4))
    for i, p in enumerate(nodes):
        for q in range(len(dense)):
            if q in nodes:
                lap[i, i] += dense[p, q]
                lap[i, list(nodes).index(q)] -= dense[p, q]
            else:
                lap[i, i] += 2 * dense[p, q]
    b = a[nodes] - a[nodes].mean(0)
    assert local_variation(w, degree, a, nodes) == pytest.approx(np.linalg.norm(b.T @ lap @ b) / 3)


def test_coarse_weights_are_sums_between_sets():
    w, member = weights(12), np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3])
    found = coarse_weights(w, member).toarray()
    for a in range(4):
        for b in range(4):
            wanted = 0 if a == b else w.toarray()[np.ix_(member == a, member == b)].sum()
            assert found[a, b] == pytest.approx(wanted)


def test_contracted_sets_are_connected_and_as_few_as_asked_for():
    w = weights(60)
    labelled = np.zeros(60, dtype=bool)
    labelled[::3] = True
    member = neighbourhoods(w, labelled, 8)
    assert len(np.unique(member[labelled])) <= 8
    assert sorted(set(member)) == list(range(member.max() + 1))
    graph = nx.from_scipy_sparse_array(w)
    assert all(nx.is_connected(graph.subgraph(np.flatnonzero(member == s).tolist())) for s in set(member))
    assert np.array_equal(neighbourhoods(w, labelled, 20), np.arange(60))
    alone = neighbourhoods(sparse.csr_array((5, 5)), np.ones(5, dtype=bool), 2)
    assert len(set(alone)) == 5


def test_a_contracted_graph_has_at_most_the_budget(digits):
    made = ddcore.distill(digits, "variation-neighborhoods", ratio=0.2).synthetic(digits)
    batch = made.batch()
    assert len(batch.rows) == sum(made.counts.values()) <= 40
    assert torch.equal(batch.adj, batch.adj.T)
    assert not batch.adj.diagonal().any()
    assert batch.y.tolist() == [g for g, n in made.counts.items() for _ in range(n)]


# ---------------------------------------------------------------------------------------------------------------------
# virtual nodes


def test_edges_carry_what_arrives():
    g = torch.Generator().manual_seed(0)
    a = torch.rand(4, 4, generator=g) * (1 - torch.eye(4))
    p = torch.randn(4, 9, generator=g)
    assert torch.allclose(carrying(p, a @ p), a, atol=1e-4)
    assert (carrying(p, -a @ p) == 0).all()


def test_virtual_nodes_are_means_of_their_class(digits):
    made = ddcore.distill(digits, "vng", ipc=2, options={"epochs": 3}).synthetic(digits)
    low, high = ((f(digits.data.whole.x[list(digits.data.ids(3))], 0)).values for f in (torch.min, torch.max))
    batch = made.batch()
    x = batch.x[batch.rows[batch.y == 3]]
    assert ((x >= low - 1e-6) & (x <= high + 1e-6)).all()
    assert (batch.adj >= 0).all()
    again = ddcore.distill(digits, "vng", ipc=2, options={"epochs": 3}).synthetic(digits).batch()
    assert torch.equal(batch.adj, again.adj)


# ---------------------------------------------------------------------------------------------------------------------
# every method


@pytest.mark.parametrize("method", ["degree", "pagerank", "averaging", "clustering", "vng", "variation-neighborhoods"])
def test_methods_of_one_graph_refuse_many(method: str, shapes):
    problem = replace(shapes(40), name="graph/tu")
    with pytest.raises(NotSupported, match="its rows are no nodes"):
        ddcore.distill(problem, method, ipc=1)
