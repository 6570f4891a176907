"""What the tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from ddcore_recommender.problems import ranking_problem
from ddcore_recommender.table import named, split_table


def some_tastes(users=60, items=24, kinds=3, seed=0, *, timed=True):
    """A table of users who like one kind of items, and now and then another."""
    rng = np.random.default_rng(seed)
    user, item, time = [], [], []
    for u in range(users):
        liked = np.arange(items) % kinds == u % kinds
        chosen = rng.random(items) < np.where(liked, 0.75, 0.08)
        chosen[[u % kinds, u % kinds + kinds, u % kinds + 2 * kinds]] = True
        for i in rng.permutation(np.flatnonzero(chosen)):
            user.append(f"u{u:03}")
            item.append(f"i{i:02}")
            time.append(len(time))
    return named(np.array(user), np.array(item), time=np.array(time) if timed else None)


@pytest.fixture(scope="session")
def small():
    return ranking_problem(split_table(some_tastes(), "random"), cuts=(5,), hidden=24)


@pytest.fixture(scope="session")
def tastes():
    return some_tastes


@pytest.fixture
def recsys():
    folder = os.environ.get("DDCORE_TEST_DATA")
    if not folder or not (Path(folder) / "recsys").is_dir():
        pytest.skip("DDCORE_TEST_DATA names no folder with recsys in it")
    return Path(folder) / "recsys"
