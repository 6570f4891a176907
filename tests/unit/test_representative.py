"""Representative rows (dream): tight clusters, looked for again, and idc where nothing is left to choose."""

import random

import pytest
import torch
import toys
from gradients import Small, mse, sides, start, update

from ddcore.objectives.gradient import GroupwiseMatching
from ddcore.objectives.networks import TrainedOnReal
from ddcore.objectives.real_rows import Representative


def distances(features, centres):
    return [[sum((a - b) ** 2 for a, b in zip(f, c)) for c in centres] for f in features]


def test_dream_reads_rows_that_represent_their_class():
    """The clusters around them are tighter than those around random rows, in the network's own features."""
    drawn = toys.recorded(Small)
    net = drawn.problem.new_model(random.Random(0))
    ids = list(drawn.data.ids(1))
    rows = Representative().picker(drawn.problem, 5)(net, 1, random.Random(0))
    assert len(set(rows)) == 5
    assert set(rows) <= set(ids)
    features = net(drawn.data.take(ids)).features.tolist()
    at = dict(zip(ids, features))
    owner = [min(range(5), key=row.__getitem__) for row in distances(features, [at[i] for i in rows])]
    means = [
        [sum(column) / len(column) for column in zip(*[f for f, o in zip(features, owner) if o == j])] for j in range(5)
    ]
    spread = sum(min(row) for row in distances(features, means))
    for seed in range(5):
        others = [at[i] for i in random.Random(seed).sample(ids, 5)]
        assert spread < sum(min(row) for row in distances(features, others))


def test_dream_looks_again_for_each_network_and_every_so_often():
    drawn = toys.recorded(Small)
    pick, rng = Representative(every=3).picker(drawn.problem, 4), random.Random(0)
    first, second = (drawn.problem.new_model(random.Random(seed)) for seed in (0, 1))
    looked = []
    for net in (first, first, first, first, second, second):
        before = len(drawn.data.taken)
        rows = pick(net, 0, rng)
        looked.append(len(drawn.data.taken) > before)
        assert len(set(rows)) == 4
    assert looked == [True, False, False, True, True, False]


def test_dream_compares_what_idc_does():
    drawn, s = toys.recorded(Small), start()
    x = s.x.detach().clone().requires_grad_()
    (loss,), g = update(GroupwiseMatching(n_real=6, rows=Representative()), drawn, s)
    drawn.data.taken = [ids for ids in drawn.data.taken if len(ids) == 6]
    _, ((have, want),) = sides(drawn, x)
    expected = mse(have[:1], want[:1])
    (dx,) = torch.autograd.grad(expected, x)
    assert loss == pytest.approx(expected.item(), rel=1e-9)
    assert torch.allclose(g, dx, rtol=1e-8, atol=1e-12)


def test_dream_with_whole_classes_is_idc():
    """Where every row represents itself nothing is left to choose."""
    networks = TrainedOnReal(outer=9, steps=0)
    ends = []
    for more in ({}, {"rows": Representative(every=2)}):
        drawn, s = toys.recorded(Small, n=90), start()
        size = len(drawn.data.ids(0))
        ends.append(update(GroupwiseMatching(n_real=size, networks=networks, **more), drawn, s, steps=9))
    (losses, g), (other_losses, other_g) = ends
    assert losses == pytest.approx(other_losses, rel=1e-10)
    assert torch.allclose(g, other_g, rtol=1e-9, atol=1e-12)
