"""Trajectory matching equals training written out in plain autograd, and each variation its ancestor where its idea is off."""

import random

import pytest
import torch
import torch.nn.functional as F
import toys
from torch import nn

from ddcore.errors import Diverged, OptionError
from ddcore.experts import Trajectory
from ddcore.loop import Run, optimise
from ddcore.objectives.trajectory import Segment, Tesla, TrajectoryMatching, Window
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


# ---------------------------------------------------------------------------------------------------------------------
# training written out


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


# ---------------------------------------------------------------------------------------------------------------------
# MTT


@pytest.mark.parametrize("memory", ["graph", "checkpoint", "replay"])
def test_mtt_equals_plain_unrolled_training(memory):
    s, fixed = start(), Fixed()
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    end = student(x, one_hot(), log_eta, begin, 5)[-1]
    loss = squared(end, target) / squared(begin, target)
    assert_equal(s, update(TrajectoryMatching(fixed, 5, memory=memory), s), loss, x, log_eta)


def test_minibatches_and_augmentation_are_those_of_the_set_s_training():
    """Each step takes its rows, its augmentation and its step size from the set, as evaluation does."""
    p, s, fixed = problem(augmentations={"train": toys.roll, "match": toys.roll}), start(2), Fixed()
    rng = random.Random(0)

    class Known(Run):
        def __init__(self):
            super().__init__(0)
            self.rng = rng

    objective, segment = TrajectoryMatching(fixed, 4, size=4), fixed.segment
    with torch_seeded("a test"):
        updates = objective.losses(p, s, Known())
        loss = next(updates)
        updates.close()
    rng.seed(0)
    p.new_model(rng)
    seed = rng.getrandbits(31)
    theta = {k: q.clone().requires_grad_() for k, q in segment.start.items()}
    seen = []
    for t in range(4):
        batch, eta = s.train_batch(p, t, seed, 4)
        seen.append(len(batch.x))
        g = torch.autograd.grad(
            cross_entropy(batch.x, F.one_hot(batch.y, 3).double(), theta), list(theta.values()), create_graph=True
        )
        theta = {k: q - eta * d for (k, q), d in zip(theta.items(), g)}
    assert seen == [4, 2, 4, 2]
    want = squared(theta, segment.target) / squared(segment.start, segment.target)
    assert loss.item() == pytest.approx(want.item(), rel=1e-10)


def test_without_augmentation_rows_are_as_they_are():
    p, s = problem(augmentations={"train": toys.roll}), start()
    plain, rolled = (update(TrajectoryMatching(Fixed(), 4, augment=a), s, p)[0] for a in (None, "train"))
    assert plain.item() == pytest.approx(update(TrajectoryMatching(Fixed(), 4), s)[0].item(), rel=1e-12)
    assert plain.item() != pytest.approx(rolled.item(), rel=1e-3)


def test_a_student_that_stands_still_has_a_loss_of_one():
    loss, _ = update(TrajectoryMatching(Fixed(), 3), start(step_size=1e-30))
    assert loss.item() == pytest.approx(1.0, rel=1e-12)


def test_windows():
    run, path = Run(0), experts(1, epochs=6)
    starts = {id(x): t for t, x in enumerate(path[0].snapshots)}

    def drawn(window):
        segments = [window.draw(run) for _ in range(200)]
        return {(starts[id(a)], starts[id(b)]) for _, a, b in segments}

    assert drawn(Window(path, last=3)) == {(0, 2), (1, 3), (2, 4)}
    assert drawn(Window(path, first=2, last=4, span=1)) == {(2, 3), (3, 4)}
    assert drawn(Window(path, last=40)) == {(t, t + 2) for t in range(5)}
    assert drawn(Window(path, first=30, last=40)) == {(4, 6)}
    sparse = [Trajectory("small", 0, 2, path[0].snapshots)]  # the same snapshots, two epochs apart
    assert drawn(Window(sparse, last=5, span=4)) == {(0, 2), (1, 3), (2, 4)}
    for window in (Window(sparse, last=3, span=3), Window(path, last=3, span=7)):
        with pytest.raises(OptionError, match="does not fit an expert"):
            window.draw(run)


def test_all_experts_are_drawn():
    paths, run = experts(3), Run(0)
    drawn = [Window(paths, last=1).draw(run) for _ in range(60)]
    assert {id(s.start) for s in drawn} == {id(e.snapshots[0]) for e in paths}


def sgd(lr=1.0, lr_step=0.1):
    return lambda groups: torch.optim.SGD(
        [{**g, "lr": lr_step if g["name"] == "step_size" else lr} for g in groups], momentum=0.5
    )


def test_the_loss_goes_down_and_step_sizes_stay_positive():
    s, p = start(2, step_size=0.05), problem()
    objective = TrajectoryMatching(Window(experts(), last=2), 5)
    run = optimise(p, s, objective, steps=60, optimiser=sgd(5.0))
    losses = [h["loss"] for h in run.history]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert float(s.step_size()) > 0
    steep = start(step_size=0.05)  # a step size that wants to become negative ends close to zero
    backwards = Fixed()
    backwards.segment = Segment("small", backwards.segment.target, backwards.segment.start)
    optimise(p, steep, TrajectoryMatching(backwards, 3), steps=40, optimiser=sgd(1e-9, 5.0))
    assert 0 < float(steep.step_size()) < 0.05


def test_a_run_that_diverges_stops_with_advice():
    s, objective = start(step_size=0.01), TrajectoryMatching(Window(experts(), last=2), 5)
    with pytest.raises(Diverged, match="Lower the learning rate"):  # the step size explodes
        optimise(problem(), s, objective, steps=60, optimiser=sgd(1.0, 1e6))
    assert all(q.isfinite().all() for q in s.parameters())


def test_a_resumed_run_equals_an_uninterrupted_one():
    p, objective = problem(), TrajectoryMatching(Window(experts(), last=2), 3)
    taken = []
    whole = start()
    run = optimise(p, whole, objective, steps=6, optimiser=sgd(), checkpoint=lambda snapshot: taken.append(snapshot()))
    again = start()
    resumed = optimise(p, again, objective, steps=6, optimiser=sgd(), resume=taken[3])
    assert torch.equal(whole.x, again.x)
    assert torch.equal(whole.log_step_size, again.log_step_size)
    assert [h["loss"] for h in run.history] == [h["loss"] for h in resumed.history]


# ---------------------------------------------------------------------------------------------------------------------
# TESLA


def test_tesla_has_mtt_s_value_and_drops_how_earlier_steps_move_theta():
    s, fixed = start(), Fixed()
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    end = student(x, one_hot(), log_eta, begin, 5, forget=True)[-1]
    loss = squared(end, target) / squared(begin, target)
    found = update(Tesla(fixed, 5), s)
    assert not found[0].requires_grad
    assert_equal(s, found, loss, x, log_eta)
    mtt = update(TrajectoryMatching(fixed, 5), s)
    assert found[0].item() == pytest.approx(mtt[0].item(), rel=1e-14)
    assert not torch.allclose(found[1][0], mtt[1][0], rtol=1e-2)


def test_tesla_is_mtt_where_there_is_one_step():
    s = start(2)
    (a, da), (b, db) = (update(kind(Fixed(), 1), s) for kind in (Tesla, TrajectoryMatching))
    assert a.item() == pytest.approx(b.item(), rel=1e-14)
    assert all(torch.allclose(u, v, rtol=1e-10, atol=1e-14) for u, v in zip(da, db, strict=True))
