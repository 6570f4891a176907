"""Every method of condensation: the classes' numbers, what is stored, unequal classes, the problems that it refuses."""

from __future__ import annotations

import json
import random

import pytest
import torch
from ddcore_graph.edges import tidied
from ddcore_graph.problems import digits_knn, node_problem

from ddcore.errors import NotSupported
from ddcore.methods.plan import Work
from ddcore.plugins import installed

SHORT = {
    "steps": 2,
    "experts": 1,
    "train_epochs": 20,
    "expert_epochs": 10,
    "max_start_epoch": 10,
    "min_start_epoch": 10,
    "syn_steps": 2,
    "teacher_steps": 2,
    "epochs": 2,
    "structures": 2,
    "part": 12,
    "vectors": 8,
}
OF_NODES = [
    "gcond", "gcond-x", "doscond", "doscond-x", "gcdm", "gcdm-x", "cgc", "cgc-x", "gecc", "sfgc", "geom", "gdem", "simgc",
    "ctrl", "msgc", "sgdd", "gcsr", "bonsai", "gc-sntk",
]  # fmt: skip
OF_STRUCTURE = ["degree", "pagerank", "averaging", "clustering", "vng", "variation-neighborhoods"]
OF_GRAPHS = ["doscond-graphs", "kidd"]


@pytest.fixture(scope="module")
def problem():
    return digits_knn(hidden=4)


def condensed(problem, name, counts, seed=0, **options):
    method = installed().find("method", name, "graph").load()
    given = {**{k: v for k, v in SHORT.items() if k in method.options.model_fields}, **options}
    return Work(problem, counts, seed=seed).perform(
        method.plan(problem, counts, method.resolve(problem, counts, "quick", given))
    )


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))


@pytest.mark.parametrize("name", OF_NODES)
def test_unequal_classes_are_condensed_stored_and_reopened(problem, name):
    counts = {g: 1 + g % 2 for g in problem.data.groups}  # some of one node
    made = condensed(problem, name, counts)
    batch = made.batch(rng=random.Random(0))
    assert torch.equal(batch.rows, torch.arange(15))
    assert bool(batch.x.isfinite().all())
    assert made.counts == counts
    if made.label_kind == "ids":
        assert torch.bincount(batch.y, minlength=10).tolist() == list(counts.values())
    entry = installed().find("parametrization", made.parametrization, "graph").load()
    again = entry.reopen(problem, json.loads(json.dumps(made.config())), made.stored())
    a, b = (s.train_batch(problem, 3, 7)[0] for s in (made, again))
    assert torch.equal(a.x[a.rows], b.x[b.rows])
    nets = [problem.new_model(random.Random(0), "gcn").eval() for _ in range(2)]
    assert torch.allclose(nets[0](a).logits, nets[1](b).logits, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gcond", {"distance": "mse", "structure_turns": 0}),
        ("ctrl", {"distance": "cosine", "structure_turns": 0}),
        ("cgc", {"augmentation": 1.0}),
        ("gc-sntk", {"labels": "fixed"}),
    ],
)
def test_an_option_changes_what_is_condensed(problem, name, options):
    counts = dict.fromkeys(problem.data.groups, 1)
    turns = {k: v for k, v in options.items() if k == "structure_turns"}  # with 0 the features move at once
    a, b = (condensed(problem, name, counts, **o).stored()["x"] for o in (turns, options))
    assert bool(b.isfinite().all())
    assert not torch.equal(a, b)


@pytest.mark.parametrize("name", ["gcond", "gdem", "gc-sntk", "sfgc"])
def test_the_same_seed_is_the_same_graph(problem, name):
    counts = dict.fromkeys(problem.data.groups, 1)
    # features that start at the mean of a class are to move at once
    options = {"structure_turns": 0} if name == "gcond" else {}
    a, b, c = (condensed(problem, name, counts, seed, **options).stored()["x"] for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize("name", [*OF_NODES, *OF_STRUCTURE])
@pytest.mark.parametrize("kind", ["plain", "inductive", "directed"])
def test_thin_graphs_are_condensed(name: str, kind: str):
    """Isolated, unlabelled and featureless nodes, a class of one node, training nodes without an edge between them."""
    n = 24
    x = torch.rand(n, 3, generator=torch.Generator().manual_seed(0))
    x[5] = 0
    y = torch.arange(n) % 2
    y[[9, 10]], y[11] = -1, 2
    splits = {"train": [0, 1, 2, 3, 5, 11], "val": [6, 7], "test": [14, 15, 16]}
    edges, _ = tidied([0, 1, 2, 9, 14], [9, 10, 10, 10, 15], n, directed=kind == "directed")
    problem = node_problem(x, edges, y, splits, "abc", inductive=kind == "inductive", hidden=4)
    if name == "gdem" and kind == "directed":
        with pytest.raises(NotSupported, match="have directions"):
            condensed(problem, name, {0: 1, 1: 1, 2: 1})
        return
    made = condensed(problem, name, {0: 1, 1: 1, 2: 1})
    assert problem.loss(problem.new_model(random.Random(0)), made.batch()).isfinite()


@pytest.mark.parametrize("name", OF_GRAPHS)
def test_graphs_are_condensed_and_nodes_refused(problem, name):
    method = installed().find("method", name, "graph").load()
    with pytest.raises(NotSupported, match="rows are no graphs; doscond is for nodes"):
        method.resolve(problem, dict.fromkeys(problem.data.groups, 1))
