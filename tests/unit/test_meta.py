"""Meta-learning: gradients through training, windows at its end, labels alone."""

import copy
import random
from dataclasses import replace
from functools import partial

import pytest
import torch
import toys
from torch.func import functional_call
from unrolled import double, loss_of, trained_by_hand

from ddcore.inner import unroll
from ddcore.labels import probabilities
from ddcore.loop import Run, optimise
from ddcore.objectives.meta import BackpropThroughTraining
from ddcore.objectives.networks import Fresh, Pool, TrainedOnSet

ADAM = partial(torch.optim.Adam, lr=0.05)
DRAWN = {"n_real": 16, "networks": TrainedOnSet(outer=2, lr=0.1)}


def update(objective, seen, s, seed=0):
    """The first yield: its loss, and dL/dS by parameter."""
    torch.manual_seed(0)
    updates = objective.losses(seen.problem, s, Run(seed))
    loss = next(updates)
    found = torch.autograd.grad(loss, s.leaves(), retain_graph=True)
    return (
        loss.detach(),
        dict(zip((n for n, p in s.named_parameters() if p.requires_grad), found, strict=True)),
        updates,
    )


# ---------------------------------------------------------------------------------------------------------------------
# DD


def test_dd_is_the_loss_after_training_on_the_blocks_in_turn():
    """Two rows of each of three classes: block 0 is rows 0, 2, 4 and block 1 rows 1, 3, 5."""
    seen, s = double()
    loss, found, _ = update(BackpropThroughTraining(n_real=16), seen, s)
    net, etas = seen.networks[0], s.log_step_size.exp()
    theta = trained_by_hand(net, s, [[0, 2, 4], [1, 3, 5], [0, 2, 4], [1, 3, 5], [0, 2, 4]], etas)
    real = seen.data.taken[-1]
    expected = loss_of(net, theta, seen.data.x[real], seen.data.y[real])
    assert len(real) == 16
    assert torch.allclose(loss, expected, rtol=1e-10)
    for name, d in zip(("log_step_size", "x"), torch.autograd.grad(expected, [s.log_step_size, s.x]), strict=True):
        assert d.abs().min() > 0
        assert torch.allclose(found[name], d, rtol=1e-6, atol=1e-12)


def test_sldd_is_dd_with_a_gradient_in_its_soft_labels():
    seen, s = double()
    soft = torch.rand(6, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64).softmax(1)
    s.learn_labels("probabilities", soft)
    loss, found, _ = update(BackpropThroughTraining(n_real=16), seen, s)
    z = soft.log().requires_grad_()
    rows = [[0, 2, 4], [1, 3, 5], [0, 2, 4], [1, 3, 5], [0, 2, 4]]
    theta = trained_by_hand(seen.networks[0], s, rows, s.log_step_size.exp(), soft=z.softmax(1))
    real = seen.data.taken[-1]
    expected = loss_of(seen.networks[0], theta, seen.data.x[real], seen.data.y[real])
    leaves = {"labels.stored": z, "log_step_size": s.log_step_size, "x": s.x}
    assert loss.item() == pytest.approx(expected.item(), rel=1e-8)
    assert set(found) == set(leaves)
    for (name, _), d in zip(leaves.items(), torch.autograd.grad(expected, list(leaves.values())), strict=True):
        assert d.abs().max() > 1e-6
        assert torch.allclose(found[name], d, rtol=1e-8, atol=1e-12)


def test_sldd_with_hard_labels_that_stay_is_dd():
    found = []
    for labels in (None, probabilities(torch.eye(3, dtype=torch.float64).repeat_interleave(2, 0))):
        seen, s = double()
        s.labels = labels or s.labels
        found.append(update(BackpropThroughTraining(n_real=16), seen, s)[:2])
    (a, da), (b, db) = found
    assert a.item() == pytest.approx(b.item(), rel=1e-12)
    assert set(da) == set(db) == {"log_step_size", "x"}
    assert all(torch.allclose(da[k], db[k], rtol=1e-12, atol=1e-15) for k in da)


def test_rtp_is_the_loss_after_training_with_momentum():
    seen, s = double(steps=0)
    s.start_step_size(0.1)
    loss, found, _ = update(BackpropThroughTraining(steps=4, n_real=16, rule="momentum"), seen, s)
    net, real = seen.networks[0], seen.data.taken[-1]
    theta = trained_by_hand(net, s, [list(range(6))] * 4, [0.1] * 4, momentum=0.9)
    expected = loss_of(net, theta, seen.data.x[real], seen.data.y[real])
    (d,) = torch.autograd.grad(expected, [s.x])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    assert torch.allclose(found["x"], d, rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("memory", ["graph", "replay"])
@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_the_meta_gradient_equals_finite_differences(memory, rule):
    seen, s = double()
    with torch.no_grad():
        s.log_step_size.sub_(1.0)
    objective = BackpropThroughTraining(n_real=16, rule=rule, memory=memory)
    _, found, _ = update(objective, seen, s)
    generator, ends = torch.Generator().manual_seed(1), []
    directions = {k: torch.randn(d.shape, generator=generator, dtype=d.dtype) for k, d in found.items()}
    for step in (1e-6, -1e-6):
        moved = copy.deepcopy(s)
        with torch.no_grad():
            for k, p in moved.named_parameters():
                p.add_(directions[k], alpha=step)
        ends.append(update(objective, seen, moved)[0].item())
    slope = sum((found[k] * v).sum().item() for k, v in directions.items())
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("window", [None, 2])
def test_replay_has_the_gradient_of_the_graph(rule, window):
    found = []
    for memory in ("graph", "replay"):
        seen, s = double()
        found.append(update(BackpropThroughTraining(n_real=16, rule=rule, window=window, memory=memory), seen, s)[:2])
    (a, da), (b, db) = found
    assert torch.allclose(a, b, rtol=1e-12)
    assert all(torch.allclose(da[k], db[k], rtol=1e-8, atol=1e-14) for k in da)


def test_step_sizes_move_and_stay_positive():
    seen, s = double()
    before = [s.step_size(t).item() for t in range(5)]
    optimise(seen.problem, s, BackpropThroughTraining(n_real=32), steps=15, optimiser=partial(torch.optim.Adam, lr=0.3))
    after = [s.step_size(t).item() for t in range(5)]
    assert all(b > 0 and abs(b / a - 1) > 0.1 for a, b in zip(before, after, strict=True))
    assert len(set(after)) == 5
    with torch.no_grad():
        s.log_step_size.sub_(50.0)
    assert all(s.step_size(t) > 0 for t in range(5))


@pytest.mark.parametrize("window", [None, 2])
def test_training_on_the_set_gets_better(window):
    seen, s = double()
    s.log_step_size.data.fill_(-1.0)
    objective = BackpropThroughTraining(n_real=64, window=window)
    run = optimise(seen.problem, s, objective, steps=30, optimiser=ADAM)
    losses = [r["loss"] for r in run.history]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_resumed_run_equals_an_uninterrupted_one():
    seen, s = double()
    whole, cut, saved = copy.deepcopy(s), copy.deepcopy(s), []
    how = {"steps": 8, "optimiser": ADAM}
    for objective in (BackpropThroughTraining(n_real=8, window=3), BackpropThroughTraining(**DRAWN)):
        a = optimise(seen.problem, whole, objective, **how, checkpoint=lambda take: saved.append(take()))
        b = optimise(seen.problem, cut, objective, **how, resume=saved[-1])
        assert 0 < saved[-1]["step"] < 8
        assert a.history == b.history
        assert all(torch.equal(x, y) for x, y in zip(whole.leaves(), cut.leaves(), strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# RaT-BPTT and the inner rules


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_a_window_is_the_end_of_one_training(rule):
    """Burn-in does not touch what is trained, the rule's slots included; only the gradient is cut."""
    seen, s = double(steps=0)
    net = seen.problem.new_model(random.Random(0))
    theta, plain = {k: p.detach() for k, p in net.named_parameters()}, seen.problem.training_with(None)
    s.start_step_size(0.1).learn_step_size()
    real = seen.problem.data.sample(16, rng=random.Random(1))
    how = {"steps": 5, "seed": 2, "size": 4, "rule": rule}
    whole = unroll(plain, net, theta, s, **how)
    grads = {}
    for memory in ("graph", "checkpoint", "replay"):
        cut = unroll(plain, net, theta, s, **how, burn_in=3, memory=memory)
        assert all(torch.allclose(whole[k], cut[k], rtol=1e-12) for k in theta)
        grads[memory] = torch.autograd.grad(seen.problem.loss(net, real, {**theta, **cut}), s.leaves())
    full = torch.autograd.grad(seen.problem.loss(net, real, {**theta, **whole}), s.leaves())
    for a, b, c, d in zip(*grads.values(), full, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-14)
        assert torch.allclose(a, c, rtol=1e-9, atol=1e-14)
        assert not torch.allclose(a, d, rtol=1e-3)


def momentum(theta, slots, g, eta, k):
    """Step k of training, from 1."""
    v = {name: d + 0.9 * slots.get(name, 0.0) for name, d in g.items()}
    return {name: theta[name] - eta * v[name] for name in theta}, v


def adam(theta, slots, g, eta, k):
    """The same; torch's but for eps under the root."""
    m, v = slots.get("m", {}), slots.get("v", {})
    m = {name: 0.9 * m.get(name, 0.0) + 0.1 * d for name, d in g.items()}
    v = {name: 0.999 * v.get(name, 0.0) + 0.001 * d**2 for name, d in g.items()}
    step = {name: m[name] / (1 - 0.9**k) / (v[name] / (1 - 0.999**k) + 1e-16).sqrt() for name in g}
    return {name: theta[name] - eta * step[name] for name in theta}, {"m": m, "v": v}


def cut(values):
    """The same numbers, as constants."""
    return {k: cut(x) if isinstance(x, dict) else x.detach() for k, x in values.items()}


@pytest.mark.parametrize("rule", [momentum, adam], ids=lambda rule: rule.__name__)
def test_rat_bptt_differentiates_the_last_steps_before_a_drawn_one(rule):
    """The rule written out; what it remembers of the burn-in goes on into the window as a constant."""
    seen, s = double(steps=0)
    s.start_step_size(0.1 if rule is momentum else 0.01).learn_step_size()
    ends = set()
    for seed in range(8):
        objective = BackpropThroughTraining(steps=6, window=2, n_real=16, rule=rule.__name__)
        loss, found, _ = update(objective, seen, s, seed)
        net, real = seen.networks[-1], seen.data.taken[-1]
        y, ids = torch.tensor([0, 0, 1, 1, 2, 2]), list(range(6))

        def step(theta, slots, k, net=net, y=y, ids=ids):
            g = torch.autograd.grad(loss_of(net, theta, s.x[ids], y), theta.values(), create_graph=True)
            return rule(theta, slots, dict(zip(theta, g, strict=True)), s.step_size(), k)

        theta, slots = {k: p.detach().requires_grad_() for k, p in net.named_parameters()}, {}
        for t in range(1, 7):
            theta, slots = step(theta, slots, t)
            if t >= 2:
                expected = loss_of(net, theta, seen.data.x[real], seen.data.y[real])
                if torch.allclose(expected, loss, rtol=1e-12):
                    ends.add(t)
                    break
        else:
            pytest.fail("the loss is of no step from the window's length on")
        theta, slots = {k: p.detach().requires_grad_() for k, p in net.named_parameters()}, {}
        for k in range(1, t + 1):
            if k == t - 1:
                theta, slots = {name: x.detach().requires_grad_() for name, x in theta.items()}, cut(slots)
            theta, slots = step(theta, slots, k)
        expected = loss_of(net, theta, seen.data.x[real], seen.data.y[real])
        for name, d in zip(("log_step_size", "x"), torch.autograd.grad(expected, [s.log_step_size, s.x]), strict=True):
            assert torch.allclose(found[name], d, rtol=1e-8, atol=1e-13)
    assert len(ends) > 2, "the window moves"


@pytest.mark.parametrize("window", [6, 9])
def test_a_window_as_long_as_the_unroll_is_dd(window):
    found = []
    for w in (None, window):
        seen, s = double(steps=6)
        found.append(update(BackpropThroughTraining(n_real=16, window=w), seen, s)[:2])
    (a, da), (b, db) = found
    assert torch.equal(a, b)
    assert all(torch.equal(da[k], db[k]) for k in da)


def test_without_momentum_rtp_is_dd():
    seen, s = double()
    theta = {k: p.detach() for k, p in seen.problem.new_model(random.Random(0)).named_parameters()}
    net, plain = seen.problem.new_model(random.Random(0)), seen.problem.training_with(None)
    still = unroll(plain, net, theta, s, steps=5, seed=0, rule="momentum", betas=(0.0, 0.0))
    sgd, moved = (unroll(plain, net, theta, s, steps=5, seed=0, rule=rule) for rule in ("sgd", "momentum"))
    assert all(torch.equal(still[k], sgd[k]) for k in theta)
    assert not torch.allclose(moved["head.weight"], sgd["head.weight"])


# ---------------------------------------------------------------------------------------------------------------------
# labels alone


def test_ld_is_one_step_of_training_away_from_the_real_loss():
    seen = toys.recorded()
    s = toys.case("image", start=True)[1].double()
    s.x.requires_grad_(False)
    s.start_step_size(0.2).learn_labels("probabilities", torch.full((6, 3), 1 / 3, dtype=torch.float64))
    one = Pool(number=1, life=3, rule="adam", lr=1e-3)
    loss, found, updates = update(BackpropThroughTraining(1, n_real=16, networks=one), seen, s)
    assert set(found) == {"labels.stored"}
    for age in range(2):
        net, real = seen.networks[0], seen.data.taken[-1]
        theta = {k: p.detach().requires_grad_() for k, p in net.named_parameters()}
        out = functional_call(net, theta, (toys.Rows(s.x),)).logits.log_softmax(1)
        fake = -(s.labels.stored.softmax(1) * out).sum(1).mean()
        g = torch.autograd.grad(fake, theta.values(), create_graph=True)
        theta = {k: p - 0.2 * d for (k, p), d in zip(theta.items(), g, strict=True)}
        expected = loss_of(net, theta, seen.data.x[real], seen.data.y[real])
        (d,) = torch.autograd.grad(expected, [s.labels.stored])
        assert torch.allclose(loss, expected, rtol=1e-10)
        assert torch.allclose(found["labels.stored"], d, rtol=1e-8, atol=1e-14)
        if age == 0:  # between two updates the network itself takes a step of Adam on the set
            opt = torch.optim.Adam(net.parameters(), lr=1e-3)
            out = net(toys.Rows(s.x)).logits.log_softmax(1)
            torch.autograd.backward(-(s.labels.stored.softmax(1) * out).sum(1).mean(), inputs=list(net.parameters()))
            opt.step()
            loss = next(updates)
            found = {"labels.stored": torch.autograd.grad(loss, [s.labels.stored])[0]}


def test_ld_whose_networks_are_not_trained_is_dd_on_labels():
    """Every real row, and one network wherever a fresh one is asked for."""
    found, given = [], toys.MLP().double()
    for networks in (Pool(number=1, life=0), Fresh()):
        seen = toys.recorded()
        p = replace(seen.problem, models={"given": lambda: copy.deepcopy(given)})
        s = toys.case("image", start=True)[1].double()
        s.x.requires_grad_(False)
        s.start_step_size(0.2).learn_labels("probabilities", torch.full((6, 3), 1 / 3, dtype=torch.float64))
        objective = BackpropThroughTraining(1, n_real=len(p.data.ids()), networks=networks)
        run = optimise(p, s, objective, steps=3, optimiser=ADAM)
        found.append((s.labels.stored.detach(), [h["loss"] for h in run.history]))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    assert len(set(found[0][1])) == 3
