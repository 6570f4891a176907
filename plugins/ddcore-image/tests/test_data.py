"""Data that does not fit into memory stays mapped, and is the same."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from ddcore_image.data import MappedImages, image_data

from ddcore.rows import RowData

pytestmark = pytest.mark.usefixtures("cache")


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
