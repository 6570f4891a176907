"""A small graph to write in public layouts, and how readers refuse what is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import sparse

import ddcore
from ddcore.errors import DataError

X = np.array([[1, 0, 1], [0, 2, 0], [0, 0, 4], [1, 1, 0], [0, 0, 0], [3, 0, 0], [0, 1, 1], [2, 2, 0]], np.float32)
Y = np.array([0, 1, 0, 1, 0, 1, 0, 1])
EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 3], [1, 2], [4, 5], [6, 7]])
BOTH = {p for a, b in EDGES.tolist() if a != b for p in ((a, b), (b, a))}


def edges_of(problem) -> set[tuple[int, int]]:
    return set(map(tuple, problem.data.whole.edges.T.tolist()))


def refused(said: str, name: str, data):
    """One error that names the data and says why."""
    with pytest.raises(DataError, match=said) as caught:
        ddcore.load(name, data)
    assert str(data) in str(caught.value)


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def adjacency():
    return sparse.csr_matrix((np.ones(len(EDGES)), EDGES.T), (8, 8)) > 0


def write_saint(folder, x=X, adj=None, classes=None, roles=None):
    sparse.save_npz(folder / "adj_full.npz", adjacency().astype(np.float32).tocsr() if adj is None else adj)
    np.save(folder / "feats.npy", x)
    classes = {str(i): int(c) for i, c in enumerate(Y)} if classes is None else classes
    (folder / "class_map.json").write_text(json.dumps(classes))
    (folder / "role.json").write_text(json.dumps(roles or {"tr": [0, 1, 2], "va": [3, 4], "te": [5, 6, 7]}))
