"""Part after part (pdd): all so far are matched, and the last moves."""

import copy

import pytest
import torch
import toys
from gradients import REAL, SGD, Small, gradient, mse, same, start, update

from ddcore.loop import Run, optimise
from ddcore.objectives.gradient import GroupwiseMatching, ProgressiveMatching
from ddcore.objectives.networks import TrainedOnReal
from ddcore.objectives.starts import AfterParts
from ddcore.parametrizations.part import Part
from ddcore.rows import Rows


def test_a_part_is_some_rows_of_a_set():
    s = start(rows=3)
    part = Part(s, {2: [6, 8], 0: [1]})
    assert part.counts == {2: 2, 0: 1}
    assert torch.equal(part.batch(2).x, s.x[[6, 8]])
    assert torch.equal(part.batch().x, s.x[[6, 8, 1]])
    part.batch(0).x.sum().backward()
    assert s.x.grad.flatten(1).any(1).tolist() == [False, True] + [False] * 7


def test_pdd_matches_all_parts_so_far_and_moves_the_last():
    """The gradient of the mean over both parts, where only the new rows are variables."""
    drawn, s = toys.recorded(Small), start(rows=3)
    before = s.x.detach().clone()
    objective = ProgressiveMatching(n_real=6, augment="match", stage=1, stages=2)
    (loss,), g = update(objective, drawn, s)
    rolled = [lambda x, seed=seed: toys.roll(Rows(x), seed).x for _, seed in drawn.seeds]
    net, new = copy.deepcopy(drawn.networks[0]), before[2:3].clone().requires_grad_()
    want = gradient(net, rolled[0](drawn.data.x[drawn.data.taken[0]]), 0)
    have = gradient(net, rolled[0](torch.cat([before[:2], new])), 0)  # three rows a class: two, then one
    expected = mse(have[:1], [w.detach() for w in want[:1]])
    (dx,) = torch.autograd.grad(expected, new)
    assert loss == pytest.approx(expected.item(), rel=1e-9)
    assert torch.allclose(g[2:3], dx, rtol=1e-8, atol=1e-12)
    assert dx.any()
    assert not g[:2].any()
    assert not g[3:].any()


def test_pdd_leaves_earlier_parts_as_they_are():
    drawn, s = toys.recorded(Small), start(rows=4)
    before = s.x.detach().clone()
    networks = AfterParts(**REAL, stage=1, stages=2, epochs=2)
    objective = ProgressiveMatching(n_real=4, networks=networks, stage=1, stages=2)
    optimise(drawn.problem, s, objective, steps=8, optimiser=SGD)
    old = [i for i in range(12) if i % 4 < 2]
    assert torch.equal(s.x[old], before[old])
    assert not torch.isclose(s.x, before).flatten(1).all(1)[[i for i in range(12) if i % 4 >= 2]].any()


def test_pdd_trains_its_networks_on_part_after_part():
    drawn, s = toys.recorded(Small), start(rows=3)
    AfterParts(size=4, stage=2, stages=3, epochs=2, augment=None).start(drawn.problem, s, Run(0))
    assert [rows for _, rows, _ in drawn.reads] == [3, 3, 4, 2, 4, 2]  # one row a class, then two, in batches of four


def test_pdd_with_one_part_is_idc():
    same(
        ProgressiveMatching(4, augment="match", networks=AfterParts(**REAL), stage=0, stages=1),
        GroupwiseMatching(4, augment="match", networks=TrainedOnReal(**REAL)),
        steps=14,
    )
