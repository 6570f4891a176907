"""Files of GraphSlim, taken in as sets."""

from dataclasses import replace

import pytest
import torch
from ddcore_graph.importing import from_graphslim

import ddcore
from ddcore.errors import ArtifactError


@pytest.fixture(scope="module")
def problem():
    return ddcore.load("graph/digits-knn")


def save(folder, x, y, adj=None):
    for name, t in (("feat", x), ("label", y), ("adj", adj)):
        if t is not None:
            torch.save(t, folder / f"{name}_knn_0.5_1.pt")


def a_graph(problem, n=20):
    d = problem.data.take(problem.data.ids()[:1]).x.shape[1]
    y = torch.arange(n) % 10
    a = torch.rand(n, n, generator=torch.Generator().manual_seed(0))
    return torch.randn(n, d, generator=torch.Generator().manual_seed(1)), y, (a + a.T) / 2


def test_nodes_are_ordered_by_class_and_edges_follow(tmp_path, problem):
    x, y, adj = a_graph(problem)
    save(tmp_path, x, y, adj)
    s = from_graphslim(tmp_path, problem)
    order = y.argsort(stable=True)
    assert torch.equal(s.x.detach(), x[order])
    assert torch.equal(s.batch().y, y[order])
    i, j = 3, 11
    assert s.batch().adj[i, j] == adj[order[i], order[j]]
    assert not s.batch().adj.diagonal().any()
    made = ddcore.import_set(tmp_path, "graphslim", problem).save(tmp_path / "kept")
    assert torch.equal(
        ddcore.open(tmp_path / "kept").synthetic(problem).batch().adj, made.synthetic(problem).batch().adj
    )


def test_an_imported_graph_scores(tmp_path, problem):
    """A class's mean features, linked to itself alone, tell its nodes better than a guess."""
    real = problem.data.take(problem.data.ids())
    means = torch.stack([real.x[real.rows[real.y == k]].mean(0) for k in range(10)])
    save(tmp_path, means, torch.arange(10))
    ddcore.import_set(tmp_path, "graphslim", problem).save(tmp_path / "kept")
    short = replace(problem.recipe, name="short@1", epochs=20, keep="last")
    assert (
        ddcore.evaluate(ddcore.open(tmp_path / "kept"), problem, models=["sgc"], seeds=1, protocol=short).score().mean
        > 0.5
    )


@pytest.mark.parametrize("logits", [False, True])
def test_labels_are_probabilities_or_logits(tmp_path, problem, logits):
    x, y, adj = a_graph(problem)
    soft = 0.9 * torch.eye(10)[y] + 0.01
    save(tmp_path, x, soft.log() if logits else soft, adj)
    assert torch.allclose(from_graphslim(tmp_path, problem).batch().y, soft[y.argsort(stable=True)], atol=1e-6)


@pytest.mark.parametrize("adj", [None, torch.eye(20)])
def test_without_edges_it_is_features_alone(tmp_path, problem, adj):
    x, y, _ = a_graph(problem)
    save(tmp_path, x, y, adj)
    assert from_graphslim(tmp_path, problem).batch().adj is None


def test_what_does_not_fit_is_refused_with_what_was_expected(tmp_path, problem):
    x, y, adj = a_graph(problem)
    with pytest.raises(ArtifactError, match=r"is not a folder with feat_\*\.pt"):
        from_graphslim(tmp_path, problem)
    save(tmp_path, x[:, :5], y, adj)
    with pytest.raises(ArtifactError, match=r"features are \(20, 5\)"):
        from_graphslim(tmp_path, problem)
    save(tmp_path, x, y[:7], adj)
    with pytest.raises(ArtifactError, match="20 rows and 7 labels"):
        from_graphslim(tmp_path, problem)
    save(tmp_path, x, y + 5, adj)
    with pytest.raises(ArtifactError, match=r"labels \[10, 11, 12, 13, 14\]"):
        from_graphslim(tmp_path, problem)
    for bad, said in (
        ((x, y, adj[:5]), r"features \(20, 64\) and edges \(5, 20\) do not fit"),
        ((x / 0, y, adj), "NaN or infinity"),
        ((x, y, adj / 0), "NaN or infinity"),
        ((x, y + 0.5, adj), "a class is a whole number"),
        ((x, y.reshape(20, 1, 1), adj), r"of shape \(20, 1, 1\)"),
        ((x, y, adj.to(torch.complex64)), "complex numbers"),
    ):
        save(tmp_path, *bad)
        with pytest.raises(ArtifactError, match=said):
            from_graphslim(tmp_path, problem)
    (tmp_path / "adj_knn_0.5_1.pt").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"adj_knn_0\.5_1\.pt cannot be read as tensors"):
        from_graphslim(tmp_path, problem)
    torch.save(x, tmp_path / "feat_other.pt")
    with pytest.raises(ArtifactError, match=r"2 files feat\*\.pt"):
        from_graphslim(tmp_path, problem)
