"""What the tests share; their own folder is importable, for `layouts`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from ddcore_graph.graph_problems import graph_problem
from ddcore_graph.readers.ogb import Molecules

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def shapes():
    """Rings with a chord (class 0) and trees (class 1) of 5 to 9 nodes, whose features are their degrees, one-hot."""

    def make(n: int = 120, **options):
        rng = np.random.default_rng(0)
        sizes, edges, first = [], [], 0
        for i in range(n):
            k = int(rng.integers(5, 10))
            g = nx.cycle_graph(k) if i % 2 == 0 else nx.random_labeled_tree(k, seed=i)
            if i % 2 == 0:
                g.add_edge(0, k // 2)
            sizes.append(k)
            edges += [(first + a, first + b) for a, b in g.edges]
            first += k
        e = np.array(edges, dtype=np.int64)
        degree = np.bincount(e.ravel(), minlength=first)
        x = np.eye(4, dtype=np.float32)[np.minimum(degree, 4) - 1]
        y = np.arange(n) % 2
        raw = Molecules(x, np.array(sizes, dtype=np.int64), e[:, 0], e[:, 1], y, ["ring", "tree"])
        return graph_problem(raw, **options)

    return make


@pytest.fixture(scope="session")
def real():
    """The folder of real graphs."""
    place = os.environ.get("DDCORE_TEST_DATA")
    if place is None or not (Path(place) / "graph").is_dir():
        pytest.skip("DDCORE_TEST_DATA names no folder with real data")
    return Path(place) / "graph"
