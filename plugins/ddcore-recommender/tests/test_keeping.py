"""DConRec: the budget and the policy gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ddcore_recommender.keeping import KeptInteractions, OneEpoch, candidates, onto_budget
from ddcore_recommender.methods.dconrec import DCONREC
from ddcore_recommender.models.pairs import PairwiseModel
from scipy.optimize import minimize
from scipy.sparse import csr_array

import ddcore
from ddcore.loop import Run


def test_the_projection_is_the_nearest_point_of_the_budget():
    p = torch.tensor([1.4, 0.9, 0.3, -0.2, 0.6], dtype=torch.float64)
    found = onto_budget(p, 2.0).numpy()
    best = minimize(
        lambda q: ((q - p.numpy()) ** 2).sum(),
        np.full(5, 0.4),
        bounds=[(0, 1)] * 5,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 2},
    ).x
    assert found == pytest.approx(best, abs=1e-3)


def test_the_gradient_estimates_that_of_the_expected_loss():
    """Of a loss that is known for every mask, against enumeration."""
    values = torch.tensor([0.3, -1.0, 2.0])
    made = KeptInteractions(csr_array(np.array([[1.0, 1, 0], [0, 0, 1]])), 1.5, torch.tensor([0.3, 0.5, 0.7]))

    class Known(OneEpoch):
        def trained(self, rows, g):
            return rows

        def on_val(self, rows, batch, g):
            kept = rows.toarray()
            m = torch.tensor([kept[0, 0], kept[0, 1], kept[1, 2]])
            return ((values * m).sum()) ** 2

    class Data:
        def ids(self, group=None, split="train"):
            return range(8)

        def take(self, ids, rng=None):
            return None

    problem = type("P", (), {"data": Data()})()
    run, total = Run(0), torch.zeros(3)
    updates = Known(masks=16).losses(problem, made, run)
    n = 100
    for _ in range(n):
        next(updates)
        total += made.p.grad
    s = made.p.detach().clone().requires_grad_()
    expected = torch.zeros(())
    for bits in range(8):
        m = torch.tensor([float(bits >> i & 1) for i in range(3)])
        expected = expected + torch.where(m > 0, s, 1 - s).prod() * ((values * m).sum()) ** 2
    expected.backward()
    assert torch.allclose(total / n, s.grad, atol=0.3)


def test_candidates_are_the_real_interactions_and_the_best_unseen():
    train = csr_array(np.array([[1.0, 1, 0, 0], [0, 0, 1, 0]]))
    scores = torch.tensor([[9.0, 9, 1, 2], [3, 4, 9, 1]])
    assert candidates(train, scores, 0.5).toarray().tolist() == [[1, 1, 0, 1], [0, 0, 1, 0]]
    assert candidates(train, scores, 1.0).toarray().tolist() == [[1, 1, 1, 1], [0, 1, 1, 0]]


def test_a_draw_has_the_budget_and_follows_the_odds():
    made = KeptInteractions(csr_array(np.ones((1, 3))), 1, torch.tensor([0.8, 0.5, 0.2]))
    first = [int(made.drawn(np.random.default_rng(s)).rows.indices[0]) for s in range(600)]
    share = np.bincount(first, minlength=3) / 600
    assert share[0] > share[1] > share[2]
    assert made.drawn(np.random.default_rng(0)).rows.nnz == 1


def test_dconrec_keeps_its_budget_and_is_a_function_of_its_seed(small, monkeypatch):
    monkeypatch.setattr(PairwiseModel, "least", 10)
    a, b = (ddcore.distill(small, DCONREC, ipc=12, options={"steps": 3, "masks": 2}).tensors for _ in range(2))
    assert len(a["indices"]) == round(12 / 60 * small.data.train.nnz)
    assert torch.equal(a["indices"], b["indices"])
