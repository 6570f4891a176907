"""Clicks: data, models, metrics, the relaxation and the method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from ddcore_recommender.clicks import Clicks, ClickSet
from ddcore_recommender.ctr import click_problem
from ddcore_recommender.methods.cgm import CGM
from ddcore_recommender.models.deepfm import DeepFM
from ddcore_recommender.public import file
from sklearn.metrics import log_loss, roc_auc_score

import ddcore
from ddcore.errors import DataError
from ddcore.evaluation import score, train
from ddcore.parametrizations.base import Selected
from ddcore.problem import Output


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=600), rng.integers(4, size=600)
    return click_problem({"a": a, "b": b}, (a + b) % 2 == 0)


def test_metrics_are_scikit_learns(problem):
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.integers(2, size=50))
    logits = torch.from_numpy(rng.integers(-2, 3, (50, 2)).astype(np.float64))  # with equal scores
    x = torch.zeros(50, 2, dtype=torch.long)
    parts = [(Output(logits[s], logits[s]), Clicks(x[s], y[s])) for s in (slice(0, 20), slice(20, 50))]
    found = problem.task.score(parts)
    p = logits.softmax(1)[:, 1].numpy()
    assert found["AUC"] == pytest.approx(roc_auc_score(y, p))
    assert found["log loss"] == pytest.approx(log_loss(y, p))


def test_weights_are_like_values_and_pairs_are_all_products():
    net = DeepFM((5, 4), dim=3, hidden=6).double()
    with torch.no_grad():
        net.linear.normal_()
    x = torch.tensor([[1, 2], [4, 0]])
    y = torch.zeros(2, dtype=torch.long)
    weights = torch.cat([torch.nn.functional.one_hot(x[:, 0], 5), torch.nn.functional.one_hot(x[:, 1], 4)], 1).double()
    hard, relaxed = net(Clicks(x, y)), net(Clicks(weights, y))
    assert torch.allclose(hard.logits, relaxed.logits)
    e = [net.values[1], net.values[5 + 2]]
    expected = net.click(hard.features[:1])[0, 0] + net.linear[1, 0] + net.linear[7, 0] + (e[0] * e[1]).sum()
    assert torch.allclose(hard.logits[0, 1], expected)


@pytest.mark.parametrize("model", ["deepfm", "dnn"])
def test_models_learn_what_no_field_says_alone(problem, model):
    """A click is an even sum: the rate of every single value is about a half."""
    everything = Selected(problem.data, {g: problem.data.ids(g) for g in problem.data.groups})
    net = train(problem, everything, replace(problem.recipe, epochs=150), 0, model)
    assert score(problem, net)["AUC"] > 0.95


def test_projected_rows_are_distributions_of_each_field():
    made = ClickSet({0: 1, 1: 1}, (2, 3), torch.tensor([[-1.0, 2, 1, 1, 2], [1, 3, 0, 5, 0]]))
    with torch.no_grad():
        made.project()
    assert made.x.tolist() == [[0, 1, 0.25, 0.25, 0.5], [0.25, 0.75, 0, 1, 0]]
    assert made.batch(1).y.tolist() == [1]


def test_cgm_moves_rows_within_their_fields(problem):
    artifact = ddcore.distill(problem, CGM, ipc=3, options={"steps": 15, "n_real": 64})
    start = ddcore.distill(problem, "random", ipc=3).synthetic(problem).batch()
    x = artifact.synthetic(problem).batch().x
    assert torch.allclose(x.split((5, 4), 1)[0].sum(1), torch.ones(6), atol=1e-5)
    assert ((x > 0.02) & (x < 0.98)).any()
    assert start.x.dtype == torch.long
    losses = [r["loss"] for r in artifact.history]
    assert sum(losses[-3:]) < sum(losses[:3])


def test_one_class_and_no_threshold_are_errors(tmp_path):
    with pytest.raises(DataError, match="all 3 rows are clicks"):
        click_problem({"a": np.arange(3)}, np.ones(3, bool))
    n = np.arange(40)
    data = pd.DataFrame({"user_id": n, "item_id": n % 5, "weight": n % 4, "day": list("ab") * 20})
    data.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match="need a threshold"):
        file(tmp_path / "a.csv", kind="clicks")
    made = file(tmp_path / "a.csv", kind="clicks", threshold=2.0, fields=["day"])
    assert made.data.sizes == (40, 5, 2)
    assert len(made.data.ids(1)) == 16
