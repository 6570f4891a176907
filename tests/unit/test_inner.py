"""The inner loop: gradients, training without a graph, training with one."""

import copy
import random
import weakref
from functools import partial

import pytest
import torch
import toys
from torch import nn

from ddcore import labels
from ddcore.errors import OptionError
from ddcore.inner import _Replay, fit, grads, optimiser, trainable, unroll
from ddcore.rows import RowSynthetic

RULES = {
    "sgd": partial(torch.optim.SGD, lr=1.0),
    "momentum": partial(torch.optim.SGD, lr=1.0, momentum=0.9),
    "adam": partial(torch.optim.Adam, eps=1e-14),  # unroll has eps under the root, so that it is differentiable at zero
}


def batches(p, s, steps, seed, size=None):
    return (s.train_batch(p, t, seed, size) for t in range(steps))


def set_grads(s, loss):
    return torch.autograd.grad(loss, s.leaves(), allow_unused=True)


@pytest.mark.parametrize("name", toys.ALL)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("memory", ["checkpoint", "replay"])
def test_every_memory_gives_the_graph_s_gradient(name, rule, memory):
    models = {"models": {"convnet": toys.dropping}} if name == "image" else {}  # dropout is recomputed alike
    p, s = toys.case(name, **models)
    s.learn_step_size()
    net, real = p.new_model(random.Random(0)), p.data.sample(32, rng=random.Random(1))
    theta = {k: q.detach() for k, q in net.named_parameters() if q.requires_grad}

    def run(how):
        end = unroll(p, net, theta, s, steps=5, seed=3, size=4, rule=rule, memory=how)
        torch.manual_seed(0)  # the outer loss has dropout too
        loss = p.loss(net, real, {**theta, **end})
        return loss.detach(), dict(zip((n for n, _ in s.named_parameters()), set_grads(s, loss), strict=True))

    (a, da), (b, db) = run("graph"), run(memory)
    assert torch.allclose(a, b)
    assert da["log_step_size"].abs() > 0
    for k, g in da.items():
        assert torch.allclose(g, db[k], rtol=1e-3, atol=1e-3 * float(g.abs().max())), k


def double(p, s):
    model = toys.MLP
    return toys.image(data=toys.pictures(dtype=torch.float64), models={"mlp": lambda: model().double()}), s.double()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [None, 4])
def test_unrolling_is_what_torch_s_optimisers_do(rule, size):
    """Each step size of the set is the optimiser's learning rate in that step."""
    p, s = double(*toys.case("image"))
    s.log_step_size = nn.Parameter(torch.linspace(-3, -2, 6, dtype=torch.float64))
    s.step_size = lambda t=0, name="": s.log_step_size[t].exp()
    net = p.new_model(random.Random(0))
    theta = {k: q.detach().clone() for k, q in net.named_parameters()}
    end = unroll(p, net, theta, s, steps=6, seed=3, rule=rule, size=size, eps=1e-14)
    fit(p, net, batches(p, s, 6, 3, size), RULES[rule](net.parameters()))
    for k, q in net.named_parameters():
        assert not torch.equal(q, theta[k])
        assert torch.allclose(end[k], q, rtol=1e-6, atol=1e-8), k


def test_the_gradient_through_training_equals_finite_differences():
    p, s = double(*toys.case("image"))
    s.learn_step_size()
    net, real = p.new_model(random.Random(0)), p.data.sample(16, rng=random.Random(1))
    theta = {k: q.detach() for k, q in net.named_parameters()}

    def loss(t, memory):
        return p.loss(net, real, {**theta, **unroll(p, net, theta, t, steps=4, seed=0, rule="momentum", memory=memory)})

    for memory in ("graph", "checkpoint", "replay"):
        found = set_grads(s, loss(s, memory))
        directions = [torch.randn(q.shape, generator=torch.Generator().manual_seed(1)).double() for q in s.leaves()]
        ends = []
        for step in (1e-6, -1e-6):
            moved = copy.deepcopy(s)
            with torch.no_grad():
                for q, v in zip(moved.leaves(), directions, strict=True):
                    q.add_(v, alpha=step)
            ends.append(loss(moved, memory).item())
        slope = sum((g * v).sum().item() for g, v in zip(found, directions, strict=True))
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_the_gradient_reaches_the_start():
    p, s = double(*toys.case("image"))
    net, real = p.new_model(random.Random(0)), p.data.sample(16, rng=random.Random(1))
    found = []
    for memory in ("graph", "checkpoint", "replay"):
        theta = {k: q.detach().clone().requires_grad_() for k, q in net.named_parameters()}
        end = unroll(p, net, theta, s, steps=3, seed=0, memory=memory)
        found.append(torch.autograd.grad(p.loss(net, real, {**theta, **end}), list(theta.values())))
    for other in found[1:]:
        assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-12) for a, b in zip(found[0], other, strict=True))


def test_a_window_is_the_end_of_a_longer_training():
    p, s = double(*toys.case("image"))
    net = p.new_model(random.Random(0))
    theta = {k: q.detach() for k, q in net.named_parameters()}
    whole = unroll(p, net, theta, s, steps=5, seed=2, size=4)
    with torch.no_grad():
        burnt = unroll(p, net, theta, s, steps=3, seed=2, size=4)
    assert not any(x.requires_grad for x in burnt.values())
    window = unroll(p, net, burnt, s, steps=2, first=3, seed=2, size=4)
    assert all(torch.allclose(whole[k], window[k]) for k in theta)


class Box:
    """What autograd saved; alive as long as a graph is."""

    def __init__(self, x):
        self.x = x


def test_replay_keeps_fewer_states_than_a_long_training_has(monkeypatch):
    """Those kept for the way back, and those between two of them that are computed again."""
    p, s = toys.case("recommender")
    net, kept, forward = p.new_model(random.Random(0)), {}, _Replay.forward
    theta = {k: q.detach() for k, q in net.named_parameters()}

    def watched(ctx, step, times, *args):
        end = forward(ctx, step, times, *args)
        assert [t for stretch, _ in ctx.stretches for t in stretch] == list(times)
        kept[len(times)] = len(ctx.stretches) + max(len(stretch) for stretch, _ in ctx.stretches)
        return end

    monkeypatch.setattr(_Replay, "forward", staticmethod(watched))
    for steps in (20, 60, 100, 200):
        unroll(p, net, theta, s, steps=steps, seed=0, memory="replay")
    assert kept[20] == 21
    assert max(kept.values()) <= 2 * _Replay.kept
    assert kept[200] < kept[60]


def test_rules_that_cannot_be_unrolled_are_refused():
    p, s = toys.case("image")
    net = p.new_model(random.Random(0))
    with pytest.raises(OptionError, match=r"no differentiable inner loop by 'adamw'\. Did you mean adam"):
        unroll(p, net, dict(net.named_parameters()), s, steps=1, seed=0, rule="adamw")


def test_replay_keeps_no_graph():
    p, s = toys.case("image")
    net = p.new_model(random.Random(0))
    theta, kept = {k: q.detach() for k, q in net.named_parameters()}, {}
    for memory in ("graph", "replay"):
        boxes = weakref.WeakSet()

        def pack(x, boxes=boxes):
            boxes.add(box := Box(x))
            return box

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.x):
            end = unroll(p, net, theta, s, steps=4, seed=0, memory=memory)
        kept[memory] = len(boxes)
        del end
    assert kept["replay"] == 0 < kept["graph"]


def test_parameters_that_no_step_touched_are_not_returned():
    class Unfrozen(toys.Attention):
        def __init__(self):
            super().__init__()
            self.table.weight.requires_grad_(True)

    p, s = toys.case("text", models={"attention": Unfrozen})
    net = p.new_model(random.Random(0))
    theta = {k: q.detach() for k, q in net.named_parameters()}
    for memory in ("graph", "checkpoint", "replay"):
        end = unroll(p, net, theta, s, steps=2, seed=0, memory=memory)
        assert set(theta) - set(end) == {"table.weight"}


def test_fit_touches_no_grad_of_the_set():
    p, s = toys.case("recommender")
    s.take = lambda ids, rng=None: toys.Users(s.logits)  # a leaf itself, no operation in between
    s.learn_step_size()
    with torch.enable_grad():
        net = p.new_model(random.Random(0))
        fit(p, net, batches(p, s, 2, 0), torch.optim.SGD(net.parameters(), lr=1.0))
    assert all(q.grad is None for q in s.parameters())


def test_fit_takes_the_set_s_step_sizes_unless_told_otherwise():
    p, s = double(*toys.case("image"))
    ends = {}
    for name, lr in {
        "own": None,
        "number": 0.01,
        "function": lambda t: 0.01,
        "other": lambda t: 0.01 * (t < 1),
    }.items():
        net = p.new_model(random.Random(0))
        fit(p, net, batches(p, s, 3, 0), torch.optim.SGD(net.parameters(), lr=77.0), lr)
        ends[name] = torch.cat([q.detach().flatten() for q in net.parameters()])
    assert torch.allclose(ends["own"], ends["number"])  # toys' rows have 0.01, too
    assert torch.equal(ends["number"], ends["function"])
    assert not torch.allclose(ends["number"], ends["other"])


def test_fit_trains_in_training_mode():
    p, s = toys.case("image", models={"convnet": toys.dropping})
    net = p.new_model(random.Random(0)).eval()
    fit(p, net, batches(p, s, 1, 0), torch.optim.SGD(net.parameters(), lr=0.1))
    assert net.training


def test_frozen_parameters_are_no_part_of_theta():
    net = toys.Attention()
    names = {id(q): n for n, q in net.named_parameters()}
    assert "table.weight" not in {names[id(q)] for q in trainable(net)}
    assert all(len(group["params"]) == len(trainable(net)) for group in optimiser(net).param_groups)


def test_grads_are_none_where_a_batch_bypasses_a_parameter():
    p, s = toys.case("text")
    net = p.new_model(random.Random(0)).requires_grad_(True)
    found = dict(zip((n for n, _ in net.named_parameters()), grads(p.loss(net, s.batch()), list(net.parameters()))))
    assert found.pop("table.weight") is None
    assert all(g is not None for g in found.values())


@pytest.mark.parametrize(
    ("rule", "kind", "momentum"), [("sgd", "SGD", 0.0), ("momentum", "SGD", 0.9), ("adam", "Adam", None)]
)
def test_rules_are_torch_s(rule, kind, momentum):
    opt = optimiser(toys.MLP(), rule, 0.3, weight_decay=0.1)
    (group,) = opt.param_groups
    assert type(opt).__name__ == kind
    assert (group["lr"], group["weight_decay"], group.get("momentum")) == (0.3, 0.1, momentum)


def test_minibatches_cover_an_epoch():
    _, s = toys.case("image")
    order = [s.order(t, 0, 4) for t in range(4)]
    assert [len(o) for o in order] == [4, 2, 4, 2]
    assert sorted(order[0] + order[1]) == list(range(6)) == sorted(order[2] + order[3])
    assert order[0] != order[2]
    assert [s.epoch(t, 4) for t in range(4)] == [0, 0, 1, 1]
    assert [s.epoch(t, None) for t in range(3)] == [0, 1, 2]
    assert s.order(5, 0, None) == s.order(5, 0, 6) == list(range(6))


def test_replay_serves_labels_that_are_learned():
    p, s = toys.case("image")
    t = RowSynthetic(s.counts, s.x, labels.probabilities(torch.full((6, 3), 1 / 3), learn=True))
    net, real = p.new_model(random.Random(0)), p.data.sample(16, rng=random.Random(1))
    theta = {k: q.detach() for k, q in net.named_parameters()}
    found = []
    for memory in ("graph", "replay"):
        end = unroll(p, net, theta, t, steps=3, seed=0, memory=memory)
        found.append(torch.autograd.grad(p.loss(net, real, {**theta, **end}), [t.labels.stored])[0])
    assert found[0].any()
    assert torch.allclose(*found, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_replay_that_keeps_few_states_is_the_same(rule, kept, monkeypatch):
    p, s = toys.case("image", models={"convnet": toys.dropping})
    net, real = p.new_model(random.Random(0)), p.data.sample(16, rng=random.Random(1))
    theta, found, steps = {k: q.detach() for k, q in net.named_parameters()}, [], []
    inner = s.train_batch
    s.train_batch = lambda problem, t, *args: (steps.append(t), inner(problem, t, *args))[1]
    for number in (32, kept):
        monkeypatch.setattr(_Replay, "kept", number)
        end = unroll(p, net, theta, s.learn_step_size(), steps=7, seed=0, rule=rule, memory="replay")
        torch.manual_seed(0)
        found.append(set_grads(s, p.loss(net, real, {**theta, **end})))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    again = {1: 6, 2: 4, 3: 3}[kept]  # stretches of 7, of 3, 3 and 1, and of 2, 2, 2 and 1 steps
    assert len(steps) == 14 + 14 + again
