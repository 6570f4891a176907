"""Texts leave with their labels."""

import json

import pytest

import ddcore
from ddcore.errors import ArtifactError, NotSupported
from ddcore.exporters import export

DILM = {"steps": 1, "train_steps": 20, "n_syn": 4, "n_real": 4, "inner": 1, "overgenerate": 2}


@pytest.fixture(scope="module")
def problem(tokens):
    return tokens()


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_written_texts_need_no_problem(problem, tmp_path):
    made = ddcore.distill(problem, "text/dilm", ipc=1, options=DILM)
    found = lines(export(made, "jsonl", tmp_path / "a.jsonl"))
    assert [row["label"] for row in found] == list(problem.class_names)
    assert all(row["text"] for row in found)


def test_selected_texts_are_the_real_ones(problem, tmp_path):
    made = ddcore.distill(problem, "random", ipc=2)
    with pytest.raises(ArtifactError, match="give the problem"):
        export(made, "jsonl", tmp_path / "a.jsonl")
    found = lines(export(made, "jsonl", tmp_path / "a.jsonl", problem))
    assert [row["text"] for row in found] == problem.data.texts(made.tensors["ids"].tolist())


def test_a_hugging_face_set_has_texts_and_class_names(problem, tmp_path):
    datasets = pytest.importorskip("datasets")
    made = ddcore.distill(problem, "random", ipc=2)
    found = datasets.load_from_disk(str(export(made, "hf", tmp_path / "set", problem)))
    assert found["text"][:] == problem.data.texts(made.tensors["ids"].tolist())
    assert found.features["label"].names == list(problem.class_names)
    soft = ddcore.distill(problem, "text/vocab-distill", ipc=1, options={"steps": 1, "n_real": 8, "model": "bag"})
    found = datasets.load_from_disk(str(export(soft, "hf", tmp_path / "soft", problem)))
    assert found["label"][0] == pytest.approx(soft.tensors["y"][0].tolist())
    assert "Classes: " + ", ".join(problem.class_names) in found.info.description
    assert "Learned step sizes: " in found.info.description


def test_pairs_leave_as_pairs_and_are_read_again(pairs, tmp_path):
    datasets = pytest.importorskip("datasets")
    made = ddcore.distill(pairs, "random", ipc=5)
    said = pairs.data.texts(made.tensors["ids"].tolist())
    file = export(made, "jsonl", tmp_path / "a.jsonl", pairs)
    assert [(row["text"], row["pair"]) for row in lines(file)] == said
    again = ddcore.load("text/csv", data=file, width=4)
    assert again.data.texts(range(len(said))) == said
    found = datasets.load_from_disk(str(export(made, "hf", tmp_path / "set", pairs)))
    assert list(zip(found["text"], found["pair"], strict=True)) == said


def test_vectors_are_no_text(problem, tmp_path):
    made = ddcore.distill(problem, "dm", ipc=1, steps=1)
    with pytest.raises(NotSupported, match="vectors and no words"):
        export(made, "jsonl", tmp_path / "a.jsonl", problem)


def test_a_distilled_text_set_is_read_by_another_vocabulary(problem, tmp_path):
    made = ddcore.distill(problem, "random", ipc=5)
    file = export(made, "jsonl", tmp_path / "a.jsonl", problem)
    other = ddcore.load("text/csv", data=file, width=4)
    assert sorted(other.class_names) == sorted(problem.class_names)
    assert other.input_space != problem.input_space
