"""Likelihood (bacon): the normal density, and without prior and spread class by class matching."""

import math
from functools import partial
from statistics import NormalDist, fmean, stdev

import pytest
import torch
from formulas import CLASS, checked, ends, rows, small, start

from ddcore.objectives.bayesian import BayesianMatching, negative_log_likelihood
from ddcore.objectives.classwise import ClasswiseMatching
from ddcore.objectives.networks import Queue


@pytest.mark.parametrize("n", [1, 4])
def test_bayesian_distance_is_its_formula(n):
    """Feature by feature, with Python's normal density."""
    real = rows(6, 3)
    objective = BayesianMatching(variation=0.8)

    def reference(y):
        total = 0.0
        for column, values in zip(real.T.tolist(), y.T.tolist(), strict=True):
            law = NormalDist(fmean(column), math.exp(stdev(column)))
            total += -math.log(law.pdf(fmean(values))) + 0.8 * 0.5 * abs(fmean(values) - law.mean)
        return total

    checked(lambda y: objective.distance((real,), (y,), 0, None), reference, rows(n, 3, 1))


def test_bayesian_matching_without_its_prior_and_spread_is_class_by_class_matching():
    """Real rows that are all one have sigma = 1: twice the likelihood moves the set as IDM's distance does."""

    def alike():
        drawn = small()
        drawn.data.x[:] = drawn.data.x[drawn.data.y]
        return drawn

    one, two = alike(), alike()
    queue = Queue(start=1, every=100, steps=0)
    losses, x = ends(ClasswiseMatching(CLASS, networks=queue, weight=0.0), steps=7, drawn=one)
    found, y = ends(
        BayesianMatching(CLASS, networks=queue, weight=0.0, variation=0.0),
        steps=7,
        optimiser=partial(torch.optim.SGD, lr=1.0),
        drawn=two,
    )
    torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-10)
    assert found == pytest.approx([d / 2 + 32 * math.log(2 * math.pi) / 2 for d in losses])
    assert not torch.allclose(x, start().x)


def test_one_real_row_has_no_spread():
    real, y = rows(1, 3), rows(2, 3, 1)
    with_copies = torch.cat([real, real])
    for f in (negative_log_likelihood, lambda a, b: BayesianMatching().distance((a,), (b,), 0, None)):
        assert f(real, y).isfinite()
        assert f(real, y).item() == pytest.approx(f(with_copies, y).item(), rel=1e-12)


def test_the_spread_of_real_rows_weighs_their_means():
    drawn = small()
    queue = Queue(start=1, every=100, steps=0)
    _, x = ends(ClasswiseMatching(CLASS, networks=queue, weight=0.0), drawn=drawn)
    for variation in (0.0, 0.8):
        _, y = ends(BayesianMatching(CLASS, networks=queue, weight=0.0, variation=variation))
        assert not torch.allclose(x, y)
        x = y
