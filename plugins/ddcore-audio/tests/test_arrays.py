"""Clips given as arrays, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from ddcore_audio.data import evenly
from ddcore_audio.frontend import Frontend
from ddcore_audio.own import folder
from ddcore_audio.problems import audio_problem
from toy import HERE, two_classes

from ddcore.errors import DataError

pytestmark = pytest.mark.usefixtures("cache")


def test_arrays_of_another_length(tmp_path):
    problem = folder(two_classes(tmp_path), **HERE)
    with pytest.raises(DataError, match="cut and resample first"):
        audio_problem(
            np.zeros((4, 7), np.float32), np.zeros(4, np.int64), {"train": [0]}, ["a"], problem.synthetic.frontend
        )


ARRAYS = {
    "wave": np.zeros((4, 8000), np.float32),
    "y": np.arange(4) % 2,
    "splits": {"train": [0, 1], "val": [], "test": [2, 3]},
    "class_names": ["a", "b"],
    "frontend": Frontend("log-mel", 8000, 8000, 512, 320, 160, 16, 20.0, 4000.0),
}


@pytest.mark.parametrize("large", [False, True], ids=["in memory", "mapped"])
@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e25], ids=["nan", "inf", "huge"])
@pytest.mark.parametrize("row", [1, 2], ids=["train", "test"])
def test_what_is_no_sample_is_found_in_its_row(monkeypatch, row, value, large):
    wave = ARRAYS["wave"].copy()
    wave[row, 5] = value
    monkeypatch.setattr("ddcore_audio.data.IN_MEMORY_BYTES", 0 if large else 2**31)
    with pytest.raises(DataError, match=rf"1 of 4 clips hold .*first: row {row}\)"):
        audio_problem(**ARRAYS | {"wave": wave}, depth=2, width=8)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"wave": np.zeros((4, 8000), np.int16)}, "got int16 and int64: convert them, and divide"),
        ({"wave": np.zeros((4, 8000))}, "got float64 and int64"),
        ({"y": np.array([0, 1, 2, 0])}, "row 2 has class 2, and the 2 classes are 0 to 1"),
        ({"splits": {"train": [0, 1], "val": [2, 3]}}, "row ids of test are missing"),
        ({"splits": {"train": [0, 4], "test": [2]}}, "name row 4, and the rows are 0 to 3"),
        ({"splits": {"train": [], "test": [2]}}, "training split is empty"),
    ],
    ids=["int16", "float64", "class", "split", "row", "empty"],
)
def test_arrays_that_are_no_clips(wrong, said):
    with pytest.raises(DataError, match=said):
        audio_problem(**ARRAYS | wrong, depth=2, width=8)


def test_normalisation_looks_at_every_class_of_sorted_rows():
    assert evenly(range(100), 10).tolist() == list(range(0, 100, 10))
    assert evenly([5, 3, 9], 10).tolist() == [3, 5, 9]
