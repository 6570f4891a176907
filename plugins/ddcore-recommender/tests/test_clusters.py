"""Fake users that stand for clusters of real ones."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from ddcore_recommender.clusters import cluster_users
from ddcore_recommender.methods.distill_cf import DISTILL_CF
from ddcore_recommender.problems import ranking_problem
from ddcore_recommender.table import named, split_table
from sklearn.linear_model import Ridge

import ddcore
from ddcore.errors import OptionError

TASTES = ((range(0, 6), 5), (range(4, 12), 9), (range(11, 16), 20))  # items, and how many users have just these


@pytest.fixture(scope="module")
def copies():
    """Users of three kinds, those of a kind equal in training."""
    user, item, split = [], [], []
    for items, users in TASTES:
        for _ in range(users):
            name = f"u{len(set(user)):02}"
            for i in [*items, 16, 17, 18]:
                user.append(name)
                item.append(f"i{i:02}")
                split.append({17: 1, 18: 2}.get(i, 0))
    table = named(np.array(user), np.array(item), split=np.array(split))
    return ranking_problem(split_table(table, "column"), cuts=(5,), hidden=8)


def test_clusters_of_equal_users_are_ridge_regression_on_all_of_them(copies):
    """A linear ridge regression from histories to themselves (scikit-learn), without what is added to every item."""
    x, weight = cluster_users(copies, 3, random.Random(0))
    few = (x - x.min()).double().numpy()
    real = copies.data.take(copies.data.ids()).x.double().numpy()
    on_all, on_few = (Ridge(alpha=0.7, fit_intercept=False).fit(rows, rows).predict(real) for rows in (real, few))
    assert np.allclose(on_all, on_few, atol=1e-5)
    assert torch.allclose(weight, torch.from_numpy(few).float().sum(1))
    assert float(x.min()) == pytest.approx(few.mean() / 4, rel=1e-5), "no weight is zero"


def test_more_users_than_different_ones_are_an_error(copies):
    with pytest.raises(OptionError, match=r"4 clusters of 34 users, of whom 3 differ.*start=users"):
        ddcore.distill(copies, DISTILL_CF, ipc=4)


def test_clusters_are_a_function_of_the_seed(small):
    a, b, c = (cluster_users(small, 5, random.Random(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
