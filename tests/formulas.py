"""Distances beside their formulas: the small problem, its updates, and gradients by finite differences."""

from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
import toys

from ddcore.experts import Trajectory
from ddcore.loop import optimise
from ddcore.rows import RowSynthetic
from ddcore.seeds import stream

__all__ = [
    "CLASS",
    "SGD",
    "Given",
    "checked",
    "cross_entropy",
    "ends",
    "experts",
    "gradient",
    "numerically",
    "plain",
    "rows",
    "small",
    "start",
    "the_same",
]

SGD = partial(torch.optim.SGD, lr=0.5)
CLASS = 16  # training rows of each class of the small problem


def rows(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def start(n=2, seed=0):
    """n rows of each of three classes of pictures."""
    g = torch.Generator().manual_seed(seed)
    return RowSynthetic(dict.fromkeys(range(3), n), torch.randn(3 * n, 1, 8, 8, generator=g, dtype=torch.float64))


@dataclass(frozen=True)
class Given:
    """One network, always."""

    net: torch.nn.Module

    def networks(self, problem, synthetic, run):
        while True:
            run.boundary()
            yield self.net


def small(**options):
    drawn = toys.recorded(n=90, **options)
    assert all(len(drawn.data.ids(g)) == CLASS for g in range(3))
    return drawn


def ends(objective, steps=3, n=2, optimiser=SGD, drawn=None):
    """Losses and rows after a few updates: equal where objectives are equal."""
    s = start(n)
    run = optimise((drawn or small()).problem, s, objective, steps=steps, optimiser=optimiser)
    return [h["loss"] for h in run.history], s.x.detach()


def the_same(one, other, tolerance=1e-10):
    assert one[0] == pytest.approx(other[0], rel=tolerance)
    torch.testing.assert_close(one[1], other[1], rtol=tolerance, atol=tolerance)


def gradient(f, x):
    x = x.clone().requires_grad_()
    value = f(x)
    return value.item(), torch.autograd.grad(value, x)[0]


def numerically(f, x, h=1e-6):
    """df/dx, one entry at a time, of a function of plain numbers."""
    found = torch.zeros_like(x)
    for i in range(x.numel()):
        e = torch.zeros_like(x).flatten()
        e[i] = h
        found.view(-1)[i] = (f(x + e.view_as(x)) - f(x - e.view_as(x))) / (2 * h)
    return found


def checked(f, reference, x):
    """A distance and its gradient against a formula on plain numbers."""
    value, g = gradient(f, x)
    assert value == pytest.approx(float(reference(x)), rel=1e-9)
    torch.testing.assert_close(g, numerically(reference, x), rtol=1e-5, atol=1e-7)


def cross_entropy(logits, y):
    return (logits.logsumexp(1) - logits[:, y]).mean()


def experts(problem, number=2):
    found = []
    for k in range(number):
        nets = [problem.new_model(stream("expert", k, t)) for t in range(2)]
        found.append(Trajectory("mlp", k, 1, [dict(net.named_parameters()) for net in nets]))
    return found


def plain(drawn):
    return replace(drawn.problem, models={"mlp": lambda: toys.MLP().double()})
