"""The graph problems keep the contract that every method relies on."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ddcore_graph.problems import digits_knn

from ddcore.testing import ProblemConformance

NO_EDGES = "the plain set has no edges: an MLP reads it like the real nodes, and a network that propagates does not"


@pytest.fixture(scope="module")
def digits():
    return replace(digits_knn(hidden=16), name="graph/digits-knn")


class TestDigits(ProblemConformance):
    entry_module = "ddcore_graph.plugin"
    updates = 60
    expected_failures = {"test_models_agree_about_the_input_space": NO_EDGES}

    @pytest.fixture
    def case(self, digits):
        return digits, digits.synthetic(dict.fromkeys(digits.data.groups, 2), None, random.Random(0))
