"""What the readers keep of a file, and what they answer to one that cannot be right."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ddcore_recommender.export import to_csv
from ddcore_recommender.importing import from_table
from ddcore_recommender.problems import ranking_problem
from ddcore_recommender.public import file
from ddcore_recommender.readers import Columns, read_file
from ddcore_recommender.sequential import sequential_problem
from ddcore_recommender.table import distinct, named, split_table
from ddcore_recommender.users import SparseUsers

import ddcore
from ddcore.errors import DataError, NotSupported, OptionError

IDS = ["007", "7", "NA", "null", "1e5", "true", "7.0"]


@pytest.mark.parametrize(("suffix", "sep", "head"), [
    (".csv", ",", "user_id,item_id,weight"),
    (".inter", "\t", "user_id:token\titem_id:token\trating:float"),
    (".dat", "::", None),
])  # fmt: skip
def test_ids_are_the_text_of_the_file(tmp_path, suffix, sep, head):
    lines = [sep.join(("0114508", name, "3")) for name in IDS]
    path = tmp_path / f"a{suffix}"
    path.write_text("\n".join([*([head] if head else []), *lines]) + "\n")
    found = read_file(path, names=() if head else ("user_id", "item_id", "rating"), sep=sep)
    assert found.users.tolist() == ["0114508"]
    assert found.items[found.item].tolist() == IDS
    assert found.weight.tolist() == [3] * len(IDS)


def test_splits_and_fields_are_text_too(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,item_id,split,day\na,x,0,01\nb,y,2,1\n")
    found = read_file(tmp_path / "a.csv", Columns(fields=("day",)))
    assert found.split.tolist() == [0, 2]
    assert found.fields["day"].tolist() == [0, 1]


def test_users_come_back_under_the_ids_that_were_exported(tmp_path):
    n = np.arange(60)
    data = pd.DataFrame({"user_id": [f"{u:04}" for u in n // 6], "item_id": [f"{i:03}" for i in n % 9]})
    data.to_parquet(tmp_path / "a.parquet")
    problem = file(tmp_path / "a.parquet")
    made = ddcore.distill(problem, "recommender/head-users", ipc=2)
    back = from_table(to_csv(made, problem, tmp_path / "fake.csv"), problem)
    set_ = made.synthetic(problem)
    assert isinstance(set_, SparseUsers)
    assert np.array_equal(back.rows.toarray(), set_.rows.toarray())


def test_fractions_of_a_second_keep_their_order(tmp_path):
    (tmp_path / "a.csv").write_text(
        "user_id,item_id,time\n" + "".join(f"u,{i},{t}\n" for i, t in zip("xyz", (0.1, 0.9, 0.5)))
    )
    found = split_table(distinct(read_file(tmp_path / "a.csv")), "leave-one-out")
    assert found.items[found.item].tolist() == ["x", "y", "z"]
    assert found.split.tolist() == [0, 2, 1]


@pytest.mark.parametrize("time", ["inf", "-inf", ""])
def test_a_time_must_be_finite(tmp_path, time):
    (tmp_path / "a.csv").write_text(f"user_id,item_id,time\nu,x,1\nu,y,{time}\n")
    with pytest.raises(DataError, match="in line 2 is neither a finite number nor an ISO date"):
        read_file(tmp_path / "a.csv")
    with pytest.raises(DataError, match="time inf is no finite number"):
        named(np.array(["u", "u"]), np.array(["x", "y"]), time=np.array([1.0, np.inf]))


@pytest.mark.parametrize("user", [np.array([0, 5]), np.array([0, -1]), np.array([0.5, 1.0])])
def test_a_number_that_is_none_of_the_ids_is_an_error(tmp_path, user):
    np.savez(tmp_path / "a.npz", user=user, item=np.array([0, 1]), user_ids=np.array(["a", "b"]))
    with pytest.raises(DataError, match="none of its 2 user_ids: expected whole numbers from 0 to 1"):
        read_file(tmp_path / "a.npz")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", user=np.array(["a", "b"], object), item=np.array([0, 1]))
    with pytest.raises(DataError, match="cannot be read"):
        read_file(tmp_path / "a.npz")


def test_parquet_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"")
    for name in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NotSupported, match=r"^Parquet needs its library: pip install"):
        read_file(tmp_path / "a.parquet")


def test_weights_of_nothing_need_a_threshold(tmp_path):
    (tmp_path / "a.inter").write_text(
        "user_id:token\titem_id:token\tlabel:float\n" + "".join(f"{n // 4}\t{n % 7}\t{n % 2}\n" for n in range(40))
    )
    with pytest.raises(DataError, match="20 of 40 interactions have a weight of 0 or less"):
        file(tmp_path / "a.inter")
    assert len(file(tmp_path / "a.inter", threshold=1.0, per_user=2).data.users) == 10


# ---------------------------------------------------------------------------------------------------------------------
# clicks and sequences


@pytest.fixture
def log(tmp_path):
    """Half of the lines are clicks, in either half of the file."""
    n = np.arange(80)
    data = {
        "user_id": n // 4,
        "item_id": n % 5,
        "weight": n % 2,
        "datetime": n,
        "day": n % 3,
        "part": np.repeat([0, 2], 40),
    }
    pd.DataFrame(data).to_csv(tmp_path / "a.csv", index=False)
    return tmp_path / "a.csv"


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("clicks", "length", 5),
        ("clicks", "negatives", 5),
        ("clicks", "split", "leave-one-out"),
        ("ranking", "length", 5),
        ("ranking", "fields", ["day"]),
        ("sequential", "fields", ["day"]),
    ],
)
def test_an_option_without_meaning_is_refused(log, kind, option, value):
    with pytest.raises(OptionError, match=f"{option}.* has no meaning for kind = {kind}"):
        file(log, kind=kind, threshold=1.0, **{option: value})


def test_clicks_have_filters_and_the_datas_own_split(log):
    with pytest.raises(DataError, match="no split column"):
        file(log, kind="clicks", threshold=1.0, split="column")
    with pytest.raises(DataError, match="nothing is left of 80"):
        file(log, kind="clicks", threshold=1.0, per_user=5)
    own = file(log, kind="clicks", threshold=1.0, split_column="part").data
    assert [list(own.ids(split=name)) for name in ("train", "val", "test")] == [[*range(40)], [], [*range(40, 80)]]
    assert file(log, kind="clicks", threshold=1.0, split_column="part", split="random").data.ids(split="val")


def test_a_split_of_one_class_is_an_error(log):
    pd.read_csv(log).assign(part=lambda d: 2 * d.weight).to_csv(log, index=False)
    with pytest.raises(DataError, match="all 40 rows of train are no clicks"):
        file(log, kind="clicks", threshold=1.0, split_column="part")


def test_sequences_do_not_go_back_in_time(log):
    with pytest.raises(DataError, match=r"after one in .*choose split = leave-one-out"):
        file(log, kind="sequential", threshold=0.0, split="random")
    pd.read_csv(log).assign(part=np.tile([0, 0, 2, 0], 20)).to_csv(log, index=False)
    with pytest.raises(DataError, match="has an interaction in train after one in test"):
        file(log, kind="sequential", threshold=0.0, split_column="part")
    pd.read_csv(log).assign(part=np.tile([0, 0, 1, 2], 20)).to_csv(log, index=False)
    own = file(log, kind="sequential", threshold=0.0, split_column="part").data
    assert own.fingerprint() == file(log, kind="sequential", threshold=0.0, split="leave-one-out").data.fingerprint()


# ---------------------------------------------------------------------------------------------------------------------
# problems of tables


def table(items="wxyz", time=(1, 2, 3, 4)):
    return named(np.array(list("aabb")), np.array(list(items)), time=np.array(time), split=np.array([0, 2, 0, 2]))


def test_the_fingerprint_knows_the_items_and_the_order_of_times():
    known = ranking_problem(table()).data.fingerprint()
    assert ranking_problem(table(time=(10, 20, 30.5, 40))).data.fingerprint() == known
    assert ranking_problem(table("abcd")).data.fingerprint() != known
    assert ranking_problem(table(time=(3, 2, 1, 4))).data.fingerprint() != known


def test_a_small_catalogue_has_each_metric_once():
    for problem in (ranking_problem(table()), ranking_problem(table(), cuts=(3, 10))):
        names = [m.name for m in problem.task.metrics]
        assert len(names) == len(set(names))


def test_a_table_that_is_not_ready_says_what_to_do():
    with pytest.raises(DataError, match=r"no split: split_table\(table, 'random'\)"):
        ranking_problem(replace(table(), split=None))
    with pytest.raises(DataError, match=r"no split: split_table\(table, 'leave-one-out'\)"):
        sequential_problem(replace(table(), split=None))
    with pytest.raises(DataError, match=r"3 training interactions are 2 different ones: distinct\(table\)"):
        ranking_problem(replace(table("wxwx"), user=np.array([0, 0, 0, 1]), split=np.array([0, 2, 0, 0])))
