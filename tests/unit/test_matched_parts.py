"""What of the networks is matched, and how far: ATT, PP and PAD are MTT where their idea is off."""

import pytest
import torch
from unrolled import NAMES, Fixed, assert_equal, copies, one_hot, problem, sgd, squared, start, student, update

from ddcore.loop import optimise
from ddcore.objectives.trajectory import (
    AdaptiveMatching,
    Deep,
    Everything,
    Similar,
    TrajectoryMatching,
)


@pytest.mark.parametrize("step_size", [0.3, 4.0])
def test_att_matches_the_step_that_comes_closest(step_size):
    s, fixed = start(step_size=step_size), Fixed(t=0, span=1)
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    path = student(x, one_hot(), log_eta, begin, 6)
    distances = [sum((theta[k] - target[k]).abs().sum().item() for k in NAMES) for theta in path[1:]]
    nearest = distances.index(min(distances)) + 1
    loss = squared(path[nearest], target) / squared(begin, target)
    objective = AdaptiveMatching(fixed, 6)
    assert_equal(s, update(objective, s), loss, x, log_eta)
    run = optimise(problem(), start(step_size=step_size), objective, steps=1, optimiser=sgd())
    assert run.history[0]["student_steps"] == nearest
    assert nearest < 6  # the last step is not the closest: otherwise it is MTT


def test_att_is_mtt_where_there_is_one_step():
    s = start(2)
    (a, da), (b, db) = (update(kind(Fixed(), 1), s) for kind in (AdaptiveMatching, TrajectoryMatching))
    assert torch.equal(a, b)
    assert all(torch.equal(u, v) for u, v in zip(da, db, strict=True))


def test_pp_leaves_out_the_entries_that_differ_much():
    s, fixed = start(), Fixed()
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    end = student(x, one_hot(), log_eta, begin, 5)[-1]
    near = far = 0.0
    kept = 0
    for k in NAMES:
        for e, b, g in zip(end[k].flatten(), begin[k].flatten(), target[k].flatten()):
            small, large = sorted((abs(e.item()), abs(g.item())))
            if e.item() * g.item() > 0 and small / large >= 0.8:
                near, far, kept = near + (e - g) ** 2, far + (b - g) ** 2, kept + 1
    assert 0 < kept < sum(end[k].numel() for k in NAMES)
    assert_equal(s, update(TrajectoryMatching(fixed, 5, match=Similar(0.8)), s), near / far, x, log_eta)


@pytest.mark.parametrize("match", [Similar(-1.0), Deep(0.0)])
def test_what_drops_nothing_is_mtt(match):
    s = start()
    a, b = (update(TrajectoryMatching(Fixed(), 4, match=m), s) for m in (match, Everything()))
    assert a[0].item() == pytest.approx(b[0].item(), rel=1e-14)
    assert all(torch.allclose(u, v, rtol=1e-12, atol=1e-16) for u, v in zip(a[1], b[1], strict=True))


def test_pad_leaves_out_the_first_entries():
    s, fixed = start(), Fixed()
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    flat = [torch.cat([theta[k].flatten() for k in NAMES]) for theta in (begin, target)]
    end = torch.cat([student(x, one_hot(), log_eta, begin, 5)[-1][k].flatten() for k in NAMES])
    cut = int(0.4 * len(end))
    assert cut < 64 * 4  # within the first weight
    loss = ((end - flat[1])[cut:] ** 2).sum() / ((flat[0] - flat[1])[cut:] ** 2).sum()
    assert_equal(s, update(TrajectoryMatching(fixed, 5, match=Deep(0.4)), s), loss, x, log_eta)
    total = len(end)
    deep = TrajectoryMatching(fixed, 5, match=Deep((total - 3) / total))  # the last bias alone
    last = student(x, one_hot(), log_eta, begin, 5)[-1]["head.bias"]
    want = ((last - target["head.bias"]) ** 2).sum() / ((begin["head.bias"] - target["head.bias"]) ** 2).sum()
    assert update(deep, s)[0].item() == pytest.approx(want.item(), rel=1e-9)
