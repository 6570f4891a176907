"""Fair scores: their range, their anchors, and what is trained for them."""

import json
import math
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import toys

from ddcore import labels
from ddcore.errors import DataError, NotSupported
from ddcore.evaluation import RATES, evaluate, score, train
from ddcore.fairness import Hardened, fraction, judge_all, normalised
from ddcore.parametrizations import Selected
from ddcore.problem import Metric
from ddcore.recipes import Recipe
from ddcore.report import Score
from ddcore.rows import RowData, RowSynthetic
from ddcore.seeds import stream

SHORT = Recipe("short@1", epochs=6, size=4, lr=0.1)


@pytest.mark.parametrize("metric", [Metric("accuracy"), Metric("mcc", -1.0, 1.0), Metric("error", 0.0, 50.0, False)])
def test_a_fraction_stands_between_the_ends_of_the_range(metric):
    worst, best = (metric.low, metric.high) if metric.higher_is_better else (metric.high, metric.low)
    assert (fraction(metric, worst), fraction(metric, best)) == (0.0, 1.0)
    assert fraction(metric, (worst + best) / 2) == 0.5


def test_a_metric_without_an_end_has_no_fraction():
    with pytest.raises(NotSupported, match="perplexity has no bounded range"):
        fraction(Metric("perplexity", 1.0, math.inf, False), 3.0)


def test_the_anchors_of_the_scale():
    assert normalised(-1) == 0.0
    assert normalised(1) == 1.0
    assert normalised(0) == pytest.approx(0.2689, abs=1e-4)  # image.md E.7; DD-Ranking's formula
    steps = [normalised(a / 10) for a in range(-10, 11)]
    assert steps == sorted(steps)


KINDS = ("scores", "baselines", "switched scores", "switched baselines", "hard")


def judged(metrics, values, ceiling, label_kind="probabilities"):
    """Fair scores by each metric of what one network of each training is said to score."""
    problem = SimpleNamespace(task=SimpleNamespace(metrics=metrics))
    found = {("net", kind, 0): {m.name: v for m in metrics} for kind, v in zip(KINDS, values, strict=True)}
    ceilings = [Score(m.name, "net", "p@1", (ceiling,)) for m in metrics]
    return judge_all(problem, SimpleNamespace(label_kind=label_kind, train_steps=None), found, ceilings, ["net"])


def draws(n=300):
    """Ranges of any place and width, and six values within: of the five trainings and the ceiling."""
    for seed in range(n):
        rng = random.Random(seed)
        low = rng.uniform(-50, 50)
        high = low + 10 ** rng.uniform(-2, 2)
        *values, ceiling = (rng.choice((low, high, rng.uniform(low, high))) for _ in range(6))
        yield Metric("m", low, high, rng.random() < 0.5), values, ceiling


@pytest.mark.parametrize("label_kind", ["ids", "probabilities"])
def test_fair_scores_are_of_no_scale_and_no_direction(label_kind):
    for metric, values, ceiling in draws():
        (fair,) = judged([metric], values, ceiling, label_kind)
        wanted = pytest.approx((fair.ior, fair.hlr, fair.lrs, fair.ars), abs=1e-9)
        assert 0 <= fair.lrs <= 1
        assert 0 <= fair.ars <= 1
        wide = replace(metric, low=100 * metric.low, high=100 * metric.high)
        mirror = replace(metric, higher_is_better=not metric.higher_is_better)
        ends = metric.low + metric.high
        for other, moved, top in (
            (wide, [100 * v for v in values], 100 * ceiling),
            (mirror, [ends - v for v in values], ends - ceiling),
        ):
            (same,) = judged([other], moved, top, label_kind)
            assert (same.ior, same.hlr, same.lrs, same.ars) == wanted
        (against,) = judged([mirror], values, ceiling, label_kind)
        assert (against.ior, against.hlr) == pytest.approx((-fair.ior, -fair.hlr), abs=1e-9)


def test_fair_scores_rise_with_the_set_and_fall_with_what_is_beside_it():
    for metric, values, ceiling in draws():
        metric = replace(metric, higher_is_better=True)
        own, beside, *rest = values
        (fair,) = judged([metric], values, ceiling)
        better, worse, higher = (
            judged([metric], moved, top)[0]
            for moved, top in (
                ([(own + metric.high) / 2, beside, *rest], ceiling),
                ([own, (beside + metric.high) / 2, *rest], ceiling),
                (values, (ceiling + metric.high) / 2),
            )
        )
        assert better.lrs >= fair.lrs
        assert better.ars >= fair.ars
        assert worse.lrs <= fair.lrs
        assert worse.ars <= fair.ars
        assert higher.lrs <= fair.lrs
        assert higher.ars == fair.ars
        if own < metric.high - 1e-6:
            assert better.lrs > fair.lrs


def test_each_metric_that_has_two_ends_is_judged():
    metrics = [Metric("auc"), Metric("log loss", 0.0, math.inf, False), Metric("error", 0.0, 1.0, False)]
    found = judged(metrics, [0.8, 0.5, 0.8, 0.5, 0.7], 0.9)
    assert [(f.model, f.metric, round(f.ior, 9)) for f in found] == [("net", "auc", 0.3), ("net", "error", -0.3)]


def test_where_no_metric_can_be_judged_nothing_is_trained(problem):
    class Loss(type(problem.task)):
        metrics = (Metric("log loss", 0.0, math.inf, False),)

    with pytest.raises(NotSupported, match="and image/toy has log loss"):
        evaluate(a_set(problem, False), replace(problem, task=Loss(3)), seeds=1, fair=True)


@pytest.fixture
def problem():
    return toys.image(recipe=SHORT)


def a_set(problem, soft):
    s = problem.synthetic(toys.COUNTS["image"], problem.data.sample(2, problem.data.groups, rng=random.Random(0)), None)
    return s.learn_labels("probabilities", torch.eye(3)[torch.arange(6) // 2] * 0.7 + 0.1) if soft else s


@pytest.mark.parametrize("soft", [False, True])
def test_fair_scores_are_those_of_the_trainings_they_name(problem, soft):
    s, seeds = a_set(problem, soft), 2
    report = evaluate(s, problem, seeds=seeds, fair=True, ceiling=True)
    hard = RowSynthetic(s.counts, s.x, labels.ids(torch.arange(6) // 2))

    def mean(one, augment):
        recipe = replace(SHORT, augment=augment)
        return (
            sum(score(problem, train(problem, one(i), recipe, i, "convnet"))["accuracy"] for i in range(seeds)) / seeds
        )

    def rows(i):
        return Selected.random(problem.data, s.counts, stream(i, "random"))

    plain = mean(lambda i: s, None) - mean(rows, None)
    augmented = mean(lambda i: s, "train") - mean(rows, "train")
    recovery = report.score(of="ceilings").mean - mean(lambda i: hard, None)
    (found,) = report.fair
    assert found.ior == pytest.approx(plain)
    assert found.hlr == pytest.approx(recovery)
    assert found.lrs == pytest.approx(normalised((plain - recovery) / 2))
    assert found.ars == pytest.approx(normalised((plain + augmented) / 2))
    assert report.to_json()["fair"] == [json.loads(json.dumps(found.to_json()))]
    assert "lrs" in str(report)


def test_what_has_no_meaning_is_left_out(problem):
    """No augmentation to train with; labels that cannot be hardened; no ceiling."""
    users, s = toys.case("recommender")
    (found,) = evaluate(s, replace(users, recipe=SHORT), seeds=1, fair=True).fair
    assert (found.hlr, found.lrs, found.ars) == (None, None, None)
    with pytest.raises(NotSupported, match="has no hard labels"):
        Hardened(s, users).take([0])
    assert evaluate(a_set(problem, False), problem, seeds=1).fair == ()


def test_a_set_that_prescribes_its_steps_is_hardened_under_the_protocol(problem):
    s = a_set(problem, True).prescribe(3)
    (found,) = evaluate(s, problem, seeds=1, fair=True, ceiling=True).fair
    assert found.ars is None
    hard = RowSynthetic(s.counts, s.x, labels.ids(torch.arange(6) // 2))
    assert Hardened(s, problem).train_steps is None
    plain = score(problem, train(problem, hard, SHORT, 0, "convnet"))["accuracy"]
    everything = evaluate(s, problem, seeds=1, ceiling=True).score(of="ceilings").mean
    assert found.hlr == pytest.approx(everything - plain)


def test_a_learning_rate_is_searched_on_val_for_both_sides_alike(problem):
    s = a_set(problem, False)
    report = evaluate(s, problem, seeds=2, search_lr=True)

    def best(one):
        means = {
            lr: sum(
                score(problem, train(problem, one(i), replace(SHORT, lr=lr), i, "convnet"), "val")["accuracy"]
                for i in (0, 1)
            )
            for lr in RATES
        }
        return max(RATES, key=lambda lr: means[lr])

    chosen = best(lambda i: s), best(lambda i: Selected.random(problem.data, s.counts, stream(i, "random")))
    assert [f"{lr:g}" for lr in chosen] == [note.partition("rate ")[2].split()[0] for note in report.notes]
    values = [score(problem, train(problem, s, replace(SHORT, lr=chosen[0]), i, "convnet"))["accuracy"] for i in (0, 1)]
    assert report.score().values == tuple(values)
    x = problem.data
    without = replace(problem, data=RowData(x.x, x.y, {"train": x.ids(), "test": x.ids(split="test")}))
    with pytest.raises(DataError, match="searched on val, and image/toy has no val rows"):
        evaluate(s, without, seeds=1, search_lr=True)
