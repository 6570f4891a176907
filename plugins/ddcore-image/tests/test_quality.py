"""A short run of each method on real images beats random rows; the full claim is in tests/paper."""

import statistics
from dataclasses import replace

import pytest
import torch

import ddcore
from ddcore.evaluation import score, train
from ddcore.parametrizations import Selected
from ddcore.seeds import stream

DRAWS, NETWORKS = 3, 2


@pytest.fixture(scope="module")
def digits():
    """The digits under a protocol of a third of the epochs, which is enough for one image a class."""
    problem = ddcore.load("image/digits", width=32)
    return replace(problem, recipe=replace(problem.recipe, epochs=100))


def means(problem, sets):
    return [
        statistics.fmean(
            score(problem, train(problem, s, problem.recipe, 10 * d + n))["accuracy"] for n in range(NETWORKS)
        )
        for d, s in enumerate(sets)
    ]


@pytest.fixture(scope="module")
def random_rows(digits):
    counts = dict.fromkeys(digits.data.groups, 1)
    return means(digits, [Selected.random(digits.data, counts, stream("random", d)) for d in range(2 * DRAWS)])


@pytest.mark.parametrize(("method", "steps"), [("dm", 200), ("dc", 60), ("dsa", 60)])
def test_one_image_a_class_beats_random_rows(digits, random_rows, method, steps):
    torch.set_num_threads(1)
    made = [ddcore.distill(digits, method, ipc=1, steps=steps, seed=d, options={"lr": 1.0}) for d in range(DRAWS)]
    for artifact in made:
        losses = [record["loss"] for record in artifact.history]
        assert statistics.fmean(losses[-10:]) < statistics.fmean(losses[:10])
    ours = means(digits, [artifact.synthetic(digits) for artifact in made])
    error = (statistics.variance(ours) / len(ours) + statistics.variance(random_rows) / len(random_rows)) ** 0.5
    assert statistics.fmean(ours) - statistics.fmean(random_rows) > 2 * error


FAMILIES = {"m3d": 60, "idc": 200, "mtt": 60, "rat-bptt": 30, "frepo": 200}
"""A method of each family beside dm, dc and dsa, and how many updates it is given."""


@pytest.mark.parametrize("method", FAMILIES)
def test_a_method_of_each_family_beats_random_rows(digits, random_rows, method):
    torch.set_num_threads(1)
    made = [ddcore.distill(digits, method, ipc=1, steps=FAMILIES[method], seed=d) for d in range(2)]
    ours = means(digits, [artifact.synthetic(digits) for artifact in made])
    error = (statistics.variance(ours) / len(ours) + statistics.variance(random_rows) / len(random_rows)) ** 0.5
    assert statistics.fmean(ours) - statistics.fmean(random_rows) > 2 * error
