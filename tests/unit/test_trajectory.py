"""Trajectory matching (MTT, TESLA) equals training written out in plain autograd."""

import random

import pytest
import torch
import torch.nn.functional as F
import toys
from unrolled import (
    Fixed,
    assert_equal,
    copies,
    cross_entropy,
    experts,
    made,
    one_hot,
    problem,
    sgd,
    squared,
    start,
    student,
    update,
)

from ddcore.errors import Diverged, OptionError
from ddcore.experts import Trajectory
from ddcore.loop import Run, optimise
from ddcore.objectives.trajectory import (
    AlignedMatching,
    Segment,
    Similar,
    Tesla,
    TrajectoryMatching,
    Window,
)
from ddcore.seeds import torch_seeded


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


def test_a_match_of_no_parameter_is_an_error():
    with pytest.raises(OptionError, match=r"Similar\(threshold=2.0\) leaves no parameter to match"):
        update(TrajectoryMatching(Fixed(), 3, match=Similar(2.0)), start())
    with pytest.raises(OptionError, match="threshold = 1: expected number"):
        made("pp", threshold=1)


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


def test_the_loss_goes_down_and_step_sizes_stay_positive():
    s, p = start(2, step_size=0.05), problem()
    objective = TrajectoryMatching(Window(experts(), last=2), 5)
    run = optimise(p, s, objective, steps=60, optimiser=sgd(5.0))
    losses = [h["loss"] for h in run.history]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert float(s.step_size().detach()) > 0
    steep = start(step_size=0.05)  # a step size that wants to become negative ends close to zero
    backwards = Fixed()
    backwards.segment = Segment("small", backwards.segment.target, backwards.segment.start)
    optimise(p, steep, TrajectoryMatching(backwards, 3), steps=40, optimiser=sgd(1e-9, 5.0))
    assert 0 < float(steep.step_size().detach()) < 0.05


@pytest.mark.parametrize("kind", [TrajectoryMatching, AlignedMatching])
def test_a_run_that_diverges_stops_with_advice(kind):
    s, objective = start(step_size=0.01), kind(Window(experts(), last=2), 5)
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
