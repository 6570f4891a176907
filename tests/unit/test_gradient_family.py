"""The methods of gradient matching beside DC: each by its own formula, and without its idea its ancestor."""

import copy
import random
from functools import partial

import pytest
import torch
import toys
from torch import nn

from ddcore.errors import NotSupported
from ddcore.loop import optimise
from ddcore.objectives.gradient import ContrastiveMatching, GradientMatching, GroupwiseMatching, Theta
from ddcore.objectives.networks import TrainedOnReal, TrainedOnSet
from ddcore.problem import Output
from ddcore.rows import Rows, RowSynthetic

SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.5)


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


# ---------------------------------------------------------------------------------------------------------------------
# DCC


def total(gradients):
    return [sum(parts) for parts in zip(*gradients)]


@pytest.mark.parametrize("augment", [None, "match"])
def test_dcc_compares_the_sums_over_classes(augment):
    equals(
        ContrastiveMatching(n_real=6, augment=augment),
        lambda net, pairs: layer_cosine(total(have for have, _ in pairs), total(want for _, want in pairs)),
    )


def test_dcc_with_one_class_is_dc():
    networks = TrainedOnSet(outer=2, epochs=2, lr=0.3)
    same(
        ContrastiveMatching(6, networks=networks, augment="match"),
        GradientMatching(6, networks=networks, augment="match"),
        groups=1,
    )


# ---------------------------------------------------------------------------------------------------------------------
# IDC


def mse(have, want):
    return sum((a - b).square().sum() for a, b in zip(have, want))


@pytest.mark.parametrize("augment", [None, "match"])
def test_idc_compares_the_convolutions_of_one_class(augment):
    def of_convolutions(net, pairs):
        ((have, want),) = pairs
        assert [n for n, _ in net.named_parameters()] == ["conv.weight", "conv.bias", "head.weight", "head.bias"]
        return mse(have[:1], want[:1])

    equals(GroupwiseMatching(n_real=6, augment=augment), of_convolutions)


def test_idc_updates_class_after_class_and_trains_on_real_rows_after_each_round():
    drawn, s = toys.recorded(Small), start()
    networks = TrainedOnReal(outer=2, steps=3, size=5, augment=None)
    optimise(drawn.problem, s, GroupwiseMatching(n_real=4, networks=networks), steps=9, optimiser=SGD)
    of_groups = [{i % 3 for i in ids} if len(ids) == 4 else "all" for ids in drawn.data.taken]
    assert of_groups == [{0}, {1}, {2}, "all", "all", "all", {0}, {1}, {2}, {0}, {1}, {2}]
    assert len(drawn.networks) == 2


def test_idc_with_one_class_all_parameters_and_networks_of_dc_is_dc():
    networks = TrainedOnSet(outer=2, epochs=2, lr=0.3)
    same(
        GroupwiseMatching(6, "layer-cosine", "match", networks, parameters="all"),
        GradientMatching(6, "layer-cosine", "match", networks),
        groups=1,
    )


def test_a_run_that_is_taken_up_in_the_middle_of_its_networks_ends_the_same():
    networks = TrainedOnReal(outer=2, steps=1, size=8, augment="train")
    resumes(
        GroupwiseMatching(4, augment="match", networks=networks),
        start,
        lambda: toys.recorded(toys.dropping),
        steps=14,
    )


@pytest.mark.parametrize("name", toys.ALL)
def test_the_classifier_is_what_features_do_not_depend_on(name):
    p, s = toys.case(name)
    net = p.new_model(random.Random(0))
    theta, names = Theta(net, s.batch), {id(q): n for n, q in net.named_parameters()}
    head = {"image": "head", "graph": "h", "text": "head", "recommender": "head"}[name]
    assert {names[id(q)] for q in theta.classifier} == {f"{head}.weight", f"{head}.bias"}
    body = [names[id(q)] for q in theta.matched("body")]
    assert (
        body
        == {
            "image": ["conv.weight"],
            "graph": ["a.weight"],
            "text": ["query.weight", "value.weight"],
            "recommender": ["body.weight"],
        }[name]
    )


def test_a_network_that_is_all_classifier_has_no_body_to_match():
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, 3)

        def forward(self, b):
            return Output(self.head(b.x.flatten(1)), b.x.flatten(1))

    p, s = toys.case("image", models={"linear": Linear})
    with pytest.raises(NotSupported, match="Linear has no weights before its classifier"):
        optimise(p, s, GroupwiseMatching(n_real=4), steps=1, optimiser=SGD)
