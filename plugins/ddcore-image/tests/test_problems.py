"""Problems as a user meets them: the bundled digits and the official sets."""

from __future__ import annotations

import importlib.util
import os
import random
import struct
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from ddcore_image import problems
from photos import load, raw, sizes

from ddcore.errors import OptionError
from ddcore.plugins import Plugins
from ddcore.recipes import MATCHING

pytestmark = pytest.mark.usefixtures("cache")


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


def test_digits_of_house_numbers_are_not_mirrored(tmp_path):
    assert "flip" in problems.cifar10(npz(tmp_path)).augmentations["match"].version
    assert "flip" not in problems.svhn(tmp_path).augmentations["match"].version


@pytest.mark.parametrize(("side", "blocks"), [(28, 3), (32, 3), (64, 4), (128, 5), (224, 6), (256, 6)])
def test_the_default_convnet_is_as_deep_as_the_literatures(side, blocks):
    x = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8)
    problem = problems.image_problem(x, np.arange(4) % 2, {"train": [0, 1], "val": [], "test": [2, 3]}, "ab", width=4)
    net = problem.new_model(random.Random(0))
    assert sum(isinstance(m, torch.nn.Conv2d) for m in net.modules()) == blocks
