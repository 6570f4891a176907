"""The digits keep the contract that every method relies on."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ddcore_image.problems import digits

from ddcore.testing import ProblemConformance


class TestDigits(ProblemConformance):
    entry_module = "ddcore_image.plugin"
    updates = 100

    @pytest.fixture
    def case(self):
        problem = digits(width=16)
        kept = ("convnet", "convnet-bn", "mlp", "convnet-swish")  # every network has tests of its own
        problem = replace(problem, name="image/digits", models={name: problem.models[name] for name in kept})
        return problem, problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))
