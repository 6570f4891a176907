"""Splits that are drawn: stratified, seeded, and only where the data brought none."""

import numpy as np
import pytest

from ddcore.errors import OptionError
from ddcore.splits import carve, completed, fewer

Y = np.repeat([0, 1, 2], [100, 10, 1])


def test_carving_is_stratified_seeded_and_leaves_every_class_a_row():
    kept, taken = carve(Y, range(111), 0.1)
    assert sorted(kept + taken) == list(range(111))
    assert np.bincount(Y[taken], minlength=3).tolist() == [10, 1, 0]
    assert (kept, taken) == carve(Y, range(111), 0.1)
    assert carve(Y, [5, 3], 0.0) == ([5, 3], [])


@pytest.mark.parametrize("brought", [(), ("val",), ("test",), ("val", "test")])
def test_what_the_data_brought_stays_and_the_rest_is_drawn_from_train(brought):
    given = {"train": list(range(90)), **{name: [90 + i] for i, name in enumerate(brought)}}
    splits, drawn = completed(Y, given)
    assert drawn == (len(brought) < 2)
    for name in brought:
        assert splits[name] == given[name]
    assert sorted(i for ids in splits.values() for i in ids) == sorted(i for ids in given.values() for i in ids)
    sizes = {name: len(ids) for name, ids in splits.items()}
    lacking = {"val", "test"} - set(brought)
    assert all(sizes[name] == 9 for name in lacking)
    assert sizes["train"] == 90 - 9 * len(lacking)


def test_fewer_rows_are_as_many_of_each_class_as_there_are():
    chosen = fewer(Y, range(111), 30)
    assert np.bincount(Y[chosen]).tolist() == [19, 10, 1]
    assert chosen == fewer(Y, range(111), 30)
    for rows in (2, 112):
        with pytest.raises(OptionError, match=rf"rows={rows}: give 3 \(one a class\) to 111"):
            fewer(Y, range(111), rows)
