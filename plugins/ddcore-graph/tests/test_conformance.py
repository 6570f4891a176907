"""The graph problems keep the contract that every method relies on."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ddcore_graph.data import NodeData
from ddcore_graph.problems import digits_knn

from ddcore.testing import ProblemConformance

NO_EDGES = "the plain set has no edges: an MLP reads it like the real nodes, and a network that propagates does not"


@pytest.fixture(scope="module")
def digits():
    return replace(digits_knn(hidden=16), name="graph/digits-knn")


def two_each(problem):
    return problem, problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))


class TestDigits(ProblemConformance):
    entry_module = "ddcore_graph.plugin"
    updates = 60
    expected_failures = {"test_models_agree_about_the_input_space": NO_EDGES}

    @pytest.fixture
    def case(self, digits):
        return two_each(digits)


class TestInductive(TestDigits):
    """Each split is a graph of its own, and what training reads is drawn."""

    expected_failures = {}

    @pytest.fixture
    def case(self, digits):
        whole = digits.data.whole
        data = NodeData(whole.x, whole.edges, whole.y, digits.data.splits, inductive=True, fanout=[4, 3])
        few = {name: digits.models[name] for name in ("gcn", "sgc", "gat")}
        return two_each(replace(digits, data=data, models=few))


class TestGraphs(ProblemConformance):
    entry_module = "ddcore_graph.plugin"
    updates = 100

    @pytest.fixture
    def case(self, shapes):
        return two_each(replace(shapes(hidden=16), name="graph/tu"))
