"""Network policies: which network an update sees, what it was trained on, and that a resumed run sees the same ones."""

import copy
import itertools
from functools import partial

import pytest
import torch
import toys

from ddcore.experts import Trajectory
from ddcore.loop import Run, optimise
from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.networks import (
    Fresh,
    Interpolated,
    Pool,
    Queue,
    Snapshots,
    TrainedOnReal,
    TrainedOnSet,
)
from ddcore.parametrizations import Selected
from ddcore.seeds import stream

ADAM = partial(torch.optim.Adam, lr=0.05)


def theta(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def seen(policy, n, problem=None, synthetic=None):
    """The parameters that each of n updates sees, as it sees them."""
    p = problem or toys.image()
    s = synthetic or toys.case("image", start=True)[1]
    run, found = Run(0, steps=n), []
    for net in itertools.islice(policy.networks(p, s, run), n):
        found.append((id(net), theta(net).clone()))
        run.step += 1
    return found


def experts(problem, n=2, length=3):
    found = []
    for k in range(n):
        nets = [problem.new_model(stream("expert", k, t)) for t in range(length)]
        found.append(Trajectory("convnet", k, 1, [dict(net.named_parameters()) for net in nets]))
    return found


@pytest.mark.parametrize(
    "policy",
    [
        Fresh(),
        TrainedOnSet(outer=3, epochs=2),
        TrainedOnReal(outer=3, steps=2, before=1, size=8),
        Pool(number=3, life=4),
        Queue(start=2, every=3, most=3, steps=2, size=8),
        Snapshots(experts(toys.image())),
        Interpolated(experts(toys.image())),
    ],
    ids=lambda policy: type(policy).__name__,
)
@pytest.mark.parametrize("at", [1, -1])
def test_a_resumed_run_equals_an_uninterrupted_one(policy, at):
    p, s = toys.case("image", start=True, models={"convnet": toys.dropping, "mlp": toys.MLP})
    objective, saved, whole, cut = DistributionMatching(8, networks=policy), [], copy.deepcopy(s), copy.deepcopy(s)
    a = optimise(p, whole, objective, steps=17, optimiser=ADAM, checkpoint=lambda take: saved.append(take()))
    assert 0 < saved[at]["step"] < 17
    b = optimise(p, cut, objective, steps=17, optimiser=ADAM, resume=saved[at])
    assert torch.equal(whole.x, cut.x)
    assert a.history == b.history


def test_fresh_networks_are_all_different():
    found = [x for _, x in seen(Fresh(), 4)]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(found, 2))


def test_fresh_networks_are_of_the_model_named():
    assert len(seen(Fresh("mlp"), 1)[0][1]) == sum(p.numel() for p in toys.MLP().parameters())


def test_training_on_the_set_is_plain_descent_on_it():
    p, s = toys.case("image", start=True)
    (first, a), (second, b), (_, c) = seen(TrainedOnSet(outer=2, epochs=1, lr=0.5), 3, p, s)
    assert first == second
    net = p.new_model(stream("shell"))
    torch.nn.utils.vector_to_parameters(a, net.parameters())
    p.loss(net, s.batch()).backward()
    step = torch.cat([q.grad.flatten() for q in net.parameters()])
    assert torch.allclose(b, a - 0.5 * step, atol=1e-6)
    assert not torch.allclose(c, b)


@pytest.mark.parametrize(
    "policy", [TrainedOnReal(outer=30, steps=5, size=64, lr=0.05), Queue(1, 1000, 1, 1, 5, lr=0.05)]
)
def test_training_on_real_rows_brings_their_loss_down(policy):
    p = toys.image()
    net, losses = p.new_model(stream("shell")), []
    for _, x in seen(policy, 12, p):
        torch.nn.utils.vector_to_parameters(x, net.parameters())
        with torch.no_grad():
            losses.append(float(p.loss(net, p.data.take(p.data.ids()))))
    assert losses[-1] < 0.7 * losses[0]


def test_training_before_the_first_update():
    p = toys.image()
    untrained, trained = seen(TrainedOnReal(before=0), 1, p), seen(TrainedOnReal(before=3, size=8), 1, p)
    assert not torch.equal(untrained[0][1], trained[0][1])


def test_a_pool_replaces_a_network_when_it_is_old():
    """One network: it is seen as new, then after 1 ... life steps of training, then another is new."""
    found = [x for _, x in seen(Pool(number=1, life=3, lr=0.01), 9)]
    jumps = [float((b - a).abs().max()) for a, b in itertools.pairwise(found)]
    assert [j > 0.05 for j in jumps] == [False, False, False, True, False, False, False, True]
    assert all(j > 0 for j in jumps)


def test_the_ages_of_a_pool_are_staggered():
    run = Run(0, steps=1)
    next(Pool(number=4, life=100).networks(toys.image(), toys.case("image")[1], run))
    assert run.state["ages"] == [0, 25, 50, 75]


def test_a_queue_grows_and_forgets_the_oldest():
    run, p = Run(0, steps=99), toys.image()
    lengths, oldest = [], []
    policy = Queue(start=2, every=2, most=4, trained=0)
    for _ in itertools.islice(policy.networks(p, toys.case("image")[1], run), 10):
        lengths.append(len(run.state["queue"]))
        oldest.append(run.state["queue"][0])
    assert lengths == [2, 2, 3, 3, 4, 4, 4, 4, 4, 4]
    assert oldest == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]
    assert len([name for name in run.state if name.startswith("net")]) == 4


def test_snapshots_are_of_the_window():
    p = toys.image()
    paths = experts(p, n=3, length=4)
    window = [theta_of(e.snapshots[t]) for e in paths for t in (1, 2)]
    found = [x for _, x in seen(Snapshots(paths, first=1, last=2), 40, p)]
    assert all(any(torch.equal(x, w) for w in window) for x in found)
    assert all(any(torch.equal(x, w) for x in found) for w in window)


def theta_of(snapshot):
    return torch.cat([x.detach().flatten() for x in snapshot.values()])


def test_interpolation_lies_on_the_line():
    p = toys.image()
    (path,) = experts(p, n=1)
    start, end = theta_of(path.snapshots[0]), theta_of(path.snapshots[-1])
    for _, x in seen(Interpolated([path], low=0.2, high=0.6), 12, p):
        u = float((x - end) @ (start - end) / (start - end).square().sum())
        assert 0.2 <= u <= 0.6
        assert torch.allclose(x, u * start + (1 - u) * end, atol=1e-5)
    (_, only), *_ = seen(Interpolated([path], low=1.0, high=1.0), 1, p)
    assert torch.equal(only, start)


def test_snapshots_are_not_changed_by_what_is_done_to_a_network():
    p = toys.image()
    paths = experts(p, n=1)
    before = theta_of(paths[0].snapshots[0]).clone()
    for net in itertools.islice(Snapshots(paths, 0, 0).networks(p, toys.case("image")[1], Run(0, steps=2)), 2):
        with torch.no_grad():
            for q in net.parameters():
                q.zero_()
    assert torch.equal(theta_of(paths[0].snapshots[0]), before)


def test_a_coreset_can_be_trained_on():
    p = toys.image()
    rows = Selected.random(p.data, {0: 2, 1: 2, 2: 2}, stream("rows"))
    (_, a), (_, b) = seen(TrainedOnSet(outer=2), 2, p, rows)
    assert not torch.equal(a, b)
