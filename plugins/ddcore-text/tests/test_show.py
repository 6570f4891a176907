"""Sets can be read."""

import random

import torch
from click.testing import CliRunner
from ddcore_text.data import token_space
from ddcore_text.decode import nearest_tokens, readings

import ddcore
from ddcore.cli import main
from ddcore.parametrizations import Selected


def test_rows_that_start_from_real_ones_read_as_they_do(tokens):
    problem = tokens()
    ids = [problem.data.ids(g)[0] for g in problem.data.groups]
    synthetic = problem.synthetic(dict.fromkeys(problem.data.groups, 1), problem.data.take(ids), random.Random(0))
    found = readings(problem.data, synthetic)
    assert [row.text for row in found] == problem.data.texts(ids)
    assert all(row.distance < 1e-3 for row in found)


def test_the_nearest_token_is_that_of_all_distances(tokens):
    space = token_space(tokens())
    x = torch.randn(5, space.width, generator=torch.Generator().manual_seed(0))
    ids, distance = nearest_tokens(space, x)
    for row, i, d in zip(x, ids, distance, strict=True):
        every = [float((row - v).square().mean().sqrt()) for v in space.table]
        every[space.pad] = float("inf")
        assert i == min(range(len(every)), key=every.__getitem__)
        assert abs(d - min(every)) < 1e-5


def test_sentence_vectors_read_as_the_nearest_text(sentences):
    problem = sentences()
    ids = [problem.data.ids(g)[3] for g in problem.data.groups]
    synthetic = problem.synthetic(dict.fromkeys(problem.data.groups, 1), problem.data.take(ids), random.Random(0))
    found = readings(problem.data, synthetic)
    assert [row.text for row in found] == problem.data.texts(ids)


def test_selected_rows_are_exact_and_a_card_names_every_class(tokens, tmp_path):
    problem = tokens()
    chosen = Selected.random(problem.data, dict.fromkeys(problem.data.groups, 12), random.Random(0))
    assert all(row.distance is None for row in readings(problem.data, chosen))
    text = problem.render(chosen, tmp_path).read_text("utf-8")
    for name in problem.class_names:
        assert f"== {name}\n" in text
    assert text.count("and 2 more") == len(problem.class_names)
    assert problem.data.texts(chosen.chosen[:1])[0] in text


def test_the_command_prints_the_cards(tokens, tmp_path):
    made = ddcore.distill(tokens(), "random", ipc=1)
    made.save(tmp_path / "set")
    shown = CliRunner().invoke(main, ["show", str(tmp_path / "set")]).output
    assert "== kitchen" in shown
    assert all(line in shown for line in made.files["sentences.txt"].decode().splitlines())
