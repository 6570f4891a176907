"""Distribution matching, fresh and pooled, equals a plain loop over classes, rows and features."""

import copy
import random
from functools import partial

import pytest
import torch
import toys
from torch import nn

from ddcore.loop import Run, optimise
from ddcore.objectives import pieces
from ddcore.objectives.distribution import DistributionMatching, PooledDistributionMatching
from ddcore.rows import RowData, Rows, RowSynthetic
from ddcore.seeds import torch_seeded

SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.5)


def start(rows=2, seed=0):
    x = torch.randn(3 * rows, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return RowSynthetic(dict.fromkeys(range(3), rows), x)


def mean_features(net, rows):
    features = net(Rows(rows)).features
    total = [0.0] * features.shape[1]
    for row in features:
        total = [a + b for a, b in zip(total, row)]
    return [a / len(rows) for a in total]


def distance(net, real, fake):
    return sum((a - b) ** 2 for a, b in zip(mean_features(net, real), mean_features(net, fake)))


def gradients_of(s, found):
    def make(groups):
        opt = SGD(groups)
        opt.register_step_pre_hook(lambda *_: found.append(s.x.grad.clone()))
        return opt

    return make


@pytest.fixture(params=[False, True], ids=["whole", "pieces"])
def in_pieces(request, monkeypatch):
    """Rows in several forwards of four rows each, or in one."""
    if request.param:
        monkeypatch.setitem(pieces.PIECE, "cpu", 1)
        monkeypatch.setattr(pieces, "LEAST", 4)
    return request.param


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("augment", [None, "match"])
def test_fresh_networks(one_by_one, augment, in_pieces):
    drawn, s, gradients = toys.recorded(), start(), []
    objective, x = DistributionMatching(n_real=40, augment=augment, one_by_one=one_by_one), s.x.detach().clone()
    run = optimise(drawn.problem, s, objective, steps=3, optimiser=gradients_of(s, gradients))
    assert len(drawn.networks) == 3
    y, opt_x = torch.tensor([0, 0, 1, 1, 2, 2]), nn.Parameter(x)
    opt = SGD([opt_x])
    taken = [i for ids in drawn.data.taken for i in ids]
    seeds = {number: set() for number in range(3)}
    if augment:
        for (number, _, _), (_, seed) in zip(drawn.reads, drawn.seeds, strict=True):
            seeds[number].add(seed)
    for t, net in enumerate(drawn.networks):
        (omega,) = seeds[t] or {None}  # one record for the real and the synthetic rows of all groups

        def seen(rows, seed=omega):
            return rows if seed is None else toys.roll(Rows(rows), seed).x

        loss = 0.0
        for c in range(3):
            chosen = [i for i in taken[120 * t : 120 * t + 120] if i % 3 == c]
            assert len(chosen) == len(set(chosen)) == 40
            loss = loss + distance(net, seen(drawn.data.x[chosen]), seen(opt_x[y == c]))
        opt.zero_grad()
        loss.backward()
        assert run.history[t]["loss"] == pytest.approx(loss.item(), rel=1e-8, abs=1e-8)
        assert torch.allclose(gradients[t], opt_x.grad, rtol=1e-8, atol=1e-8)
        opt.step()
    assert torch.allclose(s.x, opt_x, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("one_by_one", [True, False])
def test_pooled_networks(one_by_one, in_pieces):
    """Each class mean over all real rows, under the network and the augmentation that the synthetic rows meet again."""
    drawn, s, gradients = toys.recorded(n=150), start(), []
    x = nn.Parameter(s.x.detach().clone())
    objective = PooledDistributionMatching(augment="match", one_by_one=one_by_one, pool=3, renew=2)
    run = optimise(drawn.problem, s, objective, steps=7, optimiser=gradients_of(s, gradients))
    assert len(drawn.networks) == 3 + 3  # one more before updates 2, 4 and 6
    real = [i for ids in drawn.data.taken for i in ids]
    assert sorted(real) == sorted(6 * list(drawn.data.ids())), "real rows are read once a network"
    met = [(i, seed, learned) for (i, _, learned), (_, seed) in zip(drawn.reads, drawn.seeds, strict=True)]
    assert all(len({seed for j, seed, _ in met if i == j}) == 1 for i in range(6))
    opt, y = SGD([x]), torch.tensor([0, 0, 1, 1, 2, 2])
    updates = [(i, seed) for i, seed, learned in met if learned][:: 2 if one_by_one and in_pieces else 1]
    assert len(updates) == 7
    for t, (i, seed) in enumerate(updates):
        assert i in range(t // 2, t // 2 + 3)
        loss = 0.0
        for c in range(3):
            rows = toys.roll(Rows(drawn.data.x[drawn.data.ids(c)]), seed).x
            loss = loss + distance(drawn.networks[i], rows, toys.roll(Rows(x[y == c]), seed).x)
        opt.zero_grad()
        loss.backward()
        assert run.history[t]["loss"] == pytest.approx(loss.item(), rel=1e-8, abs=1e-8)
        assert torch.allclose(gradients[t], x.grad, rtol=1e-8, atol=1e-8)
        opt.step()
    assert torch.allclose(s.x, x, rtol=1e-8, atol=1e-8)


def test_a_pool_as_fresh_as_the_updates_is_distribution_matching():
    """One network, another at every update, over whole classes: DM's loss with whole classes as its real batches."""
    drawn, s = toys.recorded(n=90), start()
    run = optimise(
        drawn.problem, s, PooledDistributionMatching(one_by_one=False, pool=1, renew=1), steps=4, optimiser=SGD
    )
    assert [i for i, _, learned in drawn.reads if learned] == [0, 1, 2, 3]
    networks = iter(copy.deepcopy(drawn.networks))
    again, t = toys.recorded(n=90), start()
    p = toys.image(data=again.data, models={"same": lambda: next(networks)})
    fresh = optimise(p, t, DistributionMatching(n_real=16), steps=4, optimiser=SGD)
    for a, b in zip(run.history, fresh.history, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-10)
    assert torch.allclose(s.x, t.x, rtol=1e-10, atol=1e-12)


def test_a_pool_takes_n_real_rows_of_larger_classes():
    drawn = toys.recorded()
    optimise(drawn.problem, start(), PooledDistributionMatching(n_real=10, pool=2), steps=2, optimiser=SGD)
    every = [i for ids in drawn.data.taken for i in ids]
    assert len(every) == 2 * 30
    for taken in (every[:30], every[30:]):
        assert sorted(i % 3 for i in taken) == [0] * 10 + [1] * 10 + [2] * 10
        assert len(set(taken)) == 30


def test_a_pool_that_is_never_renewed_keeps_its_networks():
    drawn = toys.recorded()
    optimise(drawn.problem, start(), PooledDistributionMatching(pool=2, renew=0), steps=12, optimiser=SGD)
    assert len(drawn.networks) == 2
    assert {i for i, _, learned in drawn.reads if learned} == {0, 1}


# ---------------------------------------------------------------------------------------------------------------------


def first_update(problem, synthetic, objective):
    with torch_seeded("a test"):
        updates = objective.losses(problem, synthetic, Run(0, steps=10))
        loss = next(updates)
        updates.close()
    return loss


@pytest.mark.parametrize("objective", [DistributionMatching, PooledDistributionMatching])
def test_finite_differences(objective):
    drawn, s = toys.recorded(toys.ConvNet, n=90), start()
    objective = objective(n_real=8, augment="match", one_by_one=False)
    (g,) = torch.autograd.grad(first_update(drawn.problem, s, objective), s.x)
    for seed in range(3):
        v = torch.randn(s.x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        ends = []
        for step in (1e-6, -1e-6):
            moved = copy.deepcopy(s)
            with torch.no_grad():
                moved.x.add_(v, alpha=step)
            ends.append(first_update(drawn.problem, moved, objective).item())
        assert (g * v).sum().item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("name", toys.ALL)
def test_groups_one_by_one_and_all_at_once_give_the_same_gradient(name):
    found = []
    for one_by_one in (True, False):
        p, s = toys.case(name)
        loss = first_update(p, s, DistributionMatching(n_real=16, one_by_one=one_by_one))
        if loss.requires_grad:
            loss.backward(inputs=s.leaves())
        found.append([q.grad for q in s.leaves() if q.grad is not None])
    assert any(g.any() for g in found[0])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize("objective", [DistributionMatching, PooledDistributionMatching])
def test_the_order_of_classes_changes_nothing(objective):
    class Reordered(RowData):
        def __init__(self, data, groups):
            super().__init__(data.x, data.y, data.splits)
            self.groups = groups

    drawn, s, found = toys.recorded(n=90), start(), []
    for groups in ([0, 1, 2], [2, 0, 1]):
        p = toys.image(data=Reordered(drawn.data, groups), models=drawn.problem.models)
        t = RowSynthetic(dict.fromkeys(groups, 2), torch.cat([s.x[s.ids(g)] for g in groups]))
        loss = first_update(p, t, objective(n_real=16, one_by_one=False))
        loss.backward()
        found.append((loss.item(), torch.cat([t.x.grad[t.ids(g)] for g in range(3)])))
    (a, g), (b, h) = found
    assert a == pytest.approx(b, rel=1e-12)
    assert torch.allclose(g, h, rtol=1e-9, atol=1e-12)


def test_unequal_counts_are_means_of_each_group():
    drawn = toys.recorded()
    x = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    s = RowSynthetic({0: 1, 1: 3, 2: 2}, x)
    loss = first_update(drawn.problem, s, DistributionMatching(n_real=4, one_by_one=False))
    taken, net = [i for ids in drawn.data.taken for i in ids], drawn.networks[0]
    real = {c: drawn.data.x[[i for i in taken if i % 3 == c]] for c in range(3)}
    parts = {0: x[:1], 1: x[1:4], 2: x[4:]}
    assert [len(rows) for rows in real.values()] == [4, 4, 4]
    expected = sum(distance(net, real[c], parts[c]) for c in range(3))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.parametrize("one_by_one", [True, False])
def test_batchnorm_sees_all_groups_in_one_forward(one_by_one):
    seen = []

    class Spied(toys.ConvNet):
        def __init__(self):
            super().__init__(batch_norm=True)

        def forward(self, b):
            seen.append(sorted(b.y.tolist()))
            assert self.norm.training
            return super().forward(b)

    p = toys.image(models={"normed": Spied})
    s = p.synthetic(dict.fromkeys(range(3), 2), None, random.Random(0))
    optimise(p, s, DistributionMatching(n_real=5, one_by_one=one_by_one), steps=1, optimiser=SGD)
    assert seen == [[0] * 5 + [1] * 5 + [2] * 5, [0, 0, 1, 1, 2, 2]]
    seen.clear()
    optimise(p, s, PooledDistributionMatching(pool=1, renew=0), steps=1, optimiser=SGD)
    assert all({0, 1, 2} == set(batch) for batch in seen)


def test_the_pool_survives_in_the_state():
    """A resumed run goes on with the same networks and does not read the real rows again."""
    saved = []
    objective = PooledDistributionMatching(pool=3, renew=4)
    whole = toys.recorded()
    s = start()
    a = optimise(whole.problem, s, objective, steps=8, optimiser=SGD, checkpoint=lambda take: saved.append(take()))
    cut, t = toys.recorded(), start()
    b = optimise(cut.problem, t, objective, steps=8, optimiser=SGD, resume=saved[6])
    assert a.history == b.history
    assert torch.equal(s.x, t.x)
    assert len(saved[6]["state"]["means"][1]) == 3
    assert not cut.data.taken


def test_groups_go_side_by_side_as_far_as_the_cache_holds_them():
    assert pieces.blocks({4: 2, 1: 2, 7: 2}, 4) == [[4, 1], [7]]
    assert pieces.blocks({4: 2, 1: 2, 7: 2}, 1) == [[4], [1], [7]]
    assert pieces.blocks({4: 9, 1: 1, 7: 1}, 3) == [[4], [1, 7]]
    assert pieces.blocks({4: 2, 1: 2, 7: 2}, 99) == [[4, 1, 7]]
