"""Which interactions, or which users, stand for all: the samplers of Sachdeva et al. (WSDM 2022), on sparse matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ddcore.errors import NotSupported

from .users import UserData

__all__ = ["SAMPLERS", "Sampler", "best", "forest_fire", "head_users", "kept", "pagerank", "ranked_users", "stratified"]

Sampler = Callable[[UserData, int, Random], csr_array]
"""(data, number of users n, rng) -> histories of the users that are kept. A sampler of users keeps n whole histories; one of
interactions keeps the share n / U of all training interactions, and everybody who has one of them."""


def _numpy(rng: Random) -> np.random.Generator:
    return np.random.default_rng(rng.getrandbits(63))


def _budget(data: UserData, n: int) -> int:
    """Interactions that n users of mean history have."""
    return max(round(n / len(data.ids()) * int(data.train.nnz)), 1)


def kept(data: UserData, chosen: NDArray[np.int64]) -> csr_array:
    """The histories that consist of the interactions `chosen`, numbered as the training matrix stores them; users without
    any are left out."""
    train = data.train
    mask = np.zeros(train.nnz, np.float32)
    mask[chosen] = 1
    found = csr_array((mask, train.indices, train.indptr), train.shape, copy=True)
    found.eliminate_zeros()
    return csr_array(found[np.diff(found.indptr) > 0])


def best(data: UserData, scores: NDArray[np.floating], n: int) -> csr_array:  # (nnz,)
    """The interactions of the largest scores, within n users' budget; of equal ones the earlier stored."""
    return kept(data, np.argsort(-scores, kind="stable")[: _budget(data, n)])


def ranked_users(data: UserData, scores: NDArray[np.floating], n: int) -> csr_array:  # (U,)
    """The whole histories of the n users of the largest scores among those with a history."""
    ids = np.asarray(data.ids())
    return csr_array(data.train[ids[np.argsort(-scores[ids], kind="stable")[:n]]])


def head_users(data: UserData, n: int, rng: Random) -> csr_array:
    """The n users with the longest histories."""
    return ranked_users(data, np.diff(data.train.indptr), n)


def random_interactions(data: UserData, n: int, rng: Random) -> csr_array:
    """Interactions, uniformly."""
    return kept(data, _numpy(rng).choice(data.train.nnz, _budget(data, n), replace=False))


def stratified(data: UserData, n: int, rng: Random) -> csr_array:
    """The same share of every user's interactions: where it is no whole number, the rest goes to random users."""
    sizes = np.diff(data.train.indptr)
    share = _budget(data, n) * sizes / data.train.nnz
    whole = np.floor(share).astype(np.int64)
    left = _budget(data, n) - int(whole.sum())
    g = _numpy(rng)
    more: Any = g.choice(len(sizes), left, replace=False, p=(share - whole) / (share - whole).sum()) if left else []
    whole[more] += 1
    user = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((g.random(len(user)), user))
    place = np.arange(len(user)) - data.train.indptr[user[order]]
    return kept(data, order[place < whole[user[order]]])


def temporal(data: UserData, n: int, rng: Random) -> csr_array:
    """The latest interactions of all. Raises NotSupported without times."""
    if data.times is None:
        raise NotSupported("temporal keeps the latest interactions, and the data has no times")
    return best(data, data.times.astype(np.float64), n)


def pagerank(data: UserData, n: int, rng: Random, damping: float = 0.85, rounds: int = 50) -> csr_array:
    """Interactions among the users and items of the highest PageRank in the bipartite graph: nodes are taken in that order
    until the interactions between them fill the budget."""
    train = data.train
    users, items = train.shape
    degree = np.concatenate([np.diff(train.indptr), np.bincount(train.indices, minlength=items)]).clip(1)
    rank = np.full(users + items, 1 / (users + items))
    for _ in range(rounds):
        flow = rank / degree
        rank = (1 - damping) / len(rank) + damping * np.concatenate([train @ flow[users:], train.T @ flow[:users]])
    place = np.empty(len(rank), np.int64)
    place[np.argsort(-rank, kind="stable")] = np.arange(len(rank))
    user = np.repeat(np.arange(users), np.diff(train.indptr))
    entered = np.maximum(place[user], place[users + train.indices])  # when both ends are there
    return best(data, -entered.astype(np.float64), n)


def forest_fire(data: UserData, n: int, rng: Random, burn: float = 0.7) -> csr_array:
    """Fires in the bipartite graph (Leskovec and Faloutsos, KDD 2006): from a random user, each node sets a geometric number
    (mean `burn` / (1 - `burn`)) of its unburnt interactions on fire, until the burnt ones fill the budget. A fire that dies
    is lit again at another random user."""
    train = data.train
    users = train.shape[0]
    order = np.argsort(train.indices, kind="stable")
    by_item = np.searchsorted(train.indices[order], np.arange(train.shape[1] + 1))
    user_of = np.repeat(np.arange(users), np.diff(train.indptr))
    g, budget = _numpy(rng), _budget(data, n)
    burnt = np.zeros(train.nnz, bool)
    count, front = 0, [int(g.choice(data.ids()))]
    visited: set[int] = set()
    while count < budget:
        if not front:
            visited, front = set(), [int(g.choice(data.ids()))]
        node = front.pop(0)
        if node in visited:
            continue
        visited.add(node)
        if node < users:
            edges = np.arange(train.indptr[node], train.indptr[node + 1])
        else:
            edges = order[by_item[node - users] : by_item[node - users + 1]]
        edges = edges[~burnt[edges]]
        some = g.permutation(edges)[: min(int(g.geometric(1 - burn)) - 1 + (not front), budget - count)]
        burnt[some] = True
        count += len(some)
        front += (users + train.indices[some] if node < users else user_of[some]).tolist()
    return kept(data, np.flatnonzero(burnt))


SAMPLERS: Mapping[str, Sampler] = {
    "head-users": head_users,
    "random-interactions": random_interactions,
    "stratified": stratified,
    "temporal": temporal,
    "pagerank": pagerank,
    "forest-fire": forest_fire,
}
