"""Thin data: a class with one image, and classes of one flat colour each, through every method and a network's training."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import ddcore
from ddcore.errors import BudgetError
from ddcore.evaluation import score, train

STEPS = {"dm": 3, "dc": 3, "dsa": 3, "random": None, "herding": None, "k-center": None, "k-means": None}


pytestmark = pytest.mark.usefixtures("cache")


def folder(root, classes):
    """A folder per class of its images, (n, 16, 16, 3) bytes each."""
    for name, images in classes.items():
        (root / name).mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(root / name / f"{i}.png")
    return ddcore.load("image/folder", root, size=16)


def noise(n):
    return np.random.default_rng(n).integers(0, 256, (n, 16, 16, 3), np.uint8)


def flat(n, grey):
    return np.full((n, 16, 16, 3), grey, np.uint8)


@pytest.mark.parametrize("method", STEPS)
@pytest.mark.parametrize(
    "classes",
    [{"cat": noise(12), "dog": noise(13), "owl": noise(1)}, {"night": flat(12, 20), "day": flat(12, 220)}],
    ids=["one image", "flat colours"],
)
def test_every_method_gives_a_set_that_trains_a_network(tmp_path, classes, method):
    problem = folder(tmp_path / "images", classes)
    synthetic = ddcore.distill(problem, method, ipc=1, steps=STEPS[method]).synthetic(problem)
    batch = synthetic.batch()
    assert batch.x.shape == (len(classes), 3, 16, 16)
    assert batch.x.isfinite().all()
    scores = score(problem, train(problem, synthetic, replace(problem.recipe, epochs=2), 0))
    assert all(math.isfinite(value) for value in scores.values())


def test_more_images_than_the_smallest_class_has_are_refused(tmp_path):
    problem = folder(tmp_path / "images", {"cat": noise(12), "owl": noise(1)})
    with pytest.raises(BudgetError, match="largest ipc that every group can fill is 1"):
        ddcore.distill(problem, "random", ipc=2)
