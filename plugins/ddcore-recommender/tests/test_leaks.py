"""What is in the test split changes neither a set nor a model: two data sets that differ in nothing else give the same bytes."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from ddcore_recommender.ctr import click_problem
from ddcore_recommender.models.neumf import NeuMF
from ddcore_recommender.models.pairs import PairwiseModel
from ddcore_recommender.plugin import METHODS
from ddcore_recommender.problems import ranking_problem
from ddcore_recommender.sequential import sequential_problem
from ddcore_recommender.table import split_table

import ddcore
from ddcore.evaluation import train
from ddcore.parametrizations.base import Selected
from ddcore.plugins import installed

KIND = dict.fromkeys(METHODS, "histories") | {"farzi": "sequences", "td3": "sequences", "cgm": "clicks"}
MODELS = {
    "histories": ("mult-vae", "infinite-ae", "ease", "mf", "neumf", "lightgcn", "popularity"),
    "sequences": ("sasrec", "gru4rec"),
    "clicks": ("deepfm", "dnn"),
}
FEW = {"steps": 3, "val_every": 1, "masks": 2, "epochs": 2, "unroll": 4, "window": 2, "n_real": 16, "rank": 2}
FEW |= {"history": 6.0, "draws": 2, "pool": 1, "inner": 2}


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """A few updates by pairs."""
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    monkeypatch.setattr(PairwiseModel, "least", 10)
    for model in (PairwiseModel, NeuMF):
        monkeypatch.setattr(model, "epochs", 1)


def otherwise(table):
    """The same table with other items on the lines of test, of which the user has none."""
    g, item = np.random.default_rng(0), table.item.copy()
    for u in range(len(table.users)):
        of = table.user == u
        test = of & (table.split == 2)
        item[test] = g.permutation(np.setdiff1d(np.arange(len(table.items)), table.item[of]))[: test.sum()]
    return replace(table, item=item)


@pytest.fixture(scope="module")
def pairs(tastes):
    drawn, last = (split_table(tastes(), how) for how in ("random", "leave-one-out"))
    g = np.random.default_rng(0)
    fields, split = g.integers(5, size=(2, 300)), np.repeat([0, 1, 2], (200, 50, 50))
    clicked = fields.sum(0) % 2 == 0
    others = np.where(split == 2, 4 - fields, fields)
    return {
        "histories": [ranking_problem(t, cuts=(5,), hidden=24) for t in (drawn, otherwise(drawn))],
        "sequences": [sequential_problem(t, length=5, cuts=(3,), dim=8) for t in (last, otherwise(last))],
        "clicks": [
            click_problem(dict(zip("ab", x, strict=True)), y, split=split)
            for x, y in ((fields, clicked), (others, clicked ^ (split == 2)))
        ],
    }


@pytest.mark.parametrize("kind", MODELS)
def test_the_data_sets_differ_in_test_alone(kind, pairs):
    def rows(problem, split):
        return problem.data.take(problem.data.ids(split=split))

    a, b = pairs[kind]
    for split in ("train", "val"):
        assert torch.equal(rows(a, split).x, rows(b, split).x)
        assert torch.equal(a.task.targets(rows(a, split)), b.task.targets(rows(b, split)))
    assert not torch.equal(a.task.targets(rows(a, "test")), b.task.targets(rows(b, "test")))


@pytest.mark.parametrize(
    ("method", "kind"),
    [(f"recommender/{method}", kind) for method, kind in KIND.items()]
    + [(method, kind) for method in ("random", "dm", "dc", "frepo") for kind in MODELS]
    + [("kip", "histories")],
)
def test_no_method_reads_test(method, kind, pairs):
    fields = installed().find("method", method).load().options.model_fields
    options = {k: v for k, v in FEW.items() if k in fields}
    a, b = (ddcore.distill(replace(problem, render=None), method, ipc=4, options=options) for problem in pairs[kind])
    assert a.tensors.keys() == b.tensors.keys()
    assert all(torch.equal(x, b.tensors[name]) for name, x in a.tensors.items())


@pytest.mark.parametrize(("kind", "model"), [(kind, model) for kind, models in MODELS.items() for model in models])
def test_no_model_reads_test(kind, model, pairs):
    found = []
    for problem in pairs[kind]:
        some = Selected.random(problem.data, dict.fromkeys(problem.data.groups, 20), random.Random(0))
        net = train(problem, some, replace(problem.recipe, epochs=4, val_every=1), 0, model).eval()
        with torch.no_grad():
            found.append(net(problem.data.take(problem.data.ids(split="val"))).logits)
    assert torch.equal(*found)
