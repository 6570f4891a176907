"""Each method beside what it is made of: its ancestor where its own idea is off, and its formula written plainly in float64."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
import toy
from ddcore_audio.fixed_start import FixedNetwork, FixedStart
from ddcore_audio.models import ConvNet
from ddcore_audio.objectives import ContrastiveMeans
from torch import nn
from torch.func import functional_call

import ddcore
from ddcore.loop import Run
from ddcore.objectives.meta import BackpropThroughTraining
from ddcore.problem import Output
from ddcore.rows import RowData, Rows, RowSynthetic

pytestmark = pytest.mark.usefixtures("cache")


def run(problem, method, **options):
    """The set's rows and the losses of its updates."""
    made = ddcore.distill(problem, method, ipc=2, seed=1, options=options)
    return made.tensors["x"], [record["loss"] for record in made.history]


# ---------------------------------------------------------------------------------------------------------------------
# without its idea a method is its ancestor


TRAJECTORIES = {
    "steps": 2,
    "experts": 1,
    "train_epochs": 2,
    "expert_epochs": 1,
    "syn_steps": 2,
    "max_start_epoch": 1,
    "memory": "graph",
}
GRADIENTS = {"steps": 6, "n_real": 4, "inner": 1, "outer": 2, "lr": 0.1, "augment": "match"}
MEANS = {"steps": 3, "n_real": 8, "lr": 2.0, "start": "real"}


@pytest.mark.parametrize(
    ("how", "method", "ancestor", "shared", "off", "more", "on"),
    [
        ({"kind": "mfcc"}, "audio/ddfad", "mtt", TRAJECTORIES, {"planes": "free"}, {}, [{"planes": "tied"}]),
        ({}, "audio/kws-idc", "idc", GRADIENTS, {"factor": 1}, {}, [{"factor": 2}]),
        (
            {},
            "audio/distrack",
            "dm",
            MEANS,
            {"contrast": 0.0, "pieces": 1},
            {"pool": 0, "augment": "none"},
            [{"contrast": 0.2}, {"pieces": 2}],
        ),
    ],
    ids=["ddfad", "kws-idc", "distrack"],
)
def test_without_its_idea_a_method_is_its_ancestor(how, method, ancestor, shared, off, more, on):
    problem = toy.problem(**how)
    x, losses = run(problem, method, **shared, **off)
    want, wanted = run(problem, ancestor, **shared, **more)
    exact = 1e-6 if ancestor == "dm" else 0.0  # it adds classes up in another order
    assert torch.allclose(x, want, rtol=0, atol=exact)
    assert losses == pytest.approx(wanted, rel=exact, abs=0)
    assert losses not in [run(problem, method, **shared, **off | idea)[1] for idea in on]


def test_ser_bptt_is_dd_from_one_start():
    training = {"steps": 2, "n_real": 16, "start": "real", "epochs": 2, "step_size": 0.1, "lr": 0.05}
    problem = toy.problem()
    made = ddcore.distill(problem, "audio/ser-bptt", ipc=2, seed=1, options=training)
    assert [record["loss"] for record in made.history] != run(problem, "dd", **training)[1]
    nets = [next(iter(FixedNetwork().networks(problem, made.synthetic(problem), Run(seed)))) for seed in (0, 1)]
    assert all(torch.equal(p, q) for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# formulas in float64


class All(RowData):
    """A sample is every training row, in order."""

    def sample(self, n, groups=None, rng=None):
        return self.take(self.ids())


class Flat(nn.Module):
    """Features are the row."""

    def __init__(self, d):
        super().__init__()
        self.classifier = nn.Linear(d, 3).double()

    def forward(self, batch):
        features = batch.x.flatten(1)
        return Output(self.classifier(features), features, {})


def in_float64(make):
    """The toy with float64 maps and that network, and a set of two, one and three rows."""
    problem = toy.problem()
    splits = {name: problem.data.ids(split=name) for name in ("train", "val", "test")}
    data = All(problem.data.x.double(), problem.data.y, splits)
    x = torch.randn(6, *problem.synthetic.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return replace(problem, data=data, models={"net": make}), {0: 2, 1: 1, 2: 3}, x


def test_contrastive_means_are_their_formula():
    problem, counts, x = in_float64(lambda: Flat(16 * 17))
    synthetic = RowSynthetic(counts, x)
    rows = len(problem.data.ids(0))  # a sample of as many is all of them
    objective = ContrastiveMeans(n_real=rows, weight=0.7, temperature=0.3)
    loss = next(iter(objective.losses(problem, synthetic, Run(1))))
    (found,) = torch.autograd.grad(loss, synthetic.x)

    s = x.clone().requires_grad_()
    t_g = [problem.data.x[list(problem.data.ids(g))].flatten(1).mean(0) for g in range(3)]
    s_g = [part.flatten(1).mean(0) for part in s.split([2, 1, 3])]
    want = sum((t - m).square().sum() for t, m in zip(t_g, s_g, strict=True))
    for g, m in enumerate(s_g):
        cos = [(m @ t) / (m.norm() * t.norm()) for t in t_g]
        want = want - 0.7 / 3 * torch.log(torch.exp(cos[g] / 0.3) / sum(torch.exp(c / 0.3) for c in cos))
    assert float(loss.detach()) == pytest.approx(float(want.detach()), rel=1e-12)
    assert torch.allclose(found, torch.autograd.grad(want, s)[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2])
def test_ser_bptt_is_plain_training_from_its_start(steps):
    problem, counts, x = in_float64(lambda: ConvNet((1, 16, 17), 3, depth=2, width=4).double())
    net = problem.new_model(random.Random(5))
    theta0 = {k: p.detach().clone() for k, p in net.named_parameters()}
    synthetic = FixedStart(counts, x, theta0).double()
    synthetic.prescribe(steps, 1, 0.3)
    objective = BackpropThroughTraining(networks=FixedNetwork())
    loss = next(iter(objective.losses(problem, synthetic, Run(1))))
    found = torch.autograd.grad(loss, [synthetic.x, synthetic.log_step_size])

    s, log_eta = x.clone().requires_grad_(), synthetic.log_step_size.detach().clone().requires_grad_()
    y, real = torch.tensor([0, 0, 1, 2, 2, 2]), problem.data.take(problem.data.ids())

    def cross_entropy(theta, x, y):
        out = functional_call(net, theta, (Rows(x),)).logits.log_softmax(1)
        return -out[torch.arange(len(y)), y].mean()

    theta = {k: p.clone().requires_grad_() for k, p in theta0.items()}
    for k in range(steps):
        slopes = torch.autograd.grad(cross_entropy(theta, s, y), list(theta.values()), create_graph=True)
        theta = {name: p - log_eta[k].exp() * g for (name, p), g in zip(theta.items(), slopes, strict=True)}
    want = cross_entropy(theta, real.x, real.y)
    assert float(loss.detach()) == pytest.approx(float(want.detach()), rel=1e-10)
    for a, b in zip(found, torch.autograd.grad(want, [s, log_eta]), strict=True):
        assert torch.allclose(a, b, rtol=1e-7, atol=1e-10)
    other = BackpropThroughTraining()  # dd: a network of its own
    assert float(next(iter(other.losses(problem, synthetic, Run(1)))).detach()) != pytest.approx(float(want.detach()))
