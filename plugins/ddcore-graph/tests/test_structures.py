"""What SimGC, CTRL, MSGC, SGDD, GCSR and Bonsai add: against naive versions and by their properties."""

from __future__ import annotations

import random

import pytest
import torch
from ddcore_graph.batch import Graph
from ddcore_graph.coverage import exemplars, reverse_neighbours
from ddcore_graph.edges import tidied
from ddcore_graph.methods.gcsr import class_structure
from ddcore_graph.models import SGC
from ddcore_graph.objectives.alignment import Alignment, hop_moments, smoothness
from ddcore_graph.objectives.gradient import DirectionAndLength, class_gradients
from ddcore_graph.parametrizations.dense import DenseGraph
from ddcore_graph.parametrizations.graphon import GraphonGraph, GraphonNet, sinkhorn, transport_distance
from ddcore_graph.parametrizations.pair_mlp import PairMLP
from ddcore_graph.parametrizations.self_expressive import SelfExpressiveGraph, reconstruction
from ddcore_graph.parametrizations.several import SeveralGraphs, WeightedEdges, balanced_support
from ddcore_graph.problems import digits_knn, node_problem

from ddcore.loop import Run, optimise
from ddcore.methods.plan import Work

COUNTS = {0: 3, 2: 1, 5: 4}
Y = [0, 0, 0, 2, 5, 5, 5, 5]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_moments_are_of_each_class_hop_by_hop():
    x, a = normal(5, 2), (normal(5, 5, seed=1).abs() > 0.7).double().triu(1)
    a = a + a.T
    found = hop_moments(Graph(x, torch.arange(5), adj=a), {0: 3, 1: 2}, hops=1)
    d = (a + torch.eye(5)).sum(1).rsqrt()
    seen = torch.cat([x, d[:, None] * (a + torch.eye(5)) * d @ x], 1)
    for g, rows in ((0, seen[:3]), (1, seen[3:])):
        assert torch.allclose(found[g][0], rows.mean(0))
        assert torch.allclose(found[g][1], rows.std(0, unbiased=False), atol=1e-6)


def test_smoothness_is_the_double_sum():
    x, a = normal(4, 3), normal(4, 4, seed=1).abs()
    total = sum(a[i, j] * (-(x[i] - x[j]).square() / 2).exp().mean() for i in range(4) for j in range(4))
    assert torch.allclose(smoothness(x, a), -total / a.sum())


def test_simgcs_loss_is_the_same_in_whatever_unit_features_are():
    a = (normal(6, 6, seed=1) > 0).double().triu(1)
    y, split = torch.tensor([0, 0, 0, 1, 1, 1]), {"train": range(6)}
    teacher = SGC(3, 2).double()
    torch.nn.init.zeros_(teacher.head.weight)  # its own loss depends on the features' unit in any case
    found = []
    for unit in (1.0, 0.01):
        problem = node_problem(unit * normal(6, 3), a.nonzero().T, y, split, ["a", "b"])
        graph = DenseGraph({0: 2, 1: 2}, unit * normal(4, 3, seed=2), normal(4, 4, seed=3).abs())
        found.append(next(Alignment(teacher, scale=unit).losses(problem, graph, Run(0))))
    assert torch.allclose(found[0], found[1], atol=1e-6)


def test_simgcs_loss_is_the_dense_one_where_classes_are_unequal():
    a, x = (normal(7, 7, seed=1) > 0).double().triu(1), normal(7, 3)
    z, b = normal(4, 3, seed=2), normal(4, 4, seed=3).abs().triu(1)
    a, b, y = a + a.T, b + b.T, torch.tensor([0, 0, 0, 1, 1, 1, 1])
    problem = node_problem(x, a.nonzero().T, y, {"train": range(7)}, ["a", "b"])
    teacher = SGC(3, 2).double().eval()
    found = next(
        Alignment(teacher, alpha=3.0, beta=0.2, scale=2.0).losses(problem, DenseGraph({0: 3, 1: 1}, z, b), Run(0))
    )

    def hops(x, a):
        a = a + torch.eye(len(a))
        norm = torch.diag(a.sum(1).rsqrt()) @ a @ torch.diag(a.sum(1).rsqrt())
        return [x, norm @ x, norm @ norm @ x]

    log_p = (hops(z, b)[2] @ teacher.head.weight.T + teacher.head.bias).log_softmax(1)
    own = -(log_p[0, 0] + log_p[1, 0] + log_p[2, 0] + log_p[3, 1]) / 4
    real, fake = torch.cat(hops(x, a), 1), torch.cat(hops(z, b), 1)
    many = (fake[:3].mean(0) - real[:3].mean(0)).square().mean()
    many += (fake[:3].std(0, correction=0) - real[:3].std(0, correction=0)).square().mean()
    one = (fake[3] - real[3:].mean(0)).square().mean()  # one node has no deviation
    smooth = sum(b[i, j] * (-(z[i] - z[j]).square() / 8).exp().mean() for i in range(4) for j in range(4)) / b.sum()
    assert torch.allclose(found, own + 3.0 * (many + one / 3) / 2 / 4 - 0.2 * smooth)


@pytest.mark.parametrize("hidden", [None, 4])
def test_ctrls_closed_form_is_its_distance_of_gradients(hidden):
    net, objective = SGC(3, 4, hidden=hidden).double(), DirectionAndLength(beta=0.3)
    problem = digits_knn(hidden=4)
    problem = problem.__class__(**{**problem.__dict__, "task": type(problem.task)(4)})
    batches = [Graph(normal(6, 3, seed=s), torch.arange(6), torch.tensor([1, 1, 1, 2, 2, 2])) for s in (0, 1)]
    sizes = {1: 3, 2: 3}
    fast = objective.distances(problem, net, batches[0], sizes, batches[1], sizes)
    want, have = (class_gradients(problem, net, b, sizes) for b in batches)
    for g in sizes:
        assert torch.allclose(fast[g], objective.compare(have[g], want[g]), atol=1e-7)


def test_ctrl_matches_rows_of_matrices_and_no_biases():
    have, want = ([normal(3, 4, seed=s), normal(3, seed=s + 1)] for s in (0, 5))
    apart = [(a - b).square().sum().sqrt() for a, b in zip(have[0], want[0], strict=True)]
    angles = [1 - a @ b / (a.square().sum() * b.square().sum()).sqrt() for a, b in zip(have[0], want[0], strict=True)]
    assert torch.allclose(DirectionAndLength(beta=1.0).compare(have, want), sum(apart))
    assert torch.allclose(
        DirectionAndLength(beta=0.2).compare(have, want), 0.8 * sum(angles) + 0.2 * sum(apart), atol=1e-5
    )


def test_every_node_has_a_neighbour_in_every_class():
    edges, which = balanced_support(Y, 3, random.Random(0))
    for b in range(3):
        pairs = set(map(tuple, edges[:, which == b].T.tolist()))
        assert all((j, i) in pairs and i != j for i, j in pairs)
        for i, y in enumerate(Y):
            near = {Y[j] for k, j in pairs if k == i}
            assert near >= {0, 2, 5} - ({2} if y == 2 else set())
    assert not torch.equal(edges[:, which == 0], edges[:, which == 1])


def test_several_structures_take_turns_and_are_stored():
    problem = digits_knn(hidden=4)
    edges, which = balanced_support(Y, 3, random.Random(0))
    x = normal(8, 64).float()
    made = WeightedEdges(COUNTS, x, edges, which, random.Random(0), hidden=4)
    seen = {tuple(made.batch(rng=random.Random(s)).edges.flatten().tolist()) for s in range(30)}
    assert len(seen) == 3
    batch = made.batch(rng=random.Random(0))
    weights = {(i, j): w for (i, j), w in zip(batch.edges.T.tolist(), batch.weights.tolist(), strict=True)}
    assert all(abs(w - weights[j, i]) < 1e-6 for (i, j), w in weights.items())
    grads = torch.autograd.grad(problem.loss(problem.new_model(random.Random(0), "sgc"), batch), made.leaves())
    assert all(bool(g.isfinite().all()) for g in grads)
    assert [g["name"] for g in made.param_groups()] == ["rows", "structure"]
    again = SeveralGraphs.reopen(problem, made.config(), made.stored())
    for s in range(3):
        a, b = (m.batch(rng=random.Random(s)) for m in (made, again))
        assert torch.equal(a.edges, b.edges)
        assert torch.allclose(a.weights, b.weights)


def test_pairs_along_all_edges_are_the_grid():
    mlp, x = PairMLP(3, 4).double(), normal(4, 3)
    every = torch.cartesian_prod(torch.arange(4), torch.arange(4)).T
    assert torch.allclose(mlp.along(x, every).view(4, 4), mlp(x), atol=1e-9)


@pytest.mark.parametrize("rho", [1.0, 0.3])
def test_a_graphon_is_a_network_of_pairs_beside_one_of_places(rho):
    """Pair by pair: with rho 1 it is GCond's network, and the layers of the places are multiplied by that one's."""
    net, x, n = GraphonNet(3, 4, rho).double(), normal(5, 3), 5
    pairs = torch.cartesian_prod(torch.arange(n), torch.arange(n)).T

    def layers(mlp, x):
        first = mlp.after_first(mlp.first(torch.cat([x[pairs[0]], x[pairs[1]]], 1))).relu()
        return first, lambda h: mlp.after_second(mlp.second(h)).relu()

    f, second = layers(net.features, x)
    g = second(f)
    places, second = layers(net.coordinates, torch.linspace(-1, 1, n).double()[:, None])
    c = net.coordinates.last(second(places * f) * g)
    wanted = (1 - rho) * c + rho * net.features.last(g)
    assert torch.allclose(net(x), wanted.view(n, n), atol=1e-9)
    if rho == 1:
        assert torch.equal(net(x), net.features(x))


def test_transport_is_zero_between_a_graph_and_itself():
    """Bures' distance: with the identity as plan, n tr K - 2 tr K becomes the trace term alone at n = 2."""
    k = torch.linalg.inv(torch.tensor([[2.0, -1.0], [-1.0, 2.0]], dtype=torch.float64))
    assert float(transport_distance(k, k, torch.eye(2, dtype=torch.float64))) < 1e-9


def test_transport_is_the_matrix_formula():
    a, b, plan = normal(4, 4), normal(3, 3, seed=1), normal(4, 3, seed=2).softmax(1)
    k_x, k_y = a @ a.T + torch.eye(4), b @ b.T + torch.eye(3)
    import numpy as np
    import scipy.linalg

    root = scipy.linalg.sqrtm(k_y.numpy())
    inner = scipy.linalg.sqrtm(root @ plan.T.numpy() @ k_x.numpy() @ plan.numpy() @ root)
    expected = abs(4 * k_y.trace() - 2 * np.trace(inner).real)
    assert torch.allclose(transport_distance(k_x, k_y, plan), expected)


@pytest.mark.parametrize("edges", [[], [(0, 1), (2, 3), (4, 5)], [(i, j) for i in range(6) for j in range(i)]])
def test_transports_slope_is_finite_where_eigenvalues_repeat(edges):
    """Nodes without edges, several components that are alike, and a complete graph; also against the real nodes alone."""
    a = torch.zeros(6, 6, dtype=torch.float64)
    for i, j in edges:
        a[i, j] = a[j, i] = 1
    weights = a.clone().requires_grad_()
    plan = sinkhorn(torch.zeros(4, 6, dtype=torch.float64))  # rank 1
    k_x, k_y = torch.eye(4, dtype=torch.float64), (torch.diag(weights.sum(1) + 1) - weights).inverse()
    found = transport_distance(k_x, k_y, plan)
    (slope,) = torch.autograd.grad(found, [weights])
    assert bool(found.isfinite())
    assert bool(slope.isfinite().all())
    # P is even, 1 / m each: P^T P has one eigenvalue, n / m, on the vector of ones, which K keeps, and the sum is sqrt(n / m)
    assert torch.allclose(found, abs(4 * k_y.trace() - 2 * torch.tensor(6 / 4, dtype=torch.float64).sqrt()))


def test_a_graphon_set_moves_when_its_nodes_are_alike():
    counts, x = {0: 3, 1: 2}, torch.zeros(5, 4)
    made = GraphonGraph(counts, x, torch.zeros(6, 6), random.Random(0), hidden=4, weight=1.0)
    slopes = torch.autograd.grad(made.penalty(), [*made.graphon.parameters(), made.x], allow_unused=True)
    assert all(bool(g.isfinite().all()) for g in slopes if g is not None)


def test_a_plan_has_even_rows_and_columns():
    plan = sinkhorn(normal(6, 3), rounds=200)
    assert torch.allclose(plan.sum(0), torch.ones(3, dtype=torch.float64) * 1, atol=1e-9)
    assert torch.allclose(plan.sum(1), torch.full((6,), 0.5, dtype=torch.float64), atol=1e-6)


def test_the_classes_structure_is_counted_by_hand():
    """Nodes 0, 1 and 2 are of class 4, node 3 of class 7, both for training; node 4 is not. Edges 0-1, 1-3, 3-4: class 4 is once
    with itself, twice within and once with 7; class 7 once with itself and once with 4."""
    edges, _ = tidied([0, 1, 3], [1, 3, 4], 5)
    y = torch.tensor([4, 4, 4, 7, 4])
    names = [str(g) for g in range(8)]
    problem = node_problem(normal(5, 2).float(), edges, y, {"train": [2, 0, 1, 3], "test": [4]}, names)
    found = class_structure(Work(problem, {4: 2, 7: 1}))
    many, few = (3 / 4 / 2, 1 / 4 / 1), (1 / 2 / 2, 1 / 2 / 1)  # a class's share, spread over its nodes
    wanted = [[many[0], many[0], many[1]], [many[0], many[0], many[1]], [few[0], few[0], few[1]]]
    assert torch.allclose(found, torch.tensor(wanted))


def test_the_reconstruction_minimises_what_it_is_said_to():
    x, p, q = normal(5, 3), normal(5, 5, seed=1), normal(5, 5, seed=2)

    def cost(z):
        return (x.T - x.T @ z).square().sum() + 0.3 * (z - p).square().sum() + 0.7 * (z - q).square().sum()

    z = reconstruction(x, p, q, 0.3, 0.7).requires_grad_()
    (slope,) = torch.autograd.grad(cost(z), [z])
    assert float(slope.abs().max()) < 1e-9


def test_p_and_q_follow_the_structure_after_each_update():
    problem = digits_knn(hidden=4)
    made = SelfExpressiveGraph(COUNTS, normal(8, 64).float(), torch.eye(8), tau=0.9, gamma=0.5)

    class Shrink:
        def losses(self, problem, synthetic, run):
            while True:
                run.boundary()
                yield synthetic.x.square().sum()

    optimise(problem, made, Shrink(), steps=1, optimiser=lambda g: torch.optim.SGD(g, lr=0.01))
    z = reconstruction(made.x, torch.eye(8), torch.eye(8), 1.0, 1.0).abs().detach()
    a = (z + z.T) / 2
    assert torch.allclose(made.p, 0.9 * torch.eye(8) + 0.1 * a, atol=1e-6)
    assert torch.allclose(made.q, 0.5 * torch.eye(8) + 0.5 * a, atol=1e-6)


def test_exemplars_cover_the_most_first():
    h = torch.tensor([[0.0], [0.1], [0.2], [5.0], [5.1], [9.0]])
    near = reverse_neighbours(h, 2)
    assert all(i in near[i] for i in range(6))
    # 1 is among the nearest of three, 4 of the other three; then the other class has its turn
    assert exemplars(h, [0, 0, 0, 0, 0, 1], {0: 2, 1: 1}, k=2) == [1, 4, 5]


def test_coverage_starts_over_when_all_are_covered():
    h = torch.zeros(4, 1)
    assert sorted(exemplars(h, [0, 0, 1, 1], {0: 2, 1: 2}, k=4)) == [0, 1, 2, 3]
