"""Selection policies, by properties and against plain loops."""

import itertools
import math
import random
from collections import Counter

import pytest
import torch
import toys

from ddcore.selection import choose, herding, k_center, k_means, uniform

POLICIES = {"uniform": uniform, "herding": herding, "k-center": k_center, "k-means": k_means}


def features(n, d=3, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("what", ["rows", "duplicates", "all the same"])
@pytest.mark.parametrize("k", [1, 5, 12])
def test_picks_are_distinct(name, what, k):
    f = {"rows": features(12), "duplicates": features(3).repeat(4, 1), "all the same": torch.ones(12, 3)}[what]
    picked = POLICIES[name](f, k, random.Random(0))
    assert len(picked) == len(set(picked)) == k
    assert all(type(i) is int and 0 <= i < 12 for i in picked)
    assert picked == POLICIES[name](f, k, random.Random(0))


@pytest.mark.parametrize("seed", range(5))
def test_herding_is_the_greedy_loop(seed):
    f = features(20, seed=seed).tolist()
    mean = [sum(column) / 20 for column in zip(*f)]
    expected, total = [], [0.0] * 3
    for t in range(1, 11):
        best, least = None, math.inf
        for i in range(20):
            if i in expected:
                continue
            gap = sum((m - (s + x) / t) ** 2 for m, s, x in zip(mean, total, f[i]))
            if gap < least:
                best, least = i, gap
        expected.append(best)
        total = [s + x for s, x in zip(total, f[best])]
    assert herding(torch.tensor(f, dtype=torch.float64), 10, random.Random(0)) == expected


@pytest.mark.parametrize("seed", range(5))
def test_herding_stays_closer_to_the_mean_than_random_rows(seed):
    f = features(100, seed=seed)
    mean = f.mean(0)
    chosen = (f[herding(f, 10, random.Random(0))].mean(0) - mean).norm()
    drawn = sorted((f[uniform(f, 10, random.Random(s))].mean(0) - mean).norm() for s in range(20))
    assert chosen < drawn[4]


def radius(f, picked):
    """The largest distance of a row to its nearest pick."""
    return max(min(math.dist(x, f[i]) for i in picked) for x in f)


@pytest.mark.parametrize("seed", range(10))
def test_k_center_is_at_most_twice_the_best_radius(seed):
    f = features(9, 2, seed)
    best = min(radius(f.tolist(), c) for c in itertools.combinations(range(9), 3))
    assert best <= radius(f.tolist(), k_center(f, 3, random.Random(0))) <= 2 * best


@pytest.mark.parametrize("seed", range(5))
def test_k_center_goes_to_the_farthest_row(seed):
    f = features(15, seed=seed)
    picked = k_center(f, 6, random.Random(0))
    assert picked[0] == min(range(15), key=lambda i: math.dist(f[i], f.mean(0)))
    for k in range(1, 6):
        far = max(range(15), key=lambda i: min(math.dist(f[i], f[j]) for j in picked[:k]))
        assert picked[k] == far


def inertia(f, picked):
    return sum(min(math.dist(x, f[i]) ** 2 for i in picked) for x in f.tolist())


def test_k_means_finds_separate_clusters():
    centres = 50 * torch.eye(4)[:, :3]
    f = torch.cat([c + 0.1 * features(n, seed=n) for c, n in zip(centres, (3, 30, 8, 1))])
    owner = [c for c, n in enumerate((3, 30, 8, 1)) for _ in range(n)]
    assert sorted(owner[i] for i in k_means(f, 4, random.Random(0))) == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_k_means_has_less_inertia_than_random_rows(seed):
    f = features(80, 2, seed)
    drawn = sorted(inertia(f, uniform(f, 6, random.Random(s))) for s in range(20))
    assert inertia(f, k_means(f, 6, random.Random(seed))) < drawn[1]


def test_uniform_rows_are_uniform():
    hits = Counter(i for s in range(1000) for i in uniform(torch.zeros(5, 1), 2, random.Random(s)))
    assert all(abs(hits[i] - 400) < 5 * (1000 * 0.4 * 0.6) ** 0.5 for i in range(5))


# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", toys.ALL)
@pytest.mark.parametrize("policy", POLICIES)
def test_choosing_on_every_modality(name, policy):
    p, counts = toys.ALL[name](), toys.COUNTS[name]
    s = choose(p, counts, POLICIES[policy], random.Random(0), epochs=1)
    for g, n in counts.items():
        rows = [s.chosen[i] for i in s.ids(g)]
        assert len(set(rows)) == n
        assert set(rows) <= set(p.data.ids(g))
    assert s.chosen == choose(p, counts, POLICIES[policy], random.Random(0), epochs=1).chosen


def test_a_whole_class_may_be_chosen():
    p = toys.image(data=toys.pictures(90))
    for policy in POLICIES.values():
        s = choose(p, {0: 16, 2: 16}, policy, random.Random(0), epochs=0)
        assert sorted(s.chosen) == sorted([*p.data.ids(0), *p.data.ids(2)])


def test_features_are_of_the_network_that_was_trained_on_all_rows():
    """The policy is handed, group by group, what the trained network says about that group's rows."""
    handed = []

    def spy(f, k, rng):
        handed.append(f)
        return list(range(k))

    p = toys.image(data=toys.pictures(90))
    choose(p, {2: 1, 0: 1}, spy, random.Random(0), epochs=0, model="mlp")
    net = p.new_model(random.Random(0), "mlp").eval()
    for f, g in zip(handed, (2, 0), strict=True):
        assert torch.allclose(f, net(p.data.take(p.data.ids(g))).features)
        assert not f.requires_grad
    choose(p, {2: 1, 0: 1}, spy, random.Random(0), epochs=30, model="mlp")

    def spread(a, b):  # distance of class means in units of the spread within
        return (a.mean(0) - b.mean(0)).norm() / (a.var(0) + b.var(0)).sum().sqrt()

    assert spread(*handed[2:]) > spread(*handed[:2]), "training has pulled the classes apart"


def test_choosing_is_a_function_of_its_stream():
    """Dropout draws from torch's global generator, which is the caller's."""
    p, before = toys.image(models={"net": toys.dropping}), torch.get_rng_state()
    first = choose(p, toys.COUNTS["image"], herding, random.Random(0), epochs=2).chosen
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert choose(p, toys.COUNTS["image"], herding, random.Random(0), epochs=2).chosen == first
