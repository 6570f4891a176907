"""Files, filters, splits, and what is wrong with some of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from ddcore_recommender.public import file
from ddcore_recommender.readers import Columns, read_file
from ddcore_recommender.table import core, distinct, named, positives, split_table

import ddcore
from ddcore.errors import DataError


def frame(users=8, items=6, seed=0):
    """Everybody rated most items, in an order of their own; times are not sorted."""
    rng = np.random.default_rng(seed)
    lines = [(f"user {u}", f"item {i}", 1 + (u * i) % 5) for u in range(users) for i in range(items) if (u + i) % 4]
    found = pd.DataFrame(lines, columns=["user_id", "item_id", "weight"])
    found["datetime"] = rng.permutation(len(found)) + 1_000
    return found


def lines(table):
    parts = table.users[table.user], table.items[table.item], table.weight, table.time
    return sorted(zip(*(x.tolist() for x in parts), strict=True))


def test_csv_parquet_inter_and_csr_are_one_table(tmp_path):
    data = frame()
    data.to_csv(tmp_path / "a.csv", index=False)
    data.to_parquet(tmp_path / "a.parquet")
    kinds = {"user_id": "token", "item_id": "token", "weight": "float", "datetime": "float"}
    data.rename(columns={c: f"{c}:{k}" for c, k in kinds.items()}).to_csv(tmp_path / "a.inter", sep="\t", index=False)
    tables = [read_file(tmp_path / f"a.{kind}") for kind in ("csv", "parquet", "inter")]
    expected = sorted(data[["user_id", "item_id", "weight", "datetime"]].itertuples(index=False, name=None))
    assert [lines(t) for t in tables] == [expected] * 3
    matrix = sp.csr_array(np.array([[0, 2.0, 1], [3, 0, 0]]))
    sp.save_npz(tmp_path / "m.npz", matrix)
    found = read_file(tmp_path / "m.npz")
    assert sorted(zip(found.user, found.item, found.weight, strict=True)) == [(0, 1, 2.0), (0, 2, 1.0), (1, 0, 3.0)]


def test_columns_by_option_and_dates(tmp_path):
    data = frame().rename(columns={"user_id": "who", "item_id": "what", "datetime": "when"})
    data["when"] = pd.to_datetime(data["when"], unit="D").astype(str)
    data.to_csv(tmp_path / "a.csv", index=False)
    found = read_file(tmp_path / "a.csv", Columns(user="who", item="what", time="when"))
    days, passed = frame()["datetime"].to_numpy(), np.diff(found.time)
    assert (passed / np.diff(days)).tolist() == [passed[0] / (days[1] - days[0])] * len(passed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.drop(columns="user_id"), "none of them is the user"),
        (
            lambda d: d.assign(weight=[np.inf] + [1.0] * (len(d) - 1)),
            r"1 of \d+ weights are no finite number \(first: line 1",
        ),
        (
            lambda d: d.assign(weight=["many"] + ["1"] * (len(d) - 1)),
            r"a\.csv: 1 of .* no finite number .*line 1, 'many'",
        ),
        (lambda d: d.assign(weight=[np.nan] + [1.0] * (len(d) - 1)), "no finite number"),
        (lambda d: d.assign(item_id=[None, *d["item_id"][1:]]), "line 1 has no item id"),
        (lambda d: d.assign(item_id=[" ", *d["item_id"][1:]]), "line 1 has no item id"),
        (lambda d: d.assign(datetime=["soon", *d["datetime"].astype(str)[1:]]), "'soon' in line 1 is no finite number"),
        (
            lambda d: d.assign(datetime="05/31/2024"),
            "'05/31/2024' in line 1 is neither a finite number nor an ISO date",
        ),
        (lambda d: d.assign(datetime=["2024-05-31", *d["datetime"][1:]]), "'2024-05-31' in line 1 is no finite number"),
        (lambda d: d.assign(split="somewhere"), "expected train, val or test"),
        (lambda d: d[:0], "no lines"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path, change, said):
    change(frame()).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=said):
        file(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"user": "nobody"}, "no column 'nobody'; it has user_id"),
        ({"threshold": 9.0}, "weight of 9.0 or more .the largest is 5"),
        ({"per_user": 7}, "nothing is left"),
        ({"split": "column"}, "no split column"),
    ],
)
def test_bad_options_say_what_is_wrong(tmp_path, options, said):
    frame().to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=said):
        file(tmp_path / "a.csv", **options)


def test_columns_and_what_is_between_them_by_option(tmp_path):
    """The same problem as from a file with the usual names."""
    data = frame(20)
    data["part"] = np.where(data["datetime"] % 5 == 0, "test", "train")
    data.rename(columns={"part": "split"}).to_csv(tmp_path / "usual.csv", index=False)
    other = {"user_id": "who", "item_id": "what", "weight": "stars", "datetime": "when"}
    data.assign(weight_2=0).rename(columns=other).to_csv(tmp_path / "other.txt", sep="|", index=False)
    names = {"user": "who", "item": "what", "weight": "stars", "time": "when", "split_column": "part", "separator": "|"}
    found, usual = file(tmp_path / "other.txt", threshold=2.0, **names), file(tmp_path / "usual.csv", threshold=2.0)
    assert found.data.fingerprint() == usual.data.fingerprint()
    assert found.data.held_out.nnz == ((data["part"] == "test") & (data["weight"] >= 2)).sum()


def test_options_say_the_kind_and_how_it_is_ranked(tmp_path):
    frame(20, 12).to_csv(tmp_path / "a.csv", index=False)
    found = file(tmp_path / "a.csv", kind="sequential", length=4, negatives=3)
    assert found.data.take(found.data.ids()).x.shape[1:] == (4,)
    assert found.task.metrics[0].name == "nDCG@10 (3 negatives)"
    last = frame(20, 12).sort_values("datetime").groupby("user_id").last()["item_id"]
    assert {
        u: found.data.items[part[2][0] - 1] for u, part in zip(found.data.users, found.data.parts, strict=True)
    } == dict(last)


def test_leave_one_out_needs_times(tmp_path):
    frame().drop(columns="datetime").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match="no time column"):
        file(tmp_path / "a.csv", split="leave-one-out")


def test_a_missing_place_says_what_goes_there(tmp_path):
    with pytest.raises(DataError, match=r"u\.data .*grouplens"):
        ddcore.load("recommender/ml-100k", tmp_path)
    (tmp_path / "a.doc").write_text("x")
    with pytest.raises(DataError, match="convert it to CSV"):
        file(tmp_path / "a.doc")
    (tmp_path / "a.npz").write_text("x")
    with pytest.raises(DataError, match="cannot be read"):
        file(tmp_path / "a.npz")


def test_an_empty_split_is_an_error():
    table = named(np.array(list("aabb")), np.array(list("xyxy")), split=np.zeros(4, np.int64))
    with pytest.raises(DataError, match="test split is empty"):
        split_table(table, "column")


def test_a_test_split_that_a_filter_empties_is_an_error(tmp_path):
    data = frame()
    data.assign(split=np.where(data["weight"] == 1, "test", "train")).to_csv(tmp_path / "a.csv", index=False)
    assert file(tmp_path / "a.csv").data.ids(split="test")
    with pytest.raises(DataError, match=r"test split is empty .* after filtering"):
        file(tmp_path / "a.csv", threshold=2.0)


def test_who_is_only_in_test_cannot_be_judged(tmp_path):
    data = frame()
    data.assign(split=np.where(data["user_id"] < "user 4", "train", "test")).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match="no user has an interaction in the test split beside one in training"):
        file(tmp_path / "a.csv")


def test_a_drawn_split_without_val_is_told(recwarn):
    def split(n):
        return split_table(named(np.repeat([0, 1], n), np.arange(2 * n)), "random").split

    assert split(6).tolist().count(1) == 2
    assert not recwarn.list
    with pytest.warns(UserWarning, match="val split is empty: none of 2 users has six interactions"):
        assert 1 not in split(5)


def test_duplicates_are_one_interaction_the_first_in_time():
    table = named(np.array(["a", "a", "a"]), np.array(["x", "y", "x"]), time=np.array([5, 4, 3]))
    kept = distinct(table)
    assert sorted(zip(kept.items[kept.item], kept.time, strict=True)) == [("x", 3), ("y", 4)]


def test_ids_are_text_whatever_they_were():
    numbers, words = (named(np.array(u), np.array(["x", "y", "x"])) for u in ([10, 9, 10], ["10", "9", "10"]))
    assert numbers.users.tolist() == words.users.tolist() == ["10", "9"]
    assert numbers.user.tolist() == words.user.tolist() == [0, 1, 0]


def test_a_threshold_is_inclusive_and_weights_are_then_one():
    table = named(np.array(list("aab")), np.array(list("xyz")), weight=np.array([3.0, 4.0, 5.0]))
    kept = positives(table, 4)
    assert kept.weight.tolist() == [1, 1]
    assert kept.items[kept.item].tolist() == ["y", "z"]


def test_the_core_is_the_largest_subgraph_of_those_degrees():
    rng = np.random.default_rng(0)
    dense = rng.random((30, 20)) < 0.15
    user, item = dense.nonzero()
    kept = core(named(user, item), 3, 2)
    matrix = np.zeros((len(kept.users), len(kept.items)))
    matrix[kept.user, kept.item] = 1
    assert matrix.sum(1).min() >= 3
    assert matrix.sum(0).min() >= 2
    alive = dense.copy()  # peel one at a time
    while True:
        poor_u = [u for u in range(30) if 0 < alive[u].sum() < 3]
        poor_i = [i for i in range(20) if 0 < alive[:, i].sum() < 2]
        if not poor_u and not poor_i:
            break
        if poor_u:
            alive[poor_u[0]] = False
        else:
            alive[:, poor_i[0]] = False
    assert len(kept) == alive.sum()


def test_random_split_gives_every_user_a_test_item_and_keeps_a_training_one():
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(50), rng.integers(3, 40, 50))
    table = split_table(named(user, np.arange(len(user))), "random")
    for u in range(len(table.users)):
        of = table.split[table.user == u]
        n = len(of)
        assert (of == 2).sum() == max(round(0.1 * n), 1)
        assert (of == 1).sum() == round(0.1 * n)
        assert (of == 0).sum() >= 1
    again = split_table(named(user, np.arange(len(user))), "random")
    assert np.array_equal(table.split, again.split)


def test_leave_one_out_takes_the_latest_whatever_the_order_of_lines():
    table = named(np.repeat(["a", "b"], 4), np.array(list("wxyzwxyz")), time=np.array([4, 1, 3, 2, 5, 5, 5, 5]))
    found = split_table(table, "leave-one-out")
    assert found.split.tolist() == [2, 0, 1, 0, 0, 0, 1, 2]  # b: equal times keep the order of lines


def test_who_has_one_interaction_is_only_trained_on(tmp_path):
    data = pd.concat(
        [frame(), pd.DataFrame({"user_id": ["lonely"], "item_id": ["item 1"], "weight": [1], "datetime": [1]})]
    )
    data.to_csv(tmp_path / "a.csv", index=False)
    assert "lonely" not in file(tmp_path / "a.csv").data.users
    kept = file(tmp_path / "a.csv", per_user=1).data
    u = kept.users.tolist().index("lonely")
    n = len(kept.users)
    assert u in kept.ids()
    assert n + u not in kept.ids(split="val")
    assert 2 * n + u not in kept.ids(split="test")


def test_a_last_interaction_that_is_the_only_one_is_out(tmp_path):
    data = pd.DataFrame({"user_id": list("aaab"), "item_id": list("xyzx"), "datetime": range(4)})
    data.to_csv(tmp_path / "a.csv", index=False)
    kept = file(tmp_path / "a.csv", per_user=1, split="leave-one-out").data
    assert [kept.users[i % 2] for split in ("train", "val", "test") for i in kept.ids(split=split)] == ["a", "a", "a"]


def test_no_test_interaction_is_in_any_context(tmp_path):
    frame(20, 12).to_csv(tmp_path / "a.csv", index=False)
    for split in ("random", "leave-one-out"):
        data = file(tmp_path / "a.csv", split=split).data
        n = len(data.users)
        held = {u % n: data.take([u]).y[0] > 0 for u in data.ids(split="test")}
        for u in [*data.ids(), *data.ids(split="val"), *data.ids(split="test")]:
            assert not (data.take([u]).x[0][held[u % n]]).any()
        for v in data.ids(split="val"):
            assert not (data.take([v]).x * data.take([v]).y).any()
            assert not (data.take([v - n]).x * data.take([v]).y).any()


def test_the_splits_of_the_data_are_kept(recsys):
    problem = ddcore.load("recommender/ml-1m", recsys / "ml-1m")
    data = problem.data
    assert data.train.shape == (6040, 3706)
    assert data.train.nnz == 791_718
    assert data.held_out.nnz == 99_692 + 108_799
    assert data.split is None


def test_ml_100k_and_movietweetings_load(recsys):
    small = ddcore.load("recommender/ml-100k", recsys / "ml-100k", split="leave-one-out").data
    assert small.held_out.nnz == 2 * 943
    tweets = ddcore.load("recommender/movietweetings", recsys / "movietweetings-100k", threshold=8.0, per_item=5).data
    assert (tweets.context[: len(tweets.users)].sum(1) >= 1).all()
