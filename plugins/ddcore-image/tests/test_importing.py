"""Image folders that other code wrote, taken in as sets."""

from __future__ import annotations

import random
from dataclasses import replace

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


def write(folder, images, name="class000_id{:03}.png"):
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / name.format(i), quality=95)


def pixels(n, side=8):
    return np.random.default_rng(1).integers(0, 256, (n, side, side, 3), np.uint8)


@pytest.mark.parametrize(
    ("folder", "file", "names"),
    [
        ("new{:03}", "class{:03}_id{:03}.jpg", False),
        ("{:05}", "class{:05}_id{:05}.jpg", False),
        ("{}", "{:04}.png", True),
    ],
    ids=["sre2l", "rded", "names"],
)
def test_folders_are_classes_by_name_or_by_their_order(tmp_path, problem, folder, file, names):
    """SRe2L writes JPEG `new000/class000_id000.jpg`, RDED `00000/class00000_id00000.jpg`."""
    images, wanted = pixels(5), []
    for k, some in enumerate((images[:3], images[3:])):
        place = tmp_path / folder.format(NAMES[k] if names else k)
        place.mkdir()
        for i, image in enumerate(some):
            path = place / (file.format(i) if names else file.format(k, i))
            Image.fromarray(image).save(path, quality=90)
            wanted.append(np.asarray(Image.open(path)))
    s = from_png(tmp_path, problem)
    assert s.counts == {0: 3, 1: 2}
    back = (undo(problem.preprocessing, s.x.detach()) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    assert np.abs(back.astype(int) - np.stack(wanted)).max() <= 1


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


def test_an_imported_folder_scores(tmp_path):
    """The class means of digits, as JPEG in SRe2L's layout, tell the classes better than a guess."""
    digits = ddcore.load("image/digits")
    for k in digits.data.groups:
        rows = undo(digits.preprocessing, digits.data.take(digits.data.ids(k)).x)
        (tmp_path / "theirs" / f"new{k:03}").mkdir(parents=True)
        mean = Image.fromarray((rows.mean(0)[0] * 255).round().byte().numpy())
        mean.save(tmp_path / "theirs" / f"new{k:03}" / f"class{k:03}_id000.jpg", quality=95)
    ddcore.import_set(tmp_path / "theirs", "png", digits, method="sre2l").save(tmp_path / "kept")
    short = replace(digits.recipe, name="short@1", epochs=20)
    report = ddcore.evaluate(ddcore.open(tmp_path / "kept"), digits, models=["mlp"], seeds=1, protocol=short)
    assert report.method == "sre2l"
    assert report.score().mean > 0.3


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


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0.25,0.75", None),
        ("-3,7", "at least 0 and with a sum of 1"),
        ("nan,1", "at least 0 and with a sum of 1"),
        ("cat,dog", "could not convert string to float: 'cat'; expected a file and a probability"),
        ("", "has no line for"),
        ("0.2,0.3,0.5", "of 3 classes and image has 2"),
    ],
)
def test_a_table_of_labels_holds_probabilities(tmp_path, problem, line, said):
    """Blank lines are none."""
    write(tmp_path / "cat", pixels(1))
    text = f"file,cat,dog\n\ncat/class000_id000.png,{line}\n\n" if line else "file,cat,dog\n\n"
    (tmp_path / "labels.csv").write_text(text)
    if said is None:
        assert from_png(tmp_path, problem).batch().y.tolist() == [[0.25, 0.75]]
    else:
        with pytest.raises(ArtifactError, match=said):
            from_png(tmp_path, problem)
