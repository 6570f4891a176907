"""Models that learn from pairs of items."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ddcore_recommender.models.lightgcn import LightGCN
from ddcore_recommender.models.neumf import NeuMF
from ddcore_recommender.models.pairs import draw_pairs
from ddcore_recommender.users import Interactions
from scipy.sparse import csr_array


def test_pairs_are_drawn_by_weight_and_weighed_by_their_lead():
    rows = csr_array(np.array([[0.5, 0.0, 0.25], [0.0, 0.25, 0.0]]))
    u, i, j, w = draw_pairs(rows, 40_000, np.random.default_rng(0))
    x = torch.from_numpy(rows.toarray())
    assert (x[u, i] > 0).all()
    share = torch.zeros(2, 3).index_put_((u, i), torch.ones(len(u)), accumulate=True) / len(u)
    assert torch.allclose(share, x.float(), atol=0.01)
    expected = (1 - x[u, j] / x[u, i]).clamp(min=0)
    assert torch.allclose(w, expected.float())
    assert torch.bincount(j, minlength=3).float() / len(j) == pytest.approx([1 / 3] * 3, abs=0.01)


def test_lightgcn_spreads_by_the_powers_of_the_normalised_adjacency():
    a = np.array([[1.0, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0.5, 1]])
    net = LightGCN(3, dim=2, layers=2)
    net.start(csr_array(a))
    whole = np.block([[np.zeros((4, 4)), a], [a.T, np.zeros((3, 3))]])
    d = whole.sum(1) ** -0.5
    norm = d[:, None] * whole * d
    e = torch.cat([net.users, net.items]).detach().double().numpy()
    expected = (e + norm @ e + norm @ norm @ e) / 3
    users, items = net.spread()
    assert np.allclose(torch.cat([users, items]).detach().numpy(), expected, atol=1e-6)


def test_a_user_of_the_set_is_folded_into_lightgcn_where_the_graph_would_put_them():
    """One propagation from the items' averaged embeddings, up to the length that does not change a ranking."""
    a = csr_array((np.random.default_rng(0).random((6, 5)) < 0.6).astype(np.float32))
    net = LightGCN(5, dim=3, layers=2)
    net.start(a)
    graph = net.adjacency
    net.finish()
    out = net(Interactions(torch.from_numpy(a.toarray())))
    message = torch.sparse.mm(graph, net.averaged)
    assert torch.allclose(torch.cosine_similarity(out.features, message), torch.ones(6), atol=1e-5)
    assert torch.equal(out.logits.argsort(1), (message @ net.averaged.T).argsort(1))


def test_neumf_scores_a_pair_as_its_layers_say():
    net = NeuMF(7, dim=4, hidden=(6, 5)).double()
    x = (torch.rand(3, 7, dtype=torch.float64) < 0.5).double() + torch.eye(3, 7).double()
    logits = net(Interactions(x)).logits
    u = torch.nn.functional.normalize(x, dim=1) @ net.history
    for n, i in ((0, 0), (2, 5)):
        q = net.product[i]
        h = torch.relu(net.first(torch.cat([u[n, 4:], q[4:]])))
        h = torch.relu(net.rest[0](h))
        expected = net.last(torch.cat([u[n, :4] * q[:4], h])) + net.bias[i]
        assert torch.allclose(logits[n, i], expected)
