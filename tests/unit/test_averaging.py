"""Schedules of the learning rate, and averages over the states of a run."""

import copy
from functools import partial

import torch
import toys
from scripted import ADAM

from ddcore.loop import optimise
from ddcore.objectives.distribution import DistributionMatching


def states(**how):
    """The rows after each of eight updates, and at the end."""
    p, s = toys.case("image", start=True)
    found = [s.x.detach().clone()]
    sgd = partial(torch.optim.SGD, lr=0.5)
    seen = lambda run: found.append(s.x.detach().clone())  # noqa: E731
    optimise(p, s, DistributionMatching(n_real=8), steps=8, optimiser=sgd, callbacks=[seen], **how)
    return found, s.x.detach()


def test_a_schedule_multiplies_the_learning_rate():
    plain, _ = states()
    scheduled, _ = states(schedule=lambda step: 0.1 if step >= 1 else 1.0)
    assert torch.equal(scheduled[1], plain[1])
    assert torch.allclose(scheduled[2] - scheduled[1], 0.1 * (plain[2] - plain[1]), atol=1e-6)


def test_the_average_is_exponential_over_the_states():
    found, end = states(averaging=0.8)
    mean = found[0]
    for x in found[1:]:
        mean = 0.8 * mean + 0.2 * x
    assert torch.allclose(end, mean, atol=1e-6)
    assert torch.equal(found[-1], states()[1])  # the run itself is not touched by it


def test_an_average_survives_a_resume():
    p, s = toys.case("image", start=True)
    whole, cut, saved = copy.deepcopy(s), copy.deepcopy(s), []
    how = {"steps": 9, "optimiser": ADAM, "averaging": 0.9, "schedule": lambda step: 1 / (1 + step)}
    optimise(p, whole, DistributionMatching(8), **how, checkpoint=lambda take: saved.append(take()))
    optimise(p, cut, DistributionMatching(8), **how, resume=saved[4])
    assert torch.equal(whole.x, cut.x)
