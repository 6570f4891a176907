"""Gradient matching equals a plain loop over classes, parameters and rows, written from the papers."""

import copy
import math
import random
from functools import partial

import pytest
import torch
import toys
from gradients import Small, start
from torch import nn

from ddcore.distillation import resolve_method
from ddcore.inner import frozen_statistics
from ddcore.loop import Run, optimise
from ddcore.methods.plan import Work
from ddcore.objectives import gradient
from ddcore.objectives.gradient import DISTANCES, GradientMatching
from ddcore.objectives.networks import TrainedOnSet
from ddcore.problem import Output
from ddcore.rows import RowData, Rows, RowSynthetic
from ddcore.seeds import torch_seeded

SGD = partial(torch.optim.SGD, lr=0.5)


def cross_entropy(net, x, y):
    """Mean of -log softmax(logits)[y], row by row."""
    total = 0.0
    for row, label in zip(net(Rows(x)).logits, y):
        total = total - (row[label] - torch.logsumexp(row, 0))
    return total / len(x)


def layer_cosine(have, want):
    total = 0.0
    for a, b in zip(have, want):
        if a.ndim == 1:
            continue
        for row, other in zip(a, b):  # an output neuron, or a filter
            dot, p, q = 0.0, 0.0, 0.0
            for u, v in zip(row.flatten(), other.flatten()):
                dot, p, q = dot + u * v, p + u * u, q + v * v
            total = total + 1 - dot / (p.sqrt() * q.sqrt() + 1e-6)
    return total


def entries(have, want):
    return [(u, v) for a, b in zip(have, want) for u, v in zip(a.flatten(), b.flatten())]


def cosine(have, want):
    pairs = entries(have, want)
    dot, p, q = sum(u * v for u, v in pairs), sum(u * u for u, _ in pairs), sum(v * v for _, v in pairs)
    return 1 - dot / (p.sqrt() * q.sqrt() + 1e-6)


def layer_cosine_and_norm(have, want):
    lengths = 0.0
    for a, b in zip(have, want):
        for row, other in zip(a, b) if a.ndim > 1 else ():
            lengths = lengths + sum((u - v) ** 2 for u, v in zip(row.flatten(), other.flatten())).sqrt()
    return layer_cosine(have, want) + lengths


REFERENCE = {
    "layer-cosine": layer_cosine,
    "layer-cosine+norm": layer_cosine_and_norm,
    "cosine": cosine,
    "mse": lambda have, want: sum((u - v) ** 2 for u, v in entries(have, want)),
    "l1": lambda have, want: sum((u - v).abs() for u, v in entries(have, want)),
}


def reference(drawn, x, objective, steps, lr=0.5):
    """Losses, gradients and final rows of `steps` updates, with the networks, augmentations and rows drawn."""
    taken, seeds = iter(drawn.data.taken), iter(drawn.seeds)
    networks = iter(drawn.networks)
    x, y = x.clone(), torch.tensor([0, 0, 1, 1, 2, 2])
    losses, gradients, t, net = [], [], objective.networks.outer, None

    def augmented(rows, name):
        if name is None:
            return rows
        kind, seed = next(seeds)
        assert kind == name
        return toys.roll(Rows(rows), seed).x

    for step in range(steps):
        if t == objective.networks.outer:
            net, t = copy.deepcopy(next(networks)), 0
        x.requires_grad_(True)
        loss = 0.0
        for c in range(3):
            ids = next(taken)
            assert all(i % 3 == c for i in ids)
            assert len(set(ids)) == objective.n_real
            real = augmented(drawn.data.x[ids], objective.augment)
            fake = augmented(x[y == c], objective.augment)
            want = torch.autograd.grad(cross_entropy(net, real, [c] * len(real)), list(net.parameters()))
            have = torch.autograd.grad(
                cross_entropy(net, fake, [c] * len(fake)), list(net.parameters()), create_graph=True
            )
            loss = loss + REFERENCE[objective.distance](have, want)
        (g,) = torch.autograd.grad(loss, x)
        losses.append(loss.item())
        gradients.append(g)
        x = (x - lr * g).detach()
        t += 1
        if t < objective.networks.outer and step + 1 < steps:
            for _ in range(objective.networks.epochs):
                rows = augmented(x, objective.networks.augment)
                d = torch.autograd.grad(cross_entropy(net, rows, y), list(net.parameters()))
                with torch.no_grad():
                    for p, e in zip(net.parameters(), d):
                        p -= objective.networks.lr * e
    return losses, gradients, x


def assert_equals_reference(objective, steps, model=Small):
    drawn, s, gradients = toys.recorded(model), start(), []
    before = s.x.detach().clone()

    def watched(groups):
        opt = SGD(groups)
        opt.register_step_pre_hook(lambda *_: gradients.append(s.x.grad.clone()))
        return opt

    run = optimise(drawn.problem, s, objective, steps=steps, optimiser=watched)
    losses, expected, x = reference(drawn, before, objective, steps)
    for a, b in zip(run.history, losses, strict=True):
        assert a["loss"] == pytest.approx(b, rel=1e-8, abs=1e-8)
    for a, b in zip(gradients, expected, strict=True):
        assert b.abs().max() > 1e-6
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-8)
    assert torch.allclose(s.x, x, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("distance", DISTANCES)
def test_each_distance(distance, one_by_one):
    objective = GradientMatching(n_real=6, distance=distance, one_by_one=one_by_one)
    assert_equals_reference(objective, 2)


def test_networks_trained_on_the_set_between_updates():
    """DC's loop nest: two networks, three updates along the training of each, two epochs between updates."""
    assert_equals_reference(GradientMatching(4, networks=TrainedOnSet(outer=3, epochs=2, lr=0.3)), 5)


def test_one_augmentation_for_both_sides():
    """DSA: a record for each group and update that real and synthetic rows share, and one for each training step."""
    objective = GradientMatching(4, augment="match", networks=TrainedOnSet(outer=2, epochs=2, lr=0.3, augment="train"))
    drawn = toys.recorded(Small)
    optimise(drawn.problem, start(), objective, steps=2, optimiser=SGD)
    matched = [seed for name, seed in drawn.seeds if name == "match"]
    assert matched[::2] == matched[1::2]
    assert len(set(matched)) == len(matched) // 2 == 2 * 3
    assert_equals_reference(objective, 4)


def test_a_minibatch_is_trained_on_when_the_set_is_larger():
    objective = GradientMatching(4, networks=TrainedOnSet(outer=2, epochs=3, size=4))
    drawn = toys.recorded(Small)
    optimise(drawn.problem, start(), objective, steps=2, optimiser=SGD)
    sizes = [rows for _, rows, _ in drawn.reads]
    assert sizes == [4, 2] * 3 + [4, 2] * 3 + [4, 2] * 3  # three groups (real, synthetic), three epochs, three groups


def first_update(problem, synthetic, objective, seed=0):
    with torch_seeded("a test"):
        updates = objective.losses(problem, synthetic, Run(seed))
        loss = next(updates)
        updates.close()
    return loss


def test_finite_differences():
    """dL/dS along random directions, in float64."""
    drawn, s = toys.recorded(toys.ConvNet), start()
    for distance in DISTANCES:
        objective = GradientMatching(n_real=8, distance=distance, augment="match", one_by_one=False)
        (g,) = torch.autograd.grad(first_update(drawn.problem, s, objective), s.x)
        for seed in range(3):
            v = torch.randn(s.x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            ends = []
            for step in (1e-6, -1e-6):
                moved = copy.deepcopy(s)
                with torch.no_grad():
                    moved.x.add_(v, alpha=step)
                ends.append(first_update(drawn.problem, moved, objective).item())
            assert (g * v).sum().item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-8), distance


@pytest.mark.parametrize("name", toys.ALL)
def test_groups_one_by_one_and_all_at_once_give_the_same_gradient(name):
    found = []
    for one_by_one in (True, False):
        p, s = toys.case(name)
        loss = first_update(p, s, GradientMatching(n_real=16, one_by_one=one_by_one))
        assert loss.requires_grad != one_by_one
        if not one_by_one:
            loss.backward(inputs=s.leaves())
        found.append([q.grad for q in s.leaves() if q.grad is not None])
    assert any(g.any() for g in found[0])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_order_of_classes_changes_nothing(distance):
    """Whole classes as real batches, so that nothing but the order can differ."""

    class Reordered(RowData):
        def __init__(self, data, groups):
            super().__init__(data.x, data.y, data.splits)
            self.groups = groups

    drawn = toys.recorded(Small, n=90)
    size, found, s = 16, {}, start()
    assert all(len(drawn.data.ids(g)) == size for g in range(3))
    for groups in ([0, 1, 2], [2, 0, 1]):
        p = toys.image(data=Reordered(drawn.data, groups), models=drawn.problem.models)
        t = RowSynthetic(dict.fromkeys(groups, 2), torch.cat([s.x[s.ids(g)] for g in groups]))
        for one_by_one in (True, False):
            objective = GradientMatching(n_real=size, distance=distance, one_by_one=one_by_one)
            loss = first_update(p, t, objective)
            if loss.requires_grad:
                loss.backward()
            found[groups[0], one_by_one] = torch.cat([t.x.grad[t.ids(g)] for g in range(3)]), loss.item()
            t.zero_grad(set_to_none=True)
    (g, loss), *others = found.values()
    for other, value in others:
        assert torch.allclose(g, other, rtol=1e-9, atol=1e-12)
        assert value == pytest.approx(loss, rel=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# BatchNorm


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2 * 9, 3)

    def forward(self, b):
        z = nn.functional.avg_pool2d(torch.tanh(self.norm(self.conv(b.x))), 2).flatten(1)
        return Output(self.head(z), z)


def statistics(h):  # (n, c, a, b)
    """Mean and unbiased variance of each channel, by loops."""
    found = []
    for c in range(h.shape[1]):
        values = [v for row in h[:, c] for v in row.flatten().tolist()]
        mean = math.fsum(values) / len(values)
        found.append((mean, math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)))
    return found


def test_statistics_are_those_of_the_real_rows_and_stand_still():
    torch.manual_seed(0)
    net, data = Normed().double(), toys.pictures(dtype=torch.float64)
    rows = data.sample(4, data.groups, rng=random.Random(0))
    with torch.no_grad():
        net.norm.running_mean += 3.0  # what earlier training left must not enter
    expected = statistics(net.conv(rows.x))
    with frozen_statistics(net, lambda: rows):
        one_class = data.sample(5, 0, rng=random.Random(1))
        out = net(one_class)
        h = net.conv(one_class.x)
        for c, (mean, var) in enumerate(expected):
            assert net.norm.running_mean[c].item() == pytest.approx(mean, rel=1e-10, abs=1e-12)
            assert net.norm.running_var[c].item() == pytest.approx(var, rel=1e-10)
        by_hand = torch.stack([(h[:, c] - m) / math.sqrt(v + net.norm.eps) for c, (m, v) in enumerate(expected)], 1)
        z = nn.functional.avg_pool2d(torch.tanh(by_hand), 2).flatten(1)
        assert torch.allclose(out.features, z, rtol=1e-10, atol=1e-12)
    assert net.norm.training
    assert net.norm.momentum == 0.1


def test_gradient_matching_freezes_them_in_every_update():
    modes = []

    class Spied(Normed):
        def forward(self, b):
            modes.append((len(b.x), self.norm.training, self.norm.running_mean.tolist()))
            return super().forward(b)

    p = toys.image(models={"normed": Spied})
    s = p.synthetic(dict.fromkeys(range(3), 2), None, random.Random(0))
    optimise(p, s, GradientMatching(7, networks=TrainedOnSet(outer=2)), steps=2, optimiser=SGD)
    per_update = [modes[:7], modes[8:15]]
    assert modes[7][:2] == (6, True)  # the network's own training
    for calls in per_update:
        assert [n for n, _, _ in calls] == [3 * 16, *[7, 2] * 3]
        assert [training for _, training, _ in calls] == [True, *[False] * 6]
        assert len({tuple(mean) for _, _, mean in calls[1:]}) == 1
    assert per_update[0][1][2] != per_update[1][1][2]


def test_without_batchnorm_no_extra_rows_are_drawn():
    drawn = toys.recorded(Small)
    first_update(drawn.problem, start(), GradientMatching(n_real=5))
    assert [len(ids) for ids in drawn.data.taken] == [5, 5, 5]


def test_parameters_that_the_batch_bypasses_are_left_out():
    """An embedding table that real tokens go through and synthetic embeddings do not."""

    class Unfrozen(toys.Attention):
        def __init__(self):
            super().__init__()
            self.table.weight.requires_grad_(True)

    p, s = toys.case("text", models={"attention": Unfrozen})
    loss = first_update(p, s, GradientMatching(n_real=8, one_by_one=False))
    assert loss.isfinite()
    assert torch.autograd.grad(loss, s.e)[0].any()


def test_dsa_without_augmentation_is_dc():
    ends = []
    for name, given in (("dsa", {"augment": "none"}), ("dc", {"start": "real"}), ("dsa", {})):
        p, counts = toys.image(), dict.fromkeys(range(3), 2)
        method = resolve_method(name, p)
        options = method.resolve(p, counts, "paper", {"steps": 3, "n_real": 8, "outer": 2, **given})
        work = Work(p, counts)
        ends.append((work.perform(method.plan(p, counts, options)).x.detach(), [h["loss"] for h in work.history]))
    (x, losses), (same, others), (augmented, _) = ends
    assert torch.equal(x, same)
    assert losses == others
    assert not torch.equal(x, augmented)


@pytest.mark.parametrize("distance", ["layer-cosine", "mse"])
def test_real_rows_in_pieces_give_the_gradient_of_the_whole_batch(distance, monkeypatch):
    def first(at_once):
        monkeypatch.setattr(gradient, "rows_at_once", lambda *_: at_once)
        drawn, s, found = toys.recorded(), start(), []
        objective = GradientMatching(n_real=11, distance=distance, augment="match")

        def make(groups):
            opt = torch.optim.SGD(groups, lr=0.1)
            opt.register_step_pre_hook(lambda *_: found.append(s.x.grad.clone()))
            return opt

        optimise(drawn.problem, s, objective, steps=1, optimiser=make)
        return found[0], sorted(i for ids in drawn.data.taken for i in ids), max(map(len, drawn.data.taken))

    (whole, rows, longest), (pieces, same_rows, piece) = first(11), first(4)
    assert (longest, piece) == (11, 4)
    assert rows == same_rows
    assert torch.allclose(whole, pieces, rtol=1e-9, atol=1e-12)
