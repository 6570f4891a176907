"""Thin data: a class with one clip, and clips of digital silence, through methods and a network's training."""

import math
from dataclasses import replace

import numpy as np
import pytest
import toy
from ddcore_audio.problems import audio_problem

import ddcore
from ddcore.evaluation import score, train

OPTIONS = {
    "dm": {"steps": 2, "pool": 1, "n_real": 4},
    "dc": {"steps": 2, "n_real": 4},
    "dsa": {"steps": 2, "n_real": 4},
    "audio/distrack": {"steps": 2, "n_real": 4},
    "herding": {"epochs": 1},
}


pytestmark = pytest.mark.usefixtures("cache")


def one_clip():
    """The third class has one clip, which trains."""
    wave, y = toy.tones(6)
    ids = {"train": [*range(4), *range(6, 10), 12], "val": [4, 10], "test": [5, 11]}
    return wave[:13], y[:13], ids


def silence():
    """The first class is silent."""
    wave, y = toy.tones(6)
    wave[:6] = 0
    return wave, y, {s: [6 * c + i for c in range(3) for i in at] for s, at in (("train", range(5)), ("test", [5]))}


@pytest.mark.parametrize("method", list(OPTIONS))
@pytest.mark.parametrize("domain", ["maps", "waveforms"])
@pytest.mark.parametrize("thin", [one_clip, silence])
def test_every_method_gives_a_set_that_trains_a_network(thin, domain, method):
    wave, y, splits = thin()
    floor = 0.1 if domain == "waveforms" else 1e-6
    problem = audio_problem(
        wave.astype(np.float32), y, splits, ["a", "b", "c"], toy.frontend(floor=floor), domain=domain, depth=2, width=8
    )
    synthetic = ddcore.distill(problem, method, ipc=1, options=OPTIONS[method]).synthetic(problem)
    batch = synthetic.batch()
    assert batch.x.shape == (3, *problem.synthetic.shape)
    assert batch.x.isfinite().all()
    scores = score(problem, train(problem, synthetic, replace(problem.recipe, epochs=1), 0))
    assert all(math.isfinite(value) for value in scores.values())


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("audio/distrack", {"steps": 2, "n_real": 4, "pieces": 2}),
        ("audio/kws-idc", {"steps": 3, "outer": 1, "inner": 1, "n_real": 4}),
    ],
)
def test_where_a_class_has_fewer_clips_than_a_set_has_pieces_they_come_again(method, options):
    wave, y, splits = one_clip()
    problem = audio_problem(wave.astype(np.float32), y, splits, ["a", "b", "c"], toy.frontend(), depth=2, width=8)
    batch = ddcore.distill(problem, method, ipc=1, options=options).synthetic(problem).batch()
    of_c = batch.x[batch.y == 2]
    assert len(of_c) == len(batch.x) / 3
    assert of_c.isfinite().all()


def test_a_problem_of_silence_alone_is_finite():
    wave, y = toy.tones(6)
    for domain in ("maps", "waveforms"):
        problem = audio_problem(
            np.zeros_like(wave),
            y,
            toy.splits(6) | {"train": [0, 6, 12]},
            list("abc"),
            toy.frontend(),
            domain=domain,
            depth=2,
        )
        assert problem.data.x.isfinite().all()
