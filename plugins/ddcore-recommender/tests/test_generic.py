"""Which methods run on which kind of data: the core's, a few updates of each, and the plugin's own refusals."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from ddcore_recommender.ctr import click_problem
from ddcore_recommender.plugin import METHODS
from ddcore_recommender.sequential import sequential_problem
from ddcore_recommender.table import split_table

import ddcore
from ddcore.errors import NotSupported
from ddcore.plugins import installed

FEW = {"steps": 2, "pool": 1, "n_real": 16, "experts": 1, "train_epochs": 2, "expert_epochs": 1, "inner": 2}
KINDS = ("histories", "sequences", "clicks")
CORE = ("dm", "dc", "kip", "frepo", "mtt")
REFUSED = {("kip", "sequences"): "no kernels", ("kip", "clicks"): "no kernels"}
OF_SEQUENCES, OF_CLICKS = {"farzi", "td3"}, {"cgm"}


@pytest.fixture(scope="module")
def problems(small, tastes):
    table = split_table(tastes(), "leave-one-out")
    g = np.random.default_rng(0)
    a, b = g.integers(5, size=200), g.integers(4, size=200)
    return {
        "histories": replace(small, render=None),
        "sequences": replace(sequential_problem(table, length=8, cuts=(3,), dim=8), render=None),
        "clicks": replace(click_problem({"a": a, "b": b}, (a + b) % 2 == 0), render=None),
    }


def few(method):
    """The options of the table that the method has."""
    fields = installed().find("method", method).load().options.model_fields
    return {k: v for k, v in FEW.items() if k in fields}


def real(problem, batch):
    """Whether each row of weights is one of the data, where every method starts."""
    data = problem.data
    counts = {g: len(data.ids(g)) for g in data.groups}
    whole = problem.synthetic(counts, data.take([i for g in counts for i in data.ids(g)]), random.Random(0)).batch().x
    return torch.stack([(row == whole).flatten(1).all(1).any() for row in batch.x])


@pytest.mark.parametrize("method", CORE)
@pytest.mark.parametrize("kind", KINDS)
def test_the_cores_methods_learn_rows_or_say_why_not(method, kind, problems, tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    problem = problems[kind]
    if (method, kind) in REFUSED:
        with pytest.raises(NotSupported, match=REFUSED[method, kind]):
            ddcore.distill(problem, method, ipc=3, options=few(method))
        return
    artifact = ddcore.distill(problem, method, ipc=3, options=few(method))
    losses = [r["loss"] for r in artifact.history]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    batch = artifact.synthetic(problem).batch()
    assert len(batch.x) == 3 * len(problem.data.groups)
    assert not real(problem, batch).any()
    assert problem.loss(problem.new_model(random.Random(0)), batch).isfinite()


@pytest.mark.parametrize("method", ["herding", "k-center", "k-means"])
def test_sequences_are_not_picked_by_the_features_of_positions(method, problems):
    with pytest.raises(NotSupported, match="by one feature vector each, and these 60 have"):
        ddcore.distill(problems["sequences"], method, ipc=3)


@pytest.mark.parametrize(("method", "why"), [("wmdd", "these 60 rows have"), ("lcmat", "SASRec has no parameters")])
def test_methods_of_single_points_and_of_classifiers_refuse_sequences(method, why, problems, tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    with pytest.raises(NotSupported, match=why):
        ddcore.distill(problems["sequences"], method, ipc=3, options=few(method))


@pytest.mark.parametrize("kind", KINDS)
def test_random_rows_are_real_ones(kind, problems):
    problem = problems[kind]
    batch = ddcore.distill(problem, "random", ipc=3).synthetic(problem).batch()
    counts = dict.fromkeys(problem.data.groups, 3)
    assert real(problem, problem.synthetic(counts, batch, random.Random(0)).batch()).all()


@pytest.mark.parametrize("method", METHODS)
def test_methods_of_one_kind_refuse_the_others(method, problems):
    own = "sequences" if method in OF_SEQUENCES else "clicks" if method in OF_CLICKS else "histories"
    words = {"histories": "histories", "sequences": "sequences", "clicks": "categorical fields"}
    for kind in KINDS:
        if kind != own:
            with pytest.raises(NotSupported, match=rf"{method} has no meaning on .* {words[own]}"):
                ddcore.distill(problems[kind], f"recommender/{method}", ipc=2)
