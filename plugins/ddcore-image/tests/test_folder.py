"""Folders of the user's own, with all their faults."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from ddcore_image import own
from photos import load, pets, photo, raw, sizes
from PIL import Image

from ddcore.errors import DataError

pytestmark = pytest.mark.usefixtures("cache")


def test_a_folder_per_class_is_split_80_10_10_and_the_split_is_kept(tmp_path):
    problem = load("image/folder", pets(tmp_path / "pets"), size=16)
    assert problem.class_names == ("cat", "dog")
    assert sizes(problem) == [16, 2, 2]
    assert problem.data.take(problem.data.ids()).x.shape == (16, 3, 16, 16)
    assert sizes(load("image/folder", tmp_path / "pets", size=16, rows=6)) == [6, 2, 2]
    kept = problem.data.split
    assert {k: sorted(v) for k, v in kept.items()} == {s: sorted(problem.data.ids(split=s)) for s in kept}
    again = load("image/folder", tmp_path / "pets", size=16)
    assert again.fingerprint() == problem.fingerprint()


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_for_the_splits_are_taken_as_they_are(tmp_path, val):
    for split, n in (("train", 6), (val, 2), ("test", 3)):
        pets(tmp_path, (n, n), split=split)
    problem = own.folder(tmp_path, size=16)
    assert sizes(problem) == [12, 4, 6]
    assert problem.data.split is None
    assert problem.data.take(problem.data.ids(split="test")).y.tolist() == [0] * 3 + [1] * 3


def test_a_missing_val_folder_is_carved_from_train_and_a_test_folder_is_never_touched(tmp_path):
    pets(tmp_path, (10, 10), split="train")
    pets(tmp_path, (4, 4), split="test")
    problem = own.folder(tmp_path, size=16)
    assert sizes(problem) == [18, 2, 8]
    assert problem.data.split is not None
    want = [
        np.asarray(Image.open(f).resize((16, 16), Image.Resampling.BILINEAR)) for f in sorted(tmp_path.glob("test/*/*"))
    ]
    assert np.array_equal(raw(problem, problem.data.ids(split="test")).permute(0, 2, 3, 1).numpy(), np.stack(want))


def test_grey_images_and_rgb_ones_become_what_was_asked_for(tmp_path):
    pets(tmp_path)
    photo(tmp_path / "cat" / "grey.png", mode="L")
    assert own.folder(tmp_path, size=16).data.take([0]).x.shape == (1, 3, 16, 16)
    assert own.folder(tmp_path, size=16, channels="grey").data.take([0]).x.shape == (1, 1, 16, 16)


def test_images_of_any_shape_keep_their_centre(tmp_path):
    """A grey frame with a white square in its middle: the shorter side is resized, the rest cut off evenly."""
    for k, (w, h) in enumerate([(64, 32), (32, 64), (96, 48), (32, 32)] * 3):
        frame = np.full((h, w), 40, np.uint8)
        side = min(w, h) // 2
        frame[(h - side) // 2 : (h + side) // 2, (w - side) // 2 : (w + side) // 2] = 240
        file = tmp_path / "ab"[k % 2] / f"{k}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(frame).save(file)
    problem = own.folder(tmp_path, size=16, channels="grey")
    everything = [i for s in ("train", "val", "test") for i in problem.data.ids(split=s)]
    want = np.full((16, 16), 40)
    want[4:12, 4:12] = 240
    inner = np.ones((16, 16), bool)
    inner[3:13, 3:13] = False
    inner[5:11, 5:11] = True  # but for the edge, which resizing blurs
    for image in raw(problem, everything)[:, 0].numpy():
        assert np.abs(image[inner].astype(int) - want[inner]).max() <= 2


def test_sixteen_bit_images_keep_their_contrast(tmp_path):
    ramp = np.linspace(0, 65535, 400).reshape(20, 20).astype(np.uint16)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.fromarray(np.roll(ramp, i)).save(tmp_path / name / f"{i}.png")
    problem = own.folder(tmp_path, size=20, channels="grey")
    image = raw(problem, problem.data.ids()[:1])[0, 0].numpy()
    assert len(np.unique(image)) > 200


def test_zca_is_of_the_training_images_and_changes_the_fingerprint(tmp_path):
    plain, white = own.folder(pets(tmp_path), size=8), own.folder(tmp_path, size=8, zca=True)
    assert plain.preprocessing.name == "normalise"
    assert white.preprocessing.name == "normalise+zca"
    assert plain.fingerprint() != white.fingerprint()
    assert white.data.take(white.data.ids()).x.mean(0).abs().max() < 1e-3


def test_unreadable_images_are_named_once_and_left_out(tmp_path):
    pets(tmp_path)
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"\xff\xd8 not a photograph")
    whole = photo(tmp_path / "dog" / "cut.png", size=(60, 60)).read_bytes()
    (tmp_path / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "dog" / "empty.png").write_bytes(b"")
    (tmp_path / "dog" / "notes.txt").write_text("not an image, and not asked to be one")
    for _ in range(2):  # decoded, and from what is kept of it
        with pytest.warns(UserWarning, match="cannot be read") as found:
            problem = own.folder(tmp_path, size=16)
        told = [str(w.message) for w in found if "cannot be read" in str(w.message)]
        assert len(told) == 1
        assert all(name in told[0] for name in ("broken.jpg", "cut.png", "empty.png"))
        assert "notes.txt" not in told[0]
        assert sum(sizes(problem)) == 20


def test_a_class_without_a_readable_image_is_an_error_that_names_it(tmp_path):
    pets(tmp_path)
    (tmp_path / "owl").mkdir()
    with pytest.raises(DataError, match="no readable training image in class owl"):
        own.folder(tmp_path, size=16)
    (tmp_path / "owl" / "1.png").write_bytes(b"nothing")
    with pytest.warns(UserWarning, match=r"owl.1\.png"), pytest.raises(DataError, match="owl"):
        own.folder(tmp_path, size=16)


def test_a_class_with_one_image_trains_on_it(tmp_path):
    problem = own.folder(pets(tmp_path, (10, 1)), size=16)
    assert len(problem.data.ids(1)) == 1
    assert not problem.data.ids(1, "val")
    assert not problem.data.ids(1, "test")


def test_constant_images_are_an_error(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / name / f"{i}.png")
    with pytest.raises(DataError, match="constant"):
        own.folder(tmp_path, size=16)


def test_wrong_folders_are_told(tmp_path):
    with pytest.raises(DataError, match="needs --data"):
        own.folder(None)
    with pytest.raises(DataError, match="nothing at"):
        load("image/folder", tmp_path / "nowhere")
    plain = photo(tmp_path / "flat" / "1.png")
    with pytest.raises(DataError, match=r"1\.png"):
        own.folder(plain)
    with pytest.raises(DataError, match="0 class folders"):
        own.folder(tmp_path / "flat")
    pets(tmp_path / "more", split="train")
    pets(tmp_path / "more", names=("cat", "fox"), split="test")
    with pytest.raises(DataError, match="fox"):
        own.folder(tmp_path / "more")


def test_a_class_that_is_added_moves_the_others(tmp_path):
    assert own.folder(pets(tmp_path), size=16).class_names == ("cat", "dog")
    photo(tmp_path / "ant" / "000.png")
    problem = own.folder(tmp_path, size=16)
    assert problem.class_names == ("ant", "cat", "dog")
    (tmp_path / "ant" / "000.png").unlink()
    with pytest.raises(DataError, match="in class ant:"):
        own.folder(tmp_path, size=16)


def test_a_changed_folder_is_read_again(tmp_path):
    first = own.folder(pets(tmp_path), size=16)
    photo(tmp_path / "cat" / "000.png", seed=99, size=(21, 20))
    second = own.folder(tmp_path, size=16)
    assert first.fingerprint() != second.fingerprint()
    photo(tmp_path / "cat" / "new.png", seed=98)
    assert sum(sizes(own.folder(tmp_path, size=16))) == 21


def test_reading_warns_of_nothing_else(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own.folder(pets(tmp_path), size=16)
