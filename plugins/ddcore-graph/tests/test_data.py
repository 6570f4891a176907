"""Real graphs as data: splits, what training sees, budgets."""

from __future__ import annotations

import random

import pytest
import torch
from ddcore_graph.data import NodeData, class_split, quotas
from ddcore_graph.edges import tidied
from ddcore_graph.problems import digits_knn, node_problem

from ddcore.budget import Budget
from ddcore.errors import DataError
from ddcore.parametrizations import RealRows, Selected

SPLITS = {"train": [0, 1, 2, 3], "val": [4, 5], "test": [6, 7]}


def line(**how) -> NodeData:
    """0 - 1 - 2 ... - 9 in a row; the last two nodes have no label."""
    x, y = torch.arange(10.0)[:, None], torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, -1, -1])
    edges, _ = tidied(range(9), range(1, 10), 10)
    return NodeData(x, edges, y, SPLITS, **how)


def links(batch) -> set[tuple[float, float]]:
    """Edges by their nodes' features, which are the nodes' numbers here."""
    x = batch.x[:, 0].tolist()
    return {(x[a], x[b]) for a, b in batch.edges.T.tolist()}


def both(*pairs):
    return {p for a, b in pairs for p in ((a, b), (b, a))}


def test_a_batch_is_the_whole_graph_and_its_target_nodes():
    batch = line().take([2, 0])
    assert batch.x.shape == (10, 1)
    assert batch.edges.shape == (2, 18)
    assert batch.rows.tolist() == [2, 0]
    assert batch.y.tolist() == [0, 0]


def test_inductively_a_split_sees_its_own_nodes():
    data = line(inductive=True)
    assert links(data.take([0, 3])) == both((0, 1), (1, 2), (2, 3))
    assert links(data.take([5])) == both((4, 5))
    (test,) = data.batches("test")
    assert links(test) == both((6, 7))
    assert test.x[test.rows, 0].tolist() == [6, 7]
    with pytest.raises(DataError, match="one split, and these are of train, val"):
        data.take([0, 4])
    with pytest.raises(DataError, match="one split"):
        data.take([9])


def test_what_is_kept_is_the_subgraph_of_the_nodes_that_are_stored():
    data = line()
    chosen = Selected(data, {0: [2, 0], 1: [3]})
    batch = chosen.batch()
    assert batch.x[:, 0].tolist() == [2, 0, 3]
    assert links(batch) == both((2, 3))
    assert batch.y.tolist() == [0, 0, 1]
    assert RealRows.all(data).batch().x.shape == (10, 1)
    assert chosen.take([2]).x[chosen.take([2]).rows].item() == 3
    again = Selected.restore(node_problem(data.whole.x, data.whole.edges, data.whole.y, SPLITS, "ab"), *stored(chosen))
    assert torch.equal(again.batch().x, batch.x)


def stored(chosen):
    return chosen.config(), chosen.stored()


def test_a_row_costs_its_features_and_not_the_graph():
    data = line()
    one = 4 + 8 + 8  # a feature, a label, its place
    assert Budget(bytes=4 * one).counts(data) == {0: 2, 1: 2}


def test_ratios_are_of_labelled_nodes_or_of_what_training_sees():
    assert Budget(ratio=0.5).counts(line()) == {0: 1, 1: 1}
    assert Budget(ratio=0.4, ratio_of="all").counts(line()) == {0: 2, 1: 2}
    assert Budget(ratio=0.5, ratio_of="all").counts(line(inductive=True)) == {0: 1, 1: 1}


def gconds_rule(rows: int, sizes: dict[int, int]) -> dict[int, int]:
    """As it is told in words: a class's share rounded down, at least one, and the commonest takes what remains."""
    r, found = rows / sum(sizes.values()), {}
    for c in sorted(sizes, key=sizes.get)[:-1]:
        found[c] = max(int(sizes[c] * r + 1e-9), 1)
    last = max(sizes, key=sizes.get)
    return {**found, last: rows - sum(found.values())}


@pytest.mark.parametrize("seed", range(20))
def test_quotas_follow_the_rule_to_the_node(seed: int):
    rng = random.Random(seed)
    sizes = dict(enumerate(rng.sample(range(30, 400), 6)))
    rows = rng.randint(40, sum(sizes.values()) // 2)
    found = quotas(rows, sizes)
    assert found == gconds_rule(rows, sizes)
    assert sum(found.values()) == rows


def test_quotas_never_ask_for_more_than_a_class_has():
    assert quotas(141, dict.fromkeys(range(7), 20)) == dict.fromkeys(range(7), 20)
    assert quotas(3, {4: 1, 7: 100, 9: 2}) == {4: 1, 7: 1, 9: 1}
    sizes = {0: 1, 1: 1, 2: 1, 3: 4}
    assert quotas(4, sizes) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_splits_are_drawn_within_classes():
    y = [0] * 200 + [7] * 60 + [3] * 10 + [5] + [-1] * 5
    split = class_split(y)
    sizes = {s: {c: sum(y[i] == c for i in ids) for c in (0, 7, 3, 5)} for s, ids in split.items()}
    assert sizes["train"] == {0: 20, 7: 20, 3: 5, 5: 1}
    assert sizes["val"] == {0: 30, 7: 20, 3: 2, 5: 0}
    everything = sorted(i for ids in split.values() for i in ids)
    assert everything == [i for i, c in enumerate(y) if c >= 0]
    assert class_split(y) == split != class_split(y, seed=1)


def test_a_class_of_one_node_can_be_condensed():
    x, y = torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 0, 0])
    edges, _ = tidied([0, 1], [1, 2], 6)
    problem = node_problem(x, edges, y, {"train": [0, 1, 3], "val": [2], "test": [4, 5]}, ["many", "one"], hidden=4)
    assert Budget(ipc=1).counts(problem.data) == {0: 1, 1: 1}
    picked = Selected.random(problem.data, {0: 1, 1: 1}, random.Random(0))
    assert problem.loss(problem.new_model(random.Random(0)), picked.batch()).isfinite()


def test_unlabelled_nodes_may_not_be_in_a_split():
    x, edges = torch.randn(4, 2), torch.tensor([[0, 1], [1, 0]])
    with pytest.raises(DataError, match="node 3 is in the split test and has no label"):
        NodeData(x, edges, torch.tensor([0, 1, 0, -1]), {"train": [0, 1], "test": [3]})
    with pytest.raises(DataError, match="training split is empty"):
        NodeData(x, edges, torch.tensor([0, 1, 0, -1]), {"train": [], "test": [2]})


def test_tensors_that_do_not_fit_each_other():
    x, edges, y = torch.randn(4, 2), torch.tensor([[0, 1], [1, 0]]), torch.tensor([0, 1, 0, 1])
    with pytest.raises(DataError, match=r"4 nodes, and labels of shape \(3,\)"):
        NodeData(x, edges, y[:3], {"train": [0, 1]})
    with pytest.raises(DataError, match="an edge with node 4, and nodes are"):
        NodeData(x, edges + 3, y, {"train": [0, 1]})


def test_fingerprints_tell_graphs_apart():
    data = line()
    assert data.fingerprint() == line().fingerprint()
    fewer = NodeData(data.whole.x, data.whole.edges[:, 2:], data.whole.y, SPLITS)
    assert len({d.fingerprint() for d in (data, fewer, line(inductive=True), data.kept([0, 1]))}) == 4
    assert data.to(torch.device("cpu")).fingerprint() == data.fingerprint()


def test_drawn_neighbourhoods_are_part_of_the_graph():
    problem = digits_knn(hidden=4)
    whole = problem.data.whole
    data = NodeData(whole.x, whole.edges, whole.y, problem.data.splits, fanout=[3, 2])
    ids = list(data.ids())[:7]
    batch = data.take(ids, random.Random(0))
    assert torch.equal(batch.x[batch.rows], whole.x[ids])
    real = set(map(tuple, whole.edges.T.tolist()))
    number = {tuple(row): i for i, row in enumerate(whole.x.tolist())}
    nodes = [number[tuple(row)] for row in batch.x.tolist()]
    found = [(nodes[a], nodes[b]) for a, b in batch.edges.T.tolist()]
    assert len(set(found)) == len(found)
    assert set(found) <= real
    into = {b: sum(t == b for _, t in found) for _, b in found}
    degree = torch.bincount(whole.edges[1])
    assert all(into[i] == min(3, int(degree[i])) for i in ids)
    assert max(into.values()) <= 3
    assert torch.equal(data.take(ids, random.Random(0)).edges, batch.edges)
    assert not torch.equal(data.take(ids, random.Random(1)).x, batch.x)
    assert data.take(ids).x.shape == whole.x.shape
    everything = NodeData(whole.x, whole.edges, whole.y, problem.data.splits, fanout=[1000, 1000])
    net = problem.new_model(random.Random(0), "sage").eval()  # two hops of all neighbours are what two layers see
    near, all_ = everything.take(ids, random.Random(0)), everything.take(ids)
    assert torch.allclose(net(near).logits, net(all_).logits, atol=1e-5)
