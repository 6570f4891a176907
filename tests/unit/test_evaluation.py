"""Evaluation: fresh networks and their report, of sets and of artifacts."""

import json
from dataclasses import replace

import pytest
import torch
import toys
from toys import SHORT

import ddcore
from ddcore import labels
from ddcore.errors import OptionError, UnknownName
from ddcore.evaluation import evaluate, score, train
from ddcore.rows import RowSynthetic


def test_a_report(pair):
    p, s = pair
    report = evaluate(s, p, models=["convnet", "mlp"], seeds=3, protocol=SHORT)
    assert [(x.model, x.metric, x.protocol) for x in report.scores] == [
        ("convnet", "accuracy", "short@1"),
        ("mlp", "accuracy", "short@1"),
    ]
    for scores in (report.scores, report.baselines):
        assert all(len(x.values) == 3 for x in scores)
        assert any(len(set(x.values)) > 1 for x in scores)
    for seed in range(3):
        value = score(p, train(p, s, SHORT, seed, "mlp"))["accuracy"]
        assert report.score(model="mlp").values[seed] == value
    again = evaluate(s, p, models=["mlp"], seeds=3, protocol=SHORT)
    assert again.score().values == report.score(model="mlp").values, "another model changes no network"
    assert again.score(of="baselines").values == report.score(model="mlp", of="baselines").values
    assert (report.problem, report.rows, report.bytes) == ("image/toy", 6, 6 * (64 * 4 + 8))
    assert (report.split, report.epoch_rule, report.label_kind) == ("test", "last", "ids")
    assert json.loads(json.dumps(report.to_json()))["scores"][0]["metric"] == "accuracy"
    assert "accuracy" in str(report)


def test_workers_change_nothing(pair, monkeypatch):
    """One thread there as here: with others, sums are in another order."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    p, s = pair
    one, two = (evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT, jobs=jobs) for jobs in (1, 2))
    for kind in ("scores", "baselines", "ceilings"):
        assert getattr(one, kind) == getattr(two, kind)


def test_progress_is_told(pair):
    p, s = pair
    told = []
    evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT, progress=lambda *what: told.append(what))
    assert told == [("evaluate", k, 5) for k in (1, 2, 3, 4, 5)], "two sets, two draws, all rows"


def test_soft_labels_are_named_in_the_report(pair):
    p, s = pair
    soft = RowSynthetic(s.counts, s.x, labels.probabilities(torch.full((6, 3), 1 / 3)))
    report = evaluate(soft, p, seeds=1, protocol=SHORT)
    assert report.label_kind == "probabilities"
    assert report.bytes == 6 * (64 * 4 + 3 * 4)


@pytest.mark.parametrize("name", toys.ALL)
def test_every_modality(name):
    p, s = toys.case(name, start=True)
    report = evaluate(s, p, seeds=2)
    assert [x.metric for x in report.scores] == [m.name for m in p.task.metrics]
    assert report.protocol == "toy@1"
    assert report.ceilings
    assert report.ceilings[0].mean >= report.baselines[0].mean - 0.05


def test_an_artifact_scores_like_the_set_it_came_from(tmp_path):
    p = toys.image()
    made = ddcore.distill(p, "dm", ipc=2, steps=3, out=tmp_path / "a")
    report = evaluate(made, p, seeds=2, protocol=SHORT)
    assert report.method == "dm"
    assert not report.notes
    s = made.synthetic(p)
    assert report.scores == evaluate(s, p, seeds=2, protocol=SHORT).scores
    assert report.scores == evaluate(ddcore.open(tmp_path / "a"), p, seeds=2, protocol=SHORT).scores
    with pytest.raises(OptionError, match="needs the problem"):
        evaluate(made)


def test_an_artifact_of_other_data_is_noted():
    p = toys.image()
    made = ddcore.distill(p, "random", ipc=2)
    other = toys.image(preprocessing=replace(p.preprocessing, name="normalise"))
    assert "fingerprints differ" in " ".join(evaluate(made, other, seeds=1, protocol=SHORT).notes)


def test_bad_input(pair):
    p, s = pair
    with pytest.raises(UnknownName, match=r"no model 'convnat' in image/toy. Did you mean convnet"):
        evaluate(s, p, models=["convnat"])
    with pytest.raises(UnknownName, match="no protocol"):
        evaluate(s, p, protocol="nonsense")
    with pytest.raises(OptionError, match="seeds must be at least 1, got 0"):
        evaluate(s, p, seeds=0)
    with pytest.raises(OptionError, match="needs the problem"):
        evaluate(s)
