"""What other libraries load."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from ddcore_recommender.discrete import discrete
from ddcore_recommender.importing import from_table
from ddcore_recommender.methods.distill_cf import DISTILL_CF
from ddcore_recommender.problems import ranking_problem
from ddcore_recommender.readers import read_file
from ddcore_recommender.sequential import sequential_problem
from ddcore_recommender.table import split_table
from ddcore_recommender.users import UserSet, sparse_rows

import ddcore
from ddcore.errors import ArtifactError, DataError, NotSupported
from ddcore.exporters import export


@pytest.fixture(scope="module")
def made(small):
    problem = replace(small, name="recommender/imports")  # exporters are found by the modality
    options = {"steps": 3, "history": 6.0, "draws": 2, "temperature": 1.0}
    return ddcore.distill(problem, DISTILL_CF, ipc=4, options=options), problem


@pytest.mark.parametrize(("kind", "name"), [("csv", "a.csv"), ("inter", "a.inter"), ("csr", "a.npz")])
def test_discrete_users_are_read_back(made, tmp_path, kind, name):
    artifact, problem = made
    path = export(artifact, kind, tmp_path / name, problem)
    table = read_file(path)
    found = discrete(artifact.synthetic(problem))
    assert len(table) == found.rows.nnz
    assert len(table.users) == 4
    assert set(table.items) <= set(problem.data.items)
    if kind != "csr":
        assert set(table.items) <= set(problem.data.items)
        per_user = dict(zip(*np.unique(table.users[table.user], return_counts=True), strict=True))
        assert [per_user[f"fake{u}"] for u in range(4)] == np.diff(found.rows.indptr).tolist()
    else:
        assert np.array_equal(sp.load_npz(path).toarray(), found.rows.toarray())


def test_weights_are_kept(made, tmp_path):
    artifact, problem = made
    path = export(artifact, "weights", tmp_path / "w.npz", problem)
    assert np.allclose(sp.load_npz(path).toarray(), artifact.tensors["x"].numpy())


def test_ids_with_commas_survive(tmp_path, tastes):
    table = tastes(12)
    table.items[:] = [
        f"{i:x}{mark}" for i, mark in zip(range(len(table.items)), [",", '"', "\n", "\r"] * 6, strict=True)
    ]
    problem = ranking_problem(split_table(table, "random"), cuts=(5,))
    problem = replace(problem, name="recommender/imports")
    artifact = ddcore.distill(problem, "random", ipc=3)
    path = export(artifact, "csv", tmp_path / "a.csv", problem)
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    assert all(len(line) == 3 for line in lines)
    assert {line[1] for line in lines[1:]} <= set(problem.data.items)
    taken = from_table(path, problem).rows.toarray()
    assert sorted(taken.tolist()) == sorted(sparse_rows(artifact.synthetic(problem)).toarray().tolist())


def test_without_the_problem_ids_are_not_known(made, tmp_path):
    with pytest.raises(ArtifactError, match="give the problem"):
        export(made[0], "csv", tmp_path / "a.csv")


def test_a_discrete_user_has_the_items_of_the_largest_weights_as_many_as_their_perplexity():
    g = torch.Generator().manual_seed(0)
    x = torch.rand(40, 24, generator=g)
    rows = discrete(UserSet({0: 40}, x, sharpness=3.0)).rows.toarray()
    for weights, row in zip(x.double() ** 3, torch.from_numpy(rows), strict=True):
        perplexity = float(torch.distributions.Categorical(weights).perplexity())
        n = int(row.sum())
        assert n == round(perplexity)
        assert sorted(row.nonzero().flatten().tolist()) == sorted(weights.topk(n).indices.tolist())


def test_histories_keep_their_items_and_nobody_is_given_one_without_weight():
    x = torch.tensor([[1.0, 0, 1, 0], [0.2, 0, 0, 0], [0, 0, 0, 0], [0.5, 0.5, 0.5, 0]])
    rows = discrete(UserSet({0: 4}, x, sharpness=10.0)).rows.toarray()
    assert np.array_equal(rows, x.numpy() > 0)


def test_whole_histories_stay_as_they_are(small):
    artifact_rows = small.data.train[:9]
    from ddcore_recommender.users import SparseUsers

    again = discrete(SparseUsers(artifact_rows))
    assert np.array_equal(sparse_rows(again).toarray(), artifact_rows.toarray())


@pytest.mark.parametrize(("kind", "name"), [("csv", "a.csv"), ("inter", "a.inter"), ("csr", "a.npz")])
def test_exported_users_come_back_and_score(made, tmp_path, kind, name):
    artifact, problem = made
    path = export(artifact, kind, tmp_path / name, problem)
    taken = ddcore.import_set(path, "csv", problem)
    whole = discrete(artifact.synthetic(problem)).rows.toarray()
    found = sparse_rows(taken.synthetic(problem)).toarray()
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, whole.tolist()))
    assert ddcore.evaluate(taken, problem, models=["ease"], seeds=1).score().mean > 0


@pytest.mark.parametrize("kind", ["csr", "weights"])
def test_columns_of_a_matrix_are_the_items_that_it_names(tastes, tmp_path, kind):
    """Ids are sorted as text, so that column 2 is item 10."""
    table = replace(tastes(20), items=np.array([str(i) for i in range(24)]))
    order = np.argsort(table.items)
    table = replace(table, items=table.items[order], item=np.argsort(order)[table.item])
    problem = replace(ranking_problem(split_table(table, "random"), cuts=(5,)), name="recommender/imports")
    artifact = ddcore.distill(problem, DISTILL_CF, ipc=3, options={"steps": 2, "history": 6.0, "draws": 2})
    path = export(artifact, kind, tmp_path / "a.npz", problem)
    assert np.load(path)["item_ids"].tolist() == problem.data.items.tolist()
    assert sp.load_npz(path).shape == (3, 24)
    taken = ddcore.import_set(path, "csv", problem).synthetic(problem)
    expected = artifact.synthetic(problem) if kind == "weights" else discrete(artifact.synthetic(problem))
    assert np.allclose(sparse_rows(taken).toarray(), sparse_rows(expected).toarray())


@pytest.mark.parametrize(
    ("weights", "kept"), [((0.5, 0.25), True), ((0.5, 0.5), True), ((1, 1), False), ((0.5, 5), False)]
)
def test_weights_up_to_one_are_kept_and_ratings_are_interactions(small, tmp_path, weights, kept):
    first, second = small.data.items[:2]
    (tmp_path / "a.csv").write_text(f"user_id,item_id,weight\nu,{first},{weights[0]}\nu,{second},{weights[1]}\n")
    found = sparse_rows(from_table(tmp_path / "a.csv", small)).toarray()[0, :2]
    assert found.tolist() == (list(weights) if kept else [1, 1])


def test_sequences_and_clicks_take_no_tables_of_interactions(tastes, tmp_path):
    (tmp_path / "a.csv").write_text("user_id,item_id\nu,x\n")
    problem = sequential_problem(split_table(tastes(), "leave-one-out"), length=4, cuts=(2,), dim=4)
    with pytest.raises(NotSupported, match="sequences of 4, and this needs histories of users"):
        from_table(tmp_path / "a.csv", problem)


def test_commands_score_the_discrete_users(tastes, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from ddcore.cli import main

    table = tastes(40)
    lines = [f"{table.users[u]},{table.items[i]}" for u, i in zip(table.user, table.item, strict=True)]
    (tmp_path / "likes.csv").write_text("\n".join(["user_id,item_id", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)

    def ddcore_command(words):
        result = CliRunner().invoke(main, words.split())
        assert result.exit_code == 0, result.output
        return result.stdout

    data = "--data likes.csv --set problem.per_user=4"
    made = "--method distill-cf --steps 3 --set history=8 --set temperature=1"
    ddcore_command(f"distill recommender/file {data} {made} --ipc 6 --out fake")
    ddcore_command("export fake --to csv --out fake.csv")
    ddcore_command(f"import fake.csv --from csv --problem recommender/file {data} --out drawn")
    found = json.loads(ddcore_command("evaluate drawn --model ease --model infinite-ae --seeds 1 --json"))

    artifact = ddcore.open("fake")
    problem = ddcore.load("recommender/file", "likes.csv", per_user=4)
    wanted = ddcore.evaluate(discrete(artifact.synthetic(problem)), problem, models=["ease", "infinite-ae"], seeds=1)
    means = {(s["model"], s["metric"]): s["mean"] for s in found["scores"]}
    assert {model for model, _ in means} == {"ease", "infinite-ae"}
    for score in wanted.scores:
        assert means[score.model, score.metric] == pytest.approx(score.mean, abs=1e-6)
    assert found["rows"] == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user_id,item_id\nu,nowhere\n", r"1 items that .* has not, such as 'nowhere'"),
        ("user_id,item_id,rating\nu,{item},0\n", "1 interactions with a weight of 0 or less"),
        (
            "user_id,item_id,rating\nu,{item},-2\nv,{item},3\n",
            r"1 interactions with a weight of 0 or less \(the smallest is -2\)",
        ),
        ("user_id,item_id,rating\nu,{item},\n", "no finite number"),
        ("listener,item_id\nu,{item}\n", "none of them is the user .*: call it user_id in the file"),
        ("user_id,item_id\n", "has no lines"),
        ("", r"cannot be read as \.csv"),
        ("\0\x01", "has no lines"),
    ],
)
def test_tables_that_are_no_users_of_the_problem_are_refused(made, tmp_path, text, said):
    (tmp_path / "a.csv").write_text(text.format(item=made[1].data.items[0]))
    with pytest.raises((ArtifactError, DataError), match=said):
        ddcore.import_set(tmp_path / "a.csv", "csv", made[1])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"garbage"])
def test_a_torn_matrix_is_refused(made, tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        ddcore.import_set(tmp_path / "a.npz", "csv", made[1])
