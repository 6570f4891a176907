"""What holds for the distances together: how groups are taken, and an update against the formula of its classes."""

import math
from functools import partial

import pytest
import torch
from formulas import CLASS, Given, ends, small, start

from ddcore.objectives.bayesian import BayesianMatching
from ddcore.objectives.classwise import ClasswiseMatching
from ddcore.objectives.gradient import GroupwiseMatching
from ddcore.objectives.layers import LayerMatching
from ddcore.objectives.mmd import KernelMatching
from ddcore.objectives.quantiles import QuantileMatching
from ddcore.rows import Rows
from ddcore.seeds import stream


@pytest.mark.parametrize(
    "objective", [ClasswiseMatching, BayesianMatching, LayerMatching, GroupwiseMatching], ids=lambda o: o.__name__
)
def test_how_groups_are_taken_is_no_option_where_only_one_way_is_right(objective):
    with pytest.raises(TypeError, match="one_by_one"):
        objective(one_by_one=not objective().one_by_one)


def median_of_pairs(x):
    """Of squared distances, the lower one in the middle."""
    apart = sorted((((a - b) ** 2).sum() for i, a in enumerate(x) for j, b in enumerate(x) if i != j), key=float)
    return apart[(len(apart) - 1) // 2]


def by_kernel(t, s):
    v = median_of_pairs(t)
    mean = lambda a, b: sum((-((x - y) ** 2).sum() / (2 * v)).exp() for x in a for y in b) / (len(a) * len(b))  # noqa: E731
    return v * (mean(t, t) - 2 * mean(t, s) + mean(s, s))


def by_quantiles(t, s):
    """CLASS = 16 and two synthetic rows: the fourth and the twelfth smallest."""
    return sum((t.sort(0).values[at] - row).square().sum() for at, row in zip((3, 11), s.sort(0).values)) / 2


def by_likelihood(t, s):
    sigma = (((t - t.mean(0)) ** 2).sum(0) / (len(t) - 1)).sqrt().exp()
    z = (s.mean(0) - t.mean(0)) / sigma
    density = (-(z**2) / 2).exp() / (sigma * math.sqrt(2 * math.pi))
    return -density.log().sum() + 0.8 * 0.5 * (s.mean(0) - t.mean(0)).abs().sum()


@pytest.mark.parametrize(
    ("objective", "formula"),
    [
        (partial(KernelMatching, CLASS), by_kernel),
        (partial(QuantileMatching, CLASS), by_quantiles),
        (partial(BayesianMatching, CLASS, weight=0.0), by_likelihood),
    ],
    ids=["m3d", "lqm", "bacon"],
)
def test_an_update_is_the_formula_of_the_classes_and_moves_the_set_along_it(objective, formula):
    """Whole classes as real rows, under one network; BACON takes a class at a time."""
    drawn = small()
    net, x = drawn.problem.new_model(stream("net")), start().x.detach().requires_grad_()
    with torch.no_grad():
        real = [net(Rows(drawn.data.x[list(drawn.data.ids(g))])).features for g in range(3)]
    each = [formula(real[g], net(Rows(x[2 * g : 2 * g + 2])).features) for g in range(3)]
    steps = 3 if formula is by_likelihood else 1
    losses, moved = ends(objective(networks=Given(net)), steps=steps, drawn=drawn)
    assert losses == pytest.approx([d.item() for d in each] if steps == 3 else [sum(each).item()], rel=1e-9)
    (dx,) = torch.autograd.grad(sum(each), x)
    assert dx.flatten(1).abs().max(1).values.min() > 1e-6
    torch.testing.assert_close(moved, (x - 0.5 * dx).detach(), rtol=1e-8, atol=1e-10)
