"""The gallery, read back pixel by pixel."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from ddcore_image.preprocess import fit_zca, normalise, whiten
from ddcore_image.problems import digits
from ddcore_image.show import gallery, pictures
from PIL import Image

from ddcore.errors import NotSupported
from ddcore.parametrizations import Selected
from ddcore.problem import Preprocessing
from ddcore.rows import RowSynthetic


def made(counts, side=8, channels=3, seed=0):
    """A set of noise within the raw range, as `plain` undoes it: no two pixels are likely to be of one colour."""
    x = torch.rand(sum(counts.values()), channels, side, side, generator=torch.Generator().manual_seed(seed))
    return RowSynthetic(counts, x - 0.5)


def plain(channels=3):
    return Preprocessing(
        "normalise", "x * std + mean", {"mean": torch.full((channels, 1, 1), 0.5), "std": torch.ones(1)}
    )


def codes(picture):  # one number a pixel, (h, w)
    return np.asarray(picture.convert("RGB"), np.uint32) @ np.array([65536, 256, 1], np.uint32)


def blocks(page, image):
    """Where the image lies on the page, enlarged by a whole factor or not: (y, x, factor)."""
    page, image = codes(page), codes(image)
    for y, x in np.argwhere(page == image[0, 0])[:1000]:
        for factor in range(24, 0, -1):
            want = image.repeat(factor, 0).repeat(factor, 1)
            if np.array_equal(page[y : y + want.shape[0], x : x + want.shape[1]], want):
                return int(y), int(x), factor
    return None


def test_each_class_is_a_row_of_its_images_enlarged_without_smoothing(tmp_path):
    counts = {0: 3, 1: 2, 2: 3}
    synthetic = made(counts)
    file = gallery(["cat", "dog", "owl"], plain(), synthetic, tmp_path)
    assert file == tmp_path / "gallery.png"
    page = Image.open(file)
    assert page.mode == "RGB"
    images = pictures(synthetic.batch().x, plain())
    at = [blocks(page, image) for image in images]
    assert all(at), "an image is not on the page as it is"
    assert len({factor for _, _, factor in at}) == 1
    assert at[0][2] > 1, "small images are enlarged"
    rows = [at[0:3], at[3:5], at[5:8]]
    for row in rows:
        assert len({y for y, _, _ in row}) == 1
        assert [x for _, x, _ in row] == sorted(x for _, x, _ in row)
    assert rows[0][0][0] < rows[1][0][0] < rows[2][0][0]
    assert rows[0][0][1] == rows[1][0][1] == rows[2][0][1]
    left = np.asarray(page)[:, : at[0][1]]
    assert (left.min(axis=(1, 2)) < 100).any(), "no class names at the left"


def test_same_set_same_bytes(tmp_path):
    files = [gallery(["a", "b"], plain(), made({0: 2, 1: 2}), tmp_path) for _ in range(2)]
    first = files[0].read_bytes()
    assert gallery(["a", "b"], plain(), made({0: 2, 1: 2}), tmp_path).read_bytes() == first
    assert gallery(["a", "b"], plain(), made({0: 2, 1: 2}, seed=1), tmp_path).read_bytes() != first


def test_the_picture_is_of_the_raw_images_whatever_the_preprocessing():
    raw = torch.rand(20, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    before = normalise("cifar10")
    x = (raw - before.tensors["mean"]) / before.tensors["std"]
    zca = fit_zca([x], before)
    whitened = whiten(x, zca)
    want = (raw * 255).round().permute(0, 2, 3, 1).numpy()
    for rows, done in ((x, before), (whitened, zca)):
        got = np.stack([np.asarray(p, np.float32) for p in pictures(rows, done)])
        assert np.abs(got - want).max() <= 1


def shown(page, images):
    return [blocks(page, image) is not None for image in images]


def test_of_more_than_twelve_images_ten_are_drawn_and_the_others_counted(tmp_path):
    for n, drawn in ((12, 12), (13, 10), (50, 10)):
        synthetic = made({0: n, 1: 3})
        page = Image.open(gallery(["a", "b"], plain(), synthetic, tmp_path))
        images = pictures(synthetic.batch().x, plain())
        assert shown(page, images) == [True] * drawn + [False] * (n - drawn) + [True] * 3
    other = gallery(["a", "b"], plain(), RowSynthetic({0: 40, 1: 3}, synthetic.x[10:]), tmp_path).read_bytes()
    assert gallery(["a", "b"], plain(), RowSynthetic({0: 41, 1: 3}, synthetic.x[9:]), tmp_path).read_bytes() != other


def test_of_many_classes_the_first_are_drawn_whole(tmp_path):
    synthetic = made(dict.fromkeys(range(40), 10), side=4)
    page = Image.open(gallery([f"class {i}" for i in range(40)], plain(), synthetic, tmp_path))
    assert shown(page, pictures(synthetic.batch().x, plain())[280:320]) == [True] * 20 + [False] * 20
    synthetic = made(dict.fromkeys(range(100), 1), side=4)
    page = Image.open(gallery([f"class {i}" for i in range(100)], plain(), synthetic, tmp_path))
    assert all(shown(page, pictures(synthetic.batch().x, plain())[::9]))


def test_a_class_without_images_has_no_row(tmp_path):
    whole = gallery(["a", "b", "c"], plain(), made({0: 2, 2: 3}), tmp_path).read_bytes()
    assert gallery(["a", "b", "c"], plain(), made({0: 2, 1: 0, 2: 3}), tmp_path).read_bytes() == whole


@pytest.mark.parametrize(
    ("given", "drawn"),
    [
        ("caf\u00e9", "cafe"),
        ("\u4e2d\u6587", "0"),
        ("", "0"),
        ("two\nlines", "0"),
        ("a very long name that goes on and on: one", "a very long name that goes on and on: two"),
    ],
)
def test_names_are_written_in_the_letters_there_are(tmp_path, given, drawn):
    drawn_bytes = gallery([drawn], plain(), made({0: 3}), tmp_path).read_bytes()
    assert gallery([given], plain(), made({0: 3}), tmp_path).read_bytes() == drawn_bytes
    assert gallery(["another"], plain(), made({0: 3}), tmp_path).read_bytes() != drawn_bytes


@pytest.mark.parametrize(("side", "tile"), [(8, 96), (28, 84), (32, 96), (64, 64), (96, 96), (128, 128), (224, 128)])
def test_images_are_shown_at_a_size_for_the_eye(tmp_path, side, tile):
    red = torch.tensor([0.5, -0.5, -0.5])[:, None, None].expand(1, 3, side, side)
    page = np.asarray(Image.open(gallery(["red"], plain(), RowSynthetic({0: 1}, red), tmp_path)))
    where = np.argwhere((page == (255, 0, 0)).all(-1))
    assert len(where) == tile**2
    assert (np.ptp(where, axis=0) + 1).tolist() == [tile, tile]


def test_what_lies_beyond_the_raw_range_is_clamped():
    x = torch.tensor([-7.0, -0.5, 0.0, 0.5, 7.0]).reshape(1, 1, 1, 5)
    assert np.asarray(pictures(x, plain(1))[0]).tolist() == [[0, 0, 128, 255, 255]]
    assert np.asarray(pictures(x, Preprocessing("none"))[0]).tolist() == [[0, 0, 0, 128, 255]]


def test_rows_that_are_no_images_are_refused(tmp_path):
    for x in (torch.zeros(1, 2, 8, 8), torch.zeros(1, 8)):
        with pytest.raises(NotSupported, match="one or three channels"):
            gallery(["a"], plain(), RowSynthetic({0: 1}, x), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("classes", "ipc", "side"), [(1, 1, 8), (2, 1, 224), (10, 50, 28), (100, 1, 32), (100, 10, 32), (1000, 1, 64)]
)
def test_pages_keep_a_sensible_size(tmp_path, classes, ipc, side):
    synthetic = made(dict.fromkeys(range(classes), ipc), side)
    names = [f"a name that goes on and on and on, number {i}" for i in range(classes)]
    w, h = Image.open(gallery(names, plain(), synthetic, tmp_path)).size
    assert w <= 4000
    assert h <= 4000
    assert h <= 1.5 * w or classes == 1


def test_some_classes_and_tall_images(tmp_path):
    synthetic = RowSynthetic({2: 1, 5: 1}, torch.zeros(2, 1, 64, 8))
    assert gallery([str(i) for i in range(6)], plain(1), synthetic, tmp_path).is_file()
    assert gallery([], plain(1), RowSynthetic({7: 1}, torch.zeros(1, 1, 400, 2)), tmp_path).is_file()


def test_the_problem_draws_real_rows_and_synthetic_ones(tmp_path):
    problem = digits()
    real = Selected.random(problem.data, dict.fromkeys(problem.data.groups, 2), random.Random(0))
    fake = problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))
    assert problem.render(real, tmp_path).read_bytes() != problem.render(fake, tmp_path).read_bytes()
