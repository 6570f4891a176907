"""Training on a set written out in plain autograd, and what trajectory matching and meta-learning are compared with it on."""

import random

import pytest
import torch
import torch.nn.functional as F
import toys
from torch import nn
from torch.func import functional_call

from ddcore.distillation import resolve_method
from ddcore.experts import Trajectory
from ddcore.loop import Run
from ddcore.methods.plan import Work
from ddcore.objectives.trajectory import Segment
from ddcore.rows import RowSynthetic
from ddcore.seeds import torch_seeded

NAMES = ("body.weight", "body.bias", "head.weight", "head.bias")


class Small(toys.MLP):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(64, 4), nn.Linear(4, 3)
        self.double()


def problem(**changes):
    data = toys.pictures(60, torch.float64)
    return toys.image(**{"data": data, "models": {"small": Small}, "augmentations": {}, **changes})


def start(rows=1, step_size=0.3):
    x = torch.randn(3 * rows, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    s = RowSynthetic(dict.fromkeys(range(3), rows), x, step_size=step_size).double()
    return s.learn_step_size()


def experts(number=2, epochs=4, p=None):
    """Gradient descent on all real rows, one step an epoch."""
    p, found = p or problem(), []
    everything = p.data.take(p.data.ids())
    for k in range(number):
        net = p.new_model(random.Random(k))
        opt, path = torch.optim.SGD(net.parameters(), lr=0.5), []
        for _ in range(epochs + 1):
            path.append({name: q.detach().clone() for name, q in net.named_parameters()})
            opt.zero_grad()
            p.loss(net, everything).backward()
            opt.step()
        found.append(Trajectory("small", k, 1, path))
    return found


class Fixed:
    """A stretch that is known."""

    def __init__(self, expert=None, t=1, span=2):
        path = (expert or experts(1)[0]).snapshots
        self.segment = Segment("small", path[t], path[t + span])

    def draw(self, run):
        return self.segment


def update(objective, s, p=None, seed=0):
    """The value of the first update, and dL/dS by leaf."""
    s.zero_grad(set_to_none=True)
    with torch_seeded("a test"):
        updates = objective.losses(p or problem(), s, Run(seed))
        loss = next(updates)
        updates.close()
    if loss is not None and loss.requires_grad:
        torch.autograd.backward(loss, inputs=s.leaves())
    return loss, [q.grad for q in s.leaves()]


def logits(x, theta):
    w, b, v, c = (theta[k] for k in NAMES)
    return F.relu(x.flatten(1) @ w.T + b) @ v.T + c


def cross_entropy(x, y, theta):
    z = logits(x, theta)
    return (torch.logsumexp(z, 1) - (z * y).sum(1)).mean()


def one_hot(rows=1):
    return torch.eye(3, dtype=torch.float64).repeat_interleave(rows, 0)


def squared(a, b):
    return sum(((a[k] - b[k]) ** 2).sum() for k in NAMES)


def student(x, y, log_eta, theta, steps, *, forget=False):
    r"""theta_0 .. theta_N; with `forget` each one's gradient is taken as if theta_i did not depend on x."""
    path = [{k: q.detach().clone().requires_grad_() for k, q in theta.items()}]
    for _ in range(steps):
        here = {k: q.detach().requires_grad_() for k, q in path[-1].items()} if forget else path[-1]
        g = torch.autograd.grad(cross_entropy(x, y, here), [here[k] for k in NAMES], create_graph=True)
        path.append({k: path[-1][k] - log_eta.exp() * d for k, d in zip(NAMES, g)})
    return path


def copies(s):
    return s.x.detach().clone().requires_grad_(), s.log_step_size.detach().clone().requires_grad_()


def by_name(s, grads):
    return dict(zip((n for n, _ in s.named_parameters()), grads, strict=True))


def assert_equal(s, found, loss, x, log_eta, rel=1e-9):
    value, grads = found
    assert value.item() == pytest.approx(loss.item(), rel=rel)
    want_x, want_eta = torch.autograd.grad(loss, [x, log_eta])
    got = by_name(s, grads)
    assert want_x.abs().max() > 1e-6 < want_eta.abs()
    assert torch.allclose(got["x"], want_x, rtol=1e-6, atol=1e-6 * float(want_x.abs().max()))
    assert torch.allclose(got["log_step_size"], want_eta, rtol=1e-6)


def sgd(lr=1.0, lr_step=0.1):
    return lambda groups: torch.optim.SGD(
        [{**g, "lr": lr_step if g["name"] == "step_size" else lr} for g in groups], momentum=0.5
    )


def double(blocks=2, steps=5):
    """A picture problem in float64 without augmentation, and a set on it that prescribes its training (none with 0 steps)."""
    seen = toys.recorded()
    s = toys.case("image", start=True)[1].double()
    with torch.no_grad():
        s.x.add_(0.1 * torch.randn(s.x.shape, generator=torch.Generator().manual_seed(2)))
    if steps:
        s.prescribe(steps, blocks, 0.1)
        with torch.no_grad():
            s.log_step_size.add_(torch.linspace(0, 0.5, steps))
    return seen, s


def loss_of(net, theta, x, y):
    return torch.nn.functional.cross_entropy(functional_call(net, theta, (toys.Rows(x, y),)).logits, y)


def soft_loss_of(net, theta, x, y):
    """Cross-entropy of probabilities y."""
    return -(y * functional_call(net, theta, (toys.Rows(x),)).logits.log_softmax(1)).sum(1).mean()


def trained_by_hand(net, s, rows, etas, momentum=0.0, soft=None):
    """SGD written out, with the graph of every step; towards the probabilities `soft` where there are some."""
    y = torch.tensor([0, 0, 1, 1, 2, 2]) if soft is None else soft
    theta, v = {k: p.detach().requires_grad_() for k, p in net.named_parameters()}, {}
    of = loss_of if soft is None else soft_loss_of
    for ids, eta in zip(rows, etas, strict=True):
        g = torch.autograd.grad(of(net, theta, s.x[ids], y[ids]), theta.values(), create_graph=True)
        v = {k: d + momentum * v.get(k, 0.0) for k, d in zip(theta, g, strict=True)}
        theta = {k: theta[k] - eta * v[k] for k in theta}
    return theta


CHEAP = {"steps": 4, "syn_steps": 3, "experts": 2, "train_epochs": 3, "max_start_epoch": 2, "batch_train": 8}


def made(method, seed=0, ipc=2, **options):
    p = problem()
    found = resolve_method(method, p)
    stages = found.plan(p, dict.fromkeys(range(3), ipc), found.resolve(p, {0: ipc}, "quick", {**CHEAP, **options}))
    work = Work(p, dict.fromkeys(range(3), ipc), seed)
    return work.perform(stages), work.history
