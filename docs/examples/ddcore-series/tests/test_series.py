"""The problem keeps ddcore's contract, and distilling it helps."""

import random

import pytest

import ddcore
from ddcore.testing import ProblemConformance


class TestWaves(ProblemConformance):
    entry_module = "ddcore_series.plugin"

    @pytest.fixture
    def case(self):
        problem = ddcore.load("series/waves", n=150)
        return problem, problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))


def test_a_distilled_wave_is_worth_more_than_a_random_one():
    problem = ddcore.load("series/waves")
    distilled = ddcore.distill(problem, "dm", ipc=1, seed=0)
    report = ddcore.evaluate(distilled, problem, seeds=3)
    assert report.scores[0].mean > report.baselines[0].mean
