"""Labels: what each kind stores, what a network is trained towards, and that training on it works."""

import random
from dataclasses import replace

import pytest
import torch
import toys

from ddcore import labels
from ddcore.evaluation import train
from ddcore.recipes import Recipe
from ddcore.rows import RowSynthetic, TeacherLabels

P = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])


def test_ids():
    made = labels.ids(torch.tensor([2, 0, 1], dtype=torch.int32))
    y, values = made.rows([1, 0])
    assert (y.tolist(), values, made.kind) == ([0, 2], None, "ids")
    assert y.dtype == torch.int64


def test_probabilities():
    y, values = labels.probabilities(P).rows([2, 0])
    assert values is None
    assert torch.equal(y, P[[2, 0]])


def test_learned_probabilities_stay_probabilities():
    made = labels.probabilities(P, learn=True)
    assert torch.allclose(made.rows([0, 1, 2])[0], P, atol=1e-6)
    with torch.no_grad():
        made.stored.add_(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))
    y, _ = made.rows([0, 1, 2])
    assert torch.allclose(y.sum(1), torch.ones(3))
    assert (y > 0).all()
    assert y.requires_grad
    assert labels.probabilities(torch.eye(3), learn=True).rows([0])[0].isfinite().all()


@pytest.mark.parametrize("learn", [False, True])
def test_values_are_never_put_through_a_softmax(learn):
    made = labels.values(5 * P - 3, learn=learn)
    y, values = made.rows([1])
    assert y is None
    assert torch.equal(values, 5 * P[[1]] - 3)
    assert values.requires_grad == learn
    assert bool(list(made.parameters())) == learn


def test_labels_of_each_epoch():
    made = labels.per_epoch(torch.stack([P, P.flip(0), P.roll(1, 0)]))
    for epoch, expected in enumerate([P, P.flip(0), P.roll(1, 0), P, P.flip(0)]):
        assert torch.equal(made.rows([2, 0], epoch)[0], expected[[2, 0]])


def test_training_steps_take_the_labels_of_their_epoch():
    stored = torch.stack([P, P.flip(0)])
    s = RowSynthetic({0: 1, 1: 1, 2: 1}, torch.zeros(3, 1, 8, 8), labels.per_epoch(stored))
    p = toys.image()
    for t in range(4):  # the whole set: a step is an epoch
        assert torch.equal(s.train_batch(p, t, 0)[0].y, stored[t % 2])
    for t in range(6):  # minibatches of two: an epoch has two steps
        ids = s.order(t, 0, 2)
        assert torch.equal(s.train_batch(p, t, 0, 2)[0].y, stored[(t // 2) % 2][ids])


def teacher():
    net = toys.image().new_model(random.Random(3), "mlp")
    return TeacherLabels(net, "mlp", torch.arange(3), 2.0)


def test_a_teacher_labels_the_view_that_the_network_sees():
    s = RowSynthetic({0: 1, 1: 1, 2: 1}, torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)), teacher())
    p, seen = toys.image(), []
    for t in range(6):
        batch, _ = s.train_batch(p, t, 0)
        expected = (s.labels.teacher(batch).logits / 2.0).softmax(-1)
        assert torch.allclose(batch.y, expected)
        assert not batch.y.requires_grad
        seen.append((batch.x.detach(), batch.y))
    views = {tuple(x.flatten().tolist()) for x, _ in seen}
    assert len(views) == len({tuple(y.flatten().tolist()) for _, y in seen}) > 1
    assert s.batch().y.tolist() == [0, 1, 2], "plain rows keep their class"


def test_a_teacher_neither_learns_nor_drops():
    net = toys.ConvNet(drop=0.5)
    made = TeacherLabels(net, "convnet", torch.arange(3))
    s = RowSynthetic({0: 1, 1: 1, 2: 1}, torch.zeros(3, 1, 8, 8), made)
    assert [g["name"] for g in s.param_groups()] == ["rows"]
    s.train()  # a caller that puts the set into training mode
    batch = s.batch()
    assert torch.equal(made.of(batch), made.of(batch))


KINDS = {
    "ids": lambda: labels.ids(torch.arange(3)),
    "probabilities": lambda: labels.probabilities(P),
    "values": lambda: labels.values(4 * P - 1),
    "per-epoch": lambda: labels.per_epoch(torch.stack([P, 0.9 * P + 0.1 / 3])),
    "teacher": teacher,
}


@pytest.mark.parametrize("kind", KINDS)
def test_training_on_each_kind_reduces_its_loss(kind):
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    p, s = toys.image(), RowSynthetic({0: 1, 1: 1, 2: 1}, x, KINDS[kind]())
    assert s.label_kind == kind
    p = replace(p, augmentations={})
    recipe = Recipe("r@1", epochs=150, rule="momentum", lr=0.05, weight_decay=0.0)
    fresh, trained = (train(p, s, replace(recipe, epochs=n), 0, "mlp").eval() for n in (1, 150))
    batch, _ = s.train_batch(p, 0, 0)
    with torch.no_grad():
        before, after = p.loss(fresh, batch).item(), p.loss(trained, batch).item()
        entropy = 0.0 if kind in ("ids", "values") else -(batch.y * batch.y.log()).sum(1).mean().item()
        floor = batch.temperature**2 * entropy
    assert after - floor < 0.2 * (before - floor)
