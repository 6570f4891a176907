"""GCDM's loss against a naive float64 version."""

from __future__ import annotations

import random

import torch
from ddcore_graph.objectives.receptive_fields import ReceptiveFieldMatching
from ddcore_graph.parametrizations.pair_mlp import PairGraph
from ddcore_graph.problems import digits_knn

from ddcore.loop import Run
from ddcore.seeds import stream


def test_the_loss_is_of_dense_class_means():
    problem = digits_knn(hidden=5)
    counts = {g: 1 + g % 3 for g in problem.data.groups}
    x = torch.randn(sum(counts.values()), 64, generator=torch.Generator().manual_seed(0))
    graph = PairGraph(counts, x, random.Random(0), hidden=4)
    loss = next(ReceptiveFieldMatching(model="gcn-plain").losses(problem, graph, Run(5)))
    net = problem.new_model(stream(5, "run", 0), "gcn-plain").double()
    w, b, v, c = (p.detach() for p in net.parameters())

    def embedded(x, a):
        a = a + torch.eye(len(a), dtype=torch.float64)
        d = a.sum(1).rsqrt()
        a = d[:, None] * a * d
        h = (a @ x @ w.T + b).relu()
        return torch.cat([h, a @ h @ v.T + c], 1)

    whole, y = problem.data.take(problem.data.ids()), torch.tensor([g for g, n in counts.items() for _ in range(n)])
    a = torch.zeros(len(whole.x), len(whole.x), dtype=torch.float64)
    a[whole.edges[1], whole.edges[0]] = 1
    real, fake = embedded(whole.x.double(), a)[whole.rows], embedded(x.double(), graph.adjacency().detach().double())
    means = [real[whole.y == g].mean(0) for g in counts]
    size = sum(m @ m for m in means) / len(means)
    naive = sum((m - fake[y == g].mean(0)).square().sum() for g, m in zip(counts, means, strict=True)) / size
    assert torch.allclose(loss.detach().double(), naive, rtol=1e-4)
    assert all(d is not None for d in torch.autograd.grad(loss, graph.leaves()))


def test_networks_go_down_the_same_loss_between_updates():
    problem = digits_knn(hidden=5)
    nodes = problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))
    updates = ReceptiveFieldMatching(outer=3, inner=5, model="gcn-plain").losses(problem, nodes, Run(0))
    losses = [float(next(updates).detach()) for _ in range(3)]
    assert losses[2] < losses[1] < losses[0]
