"""Relaxed draws: expectation, gradient, memory."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner
from ddcore_recommender import reconstruction
from ddcore_recommender.gumbel import GumbelUsers, relaxed_draws
from ddcore_recommender.methods.distill_cf import DISTILL_CF
from ddcore_recommender.reconstruction import Reconstruction
from ddcore_recommender.users import Interactions
from torch.autograd.graph import saved_tensors_hooks

import ddcore
from ddcore.cli import main
from ddcore.errors import OptionError
from ddcore.evaluation import score, train
from ddcore.kernels import FullyConnected
from ddcore.loop import Run
from ddcore.parametrizations.base import Selected
from ddcore.seeds import generator

COLD = {"history": 6.0, "draws": 3, "temperature": 1.0}
LOGITS = torch.tensor([[0.0, 1.0, 2.0, -1.0], [3.0, 0.0, 0.0, 0.0]], dtype=torch.float64)


def test_cold_draws_are_items_in_proportion_to_the_softmax():
    n = 5_000
    found = relaxed_draws(LOGITS, 1e-3, range(n)) / n
    assert torch.allclose(found, LOGITS.softmax(1), atol=0.03)


def test_hot_draws_tend_to_the_softmax_of_the_cooled_logits():
    found = relaxed_draws(LOGITS, 1e4, range(3)) / 3
    assert torch.allclose(found, torch.full_like(LOGITS, 0.25), atol=1e-3)


@pytest.mark.parametrize("temperature", [0.5, 10.0])
def test_every_draw_hands_out_a_weight_of_one(temperature):
    assert torch.allclose(relaxed_draws(LOGITS, temperature, range(7)).sum(1), torch.full((2,), 7.0).double())


def test_the_gradient_is_the_true_one():
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: relaxed_draws(x, 0.7, (1, 2, 3)), logits)


def test_memory_does_not_grow_with_the_draws():
    saved = []
    with saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x):
        for draws in (2, 50):
            relaxed_draws(LOGITS.clone().requires_grad_(), 1.0, range(draws))
    assert saved == [8, 8]


def test_weights_are_at_most_one_and_fewer_draws_have_the_same_expectation():
    many = GumbelUsers({0: 2}, LOGITS, history=3, draws=4000, temperature=2.0)
    few = GumbelUsers({0: 2}, LOGITS, history=3, draws=40, temperature=2.0)
    a = many.batch(rng=random.Random(1)).x
    b = torch.stack([few.batch(rng=random.Random(s)).x for s in range(100)]).mean(0)
    assert float(a.detach().max()) <= 1
    free = a < 0.9  # away from the minimum
    assert torch.allclose(a[free], b[free], atol=0.03)


@pytest.mark.parametrize("masked", [0.0, 0.4])
def test_the_objective_in_batches_is_the_loss_of_the_paper(small, masked):
    """Against one plain graph in float64, gradient included; where something is masked, that alone is asked for."""
    data = small.data
    start = Selected.random(data, {0: 6}, random.Random(0)).batch().x
    users = GumbelUsers({0: 6}, start, history=10, draws=3, temperature=2.0).double()

    class Doubled:
        def __getattr__(self, name):
            return getattr(data, name)

        def take(self, ids, rng=None):
            return Interactions(data.take(ids).x.double())

    objective = Reconstruction(ridges=(0.3,), sparsity=0.2, masked=masked, user_batch=7, val_every=10**9)
    run = Run(3, steps=10)
    run.step = 1
    updates = objective.losses(replace(small, data=Doubled()), users, run)
    loss = next(updates)
    found = users.logits.grad.clone()

    users.zero_grad()
    again = Run(3)
    s = users.batch(rng=again.rng).x
    k = FullyConnected()
    x = data.take(data.ids()).x.double()
    k_ss = k(s, s)
    reg = 0.3 * k_ss.trace() / 6
    seen = asked = x
    if masked:
        hidden = torch.cat([torch.rand(part.shape, generator=generator(again.rng)) < masked for part in x.split(7)])
        seen, asked = x * ~hidden, x * hidden
    scores = k(seen, s) @ torch.linalg.inv(k_ss + reg * torch.eye(6).double()) @ s
    expected = -(asked * scores.log_softmax(1)).sum(1).mean() + 0.2 * s.sum(1).mean() / x.sum(1).mean()
    expected.backward()
    assert float(loss) == pytest.approx(float(expected.detach()))
    assert torch.allclose(found, users.logits.grad, rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("start", ["users", "clusters"])
def test_distilled_users_beat_random_ones(small, start):
    artifact = ddcore.distill(small, DISTILL_CF, ipc=3, options={"steps": 40, "val_every": 10, "start": start, **COLD})
    net = train(small, artifact.synthetic(small), small.recipe, 0, "infinite-ae")
    rows = [Selected.random(small.data, {0: 3}, random.Random(s)) for s in range(3)]
    others = [score(small, train(small, r, small.recipe, 0, "infinite-ae"))["nDCG@5"] for r in rows]
    assert score(small, net)["nDCG@5"] > sum(others) / 3
    x = artifact.synthetic(small).batch().x
    assert 0 <= x.min().item() <= x.max().item() <= 1


def test_a_run_is_a_function_of_its_seed(small):
    a, b, c = (
        ddcore.distill(small, DISTILL_CF, ipc=2, options={"steps": 3, **COLD}, seed=s).tensors["x"] for s in (1, 1, 2)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize("score", ["rises", "falls", "is not known"])
def test_the_users_after_the_last_update_are_judged_too(small, monkeypatch, score):
    judged = []

    def on_val(problem, users, ridges):
        judged.append(users.logits.detach().clone())
        return {"rises": len(judged), "falls": -len(judged), "is not known": math.nan}[score], ridges[0]

    monkeypatch.setattr(reconstruction, "on_val", on_val)
    made = ddcore.distill(
        small, DISTILL_CF, ipc=2, options={"steps": 3, "val_every": 2, "lr": 1.0, "start": "users", **COLD}
    )
    assert len(judged) == 3, "before the first update, after two, after the last"
    assert not torch.equal(judged[1], judged[2])
    kept = GumbelUsers({0: 2}, judged[0 if score == "falls" else 2], history=6.0, temperature=1.0)
    assert torch.equal(made.tensors["x"], kept.batch().x.detach())


def test_a_history_of_all_items_or_none_is_an_error(small):
    with pytest.raises(OptionError, match="24 items"):
        ddcore.distill(small, DISTILL_CF, ipc=2, options={"history": 24.0})
    with pytest.raises(OptionError, match="history"):
        ddcore.distill(small, DISTILL_CF, ipc=2, options={"history": 0.4})


def test_without_a_history_fake_users_have_as_much_as_real_ones(small):
    x = ddcore.distill(small, DISTILL_CF, ipc=4, options={"steps": 1, "lr": 1e-9, "start": "users"}).tensors["x"]
    real = small.data.take(small.data.ids()).x
    assert x.max() < 1, "nothing is cut off"
    assert float(x.sum(1).mean()) == pytest.approx(float(real.sum(1).mean()), rel=1e-4)


def test_each_user_hands_out_a_weight_of_its_own():
    users = GumbelUsers({0: 2}, LOGITS, history=torch.tensor([0.5, 2.0]), draws=3, temperature=10.0)
    assert torch.allclose(users.batch().x.sum(1), torch.tensor([0.5, 2.0]).double())
    again = GumbelUsers.restore(None, users.config(), users.stored())
    assert torch.equal(again.batch().x, users.batch().x)


def test_the_command_says_the_last_loss_there_was(tastes, tmp_path):
    """After `patience` updates without a better score there is no loss any more."""
    t = tastes()
    lines = [f"{t.users[u]},{t.items[i]}" for u, i in zip(t.user, t.item, strict=True)]
    (tmp_path / "plays.csv").write_text("user_id,item_id\n" + "\n".join(lines) + "\n")
    words = f"distill recommender/file --data {tmp_path}/plays.csv --method distill-cf --ipc 2 --out {tmp_path}/set"
    words += " --set steps=9 --set val_every=1 --set patience=1 --set lr=1e-9"
    made = CliRunner().invoke(main, words.split(), catch_exceptions=False)
    losses = [record["loss"] for record in ddcore.open(tmp_path / "set").history]
    assert math.isnan(losses[-1])
    last = [loss for loss in losses if not math.isnan(loss)][-1]
    assert f"last loss {last:.4g}\n" in made.output
