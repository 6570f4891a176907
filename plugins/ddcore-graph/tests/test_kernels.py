"""SNTK against the Kronecker form, float64, and the regression on it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from ddcore_graph import problems
from ddcore_graph.batch import Graph
from ddcore_graph.kernels.linear import Propagated
from ddcore_graph.kernels.sntk import SNTK
from ddcore_graph.objectives.kernel import GraphKernel, SquaredProbabilities
from ddcore_graph.parametrizations.features import FeaturesOnly

import ddcore
from ddcore.errors import NotSupported
from ddcore.loop import Run
from ddcore.methods.plan import Work
from ddcore.objectives.kernel import KernelRegression
from ddcore.plugins import installed


def normed(a):
    a = a + torch.eye(len(a), dtype=a.dtype)
    d = a.sum(1).rsqrt()
    return d[:, None] * a * d


def kronecker(x, a, z, b, hops, layers):
    """GC-SNTK's recursion as it is written: the aggregation of all pairs is one matrix on the vectorised kernel."""

    def between(x, a, z, b, norms):
        s = theta = x @ z.T
        both = torch.kron(normed(a), normed(b))
        found = []
        for k in range(hops):
            s, theta = ((both @ m.flatten()).view_as(m) for m in (s, theta))
            if norms is None:
                found.append(s.diagonal().clone())
                u = v = found[-1]
            else:
                u, v = norms[0][k], norms[1][k]
            for _ in range(layers):
                length = (u[:, None] * v).sqrt()
                c = (s / length).clamp(-1, 1)
                s = length * (c * (math.pi - c.acos()) + (1 - c * c).clamp_min(0).sqrt()) / math.pi
                theta = theta * (math.pi - c.acos()) / math.pi + s
        return (found, theta) if norms is None else theta

    own = between(x, a, x, a, None)[0], between(z, b, z, b, None)[0]
    return between(x, a, z, b, own)


def pair():
    g = torch.Generator().manual_seed(0)
    x, z = (torch.randn(n, 3, generator=g, dtype=torch.float64) for n in (5, 4))
    a = (torch.rand(5, 5, generator=g) < 0.5).double().triu(1)
    a = a + a.T
    b = torch.rand(4, 4, generator=g, dtype=torch.float64).triu(1)
    return x, a, z, b + b.T


def test_two_sparse_products_are_the_kronecker_form():
    x, a, z, b = pair()
    real = Graph(x, torch.tensor([3, 0]), edges=a.nonzero().T)
    for layers in (1, 2):
        for hops in (1, 2):
            dense = SNTK(hops, layers)(real, Graph(z, torch.arange(4), adj=b))
            assert torch.allclose(dense, kronecker(x, a, z, b, hops, layers)[[3, 0]], atol=1e-7)
            alone = SNTK(hops, layers)(real, Graph(z, torch.arange(4)))
            assert torch.allclose(alone, kronecker(x, a, z, torch.zeros_like(b), hops, layers)[[3, 0]], atol=1e-7)


def test_the_regression_is_the_one_with_the_kronecker_form():
    x, a, z, _ = pair()
    y = torch.tensor([0, 1, 1, 0, 1])
    problem = problems.node_problem(x, a.nonzero().T, y, {"train": [0, 1, 2, 4], "test": [3]}, "ab", hidden=2)
    nodes = FeaturesOnly({0: 1, 1: 3}, z)
    objective = KernelRegression(GraphKernel(SNTK()), n_real=4, reg=0.5, loss=SquaredProbabilities(), centre=False)
    found = next(objective.losses(problem, nodes, Run(0)))
    alone = torch.zeros(4, 4, dtype=torch.float64)
    k_ts, k_ss = kronecker(x, a, z, alone, 2, 2)[[0, 1, 2, 4]], kronecker(z, alone, z, alone, 2, 2)
    y_s, y_t = torch.eye(2, dtype=torch.float64)[[0, 1, 1, 1]], torch.eye(2, dtype=torch.float64)[y[[0, 1, 2, 4]]]
    inverse = torch.linalg.inv(k_ss + 0.5 * k_ss.trace() / 4 * torch.eye(4))
    naive = ((k_ts @ inverse @ y_s).softmax(1) - y_t).square().mean()
    assert torch.allclose(found, naive, atol=1e-6)


def test_the_linear_kernel_is_of_what_nodes_see():
    x, a, z, b = pair()
    real, fake = Graph(x, torch.tensor([3, 0]), edges=a.nonzero().T), Graph(z, torch.arange(4), adj=b)
    naive = normed(a) @ normed(a) @ x @ (normed(b) @ normed(b) @ z).T
    assert torch.allclose(Propagated(2)(real, fake), naive[[3, 0]])


def test_no_kernel_is_between_all_pairs_of_a_large_graph(monkeypatch, tmp_path):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    monkeypatch.setattr(problems, "KERNEL_NODES", 1000)
    problem = replace(problems.digits_knn(hidden=4), name="graph/digits-knn", render=None)  # 1,797 nodes
    with pytest.raises(NotSupported, match="more than 1,000 nodes"):
        ddcore.distill(problem, "gc-sntk", ipc=1)
    monkeypatch.setattr(SNTK, "__call__", None)
    method, counts = installed().find("method", "sfgc", "graph").load(), dict.fromkeys(problem.data.groups, 1)
    short = {"steps": 2, "syn_steps": 1, "expert_epochs": 10, "max_start_epoch": 1, "experts": 1, "train_epochs": 10}
    options = method.resolve(problem, counts, "quick", {**short, "score_every": 1})
    made = Work(problem, counts).perform(method.plan(problem, counts, options))
    assert bool(made.batch().x.isfinite().all())


def test_the_kernel_is_symmetric_and_positive():
    x, a, _, _ = pair()
    graph = Graph(x, torch.arange(5), adj=a)
    k = SNTK()(graph, graph)
    assert torch.allclose(k, k.T, atol=1e-6)
    assert float(torch.linalg.eigvalsh(k).min()) > -1e-6


def test_gradients_reach_the_features_and_the_edges():
    x, a, z, b = pair()
    z, b = z.requires_grad_(), b.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z, b: SNTK(2, 1)(Graph(x, torch.arange(5), adj=a), Graph(z, torch.arange(4), adj=b + b.T)),
        (z, b),
        atol=1e-4,
    )


def test_what_is_remembered_of_a_real_graph_is_its_own():
    x, a, z, _ = pair()
    real, fake = Graph(x, torch.arange(5), edges=a.nonzero().T), Graph(z, torch.arange(4))
    first = SNTK()(real, fake)
    assert torch.equal(SNTK()(real, fake), first)
    other = Graph(2 * x, torch.arange(5), edges=a.nonzero().T, memo=real.memo)
    assert torch.allclose(SNTK()(other, fake), SNTK()(Graph(2 * x, torch.arange(5), edges=a.nonzero().T), fake))
