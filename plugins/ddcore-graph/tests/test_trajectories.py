"""Trajectories on nodes: the student through inner products is the student; easy nodes come first."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from ddcore_graph.data import NodeData
from ddcore_graph.difficulty import easy_first, neighbour_entropy
from ddcore_graph.kernels.sntk import SNTK
from ddcore_graph.objectives.best import BestOnVal, kernel_score
from ddcore_graph.objectives.trajectory import KnowledgeEmbedding, NodeTrajectoryMatching
from ddcore_graph.problems import digits_knn

from ddcore.experts import Training, train_experts
from ddcore.loop import Run, optimise
from ddcore.objectives.trajectory import Segment, TrajectoryMatching, Window


@pytest.fixture(scope="module")
def problem():
    return digits_knn(hidden=6)


@pytest.fixture(scope="module")
def experts(problem, tmp_path_factory):
    import os

    before = os.environ.get("DDCORE_CACHE")
    os.environ["DDCORE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    try:
        training = Training(20, 0.2, size=300, augment=None, stride=10)
        paths = train_experts(problem, 2, training, model="gcn-plain")
        return [type(p)(p.model, p.seed, p.stride, [dict(s) for s in p.snapshots]) for p in paths]
    finally:
        os.environ.pop("DDCORE_CACHE")
        if before is not None:
            os.environ["DDCORE_CACHE"] = before


@pytest.fixture
def nodes(problem):
    made = problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))
    return made.learn_step_size().start_step_size(0.3)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("steps", [1, 7, 120])
def test_the_student_is_the_cores(problem, experts, nodes, steps, soft):
    if soft:
        nodes.learn_labels("probabilities", torch.rand(20, 10, generator=torch.Generator().manual_seed(0)))
    found = []
    for kind in (TrajectoryMatching, NodeTrajectoryMatching):
        objective = kind(Window(experts, 10, span=10), steps, augment=None, memory="graph")
        loss = next(objective.losses(problem, nodes, Run(1)))
        found.append([loss.detach(), *torch.autograd.grad(loss, nodes.leaves())])
    for slow, fast in zip(*found, strict=True):
        assert torch.allclose(slow, fast, rtol=1e-3, atol=1e-4 * float(slow.abs().max()))


def test_geoms_distance_is_of_lengths_not_of_squares(problem, experts, nodes):
    start, target, end = (experts[0].snapshots[i] for i in (0, 2, 1))
    left, went = (sum((a[k].double() - target[k].double()).square().sum() for k in target).sqrt() for a in (end, start))
    objective = KnowledgeEmbedding(Window(experts, 10, span=10), 3, augment=None)
    found = objective.distance(end, Segment("gcn-plain", start, target))
    assert float(found) == pytest.approx(float(left / went), rel=1e-4)


def test_knowledge_is_the_divergence_from_soft_labels(problem, experts, nodes):
    nodes.learn_labels("probabilities", torch.full((20, 10), 0.1))
    window = Window(experts, 10, span=10)
    plain = KnowledgeEmbedding(window, 3, augment=None, experts=experts[:1], beta=0.0)
    known = KnowledgeEmbedding(window, 3, augment=None, experts=experts[:1], beta=0.5)
    a, b = (next(o.losses(problem, nodes, Run(1))) for o in (plain, known))
    net = problem.new_model(random.Random(0), "gcn-plain")
    net.load_state_dict(dict(experts[0].teacher))
    batch = nodes.batch()
    p, q = net(batch).logits.softmax(1), batch.y
    assert torch.allclose(b - a, 0.5 * (q * (q.log() - p.log())).sum(1).mean(), atol=1e-5)


def test_the_best_state_on_val_is_the_result(problem, nodes):
    """Each update moves the features somewhere else; the scores of the states are looked up afterwards."""
    kernel, states = SNTK(1, 1), []

    class Wander:
        def losses(self, problem, synthetic, run):
            while True:
                run.boundary()
                direction = torch.randn(synthetic.x.shape, generator=torch.Generator().manual_seed(run.step))
                yield (synthetic.x * direction).sum()

    def look(run):
        states.append(nodes.x.detach().clone())

    objective = BestOnVal(Wander(), kernel, every=1)
    nodes.log_step_size.requires_grad_(False)
    optimise(problem, nodes, objective, steps=5, optimiser=lambda g: torch.optim.SGD(g, lr=0.1), callbacks=[look])
    kept, scores = nodes.x.detach().clone(), []
    for x in states:
        nodes.x.data.copy_(x)
        scores.append(kernel_score(problem, nodes, kernel, 1.0))
    assert torch.equal(kept, states[scores.index(max(scores))])
    assert len(set(scores)) > 1


def test_a_node_among_its_own_class_is_easy():
    #  0-1-2 are of class 0, 3 of class 1; 2 and 3 are neighbours; 4 is not for training
    edges = torch.tensor([[0, 1, 1, 2, 2, 3, 4, 0], [1, 0, 2, 1, 3, 2, 0, 4]])
    data = NodeData(torch.zeros(5, 1), edges, torch.tensor([0, 0, 0, 1, 1]), {"train": [2, 0, 1, 3], "test": [4]})
    half = torch.tensor(0.5, dtype=torch.float64)
    entropy = neighbour_entropy(data)
    assert torch.allclose(entropy[[0, 1]], torch.zeros(2, dtype=torch.float64))
    assert torch.allclose(entropy[2], -(2 / 3 * torch.log(2 * half * 2 / 3) + 1 / 3 * torch.log(half * 2 / 3)))
    assert torch.allclose(entropy[3], -torch.log(half))
    ordered = easy_first(replace(digits_knn(), data=data)).data
    assert ordered.ids(0) == [0, 1, 2]
    assert ordered.ids() == data.ids()
