"""The zoo on every kind of batch, and what it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from ddcore_graph.batch import Graph
from ddcore_graph.models import GCN, SGC, graph_zoo, node_zoo
from ddcore_graph.problems import digits_knn

from ddcore.evaluation import score, train
from ddcore.inner import grads, trainable
from ddcore.parametrizations import RealRows


@pytest.fixture(scope="module")
def digits():
    return replace(digits_knn(hidden=16), name="graph/digits-knn")


@pytest.mark.parametrize("name", list(node_zoo(2, 2)))
def test_gradients_reach_adjacency_features_and_every_weight(name: str):
    torch.manual_seed(0)
    net = node_zoo(5, 3, hidden=6, dropout=0.0)[name]().double()
    x = torch.randn(7, 5, dtype=torch.double).requires_grad_()
    adj = (torch.rand(7, 7, dtype=torch.double) * (1 - torch.eye(7))).requires_grad_()
    y = torch.tensor([0, 2, 1])
    loss = torch.nn.functional.cross_entropy(net(Graph(x, torch.tensor([0, 3, 6]), adj=adj)).logits, y)
    g = grads(loss, trainable(net), create_graph=True)
    assert all(d is not None for d in g)
    second = grads(sum(d.square().sum() for d in g), [x, adj])
    assert second[0] is not None
    assert (second[1] is None) == (name == "mlp")


def test_networks_learn_the_graph(digits):
    recipe = replace(digits.recipe, epochs=60)
    real = RealRows.all(digits.data)
    found = {name: score(digits, train(digits, real, recipe, 0, name))["accuracy"] for name in ("gcn", "mlp", "sgc")}
    assert found["gcn"] > 0.9  # the nearest neighbours' graph is that good
    assert found["gcn"] > found["mlp"]


def test_the_gradient_of_a_linear_network_has_a_closed_form(digits):
    """Of softmax regression on propagated features: (softmax(Z W) - Y)^T Z / n."""
    net = SGC(64, 10)
    ids = list(digits.data.ids(3)) + list(digits.data.ids(5))
    batch = digits.data.take(ids)
    weight, bias = grads(digits.loss(net, batch), [net.head.weight, net.head.bias])
    z = batch.hops(2)[batch.rows].double()
    residual = (z @ net.head.weight.T.double() + net.head.bias.double()).softmax(1)
    residual -= torch.nn.functional.one_hot(batch.y, 10)
    assert torch.allclose(weight.double(), residual.T @ z / len(ids), atol=1e-6)
    assert torch.allclose(bias.double(), residual.mean(0), atol=1e-6)


def test_depth_and_layers(digits):
    batch = digits.data.take([5, 1])
    for depth in (1, 2, 4):
        out = GCN(64, 10, hidden=8, depth=depth)(batch)
        assert out.logits.shape == (2, 10)
        assert [h.shape for h in out.layers] == ([(2, 8)] * (depth - 1) or [(2, 64)])
        assert torch.equal(out.features, out.layers[-1])


@pytest.mark.parametrize("name", list(graph_zoo(2, 2)))
def test_networks_of_graphs_learn_shapes(shapes, name: str):
    problem = replace(shapes(hidden=16), name="graph/tu")
    recipe = replace(problem.recipe, epochs=30, lr=0.01)
    net = train(problem, RealRows.all(problem.data), recipe, 0, name)
    assert score(problem, net)["accuracy"] > 0.9


def test_the_best_epoch_on_val_is_kept(digits):
    recipe = replace(digits.recipe, epochs=40, val_every=10)
    kept = train(digits, RealRows.all(digits.data), recipe, 0)
    last = train(digits, RealRows.all(digits.data), replace(recipe, keep="last", lr=0.01), 0)
    assert score(digits, kept, "val")["accuracy"] >= score(digits, last, "val")["accuracy"]
