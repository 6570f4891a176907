"""Both input spaces keep the contract that every method relies on."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ddcore.testing import ProblemConformance


def with_set(problem):
    return problem, problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))


class TestTokens(ProblemConformance):
    entry_module = "ddcore_text.plugin"
    updates = 100

    @pytest.fixture
    def case(self, tokens):
        return with_set(tokens("textcnn"))


class Alone(TestTokens):
    """Another network by itself."""

    model = ""

    @pytest.fixture
    def case(self, tokens):
        problem = tokens(self.model)
        return with_set(replace(problem, models={self.model: problem.models[self.model]}))


class TestGRU(Alone):
    model = "bigru"


class TestTransformer(Alone):
    model = "transformer"


class TestSentences(ProblemConformance):
    entry_module = "ddcore_text.plugin"
    updates = 100

    @pytest.fixture
    def case(self, sentences):
        return with_set(sentences())
