"""Condensing without training: clusters, weights, edges and the features behind them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from ddcore_graph.partition import (
    cosine_edges,
    fuzzy_centres,
    grown_centres,
    k_means,
    linear_scores,
    underlying_features,
    weighted_means,
)
from ddcore_graph.problems import digits_knn

import ddcore
from ddcore.errors import ArtifactError
from ddcore.methods.plan import Work
from ddcore.plugins import installed


def blobs():
    g = torch.Generator().manual_seed(0)
    middles = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    return middles.repeat_interleave(10, 0) + 0.1 * torch.randn(30, 2, generator=g), middles


def test_k_means_finds_the_blobs():
    h, middles = blobs()
    centres, owner = k_means(h, 3, seed=0)
    assert torch.cdist(middles, centres).min(1).values.max() < 0.2
    assert all(len(set(owner[i : i + 10].tolist())) == 1 for i in (0, 10, 20))


def test_fuzzy_centres_are_a_fixed_point():
    h, middles = blobs()
    h = h.double()
    centres = fuzzy_centres(h, h[[0, 10, 20]], m=1.7)
    d = ((h[:, None] - centres) ** 2).sum(2).numpy()
    u = 1 / ((d[:, :, None] / d[:, None]) ** (1 / 0.7)).sum(2)  # Bezdek's membership
    again = (u**1.7).T @ h.numpy() / (u**1.7).sum(0)[:, None]
    assert np.allclose(again, centres.numpy(), atol=1e-4)
    assert torch.cdist(middles.double(), centres).min(1).values.max() < 0.2


def test_hard_memberships_are_k_means():
    h, _ = blobs()
    centres, _ = k_means(h, 3, seed=0)
    assert torch.allclose(fuzzy_centres(h, centres, m=1.01), centres, atol=1e-3)


@pytest.mark.parametrize("shape", [(6, 20), (40, 5)])
def test_linear_scores_are_ridge_regression(shape):
    h = torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.nn.functional.one_hot(torch.arange(shape[0]) % 3).double()
    found = linear_scores(h, y, reg=1e-9)
    w = torch.linalg.lstsq(h, y, driver="gelss").solution
    assert torch.allclose(found, h @ w, atol=1e-5)


def test_a_clusters_mean_is_weighted_by_confidence():
    h = torch.tensor([[1.0], [3.0], [10.0]])
    owner, score = torch.tensor([0, 0, 1]), torch.tensor([0.0, 1.0, 0.3])
    w = 1 / (1 + torch.e)
    found = weighted_means(h, owner, 2, score, 1.0)
    assert torch.allclose(found, torch.tensor([[w + 3 * (1 - w)], [10.0]]))
    assert torch.allclose(weighted_means(h, owner, 2, score, 1e6)[0], torch.tensor([2.0]), atol=1e-3)


def test_edges_join_what_points_the_same_way():
    h = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.0, 0.0]])
    assert cosine_edges(h, 0.9).nonzero().tolist() == [[0, 1], [1, 0]]


def test_the_features_behind_minimise_what_they_are_said_to():
    g = torch.Generator().manual_seed(0)
    h = torch.randn(6, 3, generator=g, dtype=torch.float64)
    adj = (torch.rand(6, 6, generator=g) < 0.5).double().triu(1)
    adj = adj + adj.T
    a = adj + torch.eye(6)
    d = a.sum(1).rsqrt()
    norm = d[:, None] * a * d

    def cost(x):
        return 2.0 * (norm @ norm @ x - h).square().sum() + (x * (x - norm @ x)).sum()

    x = underlying_features(h, adj, 2, alpha=2.0).requires_grad_()
    (slope,) = torch.autograd.grad(cost(x), [x])
    assert float(slope.abs().max()) < 1e-9


@pytest.mark.parametrize(
    ("name", "options"), [("cgc", {}), ("cgc-x", {}), ("cgc-x", {"augmentation": 0.5}), ("gecc", {})]
)
def test_every_class_has_its_nodes_among_its_own(name, options):
    problem = digits_knn(hidden=4)
    method = installed().find("method", name, "graph").load()
    counts = {g: 1 + g % 3 for g in problem.data.groups}
    made = Work(problem, counts).perform(
        method.plan(problem, counts, method.resolve(problem, counts, "quick", options))
    )
    batch = made.batch(rng=random.Random(0))
    assert torch.bincount(batch.y).tolist() == list(counts.values())
    if name != "cgc":  # a mean of the class's own nodes
        for g, n in counts.items():
            real = problem.data.take(problem.data.ids(g))
            own = torch.cat(
                [real.hops(k)[real.rows] for k in ((1, 2) if options else (2,))]
            )  # extra samples are of one hop
            rows = batch.x[batch.y == g]
            assert len(rows) == n
            assert bool(((rows >= own.amin(0) - 1e-5) & (rows <= own.amax(0) + 1e-5)).all())


def test_centres_grow_where_none_is_near_and_are_cut_where_there_are_too_many():
    old, h = torch.tensor([[0.0], [5.0]]), torch.tensor([[0.0], [5.0], [5.0], [9.0]])
    assert grown_centres(old, h, 3, random.Random(0)).flatten().tolist() == [0.0, 5.0, 9.0]  # others are at distance 0
    assert grown_centres(old, h, 1, random.Random(0)).tolist() == [[0.0]]
    assert len(grown_centres(old, old, 4, random.Random(0))) == 4  # no row is anywhere else
    drawn = [float(grown_centres(old[:1], h[1:], 2, random.Random(s))[1]) for s in range(400)]
    assert drawn.count(9.0) / 400 == pytest.approx(81 / (25 + 25 + 81), abs=0.1)


def test_a_set_that_evolves_starts_from_the_earlier_one(tmp_path):
    """K-means stands still at its own centres, and moves on from those of fewer nodes."""
    problem = replace(digits_knn(hidden=4), render=None)
    options = {"fuzziness": 1.0}
    first = ddcore.distill(problem, "graph/gecc", ipc=3, options=options)
    first.save(tmp_path / "first")
    again = ddcore.distill(problem, "graph/gecc", ipc=3, seed=7, options={**options, "earlier": tmp_path / "first"})
    assert torch.allclose(again.tensors["x"], first.tensors["x"], atol=1e-5)
    more = ddcore.distill(problem, "graph/gecc", ipc=4, options={**options, "earlier": tmp_path / "first"})
    assert dict(more.synthetic(problem).counts) == dict.fromkeys(range(10), 4)
    with pytest.raises(ArtifactError, match="nowhere"):
        ddcore.distill(problem, "graph/gecc", ipc=3, options={"earlier": tmp_path / "nowhere"})
