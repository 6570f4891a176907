"""Intervals against scipy, and against how often they hold what they should."""

import random

import pytest
from scipy import stats

from ddcore.intervals import Difference, Mean, paired, quantile, unpaired


@pytest.mark.parametrize("freedom", [1, 2, 4.3, 9, 30, 400])
@pytest.mark.parametrize("p", [0.5, 0.8, 0.975, 0.999])
def test_quantiles_of_students_t(p, freedom):
    assert quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-6, abs=1e-9)


def values(n, centre=0.0, spread=1.0, seed=0):
    rng = random.Random(seed)
    return tuple(rng.gauss(centre, spread) for _ in range(n))


def test_an_interval_of_a_mean():
    x = values(6)
    low, high = Mean(x).interval()
    theirs = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((theirs.low, theirs.high))
    assert Mean((0.5,)).interval() is None
    assert Mean((0.5,)).stderr is None
    assert Mean((0.5, 0.5)).interval() == (0.5, 0.5)


def test_distillations_and_not_their_networks_are_what_is_independent():
    draws = [[0.1, 0.3], [0.5, 0.7], [0.2, 0.2]]
    assert Mean.of(draws).values == pytest.approx((0.2, 0.6, 0.2))
    assert Mean.of(draws[:1]).values == (0.1, 0.3)


def test_a_paired_difference():
    a, b = values(5, 1.0, seed=1), values(5, seed=2)
    found, theirs = paired(a, b), stats.ttest_rel(a, b).confidence_interval(0.95)
    assert found.interval == pytest.approx((theirs.low, theirs.high))
    with pytest.raises(ValueError, match=r"shorter|longer"):
        paired(a, b[:3])


def test_pairs_see_what_differs_where_the_seed_moves_both():
    seeds = values(6, spread=10.0)
    better = tuple(s + 0.5 + e for s, e in zip(seeds, values(6, spread=0.1, seed=3), strict=True))
    assert paired(better, seeds).distinguishable
    assert not unpaired(Mean(better), Mean(seeds)).distinguishable


def test_an_unpaired_difference_is_welchs():
    a, b = values(5, 1.0, 0.3, seed=4), values(9, 0.0, 2.0, seed=5)
    found = unpaired(Mean(a), Mean(b))
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found.interval == pytest.approx((theirs.low, theirs.high))
    assert unpaired(Mean((1.0, 1.0)), Mean((0.5, 0.5))).distinguishable


def test_a_single_value_has_the_spread_of_the_others():
    a = values(5, 1.0, 0.3, seed=4)
    for single in (0.2, 0.9, 2.5):
        theirs = stats.ttest_ind([single], a, equal_var=True).confidence_interval(0.95)
        assert unpaired(Mean((single,)), Mean(a)).interval == pytest.approx((theirs.low, theirs.high))
        assert unpaired(Mean(a), Mean((single,))).interval == pytest.approx((-theirs.high, -theirs.low))
    assert unpaired(Mean((1.0,)), Mean((0.5,))) == Difference(0.5, None)
    assert not unpaired(Mean((1.0,)), Mean((0.5,))).distinguishable


def test_a_single_value_of_the_others_kind_is_seldom_told_apart():
    told = sum(
        unpaired(Mean(values(1, seed=2 * s)), Mean(values(4, seed=2 * s + 1))).distinguishable for s in range(400)
    )
    assert 0.02 <= told / 400 <= 0.08


def test_an_interval_holds_the_mean_as_often_as_it_says():
    held = 0
    for seed in range(400):
        low, high = Mean(values(5, 3.0, seed=seed)).interval()
        held += low <= 3.0 <= high
    assert 0.92 <= held / 400 <= 0.98
