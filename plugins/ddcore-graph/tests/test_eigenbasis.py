"""GDEM: eigenpairs, the factored loss and the graph that an eigenbasis is."""

from __future__ import annotations

import pytest
import torch
from ddcore_graph.batch import Graph
from ddcore_graph.objectives.eigenbasis import EigenbasisMatching, directions_apart
from ddcore_graph.parametrizations.eigenbasis import EigenGraph, block_model_basis
from ddcore_graph.problems import node_problem
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


def test_gdems_loss_is_the_dense_one():
    """With classes of unequal size, eigenvectors of the set that are not orthogonal, and (d, d) projections written out."""
    a, y = random_graph(12), torch.arange(12) % 3 // 2  # two of three nodes are of class 0
    x = torch.randn(12, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    problem = node_problem(x, a.nonzero().T, y, {"train": list(range(9)), "val": [9, 10, 11]}, "ab", hidden=2)
    values, u = laplacian_eigenpairs(problem.data.take([0]), 3, 1)
    counts = {0: 2, 1: 3}
    noise = 0.1 * torch.randn(5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    basis = block_model_basis(counts, 4, seed=0).double() + noise
    z = torch.randn(5, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    made = EigenGraph(counts, z, basis, values)
    loss = next(EigenbasisMatching(u, 1.0, 0.5, 2.0).losses(problem, made, Run(0)))
    assert all(d is not None for d in torch.autograd.grad(loss, [made.x, made.u]))

    def projected(x, u):
        return [torch.outer(v, v) / (v @ v) for v in (u.T @ x)]

    def class_means(x, u, parts):
        seen = u @ torch.diag(1 - values) @ u.T @ x  # A_hat X, as the eigenvectors have it
        return [seen[rows].mean(0) for rows in parts]

    pairs = zip(projected(x, u), projected(z, basis), strict=True)
    match = torch.stack([(p - q).square().sum() for p, q in pairs]).mean()
    real = class_means(x, u, [[i for i in range(9) if y[i] == g] for g in (0, 1)])
    fake = class_means(z, basis, [[0, 1], [2, 3, 4]])
    cosine = [[(h @ k) / (h.norm() * k.norm()) - float(i == j) for j, k in enumerate(fake)] for i, h in enumerate(real)]
    classes = torch.tensor(cosine, dtype=torch.float64).square().mean()
    orthogonal = (basis.T @ basis - torch.eye(4)).square().mean()
    assert torch.allclose(loss, match + 0.5 * classes + 2.0 * orthogonal)


def test_a_block_models_basis_is_orthogonal():
    basis = block_model_basis(dict.fromkeys(range(10), 2), 12, seed=0)
    assert torch.allclose(basis.T @ basis, torch.eye(12), atol=1e-5)
