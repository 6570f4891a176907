"""Problems as a user meets them: the bundled digits, folders with all their faults, the hub's format."""

from __future__ import annotations

import importlib.util
import os
import random
import struct
import sys
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from ddcore_image import own, problems
from ddcore_image.data import MappedImages, image_data
from PIL import Image

from ddcore.errors import DataError, OptionError
from ddcore.plugins import Plugins
from ddcore.problems import build
from ddcore.recipes import MATCHING
from ddcore.rows import RowData


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path_factory.mktemp("cache")))


def photo(file, seed=0, size=(20, 20), mode="RGB"):
    file.parent.mkdir(parents=True, exist_ok=True)
    channels = () if mode == "L" else (3,)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, *channels), np.uint8)).save(file)
    return file


def pets(root, counts=(10, 10), names=("cat", "dog"), split=""):
    for k, (name, n) in enumerate(zip(names, counts, strict=True)):
        for i in range(n):
            photo(root / split / name / f"{i:03}.png", seed=random.Random(f"{split} {k} {i}").getrandbits(31))
    return root


def raw(problem, ids):
    t = problem.preprocessing.tensors
    return ((problem.data.take(ids).x * t["std"] + t["mean"]) * 255).round().clamp(0, 255).byte()


def sizes(problem):
    return [len(problem.data.ids(split=s)) for s in ("train", "val", "test")]


def load(name, data=None, **options):
    """As `ddcore.load` does, from the plugin's entry point."""
    found = Plugins([EntryPoint("image", "ddcore_image.plugin", "ddcore")])
    return build(found.find("problem", name), data, options)


# ---------------------------------------------------------------------------------------------------------------------
# the plugin


def test_every_entry_leads_somewhere_and_one_problem_is_the_default():
    plugin = Plugins([EntryPoint("image", "ddcore_image.plugin", "ddcore")]).plugins[-1]
    assert plugin.status == "ok"
    for entry in plugin.entries:
        assert callable(entry.load()), entry.name
    assert [e.name for e in plugin.entries if e.default] == ["image/digits"]
    assert [e.name for e in plugin.entries if e.offline] == ["image/digits"]


def test_options_are_checked_and_kept():
    problem = load("image/digits", width=16)
    assert problem.options == {"width": 16, "depth": 2}
    assert problem.name == "image/digits"
    with pytest.raises(OptionError, match="no option 'widht'"):
        load("image/digits", widht=16)
    with pytest.raises(OptionError, match="depth"):
        load("image/digits", depth="two")


# ---------------------------------------------------------------------------------------------------------------------
# digits


def test_digits_are_scikit_learns_in_a_stratified_60_10_30():
    from sklearn.datasets import load_digits

    problem, found = problems.digits(), load_digits()
    total = len(found.target)
    assert sum(sizes(problem)) == total == 1797
    for part, n in zip((0.6, 0.1, 0.3), sizes(problem), strict=True):
        assert n == pytest.approx(part * total, abs=10)
    for split in ("train", "val", "test"):
        ids = problem.data.ids(split=split)
        assert problem.data.take(ids).y.tolist() == found.target[ids].tolist()
        per_class = torch.bincount(problem.data.take(ids).y, minlength=10)
        assert per_class.max() - per_class.min() <= 0.1 * per_class.max() + 2
    ids = problem.data.ids()
    np.testing.assert_allclose(raw(problem, ids)[:, 0] / 255, found.images[ids] / 16, atol=0.003)
    assert problem.recipe == MATCHING
    assert problem.data.split is not None, "a drawn split is stored with the artifact"


def test_digits_are_the_same_each_time():
    assert problems.digits().fingerprint() == problems.digits().fingerprint()


def test_digits_can_be_learned():
    """A plain loop in torch: the data, its normalisation and the default network are sound."""
    problem = problems.digits(width=32)
    net = problem.new_model(random.Random(0))
    train, test = (problem.data.take(problem.data.ids(split=s)) for s in ("train", "test"))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    order = torch.Generator().manual_seed(0)
    for _ in range(25):
        for ids in torch.randperm(len(train.y), generator=order).split(128):
            rows = problem.data.take([problem.data.ids()[i] for i in ids])
            optimiser.zero_grad()
            problem.loss(net, rows).backward()
            optimiser.step()
    with torch.no_grad():
        accuracy = (net.eval()(test).logits.argmax(1) == test.y).float().mean().item()
    assert accuracy > 0.95


# ---------------------------------------------------------------------------------------------------------------------
# official sets


def npz(folder, n=200):
    rng = np.random.default_rng(0)
    for name, rows in (("train", n), ("test", 50)):
        np.savez(folder / name, x=rng.integers(0, 256, (rows, 32, 32, 3), np.uint8), y=np.arange(rows) % 10)
    return folder


def test_val_is_carved_from_train_and_test_is_the_official_one(tmp_path):
    problem = problems.cifar10(npz(tmp_path))
    assert sizes(problem) == [180, 20, 50]
    stored = np.load(tmp_path / "test.npz")["x"]
    got = raw(problem, problem.data.ids(split="test")).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(got, stored)
    assert torch.bincount(problem.data.take(problem.data.ids(split="val")).y).tolist() == [2] * 10
    assert problem.data.split is None, "the official split needs no copy"
    assert sizes(problems.cifar10(tmp_path, val=0.0)) == [200, 0, 50]


def test_fashion_mnist_whole(tmp_path):
    """The real set, written as the four public files."""
    pack = os.environ.get("DDCORE_TEST_DATA")
    if not pack:
        pytest.skip("needs Fashion-MNIST: set DDCORE_TEST_DATA")
    spec = importlib.util.spec_from_file_location("pack", Path(pack, "load.py"))
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    *splits, names = reader.images("fashion_mnist")
    for prefix, (x, y) in zip(("train", "t10k"), splits, strict=True):
        for kind, array in (("images-idx3", x), ("labels-idx1", y.astype(np.uint8))):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (tmp_path / f"{prefix}-{kind}-ubyte").write_bytes(head + array.tobytes())
    problem = load("image/fashion-mnist", tmp_path)
    assert sizes(problem) == [54_000, 6_000, 10_000]
    assert [name.lower()[:5] for name in problem.class_names] == [name.lower()[:5] for name in names]
    test = problem.data.ids(split="test")
    assert np.array_equal(raw(problem, test)[:, 0].numpy(), splits[1][0])
    assert problem.data.take(test).y.tolist() == splits[1][1].tolist()
    train = problem.data.take(problem.data.ids()).x
    assert abs(train.mean()) < 0.01
    assert abs(train.std() - 1) < 0.01


def test_fewer_rows_are_a_stratified_part_of_the_training_rows(tmp_path):
    whole, fewer = problems.cifar10(npz(tmp_path)), problems.cifar10(tmp_path, rows=45)
    assert sizes(fewer) == [45, 20, 50]
    assert set(fewer.data.ids()) <= set(whole.data.ids())
    assert set(torch.bincount(fewer.data.take(fewer.data.ids()).y).tolist()) == {4, 5}
    assert fewer.data.ids() == problems.cifar10(tmp_path, rows=45).data.ids()
    with pytest.raises(OptionError, match=r"to 180 \(all training rows"):
        problems.cifar10(tmp_path, rows=181)
    with pytest.raises(OptionError, match=r"rows=9: give 10 \(one a class\)"):
        problems.cifar10(tmp_path, rows=9)


def test_zca_is_of_the_training_images_and_changes_the_fingerprint(tmp_path):
    plain, white = own.folder(pets(tmp_path), size=8), own.folder(tmp_path, size=8, zca=True)
    assert plain.preprocessing.name == "normalise"
    assert white.preprocessing.name == "normalise+zca"
    assert plain.fingerprint() != white.fingerprint()
    assert white.data.take(white.data.ids()).x.mean(0).abs().max() < 1e-3


def test_digits_of_house_numbers_are_not_mirrored(tmp_path):
    assert "flip" in problems.cifar10(npz(tmp_path)).augmentations["match"].version
    assert "flip" not in problems.svhn(tmp_path).augmentations["match"].version


@pytest.mark.parametrize(("side", "blocks"), [(28, 3), (32, 3), (64, 4), (128, 5), (224, 6), (256, 6)])
def test_the_default_convnet_is_as_deep_as_the_literatures(side, blocks):
    x = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8)
    problem = problems.image_problem(x, np.arange(4) % 2, {"train": [0, 1], "val": [], "test": [2, 3]}, "ab", width=4)
    net = problem.new_model(random.Random(0))
    assert sum(isinstance(m, torch.nn.Conv2d) for m in net.modules()) == blocks


# ---------------------------------------------------------------------------------------------------------------------
# your own folder


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


# ---------------------------------------------------------------------------------------------------------------------
# data that does not fit into memory


@pytest.mark.parametrize("zca", [False, True])
def test_large_sets_stay_mapped_and_are_the_same_data(monkeypatch, zca):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 6, 6, 3), np.uint8), np.arange(60) % 3
    splits = {"train": list(range(40)), "val": list(range(40, 50)), "test": list(range(50, 60))}
    small, _ = image_data(x, y, splits, fitted=None, zca=zca)
    monkeypatch.setattr("ddcore_image.data.IN_MEMORY_BYTES", 100)
    large, _ = image_data(x, y, splits, fitted=None, zca=zca)
    assert isinstance(small, RowData)
    assert isinstance(large, MappedImages)
    assert small.groups == large.groups
    for split in splits:
        assert list(small.ids(split=split)) == list(large.ids(split=split))
    ids = [*large.ids(1), *large.ids(2, "test"), large.ids(1)[0]]
    a, b = small.take(ids), large.take(ids)
    torch.testing.assert_close(a.x, b.x, atol=1e-5, rtol=1e-5)
    assert torch.equal(a.y, b.y)
    assert large.sample(4, [2, 0], rng=random.Random(0)).y.tolist() == [2] * 4 + [0] * 4
    fingerprint = large.fingerprint()
    assert fingerprint == image_data(x, y, splits, fitted=None, zca=zca)[0].fingerprint()
    x[3, 2, 2, 0] ^= 1
    assert fingerprint != image_data(x, y, splits, fitted=None, zca=zca)[0].fingerprint()


# ---------------------------------------------------------------------------------------------------------------------
# Hugging Face

needs_datasets = pytest.mark.skipif(not importlib.util.find_spec("datasets"), reason="needs datasets: the extra [hf]")


def table(n=30, shift=0):
    import datasets

    rng = np.random.default_rng(shift)
    images = [Image.fromarray(rng.integers(0, 256, (12, 18, 3), np.uint8)) for _ in range(n)]
    features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["x", "y", "z"])})
    return datasets.Dataset.from_dict({"picture": images, "kind": [i % 3 for i in range(n)]}, features=features)


@needs_datasets
def test_what_save_to_disk_wrote(tmp_path):
    import datasets

    whole = datasets.DatasetDict({"train": table(), "validation": table(9, 1), "test": table(6, 2)})
    whole.save_to_disk(tmp_path / "set")
    problem = load("image/hf", tmp_path / "set", size=12)
    assert problem.class_names == ("x", "y", "z")
    assert sizes(problem) == [30, 9, 6]
    want = np.stack([np.asarray(image.convert("RGB"))[:, 3:15] for image in whole["test"]["picture"]])
    assert np.array_equal(raw(problem, problem.data.ids(split="test")).permute(0, 2, 3, 1).numpy(), want)


@needs_datasets
def test_one_table_is_split_and_columns_can_be_chosen(tmp_path):
    table().save_to_disk(tmp_path / "set")
    problem = own.hf(tmp_path / "set", image="picture", label="kind", size=12, channels="grey")
    assert sizes(problem) == [24, 3, 3]
    assert problem.data.split is not None
    with pytest.raises(OptionError, match="no column 'colour'"):
        own.hf(tmp_path / "set", label="colour")


@needs_datasets
def test_parquet_files_and_image_folders_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")
    (tmp_path / "parquet").mkdir()
    table().to_parquet(tmp_path / "parquet" / "train.parquet")
    assert sizes(own.hf(tmp_path / "parquet", size=12)) == [24, 3, 3]
    problem = own.hf(pets(tmp_path / "pets", split="train"), size=12)
    assert problem.class_names == ("cat", "dog")


@needs_datasets
def test_wrong_tables_are_told(tmp_path):
    import datasets

    with pytest.raises(OptionError, match="either a local --data or the name"):
        own.hf()
    datasets.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(tmp_path / "words")
    with pytest.raises(OptionError, match="which column holds the image"):
        own.hf(tmp_path / "words")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot read the data set"):
        own.hf(tmp_path / "empty")
    lacking = table(6).filter(lambda row: row["kind"] != 1)
    datasets.DatasetDict({"train": lacking, "test": table(6)}).save_to_disk(tmp_path / "lacking")
    with pytest.raises(DataError, match="no readable training image in class y"):
        own.hf(tmp_path / "lacking", size=12)


@needs_datasets
def test_tables_whose_columns_differ_are_told(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")
    renamed = table(6).rename_column("kind", "sort")
    datasets.DatasetDict({"train": table(6), "test": renamed}).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match="test split has no column kind, which train has"):
        own.hf(tmp_path / "saved", size=12)
    (tmp_path / "parquet").mkdir()
    table(6).to_parquet(tmp_path / "parquet" / "train.parquet")
    renamed.to_parquet(tmp_path / "parquet" / "test.parquet")
    with pytest.raises(DataError, match=r"cannot read the data set in .*column names don't match"):
        own.hf(tmp_path / "parquet", size=12)


def test_without_datasets_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'ddcore-image\[hf\]'"):
        own.hf(tmp_path)


def test_reading_warns_of_nothing_else(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own.folder(pets(tmp_path), size=16)
