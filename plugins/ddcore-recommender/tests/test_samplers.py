"""Samplers keep what they say, within the budget."""

from __future__ import annotations

import random

import numpy as np
import pytest
from ddcore_recommender.problems import ranking_problem
from ddcore_recommender.proxy import forgetting, inverse_propensities
from ddcore_recommender.ranking import propensities
from ddcore_recommender.sampling import SAMPLERS, best, kept, pagerank
from ddcore_recommender.table import named, split_table

import ddcore
from ddcore.errors import NotSupported
from ddcore.parametrizations.base import Selected

N = 12


def within(rows, train):
    """Every history is part of a real one."""
    a, b = rows.toarray() > 0, train.toarray() > 0
    return all((~row | b).all(1).any() for row in a)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_is_part_of_the_training_data(small, name):
    data = small.data
    rows = SAMPLERS[name](data, N, random.Random(0))
    assert (np.diff(rows.indptr) > 0).all()
    assert within(rows, data.train)
    again = SAMPLERS[name](data, N, random.Random(0))
    assert np.array_equal(rows.toarray(), again.toarray())
    if name == "head-users":
        assert rows.shape[0] == N
    else:
        assert rows.nnz == round(N / len(data.ids()) * data.train.nnz)


def test_head_users_have_the_longest_histories(small):
    rows = SAMPLERS["head-users"](small.data, N, random.Random(0))
    sizes = np.sort(np.diff(small.data.train.indptr))
    assert sorted(np.diff(rows.indptr)) == sorted(sizes[-N:])


def test_stratified_keeps_everyones_share(small):
    data = small.data
    rows = SAMPLERS["stratified"](data, 30, random.Random(0))
    sizes = np.diff(data.train.indptr)
    share = rows.nnz * sizes / data.train.nnz
    whole = kept(data, np.arange(data.train.nnz))
    assert whole.nnz == data.train.nnz
    assert rows.shape[0] == len(sizes)  # half of at least three interactions
    assert (np.abs(np.diff(rows.indptr) - share) <= 1).all()


def test_temporal_keeps_the_latest(small):
    data = small.data
    rows = SAMPLERS["temporal"](data, N, random.Random(0))
    newest = np.argsort(-data.times)[: rows.nnz]
    assert np.array_equal(rows.toarray(), kept(data, newest).toarray())


def test_times_belong_to_their_interactions():
    table = split_table(named(np.array(list("bbbaaa")), np.array(list("zyxxyz")), time=np.arange(6)), "random")
    data = ranking_problem(table, cuts=(2,)).data
    when = {(u, i): t for u, i, t in zip(table.user, table.item, table.time, strict=True)}
    user, item = data.train.nonzero()
    assert data.times.tolist() == [when[pair] for pair in zip(user, item, strict=True)]


def test_pagerank_is_the_stationary_distribution():
    """Against the dense eigenvector: interactions whose ends rank highest come first."""
    rng = np.random.default_rng(0)
    user, item = (rng.random((15, 9)) < 0.5).nonzero()
    data = ranking_problem(split_table(named(user, item), "random"), cuts=(2,)).data
    a = data.train.toarray()
    graph = np.block([[np.zeros((15, 15)), a], [a.T, np.zeros((9, 9))]])
    walk = graph / graph.sum(0, keepdims=True).clip(1)
    rank = np.linalg.solve(np.eye(24) - 0.85 * walk, np.full(24, 0.15 / 24))
    place = np.argsort(np.argsort(-rank))
    u, i = data.train.nonzero()
    entered = np.maximum(place[u], place[15 + i])
    assert np.array_equal(
        pagerank(data, 4, random.Random(0)).toarray(), best(data, -entered.astype(float), 4).toarray()
    )


def test_a_proxy_misses_the_interactions_that_fit_no_taste(small):
    data = small.data
    missed = forgetting(data, random.Random(0), dim=8, epochs=40, lr=0.02)
    user, item = data.train.nonzero()
    usual = np.array(
        [int(data.users[u][1:]) % 3 == int(data.items[i][1:]) % 3 for u, i in zip(user, item, strict=True)]
    )
    assert missed[~usual].mean() > 2 * missed[usual].mean()
    assert 0 <= missed.min() <= missed.max() <= 1


def test_the_propensity_of_an_interaction_is_of_the_rarer_end(small):
    data = small.data
    by_user = propensities(np.diff(data.train.indptr))
    by_item = propensities(np.bincount(data.train.indices, minlength=24))
    user, item = data.train.nonzero()
    expected = [max(by_user[u], by_item[i]) for u, i in zip(user, item, strict=True)]
    assert inverse_propensities(data) == pytest.approx(expected)


@pytest.mark.parametrize("keep", ["interactions", "users"])
def test_svp_is_a_method_whose_set_reopens(small, tmp_path, keep):
    from ddcore_recommender.methods.svp_cf import SVP_CF_PROP

    artifact = ddcore.distill(small, SVP_CF_PROP, ipc=5, options={"epochs": 2, "keep": keep}, out=tmp_path / "a")
    again = ddcore.open(tmp_path / "a").synthetic(small)
    assert within(again.rows, small.data.train)
    assert artifact.bytes == 8 * (again.rows.shape[0] + 1) + 4 * again.rows.nnz
    if keep == "users":
        assert again.rows.shape[0] == 5


def test_without_times_temporal_refuses(tastes):
    from ddcore_recommender.methods.samplers import TEMPORAL

    problem = ranking_problem(split_table(tastes(timed=False), "random"), cuts=(5,))
    with pytest.raises(NotSupported, match="no times"):
        ddcore.distill(problem, TEMPORAL, ipc=3)


def test_whole_users_as_a_sample_are_the_users(small):
    from ddcore_recommender.users import SparseUsers

    some = Selected.random(small.data, {0: 9}, random.Random(3))
    rows = SparseUsers(small.data.train[some.chosen])
    assert np.array_equal(rows.batch().x.numpy(), some.batch().x.numpy())
