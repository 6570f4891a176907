"""The core's methods on graphs: one of each family, a few updates."""

from __future__ import annotations

import copy
import random
from dataclasses import replace

import pytest
import torch
from ddcore_graph.problems import digits_knn, node_problem

import ddcore
from ddcore.errors import NotSupported
from ddcore.seeds import stream
from ddcore.selection import choose

FEW = {
    "random": {},
    "herding": {"epochs": 2},
    "dm": {"steps": 2, "pool": 1},
    "dc": {"steps": 2},
    "dd": {"steps": 1, "inner": 2},
    "frepo": {"steps": 2},
    "kip": {"steps": 2},
    "rcig": {"steps": 2, "solve": 2},
    "mtt": {"steps": 2, "experts": 1, "train_epochs": 3},
}


@pytest.fixture(scope="module")
def digits():
    return replace(digits_knn(hidden=8), name="graph/digits-knn", render=None)


@pytest.mark.parametrize("method", list(FEW))
@pytest.mark.parametrize("kind", ["nodes", "graphs"])
def test_generic_methods_run(method: str, kind: str, digits, shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    problem = digits if kind == "nodes" else replace(shapes(60, hidden=8), name="graph/tu", render=None)
    artifact = ddcore.distill(problem, method, ipc=2, options=known(method))
    batch = artifact.synthetic(problem).batch()
    assert problem.loss(problem.new_model(random.Random(0)), batch).isfinite()
    assert len(problem.task.targets(batch)) == 2 * len(problem.data.groups)


def test_selection_reads_a_graph_once_for_all_classes(digits):
    """The features that the policy sees are those of each node, whatever it was read with."""
    read, seen = [], {}
    net = digits.new_model(stream(0, "pick"), "gcn").eval()

    class Counted(type(digits.data)):
        def take(self, ids, rng=None):
            read.append(len(ids))
            return super().take(ids, rng)

    data = copy.copy(digits.data)
    data.__class__ = Counted

    def first(features, n, rng):
        seen[len(seen)] = features
        return list(range(n))

    counts = dict.fromkeys(digits.data.groups, 1)
    made = choose(replace(digits, data=data), counts, first, stream(0, "pick"), epochs=0, model="gcn")
    assert read == [200]
    assert [made.chosen[i] for i in made.ids()] == [digits.data.ids(g)[0] for g in counts]
    with torch.no_grad():
        alone = net(digits.data.take(digits.data.ids(3))).features
    assert torch.allclose(seen[3], alone, atol=1e-6)


def known(method: str):
    """The options of the table that the method has."""
    from ddcore.plugins import installed

    fields = installed().find("method", method).load().options.model_fields
    return {k: v for k, v in FEW[method].items() if k in fields}


def test_siamese_methods_say_what_is_missing(digits):
    with pytest.raises(NotSupported, match="no siamese augmentation"):
        ddcore.distill(digits, "dsa", ipc=1)


@pytest.mark.parametrize("method", ["dc", "mtt"])
def test_quick_presets_move_features_alike_in_whatever_unit_they_are(method, digits, tmp_path, monkeypatch):
    """Both losses are of directions or shares; the units are so small that networks' outputs hardly change with them."""
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    whole = digits.data.whole
    y, splits = whole.y[:60], {"train": range(40), "val": range(40, 50), "test": range(50, 60)}
    edges = whole.edges[:, (whole.edges < 60).all(0)]
    found = []
    for unit in (1e-3, 1e-4):
        x = unit * (whole.x[:60] - whole.x.mean(0))
        plain = node_problem(x, edges, y, splits, [str(i) for i in range(10)], hidden=8)
        problem = replace(plain, name="graph/file", render=None)
        few = {"steps": 2, "experts": 1, "train_epochs": 2} if method == "mtt" else {"steps": 2}
        batch = ddcore.distill(problem, method, ipc=1, options={**known(method), **few}).synthetic(problem).batch()
        found.append(batch.x[batch.rows] / unit)
    start = ddcore.distill(problem, "random", ipc=1).synthetic(problem).batch()
    assert (found[0] - start.x[start.rows] / unit).abs().max() > 1e-3
    assert torch.allclose(found[0], found[1], rtol=0.02, atol=0.02)
