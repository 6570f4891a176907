"""Kernel matching (m3d): MMD by a kernel equals its double sum, and with a linear one is distribution matching."""

import math

import pytest
import torch
from formulas import checked, ends, gradient, rows, the_same

from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.mmd import KernelMatching, gaussian, linear, mmd2


def by_double_sums(real, fake, k):
    """MMD^2 as three double sums over pairs of rows."""
    real, fake = real.tolist(), fake.tolist()

    def mean(xs, ys):
        return math.fsum(k(x, y) for x in xs for y in ys) / (len(xs) * len(ys))

    return mean(real, real) - 2 * mean(real, fake) + mean(fake, fake)


def squared(x, y):
    return math.fsum((a - b) ** 2 for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("n", [1, 3])
def test_gaussian_kernel_matching_is_its_double_sum(n):
    real = rows(6, 3) * 2
    apart = sorted(squared(x, y) for i, x in enumerate(real.tolist()) for j, y in enumerate(real.tolist()) if i != j)
    variance = apart[(len(apart) - 1) // 2]

    def k(x, y):
        return variance * math.exp(-squared(x, y) / (2 * variance))

    checked(lambda y: mmd2(real, y, gaussian(real)), lambda y: by_double_sums(real, y, k), rows(n, 3, 1))


@pytest.mark.parametrize("n", [1, 3])
def test_linear_kernel_matching_is_its_double_sum(n):
    real = rows(6, 3)

    def k(x, y):
        return math.fsum(a * b for a, b in zip(x, y, strict=True))

    checked(lambda y: mmd2(real, y, linear(real)), lambda y: by_double_sums(real, y, k), rows(n, 3, 1))


def test_a_linear_kernel_is_distribution_matching():
    options = {"n_real": 40, "augment": "match"}
    dm = ends(DistributionMatching(**options))
    the_same(ends(KernelMatching(**options, kernel="linear")), dm)
    assert not torch.allclose(ends(KernelMatching(**options))[1], dm[1])


def test_a_class_of_one_real_row_has_a_kernel_of_width_one():
    """Copies of a row, which rounding may hold apart, are no measure of distance; the set is drawn to them all the same."""
    row, y = rows(1, 3), rows(2, 3, 1)
    for real in (row, row.repeat(5, 1), (row + 1e-9 * rows(5, 3, 2))):

        def k(x, y):
            return math.exp(-squared(x, y) / 2)

        checked(lambda y, real=real: mmd2(real, y, gaussian(real)), lambda y, real=real: by_double_sums(real, y, k), y)


def test_a_wide_gaussian_kernel_is_a_linear_one():
    """Seen from real rows that are far apart, synthetic rows whose distances are small."""
    far = torch.cat([rows(4, 3), rows(4, 3) + 1e4])
    near, y = rows(4, 3), rows(3, 3, 1)
    wide = gradient(lambda y: mmd2(near, y, gaussian(far)), y)
    plain = gradient(lambda y: mmd2(near, y, linear(near)), y)
    assert wide[0] == pytest.approx(plain[0], rel=1e-4)
    torch.testing.assert_close(wide[1], plain[1], rtol=1e-4, atol=1e-6)


def test_kernel_matching_sees_what_means_do_not():
    """Two sets of one mean and different spread."""
    real = rows(8, 2)
    y = real.mean(0) + 0.01 * (real - real.mean(0))
    assert mmd2(real, y, linear(real)).item() == pytest.approx(0, abs=1e-12)
    assert mmd2(real, y, gaussian(real)) > 0.1
    assert mmd2(real, real, gaussian(real)).item() == pytest.approx(0, abs=1e-12)
