"""SGFormer's attention against the N x N weights that it stands for."""

from __future__ import annotations

import torch
from ddcore_graph.batch import Graph
from ddcore_graph.models.sgformer import LinearAttention, SGFormer


def test_the_attention_is_that_of_all_pairs():
    torch.manual_seed(0)
    net, h = LinearAttention(4).double(), torch.randn(7, 4, dtype=torch.float64)
    q, k, v = net.query(h), net.key(h), net.value(h)
    q, k = q / q.square().sum().sqrt(), k / k.square().sum().sqrt()
    weights = torch.eye(7, dtype=torch.float64)
    for i in range(7):
        for j in range(7):
            weights[i, j] += q[i] @ k[j] / 7
    assert torch.allclose(net(h), weights / weights.sum(1, keepdim=True) @ v, atol=1e-12)


def test_a_node_sees_all_others_by_attention_and_its_neighbours_by_edges():
    torch.manual_seed(0)
    x, adj = torch.randn(5, 3, dtype=torch.float64), torch.zeros(5, 5, dtype=torch.float64)
    adj[0, 1] = adj[1, 0] = 1.0
    for weight, reached in ((0.0, [True] * 5), (1.0, [True, True, False, False, False])):
        net = SGFormer(3, 2, hidden=4, graph_weight=weight, dropout=0.0).double()
        asked = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(Graph(asked, torch.tensor([0]), adj=adj)).logits.square().sum(), asked)
        assert (slope.abs().sum(1) > 0).tolist() == reached
