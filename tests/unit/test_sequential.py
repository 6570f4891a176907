"""SeqMatch: subsets, each learned behind the ones before."""

import random

import pytest
import torch
from unrolled import (
    NAMES,
    Fixed,
    assert_equal,
    by_name,
    copies,
    cross_entropy,
    experts,
    one_hot,
    problem,
    sgd,
    squared,
    start,
    update,
)

from ddcore.errors import OptionError
from ddcore.loop import optimise
from ddcore.objectives.sequential import SequentialMatching, after_subsets, subsets
from ddcore.objectives.trajectory import (
    TrajectoryMatching,
    Window,
)


def test_seqmatch_is_mtt_with_one_subset():
    found = []
    for objective in (
        TrajectoryMatching(Window(experts(), last=2), 3),
        SequentialMatching(Window(experts(), last=2), 3, parts=[[0, 1, 2, 3, 4, 5]]),
    ):
        s = start(2)
        run = optimise(problem(), s, objective, steps=4, optimiser=sgd())
        found.append((s.x.detach(), [h["loss"] for h in run.history]))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_seqmatch_trains_on_earlier_subsets_and_learns_the_last():
    s, fixed = start(2), Fixed()
    parts = subsets(s.counts, 2)
    assert parts == [[0, 2, 4], [1, 3, 5]]
    found = update(SequentialMatching(fixed, 4, parts=parts), s)
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    values = []
    for first in (0, 1):  # which subset comes first in each of the two epochs is drawn
        for second in (0, 1):
            theta = {k: q.clone().requires_grad_() for k, q in begin.items()}
            for part in (first, 1 - first, second, 1 - second):
                rows = x[parts[part]] if part == 1 else x[parts[part]].detach()
                g = torch.autograd.grad(
                    cross_entropy(rows, one_hot(), theta), [theta[k] for k in NAMES], create_graph=True
                )
                theta = {k: theta[k] - log_eta.exp() * d for k, d in zip(NAMES, g)}
            values.append(squared(theta, target) / squared(begin, target))
    loss = min(values, key=lambda v: abs(v.item() - found[0].item()))
    assert_equal(s, found, loss, x, log_eta)
    moved = by_name(s, found[1])["x"].flatten(1).abs().sum(1)
    assert not moved[parts[0]].any()
    assert moved[parts[1]].any()


def test_later_experts_start_where_the_earlier_subsets_lead():
    p, s = problem(), start(2)
    parts = subsets(s.counts, 2)
    later = after_subsets(p, s, parts[:1], steps=3, lr=0.2)
    fresh, trained = (q.new_model(random.Random(5)) for q in (p, later))
    opt = torch.optim.SGD(fresh.parameters(), lr=0.2, momentum=0.9)
    for _ in range(3):
        opt.zero_grad()
        cross_entropy(s.x[parts[0]].detach(), one_hot(), dict(fresh.named_parameters())).backward()
        opt.step()
    for a, b in zip(fresh.parameters(), trained.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_subsets_share_each_group():
    assert subsets({0: 4, 7: 2}, 2) == [[0, 1, 4], [2, 3, 5]]
    assert subsets({0: 1, 1: 1}, 1) == [[0, 1]]
    with pytest.raises(OptionError, match="do not make 2 subsets"):
        subsets({0: 1, 1: 1}, 2)
