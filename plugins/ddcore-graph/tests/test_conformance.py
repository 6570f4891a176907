"""The graph problems keep the contract that every method relies on."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ddcore_graph.data import NodeData
from ddcore_graph.problems import digits_knn

from ddcore.testing import ProblemConformance


@pytest.fixture(scope="module")
def digits():
    return replace(digits_knn(hidden=16), name="graph/digits-knn")


def two_each(problem):
    return problem, problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))


class TestDigits(ProblemConformance):
    entry_module = "ddcore_graph.plugin"
    updates = 60

    @pytest.fixture
    def case(self, digits):
        return two_each(digits)

    def test_models_agree_about_the_input_space(self, problem, synthetic, rng):
        """Of two nodes a class and no edges, which is what the plain set has: an MLP sees no others, and all else does."""
        ids = [i for g in problem.data.groups for i in problem.data.ids(g)[:2]]
        whole = problem.data.whole
        data = NodeData(whole.x[ids], whole.edges[:, :0], whole.y[ids], {"train": range(len(ids))})
        super().test_models_agree_about_the_input_space(replace(problem, data=data), synthetic, rng)


class TestInductive(TestDigits):
    """Each split is a graph of its own, and what training reads is drawn."""

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
