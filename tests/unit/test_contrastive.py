"""Contrastive matching (dcc): the sum over classes, one by one or all at once."""

from functools import partial

import pytest
import torch
import toys
from gradients import equals, layer_cosine, same, start, total, update

from ddcore.loop import optimise
from ddcore.objectives.gradient import ContrastiveMatching, GradientMatching, MultiLevelMatching
from ddcore.objectives.networks import TrainedOnSet


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("augment", [None, "match"])
def test_dcc_compares_the_sums_over_classes(augment, one_by_one):
    equals(
        ContrastiveMatching(n_real=6, augment=augment, one_by_one=one_by_one),
        lambda net, pairs: layer_cosine(total(have for have, _ in pairs), total(want for _, want in pairs)),
    )


def test_dcc_with_one_class_is_dc():
    networks = TrainedOnSet(outer=2, epochs=2, lr=0.3)
    same(
        ContrastiveMatching(6, networks=networks, augment="match", one_by_one=False),
        GradientMatching(6, networks=networks, augment="match"),
        groups=1,
    )


@pytest.mark.parametrize("objective", [ContrastiveMatching, MultiLevelMatching])
@pytest.mark.parametrize("name", toys.ALL)
def test_all_groups_one_by_one_have_the_gradient_of_all_at_once(name, objective):
    """Rows that are drawn (users) come out the same when they are read again."""
    ends = []
    for one_by_one in (True, False):
        p, s = toys.case(name)
        made = objective(n_real=16, networks=TrainedOnSet(outer=3), one_by_one=one_by_one)
        run = optimise(p, s, made, steps=4, optimiser=partial(torch.optim.SGD, lr=0.01))
        ends.append(([record["loss"] for record in run.history], [q.detach() for q in s.parameters()]))
    (losses, parameters), (other_losses, others) = ends
    assert losses == pytest.approx(other_losses, rel=1e-4)
    for q, other in zip(parameters, others):
        assert torch.allclose(q, other, rtol=1e-3, atol=1e-4)


def test_dropout_is_the_same_when_a_group_is_read_again():
    """A set of one group has one loss under one seed, and finite differences of it are dL/dS."""
    drawn, s = toys.recorded(toys.dropping), start(groups=1)
    objective = ContrastiveMatching(n_real=6)
    before = s.x.detach().clone()
    _, g = update(objective, drawn, s)
    v, ends = torch.randn(s.x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64), []
    for step in (1e-6, -1e-6):
        moved = start(groups=1)
        with torch.no_grad():
            moved.x.copy_(before + step * v)
        ends.append(update(objective, toys.recorded(toys.dropping), moved)[0][0])
    assert (g * v).sum().item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)
