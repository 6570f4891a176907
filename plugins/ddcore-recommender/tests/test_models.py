"""Closed forms against other implementations and limits."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from ddcore_recommender import memory
from ddcore_recommender.models import closed_form
from ddcore_recommender.models.ease import EASE
from ddcore_recommender.models.infinite_ae import InfiniteAE, autoencoder_kernel, solve
from ddcore_recommender.models.mult_vae import MultVAE
from ddcore_recommender.problems import ranking_problem
from ddcore_recommender.table import split_table
from ddcore_recommender.users import Interactions, UserData, UserSet, sparse_rows
from sklearn.kernel_ridge import KernelRidge
from torch.distributions import Categorical, Normal, kl_divergence

from ddcore.errors import DataError, NotSupported
from ddcore.evaluation import score, train
from ddcore.parametrizations.base import Selected
from ddcore.problem import Output


def rows(n, items, seed=0):
    return Interactions((torch.rand(n, items, generator=torch.Generator().manual_seed(seed)) < 0.3).double())


def test_the_kernel_is_the_papers_recursion_in_float64():
    a, b = rows(5, 12), rows(4, 12, 1)
    x, z = a.x.numpy(), b.x.numpy()
    sigma = 2 * x @ z.T / 12 + 0.01
    u, v = (2 * (m * m).sum(1) / 12 + 0.01 for m in (x, z))
    norm = np.sqrt(np.outer(u, v))
    theta = np.arccos(np.clip(sigma / norm, -1, 1))
    k = norm * (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (2 * np.pi)
    slope = (np.pi - theta) / (2 * np.pi)
    expected = 2 * k + 0.01 + 2 * sigma * slope
    assert torch.allclose(autoencoder_kernel(a, b), torch.from_numpy(expected), rtol=1e-6)


def test_the_kernel_is_the_tangent_kernel_of_a_wide_network():
    a, items, width = rows(3, 10), 10, 200_000
    g = torch.Generator().manual_seed(0)
    w, b, out = (
        torch.randn(*shape, generator=g, dtype=torch.float64) for shape in ((width, items), (width,), (width,))
    )
    w.requires_grad_(), b.requires_grad_(), out.requires_grad_()
    c = torch.zeros((), dtype=torch.float64, requires_grad=True)
    gradients = []
    for x in a.x:
        hidden = torch.relu(2**0.5 * w @ x / items**0.5 + 0.1 * b)
        y = 2**0.5 * (out * hidden).sum() / width**0.5 + 0.1 * c
        found = torch.autograd.grad(y, (w, b, out, c))
        gradients.append(torch.cat([f.flatten() for f in found]))
    tangent = torch.stack(gradients) @ torch.stack(gradients).T
    assert torch.allclose(tangent, autoencoder_kernel(a, a), rtol=0.02)


def test_the_solution_is_scikit_learns_kernel_ridge():
    a, q = rows(9, 12), rows(4, 12, 1)
    k = autoencoder_kernel(a, a)
    alpha = 0.3 * float(k.diagonal().mean())
    theirs = KernelRidge(alpha=alpha, kernel="precomputed").fit(k.numpy(), a.x.numpy())
    found = solve(k, a.x, 0.3)
    assert torch.allclose(
        autoencoder_kernel(q, a) @ found, torch.from_numpy(theirs.predict(autoencoder_kernel(q, a).numpy()))
    )


def test_a_singular_kernel_is_no_solution():
    assert solve(-torch.eye(3), torch.eye(3), 0.0) is None


def test_ease_solves_its_constrained_least_squares(small):
    """Its columns are ridge regressions of an item on all others."""
    data = UserSet({0: 40}, rows(40, 24).x.float())
    net = EASE(ridges=(0.5,))
    net.fit(data, small)
    x = data.x.detach().double()
    reg = 0.5 * float((x * x).sum(0).mean())
    for j in (0, 7):
        others = [i for i in range(24) if i != j]
        a = x[:, others]
        b = torch.linalg.solve(a.T @ a + reg * torch.eye(23, dtype=torch.float64), a.T @ x[:, j])
        assert torch.allclose(net(Interactions(x.float())).logits[:, j].double(), a @ b, atol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_mult_vae_is_trained_by_its_bound(small, training):
    """Likelihood and divergence by torch's distributions; in training with the draw that the seed gives."""
    batch = rows(6, 24)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = MultVAE(24, 8, 3, dropout=0.0, beta=0.2).double().train(training)
        state = torch.get_rng_state()
        found = small.task.losses(net(batch), batch)
        x = batch.x / batch.x.norm(dim=1, keepdim=True)
        mean, log_variance = net.posterior(net.encoder(x).tanh()).split(3, 1)
        posterior = Normal(mean, (log_variance / 2).exp())
        torch.set_rng_state(state)
        z = posterior.rsample() if training else mean
    items = Categorical(logits=net.scores(net.decoder(z).tanh()))
    likelihood = torch.stack([items.log_prob(torch.full((6,), i)) for i in range(24)], 1)
    kl = kl_divergence(posterior, Normal(torch.zeros_like(mean), 1.0)).sum(1)
    assert torch.allclose(found, -(likelihood * batch.x).sum(1) + 0.2 * kl)


def test_an_item_that_nobody_has_in_training_takes_part(tastes):
    table = split_table(tastes(), "random")
    last = {name: np.append(getattr(table, name), 0) for name in ("user", "weight", "time")}
    more = {
        "item": np.append(table.item, 24),
        "split": np.append(table.split, 2),
        "items": np.append(table.items, "new"),
    }
    problem = ranking_problem(replace(table, **last, **more), cuts=(5, 25), hidden=8)
    test = problem.data.take(problem.data.ids(split="test"))
    assert not problem.data.train[:, [24]].nnz
    assert float(test.y[:, 24].sum()) == 1
    everything = Selected(problem.data, {0: problem.data.ids()})
    for name in problem.models:
        net = problem.new_model(random.Random(0), name).eval()
        if name in ("infinite-ae", "ease", "popularity"):
            net.fit(everything, problem)
        with torch.no_grad():
            logits = net(test).logits
        assert logits.isfinite().all(), name
        assert problem.task.score([(Output(logits, logits), test)])["coverage@25"] == 1
    worst, best, theirs = logits.clone(), logits.clone(), test.y[:, 24] > 0
    worst[theirs, 24], best[theirs, 24] = -1e9, 1e9
    low, high = (problem.task.score([(Output(s, s), test)])["recall@5"] for s in (worst, best))
    assert high > low


def test_every_model_beats_popularity_on_tastes(small):
    everything = Selected(small.data, {0: small.data.ids()})
    found = {m: score(small, train(small, everything, small.recipe, 0, m))["nDCG@5"] for m in small.models}
    assert all(value > found["popularity"] + 0.1 for m, value in found.items() if m != "popularity"), found


def test_without_val_the_middle_ridge_is_taken(small):
    data = UserData.__new__(UserData)
    data.__dict__.update(small.data.__dict__, splits={**small.data.splits, "val": []})
    problem = replace(small, data=data)
    net = train(problem, Selected.random(data, {0: 20}, random.Random(0)), problem.recipe, 0, "infinite-ae")
    assert net.reg == InfiniteAE().ridges[len(InfiniteAE().ridges) // 2]


def test_a_ridge_without_finite_scores_is_never_chosen(small):
    data = UserSet({0: 20}, rows(20, 24).x.float())
    fits = {0.1: torch.nan, 0.2: 0.0, 0.3: torch.inf}
    reg, predict = closed_form.best_on_val(small, list(fits), lambda value: lambda q: q + fits[value])
    assert reg == 0.2
    assert predict(data.x).isfinite().all()
    with pytest.raises(DataError, match=r"no ridge of 0\.1, 0\.3 gives finite scores"):
        closed_form.best_on_val(small, [0.1, 0.3], lambda value: lambda q: q + fits[value])


def test_too_large_a_closed_form_says_how_much_memory_it_needs(small, monkeypatch):
    everything = Selected(small.data, {0: small.data.ids()})
    peak = (11 * 60 * 60 + 3 * 60 * 24) * 8
    monkeypatch.setattr(memory, "available", lambda: peak)
    train(small, everything, small.recipe, 0, "infinite-ae")
    monkeypatch.setattr(memory, "available", lambda: peak - 1)
    with pytest.raises(NotSupported, match=r"infinite-ae on 60 users and 24 items needs .* GiB"):
        train(small, everything, small.recipe, 0, "infinite-ae")
    monkeypatch.setattr(memory, "available", lambda: 4 * 2**30)
    with pytest.raises(NotSupported, match=r"^it needs 16\.0 GiB and 4\.0 GiB are available: buy some$"):
        memory.need_memory(2**32, "it", "buy some")


@pytest.mark.parametrize(
    ("meminfo", "limits", "expected"),
    [
        ("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable: 7 kB\n", ["max", None], 7 * 1024),
        ("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable: 7 kB\n", [None, "4096"], 4096),
        (None, [None, None], None),
    ],
)
def test_what_is_available_is_what_linux_and_its_limits_say(tmp_path, monkeypatch, meminfo, limits, expected):
    files = [tmp_path / name for name in ("meminfo", "v2", "v1")]
    for file, text in zip(files, [meminfo, *limits], strict=True):
        if text is not None:
            file.write_text(text)
    monkeypatch.setattr(memory, "MEMINFO", files[0])
    monkeypatch.setattr(memory, "LIMITS", files[1:])
    assert memory.available() == expected
    if expected is None:
        memory.need_memory(2**60, "where the system does not say", "try")


@pytest.mark.parametrize("model", ["mf", "ease"])
def test_a_set_of_zeros_is_an_error(small, model):
    with pytest.raises(DataError, match="all weights of the set are 0"):
        train(small, UserSet({0: 2}, torch.zeros(2, 24)), small.recipe, 0, model)


@pytest.mark.parametrize("model", ["mf", "neumf", "lightgcn", "ease", "popularity"])
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_a_set_of_weights_that_are_no_numbers_is_an_error(small, model, wrong):
    x = torch.ones(2, 24)
    x[1, 3:5] = wrong
    with pytest.raises(DataError, match="2 weights of the set are no finite numbers"):
        train(small, UserSet({0: 2}, x), small.recipe, 0, model)


def test_weights_too_small_for_ease_have_no_ridge(small):
    with pytest.raises(DataError, match=r"no ridge of .* gives finite scores"):
        train(small, UserSet({0: 2}, torch.full((2, 24), 1e-30)), small.recipe, 0, "ease")


def test_an_unfitted_closed_form_names_networks(small):
    with pytest.raises(NotSupported, match="mult-vae"):
        small.new_model(random.Random(0), "ease")(small.data.take([0]))


def test_sets_are_read_in_pieces(small):
    some = Selected.random(small.data, {0: 20}, random.Random(0))
    assert np.array_equal(sparse_rows(some, 7).toarray(), some.batch().x.numpy())
