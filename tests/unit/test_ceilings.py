"""Ceilings: networks trained on all rows, once, where that does not cost too much."""

from dataclasses import replace

import pytest
from toys import SHORT, Auc

from ddcore import ceilings, evaluation
from ddcore.evaluation import evaluate, score, train
from ddcore.parametrizations import RealRows
from ddcore.problem import Subset


def test_a_ceiling_is_computed_once_and_cached(pair, cache, monkeypatch):
    p, s = pair
    first = evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT)
    assert len(list(cache.rglob("*.json"))) == 1
    everything = RealRows.all(p.data)
    assert first.ceilings[0].values == (score(p, train(p, everything, SHORT, 0, "mlp"))["accuracy"],)
    sizes = []
    inner = evaluation.train

    def spy(problem, synthetic, *rest):
        sizes.append(sum(synthetic.counts.values()))
        return inner(problem, synthetic, *rest)

    monkeypatch.setattr(evaluation, "train", spy)
    again = evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT)
    assert again.ceilings == first.ceilings
    assert max(sizes) == 6, "no network is trained on all rows again"
    assert evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT, ceiling=1).ceilings == first.ceilings
    asked = evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT, ceiling=2)
    assert asked.ceilings[0].values[0] == first.ceilings[0].values[0]
    assert len(asked.ceilings[0].values) == 2
    assert sizes.count(160) == 1, "one more network, for the one that was missing"


def test_a_ceiling_that_costs_too_much_is_a_hint(pair, cache, monkeypatch):
    p, s = pair
    monkeypatch.setattr(ceilings, "CEILING_SECONDS", 0.0)
    report = evaluate(s, p, seeds=1, protocol=SHORT)
    assert report.ceilings == ()
    assert "--ceiling" in report.ceiling_hint
    assert "--ceiling" in str(report)
    assert not list(cache.rglob("*.json"))
    assert evaluate(s, p, seeds=1, protocol=SHORT, ceiling=True).ceiling_hint == ""
    assert evaluate(s, p, seeds=1, protocol=SHORT).ceilings, "cached now"


@pytest.mark.parametrize("what", ["recipe", "model", "data", "split", "metrics"])
def test_another_recipe_model_split_data_or_way_to_judge_has_a_ceiling_of_its_own(pair, cache, what):
    p, s = pair
    evaluate(s, p, seeds=1, models=["mlp"], protocol=SHORT)
    changes = {"seeds": 1, "models": ["mlp"], "protocol": SHORT}
    if what == "recipe":
        changes["protocol"] = replace(SHORT, lr=0.2)
    if what == "model":
        changes["models"] = ["convnet"]
    if what == "split":
        changes["split"] = "val"
    if what == "data":
        p = replace(p, data=Subset(p.data, range(100)))
    if what == "metrics":
        p = replace(p, task=Auc(3))
    found = evaluate(s, p, **changes).ceilings
    assert [c.metric for c in found] == [m.name for m in p.task.metrics]
    assert len(list(cache.rglob("*.json"))) == 2
