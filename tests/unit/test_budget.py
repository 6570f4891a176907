"""Budgets: what was asked for becomes rows of each group."""

import random

import pytest
import torch
import toys

from ddcore.budget import Budget
from ddcore.errors import BudgetError
from ddcore.problem import Subset
from ddcore.rows import RowData, Rows


def rows(sizes, *, test=0, width=4):
    y = [g for g, n in sizes.items() for _ in range(n)]
    x = torch.zeros(len(y) + test, width)
    return RowData(
        x, torch.tensor([*y, *[y[0]] * test]), {"train": range(len(y)), "test": range(len(y), len(y) + test)}
    )


def test_ipc_is_rows_of_each_group():
    assert Budget(ipc=3).counts(rows({4: 5, 9: 3})) == {4: 3, 9: 3}
    assert Budget(ipc=8).counts(toys.recommender().data) == {0: 8}


def test_a_ratio_is_in_proportion():
    assert Budget(ratio=0.1).counts(rows({0: 100, 1: 50, 2: 10})) == {0: 10, 1: 5, 2: 1}
    assert Budget(ratio=1.0).counts(rows({0: 7, 1: 3})) == {0: 7, 1: 3}


def test_a_ratio_of_all_rows_counts_the_unlabelled_ones():
    data = rows({0: 100, 1: 100}, test=800)
    assert Budget(ratio=0.01).counts(data) == {0: 1, 1: 1}
    assert Budget(ratio=0.01, ratio_of="all").counts(data) == {0: 5, 1: 5}


def test_data_may_have_its_own_rule_and_its_own_whole():
    class Other(RowData):
        def population(self):
            return 400

        def quotas(self, rows, sizes):
            return {g: 1 if g else rows - 1 for g in sizes}

    x, y = torch.zeros(100, 4), torch.arange(100) % 2
    data = Other(x, y, {"train": range(100)})
    for view in (data, Subset(data, range(90))):
        assert Budget(ratio=0.1).counts(view) == {0: len(view.ids()) // 10 - 1, 1: 1}
        assert Budget(ratio=0.1, ratio_of="all").counts(view) == {0: 39, 1: 1}


def test_more_than_there_is_names_the_most_of_what_was_asked_for():
    data = rows({0: 100, 1: 100}, test=800)
    with pytest.raises(BudgetError, match=r"the largest ratio of all rows that every group can fill is 0\.2$"):
        Budget(ratio=0.5, ratio_of="all").counts(data)
    assert Budget(ratio=0.2, ratio_of="all").counts(data) == {0: 100, 1: 100}
    with pytest.raises(BudgetError, match="the largest number of bytes that every group can fill is") as caught:
        Budget(bytes=10**9).counts(data)
    assert Budget(bytes=int(str(caught.value).split()[-1])).counts(data) == {0: 100, 1: 100}


def test_a_row_of_bytes_is_what_is_stored_of_it_alone():
    class Chained(RowData):  # a batch is all the data, as of a graph
        def take(self, ids, rng=None):
            return Rows(self.x, self.y)

        def kept(self, ids):
            return RowData(self.x, self.y, {"train": list(ids)})

    data = Chained(torch.zeros(10, 4), torch.zeros(10, dtype=torch.long), {"train": range(10)})
    assert Budget(bytes=24 * 3).counts(data) == {0: 3}


def test_bytes_hold_rows_with_their_labels():
    data = rows({0: 50, 1: 50}, width=4)  # 16 bytes of x and 8 of y
    assert Budget(bytes=24 * 6).counts(data) == {0: 3, 1: 3}
    assert Budget(bytes=24 * 7 - 1).counts(data) == {0: 3, 1: 3}
    with pytest.raises(BudgetError, match="40 bytes hold 1 rows of 24 bytes; 2 groups need one each"):
        Budget(bytes=40).counts(data)


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_the_nearest_that_give_every_group_a_row(seed):
    rng = random.Random(seed)
    sizes = {g: rng.choice([1, 1, 2, 5, 40, 300]) for g in rng.sample(range(50), rng.randint(1, 12))}
    data, total = rows(sizes), sum(sizes.values())
    for asked in {rng.randint(len(sizes), total) for _ in range(5)}:
        counts = Budget(bytes=24 * asked).counts(data)
        assert list(counts) == sorted(sizes)
        assert sum(counts.values()) == asked, "neither more than the budget, nor less"
        for g, n in counts.items():
            assert 1 <= n <= sizes[g]
            assert n <= -(-asked * sizes[g] // total) or n == 1


def test_too_small_a_ratio_still_has_a_row_of_each_group():
    assert Budget(ratio=1e-6).counts(rows({0: 100, 1: 3})) == {0: 1, 1: 1}


def test_a_group_that_cannot_be_filled():
    with pytest.raises(BudgetError, match=r"group 9 has 3 training rows and the budget asks for 4: .* is 3"):
        Budget(ipc=4).counts(rows({4: 5, 9: 3}))
    with pytest.raises(BudgetError, match=r"class 'bird' has 3 training rows and the budget asks for 4"):
        Budget(ipc=4).counts(rows({0: 5, 1: 3}), ("cat", "bird"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "got none of them"),
        ({"ipc": 1, "ratio": 0.1}, "got ipc and ratio"),
        ({"ipc": 1, "ratio": 0.1, "bytes": 9}, "got ipc and ratio and bytes"),
        ({"ipc": 0}, "ipc must be at least 1, got 0"),
        ({"ipc": 1.5}, "ipc must be a whole number, got 1.5"),
        ({"bytes": True}, "bytes must be a whole number, got True"),
        ({"ratio": "a"}, "ratio must be a number, got 'a'"),
        ({"ratio": 0.1, "ratio_of": "some"}, "ratio_of is labelled or all, got 'some'"),
        ({"bytes": -5}, "bytes must be at least 1, got -5"),
        ({"ratio": 0.0}, r"ratio must be in \(0, 1\], got 0.0"),
        ({"ratio": 1.5}, r"ratio must be in \(0, 1\], got 1.5"),
    ],
)
def test_bad_budgets(given, said):
    with pytest.raises(BudgetError, match=said):
        Budget(**given)


def test_a_budget_says_how_it_was_given():
    assert Budget(ipc=3).describe() == {"ipc": 3}
    assert Budget(bytes=100).describe() == {"bytes": 100}
    assert Budget(ratio=0.5, ratio_of="all").describe() == {"ratio": 0.5, "ratio_of": "all"}
