"""Gradient matching beside its formulas: a small network, updates by hand, and runs that are one another."""

import copy
from functools import partial

import pytest
import torch
import toys
from torch import nn

from ddcore.loop import optimise
from ddcore.problem import Output
from ddcore.rows import Rows, RowSynthetic

__all__ = [
    "REAL",
    "SGD",
    "Small",
    "equals",
    "gradient",
    "layer_cosine",
    "mse",
    "resumes",
    "same",
    "sides",
    "start",
    "total",
    "update",
]

SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.5)
REAL = {"outer": 2, "steps": 1, "size": 8, "augment": "train"}


class Small(nn.Module):
    """Weights of two and of four dimensions, biases."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 3), nn.Linear(2 * 9, 3)

    def forward(self, b):
        z = torch.tanh(nn.functional.avg_pool2d(self.conv(b.x), 2)).flatten(1)
        return Output(self.head(z), z)


def start(rows=2, groups=3):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(groups * rows, 1, 8, 8, generator=g, dtype=torch.float64)
    return RowSynthetic(dict.fromkeys(range(groups), rows), x)


def update(objective, drawn, s, steps=1, seed=0):
    """Losses of the steps, and dL/dS of the last."""
    found = []

    def watched(groups):
        opt = SGD(groups)
        opt.register_step_pre_hook(lambda *_: found.append(s.x.grad.clone()))
        return opt

    run = optimise(drawn.problem, s, objective, steps=steps, optimiser=watched, seed=seed)
    return [record["loss"] for record in run.history], found[-1]


def same(first, second, steps=4, groups=3):
    """Both objectives give the same run, bit for bit."""
    ends = []
    for objective in (first, second):
        s = start(groups=groups)
        ends.append((update(objective, toys.recorded(Small), s, steps), s.x.detach()))
    (losses, g), x = ends[0]
    (other_losses, other_g), other_x = ends[1]
    assert losses == other_losses
    assert torch.equal(g, other_g)
    assert torch.equal(x, other_x)


def gradient(net, x, label):
    """Of the cross-entropy of rows of one class, by parameter."""
    loss = -net(Rows(x)).logits.log_softmax(1)[:, label].mean()
    return torch.autograd.grad(loss, list(net.parameters()), create_graph=True)


def layer_cosine(have, want):
    total = 0.0
    for a, b in zip(have, want):
        for u, v in zip(a, b) if a.ndim > 1 else ():
            u, v = u.flatten(), v.flatten()
            total = total + 1 - u @ v / (u.norm() * v.norm() + 1e-6)
    return total


def mse(have, want):
    return sum((a - b).square().sum() for a, b in zip(have, want))


def total(gradients):
    return [sum(parts) for parts in zip(*gradients)]


def sides(drawn, x, groups=3):
    """(network, [(have, want) of each group that was drawn]) of the first update."""
    net, seeds, taken = copy.deepcopy(drawn.networks[0]), iter(drawn.seeds), iter(drawn.data.taken)
    rows = len(x) // groups

    def augmented(batch):
        if not drawn.seeds:
            return batch
        return toys.roll(Rows(batch), next(seeds)[1]).x

    pairs = []
    for g in range(min(groups, len(drawn.data.taken))):
        want = gradient(net, augmented(drawn.data.x[next(taken)]), g)
        pairs.append((gradient(net, augmented(x[g * rows : (g + 1) * rows]), g), [w.detach() for w in want]))
    return net, pairs


def equals(objective, formula, groups=3, **options):
    """Loss and dL/dS of an update are those of `formula(net, pairs)`."""
    drawn, s = toys.recorded(Small), start(groups=groups, **options)
    x = s.x.detach().clone().requires_grad_()
    (loss, *_), g = update(objective, drawn, s)
    expected = formula(*sides(drawn, x, groups))
    (dx,) = torch.autograd.grad(expected, x)
    assert loss == pytest.approx(expected.item(), rel=1e-9)
    assert dx.abs().max() > 1e-6
    assert torch.allclose(g, dx, rtol=1e-8, atol=1e-10)


def resumes(objective, s_of, drawn_of, steps=6):
    """A run that is taken up from each of its checkpoints ends like an uninterrupted one."""
    shots = []
    s = s_of()
    optimise(
        drawn_of().problem,
        s,
        objective,
        steps=steps,
        optimiser=SGD,
        checkpoint=lambda take: shots.append(copy.deepcopy(take())),
    )
    assert len(shots) > 1
    for shot in shots[1:]:
        again = s_of()
        optimise(drawn_of().problem, again, objective, steps=steps, optimiser=SGD, resume=shot)
        assert torch.equal(again.x, s.x)
