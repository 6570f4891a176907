"""Class by class (idm), with half-trained networks that judge the set."""

import copy
import math
from functools import partial

import pytest
import torch
import toys
from formulas import CLASS, Given, cross_entropy, ends, small, start

from ddcore.errors import NotSupported
from ddcore.loop import Run, optimise
from ddcore.methods.distribution_distances import BACON, IDM
from ddcore.objectives.classwise import ClasswiseMatching, mark
from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.networks import Fresh, Queue
from ddcore.problem import Metric, Output
from ddcore.rows import Classification, Rows


def test_the_first_update_of_each_class_is_its_formula():
    """Three updates, by one network that had no training yet, each with its own augmentation."""
    drawn, lr = small(), 0.1
    objective = ClasswiseMatching(CLASS, "match", Queue(start=1, every=100, steps=0), weight=0.5, marked=10)
    losses, x = ends(objective, drawn=drawn, optimiser=partial(torch.optim.SGD, lr=lr))
    net, s = drawn.networks[0], start().x.detach().clone()
    marked, *real = [drawn.data.x[ids] for ids in drawn.data.taken if ids]
    labels = drawn.data.y[next(ids for ids in drawn.data.taken if ids)]
    percent = 100 * (net(Rows(marked)).logits.argmax(1) == labels).double().mean()
    assert len(marked) == 10
    for g, (name, omega) in enumerate(drawn.seeds[0:6:2]):
        assert drawn.seeds[2 * g + 1] == (name, omega)
        mine = s[2 * g : 2 * g + 2].clone().requires_grad_()
        want, out = net(toys.roll(Rows(real[g]), omega)), net(toys.roll(Rows(mine), omega))
        means = (want.features.mean(0) - out.features.mean(0)).square().sum()
        loss = means + 0.5 * percent * cross_entropy(out.logits, g)
        assert losses[g] == pytest.approx(loss.item(), rel=1e-10)
        s[2 * g : 2 * g + 2] -= lr * torch.autograd.grad(loss, mine)[0]
    torch.testing.assert_close(x, s, rtol=1e-10, atol=1e-12)


def test_class_by_class_without_regulariser_and_with_fresh_networks_is_distribution_matching():
    """Whole classes as real batches; three class-wise updates move what one joint update moves."""
    one = small()
    _, x = ends(ClasswiseMatching(CLASS, None, Fresh(), weight=0.0), drawn=one)
    net, classwise = one.networks[0], start().x.detach()
    two = small()
    _, y = ends(DistributionMatching(CLASS, networks=Given(net)), steps=1, drawn=two)
    torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-12)
    assert not torch.equal(x, classwise)


@pytest.mark.parametrize("at", [1, -1])
def test_a_resumed_run_of_the_queue_equals_an_uninterrupted_one(at):
    p, s = toys.case("image", start=True, models={"convnet": toys.dropping})
    adam, saved, whole, cut = partial(torch.optim.Adam, lr=0.05), [], copy.deepcopy(s), copy.deepcopy(s)
    objective = ClasswiseMatching(8, "match", Queue(start=2, every=2, most=3, steps=2, size=8), marked=8)
    a = optimise(p, whole, objective, steps=20, optimiser=adam, checkpoint=lambda take: saved.append(take()))
    assert 0 < saved[at]["step"] < 20
    b = optimise(p, cut, objective, steps=20, optimiser=adam, resume=saved[at])
    assert torch.equal(whole.x, cut.x)
    assert a.history == b.history


def test_a_networks_mark_goes_from_its_worst_to_its_best():
    class Scored(Classification):
        metrics = (Metric("error", low=10.0, high=30.0, higher_is_better=False),)

        def score(self, pairs):
            return {"error": 15.0}

    run = Run(0)
    assert mark(toys.image(task=Scored(3)), toys.ConvNet(), 4, run) == 0.75
    perfect = lambda b: Output(Classification(3).targets(b), b.x.flatten(1))  # noqa: E731
    assert mark(toys.image(), perfect, 20, run) == 1.0


@pytest.mark.parametrize("method", [IDM, BACON], ids=lambda m: m.name)
def test_a_metric_without_a_range_weighs_nothing(method):
    class Unbounded(Classification):
        metrics = (Metric("error", high=math.inf, higher_is_better=False),)

    assert method.resolve(toys.image(), {0: 1})
    with pytest.raises(NotSupported, match="its metric error has no range"):
        method.resolve(toys.image(task=Unbounded(3)), {0: 1})
