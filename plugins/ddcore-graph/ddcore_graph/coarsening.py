"""Coarsening: sets of neighbouring nodes become one node each, while the smooth signals on the graph stay as they are.

Local variation by neighbourhoods: Loukas, Graph Reduction with Spectral and Cut Guarantees, JMLR 2019, algorithms 1 and 2.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigsh

__all__ = ["coarse_weights", "laplacian", "local_variation", "neighbourhoods", "smoothest"]

Floats = NDArray[np.float64]
Matrix = Any  # scipy's sparse (n, n)


def laplacian(w: Matrix) -> Matrix:
    """L = D - W."""
    return sparse.diags_array(np.asarray(w.sum(1)).ravel()) - w


def smoothest(w: Matrix, k: int, seed: int) -> Floats:  # (n, at most k)
    """U diag(lambda^{-1/2}) of the k smallest eigenpairs of the Laplacian beyond those of lambda = 0, which are constant on every
    component and vary within none."""
    n = w.shape[0]
    components, component = connected_components(w, directed=False)
    k, lap = min(k, n - components), laplacian(w)
    if n <= max(4 * k, 64):
        values, vectors = np.linalg.eigh(lap.toarray())
        values, vectors = values[components : components + k], vectors[:, components : components + k]
    else:
        offset, sizes = 2 * float(np.asarray(w.sum(1)).max()), np.bincount(component)

        def shifted(v: Floats) -> Floats:  # of (offset I - L) without the constants
            v = v.ravel()
            constant = (np.bincount(component, weights=v) / sizes)[component]
            return np.asarray(offset * (v - constant) - lap @ v)

        start = np.random.default_rng(seed).standard_normal(n)
        operator = LinearOperator((n, n), matvec=shifted, dtype=np.float64)
        values, vectors = eigsh(operator, k=k, which="LA", v0=start, tol=1e-6)
        values, vectors = offset - values[::-1], vectors[:, ::-1]
    return np.asarray(vectors * values**-0.5, dtype=np.float64)


def local_variation(w: Matrix, degree: Floats, a: Floats, nodes: NDArray[Any]) -> float:  # a: (n, k)
    """What contracting the nodes costs: how much the signals `a` vary among them, over one less than their number. Edges that
    leave the set count twice."""
    start, length = w.indptr[nodes], w.indptr[nodes + 1] - w.indptr[nodes]
    row = np.repeat(np.arange(len(nodes)), length)
    entry = np.repeat(start - np.cumsum(length) + length, length) + np.arange(len(row))
    order = np.argsort(nodes)
    place = np.searchsorted(nodes, w.indices[entry], sorter=order)
    column = order[np.minimum(place, len(nodes) - 1)]
    inside = nodes[column] == w.indices[entry]
    row, column, value = row[inside], column[inside], w.data[entry[inside]]
    b = a[nodes] - a[nodes].mean(0)
    diagonal = 2 * degree[nodes] - np.bincount(row, value, len(nodes))
    varied = (b.T * diagonal) @ b - (b[row].T * value) @ b[column]  # b^T L b
    return float(np.linalg.norm(varied)) / (len(nodes) - 1)


def coarse_weights(w: Matrix, member: NDArray[np.int64]) -> Matrix:  # member: (n,) -> (m, m)
    """The weights between sets of nodes, summed; none within a set."""
    n, m = len(member), int(member.max()) + 1
    p = sparse.csr_array((np.ones(n), (member, np.arange(n))), shape=(m, n))
    c = sparse.csr_array(p @ w @ p.T)
    c.setdiag(0)
    c.eliminate_zeros()
    return c


def neighbourhoods(
    w: Matrix,  # (n, n) symmetric, zero diagonal
    labelled: NDArray[np.bool_],  # (n,)
    target: int,
    *,
    levels: int = 10,
    k: int = 10,
    seed: int = 0,
) -> NDArray[np.int64]:  # (n,) the set of each node, 0 .. m - 1
    """Contracts neighbourhoods, the least varying first, until at most `target` of the sets hold a labelled node; or less far,
    where no more neighbours are left to merge."""
    whole, member = sparse.csr_array(w), np.arange(w.shape[0])
    b = a = smoothest(whole, k, seed)
    for level in range(levels):
        found = np.bincount(member[labelled], minlength=int(member.max()) + 1) > 0  # per set
        if found.sum() <= target:
            break
        current = coarse_weights(whole, member) if level else whole
        if level:
            values, vectors = np.linalg.eigh(b.T @ (laplacian(current) @ b))
            a = b @ vectors * np.where(values > 1e-10, values + 1e-9, np.inf) ** -0.5
        merged = _contract(current, a, found, int(found.sum()) - target)
        if int(merged.max()) + 1 > current.shape[0] - 3:
            break
        sizes = np.bincount(merged)
        c = sparse.csr_array((sizes[merged] ** -0.5, (merged, np.arange(len(merged)))), shape=(len(sizes), len(merged)))
        b, member = c @ b, merged[member]
    return member


def _contract(w: Matrix, a: Floats, labelled: NDArray[np.bool_], excess: int) -> NDArray[np.int64]:  # (n,)
    """One level: disjoint sets in the order of their cost, until `excess` labelled nodes have joined others."""
    n = w.shape[0]
    degree = np.asarray(w.sum(1)).ravel()
    candidates = []
    for i in range(n):
        near = w.indices[w.indptr[i] : w.indptr[i + 1]]
        if len(near):
            nodes = np.append(near, i)
            candidates.append((local_variation(w, degree, a, nodes), i, nodes))
    heapq.heapify(candidates)
    member, taken, sets = np.full(n, -1), np.zeros(n, dtype=bool), 0
    while candidates and excess > 0:
        _, i, nodes = heapq.heappop(candidates)
        free = nodes[~taken[nodes]]
        if len(free) < len(nodes):
            if len(free) > 1:
                heapq.heappush(candidates, (local_variation(w, degree, a, free), i, free))
            continue
        taken[nodes], member[nodes] = True, sets
        sets, excess = sets + 1, excess - max(int(labelled[nodes].sum()) - 1, 0)
    rest = np.flatnonzero(~taken)
    member[rest] = sets + np.arange(len(rest))
    return member
