"""Texts come in with their labels, also for a problem with another vocabulary."""

import json
from dataclasses import replace

import pytest
import torch
from ddcore_text.importing import from_jsonl

import ddcore
from ddcore.errors import ArtifactError, NotSupported
from ddcore.exporters import export


@pytest.fixture(scope="module")
def problem(tokens):
    return tokens()


def write(path, *records):
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def test_our_own_export_comes_back_and_scores_the_same(problem, tmp_path):
    made = ddcore.distill(problem, "random", ipc=2)
    file = export(made, "jsonl", tmp_path / "a.jsonl", problem)
    again = from_jsonl(file, problem)
    assert again.counts == made.synthetic(problem).counts
    assert torch.equal(again.batch().x, made.synthetic(problem).batch().x)
    assert torch.equal(again.batch().y, made.synthetic(problem).batch().y)
    ddcore.import_set(file, "jsonl", problem).save(tmp_path / "kept")
    short = replace(problem.recipe, name="short@1", epochs=5)
    scores = [
        ddcore.evaluate(one, problem, seeds=1, protocol=short).score() for one in (ddcore.open(tmp_path / "kept"), made)
    ]
    assert scores[0].values == scores[1].values


def test_lines_of_any_order_and_probabilities(problem, tmp_path):
    a, b = problem.class_names[:2]
    s = from_jsonl(write(tmp_path / "a.jsonl", {"text": "one", "label": b}, {"text": "two", "label": a}), problem)
    assert s.texts == ["two", "one"]
    k = len(problem.class_names)
    soft = [[0.9 if i == c else 0.1 / (k - 1) for i in range(k)] for c in (1, 0)]
    s = from_jsonl(write(tmp_path / "b.jsonl", *({"text": "x y", "label": p} for p in soft)), problem)
    assert s.label_kind == "probabilities"
    assert torch.allclose(s.batch().y, torch.tensor(soft)[[1, 0]])


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "has no line"),
        ([["a", "b"]], "line 1: expected"),
        ([{"text": "a"}], "line 1: expected"),
        ([{"text": " ", "label": "0"}], "is not empty"),
        ([{"text": "a", "pair": "b", "label": "0"}], "one text"),
        ([{"text": "a", "label": "no such"}], "'no such' is none of"),
        ([{"text": "a", "label": ["kitchen", "music", "weather"]}], "line 1: .* is not a probability for each of 3"),
        ([{"text": "a", "label": [-3, 7, -3]}], "which sum to 1"),
        ([{"text": "a", "label": [0.5, 0.5]}], "for each of 3 classes"),
        ([{"text": "a", "label": [0.9, 0.9, 0.9]}], "which sum to 1"),
        ([{"text": "a", "label": [float("nan"), 0.5, 0.5]}], "which sum to 1"),
        ([{"text": "a", "label": [10**400, 0, 0]}], "which sum to 1"),
        ([{"text": "a", "label": "music"}, {"text": "a", "label": [1, 0, 0]}], "classes in some lines"),
    ],
)
def test_other_lines_are_refused_with_what_was_expected(problem, tmp_path, records, said):
    with pytest.raises(ArtifactError, match=said):
        from_jsonl(write(tmp_path / "a.jsonl", *records), problem)
    with pytest.raises(ArtifactError, match="cannot be read as text"):
        from_jsonl(tmp_path, problem)


def test_vectors_read_no_words(sentences, tmp_path):
    with pytest.raises(NotSupported, match='space = "tokens"'):
        from_jsonl(write(tmp_path / "a.jsonl", {"text": "a", "label": "0"}), sentences())
