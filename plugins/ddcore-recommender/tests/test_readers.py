"""What the readers keep of a file, and what they answer to one that cannot be right."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
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
    with pytest.raises(DataError, match=r"a\.csv: time .* in line 2 is no finite number"):
        read_file(tmp_path / "a.csv")
    with pytest.raises(DataError, match="time inf is no finite number"):
        named(np.array(["u", "u"]), np.array(["x", "y"]), time=np.array([1.0, np.inf]))


@pytest.mark.parametrize("years", [("0001", "0002", "9999"), ("1969", "2024", "3000")])
def test_dates_of_any_year_are_in_order(tmp_path, years):
    lines = [f"u,{item},{year}-05-31" for item, year in zip("xyz", years, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(["user_id,item_id,date", lines[1], lines[2], lines[0]]) + "\n")
    found = read_file(tmp_path / "a.csv")
    assert found.items[found.item[np.argsort(found.time)]].tolist() == ["x", "y", "z"]


def test_numbers_that_are_stored_as_text_are_times(tmp_path):
    data = {"user_id": list("uuu"), "item_id": list("xyz"), "time": ["881250949", "9", "1e3"]}
    pd.DataFrame(data).to_parquet(tmp_path / "a.parquet")
    assert sorted(read_file(tmp_path / "a.parquet").time.tolist()) == [9, 1000, 881250949]


@pytest.mark.parametrize("suffix", [".csv", ".inter", ".dat"])
def test_lines_longer_than_the_header_are_an_error(tmp_path, suffix):
    """Columns that have moved would be read under the names of others."""
    sep = "\t" if suffix == ".inter" else ","
    lines = [["user_id", "item_id"], ["u", "x", "5"], ["u", "y", "3"]]
    (tmp_path / f"a{suffix}").write_text("".join(sep.join(line) + "\n" for line in lines))
    with pytest.raises(DataError, match=r"lines of 3 fields, and 2 columns \(user_id, item_id\)"):
        read_file(tmp_path / f"a{suffix}")
    (tmp_path / f"b{suffix}").write_text("u::x::5::7\n" * 3)
    with pytest.raises(DataError, match=r"lines of 4 fields, and 3 columns"):
        read_file(tmp_path / f"b{suffix}", names=("user_id", "item_id", "rating"), sep="::")


@pytest.mark.parametrize("sep", [";", "|", "||", "::", "^*", r"\t"])
def test_what_stands_between_columns_is_taken_as_it_is(tmp_path, sep):
    between = "\t" if sep == r"\t" else sep  # as it is typed in a shell
    lines = [["user_id", "item_id", "rating"], ["a", "x", "5"], ["b", "y", "3"]]
    (tmp_path / "a.csv").write_text("".join(between.join(line) + "\n" for line in lines))
    found = read_file(tmp_path / "a.csv", sep=sep)
    assert (found.users.tolist(), found.items.tolist(), found.weight.tolist()) == (["a", "b"], ["x", "y"], [5, 3])


@pytest.mark.parametrize("mark", [";", "\t", "::", "|"])
def test_another_mark_between_columns_is_named(tmp_path, mark):
    (tmp_path / "a.csv").write_text(mark.join(["user_id", "item_id"]) + "\n" + mark.join("ux") + "\n")
    with pytest.raises(DataError) as caught:
        read_file(tmp_path / "a.csv")
    assert f"--set problem.separator={mark!r}" in str(caught.value)


def test_a_file_that_is_not_in_utf_8_says_how_to_convert_it(tmp_path):
    (tmp_path / "a.csv").write_bytes("user_id,item_id\nu,café\n".encode("latin1"))
    with pytest.raises(DataError, match="not in UTF-8: convert it"):
        read_file(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes("user_id,item_id\nu,café\n".encode("utf-8-sig"))
    assert read_file(tmp_path / "a.csv").items.tolist() == ["café"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user_id": ["", "b"]}, "line 1 has no user id"),
        ({"item_id": [["x"], ["y", "z"]]}, r"item \['x'\] in line 1 is a list"),
        ({"weight": pd.to_datetime(["2024-05-31"] * 2)}, "2 of 2 weights are no finite number"),
    ],
)
def test_columns_of_parquet_of_the_wrong_kind(tmp_path, change, said):
    data = {"user_id": ["a", "b"], "item_id": ["x", "y"], "weight": [1, 2], **change}
    pd.DataFrame(data).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=rf"^a\.parquet: .*{said}|^a\.parquet: {said}"):
        read_file(tmp_path / "a.parquet")


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_nothing_stands_between_the_columns_of_binary_files(tmp_path, suffix):
    with pytest.raises(OptionError, match="separator has no meaning"):
        read_file(tmp_path / f"a{suffix}", sep=";")


# ---------------------------------------------------------------------------------------------------------------------
# matrices


@pytest.mark.parametrize("kind", ["csc", "coo", "bsr"])
def test_a_matrix_in_another_format_says_so(tmp_path, kind):
    sp.save_npz(tmp_path / "a.npz", sp.csr_array(np.eye(4)).asformat(kind))
    with pytest.raises(DataError, match=f"in {kind.upper()} format: save it as CSR"):
        read_file(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "torn",
    [
        {"indices": [-1, 1, 2]},
        {"indices": [0, 1, 4]},
        {"indptr": [0, 3, 2, 3]},
        {"indptr": [0, 1, 2, 9]},
        {"data": [1.0]},
    ],
)
def test_a_matrix_whose_parts_do_not_fit_is_an_error(tmp_path, torn):
    parts = {"indptr": [0, 1, 2, 3], "indices": [0, 1, 2], "data": [1.0, 1, 1], "shape": [3, 4]}
    np.savez(tmp_path / "a.npz", format=b"csr", **{name: np.array(x) for name, x in (parts | torn).items()})
    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_file(tmp_path / "a.npz")


def test_a_matrix_has_the_columns_user_item_and_weight_and_no_other(tmp_path):
    sp.save_npz(tmp_path / "a.npz", sp.csr_array(np.eye(4)))
    with pytest.raises(DataError, match="no column 'when'; it has user, item, weight"):
        read_file(tmp_path / "a.npz", Columns(time="when"))


def test_a_matrix_with_damaged_bytes_is_an_error(tmp_path):
    sp.save_npz(tmp_path / "a.npz", sp.csr_array(np.ones((30, 40))))
    whole = (tmp_path / "a.npz").read_bytes()
    for at in range(0, len(whole), 97):
        (tmp_path / "a.npz").write_bytes(whole[:at] + bytes(b ^ 0xFF for b in whole[at : at + 8]) + whole[at + 8 :])
        with contextlib.suppress(DataError):  # some bytes say nothing
            read_file(tmp_path / "a.npz")


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


@pytest.mark.parametrize(("name", "part"), [("user_id", "user"), ("weight", "weight"), ("part", "split")])
def test_a_field_that_is_read_already_is_refused(log, name, part):
    with pytest.raises(OptionError, match=f"fields = {name}, which is the {part} already"):
        file(log, kind="clicks", threshold=1.0, split_column="part", fields=["day", name])


def test_fields_stand_beside_user_and_item_whatever_they_are_called(log):
    data = pd.read_csv(log).assign(user=lambda d: d.day, item=lambda d: d.day.astype(str).where(d.day > 0))
    data.to_csv(log, index=False)
    found = file(log, kind="clicks", threshold=1.0, fields=["user", "item"]).data
    assert found.sizes == (20, 5, 3, 3), "a line that says nothing has a value of its own"


def test_a_split_of_one_class_is_an_error(log):
    pd.read_csv(log).assign(part=lambda d: 2 * d.weight).to_csv(log, index=False)
    with pytest.raises(DataError, match="all 40 rows of train are no clicks"):
        file(log, kind="clicks", threshold=1.0, split_column="part")


def test_sequences_without_times_name_the_option(log):
    pd.read_csv(log).drop(columns="datetime").to_csv(log, index=False)
    with pytest.raises(DataError, match=r"kind = sequential goes by time, .*: name it by time"):
        file(log, kind="sequential", threshold=0.0)


def test_sequences_that_nobody_continues_in_test_are_an_error(log):
    pd.read_csv(log).assign(part=np.repeat([0, 2], 40)).to_csv(log, index=False)
    with pytest.raises(DataError, match="no user has an interaction in the test split beside one in training"):
        file(log, kind="sequential", threshold=0.0, split_column="part")


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
