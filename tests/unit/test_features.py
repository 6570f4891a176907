"""The frame of distribution matching: with feature means it is DM, on every modality and however the rows are read."""

from dataclasses import dataclass
from functools import partial

import pytest
import torch
import toys

from ddcore.loop import optimise
from ddcore.objectives import pieces
from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.features import FeatureMatching

SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.5)


@dataclass(frozen=True)
class Means(FeatureMatching):
    def distance(self, real, fake, g, run):
        return (real[0].mean(0) - fake[0].mean(0)).square().sum()


@dataclass(frozen=True)
class MeansAndLosses(Means):
    def judged(self, problem, judge, batch, out):
        return (problem.task.losses(out, batch),)

    def distance(self, real, fake, g, run):
        return super().distance(real, fake, g, run) + fake[1].mean()


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("name", toys.ALL)
def test_means_of_features_are_distribution_matching(name, one_by_one):
    ends, histories = [], []
    for objective in (DistributionMatching, Means):
        p, s = toys.case(name)
        run = optimise(p, s, objective(n_real=16, augment="match", one_by_one=one_by_one), steps=3, optimiser=SGD)
        ends.append(torch.cat([q.detach().flatten() for q in s.leaves()]))
        histories.append([h["loss"] for h in run.history])
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-5)
    assert histories[0] == pytest.approx(histories[1], rel=1e-4)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_means_of_features_under_double_precision(batch_norm, monkeypatch):
    monkeypatch.setitem(pieces.PIECE, "cpu", 1)  # 16 real rows in one forward
    found = []
    for objective in (DistributionMatching, Means):
        drawn = toys.recorded(toys.ConvNet, batch_norm=batch_norm)
        s = drawn.problem.synthetic(dict.fromkeys(range(3), 2), drawn.data.take([0, 3, 1, 4, 2, 5]), None)
        torch.manual_seed(0)
        run = optimise(drawn.problem, s, objective(n_real=40, augment="match"), steps=3, optimiser=SGD)
        found.append((s.x.detach(), torch.tensor([h["loss"] for h in run.history])))
    torch.testing.assert_close(*(x for x, _ in found), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(*(losses for _, losses in found), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", toys.ALL)
def test_losses_of_rows_are_the_same_group_by_group_and_together(name):
    found = []
    for one_by_one in (True, False):
        p, s = toys.case(name)
        gradient = []

        def sgd(groups, s=s, gradient=gradient):
            opt = SGD(groups)
            opt.register_step_pre_hook(
                lambda *_: gradient.append(torch.cat([q.grad.flatten() for q in s.leaves() if q.grad is not None]))
            )
            return opt

        run = optimise(p, s, MeansAndLosses(n_real=16, one_by_one=one_by_one), steps=1, optimiser=sgd)
        found.append((gradient[0], run.history[0]["loss"]))
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-4)
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-3, atol=1e-5)
