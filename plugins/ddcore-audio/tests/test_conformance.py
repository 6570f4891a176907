"""The spoken digits keep the contract that every method relies on, as maps and as waveforms."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import toy
from ddcore_audio.cepstra import Cepstra
from ddcore_audio.packed import Formations, ShortClips
from ddcore_audio.problems import digits

from ddcore.testing import ProblemConformance


def small(domain, kept, **options):
    """Large hops and few bands, and some of the networks: every network has tests of its own."""
    problem = digits(domain=domain, width=8, depth=2, bands=16, window=512, hop=500, **options)
    problem = replace(problem, name="audio/digits", models={name: problem.models[name] for name in kept})
    return problem, problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))


def tones(*kept, **how):
    problem = toy.problem(**how)
    return replace(problem, models={name: problem.models[name] for name in kept or ("convnet",)})


@pytest.fixture(scope="module")
def maps():
    return small("maps", ("convnet", "ds-cnn"))


@pytest.fixture(scope="module")
def waveforms():
    return small("waveforms", ("convnet", "m5"))


class TestMaps(ProblemConformance):
    entry_module = "ddcore_audio.plugin"
    updates = 100

    @pytest.fixture
    def case(self, maps):
        return maps


class TestBatchNorm(ProblemConformance):
    """The networks whose rows see each other, and the one that attends."""

    entry_module = "ddcore_audio.plugin"
    updates = 30

    @pytest.fixture
    def case(self):
        problem = tones("convnet-bn", "bc-resnet", "conformer")
        return problem, problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))


class TestFormations(ProblemConformance):
    entry_module = "ddcore_audio.plugin"
    updates = 30

    @pytest.fixture
    def case(self):
        problem = tones()
        counts = dict.fromkeys(problem.data.groups, 1)
        return problem, Formations.of(counts, None, problem.synthetic, (2, 2), random.Random(0))


class TestShortClips(ProblemConformance):
    entry_module = "ddcore_audio.plugin"
    updates = 30

    @pytest.fixture
    def case(self):
        problem = tones(waveforms=True)
        counts = dict.fromkeys(problem.data.groups, 1)
        return problem, ShortClips.of(counts, None, problem.synthetic, (1, 2), random.Random(0))


class TestCepstra(ProblemConformance):
    entry_module = "ddcore_audio.plugin"
    updates = 30

    @pytest.fixture
    def case(self):
        problem = tones(kind="mfcc")
        counts = dict.fromkeys(problem.data.groups, 2)
        return problem, Cepstra(counts, problem.synthetic.rows(6, random.Random(0)), problem.synthetic)


class TestWaveforms(ProblemConformance):
    entry_module = "ddcore_audio.plugin"
    updates = 60

    @pytest.fixture
    def case(self, waveforms):
        return waveforms
