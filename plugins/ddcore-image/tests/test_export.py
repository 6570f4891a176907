"""PNG files of a set, read back by Pillow."""

from __future__ import annotations

import csv
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from ddcore_image.export import to_png
from ddcore_image.own import folder
from ddcore_image.preprocess import fit_zca, whiten
from ddcore_image.problems import digits, image_problem
from PIL import Image

from ddcore import labels as kinds
from ddcore.artifact import Artifact
from ddcore.errors import ArtifactError, NotSupported
from ddcore.parametrizations import Selected
from ddcore.rows import RowSynthetic


def problem_of(names, channels=3):
    x = np.random.default_rng(0).integers(0, 256, (2 * len(names), 6, 5, channels), np.uint8)
    splits = {"train": list(range(len(x))), "val": [], "test": []}
    return x, image_problem(x, np.arange(len(x)) % len(names), splits, names, depth=1)


def artifact(problem, synthetic):
    method = {"name": "random", "preset": "quick", "options": {}, "paper": ""}
    return Artifact.of(replace(problem, render=None), synthetic, method=method, budget={"ipc": 2}, seed=0)


def whole(problem):
    return Selected(problem.data, {g: problem.data.ids(g) for g in problem.data.groups})


def read(file):
    return np.asarray(Image.open(file))


def folders(names, out):
    """The folders of a set with one image of each class, by class."""
    x, problem = problem_of(names)
    made = artifact(problem, Selected(problem.data, {g: [g] for g in range(len(names))}))
    to_png(made, None, out)
    found = {p.parent.name: read(p) for p in out.rglob("*.png")}
    return [next(name for name, image in found.items() if np.array_equal(image, x[g])) for g in range(len(names))]


@pytest.mark.parametrize("channels", [1, 3])
def test_files_hold_the_raw_bytes_of_each_class(tmp_path, channels):
    x, problem = problem_of(["cat", "dog"], channels)
    out = to_png(artifact(problem, whole(problem)), None, tmp_path / "deep" / "out")
    assert out == tmp_path / "deep" / "out"
    assert {str(p.relative_to(out)) for p in out.rglob("*.png")} == {
        f"{c}/000{i}.png" for c in ("cat", "dog") for i in (1, 2)
    }
    for i in range(4):
        image = Image.open(out / ("cat", "dog")[i % 2] / f"000{i // 2 + 1}.png")
        assert image.mode == {1: "L", 3: "RGB"}[channels]
        assert np.array_equal(np.asarray(image).reshape(x[i].shape), x[i])
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"], "nothing beside it is left"


def test_digits_are_those_of_scikit_learn(tmp_path):
    from sklearn.datasets import load_digits

    problem = digits()
    real = Selected.random(problem.data, dict.fromkeys(problem.data.groups, 2), random.Random(0))
    out = to_png(artifact(problem, real), None, tmp_path / "out")
    for i, row in enumerate(real.chosen):
        image = read(out / str(i // 2) / f"000{i % 2 + 1}.png").astype(float)
        assert np.abs(image - load_digits().images[row] / 16 * 255).max() <= 1


def test_learned_images_are_rounded_and_clamped(tmp_path):
    _, problem = problem_of(["cat", "dog"])
    x = 3 * torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    out = to_png(artifact(problem, RowSynthetic({0: 1, 1: 1}, x)), None, tmp_path / "out")
    done = problem.preprocessing.tensors
    raw = (x * done["std"] + done["mean"]).clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    assert np.array_equal(read(out / "cat" / "0001.png"), raw[0])
    assert np.array_equal(read(out / "dog" / "0001.png"), raw[1])
    assert raw.min() == 0
    assert raw.max() == 255


def test_whitening_is_undone(tmp_path):
    x, problem = problem_of(["cat", "dog"])
    rows = problem.data.take(range(4)).x
    zca = fit_zca([rows], problem.preprocessing)
    made = artifact(replace(problem, preprocessing=zca), RowSynthetic({0: 2, 1: 2}, whiten(rows, zca)[[0, 2, 1, 3]]))
    out = to_png(made, None, tmp_path / "out")
    for i in range(4):
        image = read(out / ("cat", "dog")[i % 2] / f"000{i // 2 + 1}.png").astype(int)
        assert np.abs(image - x[i]).max() <= 1


# ---------------------------------------------------------------------------------------------------------------------
# folders


def test_names_that_sort_as_the_classes_do_stay_as_they_are(tmp_path):
    assert folders(["airplane", "automobile", "bird"], tmp_path / "out") == ["airplane", "automobile", "bird"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["dog", "cat"], ["0-dog", "1-cat"]),
        (["cat", "Cat"], ["0-cat", "1-Cat"]),
        (["a", "a", "a-1"], ["0-a", "1-a", "2-a-1"]),
        (["T-shirt/top", "..", "crane", "crane"], ["0-T-shirt-top", "1-1", "2-crane", "3-crane"]),
        (["apple", "con"], ["0-apple", "1-con"]),
        (["x" * 300, "x" * 299], ["0-" + 60 * "x", "1-" + 60 * "x"]),
        (["", ""], ["0", "1"]),
    ],
)
def test_other_names_are_numbered(tmp_path, names, expected):
    assert folders(names, tmp_path / "out") == expected


def test_more_than_ten_classes_keep_their_images_and_their_order(tmp_path):
    for names in ([f"class {g}" for g in range(12)], [""] * 12):
        found = folders(names, tmp_path / f"out {names[0]}")
        assert found == sorted(found)
        assert all(name.startswith(f"{g:02}") for g, name in enumerate(found))


def test_what_was_written_loads_as_a_folder_problem(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    x = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    problem = image_problem(
        x, np.arange(12) % 2, {"train": list(range(12)), "val": [], "test": []}, ["plum", "fig"], depth=1
    )
    out = to_png(artifact(problem, whole(problem)), problem, tmp_path / "out")
    again = folder(out, size=8)
    assert [name.partition("-")[2] for name in again.class_names] == ["plum", "fig"]
    rows = again.data.take(again.data.ids())
    raw = rows.x * again.preprocessing.tensors["std"] + again.preprocessing.tensors["mean"]
    pixels = (raw * 255).round().byte().permute(0, 2, 3, 1).numpy()
    classes = {image.tobytes(): i % 2 for i, image in enumerate(x)}
    assert [classes[image.tobytes()] for image in pixels] == rows.y.tolist()


# ---------------------------------------------------------------------------------------------------------------------
# labels


def test_probabilities_go_into_a_table(tmp_path):
    _, problem = problem_of(["cat", "dog", "owl"])
    p = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).softmax(1)
    rows = problem.data.take(range(3)).x
    out = to_png(artifact(problem, RowSynthetic({0: 1, 2: 2}, rows, kinds.probabilities(p))), problem, tmp_path / "out")
    with (out / "labels.csv").open(encoding="utf-8") as table:
        lines = list(csv.DictReader(table))
    assert [line["file"] for line in lines] == ["cat/0001.png", "owl/0001.png", "owl/0002.png"]
    assert all((out / line["file"]).is_file() for line in lines)
    found = torch.tensor([[float(line[name]) for name in ("cat", "dog", "owl")] for line in lines])
    assert torch.equal(found, p)


def test_class_numbers_need_no_table(tmp_path):
    _, problem = problem_of(["cat", "dog"])
    assert not list(to_png(artifact(problem, whole(problem)), None, tmp_path / "out").glob("*.csv"))


@pytest.mark.parametrize("kind", ["values", "per_epoch"])
def test_labels_that_folders_cannot_hold_are_refused(tmp_path, kind):
    _, problem = problem_of(["cat", "dog"])
    labels = getattr(kinds, kind)(torch.ones((3, 2, 2) if kind == "per_epoch" else (2, 2)) / 2)
    made = artifact(problem, RowSynthetic({0: 1, 1: 1}, torch.zeros(2, 3, 6, 5), labels))
    with pytest.raises(NotSupported, match="export the set to pt"):
        to_png(made, problem, tmp_path / "out")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# what is not rows, and what is no image


def test_codes_are_decoded_where_the_problem_is_given(tmp_path):
    x, problem = problem_of(["cat", "dog"])
    made = artifact(problem, whole(problem))
    codes = replace(made, tensors={"ids": made.tensors["ids"]})
    with pytest.raises(ArtifactError, match="stored as selected, not as images: give the problem"):
        to_png(codes, None, tmp_path / "none")

    class Decoding(Artifact):
        def synthetic(self, problem):
            return whole(problem)

    out = to_png(Decoding(codes.manifest, codes.tensors, codes.preprocessing, None, []), problem, tmp_path / "out")
    assert np.array_equal(read(out / "dog" / "0002.png"), x[3])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_rows_that_are_no_images_are_refused(tmp_path):
    _, problem = problem_of(["cat", "dog"])
    for x in (torch.zeros(2, 2, 6, 5), torch.zeros(2, 9)):
        with pytest.raises(NotSupported, match="one or three channels"):
            to_png(artifact(problem, RowSynthetic({0: 1, 1: 1}, x)), None, tmp_path / "out")
    assert not list(tmp_path.iterdir())
