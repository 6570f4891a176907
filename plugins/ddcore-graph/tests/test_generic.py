"""The core's methods on graphs: one of each family, a few updates."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ddcore_graph.problems import digits_knn

import ddcore
from ddcore.errors import NotSupported

FEW = {
    "random": {},
    "herding": {"epochs": 2},
    "dm": {"steps": 2, "pool": 1},
    "dc": {"steps": 2},
    "dd": {"steps": 1, "inner": 2},
    "frepo": {"steps": 2},
    "kip": {"steps": 2},
    "mtt": {"steps": 2, "experts": 1, "train_epochs": 3},
}


@pytest.fixture(scope="module")
def digits():
    return replace(digits_knn(hidden=8), name="graph/digits-knn")


@pytest.mark.parametrize("method", list(FEW))
@pytest.mark.parametrize("kind", ["nodes", "graphs"])
def test_generic_methods_run(method: str, kind: str, digits, shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    problem = digits if kind == "nodes" else replace(shapes(60, hidden=8), name="graph/tu")
    artifact = ddcore.distill(problem, method, ipc=2, options=known(method))
    batch = artifact.synthetic(problem).batch()
    assert problem.loss(problem.new_model(random.Random(0)), batch).isfinite()
    assert len(problem.task.targets(batch)) == 2 * len(problem.data.groups)


def known(method: str):
    """The options of the table that the method has."""
    from ddcore.plugins import installed

    fields = installed().find("method", method).load().options.model_fields
    return {k: v for k, v in FEW[method].items() if k in fields}


def test_siamese_methods_say_what_is_missing(digits):
    with pytest.raises(NotSupported, match="no siamese augmentation"):
        ddcore.distill(digits, "dsa", ipc=1)
