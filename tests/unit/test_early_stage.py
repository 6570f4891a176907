"""Networks of an early stage (acc-dd): experts, moved along their filters."""

import random

import pytest
import torch
import toys
from gradients import REAL, SGD, Small, gradient, mse, resumes, same, start, update

from ddcore.experts import Trajectory
from ddcore.loop import Run, optimise
from ddcore.objectives.gradient import GroupwiseMatching
from ddcore.objectives.networks import TrainedOnReal
from ddcore.objectives.starts import EarlyStage


def expert(drawn, seed=0):
    net = drawn.problem.new_model(random.Random(seed))
    end = {name: p.detach().clone() + 1 for name, p in net.named_parameters()}
    return Trajectory("net", seed, 1, [{name: p.detach().clone() for name, p in net.named_parameters()}, end])


def test_acc_dd_starts_at_an_expert_moved_along_filters():
    drawn = toys.recorded(Small)
    experts = [expert(drawn, seed) for seed in range(2)]
    policy, run, gaps = EarlyStage(**REAL, experts=experts, least=0.02, most=0.05), Run(0), set()
    for _ in range(12):
        net = policy.start(drawn.problem, start(), run)
        found = dict(net.named_parameters())
        (theta,) = [e.snapshots[-1] for e in experts if torch.equal(e.snapshots[-1]["conv.bias"], found["conv.bias"])]
        gaps.add(round((found["conv.weight"] - theta["conv.weight"]).norm().item(), 9))
        for name, p in found.items():
            if p.ndim == 1:
                assert torch.equal(p, theta[name])
                continue
            for row, before in zip(p, theta[name]):
                moved = ((row - before).norm() / before.norm()).item()
                assert 0 < moved < 2 * 0.05  # two directions
    assert len(gaps) == 12


def test_acc_dd_compares_what_idc_does_in_an_expert_moved_by_two_draws():
    """The draws in their order: the expert, its network, two lengths with their signs, normal directions weight by weight."""
    drawn, s = toys.recorded(Small), start()
    experts = [expert(drawn, seed) for seed in range(2)]
    networks = EarlyStage(**REAL, experts=experts, least=0.1, most=0.3)
    (loss,), g = update(GroupwiseMatching(n_real=6, networks=networks), drawn, s)
    rng, net = Run(0).rng, Small().double()
    theta = {name: p.clone() for name, p in rng.choice(experts).snapshots[-1].items()}
    rng.getrandbits(63)  # of a network whose parameters are replaced
    lengths = [rng.choice((-1, 1)) * rng.uniform(0.1, 0.3) for _ in range(2)]
    normal = torch.Generator().manual_seed(rng.getrandbits(63))
    for name in ("conv.weight", "head.weight"):
        filters = theta[name].flatten(1)
        moved = filters.clone()
        for length in lengths:
            d = torch.randn(filters.shape, generator=normal, dtype=torch.float64)
            moved += length * torch.stack([v / v.norm() * w.norm() for v, w in zip(d, filters)])
        theta[name] = moved.view_as(theta[name])
    net.load_state_dict(theta)
    x = start().x.detach().requires_grad_()
    want = gradient(net, drawn.data.x[drawn.data.taken[0]], 0)
    expected = mse(gradient(net, x[:2], 0)[:1], [w.detach() for w in want[:1]])
    (dx,) = torch.autograd.grad(expected, x)
    assert loss == pytest.approx(expected.item(), rel=1e-8)
    assert torch.allclose(g, dx, rtol=1e-7, atol=1e-12)
    assert dx.any()


def test_acc_dd_without_experts_and_perturbation_is_idc():
    same(
        GroupwiseMatching(4, augment="match", networks=EarlyStage(**REAL, most=0.0)),
        GroupwiseMatching(4, augment="match", networks=TrainedOnReal(**REAL)),
        steps=14,
    )


def test_acc_dd_with_experts_resumes():
    experts = [expert(toys.recorded(Small), seed) for seed in range(2)]
    objective = GroupwiseMatching(4, networks=EarlyStage(**REAL, experts=experts))
    resumes(objective, start, lambda: toys.recorded(Small), steps=14)


def test_acc_dd_leaves_its_experts_as_they_are():
    drawn = toys.recorded(Small)
    one = expert(drawn)
    before = {name: p.clone() for name, p in one.snapshots[-1].items()}
    optimise(
        drawn.problem, start(), GroupwiseMatching(4, networks=EarlyStage(**REAL, experts=[one])), steps=9, optimiser=SGD
    )
    assert all(torch.equal(before[name], p) for name, p in one.snapshots[-1].items())
