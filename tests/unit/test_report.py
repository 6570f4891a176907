"""Reports: what is told of two sets, and of one across networks."""

import json
import random
from dataclasses import replace

import pytest
import toys
from scipy import stats

from ddcore.artifact import Artifact
from ddcore.errors import OptionError
from ddcore.evaluation import evaluate
from ddcore.recipes import Recipe
from ddcore.report import Fair, Report, Score


def report(means, higher=True, metric="accuracy", **changes):
    scores = tuple(Score(metric, model, "p@1", tuple(v), higher_is_better=higher) for model, v in means.items())
    return replace(Report("toy/x", "dm", "p@1", scores, baselines=scores), **changes)


def test_two_artifacts_are_compared_seed_by_seed():
    problem = toys.image(recipe=Recipe("short@1", epochs=2))
    method = {"name": "dm", "preset": "quick", "options": {}, "paper": ""}
    reports = []
    for seed in (0, 1):
        s = problem.synthetic(toys.COUNTS["image"], None, random.Random(seed))
        made = Artifact.of(problem, s, method=method, budget={"ipc": 2}, seed=seed)
        reports.append(evaluate(made, problem, seeds=4))
    found = reports[0].against(reports[1])
    theirs = stats.ttest_rel(reports[0].score().values, reports[1].score().values)
    interval = theirs.confidence_interval(0.95)
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert found.distinguishable == (theirs.pvalue < 0.05)
    back = reports[1].against(reports[0])
    assert back.mean == pytest.approx(-found.mean)


def test_what_is_better_when_lower_is_ahead_when_lower():
    a, b = report({"net": [0.1, 0.2]}, higher=False), report({"net": [0.3, 0.5]}, higher=False)
    assert a.against(b).mean == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problem": "toy/y"}, "the problem is toy/x here and toy/y there: evaluate both sets alike"),
        ({"protocol": "q@1"}, "the protocol is p@1 here and q@1 there"),
        ({"epoch_rule": "best on val (every 1)"}, "the epoch rule is last here"),
        ({"split": "val"}, "the split is test here and val there"),
        (
            {"scores": report({"net": [0.5]}).scores},
            "2 networks here and 1 there: evaluate both sets over the same seeds",
        ),
        (
            {"scores": report({"other": [0.5, 0.6]}).scores},
            "no accuracy of net .*: evaluate both sets with the same models",
        ),
    ],
)
def test_what_was_not_evaluated_alike_is_not_compared(changes, said):
    one = report({"net": [0.5, 0.6]})
    with pytest.raises(OptionError, match=said):
        one.against(replace(one, **changes))


def test_transfer_is_what_other_networks_keep():
    found = report({"a": [0.7, 0.9], "b": [0.4, 0.4], "c": [0.6, 0.6]})  # means 0.8, 0.4, 0.6
    assert found.transfer() == pytest.approx(0.625)
    assert found.to_json()["transfer"] == {"accuracy": pytest.approx(0.625)}
    assert report({"a": [0.8]}).transfer() is None
    assert report({"a": [0.0], "b": [0.5]}).transfer() is None


def test_where_lower_is_better_transfer_is_not_above_one_for_less():
    found = report({"a": [0.2], "b": [0.4], "c": [0.6]}, higher=False, metric="error")
    assert found.transfer("error") == pytest.approx(0.4)  # 0.2 of the mean of 0.4 and 0.6


def test_a_report_comes_back_from_its_json():
    fair = (Fair("a", "accuracy", 0.1, None, None, 0.3),)
    found = report({"a": [0.7, 0.9], "b": [0.4, 0.4]}, fair=fair, notes=("Note: x",), rows=3, bytes=9, seconds=1.5)
    again = Report.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
