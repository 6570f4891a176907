"""The offline default keeps the contract that every method relies on."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ddcore_recommender.problems import imports

from ddcore.testing import ProblemConformance

NETWORKS = (
    "mult-vae",
)  # the others have neither weights nor features before they are fitted; they have tests of their own


class TestImports(ProblemConformance):
    entry_module = "ddcore_recommender.plugin"

    updates = 100

    @pytest.fixture(scope="class")
    def case(self):
        problem = imports(core_size=10)
        problem = replace(problem, name="recommender/imports", models={name: problem.models[name] for name in NETWORKS})
        return problem, problem.synthetic({0: 6}, None, random.Random(0))
