"""GDEM: eigenpairs, the factored loss and the graph that an eigenbasis is."""

from __future__ import annotations

import pytest
import torch
from ddcore_graph.batch import Graph
from ddcore_graph.objectives.eigenbasis import EigenbasisMatching, directions_apart
from ddcore_graph.parametrizations.eigenbasis import EigenGraph, block_model_basis
from ddcore_graph.problems import digits_knn
from ddcore_graph.spectrum import laplacian_eigenpairs

from ddcore.errors import NotSupported
from ddcore.loop import Run


def dense_norm(adj):
    a = adj + torch.eye(len(adj), dtype=adj.dtype)
    d = a.sum(1).rsqrt()
    return d[:, None] * a * d


def random_graph(n, seed=0):
    a = (torch.rand(n, n, generator=torch.Generator().manual_seed(seed)) < 0.3).double().triu(1)
    return a + a.T


def test_eigenpairs_are_those_of_the_dense_laplacian():
    for n in (8, 40):
        a = random_graph(n)
        graph = Graph(torch.zeros(n, 2, dtype=torch.float64), torch.arange(n), edges=a.nonzero().T)
        values, vectors = laplacian_eigenpairs(graph, 3, 2)
        laplacian = torch.eye(n, dtype=torch.float64) - dense_norm(a)
        every = torch.linalg.eigvalsh(laplacian)
        assert torch.allclose(values, every[[0, 1, 2, n - 2, n - 1]], atol=1e-8)
        assert torch.allclose(laplacian @ vectors, vectors * values, atol=1e-8)


def test_a_directed_graph_has_no_eigenbasis():
    graph = Graph(torch.zeros(3, 2), torch.arange(3), edges=torch.tensor([[0, 1], [1, 2]]))
    with pytest.raises(NotSupported, match="have directions"):
        laplacian_eigenpairs(graph, 1, 1)


def test_a_whole_basis_gives_the_graph_back():
    a = random_graph(9)
    values, vectors = torch.linalg.eigh(torch.eye(9, dtype=torch.float64) - dense_norm(a))
    made = EigenGraph({0: 9}, torch.zeros(9, 2, dtype=torch.float64), vectors, values)
    assert torch.allclose(made.normed(), dense_norm(a), atol=1e-10)
    assert torch.allclose(made.adjacency(), a, atol=1e-8)


def test_the_factored_distance_is_that_of_outer_products():
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randn(4, 6, generator=g, dtype=torch.float64) for _ in range(2))
    naive = [
        (torch.outer(v, v) / (v @ v) - torch.outer(w, w) / (w @ w)).square().sum() for v, w in zip(a, b, strict=True)
    ]
    assert torch.allclose(directions_apart(a, b), torch.stack(naive))
    assert torch.allclose(directions_apart(a, -3 * a), torch.zeros(4, dtype=torch.float64), atol=1e-12)


def test_the_real_graph_itself_costs_next_to_nothing():
    problem = digits_knn(hidden=4)
    rows = problem.data.take(problem.data.ids())
    values, u = laplacian_eigenpairs(rows, 10, 2)
    counts = dict.fromkeys(problem.data.groups, 2)
    basis = block_model_basis(counts, 12, seed=0)
    assert torch.allclose(basis.T @ basis, torch.eye(12), atol=1e-5)
    made = EigenGraph(counts, torch.randn(20, 64, generator=torch.Generator().manual_seed(0)), basis, values)
    loss = next(EigenbasisMatching(u, 1.0, 0.5, 2.0).losses(problem, made, Run(0)))
    assert all(d is not None for d in torch.autograd.grad(loss, [made.x, made.u]))
    with torch.no_grad():  # the class means that the eigenvectors see are A_hat X where there are all of them
        seen = u.T @ rows.x
        part = directions_apart(seen, basis.T @ made.x).mean()
    only = next(EigenbasisMatching(u, 1.0, 0.0, 0.0).losses(problem, made, Run(0)))
    assert torch.allclose(only, part)
