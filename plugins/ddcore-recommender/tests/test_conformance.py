"""The offline default keeps the contract that every method relies on."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from ddcore_recommender.ctr import click_problem
from ddcore_recommender.problems import imports
from ddcore_recommender.sequential import import_order

from ddcore.testing import ProblemConformance

NETWORKS = (
    "mult-vae",
    "mf",
    "neumf",
    "lightgcn",
)  # the others have neither weights nor features before they are fitted


class TestImports(ProblemConformance):
    entry_module = "ddcore_recommender.plugin"

    updates = 100

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls):
        problem = imports(core_size=10)
        problem = replace(problem, name="recommender/imports", models={name: problem.models[name] for name in NETWORKS})
        return problem, problem.synthetic({0: 6}, None, random.Random(0))


class TestImportOrder(ProblemConformance):
    entry_module = "ddcore_recommender.plugin"
    updates = 100

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls):
        problem = replace(import_order(core_size=12, length=6), name="recommender/import-order")
        return problem, problem.synthetic({0: 4}, None, random.Random(0))


class TestClicks(ProblemConformance):
    entry_module = "ddcore_recommender.plugin"
    updates = 100

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls):
        rng = np.random.default_rng(0)
        a, b, c = (rng.integers(n, size=900) for n in (5, 4, 3))
        problem = replace(click_problem({"a": a, "b": b, "c": c}, (a * b + c) % 4 < 2), name="recommender/file")
        return problem, problem.synthetic({0: 3, 1: 3}, None, random.Random(0))
