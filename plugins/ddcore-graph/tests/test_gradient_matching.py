"""Gradient matching on nodes: the closed form, the class weights, what moves when."""

from __future__ import annotations

import random

import pytest
import torch
from ddcore_graph.methods.gradient import alternating
from ddcore_graph.models import SGC
from ddcore_graph.objectives.gradient import AtMost, NodeGradientMatching, class_gradients
from ddcore_graph.objectives.linear import class_factors, distance
from ddcore_graph.objectives.networks import TrainedOnGraph
from ddcore_graph.parametrizations.pair_mlp import PairGraph
from ddcore_graph.problems import digits_knn

from ddcore.loop import Run, optimise
from ddcore.objectives.gradient import DISTANCES, GradientMatching
from ddcore.objectives.networks import Fresh


@pytest.fixture(scope="module")
def problem():
    return digits_knn(hidden=8)


@pytest.fixture
def graph(problem):
    counts = {g: 2 + g % 2 for g in problem.data.groups}
    x = torch.randn(sum(counts.values()), 64, generator=torch.Generator().manual_seed(0))
    return PairGraph(counts, x, random.Random(0), hidden=8)


@pytest.mark.parametrize("kind", ["layer-cosine", "layer-cosine+norm", "cosine", "mse"])
@pytest.mark.parametrize("hidden", [None, 5])
def test_the_closed_form_is_the_distance_of_autograds_gradients(problem, graph, kind, hidden):
    net = SGC(64, 10, hidden=hidden).double()
    graph = graph.double()
    real = problem.data.take([i for g in problem.data.groups for i in problem.data.ids(g)])
    real = type(real)(real.x.double(), real.rows, real.y, edges=real.edges)
    sizes = {g: len(problem.data.ids(g)) for g in problem.data.groups}
    fake = graph.batch()
    want, have = (
        class_gradients(problem, net, real, sizes),
        class_gradients(problem, net, fake, graph.counts, graph=True),
    )
    y = problem.task.targets
    real_factors = class_factors(net, real.hops(2)[real.rows], y(real), sizes)
    fake_factors = class_factors(net, fake.hops(2)[fake.rows], y(fake), graph.counts)
    for g in graph.counts:
        for a, b in zip(have[g], fake_factors[g].gradients(), strict=True):
            assert torch.allclose(a, b, atol=1e-12)
        slow = DISTANCES[kind](have[g], want[g])
        fast = distance(kind, fake_factors[g], real_factors[g])
        assert torch.allclose(slow, fast, atol=1e-9)
        (d_slow,) = torch.autograd.grad(slow, [graph.x], retain_graph=True)
        (d_fast,) = torch.autograd.grad(fast, [graph.x], retain_graph=True)
        assert torch.allclose(d_slow, d_fast, atol=1e-7)


@pytest.mark.parametrize("model", ["sgc", "sgc-2", "gcn"])
def test_it_is_the_cores_gradient_matching(problem, graph, model):
    """Where all real nodes are read and classes count alike."""

    class NoDropout(Fresh):
        def networks(self, problem, synthetic, run):
            for net in super().networks(problem, synthetic, run):
                yield net.eval()

    shared = {"n_real": 20, "rows": AtMost(), "networks": NoDropout(model)}
    core = GradientMatching(**shared, one_by_one=False)
    ours = NodeGradientMatching(**shared, weights="equal")
    found = []
    for objective in (core, ours):
        (loss,) = (next(objective.losses(problem, graph, Run(3))),)
        found.append([loss, *torch.autograd.grad(loss, graph.leaves())])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5 * float(a.detach().abs().max()))


def test_a_class_counts_by_its_nodes(problem, graph):
    objective = NodeGradientMatching(networks=TrainedOnGraph(1, 0, model="sgc"))
    net = problem.new_model(random.Random(0), "sgc")
    real = problem.data.take([i for g in problem.data.groups for i in problem.data.ids(g)])
    sizes = {g: len(problem.data.ids(g)) for g in problem.data.groups}
    each = objective.distances(problem, net, real, sizes, graph.batch(), graph.counts)

    class Given(TrainedOnGraph):
        def networks(self, problem, synthetic, run):
            yield net

    weighted = next(NodeGradientMatching(networks=Given()).losses(problem, graph, Run(0)))
    expected = sum(graph.counts[g] / 3 * each[g] for g in each)
    assert torch.allclose(weighted, expected)


def test_at_most_reads_every_node_of_a_small_class_once(problem):
    pick = AtMost().picker(problem, 256)
    assert sorted(pick(None, 3, random.Random(0))) == sorted(problem.data.ids(3))
    assert len(set(AtMost().picker(problem, 5)(None, 3, random.Random(0)))) == 5


def test_edges_move_for_ten_networks_and_features_for_forty(problem, graph):
    """GCond, algorithm 1, with tau_1 = 10 and tau_2 = 40 counted in networks of `outer` updates."""
    moves = alternating(2, 10, 40)
    assert {moves(t) for t in range(20)} == {("structure",)}
    assert {moves(t) for t in range(20, 100)} == {("rows",)}
    assert moves(100) == ("structure",)
    before = {n: p.clone() for n, p in graph.named_parameters()}
    moved: list[set[str]] = []

    def watch(run):
        now = dict(graph.named_parameters())
        moved.append({"x" if n == "x" else "pair" for n, p in now.items() if not torch.equal(p, before[n])})
        before.update({n: p.clone() for n, p in now.items()})

    optimise(
        problem,
        graph,
        NodeGradientMatching(networks=TrainedOnGraph(1, 0, model="sgc")),
        steps=4,
        optimiser=lambda groups: torch.optim.Adam(groups, lr=0.01),
        moves=alternating(1, structure=2, features=2),
        callbacks=[watch],
    )
    assert moved == [{"pair"}, {"pair"}, {"x"}, {"x"}]


def test_a_network_is_trained_on_the_graph_between_updates_and_leaves_it_alone(problem, graph):
    before = {n: p.clone() for n, p in graph.named_parameters()}
    networks = TrainedOnGraph(outer=2, inner=3, model="sgc").networks(problem, graph, Run(0))
    first = next(networks)
    start = {n: p.clone() for n, p in first.named_parameters()}
    loss = problem.loss(first, graph.batch()).item()
    second = next(networks)
    assert second is first
    assert not any(torch.equal(p, start[n]) for n, p in second.named_parameters())
    assert problem.loss(second, graph.batch()).item() < loss
    assert next(networks) is not first
    assert all(torch.equal(p, before[n]) and p.grad is None for n, p in graph.named_parameters())
