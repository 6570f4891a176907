"""Rows decoded once, into the cache."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ddcore.errors import DataError
from ddcore.packing import Item, Unreadable, filled_splits, pack


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    return tmp_path


def bad():
    raise Unreadable("torn")


def items(n: int = 6) -> list[Item]:
    read = [lambda i=i: (np.full((2, 3), i, np.uint8), "") for i in range(n)]
    read[1] = bad
    return [Item(f"row {i}", "train" if i < 4 else "test", i % 2, r) for i, r in enumerate(read)]


packed = partial(pack, key="k", shape=(2, 3), dtype=np.uint8, what="things")


def test_rows_are_mapped_in_order_without_those_that_cannot_be_read():
    for _ in range(2):  # decoded, and from what is kept of it
        with pytest.warns(UserWarning, match=r"1 of 6 things cannot be read .*row 1 \(torn\)"):
            found = packed(items())
        assert isinstance(found.x, np.memmap)
        assert found.x[:, 0, 0].tolist() == [0, 2, 3, 4, 5]
        assert found.x.shape == (5, 2, 3)
        assert found.y.tolist() == [0, 0, 1, 0, 1]
        assert found.splits == {"train": [0, 1, 2], "val": [], "test": [3, 4]}


def test_a_split_of_which_nothing_can_be_read_is_not_replaced():
    torn = [Item(i.name, i.split, i.label, bad if i.split == "test" else i.read) for i in items()]
    for _ in range(2):
        with pytest.raises(DataError, match=r"none of the 2 things of the test split can be read: row 4 \(torn\)"):
            packed(torn)


def test_a_class_without_a_test_row_is_named():
    rows = [Item(str(i), "train", int(i > 8), lambda: (np.zeros((2, 3), np.uint8), "")) for i in range(10)]
    with pytest.warns(UserWarning, match="no test thing of class owl: scores say nothing of it"):
        splits, drawn = filled_splits(packed(rows), ["jay", "owl"], "thing")
    assert drawn
    assert splits["train"][-1] == 9


def test_a_full_disk_is_told_and_leaves_nothing(cache, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no disk that is always full")
    monkeypatch.setattr("ddcore.packing.secrets.token_hex", lambda n: "token")
    with pytest.warns(UserWarning, match="cannot be read"):
        packed(items())
    (rows,) = cache.glob("*/*.npy")
    for file in rows.parent.iterdir():
        file.unlink()
    rows.with_name(f".{rows.name}.token").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"cannot keep the decoded things .*No space left on device; set DDCORE_CACHE"):
        packed(items())
    assert not list(rows.parent.iterdir())
