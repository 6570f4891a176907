"""Whole graphs: edges as logits, the light kernel, DosCond's and KiDD's losses."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from ddcore_graph.graph_data import GraphData
from ddcore_graph.graphs import Graphs
from ddcore_graph.kernels.gntk import LiteGNTK
from ddcore_graph.objectives.whole_graphs import GraphKernelRegression, RelativeMatching
from ddcore_graph.parametrizations.graphs import GraphSet
from ddcore_graph.parametrizations.logits import LogitGraphs, LowRankGraphs

import ddcore
from ddcore.errors import NotSupported
from ddcore.kernels.relu import arc_cosine
from ddcore.loop import Run, optimise
from ddcore.plugins import installed
from ddcore.rows import Classification

COUNTS = {0: 2, 1: 1}


def start(n=3, s=4, d=3):
    g = torch.Generator().manual_seed(0)
    adj = (torch.rand(n, s, s, generator=g) < 0.5).float().triu(1)
    mask = torch.ones(n, s, dtype=torch.bool)
    mask[1, 3] = False
    adj = (adj + adj.transpose(1, 2)) * mask[:, :, None] * mask[:, None]
    return torch.randn(n, s, d, generator=g), adj, mask


@pytest.fixture(params=["full", "low rank"])
def graphs(request):
    if request.param == "full":
        return LogitGraphs(COUNTS, *start(), cooling=4, sparsity=0.1)
    return LowRankGraphs(COUNTS, *start(), rank=4, cooling=4, sparsity=0.1)


def test_without_a_draw_the_edges_are_those_of_the_start(graphs):
    assert torch.equal(graphs.batch().adj, start()[1])


def test_drawn_edges_are_symmetric_between_nodes_that_are_there(graphs):
    a = graphs.batch(rng=random.Random(0)).adj
    assert torch.allclose(a, a.transpose(1, 2))
    assert not a.diagonal(dim1=1, dim2=2).any()
    assert not a[1, 3].any()
    assert bool(((a >= 0) & (a <= 1)).all())
    assert not torch.equal(a, graphs.batch(rng=random.Random(1)).adj)


def test_an_edge_is_drawn_as_often_as_its_probability_says():
    made = LogitGraphs({0: 1}, torch.zeros(1, 60, 1), torch.zeros(1, 60, 60), torch.ones(1, 60, dtype=torch.bool))
    made.edge_logits.data.fill_(0.8)
    made.updates.fill_(10_000)  # cold: there or not
    a = made.batch(rng=random.Random(0)).adj
    share = float(a.detach().sum() / (60 * 59))
    assert abs(share - torch.tensor(0.8).sigmoid()) < 3 * (0.25 / (60 * 59 / 2)) ** 0.5
    assert bool(((a < 0.01) | (a > 0.99)).double().mean() > 0.95)


def test_the_temperature_falls_with_the_updates(graphs):
    seen = []
    for _ in range(6):
        seen.append(graphs.temperature)
        graphs.project()
    assert seen == pytest.approx([1, 0.01**0.25, 0.1, 0.01**0.75, 0.01, 0.01])


def test_more_edges_than_at_first_cost(graphs):
    assert float(graphs.penalty().detach()) == pytest.approx(0, abs=1e-6)
    for p in graphs.param_groups()[1]["params"]:
        p.data = (
            p.data.abs() if isinstance(graphs, LowRankGraphs) else p.data + 3
        )  # of what is positive the products are
    density = (graphs.logits().sigmoid() * graphs.pairs).sum() / graphs.pairs.sum()
    more = float(density.detach()) - graphs.density
    assert more > 0
    assert float(graphs.penalty().detach()) == pytest.approx(0.1 * more)


def test_the_set_is_stored_as_its_graphs(graphs):
    again = GraphSet.reopen(None, graphs.config(), graphs.stored())
    a, b, c = graphs.batch(), again.batch(), graphs.decoded().batch()
    for other in (b, c):
        assert torch.equal(a.adj, other.adj)
        assert torch.equal(a.x, other.x)
        assert torch.equal(a.mask, other.mask)


def sparse(x, adj, mask, y):
    nodes, edges, graph, first = [], [], [], 0
    for i in range(len(x)):
        here = mask[i].nonzero().flatten()
        nodes.append(x[i, here])
        edges.append(adj[i][here][:, here].nonzero().T.flip(0) + first)
        graph += [i] * len(here)
        first += len(here)
    return Graphs(torch.cat(nodes), y, edges=torch.cat(edges, 1), graph=torch.tensor(graph))


def test_the_light_kernel_is_the_naive_one():
    x, adj, mask = (t.double() if t.is_floating_point() else t for t in start())
    y, layers, c = torch.tensor([0, 0, 1]), 3, 1e-2
    dense = Graphs(x, y, adj=adj, mask=mask)
    found = LiteGNTK(layers, c)(dense, dense)
    naive = torch.zeros(3, 3, dtype=torch.float64)
    parts = []
    for i in range(3):
        here = mask[i].nonzero().flatten()
        a = adj[i][here][:, here] + torch.eye(len(here))
        d = a.sum(1).rsqrt()
        parts.append((x[i, here], d[:, None] * a * d))
    for i, (x1, a1) in enumerate(parts):
        for j, (x2, a2) in enumerate(parts):
            sigma = a1 @ (x1 @ x2.T + c) @ a2.T
            u, v = ((a @ (z @ z.T + c) @ a.T).diagonal() for z, a in ((x1, a1), (x2, a2)))
            value, slope = arc_cosine(sigma, u[:, None], v)
            theta = sigma * 2 * slope + 2 * value
            for _ in range(layers - 1):
                theta = a1 @ theta @ a2.T
            naive[i, j] = theta.mean()
    assert torch.allclose(found, naive, atol=1e-6)
    assert torch.allclose(LiteGNTK(layers, c)(sparse(x, adj, mask, y), dense), naive, atol=1e-6)


def toy():
    g = random.Random(0)
    nodes, edges, y, first = [], [], [], 0
    for i in range(40):  # rings and stars
        n, star = g.randint(4, 6), i % 2
        pairs = [(0, j) for j in range(1, n)] if star else [(j, (j + 1) % n) for j in range(n)]
        edges += [(a + first, b + first) for p in pairs for a, b in (p, p[::-1])]
        nodes.append(n)
        y.append(star)
        first += n
    edges.sort(key=lambda e: e[1])
    from ddcore_graph.models import graph_zoo
    from ddcore_graph.recipes import GRAPH_LEVEL

    from ddcore.problem import Problem

    ids = list(range(40))
    data = GraphData(
        torch.ones(first, 3),
        torch.tensor(nodes),
        torch.tensor(edges).T,
        torch.tensor(y),
        {"train": ids[:30], "test": ids[30:]},
    )
    zoo = graph_zoo(3, 2, hidden=64)
    return Problem("graph/toy", data, Classification(2), zoo, lambda *_: None, GRAPH_LEVEL)


def test_both_objectives_reach_features_and_edges_and_go_down(graphs):
    problem = toy()
    for objective in (RelativeMatching(n_real=8), GraphKernelRegression(n_real=16, reg=1e-2)):
        loss = next(objective.losses(problem, graphs, Run(0)))
        assert all(float(d.abs().sum()) > 0 for d in torch.autograd.grad(loss, graphs.leaves()))
    run = optimise(
        problem,
        graphs,
        GraphKernelRegression(n_real=30, reg=1e-2),
        steps=30,
        optimiser=lambda groups: torch.optim.Adam(groups, lr=0.05),
    )
    assert run.history[-1]["loss"] < run.history[0]["loss"]


def test_kidds_loss_is_regression_and_difference():
    problem, kernel, (x, adj, mask) = toy(), LiteGNTK(3), start()
    made = GraphSet(COUNTS, x.double(), adj.double(), mask)
    problem.data.x = torch.randn(len(problem.data.x), 3, generator=torch.Generator().manual_seed(1)).double()
    found = next(GraphKernelRegression(kernel, 30, 0.1, 0.7).losses(problem, made, Run(0)))
    real, fake = problem.data.take(range(30)), made.batch()
    k_ts, k_ss = kernel(real, fake), kernel(fake, fake)
    y = torch.tensor([[1, 0], [1, 0], [0, 1]]).double()
    prediction = k_ts @ torch.linalg.inv(k_ss + 0.1 * k_ss.trace() / 3 * torch.eye(3)) @ y
    right = prediction.log_softmax(1)[torch.arange(30), real.y]
    diagonal = k_ss.diagonal().sqrt()
    naive = -right.mean() + 0.7 * (k_ss / diagonal[:, None] / diagonal - torch.eye(3)).norm()
    assert torch.allclose(found, naive)


@pytest.mark.parametrize(("name", "options"), [("doscond-graphs", {}), ("kidd", {}), ("kidd", {"rank": 2})])
def test_graphs_are_condensed_and_reopened(shapes, tmp_path, name, options):
    problem = replace(shapes(60, hidden=8), name="graph/tu", render=None)
    made = ddcore.distill(problem, name, ipc=2, options={"steps": 2, "n_real": 8, **options}, out=tmp_path / "set")
    batch, again = (a.synthetic(problem).batch() for a in (made, ddcore.open(tmp_path / "set")))
    assert batch.y.tolist() == [0, 0, 1, 1]
    assert torch.equal(batch.adj, again.adj)
    assert torch.equal(batch.x, again.x)
    assert torch.equal(batch.adj, batch.adj.transpose(1, 2))
    assert set(batch.adj.unique().tolist()) <= {0.0, 1.0}
    assert problem.loss(problem.new_model(random.Random(0)), again).isfinite()


def test_the_relative_distance():
    have, want = [torch.tensor([1.0, 2.0]), None], [torch.tensor([0.0, 4.0]), torch.tensor([3.0])]
    assert float(RelativeMatching().compare(have, want)) == pytest.approx((1 + 4) / (16 + 9))


@pytest.mark.parametrize("name", ["gcond", "doscond", "gcdm", "gc-sntk", "cgc", "sfgc", "gdem", "bonsai"])
def test_methods_of_nodes_refuse_whole_graphs(name):
    method = installed().find("method", name, "graph").load()
    with pytest.raises(NotSupported, match="rows are no nodes; doscond-graphs and kidd"):
        method.resolve(toy(), {0: 1, 1: 1})


@pytest.mark.parametrize(("name", "rate"), [("NCI1", 1.0), ("DD", 2.0), ("MUTAG", 0.1)])
def test_the_papers_rates_go_by_the_data_whichever_problem_reads_it(tmp_path, name, rate):
    held = {"edge_index": np.array([[0, 2], [1, 3]]), "node_ptr": np.array([0, 2, 4]), "graph_label": np.array([0, 1])}
    np.savez(tmp_path / f"{name}.npz", **held)
    method = installed().find("method", "doscond-graphs", "graph").load()
    for problem in (
        ddcore.load("graph/tu", tmp_path / f"{name}.npz"),
        ddcore.load("graph/tu", tmp_path, name=name),
    ):
        assert method.resolve(problem, {0: 1, 1: 1}, "paper").lr_structure == rate
