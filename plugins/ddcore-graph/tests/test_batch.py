"""Products with adjacencies, against torch-geometric and against each other."""

from __future__ import annotations

import pytest
import torch
from ddcore_graph.batch import Graph
from ddcore_graph.edges import tidied
from ddcore_graph.graphs import Graphs
from ddcore_graph.models import APPNP, GAT, GPRGNN, SGC, node_zoo
from ddcore_graph.models.cheb import Chebyshev
from ddcore_graph.models.gat import Attention
from ddcore_graph.models.gin import Isomorphism
from ddcore_graph.models.layers import Convolution
from ddcore_graph.models.sage import MeanAggregation
from ddcore_graph.sparse import Sparse
from torch_geometric import nn as pyg
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import coalesce, remove_self_loops, to_dense_adj, to_undirected

N, D = 12, 5


def drawn(seed: int = 0, *, directed: bool = False, weighted: bool = False):
    """Random edges with repeats and self loops among the first 10 of 12 nodes: the last two stand alone."""
    g = torch.Generator().manual_seed(seed)
    source, target = torch.randint(0, 10, (2, 30), generator=g)
    w = torch.rand(30, generator=g) + 0.1 if weighted else None
    return tidied(source, target, N, w, directed=directed)


def sparse_and_dense(**how):
    edges, w = drawn(**how)
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(1))
    rows = torch.tensor([3, 0, 11])
    adj = torch.zeros(N, N).index_put((edges[1], edges[0]), torch.ones(edges.shape[1]) if w is None else w)
    return Graph(x, rows, edges=edges, weights=w), Graph(x, rows, adj=adj)


def test_edges_are_tidied_as_torch_geometric_does():
    source, target = torch.randint(0, 10, (2, 40), generator=torch.Generator().manual_seed(3))
    raw = torch.stack([source, target])
    found, _ = tidied(source, target, N)
    wanted = to_undirected(remove_self_loops(raw)[0])
    assert set(map(tuple, found.T.tolist())) == set(map(tuple, wanted.T.tolist()))
    assert found.shape == wanted.shape
    kept, _ = tidied(source, target, N, directed=True)
    assert set(map(tuple, kept.T.tolist())) == set(map(tuple, coalesce(remove_self_loops(raw)[0]).T.tolist()))


def test_of_repeated_edges_the_largest_weight_counts():
    edges, w = tidied([0, 1, 0, 2], [1, 0, 1, 2], 3, [0.5, 2.0, 1.0, 9.0])
    assert dict(zip(map(tuple, edges.T.tolist()), w.tolist(), strict=True)) == {(0, 1): 2.0, (1, 0): 2.0}
    edges, w = tidied([0, 1, 0], [1, 0, 1], 3, [0.5, 2.0, 1.0], directed=True)
    assert dict(zip(map(tuple, edges.T.tolist()), w.tolist(), strict=True)) == {(0, 1): 1.0, (1, 0): 2.0}


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_gcn_norm_is_torch_geometrics(directed: bool, weighted: bool):
    for batch in sparse_and_dense(directed=directed, weighted=weighted):
        edges, w = drawn(directed=directed, weighted=weighted)
        index, value = gcn_norm(edges, w, N)
        wanted = to_dense_adj(index, edge_attr=value, max_num_nodes=N)[0].T @ batch.x
        assert torch.allclose(batch.propagate(batch.x), wanted, atol=1e-6)


@pytest.mark.parametrize("norm", ["gcn", "symmetric", "mean", "sum"])
@pytest.mark.parametrize("directed", [False, True])
def test_sparse_and_dense_agree_to_the_second_derivative(norm, directed: bool):
    sparse, dense = sparse_and_dense(directed=directed, weighted=True)
    edges, w = sparse.edges, sparse.weights.double()
    learned = Graph(sparse.x.double(), sparse.rows, edges=edges, weights=w.clone().requires_grad_())
    constant = Graph(sparse.x.double(), sparse.rows, edges=edges, weights=w)
    square = Graph(dense.x.double(), dense.rows, adj=dense.adj.double())
    found = []
    for batch in (constant, learned, square):
        h = batch.x.clone().requires_grad_()
        (d,) = torch.autograd.grad(batch.propagate(h.square(), norm).tanh().sum(), h, create_graph=True)
        (dd,) = torch.autograd.grad(d.square().sum(), h)
        found.append((batch.propagate(h, norm).detach(), d.detach(), dd))
    for other in found[1:]:
        assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(found[0], other, strict=True))


def test_gradients_reach_weights_and_adjacency():
    edges, w = drawn(weighted=True)
    x, rows = torch.randn(N, D, dtype=torch.double, generator=torch.Generator().manual_seed(1)), torch.arange(N)

    def by_weights(weights):
        return Graph(x, rows, edges=edges, weights=weights).propagate(x)

    def by_adjacency(adj):
        return Graph(x, rows, adj=adj).propagate(x)

    adj = torch.rand(N, N, dtype=torch.double, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(by_weights, w.double().requires_grad_())
    assert torch.autograd.gradgradcheck(by_weights, w.double().requires_grad_())
    assert torch.autograd.gradcheck(by_adjacency, adj)


def test_without_edges_nothing_arrives():
    x = torch.randn(4, 3)
    batch = Graph(x, torch.arange(4))
    assert torch.equal(batch.propagate(x), x)
    assert not batch.propagate(x, "sum").any()
    alone = Graph(x, torch.arange(4), edges=torch.empty(2, 0, dtype=torch.long))
    assert torch.equal(alone.propagate(x), x)
    assert torch.isfinite(alone.propagate(x, "mean")).all()


def test_hops_and_sparse_features_are_remembered_only_for_the_same_tensors():
    batch, dense = sparse_and_dense()
    first = batch.hops(2)
    assert batch.hops(2) is first
    assert torch.allclose(first, dense.propagate(dense.propagate(dense.x)), atol=1e-6)
    from dataclasses import replace

    other = replace(batch, x=2 * batch.x)
    assert torch.allclose(other.hops(2), 2 * first, atol=1e-6)
    fewer = replace(batch, edges=batch.edges[:, :0])
    assert torch.equal(fewer.hops(2), batch.x)
    learned = replace(batch, x=batch.x.clone().requires_grad_())
    assert learned.hops(2).requires_grad


def test_a_sparse_matrix_multiplies_like_a_dense_one():
    g = torch.Generator().manual_seed(0)
    dense = torch.randn(6, 4, generator=g, dtype=torch.double) * (torch.rand(6, 4, generator=g) < 0.4)
    m, h = Sparse.of_dense(dense), torch.randn(4, 3, generator=g, dtype=torch.double).requires_grad_()
    assert torch.allclose(m @ h, dense @ h)
    assert torch.autograd.gradcheck(lambda t: m @ t, h)
    assert torch.autograd.gradgradcheck(lambda t: (m @ t).square(), h)
    _, tangent = torch.func.jvp(lambda t: m @ t, (h.detach(),), (torch.ones_like(h),))
    assert torch.allclose(tangent, dense @ torch.ones_like(h))


# ---------------------------------------------------------------------------------------------------------------------
# layers


def copied(theirs, **weights):
    for name, value in weights.items():
        theirs.get_parameter(name).data.copy_(value)
    return theirs


@pytest.mark.parametrize("kind", [0, 1], ids=["sparse", "dense"])
def test_layers_are_torch_geometrics(kind: int):
    batch, (edges, _) = sparse_and_dense()[kind], drawn()
    torch.manual_seed(0)
    gcn = Convolution(D, 3)
    pairs = [(gcn, copied(pyg.GCNConv(D, 3), **{"lin.weight": gcn.weight, "bias": gcn.bias}))]
    cheb = Chebyshev(D, 3, 3)
    weights = {f"lins.{k}.weight": w for k, w in enumerate(cheb.weight)}
    pairs.append((cheb, copied(pyg.ChebConv(D, 3, 3), **weights, bias=cheb.bias)))
    sage = MeanAggregation(D, 3)
    linear = {"lin_l.weight": sage.others.weight, "lin_l.bias": sage.others.bias, "lin_r.weight": sage.own.weight}
    pairs.append((sage, copied(pyg.SAGEConv(D, 3), **linear)))
    gin = Isomorphism(D, 7, 3)
    gin.eps.data.fill_(0.3)
    mlp = torch.nn.Sequential(gin.first, torch.nn.ReLU(), gin.second)
    pairs.append((gin, pyg.GINConv(mlp, eps=0.3)))
    gat = Attention(D, 3, 2)
    names = {"lin.weight": gat.weight, "att_src": gat.to_source[None], "att_dst": gat.to_target[None], "bias": gat.bias}
    pairs.append((gat, copied(pyg.GATConv(D, 3, heads=2), **names)))
    for ours, theirs in pairs:
        assert torch.allclose(ours(batch), theirs(batch.x, edges), atol=1e-5), type(ours).__name__
        assert torch.allclose(ours(batch, batch.x), theirs(batch.x, edges), atol=1e-5), type(ours).__name__


@pytest.mark.parametrize("kind", [0, 1], ids=["sparse", "dense"])
def test_whole_networks_are_torch_geometrics(kind: int):
    batch, (edges, _) = sparse_and_dense()[kind], drawn()
    sgc = SGC(D, 3, hops=2)
    theirs = copied(pyg.SGConv(D, 3, K=2), **{"lin.weight": sgc.head.weight, "lin.bias": sgc.head.bias})
    assert torch.allclose(sgc(batch).logits, theirs(batch.x, edges)[batch.rows], atol=1e-5)
    appnp = APPNP(D, 3, hidden=8, hops=10, alpha=0.1).eval()
    _, start = appnp.mlp(batch)
    wanted = pyg.APPNP(10, 0.1)(start, edges)[batch.rows]
    assert torch.allclose(appnp(batch).logits, wanted, atol=1e-5)
    gpr = GPRGNN(D, 3, hidden=8, hops=10, alpha=0.1).eval()  # its weights start as PageRank's
    gpr.mlp.load_state_dict(appnp.mlp.state_dict())
    assert torch.allclose(gpr(batch).logits, wanted, atol=1e-5)


def test_every_network_reads_weighted_graphs_alike():
    sparse, dense = sparse_and_dense(weighted=True)
    for name, make in node_zoo(D, 3, hidden=8).items():
        net = make().eval()
        assert torch.allclose(net(sparse).logits, net(dense).logits, atol=1e-5), name
        assert net(sparse).features.shape[0] == len(sparse.rows)


def test_attention_counts_a_weight_as_so_many_edges():
    torch.manual_seed(0)
    net = GAT(D, 3).eval()
    x, rows = torch.randn(3, D), torch.tensor([0])
    twice = torch.tensor([[1, 1, 2], [0, 0, 0]])
    repeated = Graph(x, rows, edges=twice)
    weighted = Graph(x, rows, edges=twice[:, 1:], weights=torch.tensor([2.0, 1.0]))
    assert torch.allclose(net(repeated).logits, net(weighted).logits, atol=1e-6)


# ---------------------------------------------------------------------------------------------------------------------
# several graphs


def test_graphs_are_read_alike_sparse_and_dense(shapes):
    from ddcore_graph.models import graph_zoo
    from ddcore_graph.parametrizations.graphs import padded

    problem = shapes(20)
    batch = problem.data.take(list(problem.data.ids())[:6])
    x, adj, mask = padded(batch, 100)
    dense = Graphs(x, batch.y, adj=adj, mask=mask)
    for name, make in graph_zoo(x.shape[2], 2, hidden=8).items():
        net = make()  # batch normalisation sees the nodes that are there
        assert torch.allclose(net(batch).logits, net(dense).logits, atol=1e-5), name
        alone = torch.cat([net.eval()(problem.data.take([i])).logits for i in list(problem.data.ids())[:6]])
        assert torch.allclose(net(batch).logits, alone, atol=1e-5), name
    for how in ("mean", "sum"):
        pool = pyg.global_mean_pool if how == "mean" else pyg.global_add_pool
        assert torch.allclose(batch.pool(batch.x, how), pool(batch.x, batch.graph), atol=1e-6)


def test_of_large_graphs_the_nodes_with_the_most_edges_are_kept():
    from ddcore_graph.parametrizations.graphs import padded

    star = torch.tensor([[0, 0, 0, 1, 2, 3], [1, 2, 3, 0, 0, 0]])
    pair = torch.tensor([[4, 5], [5, 4]])
    x = torch.arange(6.0)[:, None]
    batch = Graphs(x, torch.tensor([0, 1]), edges=torch.cat([star, pair], 1), graph=torch.tensor([0, 0, 0, 0, 1, 1]))
    found, adj, mask = padded(batch, 3)
    assert found[..., 0].tolist() == [[0, 1, 2], [4, 5, 0]]
    assert adj.sum().item() == 4 + 2
    assert mask.tolist() == [[True] * 3, [True, True, False]]


@pytest.mark.parametrize("norm", ["gcn", "mean", "sum"])
def test_gradients_of_many_edges_are_the_same_whatever_the_threads_do(norm):
    g = torch.Generator().manual_seed(0)
    edges, n, found = torch.randint(300, (2, 20_000), generator=g), 300, []
    x, w = torch.randn(n, 16, generator=g), torch.rand(20_000, generator=g)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        for _ in range(3):
            h, weights = x.clone().requires_grad_(), w.clone().requires_grad_()
            graph = Graph(x, torch.arange(n), torch.zeros(n), None, edges, weights)
            found.append(torch.autograd.grad(graph.propagate(h, norm).square().sum(), [h, weights]))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
