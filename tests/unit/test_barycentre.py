"""Barycentres (wmdd): transport beside all plans, atoms, and what is matched to them."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from formulas import CLASS, Given, cross_entropy, ends, experts, plain, rows, small, start

from ddcore.objectives.barycentre import BarycentreMatching, barycentre, class_targets, transport
from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.networks import trained
from ddcore.rows import Rows
from ddcore.seeds import stream


@pytest.mark.parametrize(("k", "n"), [(1, 4), (2, 3), (3, 2), (2, 4), (3, 3), (4, 2)])
def test_transport_is_the_cheapest_of_all_plans(k, n):
    """Points and atoms in equal parts: the cheapest of all assignments of parts to parts."""
    for seed in range(3):
        cost = rows(k, n, seed).square().numpy()
        parts = [j for j in range(n) for _ in range(k // math.gcd(k, n))]
        places = [a for a in range(k) for _ in range(n // math.gcd(k, n))]
        plans = {tuple(sorted(zip(order, parts, strict=True))) for order in permutations(places)}
        cheapest = min(math.fsum(cost[a, j] for a, j in plan) / len(parts) for plan in plans)
        plan = transport(cost)
        assert (plan * cost).sum() == pytest.approx(cheapest)
        assert plan.sum(0) == pytest.approx(1 / n)
        assert plan.sum(1) == pytest.approx(1 / k)


@pytest.mark.parametrize(("k", "n"), [(5, 60), (7, 50)])
def test_transport_has_prices_that_prove_it(k, n):
    """Atoms' prices under which every point lies where it is cheapest: a certificate of the optimum (dual feasibility)."""
    x, atoms = rows(n, 4), rows(k, 4, 1)
    cost = torch.cdist(atoms, x).square().numpy()
    held = transport(cost) > 0
    passing = np.array([[(cost[b, held[a]] - cost[a, held[a]]).min() for b in range(k)] for a in range(k)])
    price = np.zeros(k)
    for _ in range(k):
        price = np.minimum(price, (price[:, None] + passing).min(0))
    reduced = cost - price[:, None]
    assert (reduced[held] <= np.broadcast_to(reduced.min(0), cost.shape)[held] + 1e-9).all()


def test_one_atom_is_the_mean_and_as_many_as_points_are_the_points():
    x = rows(6, 3)
    torch.testing.assert_close(barycentre(x, 1, stream(0)), x.mean(0, keepdim=True))
    six = barycentre(x, 6, stream(0))
    torch.testing.assert_close(six[six[:, 0].argsort()], x[x[:, 0].argsort()])


def test_atoms_of_clusters_are_their_means_and_rest_where_their_share_is():
    centres = torch.tensor([[0.0, 0], [10, 0], [0, 10]], dtype=torch.float64)
    x = torch.cat([c + 0.1 * rows(4, 2, i) for i, c in enumerate(centres)])
    atoms = barycentre(x, 3, stream(1))
    plan = torch.from_numpy(transport(torch.cdist(atoms, x).square().numpy()))
    torch.testing.assert_close(3 * plan @ x, atoms)
    best = min(
        torch.stack([part.mean(0) for part in x.split(4)])[list(order)].sub(atoms).abs().max()
        for order in permutations(range(3))
    )
    assert best < 1e-8


def targets(problem, counts, found):
    return class_targets(problem, counts, found, stream("targets"))


def test_barycentre_matching_is_its_formula():
    drawn = small()
    p = plain(drawn)
    found = experts(p, 1)
    s, teacher = start(), trained(p, found, stream("any"))
    goals = targets(p, s.counts, found)
    objective = BarycentreMatching(found, goals, loss=0.7, layers=0.3)
    x = s.x.detach().clone().requires_grad_()
    out, y = teacher(Rows(x)), torch.arange(3).repeat_interleave(2)
    expected = 0.7 * torch.stack([cross_entropy(out.logits[i : i + 1], y[i]) for i in range(6)]).mean()
    expected = expected + sum((out.features[i] - goals[i // 2].atoms[i % 2]).square().sum() for i in range(6)).sqrt()
    for g in range(3):
        real = teacher(Rows(drawn.data.x[list(drawn.data.ids(g))])).features
        mine = out.features[2 * g : 2 * g + 2]
        for order in (1, 2):
            a, b = (z.mean(0) if order == 1 else (z - z.mean(0)).square().mean(0) for z in (real, mine))
            expected = expected + 0.3 * (a - b).square().sum().sqrt()
    drawn.problem = p
    losses, moved = ends(objective, steps=1, drawn=drawn)
    assert losses[0] == pytest.approx(expected.item(), rel=1e-9)
    step = torch.autograd.grad(expected, x)[0]
    torch.testing.assert_close(moved, (x - 0.5 * step).detach(), rtol=1e-8, atol=1e-10)


def test_at_one_row_a_class_barycentre_matching_is_the_root_of_distribution_matching():
    """Then the barycentres are the class means: the distances are root and square, under the same network."""
    drawn = small()
    drawn.problem = plain(drawn)
    found = experts(drawn.problem, 1)
    teacher = trained(drawn.problem, found, stream("any"))
    (dm,), x = ends(DistributionMatching(CLASS, networks=Given(teacher)), steps=1, n=1, drawn=drawn)
    goals = targets(drawn.problem, dict.fromkeys(range(3), 1), found)
    (loss,), y = ends(BarycentreMatching(found, goals, loss=0.0, layers=0.0), steps=1, n=1, drawn=drawn)
    assert loss == pytest.approx(math.sqrt(dm), rel=1e-10)
    torch.testing.assert_close(y - start(1).x, (x - start(1).x) / (2 * loss), rtol=1e-9, atol=1e-12)
