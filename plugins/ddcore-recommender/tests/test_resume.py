"""A run that was stopped and goes on ends with the set of one that was not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ddcore_recommender.ctr import click_problem
from ddcore_recommender.models.pairs import PairwiseModel
from ddcore_recommender.sequential import sequential_problem
from ddcore_recommender.table import split_table

import ddcore
from ddcore import distillation

OPTIONS = {
    "distill-cf": {"history": 6.0, "draws": 2, "temperature": 1.0, "val_every": 2},
    "dconrec": {"masks": 2, "drop_every": 2},
    "farzi": {"unroll": 4, "n_real": 16, "rank": 2, "clip": 1.1},
    "td3": {"unroll": 4, "window": 2, "n_real": 16, "rank": 2, "epochs": 2, "clip": 1.1},
    "cgm": {"n_real": 32},
}


class StoppedError(Exception):
    """What ends a run early."""


def stop(run):
    if run.step == 4:
        raise StoppedError


@pytest.mark.parametrize("method", OPTIONS)
def test_a_resumed_run_is_the_whole_one(method, small, tastes, tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(PairwiseModel, "least", 10)
    if method in ("farzi", "td3"):
        problem = sequential_problem(split_table(tastes(), "leave-one-out"), length=5, cuts=(3,), dim=8)
    elif method == "cgm":
        fields = np.random.default_rng(0).integers(5, size=(2, 200))
        problem = click_problem(dict(zip("ab", fields, strict=True)), fields.sum(0) % 2 == 0)
    else:
        problem = small
    how = {"method": f"recommender/{method}", "ipc": 3, "options": {**OPTIONS[method], "steps": 7}}
    problem, on = replace(problem, render=None), []
    whole = ddcore.distill(problem, **how)
    with pytest.raises(StoppedError):
        ddcore.distill(problem, **how, out=tmp_path / "a", callbacks=[stop])
    resumed = ddcore.distill(problem, **how, out=tmp_path / "a", resume=True, callbacks=[on.append])
    assert len(on) < 7, "it went on from a checkpoint"
    assert whole.tensors.keys() == resumed.tensors.keys()
    assert all(torch.equal(x, resumed.tensors[name]) for name, x in whole.tensors.items())
