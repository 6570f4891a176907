"""Both input spaces keep the contract that every method relies on."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ddcore_text.data import token_space
from ddcore_text.models import token_zoo
from ddcore_text.pretraining import CorpusEncoder

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
    """Another network by itself: of the small ones, or as the zoo has it."""

    model = ""
    updates = 40  # at ten times the rate
    test_the_entry_module_imports_nothing_heavy = test_every_entry_loads = None  # of the plugin: once is enough

    @pytest.fixture
    def case(self, tokens):
        problem = tokens()
        zoo = token_zoo(token_space(problem), 3, CorpusEncoder(problem.data.corpus, steps=2))
        models = {self.model: {**zoo, **problem.models}[self.model]}
        return with_set(replace(problem, models=models, recipe=replace(problem.recipe, lr=0.01)))


class TestBag(Alone):
    model = "bag"


class TestGRU(Alone):
    model = "bigru"


class TestTransformer(Alone):
    model = "transformer"


@pytest.mark.paper
class TestLSTM(Alone):
    model = "bilstm"


@pytest.mark.paper
class TestBERT(Alone):
    model = "bert"


@pytest.mark.paper
class TestDistilBERT(Alone):
    model = "distilbert"


@pytest.mark.paper
class TestGPT2(Alone):
    model = "gpt2"


@pytest.mark.paper
class TestEncoderCNN(Alone):
    model = "encoder-cnn"


class TestSentences(ProblemConformance):
    entry_module = "ddcore_text.plugin"
    updates = 100

    @pytest.fixture
    def case(self, sentences):
        return with_set(sentences())


class TestLinear(TestSentences):
    test_the_entry_module_imports_nothing_heavy = test_every_entry_loads = None

    @pytest.fixture
    def case(self, sentences):
        problem = sentences()
        return with_set(replace(problem, models={"linear": problem.models["linear"]}))
