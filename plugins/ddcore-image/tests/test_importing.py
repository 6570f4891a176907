"""Image folders that other code wrote, taken in as sets."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from ddcore_image.export import to_png
from ddcore_image.importing import from_png
from ddcore_image.preprocess import undo
from ddcore_image.problems import image_problem
from PIL import Image

import ddcore
from ddcore.artifact import Artifact
from ddcore.errors import ArtifactError
from ddcore.parametrizations import Selected

NAMES = ["cat", "dog"]


@pytest.fixture(params=[False, True], ids=["normalised", "zca"])
def problem(request):
    x = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)
    splits = {"train": list(range(24)), "val": [], "test": []}
    return image_problem(x, np.arange(24) % 2, splits, NAMES, depth=1, zca=request.param)


def write(folder, images):
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"class000_id{i:03}.png")


def pixels(n, side=8):
    return np.random.default_rng(1).integers(0, 256, (n, side, side, 3), np.uint8)


@pytest.mark.parametrize(
    "folders", [["new000", "new001"], ["00000", "00001"], ["cat", "dog"]], ids=["sre2l", "rded", "names"]
)
def test_folders_are_classes_by_name_or_by_their_order(tmp_path, problem, folders):
    images = pixels(5)
    write(tmp_path / folders[0], images[:3])
    write(tmp_path / folders[1], images[3:])
    s = from_png(tmp_path, problem)
    assert s.counts == {0: 3, 1: 2}
    back = (undo(problem.preprocessing, s.x.detach()) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    assert np.abs(back.astype(int) - images).max() <= 1


def test_images_are_brought_to_the_problems_size(tmp_path, problem):
    write(tmp_path / "cat", pixels(1, 32))
    assert from_png(tmp_path, problem).x.shape == (1, 3, 8, 8)


@pytest.mark.parametrize("soft", [False, True])
def test_our_own_export_comes_back(tmp_path, problem, soft):
    real = Selected.random(problem.data, {0: 2, 1: 3}, random.Random(0)).batch()
    s = problem.synthetic({0: 2, 1: 3}, real, random.Random(0))
    if soft:
        s = s.learn_labels("probabilities", torch.tensor([[0.75, 0.25]] * 2 + [[0.125, 0.875]] * 3))
    method = {"name": "random", "preset": "quick", "options": {}, "paper": ""}
    artifact = Artifact.of(problem, s, method=method, budget={"ipc": 2}, seed=0)
    again = from_png(to_png(artifact, problem, tmp_path / "png"), problem)
    assert again.counts == s.counts
    assert torch.allclose(again.batch().x, s.batch().x, atol=1e-4)
    assert again.label_kind == s.label_kind
    assert torch.allclose(again.batch().y.float(), s.batch().y.float(), atol=1e-6)


def test_the_form_is_found_by_name(tmp_path):
    digits = ddcore.load("image/digits")
    write(tmp_path / "sets" / "0", pixels(1))
    made = ddcore.import_set(tmp_path / "sets", "png", digits)
    assert made.manifest["counts"] == {"0": 1}


def test_what_is_no_such_folder_is_refused_with_what_was_expected(tmp_path, problem):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="is no folder: expected a folder for each class"):
        from_png(tmp_path / "file", problem)
    write(tmp_path / "three" / "a", pixels(1))
    with pytest.raises(ArtifactError, match="1 folders that are not all names of classes, and image has 2"):
        from_png(tmp_path / "three", problem)
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="no image in the folders"):
        from_png(tmp_path / "empty", problem)
    write(tmp_path / "bad" / "cat", pixels(1))
    (tmp_path / "bad" / "cat" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ArtifactError, match=r"torn\.png is no image"):
        from_png(tmp_path / "bad", problem)
    write(tmp_path / "soft" / "cat", pixels(1))
    (tmp_path / "soft" / "labels.csv").write_text("file,cat,dog\ncat/other.png,1,0\n")
    with pytest.raises(ArtifactError, match=r"has no line for cat/class000_id000\.png"):
        from_png(tmp_path / "soft", problem)
