"""Quantile matching (lqm): quantiles, counted."""

import math

import pytest
import torch
from formulas import CLASS, checked, ends, rows, small, the_same

from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.features import mean_distance
from ddcore.objectives.quantiles import QuantileMatching, quantile_distance, quantiles


def by_counting(real, fake):
    """Each sorted synthetic value against the smallest real value that at least (2i - 1) / 2k of the real ones do not exceed."""
    n, k, total = len(real), len(fake), []
    for column, values in zip(real.T.tolist(), fake.T.tolist(), strict=True):
        for i, v in enumerate(sorted(values), start=1):
            q = min(c for c in column if sum(a <= c for a in column) * 2 * k >= (2 * i - 1) * n)
            total.append((q - v) ** 2 / k)
    return math.fsum(total)


@pytest.mark.parametrize(("n", "k"), [(7, 1), (7, 3), (5, 5), (3, 4)])
def test_quantile_matching_is_its_formula(n, k):
    real = rows(n, 3)
    checked(lambda y: quantile_distance(real, y), lambda y: by_counting(real, y), rows(k, 3, 1))


def test_quantiles_are_the_points_nearest_by_cramer_and_von_mises():
    """No other equally weighted points come closer to the real rows' distribution function."""
    real, k = rows(200, 1), 3

    def statistic(points):
        """Of the sorted real values x_j: sum over j of ((j - 1/2) / n - F(x_j))^2."""
        x = sorted(real.flatten().tolist())
        return math.fsum(((j + 0.5) / len(x) - sum(p <= v for p in points) / k) ** 2 for j, v in enumerate(x))

    best = quantiles(real, k).flatten().tolist()
    for i in range(k):
        for move in (-0.5, -0.2, 0.2, 0.5):
            assert statistic([p + move * (i == j) for j, p in enumerate(best)]) > statistic(best)


def test_quantiles_of_shifted_rows_differ_by_the_means():
    """One shape, moved: then and only then the distance is DM's; else the spread adds to it."""
    real = rows(6, 3)
    shifted, other = real[torch.tensor([3, 0, 5, 1, 4, 2])] + rows(1, 3, 1), rows(6, 3, 2)
    assert quantile_distance(real, shifted).item() == pytest.approx(mean_distance(real, shifted).item(), rel=1e-10)
    for fake in (shifted, other):
        apart = (real.sort(0).values - fake.sort(0).values).var(0, unbiased=False).sum()
        assert quantile_distance(real, fake).item() == pytest.approx((mean_distance(real, fake) + apart).item())


def test_quantile_matching_of_real_rows_that_are_all_one_is_distribution_matching():
    """With one synthetic row a class and real rows without spread, the median is the mean."""

    def one_row_a_class():
        drawn = small()
        drawn.data.x[:] = drawn.data.x[drawn.data.y]
        return drawn

    options = {"n_real": CLASS, "augment": "match"}
    dm = ends(DistributionMatching(**options), n=1, drawn=one_row_a_class())
    the_same(ends(QuantileMatching(**options), n=1, drawn=one_row_a_class()), dm)
    assert not torch.allclose(ends(QuantileMatching(**options), n=1)[1], ends(DistributionMatching(**options), n=1)[1])
