"""Runs that are stopped and taken up again, or done twice, end the same."""

import copy

import pytest
import torch
import toys
from scripted import ADAM, same
from torch import nn

from ddcore.loop import optimise
from ddcore.objectives.distribution import DistributionMatching, PooledDistributionMatching
from ddcore.objectives.gradient import GradientMatching
from ddcore.objectives.networks import TrainedOnSet


def dropout():
    return toys.case("image", models={"convnet": toys.dropping})


class Noisy(nn.Module):
    """Lives in the state, draws when made, and moves at every update."""

    def __init__(self, rng):
        super().__init__()
        self.weight = nn.Parameter(torch.full((4,), rng.random()))


class Adversary:
    """A network and its optimiser outlive the boundaries."""

    def losses(self, problem, synthetic, run):
        psi = run.keep("psi", lambda rng: Noisy(rng))
        opt = run.keep("opt", lambda rng: torch.optim.Adam(psi.parameters(), lr=0.1))
        run.state.setdefault("seen", [])
        while True:
            run.boundary()
            net = problem.new_model(run.rng)
            for _ in range(2):
                loss = net(synthetic.batch(rng=run.rng)).logits.square().mean() * psi.weight.square().sum()
                yield loss
                opt.zero_grad()
                (psi.weight - run.rng.random()).square().sum().backward()
                opt.step()
                run.state["seen"].append(run.step)


OBJECTIVES = {
    "networks": GradientMatching(8, augment="match", networks=TrainedOnSet(outer=3)),
    "fresh": DistributionMatching(n_real=8),
    "pool": PooledDistributionMatching(n_real=8, pool=3, renew=2),
    "adversary": Adversary(),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("at", [0, 1, -1])
def test_a_resumed_run_equals_an_uninterrupted_one(name, at):
    p, s = dropout()
    whole, saved = copy.deepcopy(s), []
    a = optimise(p, whole, OBJECTIVES[name], steps=13, optimiser=ADAM, checkpoint=lambda take: saved.append(take()))
    assert saved[0]["step"] == 0 < saved[-1]["step"] < 13
    cut = copy.deepcopy(s)
    b = optimise(p, cut, OBJECTIVES[name], steps=13, optimiser=ADAM, resume=saved[at])
    assert same(whole, cut)
    assert a.history == b.history


def test_a_checkpoint_is_as_of_its_boundary_and_costs_nothing_unless_taken():
    p, s = dropout()
    asked, taken = [], []

    def every_third(take):
        asked.append(1)
        if len(asked) % 3 == 0:
            taken.append(take())

    t = copy.deepcopy(s)
    optimise(p, s, OBJECTIVES["fresh"], steps=9, optimiser=ADAM, checkpoint=every_third)
    assert [c["step"] for c in taken] == [2, 5, 8]
    optimise(p, t, OBJECTIVES["fresh"], steps=5, optimiser=ADAM)
    assert torch.equal(taken[1]["synthetic"]["x"], t.x)
    assert len(taken[1]["history"]) == 5


def test_a_run_may_be_resumed_twice_from_one_checkpoint():
    p, s = dropout()
    saved, ends = [], []
    optimise(p, copy.deepcopy(s), Adversary(), steps=6, optimiser=ADAM, checkpoint=lambda take: saved.append(take()))
    for _ in range(2):
        t = copy.deepcopy(s)
        optimise(p, t, Adversary(), steps=12, optimiser=ADAM, resume=saved[-1])
        ends.append(t)
    assert same(*ends)


def test_what_is_kept_must_be_rebuilt():
    class Forgetful:
        def losses(self, problem, synthetic, run):
            run.state.setdefault("net", problem.new_model(run.rng))
            while True:
                run.boundary()
                yield synthetic.x.sum()

    p, s = toys.case("image")
    saved = []
    optimise(p, s, Forgetful(), steps=2, optimiser=ADAM, checkpoint=lambda take: saved.append(take()))
    with pytest.raises(RuntimeError, match=r"\['net'\]; make them with run.keep"):
        optimise(p, s, Forgetful(), steps=4, optimiser=ADAM, resume=saved[0])


class NoBoundary:
    def losses(self, problem, synthetic, run):
        net = problem.new_model(run.rng)
        while True:
            yield problem.loss(net, synthetic.batch(rng=run.rng))  # dropout


@pytest.mark.parametrize("objective", [GradientMatching(n_real=8), NoBoundary()], ids=lambda o: type(o).__name__)
def test_twice_in_one_process_and_the_global_generator_is_left_alone(objective):
    ends, before = [], torch.get_rng_state()
    for _ in range(2):
        p, s = dropout()
        optimise(p, s, objective, steps=6, optimiser=ADAM)
        ends.append(s)
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(3)  # other work in between
        before = torch.get_rng_state()
    assert same(*ends)


def test_another_seed_is_another_run():
    ends = []
    for seed in (0, 1):
        p, s = toys.case("image")
        optimise(p, s, DistributionMatching(n_real=8), steps=3, optimiser=ADAM, seed=seed)
        ends.append(s)
    assert not same(*ends)
